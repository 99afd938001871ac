#!/usr/bin/env luajit
-- SPDX-License-Identifier: Apache-2.0
-- Every key of falco.yaml for the man page, from lua/schema.lua: between the two lines of docs/falco.yaml.5 that name this file.
--   luajit docs/keys.lua            writes them anew
--   luajit docs/keys.lua --check    fails if that would change anything
package.path = "lua/?.lua;" .. package.path
local schema = require("schema")

local function escape(text)
  return (text:gsub("\\", "\\e"):gsub("%-", "\\-"):gsub("^([.'])", "\\&%1"))
end

local WORDS = { bool = "true or false", int = "number", number = "number", string = "text", list = "list", open = "map",
  map = "map" }

local function range(spec)
  if spec.min and spec.max then return (" %.15g to %.15g"):format(spec.min, spec.max) end
  return spec.min and (" from %.15g"):format(spec.min) or ""
end

local function kind_of(spec)
  if spec.enum then return table.concat(spec.enum, ", ") end
  if spec.kind ~= "either" then return WORDS[spec.kind] .. range(spec) end
  local kinds = {}
  for i, choice in ipairs(spec.choices) do kinds[i] = kind_of(choice) end
  return table.concat(kinds, ", or ")
end

local function default_of(spec)
  if spec.default == nil then return "" end
  if spec.default == "" then return "; default: empty" end
  return "; default: " .. (type(spec.default) == "number" and ("%.15g"):format(spec.default) or tostring(spec.default))
end

-- Names of things keep their first letter.
local function sentence(text)
  return text:gsub("^%l+[ ,]", function(word) return word:sub(1, 1):upper() .. word:sub(2) end) .. "."
end

local out = {}

local function line(...)
  out[#out + 1] = table.concat({ ... }) .. "\n"
end

local walk

local function entry(path, spec)
  line(".TP")
  line("\\fB", escape(path):gsub("%.", ".\\&"), "\\fP  (", escape(kind_of(spec) .. default_of(spec)), ")")
  if spec.alias then
    line("Old name of \\fB", escape(spec.alias), "\\fP.")
  else
    line(escape(sentence(spec.doc)))
  end
  if spec.restart then line("A change takes effect when falco is started anew.") end
  if spec.missing then line("Without effect in this build: ", escape(spec.missing), ".") end
end

-- What lies inside a value: keys of a map, items of a list.
local function inside(path, spec)
  if spec.kind == "map" then walk(spec.rows, path .. ".") end
  if spec.kind == "list" then inside(path .. "[]", spec.item) end
  for _, choice in ipairs(spec.choices or {}) do inside(path, choice) end
end

function walk(rows, prefix)
  for _, row in ipairs(rows) do
    local path, spec = prefix .. row[1], row[2]
    entry(path, spec)
    inside(path, spec)
  end
end

walk(schema.root.rows, "")
dofile("docs/page.lua").put("docs/falco.yaml.5", "docs/keys.lua", table.concat(out),
  "the keys of the configuration are not those of lua/schema.lua")
