-- SPDX-License-Identifier: Apache-2.0
-- Lists and macros. Lists are replaced in the text of conditions, before it is parsed, wherever their name stands between
-- delimiters; macros are replaced in the AST, by reference.
--
--   expand.lists(state)                every list gets `flat` (item nodes, lists inside lists dissolved)
--   expand.rope(state, pieces)         pieces joined by a blank
--   expand.substitute(state, rope)     a rope with all lists replaced; used ones are marked
--   expand.macros(state)               every macro gets `ast`, `checks` (their number, macros inside included) and `depth`
--   expand.settle(ast)                 no message will be about the tree any more
--   expand.resolve(state, ast, user)   macro nodes get `macro`; false: some could not (reported)
--                                      user: { ctx, sees = visible up to this index, in_macro }
local context = require "rules.context"
local diag = require "diag"
local exceptions = require "rules.exceptions"
local grammar = require "rules.grammar"
local rope = require "rules.rope"

local M = {}

M.MAX_CHECKS = 50000		-- of one rule, with all its macros
M.MAX_DEPTH = 1200		-- of its tree
local MAX_TEXT = 4 * 1024 * 1024	-- of one condition, lists replaced
local MAX_TEXTS = 16 * 1024 * 1024	-- what lists may add to all of them
local MAX_MOVED = 2 * 1000 * 1000	-- pieces that are moved along while lists are replaced, in all
local MAX_ITEMS = 500000	-- of all lists, lists inside lists dissolved
local MAX_NESTED = 200		-- lists inside lists, macros inside macros, when redefinitions turn their order around

-- ------------------------------------------------------------------ lists

-- A list is visible in another one that was changed after the first was defined.
local function visible(item, user)
  return item.index < user.visibility
end

local function too_large(state, list, why)
  if not state.lists_failed then
    context.fail(list.ctx, "LOAD_ERR_VALIDATE", list.name_node, ("list '%s' %s"):format(list.name, why))
  end
  state.lists_failed = true
end

local function flatten(state, list, busy, depth)
  if list.flat then
    return list.flat
  end
  local flat = {}
  busy[list] = true
  if depth > MAX_NESTED then
    too_large(state, list, ("is part of more than %d lists inside one another"):format(MAX_NESTED))
    return flat
  end
  for _, node in ipairs(list.items) do
    local inner = state.lists.by_name[node.text]
    if inner and visible(inner, list) and not busy[inner] then
      inner.used = true
      for _, item in ipairs(flatten(state, inner, busy, depth + 1)) do
        flat[#flat + 1] = item
      end
    else
      flat[#flat + 1] = node
    end
    if state.list_items + #flat > MAX_ITEMS then
      too_large(state, list, ("makes the lists longer than %d items in all"):format(MAX_ITEMS))
      break
    end
  end
  busy[list] = nil
  list.flat = flat
  state.list_items = state.list_items + #flat
  return flat
end

local DELIMITERS = " \t\n\r(),="
local WORD = "[^" .. DELIMITERS .. "]+"

function M.lists(state)
  state.list_items, state.odd_lists = 0, {}
  for i, list in ipairs(state.lists.order) do
    flatten(state, list, {}, 1)
    list.place = i
    if list.name:find("[" .. DELIMITERS .. "]") then
      state.odd_lists[#state.odd_lists + 1] = list
    end
  end
end

local function is_delimiter(text, i)
  return i < 1 or i > #text or DELIMITERS:find(text:sub(i, i), 1, true) ~= nil
end

local function is_blank(text, i)
  local c = text:byte(i)
  return c == 32 or c == 9 or c == 10 or c == 13
end

-- Items as they stand in conditions; the blanks and commas between them belong to whoever uses the list.
local function block_of(state, list)
  if not list.block then
    local out = rope.new(state.texts)
    for _, node in ipairs(list.flat) do
      if out.len > 0 then
        rope.add(out, ", ")
      end
      exceptions.add_item(out, node, node.text)
    end
    list.block = rope.finish(out)
  end
  return list.block
end

-- The next whole occurrence of `name` from byte `at` on: where it begins and stops.
local function find_name(text, name, at)
  while true do
    local from = text:find(name, at, true)
    if not from then
      return nil
    end
    local stop = from + #name
    if is_delimiter(text, from - 1) and is_delimiter(text, stop) then
      return from, stop
    end
    at = from + 1
  end
end

-- The next word from byte `at` on that names one of the lists: where it begins and stops, and the list.
local function find_any(text, lists, at)
  while true do
    local from, word, stop = text:match("()(" .. WORD .. ")()", at)
    if not from or lists[word] then
      return from, stop, lists[word]
    end
    at = stop
  end
end

local function is_empty(list)
  return #list.flat == 0 or (#list.flat == 1 and list.flat[1].text == "")
end

-- Replaces every occurrence of one list, or of all of `group` (by name) in one go. An empty list takes a comma beside it
-- along. nil: the text gets too long.
local function substitute_one(state, source, list, group)
  local text = source.text
  local function find(at)
    if group then
      return find_any(text, group, at)
    end
    local from, stop = find_name(text, list.name, at)
    return from, stop, list
  end
  local from, stop, found = find(1)
  if not from then
    return source
  end
  state.moved = (state.moved or 0) + #source.segs
  local out, copied = rope.new(source.texts), 1
  while from do
    local use, at = rope.origin(source, from)
    while from > copied and is_blank(text, from - 1) do
      from = from - 1
    end
    while is_blank(text, stop) do
      stop = stop + 1
    end
    if is_empty(found) then
      if from > copied and text:sub(from - 1, from - 1) == "," then
        from = from - 1
      elseif text:sub(stop, stop) == "," then
        stop = stop + 1
      end
    end
    rope.copy(out, source, copied, from - 1)
    if from > copied or copied == 1 then	-- else there is the blank behind the list before
      rope.add(out, " ", use, at)
    end
    rope.add_block(out, block_of(state, found), use, at)
    rope.add(out, " ", use, at)
    if out.len > MAX_TEXT then
      return nil
    end
    found.used = true
    copied = stop
    from, stop, found = find(copied)
  end
  rope.copy(out, source, copied, #text)
  return rope.finish(out)
end

-- Lists that wait for their turn, in order of definition.
local function enqueue(queue, list, from)
  if queue[list] then
    return
  end
  queue[list] = true
  local low, high = from, #queue + 1
  while low < high do
    local mid = math.floor((low + high) / 2)
    if queue[mid].place < list.place then
      low = mid + 1
    else
      high = mid
    end
  end
  table.insert(queue, low, list)
end

local function enqueue_named(state, queue, text, from)
  local by_name = state.lists.by_name
  for word in text:gmatch(WORD) do
    local list = by_name[word]
    if list then
      enqueue(queue, list, from)
    end
  end
end

-- Lists that the items of a list name, though they were not visible there.
local function named_inside(state, list)
  if not list.inside then
    list.inside = {}
    for _, node in ipairs(list.flat) do
      enqueue_named(state, list.inside, node.text, 1)
    end
  end
  return list.inside
end

-- Lists of queue[i], queue[i + 1] ... by name that may be replaced in one go, since none of them brings the name of a list or
-- takes a comma along; and the last of them. nil: there are not two of them.
local function group_at(state, queue, i)
  local group, k = {}, i
  while queue[k] and not is_empty(queue[k]) and not queue[k].name:find("[" .. DELIMITERS .. "]")
    and #named_inside(state, queue[k]) == 0 do
    group[queue[k].name] = queue[k]
    k = k + 1
  end
  if k > i + 1 then
    return group, k - 1
  end
end

local function replace_lists(state, source, queue)
  local i = 1
  while queue[i] do
    local list, before = queue[i], source
    local group, last = group_at(state, queue, i)
    source = substitute_one(state, source, list, group)
    i = last or i
    if not source then
      return nil, ("with its lists the condition is longer than %d bytes"):format(MAX_TEXT)
    elseif (state.moved or 0) > MAX_MOVED then
      return nil, "conditions name too many lists, or lists of lists, to replace them all"
    end
    for _, inner in ipairs(source ~= before and named_inside(state, list) or {}) do
      if inner.place > list.place then	-- those before had their turn
        enqueue(queue, inner, i + 1)
      end
    end
    i = i + 1
  end
  return source
end

function M.substitute(state, source)
  if (state.list_bytes or 0) > MAX_TEXTS then
    return nil, ("lists make the conditions longer than %d bytes in all"):format(MAX_TEXTS)
  elseif #state.lists.order == 0 then
    return source
  end
  local queue = {}
  enqueue_named(state, queue, source.text, 1)
  for _, list in ipairs(state.odd_lists) do
    enqueue(queue, list, 1)
  end
  local whole, problem = replace_lists(state, source, queue)
  state.list_bytes = (state.list_bytes or 0) + #(whole or source).text - #source.text
  return whole, problem
end

-- ------------------------------------------------------------------ conditions

function M.rope(state, pieces)
  local out = rope.new(state.texts)
  for i, piece in ipairs(pieces) do
    if i > 1 then
      rope.add(out, " ", piece.node)
    end
    rope.add(out, piece.text, piece.node, piece.at)
  end
  return rope.finish(out)
end

-- Reports a syntax error.
function M.report_syntax(ctx, source, err)
  local place = rope.place(source, err.from, err.stop) or ctx.node
  context.fail(context.expression(ctx, source.text, place), "LOAD_ERR_COMPILE_CONDITION", place, err.message,
    { hint = err.hint, near = err.near })
end

-- The first node of a tree, lists not replaced, that names a list where a macro would stand.
local function list_in_place_of_macro(state, ast)
  if ast.kind == "macro" then
    return state.lists.by_name[ast.name] and ast
  end
  for _, child in ipairs(ast) do
    local found = list_in_place_of_macro(state, child)
    if found then
      return found
    end
  end
end

local function list_is_no_macro(node)
  return { message = ("'%s' is a list, not a condition"):format(node.name), from = node.from, stop = node.stop,
           hint = ("lists are used like  field in (%s)"):format(node.name) }
end

-- Rope -> AST and the rope it counts in, or nil: reported.
function M.parse(state, source, ctx)
  local whole, problem = M.substitute(state, source)
  if not whole then
    context.fail(ctx, "LOAD_ERR_COMPILE_CONDITION", nil, problem)
    return nil
  end
  local ast, err = grammar.parse(whole)
  if not ast then
    local as_written = whole ~= source and grammar.parse(source)
    local node = as_written and list_in_place_of_macro(state, as_written)
    M.report_syntax(ctx, node and source or whole, node and list_is_no_macro(node) or err)
  end
  return ast, whole
end

-- ------------------------------------------------------------------ macros

-- Names of the macros that are visible to a user.
local function visible_names(state, user)
  local i, order = 0, state.macros.order
  return function()
    repeat
      i = i + 1
    until not order[i] or order[i].index < user.sees
    return order[i] and order[i].name
  end
end

local function undefined(state, node, user)
  local name = node.name
  local later = state.macros.by_name[name]
  local more = {}
  if later then
    more.hint = user.in_macro and "macros can only use macros that are defined before them"
      or "rules can only use macros of their own file and of those before it"
    more.notes = { { place = later.name_node or later.node, message = "it is defined here" } }
  elseif state.lists.by_name[name] then
    more.hint = ("'%s' is a list; lists are used like  field in (%s)"):format(name, name)
  else
    more.near = diag.suggest(name, visible_names(state, user))
  end
  local place = rope.place(node.rope, node.from, node.stop)
  context.fail(context.expression(user.ctx, node.rope.text, place), "LOAD_ERR_VALIDATE", place,
    ("undefined macro '%s'"):format(name), more)
end

local function resolve_one(state, node, user)
  local macro = state.macros.by_name[node.name]
  if not macro or macro.index >= user.sees then
    undefined(state, node, user)
    return false
  end
  node.macro = macro
  macro.used = true
  return not macro.broken
end

function M.resolve(state, ast, user)
  if ast.kind == "macro" then
    return resolve_one(state, ast, user)
  end
  local good = true
  for _, child in ipairs(ast) do
    good = M.resolve(state, child, user) and good
  end
  return good
end

-- After all messages: macro nodes of a rule need not know any more where they stood.
function M.settle(ast)
  if ast.kind == "macro" then
    ast.rope = nil
  end
  for _, child in ipairs(ast) do
    M.settle(child)
  end
end

-- Number of checks and depth of a tree, macros inside measured first. `measure` is called for each macro met.
local function size(ast, measure)
  if ast.kind == "check" then
    return 1, 1
  elseif ast.kind == "macro" then
    if not measure(ast) then
      return nil
    end
    return ast.macro.checks, ast.macro.depth + 1
  end
  local checks, depth = 0, 0
  for _, child in ipairs(ast) do
    local c, d = size(child, measure)
    if not c then
      return nil
    end
    checks, depth = checks + c, math.max(depth, d)
  end
  return checks, depth + 1
end

-- true if the tree stays within bounds; else reported.
function M.within_bounds(ast, ctx, checks, depth)
  if checks > M.MAX_CHECKS or depth > M.MAX_DEPTH then
    local what = checks > M.MAX_CHECKS and ("has more than %d comparisons"):format(M.MAX_CHECKS)
      or ("is nested deeper than %d"):format(M.MAX_DEPTH)
    context.fail(ctx, "LOAD_ERR_VALIDATE", nil, ("with its macros the condition of '%s' %s"):format(ctx.name, what))
    return false
  end
  return true
end

local function measured(node)
  return not node.macro.broken
end

-- Measures the tree of a rule; false: too large (reported).
function M.fits(ast, ctx)
  local checks, depth = size(ast, measured)
  return checks and M.within_bounds(ast, ctx, checks, depth) or false
end

-- Depth first over macros; a macro met while it is being measured is part of a loop.
local function measure_macro(macro, level)
  if macro.checks or macro.broken then
    return not macro.broken
  elseif macro.busy then
    return nil
  elseif level > MAX_NESTED then
    context.fail(macro.ctx, "LOAD_ERR_VALIDATE", nil, ("more than %d macros inside one another"):format(MAX_NESTED))
    macro.broken = true
    return false
  end
  macro.busy = true
  local looped
  local checks, depth = size(macro.ast, function(node)
    local good = measure_macro(node.macro, level + 1)
    if good == nil then
      looped = node
    end
    return good
  end)
  macro.busy = nil
  if looped then
    local place = rope.place(looped.rope, looped.from, looped.stop)
    context.fail(context.expression(macro.ctx, looped.rope.text, place), "LOAD_ERR_VALIDATE", place,
      ("macro '%s' comes back to itself"):format(looped.name))
  end
  if not checks or not M.within_bounds(macro.ast, macro.ctx, checks, depth) then
    macro.broken = true
    return false
  end
  macro.checks, macro.depth = checks, depth
  return true
end

function M.macros(state)
  for _, macro in ipairs(state.macros.order) do
    if not macro.broken then
      local ctx = context.new(macro.ctx, "macro condition", "", macro.cond[1].node)
      macro.ast = M.parse(state, M.rope(state, macro.cond), ctx)
      macro.broken = not macro.ast
    end
  end
  for _, macro in ipairs(state.macros.order) do
    if not macro.broken and not M.resolve(state, macro.ast, { ctx = macro.ctx, sees = macro.visibility, in_macro = true }) then
      macro.broken = true
    end
  end
  for _, macro in ipairs(state.macros.order) do
    measure_macro(macro, 1)
  end
end

return M
