-- SPDX-License-Identifier: Apache-2.0
-- What the compiler made of a rule, for people: --dump-ast.
--
--   dump.tree(rule) -> text                 a rule of rules.load()
--   dump.condition(tree, events) -> text of the tree, text of the events
--
-- The tree is the normal form: "not" at comparisons only, lists and macros replaced. Each comparison has the number of its
-- leaf (as in --dump-code) and its scope, what its answer depends on; each part that narrows the events says to which.
local core = require "core"
local lower = require "rules.lower"
local sorted_keys = require "sorted_keys"
local spell = require "rules.spell"

local M = {}

local MANY = 12		-- names of events shown one by one
local WIDTH = 64	-- of the column of comparisons, when the events stand beside it

local scope_names
local function scope_name(scope)
  local C = core.C
  scope_names = scope_names or { [C.SCOPE_SELF] = "self", [C.SCOPE_LINEAGE] = "lineage", [C.SCOPE_FD] = "fd",
    [C.SCOPE_EVENT] = "event", [C.SCOPE_STATEFUL] = "stateful" }
  return scope_names[scope]
end

-- ------------------------------------------------------------------ events

-- Names of the codes of a set that rules can see, sorted; and, for generic codes, of the system calls in it.
local function event_names(events)
  local C, set = core.C, {}
  local generic = false
  for code = 0, C.event_count() - 1 do
    if C.event_is_seen(code) and (events.codes == lower.ALL or events.codes[code]) then
      generic = generic or C.event_is_generic(code)
      set[not C.event_is_generic(code) and core.cstr(C.event_info(code).name) or ""] = true
    end
  end
  local syscalls = lower.syscalls(events)
  for sc = 1, generic and C.syscall_count() - 1 or 0 do
    if C.event_is_generic(C.syscall_event(sc)) and (syscalls == lower.ALL or syscalls[sc]) then
      set[core.cstr(C.syscall_name(sc))] = true
    end
  end
  set[""] = nil
  return sorted_keys(set)
end

-- nil: the part says nothing about events.
local function events_text(events)
  if events.codes == lower.ALL and lower.syscalls(events) == lower.ALL then
    return nil
  end
  local names = event_names(events)
  if #names == 0 then
    return "no event"
  elseif #names > MANY then
    return ("%d event types"):format(#names)
  end
  return table.concat(names, " ")
end

-- ------------------------------------------------------------------ trees

local function beside(left, events)
  if not events then
    return left
  end
  return left .. (" "):rep(math.max(WIDTH - #left, 1)) .. " -> " .. events
end

local function clean(text)
  return (text:gsub("%c", "?"))
end

local function write(tree, depth, out)
  local pad = ("  "):rep(depth)
  if tree.kind == "leaf" then
    local text = ("%s%sleaf %d (%s) %s"):format(pad, tree.neg and "not " or "", tree.id, scope_name(tree.scope),
      clean(spell.check_text(tree.check)))
    out[#out + 1] = beside(text, events_text(lower.events(tree)))
    return
  end
  out[#out + 1] = beside(pad .. tree.kind, events_text(lower.events(tree)))
  for _, child in ipairs(tree) do
    write(child, depth + 1, out)
  end
end

function M.tree(rule)
  local out = {
    ("rule '%s'"):format(clean(rule.name)),
    ("  at %s:%d:%d, %s, %s"):format(clean(rule.file), rule.line, rule.column, rule.priority_name,
      rule.enabled and "enabled" or "not enabled"),
    ("  events: %s"):format(events_text(rule.events) or "all"),
  }
  write(rule.tree, 1, out)
  return table.concat(out, "\n") .. "\n"
end

function M.condition(tree, events)
  local out = {}
  write(tree, 1, out)
  return table.concat(out, "\n") .. "\n", events_text(events) or "all"
end

return M
