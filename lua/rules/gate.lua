-- SPDX-License-Identifier: Apache-2.0
-- Tells the C gate what each rule cannot do without (c/engine/gate.h).
--
--   gate.install(rs, entries)      entries: { { tree, events }, ... } as emit.compile takes them
--
-- A tree in negation normal form is projected to one scope: literals of other scopes become true. For each event code it is
-- also taken as a whole, without the literals that the code decides. Either is written as a branch program: each literal
-- asks a leaf and says where to go on for 0 and for 1.
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

local function checked(rc)
  if rc < 0 then
    error("the gate refuses a rule: " .. rc)
  end
  return rc
end

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

-- Steps with numbers for labels -> the program's number in C.
local function register(rs, tree)
  local C, steps = core.C, {}
  write(tree, steps, { at = C.GATE_YES }, { at = C.GATE_NO })
  local out = ffi.new("struct gate_step[?]", #steps)
  for i, step in ipairs(steps) do
    out[i - 1].leaf, out[i - 1].next[0], out[i - 1].next[1] = step.leaf, step[0].at, step[1].at
  end
  return checked(C.ruleset_gate_program(rs, out, #steps))
end

-- ------------------------------------------------------------------ registration

-- Numbers of the conditions that are left of an entry when the code is known: program(code) -> number, nil: it cannot match,
-- -1: it can, and there is nothing to ask or nothing that may be asked in advance.
local function conditions(rs, tree, stateful)
  local deciders, known = lower.deciders(tree), {}
  return function(code)
    if stateful then
      return -1
    end
    local key = lower.answers(deciders, code)
    if known[key] == nil then
      local left = lower.specialise(tree, code)
      known[key] = left and (left == true and -1 or register(rs, left))
    end
    return known[key] or nil
  end
end

local function add_type(rs, number, code, events, program)
  local C = core.C
  local syscalls = C.event_is_generic(code) and lower.syscalls(events) or lower.ALL
  if syscalls == lower.ALL then
    checked(C.ruleset_gate_type(rs, number, code, -1, program))
    return
  end
  for sc in pairs(syscalls) do
    checked(C.ruleset_gate_type(rs, number, code, sc, program))
  end
end

local function add_types(rs, number, entry, stateful)
  local C, program_of = core.C, conditions(rs, entry.tree, stateful)
  for _, code in ipairs(lower.codes(entry.events)) do
    local program = C.event_is_seen(code) and program_of(code)
    if program then
      add_type(rs, number, code, entry.events, program)
    end
  end
end

local function add_parts(rs, number, tree)
  local C = core.C
  for _, scope in ipairs{ C.SCOPE_SELF, C.SCOPE_FD } do
    local part = project(tree, scope)
    if part ~= true then
      checked(C.ruleset_gate_part(rs, number, scope, register(rs, part)))
    end
  end
end

-- Rules that remember something from event to event are held back by nothing but the event's type.
function M.install(rs, entries)
  checked(core.C.ruleset_gate(rs, #entries))
  for i, entry in ipairs(entries) do
    local stateful = lower.stateful(entry.tree)
    add_types(rs, i - 1, entry, stateful)
    if not stateful then
      add_parts(rs, i - 1, entry.tree)
    end
  end
end

return M
