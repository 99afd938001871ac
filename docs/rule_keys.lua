#!/usr/bin/env luajit
-- SPDX-License-Identifier: Apache-2.0
-- Every key of a rules file for its man page, from lua/rules/keys.lua: between the two lines of docs/falco-rules.5 that name
-- this file.
--   luajit docs/rule_keys.lua            writes them anew
--   luajit docs/rule_keys.lua --check    fails if that would change anything
package.path = "lua/?.lua;" .. package.path
local keys = require("rules.keys")

local WORDS = { text = "text", bool = "true or false", whole = "number", version = "version", priority = "priority",
  texts = "list", entry = "value or list", maps = "list of maps", script = "path or Lua", throttle = "map", override = "map" }

local function escape(text)
  return (text:gsub("\\", "\\e"):gsub("%-", "\\-"):gsub("^([.'])", "\\&%1"))
end

local function sentence(text)
  return escape(text:sub(1, 1):upper() .. text:sub(2) .. ".")
end

local out = {}

local function line(...)
  out[#out + 1] = table.concat({ ... }) .. "\n"
end

-- What `override` may do with a key.
local function changes(row)
  if row.append and row.replace then return " It can be appended to and replaced." end
  return row.append and " It can be appended to." or row.replace and " It can be replaced." or ""
end

local function entry(row)
  local notes = { WORDS[row.kind] }
  if row.required then notes[#notes + 1] = "required" end
  if row.default ~= nil then notes[#notes + 1] = "default: " .. tostring(row.default) end
  line(".TP")
  line("\\fB", escape(row.key), "\\fP  (", escape(table.concat(notes, "; ")), ")")
  line(sentence(row.doc), changes(row), row.old and (" Old; write \\fB%s\\fP instead."):format(escape(row.old)) or "")
end

local function section(title, doc, rows)
  line(".SS ", title)
  line(sentence(doc))
  for _, row in ipairs(rows) do entry(row) end
end

for _, item in ipairs(keys.items) do section("Item: " .. escape(item.name), item.doc, item.rows) end
for _, name in ipairs{ "exception", "plugin", "alternative" } do
  section("In a list: " .. name, keys.map[name].doc, keys.map[name].rows)
end

dofile("docs/page.lua").put("docs/falco-rules.5", "docs/rule_keys.lua", table.concat(out),
  "the keys of rules files are not those of lua/rules/keys.lua")
