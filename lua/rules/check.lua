-- SPDX-License-Identifier: Apache-2.0
-- AST with resolved macros -> a tree over numbered leaves of the C ruleset, with all that is wrong in it.
--
--   local checker = check.new(rs)
--   local tree, errors = check.tree(checker, ast, ctx)
--     tree    { kind = "and" | "or", [1..n] }, { kind = "not", [1] }, { kind = "leaf", id, scope, check }; rules that use the
--             same macro have the same tree for it, marked `shared`, unless it remembers something from event to event
--     errors  { { check, err }, ... } in order of the text; the tree is nil then. Macros that were not resolved (and
--             reported) are passed over
--   check.report(errors, where, rope)             as diagnostics, each once even if several rules share the macro; where: the
--                                                 context of the rule's condition; rope: its own text
--   check.skip(errors, where)                     see there
--   check.settle(checker, tree)                   no message will be about it any more: drops what only messages need
--   check.warn(where, tree)                       what is allowed but probably not meant
--   checker.leaves[id] = text of the leaf
local context = require "rules.context"
local core = require "core"
local ffi = core.ffi
local grammar = require "rules.grammar"
local rope = require "rules.rope"
local ruleset = require "rules.ruleset"
local spell = require "rules.spell"
local words = require "rules.words"

local M = {}

-- Few ask for the text of a leaf: it is made then.
local TEXTS = { __index = function(leaves, id)
  local check = leaves.checks[id]
  leaves[id] = check and spell.check_text(check)
  return rawget(leaves, id)
end }

function M.new(rs)
  return { rs = rs, leaves = setmetatable({ checks = {} }, TEXTS), values = {}, macros = {} }
end

-- ------------------------------------------------------------------ trees

-- What people write from habit, and POSIX has otherwise.
local REGEX_ADVICE = {
  { "\\d", "for \\d write [0-9]" }, { "\\w", "for \\w write [A-Za-z0-9_]" }, { "\\s", "for \\s write [[:space:]]" },
  { "(?", "groups are just (a|b), and there are no flags: for (?i)a write [aA]" },
}

local function regex_hint(check)
  for _, row in ipairs(check.op == core.C.OP_REGEX and REGEX_ADVICE or {}) do
    for _, value in ipairs(check.values or {}) do
      if value.text:find(row[1], 1, true) then
        return row[2]
      end
    end
  end
end

-- Leaves are remembered on their check; those that keep state between events are made anew for each rule.
local function leaf_of(checker, check, own)
  local known = check.leaf or own[check]
  own.any = own.any or own[check] ~= nil
  if known or check.err then
    return known, check.err
  end
  local id, scope = ruleset.leaf(checker.rs, check)
  if not id then
    check.err = scope
    check.err.hint = regex_hint(check)
    return nil, check.err
  end
  local leaf = { kind = "leaf", id = id, scope = scope, check = check }
  local checks = checker.leaves.checks
  checks[id] = checks[id] or check
  if scope == core.C.SCOPE_STATEFUL then
    own[check], own.any = leaf, true
  else
    check.leaf, leaf.shared = leaf, true
  end
  return leaf
end

local build

-- The tree of a macro: made once, if nothing is wrong with it and it remembers nothing.
local function build_macro(checker, macro, own, errors)
  local tree = checker.macros[macro]
  if tree then
    return tree
  end
  local before, any = #errors, own.any
  own.any = nil
  tree = build(checker, macro.ast, own, errors)
  if #errors == before and not errors.unresolved and not own.any then
    tree.shared = true
    checker.macros[macro] = tree
  end
  own.any = own.any or any
  return tree
end

build = function(checker, ast, own, errors)
  if ast.kind == "check" then
    local leaf, err = leaf_of(checker, ast, own)
    if not leaf then
      errors[#errors + 1] = { check = ast, err = err }
    end
    return leaf
  elseif ast.kind == "macro" then
    if not ast.macro or ast.macro.broken then
      errors.unresolved = true
      return nil
    end
    return build_macro(checker, ast.macro, own, errors)
  end
  local tree = { kind = ast.kind }
  for i, child in ipairs(ast) do
    tree[i] = build(checker, child, own, errors) or false
  end
  return tree
end

function M.tree(checker, ast)
  local errors = {}
  local tree = build(checker, ast, {}, errors)
  if #errors > 0 or errors.unresolved then
    return nil, errors
  end
  return tree
end

-- Is the text one field or transformer call? nil, or an error of ruleset.lua or the grammar.
function M.operand_error(checker, text)
  local operand, after = grammar.operand(text, 1)
  if not operand then
    return after
  elseif after <= #text then
    return { message = ("'%s' is no field"):format(text) }
  end
  local _, err = ruleset.operand(checker.rs, operand)
  return err
end

-- ------------------------------------------------------------------ messages

local function place(check, from, stop)
  return rope.place(check.rope, from, stop)
end

local function context_of(where, check, at)
  return context.expression(where, check.rope.text, at)
end

local function mark_failed(ctx)
  while ctx do
    ctx.failed, ctx = true, ctx.parent
  end
end

function M.report(errors, where, own_rope)
  local user = where.parent and where.parent.node and where.parent or where
  for _, e in ipairs(errors) do
    local check, err = e.check, e.err
    if not check.reported then
      check.reported = true
      local notes
      if check.rope ~= own_rope then
        notes = { { place = user.node, message = ("in a macro that '%s' uses"):format(user.name) } }
      end
      local at = place(check, err.from, err.stop)
      context.fail(context_of(where, check, at), "LOAD_ERR_COMPILE_CONDITION", at, err.message,
        { notes = notes, near = err.near, hint = err.hint })
    else
      mark_failed(where)
    end
  end
end

-- A rule with skip-if-unknown-filter whose first error is an unknown field or event is left out with a warning.
function M.skip(errors, where)
  local first = errors[1]
  if errors.unresolved or not first.err.unknown then
    return false
  end
  local at = place(first.check, first.err.from, first.err.stop)
  context.warn(context_of(where, first.check, at), "LOAD_UNKNOWN_FILTER", at,
    first.err.message .. "; the rule is skipped")
  return true
end

local out_u32, out_u32_2, out_i32 = ffi.new("uint32_t[1]"), ffi.new("uint32_t[1]"), ffi.new("int32_t[1]")

local first_words

-- "proc", "fd" ...: what field names begin with.
local function begins_like_field(text)
  if not first_words then
    first_words = {}
    for i = 0, core.C.field_count() - 1 do
      first_words[core.cstr(core.C.field_info(i).name):match("^%a[%w_]*")] = true
    end
  end
  local word = text:match("^(%a[%w_]*)%.%a")
  return word and first_words[word]
end

-- Is the whole text a field, with or without an argument?
local function is_field(text)
  return begins_like_field(text) and core.C.field_prefix(text, #text, out_u32, out_u32_2, out_i32) == #text
end

local function is_transformer_call(text)
  local name = text:match("^(%a[%w]*)%(.*%)$")
  return name and (name == "val" or words.get().transformers[name])
end

-- No character that only a regular expression gives a meaning to, except where "contains" and its like would do as well.
local function is_literal_regex(text)
  local body = text:gsub("^%^", ""):gsub("%$$", ""):gsub("^%.[+*?]", ""):gsub("%.[+*?]$", "")
  return not body:find("[.+*?^$()%[%]{}|\\]")
end

-- What is doubtful about a constant: message and advice, or nil.
local function doubt(check, value)
  if check.op ~= core.C.OP_REGEX and not value.text:find("[.(]") then
    return nil
  end
  local text = value.text:gsub("%s", "")
  if check.op == core.C.OP_REGEX and is_literal_regex(value.text) then
    return ("'%s' needs no regular expression"):format(value.text), "=, contains, startswith and endswith are faster"
  elseif is_field(text) then
    return ("'%s' is a field, but stands here as a text"):format(value.text),
      ("to compare with the field's value, write val(%s)"):format(text)
  elseif is_transformer_call(text) then
    return ("'%s' looks like a transformer, but stands here as a text"):format(value.text)
  end
end

local function warn_value(where, check, value)
  local message, hint = doubt(check, value)
  if message then
    local at = place(check, value.from, value.stop)
    context.warn(context_of(where, check, at), "LOAD_COMPILE_CONDITION", at, message, { hint = hint })
  end
end

local function warn_deprecated(where, check, operand)
  for _, input in ipairs(operand.inputs or operand.items or {}) do
    warn_deprecated(where, check, input)
  end
  if operand.kind == "field" and ruleset.has_flag(operand.name, core.C.FIELD_DEPRECATED) then
    local at = place(check, operand.from, operand.stop)
    context.warn(context_of(where, check, at), "LOAD_DEPRECATED_ITEM", at,
      ("field '%s' is deprecated"):format(operand.name), { deprecated_field = operand.name })
  end
end

function M.warn(where, tree)
  if tree.warned then
    return
  end
  tree.warned = tree.shared
  for i = 1, #tree do
    M.warn(where, tree[i])
  end
  local check = tree.check
  if not check or check.warned then
    return
  end
  check.warned = true
  for _, value in ipairs(check.values or {}) do
    warn_value(where, check, value)
  end
  warn_deprecated(where, check, check.left)
  if check.right then
    warn_deprecated(where, check, check.right)
  end
end

-- Conditions that use the same large list each have it written out: of equal leaves one keeps its values, and all that is
-- known of where they stood goes.
function M.settle(checker, tree)
  if tree.settled then
    return
  end
  tree.settled = tree.shared
  for i = 1, #tree do
    M.settle(checker, tree[i])
  end
  local check = tree.check
  if check then
    local known = checker.values[tree.id]
    checker.values[tree.id] = known or check.values
    check.values, check.rope = known or check.values, nil
  end
end

return M
