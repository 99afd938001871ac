-- SPDX-License-Identifier: Apache-2.0
-- A condition as c/engine/past_pass.c asks it of a capture that is remembered: struct past_query.
--
--   query.new{ ruleset =, tree =, events = }         what rules/lower.lua made of it; tree nil: every event of the types
--     .events nil       every event that rules can see
--     .only             { words =, n = } uint32_t words: a set of numbers of events
--     .output, .leaves  (array) what is read of, or asked about, the events that are visited
--     .visit, .tables, .remembers, .tally            as in the struct
--   Returns a struct past_query; keep what it returns second as long as the query is used.
--
-- What an event's type decides is decided here: for types that decide it alike there is one variant, with what is left to ask.
-- Of that the part that only the thread (and those around it) answers, the one that only the descriptor does, and what takes both
-- are asked once for each; if they say all, nothing is asked of single events at all.
local core = require "core"
local gate = require "rules.gate"
local lower = require "rules.lower"
local ffi = core.ffi

local M = {}

local MAX_VARIANTS = 255

-- Do all literals come from such a part?
local function pure(tree, wanted)
  if tree.kind == "leaf" then
    return wanted(nil, tree)
  end
  for _, child in ipairs(tree) do
    if not pure(child, wanted) then
      return false
    end
  end
  return true
end

-- wanted() for project() and pure(): literals that the thread, the descriptor, either or both together answer.
local function parts_of(rs)
  local C = core.C
  local function part(literal)
    literal.part = literal.part or tonumber(C.leaf_part(rs, literal.id))
    return literal.part
  end
  return {
    process = function(_, literal) return part(literal) == C.PAST_PROCESS end,
    descriptor = function(_, literal) return part(literal) == C.PAST_DESCRIPTOR end,
    both = function(_, literal) return part(literal) ~= C.PAST_WHOLE end,
  }
end

-- Is the tree the "and" of its projections to thread and descriptor?
local function splits(tree, parts)
  if pure(tree, parts.process) or pure(tree, parts.descriptor) then
    return true
  elseif tree.kind ~= "and" then
    return false
  end
  for _, child in ipairs(tree) do
    if not pure(child, parts.process) and not pure(child, parts.descriptor) then
      return false
    end
  end
  return true
end

local function add_program(anchors, variant, part, tree)
  if tree ~= true then
    local steps, n = gate.steps(tree)
    anchors[#anchors + 1] = steps
    variant.steps[part], variant.n[part] = steps, n
  end
end

local function fill_variant(rs, anchors, variant, tree, whole_only)
  local C = core.C
  if tree == true then
    return
  end
  add_program(anchors, variant, C.PAST_WHOLE, tree)
  if whole_only then
    return
  end
  local parts = parts_of(rs)
  local process, descriptor = gate.project(tree, parts.process), gate.project(tree, parts.descriptor)
  local both = gate.project(tree, parts.both)
  add_program(anchors, variant, C.PAST_PROCESS, process)
  add_program(anchors, variant, C.PAST_DESCRIPTOR, descriptor)
  -- what the two say one after the other need not be asked of them together
  local split = both ~= true and splits(both, parts)
  if not split then
    add_program(anchors, variant, C.PAST_BOTH, both)
  end
  variant.exact = pure(tree, parts.both)
end

-- What decides a literal besides the names of events: that no event of the code has what it compares.
local function lacking(rs)
  local C = core.C
  local function may(literal)
    return C.leaf_may_lack(rs, literal.id)
  end
  local function decided(literal, code)
    local known = lower.decided(literal, code)
    if known == nil and C.leaf_lacks(rs, literal.id, code) then
      return literal.neg
    end
    return known
  end
  return may, decided
end

-- Numbers variants by what is left of the tree: number(code) -> 1.., or 0: it cannot hold.
local function numbering(spec, trees)
  if not spec.tree then
    trees[1] = true
    return function() return 1 end
  end
  local may, decided = lacking(spec.ruleset)
  local deciders, known = lower.deciders(spec.tree, may), {}
  return function(code)
    local key = lower.answers(deciders, code, decided)
    if not known[key] then
      local left = lower.specialise(spec.tree, code, decided)
      if spec.remembers then
        left = spec.tree
      elseif left and #trees == MAX_VARIANTS - 1 then
        left, key = spec.tree, "all"
      end
      if left and not known[key] then
        trees[#trees + 1] = left
      end
      known[key] = known[key] or left and #trees or 0
    end
    return known[key]
  end
end

local function set_types(types, spec, number_of)
  local C, events = core.C, spec.events
  for code = 0, C.event_count() - 1 do
    local number = C.event_is_seen(code) and (not events or lower.can_match(events, code)) and number_of(code) or 0
    if number > 0 and not C.event_is_generic(code) then
      types[C.past_type(code, 0)] = number
    elseif number > 0 then
      local syscalls = events and lower.syscalls(events) or lower.ALL
      for sc = 0, C.syscall_count() - 1 do
        if syscalls == lower.ALL or syscalls[sc] then
          types[C.past_type(code, sc)] = number
        end
      end
      if not events then
        types[C.past_type(code, C.syscall_count())] = number
      end
    end
  end
end

function M.new(spec)
  local C, anchors, trees = core.C, {}, {}
  local types = ffi.new("uint8_t[?]", C.past_types())
  set_types(types, spec, numbering(spec, trees))
  local variants = ffi.new("struct past_variant[?]", math.max(#trees, 1))
  for i, tree in ipairs(trees) do
    fill_variant(spec.ruleset, anchors, variants[i - 1], tree, spec.remembers)
  end
  local leaves = ffi.new("int32_t[?]", math.max(#(spec.leaves or {}), 1), spec.leaves or {})
  local query = ffi.new("struct past_query", {
    rules = spec.ruleset, variants = variants, nvariants = #trees, types = types, output = spec.output or -1,
    leaves = leaves, nleaves = #(spec.leaves or {}), visit = spec.visit or false, tables = spec.tables or false,
    remembers = spec.remembers or false, tally = spec.tally,
    only = spec.only and spec.only.words, only_words = spec.only and spec.only.n or 0,
  })
  anchors[#anchors + 1] = { types, variants, leaves, spec }
  return query, anchors
end

return M
