-- SPDX-License-Identifier: Apache-2.0
-- Tells the C gate what each rule cannot do without (c/engine/gate.h).
--
--   gate.install(rs, entries)      entries: { { tree, events }, ... } as emit.compile takes them
--
-- A tree in negation normal form is projected to one scope: literals of other scopes become true. What is left is written
-- as a branch program: each literal asks a leaf and says where to go on for 0 and for 1.
local core = require "core"
local lower = require "rules.lower"
local ffi = core.ffi

local M = {}

-- ------------------------------------------------------------------ projection

-- The necessary condition of one scope: a tree, or true.
local function project(tree, scope)
  if tree.kind == "leaf" then
    return tree.scope == scope and tree or true
  end
  local out = { kind = tree.kind }
  for _, child in ipairs(tree) do
    local part = project(child, scope)
    if part ~= true then
      out[#out + 1] = part
    elseif tree.kind == "or" then
      return true
    end
  end
  return #out == 0 or #out == 1 and out[1] or out
end

M.project = project

-- ------------------------------------------------------------------ programs

-- Appends the steps of a tree. yes, no: labels, tables whose `at` is set once it is known.
local function write(tree, steps, yes, no)
  if tree.kind == "leaf" then
    steps[#steps + 1] = { leaf = tree.id, [0] = tree.neg and yes or no, [1] = tree.neg and no or yes }
    return
  end
  for i, child in ipairs(tree) do
    if i == #tree then
      write(child, steps, yes, no)
    else
      local next_child = {}
      write(child, steps, tree.kind == "or" and yes or next_child, tree.kind == "or" and next_child or no)
      next_child.at = #steps
    end
  end
end

-- Steps with numbers for labels, ready for C.
function M.program(tree)
  local C, steps = core.C, {}
  write(tree, steps, { at = C.GATE_YES }, { at = C.GATE_NO })
  local out = ffi.new("struct gate_step[?]", #steps)
  for i, step in ipairs(steps) do
    out[i - 1].leaf, out[i - 1].next[0], out[i - 1].next[1] = step.leaf, step[0].at, step[1].at
  end
  return out, #steps
end

-- ------------------------------------------------------------------ registration

local function checked(rc)
  if rc < 0 then
    error("the gate refuses a rule: " .. rc)
  end
end

local function add_types(rs, number, events)
  local C = core.C
  for code = 0, C.event_count() - 1 do
    if C.event_is_seen(code) and lower.can_match(events, code) then
      local syscalls = C.event_is_generic(code) and lower.syscalls(events) or lower.ALL
      if syscalls == lower.ALL then
        checked(C.ruleset_gate_type(rs, number, code, -1))
      else
        for sc in pairs(syscalls) do
          checked(C.ruleset_gate_type(rs, number, code, sc))
        end
      end
    end
  end
end

local function add_programs(rs, number, tree)
  local C = core.C
  for _, scope in ipairs{ C.SCOPE_SELF, C.SCOPE_FD } do
    local part = project(tree, scope)
    if part ~= true then
      local steps, n = M.program(part)
      checked(C.ruleset_gate_program(rs, number, scope, steps, n))
    end
  end
end

-- Rules that remember something from event to event are held back by nothing but the event's type.
function M.install(rs, entries)
  checked(core.C.ruleset_gate(rs, #entries))
  for i, entry in ipairs(entries) do
    add_types(rs, i - 1, entry.events)
    if not lower.stateful(entry.tree) then
      add_programs(rs, i - 1, entry.tree)
    end
  end
end

return M
