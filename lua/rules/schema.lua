-- SPDX-License-Identifier: Apache-2.0
-- The JSON schema of rules files, for editors: the rows of keys.lua in another form.
--
--   schema.build() -> table                  schema.text() -> JSON
--
-- It is the form alone: what conditions and outputs say, and what items say of each other, takes `falco -V`. It is narrower
-- than the loader in one thing: texts must be texts, though the loader also takes a number where it wants one.
local json = require "json"
local keys = require "rules.keys"
local reading = require "rules.reading"

local M = {}

local SEMVER = "^[0-9]+\\.[0-9]+\\.[0-9]+([-+][A-Za-z0-9.+-]+)?$"

local function ref(name)
  return { ["$ref"] = "#/definitions/" .. name }
end

-- "Warning" -> "^[Ww][Aa]...$"
local function any_case(word)
  return "^" .. word:gsub("%a", function(c) return ("[%s%s]"):format(c:upper(), c:lower()) end) .. "$"
end

-- Offers the usual spellings, takes all.
local function priority()
  local words, patterns = json.array(), json.array()
  for i = 0, 7 do
    words[#words + 1] = reading.PRIORITIES[i]
  end
  words[#words + 1] = "Info"
  for i, word in ipairs(words) do
    patterns[i] = { type = "string", pattern = any_case(word) }
  end
  table.insert(patterns, 1, { type = "string", enum = words })
  return { anyOf = patterns }
end

local KINDS = {}

function KINDS.text() return { type = "string", minLength = 1 } end
function KINDS.script() return { type = "string", minLength = 1 } end
function KINDS.throttle()
  return { type = "object", additionalProperties = false, required = json.array{ "count", "within" }, properties = {
    count = { type = "integer", minimum = 1 }, within = { type = "string", minLength = 1 }, by = { type = "array", items = ref("Value") },
  } }
end
function KINDS.bool() return { type = "boolean" } end
function KINDS.whole() return { type = "integer", minimum = 0 } end
function KINDS.priority() return ref("Priority") end
function KINDS.texts() return { type = "array", items = ref("Value") } end
function KINDS.entry() return ref("Entry") end

function KINDS.version()
  return { anyOf = json.array{ { type = "integer", minimum = 0 }, { type = "string", pattern = SEMVER },
                               { type = "string", pattern = "^[0-9]+$" } } }
end

local function map_name(name)
  return (name:gsub("^%l", string.upper))
end

function KINDS.maps(row) return { type = "array", items = ref(map_name(row.of)) } end

-- What `override` may say in an item.
function KINDS.override(_, item)
  local properties = {}
  for _, row in ipairs(item.rows) do
    local can = json.array()
    if row.append then can[#can + 1] = "append" end
    if row.replace then can[#can + 1] = "replace" end
    if #can > 0 then properties[row.key] = { type = "string", enum = can } end
  end
  return { type = "object", additionalProperties = false, minProperties = 1, properties = properties }
end

local function properties_of(item)
  local out = {}
  for _, row in ipairs(item.rows) do
    local property = KINDS[row.kind](row, item)
    -- beside a reference nothing else counts
    if property["$ref"] then property = { allOf = json.array{ property } } end
    property.description = row.old and ("%s; old, use '%s'"):format(row.doc, row.old) or row.doc
    property.default = row.default
    out[row.key] = property
  end
  return out
end

local function required_of(item)
  return keys.names(item, function(row) return row.required end)
end

local function object(item)
  return { type = "object", description = item.doc, additionalProperties = false, properties = properties_of(item) }
end

-- Lists and macros have all their keys, changes or not. A rule has all that a new one needs, or says what it changes.
local function item_schema(item)
  local out, required = object(item), required_of(item)
  out.title = item.name
  if item.name ~= "rule" then
    out.required = json.array(required)
    return out
  end
  out.required = json.array{ "rule" }
  out.anyOf = json.array{ { required = json.array(required) } }
  for _, key in ipairs{ "override", "append", "enabled" } do
    out.anyOf[#out.anyOf + 1] = { required = json.array{ key } }
  end
  return out
end

local function definitions()
  local single = json.array{ "string", "number", "boolean" }
  local out = {
    Priority = priority(), Value = { type = single },
    Entry = { anyOf = json.array{ { type = single }, { type = "array", items = ref("Entry") } } },
  }
  for name, map in pairs(keys.map) do
    out[map_name(name)] = object(map)
    out[map_name(name)].required = json.array(required_of(map))
  end
  return out
end

function M.build()
  local items = json.array()
  for i, item in ipairs(keys.items) do
    items[i] = item_schema(item)
  end
  return { ["$schema"] = "http://json-schema.org/draft-06/schema#", title = "Falco rules", type = "array",
           items = { anyOf = items }, definitions = definitions() }
end

function M.text()
  return json.encode(M.build(), 2) .. "\n"
end

return M
