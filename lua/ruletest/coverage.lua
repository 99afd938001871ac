-- SPDX-License-Identifier: Apache-2.0
-- What tests have seen of rules: which rules, macros, exceptions and single comparisons ("leaves") were ever true, and which
-- were ever false.
--
--   local cover = coverage.new()
--   local walker = cover:walker(group)           of run.group()
--   walker(evt, head) -> { index of a rule, ... } that hold      for each event of the tests
--   cover:summary() -> { rules = { both, all }, macros = .., exceptions = .., leaves = .. }
--   cover:parts() -> { { kind, name, yes, no, leaves = { both, all } }, ... }       events for which they held, and not
--   cover:open_ends() -> { { kind, name, text, file, line, column, missing = "never true" | ... }, ... } in order of the files
--
-- Short circuits hide leaves: so here every leaf of a rule is asked, about every event of the rule's types, by walking the
-- condition as it was written. Leaves that only tell the event's type apart are true for all of those; they are asked about
-- other events as well. A leaf is one place in a file: that of a macro is one leaf, whoever uses the macro.
local core = require("core")
local lower = require("rules.lower")
local rope = require("rules.rope")
local spell = require("rules.spell")

local M = {}

local Cover = {}
Cover.__index = Cover

function M.new()
  return setmetatable({ items = {}, by_key = {} }, Cover)
end

-- ------------------------------------------------------------------ items

-- One thing that can be true and false. place: { file, offset } or { file, line, column }
local function item(cover, kind, name, text, place)
  local key = ("%s\0%s\0%s\0%d"):format(kind, name, place.file, place.offset or place.line)      -- not its text: lists differ
  local known = cover.by_key[key]
  if not known then
    known = { kind = kind, name = name, text = text, file = place.file, line = place.line, column = place.column,
              offset = place.offset or 0, yes = 0, no = 0, rank = #cover.items + 1 }
    cover.by_key[key] = known
    cover.items[known.rank] = known
  end
  return known
end

local function place_of(group, check)
  local place = rope.place(check.rope, check.from or check.left.from, check.stop or check.op_stop)
  place.line, place.column = group.result.state.diag:position(place.file, place.offset)
  return place
end

-- ------------------------------------------------------------------ trees
-- Nodes of our own: { kind = "leaf", id, decides } | { kind = "and" | "or" | "not", [1..n] }; any may have `items`, whose truth is
-- its own. decides: the event's type alone says whether the leaf holds.

local build

local function leaf_node(cover, group, ast, tree, owner)
  local place = place_of(group, ast)
  local text = spell.check_text(ast)
  return { kind = "leaf", id = tree.id, decides = owner.deciders[tree.id] or false,
           items = { item(cover, "leaf", owner.name, text, place) } }
end

local function macro_node(cover, group, ast, tree, owner)
  local known = owner.macros[ast.macro]
  if known and known.tree == tree then return known.node end
  local name = ast.macro.name_node
  local inner = build(cover, group, ast.macro.ast, tree, { name = "macro " .. ast.macro.name, deciders = owner.deciders,
                                                           macros = owner.macros })
  local line, column = group.result.state.diag:position(name.file, name.offset)
  local own = item(cover, "macro", ast.macro.name, "", { file = name.file, offset = name.offset, line = line, column = column })
  local node = { kind = "and", inner, items = { own } }
  owner.macros[ast.macro] = { tree = tree, node = node }
  return node
end

build = function(cover, group, ast, tree, owner)
  if ast.kind == "check" then return leaf_node(cover, group, ast, tree, owner) end
  if ast.kind == "macro" then return macro_node(cover, group, ast, tree, owner) end
  local node = { kind = ast.kind }
  for i, child in ipairs(ast) do node[i] = build(cover, group, child, tree[i], owner) end
  return node
end

-- Exceptions stand at the end of a rule's condition, each as "and not (...)".
local function mark_exceptions(cover, group, rule, node)
  local with_values = {}
  for _, ex in ipairs(rule.definition.exceptions) do
    if #ex.values > 0 then with_values[#with_values + 1] = ex end
  end
  for i, ex in ipairs(with_values) do
    local child = node[#node - #with_values + i]
    local line, column = group.result.state.diag:position(ex.node.file, ex.node.offset)
    local inside = child and child.kind == "not" and child[1]
    if inside then
      inside.items = inside.items or {}
      table.insert(inside.items, item(cover, "exception", rule.name .. ": " .. ex.name, "",
        { file = ex.node.file, offset = ex.node.offset, line = line, column = column }))
    end
  end
end

-- Ids of the leaves that an event's type decides.
local function decider_ids(rule)
  local out = {}
  for _, literal in ipairs(lower.deciders(rule.tree)) do out[literal.id] = true end
  return out
end

local function rule_tree(cover, group, rule, index, macros)
  local node = build(cover, group, rule.ast, rule.written, { name = "rule " .. rule.name, deciders = decider_ids(rule), macros = macros })
  mark_exceptions(cover, group, rule, node)
  local own = item(cover, "rule", rule.name, "", { file = rule.file, line = rule.line, column = rule.column })
  return { node = node, item = own, rule = rule, index = index, stateful = lower.stateful(rule.tree) }
end

-- ------------------------------------------------------------------ walking

local function note(node, holds)
  for _, own in ipairs(node.items or {}) do
    if holds then own.yes = own.yes + 1 else own.no = own.no + 1 end
  end
end

-- Answers of leaves for the event at hand: each is asked once.
local Answers = {}
Answers.__index = Answers

function Answers:get(id)
  if self.stamp[id] ~= self.now then
    self.stamp[id], self.value[id] = self.now, core.C.leaf(self.evt, id) ~= 0
  end
  return self.value[id]
end

local holds

local function holds_all(node, answers, stop)
  local result = not stop
  for i = 1, #node do
    if holds(node[i], answers) == stop then result = stop end
  end
  return result
end

holds = function(node, answers)
  local result
  if node.kind == "leaf" then
    result = answers:get(node.id)
  elseif node.kind == "not" then
    result = not holds(node[1], answers)
  else
    result = holds_all(node, answers, node.kind == "or")
  end
  if node.items then note(node, result) end
  return result
end

-- What the event's type alone says of a tree: true, false, or nil if that depends on more. Only that is noted.
local function by_type(node, answers)
  local result
  if node.kind == "leaf" then
    if node.decides then result = answers:get(node.id) end
  elseif node.kind == "not" then
    result = by_type(node[1], answers)
    if result ~= nil then result = not result end
  else
    local stop = node.kind == "or"
    result = not stop
    for i = 1, #node do
      local part = by_type(node[i], answers)
      if part == stop then
        result = stop
      elseif part == nil and result ~= stop then
        result = nil
      end
    end
  end
  if node.items and result ~= nil then note(node, result) end
  return result
end

local function fits(rule, head)
  local C = core.C
  if not lower.can_match(rule.events, head.code) then return false end
  if not C.event_is_generic(head.code) then return true end
  local syscalls = lower.syscalls(rule.events)
  return syscalls == lower.ALL or syscalls[head.sc] or false
end

-- By code and system call: trees of rules that can match such events, and of those that cannot.
local function chooser(trees)
  local known = {}
  return function(head)
    local key = head.code * 65536 + head.sc
    if not known[key] then
      local fitting, others = {}, {}
      for _, tree in ipairs(trees) do
        local list = fits(tree.rule, head) and fitting or others
        list[#list + 1] = tree
      end
      known[key] = { fitting, others }
      return fitting, others
    end
    return known[key][1], nil       -- others learn nothing more from one more event of the kind
  end
end

function Cover:walker(group)
  local trees, macros = {}, {}
  for i, rule in ipairs(group.result.rules) do trees[i] = rule_tree(self, group, rule, i, macros) end
  local choose = chooser(trees)
  local answers = setmetatable({ stamp = {}, value = {}, now = 0 }, Answers)
  group.stateful = {}
  for i, tree in ipairs(trees) do group.stateful[i] = tree.stateful end
  return function(evt, head)
    local fitting, others = choose(head)
    local out = {}
    answers.evt, answers.now = evt, answers.now + 1
    for _, tree in ipairs(fitting) do
      local result = holds(tree.node, answers)
      if result then tree.item.yes = tree.item.yes + 1 else tree.item.no = tree.item.no + 1 end
      if result then out[#out + 1] = tree.index end
    end
    for _, tree in ipairs(others or {}) do by_type(tree.node, answers) end
    return out
  end
end

-- ------------------------------------------------------------------ telling

local function both(own)
  return own.yes > 0 and own.no > 0
end

local KINDS = { rule = "rules", macro = "macros", exception = "exceptions", leaf = "leaves" }

function Cover:summary()
  local out = {}
  for _, name in pairs(KINDS) do out[name] = { both = 0, all = 0, yes = 0, no = 0 } end
  for _, own in ipairs(self.items) do
    local sum = out[KINDS[own.kind]]
    sum.all = sum.all + 1
    sum.both = sum.both + (both(own) and 1 or 0)
    sum.yes, sum.no = sum.yes + (own.yes > 0 and 1 or 0), sum.no + (own.no > 0 and 1 or 0)
  end
  return out
end

-- { { kind, name, yes, no (how many events), leaves = { both, all } }, ... } of rules, macros and exceptions
function Cover:parts()
  local out, by_owner = {}, {}
  for _, own in ipairs(self.items) do
    if own.kind == "leaf" then
      local sum = by_owner[own.name] or { both = 0, all = 0 }
      by_owner[own.name] = sum
      sum.both, sum.all = sum.both + (both(own) and 1 or 0), sum.all + 1
    end
  end
  for _, kind in ipairs{ "rule", "macro", "exception" } do
    for _, own in ipairs(self.items) do
      if own.kind == kind then
        out[#out + 1] = { kind = kind, name = own.name, yes = own.yes, no = own.no, leaves = by_owner[kind .. " " .. own.name] }
      end
    end
  end
  return out
end

local function missing(own)
  if own.yes == 0 and own.no == 0 then return "never asked" end
  return own.yes == 0 and "never true" or "never false"
end

function Cover:open_ends()
  local out = {}
  for _, own in ipairs(self.items) do
    if not both(own) then
      out[#out + 1] = { kind = own.kind, name = own.name, text = own.text, file = own.file, line = own.line, column = own.column,
                        missing = missing(own), rank = own.rank }
    end
  end
  table.sort(out, function(a, b)
    if a.file ~= b.file then return a.file < b.file end
    if a.line ~= b.line then return a.line < b.line end
    if a.column ~= b.column then return a.column < b.column end
    return a.rank < b.rank
  end)
  return out
end

-- Percentage of what was seen both ways; 100 if there is nothing.
function M.percent(sum)
  return sum.all == 0 and 100 or 100 * sum.both / sum.all
end

return M
