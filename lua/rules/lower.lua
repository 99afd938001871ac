-- SPDX-License-Identifier: Apache-2.0
-- Trees over leaves -> negation normal form, and the set of events that can make a tree true.
--
--   lower.nnf(tree) -> { kind = "and" | "or", [1..n] } | { kind = "leaf", id, scope, neg = bool, check }
--     "not" is gone; order and short circuits are as written. Each leaf says what its answer depends on (SCOPE_*), so a
--     gate can project the tree: literals of other scopes become true. Trees that share parts (macros) share them still.
--   lower.events(tree) -> events: { codes = all | set of event codes, syscalls = all | set of syscall codes }
--   lower.can_match(events, code) -> bool                      of an event code that rules can see
--   lower.syscalls(events) -> lower.ALL | set                  of a generic event code
--   lower.codes(events) -> { code, ... } for which can_match holds, in order; not to be changed
--   lower.count(events) -> how many codes
--   lower.deciders(tree) -> literals whose answer may lie in the event's code
--   lower.decided(literal, code) -> true | false | nil
--   lower.answers(deciders, code) -> text                       the same for codes that decide them alike
--   lower.specialise(tree, code) -> tree | true | false         what is left to ask when the code is known
--     All three take, as their last, how somebody else decides: may(literal) and decided(literal, code).
--
-- A condition can only hold for events of its set:
--   evt.type = != in names     the codes of those names; for names that only syscalls have, the generic codes
--   evt.type exists            all                        (negated: none)
--   evt.num against 0 or 1     all or none: it is never 0
--   any other leaf             all, negated or not
--   and, or                    intersection, union; "not" has reached the leaves, where it complements the first three
-- Async events belong to every set.
-- Codes complement as wholes, as upstream does it: "evt.type != X" of an X that has no code of its own is never true for
-- generic events, whatever their syscall.
local core = require "core"
local ruleset = require "rules.ruleset"

local M = {}

local ALL = setmetatable({}, { __tostring = function() return "all" end })
M.ALL = ALL

-- ------------------------------------------------------------------ negation normal form

local OPPOSITE = { ["and"] = "or", ["or"] = "and" }

local nnf

local function lowered(tree, neg)
  if tree.kind == "leaf" then
    return { kind = "leaf", id = tree.id, scope = tree.scope, neg = neg, check = tree.check }
  elseif tree.kind == "not" then
    return nnf(tree[1], not neg)
  end
  local kind = neg and OPPOSITE[tree.kind] or tree.kind
  local out = { kind = kind }
  for _, child in ipairs(tree) do
    local part = nnf(child, neg)
    if part.kind == kind then
      for _, grandchild in ipairs(part) do
        out[#out + 1] = grandchild
      end
    else
      out[#out + 1] = part
    end
  end
  return out
end

-- What is shared is lowered once.
nnf = function(tree, neg)
  if not tree.shared then
    return lowered(tree, neg)
  end
  local done = neg and "nnf_not" or "nnf"
  tree[done] = tree[done] or lowered(tree, neg)
  return tree[done]
end

function M.nnf(tree)
  return nnf(tree, false)
end

-- ------------------------------------------------------------------ sets of numbers below a limit

-- Results may be one of the arguments: sets are never changed.
local function intersect(a, b)
  if a == ALL then
    return b
  elseif b == ALL or a == b then
    return a
  end
  local out = {}
  for key in pairs(a) do
    out[key] = b[key]
  end
  return out
end

local function union(a, b)
  if a == ALL or b == ALL then
    return ALL
  elseif a == b or next(a) == nil then
    return b
  end
  local out = {}
  for key in pairs(a) do
    out[key] = true
  end
  for key in pairs(b) do
    out[key] = true
  end
  return out
end

local function complement(a, limit)
  if a == ALL then
    return {}
  elseif next(a) == nil then
    return ALL
  end
  local out = {}
  for i = 0, limit - 1 do
    if not a[i] then
      out[i] = true
    end
  end
  return out
end

-- ------------------------------------------------------------------ names

local names

-- name -> { codes = array, syscalls = array }
local function name_table()
  if names then
    return names
  end
  names = {}
  local function entry(name)
    names[name] = names[name] or { codes = {}, syscalls = {} }
    return names[name]
  end
  for code = 0, core.C.event_count() - 1 do
    if not core.C.event_is_generic(code) then
      local e = entry(core.cstr(core.C.event_info(code).name))
      e.codes[#e.codes + 1] = code
    end
  end
  for sc = 0, core.C.syscall_count() - 1 do
    local name = core.cstr(core.C.syscall_name(sc))
    if name ~= "" then
      local e = entry(name)
      e.syscalls[#e.syscalls + 1] = sc
    end
  end
  return names
end

local function add_generic(codes)
  for code = 0, core.C.event_count() - 1 do
    if core.C.event_is_generic(code) then
      codes[code] = true
    end
  end
end

-- By the values of a check; equal leaves share them.
local events_of = setmetatable({}, { __mode = "k" })

local function events_of_names(values)
  if events_of[values] then
    return events_of[values]
  end
  local codes, syscalls = {}, {}
  for _, value in ipairs(values) do
    local known = name_table()[value.text]
    for _, code in ipairs(known and known.codes or {}) do
      codes[code] = true
    end
    for _, sc in ipairs(known and known.syscalls or {}) do
      syscalls[sc] = true
    end
    if value.text == "" or known and #known.codes == 0 then      -- "": the name of calls that have none
      add_generic(codes)
    end
  end
  events_of[values] = { codes = codes, syscalls = syscalls }
  return events_of[values]
end

-- ------------------------------------------------------------------ leaves

local EVERYTHING = { codes = ALL, syscalls = ALL }
local function nothing()
  return { codes = {}, syscalls = {} }
end

local function negate(events)
  return { codes = complement(events.codes, core.C.event_count()), syscalls = complement(events.syscalls, core.C.syscall_count()) }
end

-- true or false when a comparison of a number that is at least 1 with `text` is decided; nil: it depends
local function ordinal_holds(op, text)
  local C = core.C
  local n = text:match("^%s*%+?%d+$") and tonumber(text)
  local bound = ({ [C.OP_EQ] = 0, [C.OP_NE] = 0, [C.OP_LT] = 1, [C.OP_LE] = 0, [C.OP_GT] = 0, [C.OP_GE] = 1 })[op]
  if not n or not bound or n > bound then
    return nil
  end
  return op == C.OP_NE or op == C.OP_GT or op == C.OP_GE
end

local function ordinal_events(check)
  if not check.values then
    return nil
  end
  local holds
  if check.op == core.C.OP_IN then
    holds = false
    for _, value in ipairs(check.values) do
      if ordinal_holds(core.C.OP_EQ, value.text) ~= false then
        return nil
      end
    end
  elseif #check.values == 1 then
    holds = ordinal_holds(check.op, check.values[1].text)
  end
  if holds ~= nil then
    return holds and EVERYTHING or nothing()
  end
end

-- Events of a leaf that decides them, or nil.
local function deciding_events(check)
  local C, left = core.C, check.left
  if left.kind ~= "field" or left.arg or check.modifier ~= C.MOD_NONE then
    return nil
  elseif ruleset.has_flag(left.name, C.FIELD_ORDINAL) then
    return ordinal_events(check)
  elseif not ruleset.has_flag(left.name, C.FIELD_EVENT_NAME) then
    return nil
  elseif check.op == C.OP_EXISTS then
    return EVERYTHING
  elseif not check.values or not (check.op == C.OP_EQ or check.op == C.OP_NE or check.op == C.OP_IN) then
    return nil
  end
  local events = events_of_names(check.values)
  return check.op == C.OP_NE and negate(events) or events
end

local function leaf_events(leaf)
  if not leaf.events then
    local events = deciding_events(leaf.check)
    leaf.events = not events and EVERYTHING or leaf.neg and negate(events) or events
  end
  return leaf.events
end

-- ------------------------------------------------------------------ trees

local function tree_events(tree)
  if tree.kind == "leaf" then
    return leaf_events(tree)
  end
  local combine = tree.kind == "and" and intersect or union
  local out = tree.kind == "and" and EVERYTHING or nothing()
  for _, child in ipairs(tree) do
    local events = tree_events(child)
    local codes, syscalls = combine(out.codes, events.codes), combine(out.syscalls, events.syscalls)
    if codes ~= out.codes or syscalls ~= out.syscalls then
      out = codes == events.codes and syscalls == events.syscalls and events or { codes = codes, syscalls = syscalls }
    end
  end
  return out
end

-- `tree` in negation normal form.
function M.events(tree)
  return tree_events(tree)
end

function M.can_match(events, code)
  return events.codes == ALL or events.codes[code] or code == core.C.event_async_code() or false
end

local codes_of = setmetatable({}, { __mode = "k" })	-- rules often have the same set

function M.codes(events)
  if codes_of[events.codes] then
    return codes_of[events.codes]
  end
  local out = {}
  codes_of[events.codes] = out
  if events.codes == ALL then
    for code = 0, core.C.event_count() - 1 do
      out[code + 1] = code
    end
    return out
  end
  local async = core.C.event_async_code()
  for code in pairs(events.codes) do
    out[#out + 1] = code
  end
  if not events.codes[async] then
    out[#out + 1] = async
  end
  table.sort(out)
  return out
end

function M.syscalls(events)
  return events.syscalls
end

-- The events of a literal that decides them, or ALL.
local function deciding(leaf)
  leaf.deciding = leaf.deciding or deciding_events(leaf.check) or ALL
  return leaf.deciding
end

-- true or false if a literal is decided by the event's code alone; nil: it depends. Not for generic and async events,
-- whose names lie in the event.
function M.decided(leaf, code)
  local C = core.C
  local left = leaf.check.left
  if C.event_is_generic(code) or code == C.event_async_code() then
    return nil
  elseif ruleset.has_flag(left.name, C.FIELD_SYSCALL_NAME) and not C.event_is_from_syscall(code) then
    return nil
  end
  if deciding(leaf) == ALL then
    return nil
  end
  local codes = leaf.deciding.codes
  return (codes == ALL or codes[code] or false) ~= leaf.neg
end

-- Does it remember something from event to event?
local function stateful(tree)
  if tree.kind == "leaf" then
    return tree.scope == core.C.SCOPE_STATEFUL
  end
  for _, child in ipairs(tree) do
    if stateful(child) then
      return true
    end
  end
  return false
end

M.stateful = stateful

local function specialise(tree, code, decided)
  if tree.kind == "leaf" then
    local known = decided(tree, code)
    if known == nil then
      return tree
    end
    return known
  end
  local stop = tree.kind == "or" -- the value that decides the list
  local out, changed = { kind = tree.kind }, false
  for _, child in ipairs(tree) do
    local special = specialise(child, code, decided)
    changed = changed or special ~= child
    if special == stop then
      return stop
    elseif type(special) == "table" then
      out[#out + 1] = special
    end
  end
  if not changed then
    return tree
  elseif #out == 0 then
    return not stop
  end
  return #out == 1 and out[1] or out
end

-- The tree (in negation normal form) with all literals that the code decides taken out: a tree, true or false. What it
-- has in common with the tree is shared.
function M.specialise(tree, code, decided)
  return specialise(tree, code, decided or M.decided)
end

local function add_deciders(tree, out, may)
  if tree.kind == "leaf" then
    if deciding(tree) ~= ALL or may and may(tree) then
      out[#out + 1] = tree
    end
    return
  end
  for _, child in ipairs(tree) do
    add_deciders(child, out, may)
  end
end

-- The literals that a code can decide. Trees that remember something from event to event have to be asked as a whole: none.
-- may(literal): more of them.
function M.deciders(tree, may)
  local out = {}
  if not stateful(tree) then
    add_deciders(tree, out, may)
  end
  return out
end

-- For a list of deciders.
function M.answers(deciders, code, decided)
  local out = {}
  decided = decided or M.decided
  for i, literal in ipairs(deciders) do
    local known = decided(literal, code)
    out[i] = known == nil and "?" or known and "1" or "0"
  end
  return table.concat(out)
end

function M.count(events)
  if events.codes == ALL then
    return core.C.event_count()
  end
  local n = 0
  for _ in pairs(events.codes) do
    n = n + 1
  end
  return n
end

return M
