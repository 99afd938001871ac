#!/usr/bin/env luajit
-- SPDX-License-Identifier: Apache-2.0
-- Limits and examples of scripts for their man page, from lua/schema.lua and the files themselves: between the lines of
-- docs/falco-scripts.7 that name this file.
--   luajit docs/scripts.lua            writes them anew
--   luajit docs/scripts.lua --check    fails if that would change anything
package.path = "lua/?.lua;" .. package.path
local schema = require("schema")

local PAGE = "docs/falco-scripts.7"
local FROM, UP_TO = '.\\" made by docs/scripts.lua from here', '.\\" made by docs/scripts.lua up to here'
local EXAMPLES = { "slack", "dedup", "rate_limit", "kill", "enrich", "download_exec", "top_talkers", "route" }

local function escape(text)
  return (text:gsub("\\", "\\e"):gsub("%-", "\\-"):gsub("^([.'])", "\\&%1"))
end

local function limits()
  local out, of_rules = {}, schema.rule_script_limits.by_name
  for _, row in ipairs(schema.script_limits.rows) do
    local default, other = ("%.15g"):format(row[2].default), ("%.15g"):format(of_rules[row[1]].default)
    if other ~= default then default = ("%s; scripts of rules: %s"):format(default, other) end
    out[#out + 1] = (".TP\n.BR %s \"  (%s)\"\n%s\n"):format(row[1], default, escape(row[2].doc))
  end
  return table.concat(out)
end

-- What a file says of itself: the first sentence of its first comment.
local function purpose(name)
  local file = assert(io.open("lua/examples/" .. name .. ".lua"))
  local comment = {}
  for line in file:lines() do
    local text = line:match("^%-%- ?(.*)$")
    if not text or text == "" then break end
    if not text:find("^SPDX") then comment[#comment + 1] = text end
  end
  file:close()
  return (table.concat(comment, " "):match("^(.-)%.%s") or table.concat(comment, " "):gsub("[.:]$", ""))
end

local function examples()
  local out = {}
  for _, name in ipairs(EXAMPLES) do
    out[#out + 1] = (".TP\n.I %s.lua\n%s\n"):format(name, escape(purpose(name)))
  end
  return table.concat(out)
end

-- The page with `made` between the lines that end in `mark`.
local function between(page, mark, made)
  local from, up_to = FROM .. mark .. "\n", UP_TO .. mark .. "\n"
  local _, head = page:find(from, 1, true)
  local tail = page:find(up_to, 1, true)
  assert(head and tail and tail > head, PAGE .. ": the lines around what is made are gone")
  return page:sub(1, head) .. made .. page:sub(tail)
end

local file = assert(io.open(PAGE))
local page = file:read("*a")
file:close()
local made = between(between(page, "", limits()), ": examples", examples())
if arg[1] == "--check" then
  if made ~= page then
    io.stderr:write(PAGE, ": limits or examples are not those of the sources; run luajit docs/scripts.lua\n")
    os.exit(1)
  end
  return
end
file = assert(io.open(PAGE, "w"))
file:write(made)
file:close()
