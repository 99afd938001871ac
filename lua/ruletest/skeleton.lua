-- SPDX-License-Identifier: Apache-2.0
-- `falco test --init RULE`: a test file for a rule, to be filled in, that runs and passes as it is. It has an event of each type
-- that the rule looks at, with the fields that its condition names and values that it compares them with. They are tried, so
-- that the file says what really comes of them.
local console = require("console")
local core = require("core")
local diag = require("diag")
local files = require("files")
local lower = require("rules.lower")
local load = require("ruletest.load")
local run = require("ruletest.run")
local spell = require("rules.spell")
local vocabulary = require("ruletest.vocabulary")

local M = {}

local MAX_EVENTS = 5
local MAX_SHOWN = 100          -- bytes of a comparison

-- Texts that YAML would read as something else get quotes.
local function quoted(text)
  if text:find("^[%w_][%w_ /.-]*$") and not text:find("^%s") and not text:find("%s$") then return text end
  return '"' .. text:gsub('[\\"]', "\\%0"):gsub("%c", "?") .. '"'
end

-- Names of the events that the rule can match: those of today, few of them.
local function event_names(rule)
  local C, out, seen = core.C, {}, {}
  local function add(name)
    if not seen[name] and vocabulary.event(name) and #out < MAX_EVENTS then
      seen[name] = true
      out[#out + 1] = name
    end
  end
  for _, code in ipairs(lower.codes(rule.events)) do
    local name = core.cstr(C.event_info(code).name)
    local known = vocabulary.event(name)
    if known and known.code == code and code ~= C.event_async_code() then add(name) end
  end
  local syscalls = lower.syscalls(rule.events)
  if syscalls ~= lower.ALL then
    local names = {}
    for sc in pairs(syscalls) do names[#names + 1] = core.cstr(C.syscall_name(sc)) end
    table.sort(names)
    for _, name in ipairs(names) do
      if vocabulary.event(name) and vocabulary.event(name).sc then add(name) end
    end
  end
  return out
end

-- Comparisons of the condition, each once, in order: { text }.
local function comparisons(rule)
  local out, seen = {}, {}
  local function walk(tree)
    if tree.kind ~= "leaf" then
      for _, child in ipairs(tree) do walk(child) end
      return
    end
    local text = (tree.neg and "not " or "") .. spell.check_text(tree.check)
    if not seen[text] then
      seen[text] = true
      out[#out + 1] = { text = #text > MAX_SHOWN and text:sub(1, MAX_SHOWN) .. " ..." or text, leaf = tree }
    end
  end
  walk(rule.tree)
  return out
end

-- A value that makes a comparison true, where that is plain to see.
local function value_of(leaf)
  local C, check = core.C, leaf.check
  local first = check.values and check.values[1]
  local plain = check.op == C.OP_EQ or check.op == C.OP_IN or check.op == C.OP_STARTSWITH or check.op == C.OP_CONTAINS
    or check.op == C.OP_PMATCH
  return not leaf.neg and first and plain and first.text or nil
end

-- Can an event by hand have this field? Then what to call it there.
local function settable(name, event)
  local param = event.by_name[name:match("^evt%.arg[.%[]([%w_]+)%]?$") or ""]
  if param then return param.name end
  local row = vocabulary.process[name]
  if row and row[2] ~= "container" and row[2] ~= "words" or name == "proc.args" then return name end
  for _, candidate in ipairs(vocabulary.params[name] or {}) do
    if event.by_name[candidate] then return name end
  end
  if vocabulary.open_flags[name] then return event.by_name.flags and name or nil end
  return (vocabulary.ancestor(name) or vocabulary.descriptor[name]) and name or nil
end

local CONTAINER = "container.id"

-- "proc.name: nc, ..." of the fields that events by hand can have.
local function fields(list, event)
  local out, seen = {}, {}
  for _, c in ipairs(list) do
    local left = c.leaf.check.left
    local name = left.kind == "field" and (left.arg and ("%s[%s]"):format(left.name, left.arg) or left.name) or ""
    local value, key = value_of(c.leaf), settable(name, event)
    if (name:find("^thread%.cgroup") or name:find("^container%.")) and not c.leaf.neg then key, value = CONTAINER, "c0ffee" end
    if value and key and not seen[key] then
      seen[key] = true
      out[#out + 1] = ("%s: %s"):format(quoted(key), quoted(value))
    end
  end
  return table.concat(out, ", ")
end

-- Which rules match an event "name: {...}": their names, or nil if it cannot be told like that.
local function tried(group, event, rule)
  local text = ("- test: t\n  events:\n    - %s\n  expect:\n    - {rule: %s, count: \">= 0\"}\n"):format(event, quoted(rule.name))
  local diags = diag.new()
  group.diags = diags
  local test = load.file("skeleton", text, diags)[1]
  if test and diags.errors == 0 then run.prepare(group, test) end
  if not test or diags.errors > 0 then return nil end
  local result = run.test(group, test, function(_, path) return path end)
  if #result.failures > 0 then return nil end
  local out = {}
  for index in pairs(test.events[1].met) do out[#out + 1] = group.names[index] end
  table.sort(out)
  return out
end

local function event_lines(group, rule, name, list, out)
  local event = ("%s: {%s}"):format(name, fields(list, vocabulary.event(name)))
  local matched = tried(group, event, rule)
  if not matched then
    event = name .. ": {}"
    matched = tried(group, event, rule) or {}
  end
  local names, hit = {}, false
  for i, other in ipairs(matched) do names[i], hit = quoted(other), hit or other == rule.name end
  if not hit then out[#out + 1] = ("    # not '%s' yet: see above what it compares"):format(rule.name:gsub("%c", " ")) end
  out[#out + 1] = "    - " .. event
  out[#out + 1] = "      match: " .. (#names == 0 and "none" or #names == 1 and names[1] or "[" .. table.concat(names, ", ") .. "]")
end

-- The text of the test file. path: of the rules, as the test is to name it.
function M.text(group, rule, path)
  local list = comparisons(rule)
  local out = { ("# What '%s' compares:"):format((rule.name:gsub("%c", " "))) }
  for _, c in ipairs(list) do out[#out + 1] = "#   " .. c.text:gsub("%c", " ") end
  for _, line in ipairs{ "", "- rules: " .. quoted(path), "", "- test: " .. quoted(rule.name), "  events:" } do out[#out + 1] = line end
  local names = event_names(rule)
  for _, name in ipairs(#names > 0 and names or { "sched_yield" }) do event_lines(group, rule, name, list, out) end
  out[#out + 1] = "    # and something harmless"
  event_lines(group, rule, names[1] or "sched_yield", {}, out)
  return table.concat(out, "\n") .. "\n"
end

local function find(result, name)
  local names = {}
  for i, rule in ipairs(result.rules) do
    if rule.name == name then return rule end
    names[i] = rule.name
  end
  return nil, diag.suggest(name, names)
end

function M.run(options)
  local diags = diag.new()
  local group = run.group(options.rules, diags, files.read)
  if not group then
    for _, loaded in ipairs(diags.rules) do console.diagnostics(loaded, { level = "error" }) end
    return 2
  end
  local rule, near = find(group.result, options.init)
  if not rule then
    console.error(("there is no rule '%s'%s"):format(options.init, near and (" (did you mean '%s'?)"):format(near) or ""))
    return 2
  end
  console.print(M.text(group, rule, options.rules[#options.rules]))
  return console.flush() and 0 or 2
end

return M
