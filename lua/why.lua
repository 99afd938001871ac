-- SPDX-License-Identifier: Apache-2.0
-- Why a condition holds for an event, or does not: its tree with what each comparison found.
--
--   local tree = why.explain(cond, evt, head)          cond: of scan.lua; evt at hand, its engine using cond.ruleset
--   io.write(why.text(tree, { colour = false }))
--
-- tree    { value =, kind =, decides =, ... }; value: does it hold; decides: the part above has its value because of this one
--   kind "and" "or" "not"   [1..n] as written
--   kind "macro"            name, [1]
--   kind "check"            text, leaf (its number), field (left side's text), actual (text of what was found; nil: missing),
--                           other (of a field on the right), remembers (its answer depends on earlier events)
-- The root also has  .match: what a rule with this condition says, .wanted: the event's type can match at all; if it cannot, no
-- rule looks at it, whatever the comparisons say. .num, .type: of the event.
--
--   why.near(tree, evt) -> literal or nil              tree in normal form (rules/lower.lua) that does not hold: the one
--                                                      comparison that would have to answer otherwise for it to hold
--   why.leaf_text(literal)
--   why.deciding(tree) -> { node, ... }                the comparisons that decided
local core = require("core")
local lower = require("rules.lower")
local spell = require("rules.spell")
local ffi = core.ffi

local M = {}

local MAX_SHOWN = 200         -- bytes of a value or comparison on one line

-- ------------------------------------------------------------------ values

local value, room = nil, nil

-- Text of what the leaf compared on one side: text, or nil and whether there is such a side.
local function operand_text(evt, leaf, side)
  local C = core.C
  value, room = value or ffi.new("struct value"), room or ffi.new("char[65536]")
  local r = C.leaf_operand(evt, leaf, side, value)
  if r ~= 1 then return nil, r == 0 end
  return ffi.string(room, math.min(C.value_text(value, room, 65536), 65536)), true
end

-- ------------------------------------------------------------------ trees

-- Leaf numbers of the checks of a tree in normal form: of those that remember something nobody else knows them.
local function leaf_numbers(tree, out)
  if tree.kind == "leaf" then
    out[tree.check] = tree
  else
    for _, child in ipairs(tree) do leaf_numbers(child, out) end
  end
  return out
end

local explain

local function explain_check(ast, evt, numbers)
  local literal = numbers[ast]
  local id = literal.id
  local node = { kind = "check", text = spell.check_text(ast), leaf = id, field = spell.operand_text(ast.left) }
  node.value = core.C.leaf(evt, id) ~= 0
  node.actual = operand_text(evt, id, 0)
  local other, has_other = operand_text(evt, id, 1)
  if has_other then node.other, node.other_missing = other, other == nil end
  node.remembers = literal.scope == core.C.SCOPE_STATEFUL or nil
  return node
end

-- Which parts gave a list its value: of "and" that fails and "or" that holds the first that does so, else all.
local function decide(node, stop)
  for _, child in ipairs(node) do
    if child.value == stop then
      child.decides = true
      return
    end
  end
  for _, child in ipairs(node) do child.decides = true end
end

function explain(ast, evt, numbers)
  if ast.kind == "check" then return explain_check(ast, evt, numbers) end
  if ast.kind == "macro" then
    local inner = explain(ast.macro.ast, evt, numbers)
    inner.decides = true
    return { kind = "macro", name = ast.name, value = inner.value, inner }
  end
  local node = { kind = ast.kind }
  for i, child in ipairs(ast) do node[i] = explain(child, evt, numbers) end
  if ast.kind == "not" then
    node.value, node[1].decides = not node[1].value, true
  else
    local stop = ast.kind == "or"
    decide(node, stop)
    node.value = not stop
    for _, child in ipairs(node) do
      if child.value == stop then node.value = stop end
    end
  end
  return node
end

-- Does a condition with these events look at this one?
function M.wanted(events, head)
  local C = core.C
  if not lower.can_match(events, head.code) then return false end
  if not C.event_is_generic(head.code) then return true end
  local syscalls = lower.syscalls(events)
  return syscalls == lower.ALL or syscalls[head.sc] or false
end

function M.explain(cond, evt, head)
  local tree = explain(cond.ast, evt, leaf_numbers(cond.tree, {}))
  tree.decides = true
  tree.wanted = M.wanted(cond.events, head)
  tree.match = tree.wanted and tree.value
  tree.num = tonumber(head.num)
  tree.type = head.sc ~= 0 and core.cstr(core.C.syscall_name(head.sc)) or core.cstr(core.C.event_info(head.code).name)
  return tree
end

function M.deciding(tree)
  local out = {}
  local function walk(node)
    if not node.decides then return end
    if node.kind == "check" then out[#out + 1] = node end
    for _, child in ipairs(node) do walk(child) end
  end
  walk(tree)
  return out
end

-- ------------------------------------------------------------------ near misses

-- How many comparisons would have to answer otherwise (at most 2 is told apart), and the one if it is one.
local function distance(tree, evt)
  if tree.kind == "leaf" then
    if (core.C.leaf(evt, tree.id) ~= 0) ~= tree.neg then return 0 end
    return 1, tree
  end
  local best, which = tree.kind == "and" and 0 or 2, nil
  for _, child in ipairs(tree) do
    local n, leaf = distance(child, evt)
    if tree.kind == "and" then
      best, which = best + n, leaf or which
      if best > 1 then return 2 end
    elseif n < best then
      best, which = n, leaf
      if n == 0 then return 0 end
    end
  end
  return best, which
end

function M.near(tree, evt)
  local n, leaf = distance(tree, evt)
  return n == 1 and leaf or nil
end

function M.leaf_text(literal)
  return (literal.neg and "not " or "") .. spell.check_text(literal.check)
end

-- ------------------------------------------------------------------ text

local function clean(text)
  text = text:gsub("%c", function(c) return ("\\x%02x"):format(c:byte()) end)
  return #text > MAX_SHOWN and text:sub(1, MAX_SHOWN - 3) .. "..." or text
end

local PLAIN = { yes = "", no = "", dim = "", off = "" }
local COLOUR = { yes = "\27[32m", no = "\27[31m", dim = "\27[2m", off = "\27[0m" }

local function found(node)
  local actual = node.actual == nil and "missing" or ("%s is %s"):format(node.field, spell.quote(clean(node.actual)))
  if node.other then actual = ("%s, against %s"):format(actual, spell.quote(clean(node.other))) end
  if node.other_missing then actual = actual .. ", the other side is missing" end
  if node.remembers then actual = actual .. " (remembers)" end
  return actual
end

local function write(node, depth, decides, paint, out)
  decides = decides and node.decides
  local mark = decides and (node.kind == "check" and "=> " or " > ") or "   "
  local what = node.kind == "check" and clean(node.text) or node.kind == "macro" and "macro " .. node.name or node.kind
  local word = node.value and paint.yes .. "true " .. paint.off or paint.no .. "false" .. paint.off
  local line = ("%s%s %s%s"):format(mark, word, ("  "):rep(depth), what)
  if node.kind == "check" then line = ("%s  %s# %s%s"):format(line, paint.dim, found(node), paint.off) end
  out[#out + 1] = line
  for _, child in ipairs(node) do write(child, depth + 1, decides, paint, out) end
end

-- Lines: "=>" stands before the comparisons that decided, ">" before the parts that they are in.
function M.text(tree, opts)
  local out, paint = {}, opts and opts.colour and COLOUR or PLAIN
  out[1] = ("event %d (%s): %s"):format(tree.num, tree.type, tree.match and "matches"
    or tree.wanted and "does not match" or "no rule with this condition looks at events of this type")
  write(tree, 0, true, paint, out)
  return table.concat(out, "\n") .. "\n"
end

return M
