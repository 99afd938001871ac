-- SPDX-License-Identifier: Apache-2.0
-- Tells the C gate what each rule cannot do without (c/engine/gate.h).
--
--   gate.install(rs, entries, opts)   entries: { { tree, events }, ... } as emit.compile takes them, at least one; gives each its
--                                     `number`; returns ruleset_gate_hits()
--   gate.holds(rs, program)           a predicate: function(evt) that runs a program of C
--   gate.parts(tree) -> process, descriptor, rest     what a tree cannot do without, of each scope: a tree, or true
--   gate.project(tree, wanted)        the necessary condition of the literals with wanted(scope, literal): a tree, or true
--   gate.steps(tree)                  its program: struct gate_step[?], how many
--
-- A tree in negation normal form is projected to some scopes: literals of others become true. For each event code it is
-- also taken as a whole, without the literals that the code decides. Either is written as a branch program: each literal
-- asks a leaf and says where to go on for 0 and for 1.
local core = require "core"
local lower = require "rules.lower"
local ffi = core.ffi

local M = {}

-- ------------------------------------------------------------------ projection

-- The necessary condition of the literals whose scope is wanted: a tree, or true.
local function project(tree, wanted)
  if tree.kind == "leaf" then
    return wanted(tree.scope, tree) and tree or true
  end
  local out = { kind = tree.kind }
  for _, child in ipairs(tree) do
    local part = project(child, wanted)
    if part ~= true then
      out[#out + 1] = part
    elseif tree.kind == "or" then
      return true
    end
  end
  return #out == 0 or #out == 1 and out[1] or out
end

local function is_self(scope) return scope == core.C.SCOPE_SELF end
local function is_fd(scope) return scope == core.C.SCOPE_FD end
local function is_other(scope) return scope ~= core.C.SCOPE_SELF and scope ~= core.C.SCOPE_FD end

-- ------------------------------------------------------------------ triggers
-- Leaves one of which holds whenever the tree does, all of them found by matchers: nil if there are no such, else a list
-- and how likely it is that one holds.

local triggers

local function triggers_of_and(rs, tree)
  local best, least
  for _, child in ipairs(tree) do
    local list, likely = triggers(rs, child)
    if list and (not best or likely < least) then
      best, least = list, likely
    end
  end
  return best, least
end

local function triggers_of_or(rs, tree)
  local all, sum = {}, 0
  for _, child in ipairs(tree) do
    local list, likely = triggers(rs, child)
    if not list then
      return nil
    end
    for _, leaf in ipairs(list) do
      all[#all + 1] = leaf
    end
    sum = sum + likely
  end
  return all, sum
end

function triggers(rs, tree)
  if tree.kind ~= "leaf" then
    return (tree.kind == "and" and triggers_of_and or triggers_of_or)(rs, tree)
  end
  local likely = tree.neg and 0 or core.C.ruleset_gate_likely(rs, tree.id)
  if likely > 0 then
    return { tree.id }, likely
  end
  return nil
end

-- ------------------------------------------------------------------ programs

local function checked(rc)
  if rc < 0 then
    error("the gate refuses a rule: " .. rc)
  end
  return rc
end

-- Adds the steps of a tree, three numbers each: a leaf, and where to go on for 0 and for 1. From the last step to the first, so
-- that it is known where each leads: yes and no are GATE_YES and GATE_NO, or numbers of steps, counted from the last, which is
-- 1. Returns the number of the tree's first step.
local function write(tree, steps, yes, no)
  if tree.kind == "leaf" then
    local n = #steps
    steps[n + 1], steps[n + 2], steps[n + 3] = tree.id, tree.neg and yes or no, tree.neg and no or yes
    return n / 3 + 1
  end
  local is_or, last = tree.kind == "or", #tree
  local after = write(tree[last], steps, yes, no)
  for i = last - 1, 1, -1 do
    after = write(tree[i], steps, is_or and yes or after, is_or and after or no)
  end
  return after
end

local function int32s(list)
  return ffi.new("int32_t[?]", #list, list), #list
end

local NONE = {}

-- The program of a tree: steps counted from the first.
local function steps_of(tree)
  local C, steps = core.C, {}
  local n = write(tree, steps, C.GATE_YES, C.GATE_NO)
  local out = ffi.new("struct gate_step[?]", n)
  local words = ffi.cast("int32_t *", out)
  for i = 1, n do
    local at, from = 3 * (n - i), 3 * i
    local no, yes = steps[from - 1], steps[from]
    words[at] = steps[from - 2]
    words[at + 1] = no < 0 and no or n - no
    words[at + 2] = yes < 0 and yes or n - yes
  end
  return out, n
end

M.project, M.steps = project, steps_of

-- The number in C of a tree's program, with its triggers.
local function register(rs, tree)
  local steps, n = steps_of(tree)
  return checked(core.C.ruleset_gate_program(rs, steps, n, int32s(triggers(rs, tree) or NONE)))
end

-- ------------------------------------------------------------------ registration

local NOTHING = { event = -1, whole = -1 }

-- What is left to ask of an entry when the code is known.
local function condition(rs, tree, code)
  local left = lower.specialise(tree, code)
  if left == false then
    return false
  elseif left == true then
    return NOTHING
  end
  local event = project(left, is_other)
  return { event = event ~= true and register(rs, event) or -1, whole = register(rs, left) }
end

-- A function of codes: the condition there, false if there is none to fulfil. Nothing may be asked in advance of what remembers.
local function conditions(rs, tree, stateful)
  local deciders, known = lower.deciders(tree), {}
  return function(code)
    if stateful then
      return NOTHING
    end
    local key = lower.answers(deciders, code)
    if known[key] == nil then
      known[key] = condition(rs, tree, code)
    end
    return known[key]
  end
end

local function add_type(rs, number, code, events, asked)
  local C = core.C
  local syscalls = C.event_is_generic(code) and lower.syscalls(events) or lower.ALL
  if syscalls == lower.ALL then
    checked(C.ruleset_gate_type(rs, number, code, -1, asked.event, asked.whole))
    return
  end
  for sc in pairs(syscalls) do
    checked(C.ruleset_gate_type(rs, number, code, sc, asked.event, asked.whole))
  end
end

local function add_types(rs, number, entry, stateful)
  local C, condition_of = core.C, conditions(rs, entry.tree, stateful)
  for _, code in ipairs(lower.codes(entry.events)) do
    local asked = C.event_is_seen(code) and condition_of(code)
    if asked then
      add_type(rs, number, code, entry.events, asked)
    end
  end
end

local function add_parts(rs, number, tree)
  local C = core.C
  for scope, wanted in pairs{ [C.SCOPE_SELF] = is_self, [C.SCOPE_FD] = is_fd } do
    local part = project(tree, wanted)
    if part ~= true then
      checked(C.ruleset_gate_part(rs, number, scope, register(rs, part)))
    end
  end
end

local function add_leaves(tree, list)
  if tree.kind == "leaf" then
    list[#list + 1] = tree.id
  else
    for _, child in ipairs(tree) do
      add_leaves(child, list)
    end
  end
end

-- Entries of the same event codes get numbers side by side: C looks at those numbers only that some entry of a code has.
local function numbered(entries)
  local order, key, names = {}, {}, {}
  for i, entry in ipairs(entries) do
    local codes = lower.codes(entry.events)           -- the same table for the same codes
    names[codes] = names[codes] or table.concat(codes, ",")
    order[i], key[entry] = entry, ("%s %06d"):format(names[codes], i)
  end
  table.sort(order, function(a, b) return key[a] < key[b] end)
  return order
end

-- Rules that remember something from event to event are held back by nothing but the event's type. Leaves the number that
-- C knows an entry by in entry.number; with opts.programs that of its whole tree in entry.program.
function M.install(rs, entries, opts)
  local C, leaves = core.C, {}
  checked(C.ruleset_gate(rs, #entries))
  for _, entry in ipairs(entries) do
    add_leaves(entry.tree, leaves)
  end
  checked(C.ruleset_gate_leaves(rs, int32s(leaves)))
  for i, entry in ipairs(numbered(entries)) do
    local stateful = lower.stateful(entry.tree)
    entry.number = i - 1
    entry.program = opts and opts.programs and register(rs, entry.tree) or nil
    add_types(rs, i - 1, entry, stateful)
    if not stateful then
      add_parts(rs, i - 1, entry.tree)
    end
  end
  checked(C.ruleset_gate_ready(rs))
  return C.ruleset_gate_hits(rs)
end

function M.parts(tree)
  return project(tree, is_self), project(tree, is_fd), project(tree, is_other)
end

function M.holds(rs, program)
  local C = core.C
  return function(evt)
    return C.ruleset_gate_holds(rs, evt, program) == 1
  end
end

return M
