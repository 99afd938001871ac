#!/usr/bin/env luajit
-- SPDX-License-Identifier: Apache-2.0
-- Every command of the REPL for the man page, from the rows of lua/repl/commands.lua: between the two lines of docs/falco.8 that
-- name this file.
--   luajit docs/commands.lua            writes them anew
--   luajit docs/commands.lua --check    fails if that would change anything
package.path = "lua/?.lua;lua/?/init.lua;" .. package.path
local commands = require("repl.commands")

local function escape(text)
  return (text:gsub("\\", "\\e"):gsub("%-", "\\-"):gsub("^([.'])", "\\&%1"):gsub("\n([.'])", "\n\\&%1"))
end

local function sentence(text)
  return text:sub(1, 1):upper() .. text:sub(2) .. "."
end

local rows = {}
for i, row in ipairs(commands.rows()) do rows[i] = row end
table.sort(rows, function(a, b) return a.name < b.name end)

local out = {}
for _, row in ipairs(rows) do
  out[#out + 1] = (".TP\n\\fB:%s\\fP%s\n%s\n"):format(row.name, row.args and " " .. escape(row.args) or "", escape(sentence(row.help)))
  if row.more then out[#out + 1] = escape(row.more) .. "\n" end
end

dofile("docs/page.lua").put("docs/falco.8", "docs/commands.lua", table.concat(out),
  "the commands of the REPL are not those of lua/repl")
