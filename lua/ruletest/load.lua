-- SPDX-License-Identifier: Apache-2.0
-- Test files: YAML -> tests, with every mistake in them as a diagnostic.
--
--   load.file(path, text, diags) -> { test, ... }        what is wrong is reported and left out
--
-- test         { name, node, file, rules = { node, ... } | nil, matching = "all" | "first", captures = { node, ... }, only = bool,
--                processes, users, groups, containers = { map node, ... }, interfaces = { node, ... },
--                events = { event, ... }, expects = { expect, ... } }
-- event        { name, node (of the name), values = map node, match = { node, ... } | nil, miss = { node, ... }, times, at }
-- expect       { node, rule, rule_node, count = { min, max, text }, fields = { { node =, value = node }, ... }, output = { node, ... },
--                where = node | nil, event = number | nil }
local diag = require("diag")
local keys = require("ruletest.keys")
local yaml = require("rules.yaml")

local M = {}

M.MAX_TESTS = 10000          -- of one file
M.MAX_EVENTS = 100000        -- of one test, repeated ones counted
M.MAX_ALL_EVENTS = 1000000   -- of one file
M.MAX_SECONDS = 9000000      -- that a test can take: nanoseconds must stay below 2^53
local MAX_VALUES = 1000000   -- of one file, looked at: aliases can make much out of little

-- ------------------------------------------------------------------ values

local KINDS = {}

local function is_single(node)
  return node.kind == "scalar" and not yaml.is_null(node)
end

function KINDS.text(_, node)
  if is_single(node) and node.text ~= "" then return node end
  return nil, "a single value"
end

function KINDS.whole(_, node)
  local n = yaml.int(node)
  if n and n >= 0 and n < 2 ^ 53 then return n end
  return nil, "a whole number"
end

function KINDS.number(_, node)
  local n = yaml.number(node)
  if n and n >= 0 and n < M.MAX_SECONDS then return n end
  return nil, ("a number from 0 to %d"):format(M.MAX_SECONDS)
end

function KINDS.bool(_, node)
  local b = yaml.bool(node)
  if b ~= nil then return b end
  return nil, "true or false"
end

function KINDS.matching(_, node)
  if node.kind == "scalar" and (node.text == "all" or node.text == "first") then return node.text end
  return nil, "all or first"
end

function KINDS.texts(reader, node)
  if is_single(node) then return { node } end
  if node.kind ~= "seq" then return nil, "a value or a list of values" end
  for _, item in ipairs(node) do
    if not reader:spend() then return {} end
    if not is_single(item) then return nil, "a list of single values" end
  end
  return node
end

function KINDS.maps(reader, node)
  if node.kind ~= "seq" then return nil, "a list" end
  local out = {}
  for _, item in ipairs(node) do
    if not reader:spend() then return out end
    if item.kind == "map" then
      out[#out + 1] = item
    else
      reader:fail(item, "expected a map here, like  - name: {key: value}")
    end
  end
  return out
end

-- "2", ">= 2", "< 3", "1..3" -> { min, max }
local function range(text)
  local n = tonumber(text:match("^%d+$"))
  if n then return n, n end
  local low, high = text:match("^(%d+)%s*%.%.%s*(%d+)$")
  if low then return tonumber(low), tonumber(high) end
  local op, limit = text:match("^([<>]=?)%s*(%d+)$")
  limit = tonumber(limit)
  if op == ">=" then return limit, math.huge end
  if op == ">" then return limit + 1, math.huge end
  if op == "<=" then return 0, limit end
  if op == "<" and limit > 0 then return 0, limit - 1 end
  return nil
end

function KINDS.count(_, node)
  local min, max = nil, nil
  if node.kind == "scalar" then min, max = range(node.text) end
  if min and min <= max then return { min = min, max = max, text = node.text } end
  return nil, "a count: 2, \">= 2\", \"< 5\" or \"1..3\""
end

function KINDS.fields(reader, node)
  if node.kind ~= "map" then return nil, "a map of fields to values" end
  local out = {}
  for i, entry in ipairs(node) do
    if not reader:spend() then return out end
    if entry.key.kind ~= "scalar" or entry.value.kind ~= "scalar" then return nil, "a map of fields to single values" end
    out[i] = { node = entry.key, value = entry.value }
  end
  return out
end

function KINDS.any(_, node)
  return node
end

-- ------------------------------------------------------------------ maps

local Reader = {}
Reader.__index = Reader

function Reader:fail(node, message, more)
  self.diags:error(nil, node, message, more)
end

-- One more value is looked at. false: too many were.
function Reader:spend()
  self.left = self.left - 1
  if self.left < 0 and not self.spent then
    self.spent = true
    self.diags:error(nil, { file = self.file }, ("more than %d values in one test file"):format(MAX_VALUES))
  end
  return self.left >= 0
end

-- The values of a map by key, each read as its row says. other(entry): what to do with keys that have no row; nil: they are
-- mistakes.
function Reader:map(node, known, other)
  local out, seen = {}, {}
  for _, entry in ipairs(node) do
    if not self:spend() then break end
    local key = entry.key.kind == "scalar" and entry.key.text or ""
    local row = known.by_name[key]
    if seen[key] then
      self:fail(entry.key, ("'%s' is given twice"):format(key))
    elseif not row and other then
      other(entry)
    elseif not row then
      self:fail(entry.key, ("unknown key '%s'"):format(key), { near = diag.suggest(key, keys.names(known)) })
    else
      local value, wanted = KINDS[row.kind](self, entry.value)
      if value == nil then
        self:fail(entry.value, ("'%s' wants %s"):format(key, wanted))
      end
      out[key] = value
    end
    seen[key] = true
  end
  return out
end

-- ------------------------------------------------------------------ events, expectations

local function event_of(reader, node)
  local event = {}
  local values = reader:map(node, keys.event, function(entry)
    if event.name then
      return reader:fail(entry.key, ("'%s' and '%s': each event is an item of its own"):format(event.name, entry.key.text or "?"),
        { hint = "beside its name an event may have: " .. table.concat(keys.names(keys.event), ", "),
          near = diag.suggest(entry.key.text or "", keys.names(keys.event)) })
    end
    event.name, event.node, event.values = entry.key.text or "", entry.key, entry.value
  end)
  if not event.name then
    return reader:fail(node, "this names no event", { hint = "an event looks like  - openat: {proc.name: cat, name: /etc/shadow}" })
  end
  if yaml.is_null(event.values) then
    event.values = { kind = "map", keys = {}, file = node.file }
  elseif event.values.kind ~= "map" then
    return reader:fail(event.values, ("'%s' wants a map of parameters and fields"):format(event.name))
  end
  event.match, event.miss, event.times, event.at = values.match, values.miss or {}, values.times or 1, values.at
  if event.match and #event.match == 1 and event.match[1].text == "none" then event.match = {} end
  return event
end

local function events_of(reader, test, list)
  local total = 0
  for _, node in ipairs(list) do
    if not reader:spend() then return end
    local event = event_of(reader, node)
    if event then
      total = total + event.times
      reader.events = reader.events + event.times
      if total > M.MAX_EVENTS then
        return reader:fail(node, ("a test has at most %d events"):format(M.MAX_EVENTS))
      elseif reader.events > M.MAX_ALL_EVENTS then
        return reader:fail(node, ("a test file has at most %d events"):format(M.MAX_ALL_EVENTS))
      end
      test.events[#test.events + 1] = event
    end
  end
end

local ANY_NUMBER = { min = 1, max = math.huge, text = ">= 1" }

local function expect_of(reader, node)
  local values = reader:map(node, keys.expect)
  if not values.rule then
    return reader:fail(node, "an expectation needs 'rule', the name of a rule")
  end
  return { node = node, rule = values.rule.text, rule_node = values.rule, count = values.count or ANY_NUMBER,
           fields = values.fields or {}, output = values.output or {}, where = values.where, event = values.event }
end

-- { Name of a rule: count, ... }
local function short_expects(reader, node, out)
  for _, entry in ipairs(node) do
    if not reader:spend() then return end
    local count, wanted = KINDS.count(reader, entry.value)
    if not count then
      reader:fail(entry.value, ("the rule '%s' wants %s"):format(entry.key.text or "?", wanted))
    else
      out[#out + 1] = { node = entry.key, rule = entry.key.text or "", rule_node = entry.key, count = count, fields = {}, output = {} }
    end
  end
end

function KINDS.expects(reader, node)
  local out = {}
  if node.kind == "scalar" and node.text == "none" then return out end
  if node.kind == "map" then
    short_expects(reader, node, out)
    return out
  elseif node.kind ~= "seq" then
    return nil, "a list of expectations, a map of rules to counts, or none"
  end
  for _, item in ipairs(node) do
    if not reader:spend() then return out end
    if item.kind == "map" then
      out[#out + 1] = expect_of(reader, item)
    elseif is_single(item) then
      out[#out + 1] = { node = item, rule = item.text, rule_node = item, count = ANY_NUMBER, fields = {}, output = {} }
    else
      reader:fail(item, "expected a map with 'rule', or the name of a rule")
    end
  end
  return out
end

-- ------------------------------------------------------------------ tests

local function check_test(reader, test, values)
  if #test.captures == 0 and #test.events == 0 then
    return reader:fail(test.node, ("the test '%s' has neither 'capture' nor 'events'"):format(test.name))
  end
  local checks = #test.expects > 0 or test.only or values.expect ~= nil
  for _, event in ipairs(test.events) do
    checks = checks or event.match ~= nil or #event.miss > 0
  end
  if not checks then
    return reader:fail(test.node, ("the test '%s' expects nothing"):format(test.name),
      { hint = "add 'expect', or 'match' to an event" })
  end
  return true
end

local function check_numbers(reader, test)
  for _, expect in ipairs(test.expects) do
    if expect.event and (expect.event < 1 or expect.event > #test.events) then
      reader:fail(expect.node, ("there is no event %d in this test"):format(expect.event))
    end
  end
end

local function test_of(reader, node, defaults)
  local before = reader.diags.errors
  local values = reader:map(node, keys.test)
  if not values.test then return nil end
  local test = { name = values.test.text, node = values.test, file = reader.file, rules = values.rules or defaults.rules,
    matching = values.matching or defaults.matching or "all", captures = values.capture or {}, processes = values.processes or {},
    users = values.users or {}, groups = values.groups or {}, containers = values.containers or {},
    interfaces = values.interfaces or {}, events = {}, expects = values.expect or {}, only = values.only or false }
  -- `expect: none` says that nothing at all may match
  if values.expect and #test.expects == 0 then test.only = true end
  events_of(reader, test, values.events or {})
  check_numbers(reader, test)
  -- of a test that has mistakes it is not known what it would say without them
  return (reader.diags.errors > before or check_test(reader, test, values)) and test or nil
end

-- Adds the tests of one document.
local function read_items(reader, root, tests)
  local defaults, names = {}, {}
  for _, item in ipairs(root) do
    if not reader:spend() then return end
    if item.kind ~= "map" then
      reader:fail(item, "expected  - test: NAME  or  - rules: FILE  here")
    elseif item.keys.test then
      local test = test_of(reader, item, defaults)
      if test and names[test.name] then
        reader:fail(test.node, ("two tests are called '%s'"):format(test.name))
      end
      if test then
        names[test.name] = true
        tests[#tests + 1] = test
      end
    else
      for key, value in pairs(reader:map(item, item.keys.rules and keys.defaults or keys.test)) do defaults[key] = value end
      if not (item.keys.rules or item.keys.matching) then
        reader:fail(item, "this item has no name: a test begins with  - test: NAME")
      end
    end
    if #tests > M.MAX_TESTS then
      return reader:fail(item, ("a test file has at most %d tests"):format(M.MAX_TESTS))
    end
  end
end

function M.file(path, text, diags)
  local roots, tests = yaml.parse(text, path, diags, "TEST_YAML"), {}
  local reader = setmetatable({ diags = diags, file = path, left = MAX_VALUES, events = 0 }, Reader)
  for _, root in ipairs(roots or {}) do
    if root.kind == "seq" then
      read_items(reader, root, tests)
    elseif not yaml.is_null(root) then
      reader:fail(root, "a test file is a list of tests", { hint = "each begins with  - test: NAME" })
    end
  end
  return tests
end

return M
