-- SPDX-License-Identifier: Apache-2.0
-- Which alerts an entry of `route` or `throttle` is for.
--   local holds = match.new(conf.match, field)      field(record, name) -> text or nil
--   holds(record) -> bool
-- All that is given must hold. rule and values of fields are texts in which * stands for any text; of a list one is enough.
local schema = require("schema")

local M = {}

-- A test of texts: what stands before the first * and behind the last, and the pieces between, each as early as it goes. No
-- pattern can take long.
local function glob(pattern)
  if not pattern:find("*", 1, true) then return function(text) return text == pattern end end
  local first, last = pattern:match("^[^*]*"), pattern:match("[^*]*$")
  local middle = {}
  for piece in pattern:sub(#first + 1, #pattern - #last):gmatch("[^*]+") do middle[#middle + 1] = piece end
  return function(text)
    if #text < #first + #last or text:sub(1, #first) ~= first or (last ~= "" and text:sub(-#last) ~= last) then return false end
    local at, stop = #first + 1, #text - #last
    for _, piece in ipairs(middle) do
      local _, to = text:find(piece, at, true)
      if not to or to > stop then return false end
      at = to + 1
    end
    return true
  end
end
M.glob = glob

local function any_of(list)
  local tests = {}
  for i, pattern in ipairs(type(list) == "table" and list or { list }) do tests[i] = glob(tostring(pattern)) end
  return function(text)
    for i = 1, #tests do
      if tests[i](text) then return true end
    end
    return false
  end
end

local MAKERS = {}

function MAKERS.rule(list)
  local test = any_of(list)
  return function(record) return test(record.rule) end
end

function MAKERS.source(list)
  local test = any_of(list)
  return function(record) return test(record.source) end
end

function MAKERS.priority(name)
  local least = schema.priority(name)
  return function(record) return record.priority <= least end
end

function MAKERS.tags(list)
  return function(record)
    for _, tag in ipairs(list) do
      local found = false
      for _, has in ipairs(record.tags) do found = found or has == tag end
      if not found then return false end
    end
    return true
  end
end

function MAKERS.fields(map, field)
  local tests = {}
  for name, list in pairs(map) do tests[#tests + 1] = { name = name, test = any_of(list) } end
  return function(record)
    for i = 1, #tests do
      local value = field(record, tests[i].name)
      if not value or not tests[i].test(value) then return false end
    end
    return true
  end
end

local function is_given(value)
  return value ~= nil and value ~= "" and (type(value) ~= "table" or next(value) ~= nil)
end

function M.new(conf, field)
  local tests = {}
  for _, name in ipairs{ "rule", "source", "priority", "tags", "fields" } do
    if conf and is_given(conf[name]) then tests[#tests + 1] = MAKERS[name](conf[name], field) end
  end
  return function(record)
    for i = 1, #tests do
      if not tests[i](record) then return false end
    end
    return true
  end
end

return M
