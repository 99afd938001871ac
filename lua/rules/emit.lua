-- SPDX-License-Identifier: Apache-2.0
-- Trees in negation normal form -> Lua source -> functions that LuaJIT compiles well.
--
--   local prog = emit.compile(entries, opts)
--     entries   { { tree, events, hit = int32 }, ... } in order of importance; `hit` is what a match writes
--     opts      first = true: stop at the first match; dispatch = false: no look at the event's code; gate_hits: see below;
--               holds = function(entry) -> predicate: to be called instead of generated code, with gate_hits only
--     prog      match(evt) -> number of hits; hits = int32_t[?]; source() -> all generated text; text_of(i) = that of entry i
--
-- Shape: one function per entry, an expression over C.leaf(e, id); one group function per up to MAX_UPS entries that tries
-- them in order; one handler per set of entries that some event code has; one binary if-tree from codes (for generic
-- events: from syscalls) to handlers. What an event's code decides (evt.type and its like) is not asked again behind that
-- tree: such entries have variants. Nothing but numbers is ever put into the source.
--
-- With the gate (opts.gate_hits: what ruleset_gate_hits() gave; entries have their `number`) there is no tree and no group: C
-- knows which entries the event has got past it with, and only their predicates are called. The JIT compiler stays away from
-- this: calls of ever other functions from one place make traces without end, and only events that alert come here.
--
-- LuaJIT's limits (60 upvalues and 200 locals per function, about 200 levels of parentheses, jumps of 32k instructions)
-- are met by construction: whatever has too many leaves, levels or callees is cut into functions of its own.
-- The event must be one the ruleset asked for: codes that rules cannot see are not told apart from their neighbours.
local core = require "core"
local ffi = core.ffi
local lower = require "rules.lower"

local M = {}

local MAX_LEAVES = 1000		-- of one function, and about one chunk
local MAX_UPS = 45		-- functions that one function calls
local MAX_LEVELS = 60		-- of parentheses in one expression
local MAX_LOCALS = 150		-- of one chunk
local MAX_FUNCTIONS = 120	-- of one chunk

-- ------------------------------------------------------------------ functions and chunks
-- Functions are numbers; F[n] holds them at run time. Each is text with its callees; chunks are made of them in order.

local function new_unit()
  return { functions = {}, n = 0 }
end

-- ups: array of function numbers that the text calls as f<number>; leaves: how many leaf calls it has
local function add_function(unit, text, ups, leaves)
  unit.n = unit.n + 1
  unit.functions[unit.n] = { text = text, ups = ups, leaves = leaves or 0 }
  return unit.n
end

local HEAD = "local C, F, H = ...\n"

local function chunk_texts(unit)
  local chunks, lines, declared = {}, { HEAD }, {}
  local leaves, locals, functions = 0, 0, 0
  local function flush()
    if functions > 0 then
      chunks[#chunks + 1] = table.concat(lines)
    end
    lines, declared, leaves, locals, functions = { HEAD }, {}, 0, 0, 0
  end
  for number, f in ipairs(unit.functions) do
    if leaves + f.leaves > MAX_LEAVES or locals + #f.ups > MAX_LOCALS or functions >= MAX_FUNCTIONS then
      flush()
    end
    for _, up in ipairs(f.ups) do
      if not declared[up] then
        declared[up] = true
        locals = locals + 1
        lines[#lines + 1] = ("local f%d = F[%d]\n"):format(up, up)
      end
    end
    lines[#lines + 1] = ("F[%d] = %s\n"):format(number, f.text)
    leaves, functions = leaves + f.leaves, functions + 1
  end
  flush()
  return chunks
end

local function load_unit(unit, hits)
  local F = {}
  local chunks = chunk_texts(unit)
  for i, text in ipairs(chunks) do
    local chunk, err = loadstring(text, ("=rules chunk %d"):format(i))
    if not chunk then
      error("generated code does not compile: " .. err)
    end
    chunk(core.C, F, hits)
  end
  return F, table.concat(chunks, "\n")
end

-- ------------------------------------------------------------------ expressions
-- A part: { text, leaves, levels, ups }. Its text binds at least as tightly as "and".

local function call_part(number)
  return { text = ("f%d(e)"):format(number), leaves = 0, levels = 1, ups = { number } }
end

local function leaf_part(node)
  return { text = ("C.leaf(e, %d) %s 0"):format(node.id, node.neg and "==" or "~="), leaves = 1, levels = 1, ups = {} }
end

local function outline(unit, part)
  return call_part(add_function(unit, ("function(e) return %s end"):format(part.text), part.ups, part.leaves))
end

local function join(kind, parts)
  if #parts == 1 then
    return parts[1]
  end
  local texts, ups, leaves, levels = {}, {}, 0, 0
  for i, part in ipairs(parts) do
    texts[i] = part.text
    leaves, levels = leaves + part.leaves, math.max(levels, part.levels)
    for _, up in ipairs(part.ups) do
      ups[#ups + 1] = up
    end
  end
  return { text = "(" .. table.concat(texts, " " .. kind .. " ") .. ")", leaves = leaves, levels = levels + 1, ups = ups }
end

-- Joins parts in order; runs of them that are too much for one function become functions first.
local function pack(unit, kind, parts)
  while true do
    local packed, run, leaves, ups = {}, {}, 0, 0
    local function flush()
      packed[#packed + 1] = run
      run, leaves, ups = {}, 0, 0
    end
    for _, part in ipairs(parts) do
      if #run > 0 and (leaves + part.leaves > MAX_LEAVES or ups + #part.ups > MAX_UPS) then
        flush()
      end
      run[#run + 1] = part
      leaves, ups = leaves + part.leaves, ups + #part.ups
    end
    flush()
    if #packed == 1 then
      return join(kind, packed[1])
    end
    parts = {}
    for i, some in ipairs(packed) do
      parts[i] = outline(unit, join(kind, some))
    end
  end
end

local function part_of(unit, node)
  if node.kind == "leaf" then
    return leaf_part(node)
  end
  local parts = {}
  for i, child in ipairs(node) do
    local part = part_of(unit, child)
    if part.levels > MAX_LEVELS then
      part = outline(unit, part)
    end
    parts[i] = part
  end
  return pack(unit, node.kind, parts)
end

local function predicate(unit, tree)
  return outline(unit, part_of(unit, tree)).ups[1]
end

-- ------------------------------------------------------------------ groups and handlers

-- Text fragments of the two ways to match. %d: function, hit
local FIRST = {
  group = "function(e) %s return 0 end", try = "if f%d(e) then H[0] = %d return 1 end",
  chain = "function(e) %s return 0 end", link = "if f%d(e) ~= 0 then return 1 end",
  call = "return f%d(e)", none = "return 0", enter = "f%d(e, h.code, h.sc)",
}
local ALL = {
  group = "function(e, n) %s return n end", try = "if f%d(e) then H[n] = %d n = n + 1 end",
  chain = "function(e, n) %s return n end", link = "n = f%d(e, n)",
  call = "return f%d(e, 0)", none = "return 0", enter = "f%d(e, h.code, h.sc)",
}

local function slices(list, size)
  local out = {}
  for i = 1, #list, size do
    out[#out + 1] = { unpack(list, i, math.min(i + size - 1, #list)) }
  end
  return out
end

-- A function that runs functions one after the other; more than one can hold: in several levels.
local function chain(unit, style, numbers)
  while #numbers > 1 do
    local above = {}
    for _, some in ipairs(slices(numbers, MAX_UPS)) do
      local lines = {}
      for i, number in ipairs(some) do
        lines[i] = style.link:format(number)
      end
      above[#above + 1] = add_function(unit, style.chain:format(table.concat(lines, " ")), some)
    end
    numbers = above
  end
  return numbers[1]
end

-- The handler of a list of entries: { number of the predicate, hit }.
local function handler(unit, style, entries)
  local groups = {}
  for _, some in ipairs(slices(entries, MAX_UPS)) do
    local lines, ups = {}, {}
    for i, entry in ipairs(some) do
      lines[i] = style.try:format(entry.predicate, entry.hit)
      ups[i] = entry.predicate
    end
    groups[#groups + 1] = add_function(unit, style.group:format(table.concat(lines, " ")), ups)
  end
  return chain(unit, style, groups)
end

-- Handlers are shared by all codes that have the same entries.
local function handlers(unit, style)
  local known = {}
  return function(entries)
    if #entries == 0 then
      return 0
    end
    local ids = {}
    for i, entry in ipairs(entries) do
      ids[i] = entry.predicate
    end
    local key = table.concat(ids, ",")
    known[key] = known[key] or handler(unit, style, entries)
    return known[key]
  end
end

-- ------------------------------------------------------------------ if-trees
-- Ranges: { { from, text, ups }, ... }; a range reaches up to the next one's `from`.

local function tree_text(ranges, i, j, var)
  if i == j then
    return ranges[i].text
  end
  local mid = math.floor((i + j) / 2)
  return ("if %s < %d then %s else %s end"):format(
    var, ranges[mid + 1].from, tree_text(ranges, i, mid, var), tree_text(ranges, mid + 1, j, var))
end

local function distinct_ups(ranges, i, j)
  local set, list = {}, {}
  for k = i, j do
    for _, up in ipairs(ranges[k].ups) do
      if not set[up] then
        set[up] = true
        list[#list + 1] = up
      end
    end
  end
  return list
end

-- A function(e, c, s) that chooses a range by `var`.
local function if_tree(unit, ranges, i, j, var)
  local ups = distinct_ups(ranges, i, j)
  if #ups <= MAX_UPS then
    return add_function(unit, ("function(e, c, s) %s end"):format(tree_text(ranges, i, j, var)), ups)
  end
  local mid = math.floor((i + j) / 2)
  local a, b = if_tree(unit, ranges, i, mid, var), if_tree(unit, ranges, mid + 1, j, var)
  local text = ("function(e, c, s) if %s < %d then return f%d(e, c, s) else return f%d(e, c, s) end end"):format(
    var, ranges[mid + 1].from, a, b)
  return add_function(unit, text, { a, b })
end

-- Ranges over 0 .. n-1 of equal targets. target(i) -> key, text, ups; nil: it does not matter
local function ranges_of(n, target)
  local ranges, last = {}, nil
  for i = 0, n - 1 do
    local key, text, ups = target(i)
    if key and key ~= last then
      ranges[#ranges + 1] = { from = #ranges == 0 and 0 or i, text = text, ups = ups }
      last = key
    end
  end
  if #ranges == 0 then
    ranges[1] = { from = 0, text = "return 0", ups = {} }
  end
  return ranges
end

-- ------------------------------------------------------------------ dispatch

-- What is left of an entry when the code is known: an entry of its own, shared by all codes that answer its deciding
-- literals alike; false: it cannot match.
local function new_variant(unit, entry, code)
  local tree = lower.specialise(entry.tree, code)
  if not tree then
    return false
  elseif tree == true then
    return { predicate = add_function(unit, "function(e) return true end", {}), hit = entry.hit, events = entry.events }
  end
  return { predicate = predicate(unit, tree), hit = entry.hit, events = entry.events }
end

local function variant(unit, entry, code)
  local key = lower.answers(entry.deciders, code)
  if not key:find("[01]") then
    return entry
  elseif entry.variants[key] == nil then
    entry.variants[key] = new_variant(unit, entry, code)
  end
  return entry.variants[key]
end

local function variants(unit, entries, code)
  local out = {}
  for _, entry in ipairs(entries) do
    out[#out + 1] = variant(unit, entry, code) or nil
  end
  return out
end

local function entries_for(entries, wants)
  local out = {}
  for _, entry in ipairs(entries) do
    if wants(entry.events) then
      out[#out + 1] = entry
    end
  end
  return out
end

local function call_text(style, number)
  if number == 0 then
    return "0", style.none, {}
  end
  return tostring(number), style.call:format(number), { number }
end

-- A generic code: its entries again by syscall.
local function by_syscall(unit, style, handler_of, entries)
  local ranges = ranges_of(core.C.syscall_count(), function(sc)
    return call_text(style, handler_of(entries_for(entries, function(events)
      local syscalls = lower.syscalls(events)
      return syscalls == lower.ALL or syscalls[sc]
    end)))
  end)
  return if_tree(unit, ranges, 1, #ranges, "s")
end

local function dispatcher(unit, style, entries)
  local C = core.C
  local handler_of = handlers(unit, style)
  local ranges = ranges_of(C.event_count(), function(code)
    if not C.event_is_seen(code) then
      return nil
    end
    local some = entries_for(entries, function(events)
      return lower.can_match(events, code)
    end)
    if C.event_is_generic(code) and #some > 0 then
      local number = by_syscall(unit, style, handler_of, some)
      return "s" .. number, ("return f%d(e, c, s)"):format(number), { number }
    end
    return call_text(style, handler_of(variants(unit, some, code)))
  end)
  return if_tree(unit, ranges, 1, #ranges, "c")
end

-- ------------------------------------------------------------------ entry

local function text_of(unit, number, out, seen)
  if seen[number] then
    return
  end
  seen[number] = true
  for _, up in ipairs(unit.functions[number].ups) do
    text_of(unit, up, out, seen)
  end
  out[#out + 1] = ("f%d = %s\n"):format(number, unit.functions[number].text)
end

-- Tries the entries that the gate lists, in their own order.
local function gated_match(entries, predicates, hits, opts)
  local list, first = opts.gate_hits, opts.first
  local of_number, sorted = {}, ffi.new("int32_t[?]", #entries + 1)
  for i, entry in ipairs(entries) do
    of_number[entry.number] = i
  end
  local function match(e)
    local n, found = list[0], 0
    for k = 1, n do
      local i, at = of_number[list[k]], k - 1
      while at > 0 and sorted[at - 1] > i do
        sorted[at], at = sorted[at - 1], at - 1
      end
      sorted[at] = i
    end
    for k = 0, n - 1 do
      local i = sorted[k]
      if predicates[i](e) then
        hits[found], found = entries[i].hit, found + 1
        if first and not entries[i].goes_on then
          return found
        end
      end
    end
    return found
  end
  jit.off(match)
  return match
end

-- Of thousands of rules most never get past the gate: the code of each is made when it is asked for.
local function gated_program(entries, opts)
  local hits, made = ffi.new("int32_t[?]", math.max(#entries, 1)), {}
  local function unit_of(i)
    if not made[i] then
      local unit = new_unit()
      made[i] = { unit = unit, number = predicate(unit, entries[i].tree) }
    end
    return made[i].unit, made[i].number
  end
  local function load_predicate(i)
    local unit, number = unit_of(i)
    local F = load_unit(unit, hits)
    for _, f in ipairs(F) do
      jit.off(f)
    end
    return F[number]
  end
  local predicates = setmetatable({}, { __index = function(t, i)
    t[i] = opts.holds and opts.holds(entries[i]) or load_predicate(i)
    return t[i]
  end })
  local function text(i)
    local unit, number = unit_of(i)
    local out = {}
    text_of(unit, number, out, {})
    return table.concat(out)
  end
  return {
    match = gated_match(entries, predicates, hits, opts), hits = hits, text_of = text,
    source = function()
      local out = {}
      for i = 1, #entries do
        out[i] = text(i)
      end
      return table.concat(out)
    end,
  }
end

local function root_of(unit, style, prepared, opts)
  if opts.dispatch == false then
    local number = handlers(unit, style)(prepared)
    local _, text, ups = call_text(style, number)
    return add_function(unit, ("function(e) %s end"):format(text), ups)
  end
  local number = dispatcher(unit, style, prepared)
  local text = ("function(e) local h = C.evt_head(e) return %s end"):format(style.enter:format(number))
  return add_function(unit, text, { number })
end

function M.compile(entries, opts)
  if opts.gate_hits then
    return gated_program(entries, opts)
  end
  local unit, prepared = new_unit(), {}
  for i, entry in ipairs(entries) do
    prepared[i] = { predicate = predicate(unit, entry.tree), hit = entry.hit, events = entry.events, tree = entry.tree,
                    deciders = lower.deciders(entry.tree), variants = {} }
  end
  local hits = ffi.new("int32_t[?]", math.max(#entries, 1))
  local root = root_of(unit, opts.first and FIRST or ALL, prepared, opts)
  local F, source = load_unit(unit, hits)
  return {
    match = F[root], hits = hits, source = function() return source end,
    text_of = function(i)
      local out = {}
      text_of(unit, prepared[i].predicate, out, {})
      return table.concat(out)
    end,
  }
end

return M
