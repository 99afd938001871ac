#!/usr/bin/env luajit
-- SPDX-License-Identifier: Apache-2.0
-- Every key of a rules file for its man page, from lua/rules/keys.lua: between the two lines of docs/falco-rules.5 that name
-- this file.
--   luajit docs/rule_keys.lua            writes them anew
--   luajit docs/rule_keys.lua --check    fails if that would change anything
package.path = "lua/?.lua;" .. package.path
local keys = require("rules.keys")

local PAGE = "docs/falco-rules.5"
local BEGIN, END = '.\\" made by docs/rule_keys.lua from here\n', '.\\" made by docs/rule_keys.lua up to here\n'

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

local function read(path)
  local f = assert(io.open(path, "rb"))
  local text = f:read("*a")
  f:close()
  return text
end

local page = read(PAGE)
local _, from = page:find(BEGIN, 1, true)
local to = page:find(END, 1, true)
assert(from and to, PAGE .. ": the lines that name docs/rule_keys.lua are gone")
local made = page:sub(1, from) .. table.concat(out) .. page:sub(to)
if arg[1] == "--check" then
  if made ~= page then
    print(PAGE .. ": the keys of rules files are not those of lua/rules/keys.lua; run luajit docs/rule_keys.lua")
    os.exit(1)
  end
elseif made ~= page then
  local f = assert(io.open(PAGE, "wb"))
  f:write(made)
  f:close()
end
