-- SPDX-License-Identifier: Apache-2.0
-- Fuzzes the loading of rules files: no text raises an error, mistakes have a place in the file and can be shown in every
-- form, and what is accepted can be described, compiled and listed for a live source.
package.path = "lua/?.lua;lua/?/init.lua;" .. package.path
local core = require "core"
local describe = require "rules.describe"
local diag = require "diag"
local dump = require "rules.dump"
local fuzz = dofile "test/fuzz/mutate.lua"
local interest = require "rules.interest"
local json = require "json"
local keys = require "rules.keys"
local results = require "results"
local rules = require "rules"

local WORDS = { "- ", ": ", "\n", "  ", "    ", "[", "]", "{", "}", "&a ", "*a", "!!str ", "|\n", ">\n", ">-\n", "---\n", "# ", '"', "'", "true", "no",
  "~", "append", "replace", "priority", "info", "Warning", "%proc.name", "%", "evt.type = openat", " and ", " or ", " not ", "in (l)", "in",
  "startswith oneof", "(", ")", "\t", "\r\n", "\239\187\191", "é", "\\x00", "31", "0.31.0", "container", "<<", "m", "l", "r", "" }
for _, item in ipairs(keys.items) do
  for _, name in ipairs(keys.names(item)) do WORDS[#WORDS + 1] = name .. ": " end
end
for _, map in pairs(keys.map) do
  for _, name in ipairs(keys.names(map)) do WORDS[#WORDS + 1] = name .. ": " end
end

local function check_diagnostic(d, lines)
  assert(d.code and #d.code > 0 and #d.message > 0 and not d.message:find("[\r\n]"), "message: " .. d.message)
  assert(d.line and d.line >= 1 and d.line <= lines and d.column >= 1, ("%s at %s:%s of %d"):format(d.message, d.line, d.column, lines))
end

local function check_diagnostics(diags, text)
  local _, breaks = text:gsub("\r\n?", "\n"):gsub("\n", "")
  for _, d in ipairs(diags.items) do check_diagnostic(d, breaks + 1) end
  local shown = diags:render()
  assert(not shown:find("[%z\1-\8\11-\31\127]"), "control characters in messages")
  json.encode(results.of({ name = "r.yaml", text = text }, diags))
end

-- All that can be made of rules that were accepted.
local function use(result)
  json.encode(describe.all(result))
  for _, rule in ipairs(result.rules) do
    assert(dump.tree(rule):find("%S") and rules.code(result, rule):find("%S"))
  end
  interest.of(result, { repair = true })
  assert(rules.compile(result, { matching = "all" }).match)
end

-- What a text led to: the kinds of its messages and items.
local function signature(diags, result)
  local set = {}
  for _, d in ipairs(diags.items) do set[d.code .. d.message:gsub("'[^']*'", "'"):gsub("%d+", "0"):sub(1, 40)] = true end
  local list = {}
  for key in pairs(set) do list[#list + 1] = key end
  table.sort(list)
  return ("%s %d %d %d"):format(table.concat(list, "|", 1, math.min(#list, 3)), math.min(#result.rules, 3), math.min(#result.macros, 3),
    math.min(#result.lists, 3))
end

local function try(text)
  local diags, ruleset = diag.new(), core.ffi.gc(core.C.ruleset_new(), core.C.ruleset_free)
  local result = rules.load{ files = { { name = "r.yaml", text = text } }, ruleset = ruleset, diag = diags }
  assert(result.ok == (diags.errors == 0))
  check_diagnostics(diags, text)
  if result.ok then use(result) end
  return signature(diags, result)
end

-- The corpus of mistakes, whole, and what ships, rule by rule.
local function seeds()
  local texts = {}
  for _, text in ipairs(fuzz.read_all("spec/errors")) do
    if #text < 4000 then texts[#texts + 1] = text end
  end
  for _, text in ipairs(fuzz.read_all("rules")) do
    for item in (text .. "\n- "):gmatch("(%- [rml].-)\n%f[%-]") do texts[#texts + 1] = item .. "\n" end
  end
  return texts
end

fuzz.run{ name = "rules", try = try, words = WORDS, seeds = seeds() }
