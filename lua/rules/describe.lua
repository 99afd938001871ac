-- SPDX-License-Identifier: Apache-2.0
-- What rules, macros and lists say and what became of them: -L and -l, in the form of upstream's JSON.
--
--   describe.all(result) -> table for json.encode            result: of rules.load(), without errors
--   describe.rule(result, "My rule") -> table, or nil and a message
--   describe.ast_text(ast) -> the condition on one line, lists and macros replaced
local core = require "core"
local diag = require "diag"
local expand = require "rules.expand"
local grammar = require "rules.grammar"
local json = require "json"
local lower = require "rules.lower"
local ruleset = require "rules.ruleset"
local sorted_keys = require "sorted_keys"
local spell = require "rules.spell"

local M = {}

local function sorted(set)
  return json.array(sorted_keys(set))
end

-- ------------------------------------------------------------------ ASTs

local function follow(ast)
  while ast.kind == "macro" and ast.macro do
    ast = ast.macro.ast
  end
  return ast
end

local function write_ast(ast, out)
  ast = follow(ast)
  if ast.kind == "check" then
    out[#out + 1] = spell.check_text(ast)
  elseif ast.kind == "macro" then
    out[#out + 1] = ast.name
  elseif ast.kind == "not" then
    out[#out + 1] = "not "
    write_ast(ast[1], out)
  else
    for i, child in ipairs(ast) do
      out[#out + 1] = i == 1 and "(" or " " .. ast.kind .. " "
      write_ast(child, out)
    end
    out[#out + 1] = ")"
  end
end

function M.ast_text(ast)
  local out = {}
  write_ast(ast, out)
  return table.concat(out)
end

-- visit(check) for every comparison; macros are followed, each once.
local function each_check(ast, visit, seen)
  seen = seen or {}
  if ast.kind == "check" then
    return visit(ast)
  elseif ast.kind == "macro" then
    if ast.macro and not seen[ast.macro] then
      seen[ast.macro] = true
      each_check(ast.macro.ast, visit, seen)
    end
    return
  end
  for _, child in ipairs(ast) do
    each_check(child, visit, seen)
  end
end

local function add_fields(operand, set)
  if operand.kind == "field" then
    set[spell.operand_text(operand)] = true
  end
  for _, input in ipairs(operand.inputs or operand.items or {}) do
    add_fields(input, set)
  end
end

-- Fields and operators of a condition with everything replaced.
local function compiled_details(ast)
  local fields, operators = {}, {}
  each_check(ast, function(check)
    add_fields(check.left, fields)
    if check.right then
      add_fields(check.right, fields)
    end
    operators[spell.operator_text(check)] = true
  end)
  return sorted(fields), sorted(operators)
end

-- ------------------------------------------------------------------ what a condition names as it was written

local function note_macros(state, ast, out)
  if ast.kind == "macro" and state.macros.by_name[ast.name] then
    out[ast.name] = true
  end
  for _, child in ipairs(ast) do
    note_macros(state, child, out)
  end
end

-- Names of macros and lists in the text of a rule or macro, without its exceptions.
local function references(state, cond)
  local macros, lists = {}, {}
  local source = expand.rope(state, cond)
  local ast = grammar.parse(source)
  if ast then
    note_macros(state, ast, macros)
    each_check(ast, function(check)
      for _, value in ipairs(check.values or {}) do
        if state.lists.by_name[value.text] then
          lists[value.text] = true
        end
      end
    end)
  end
  return sorted(macros), sorted(lists)
end

-- ------------------------------------------------------------------ events

-- The AST as a tree for lower.lua, good enough for its event sets.
local function tree_of(ast)
  ast = follow(ast)
  if ast.kind == "check" then
    return { kind = "leaf", check = ast }
  end
  local tree = { kind = ast.kind }
  for i, child in ipairs(ast) do
    tree[i] = tree_of(child)
  end
  return tree
end

-- Names of the events that can make a condition true: sorted.
local function event_names(events)
  local C, set = core.C, {}
  for code = 0, C.event_count() - 1 do
    if not C.event_is_generic(code) and not C.event_is_unused(code) and lower.can_match(events, code) then
      set[core.cstr(C.event_info(code).name)] = true
    end
  end
  local syscalls = lower.syscalls(events)
  for sc = 1, C.syscall_count() - 1 do
    local name = core.cstr(C.syscall_name(sc))
    local own = C.syscall_event(sc)
    if name ~= "" and (own == 0 or C.event_is_generic(own)) and (syscalls == lower.ALL or syscalls[sc]) then
      set[name] = true
    end
  end
  return sorted(set)
end

-- ------------------------------------------------------------------ rules

local function text_of(pieces)
  local texts = {}
  for i, piece in ipairs(pieces) do
    texts[i] = piece.text
  end
  return table.concat(texts, " ")
end

local function add_words(entry, set)
  if entry.text then
    set[entry.text] = true
  end
  for _, item in ipairs(entry.items or {}) do
    add_words(item, set)
  end
end

-- Names, operators and, of exceptions that have values, fields.
local function exception_details(exceptions)
  local names, operators, fields = {}, {}, {}
  for _, ex in ipairs(exceptions) do
    names[ex.name] = true
    if ex.comps then
      add_words(ex.comps, operators)
    end
    if #ex.values > 0 then
      add_words(ex.fields, fields)
    end
  end
  return sorted(names), sorted(operators), sorted(fields)
end

local function output_fields(rule)
  local set = {}
  for _, field in ipairs(rule.output_plan.fields) do
    set[field.name] = true
  end
  for _, extra in ipairs(rule.extra_fields) do
    for _, field in ipairs(extra.plan.fields) do
      set[field.name] = true
    end
  end
  return sorted(set)
end

-- Formats of extra_fields that are not just a field under its own name; nil: none.
local function formatted_fields(rule)
  local out = {}
  for _, extra in ipairs(rule.extra_fields) do
    if extra.plan.text ~= "%" .. extra.name then
      out[extra.name] = extra.plan.text
    end
  end
  return next(out) and out or nil
end

-- Upstream has container fields from a plugin: programs that ask which plugins a rule needs get the same answer.
local function plugins_of(...)
  for _, names in ipairs{ ... } do
    for _, name in ipairs(names) do
      if ruleset.has_flag(name:match("^[^%[]*"), core.C.FIELD_CONTAINER) then
        return json.array{ "container" }
      end
    end
  end
  return json.array()
end

local function rule_info(rule)
  return {
    name = rule.name, description = rule.desc, source = rule.source, priority = rule.priority_name,
    condition = text_of(rule.definition.cond), output = text_of(rule.definition.output), enabled = rule.definition.enabled,
    capture = rule.capture or false, capture_duration = rule.capture_duration or 0, tags = json.array(rule.tags),
  }
end

local function rule_details(state, rule)
  local macros, lists = references(state, rule.definition.cond)
  local fields, operators = compiled_details(rule.ast)
  local names, comps, excepted = exception_details(rule.definition.exceptions)
  local shown = output_fields(rule)
  return {
    macros = macros, lists = lists, condition_fields = fields, condition_operators = operators,
    condition_compiled = M.ast_text(rule.ast), output_compiled = rule.output, output_fields = shown,
    extra_output_formatted_fields = formatted_fields(rule), exception_names = names, exception_operators = comps,
    exception_fields = excepted, events = event_names(rule.events), plugins = plugins_of(fields, shown),
  }
end

local function describe_rule(result, rule)
  return { info = rule_info(rule), details = rule_details(result.state, rule) }
end

-- ------------------------------------------------------------------ macros and lists

local function describe_macro(result, macro)
  local ast = macro.definition.ast
  local names, lists = references(result.state, macro.definition.cond)
  local fields, operators = compiled_details(ast)
  local events = event_names(lower.events(lower.nnf(tree_of(ast))))
  return {
    info = { name = macro.name, condition = macro.condition },
    details = {
      used = macro.used, macros = names, lists = lists, condition_fields = fields, condition_operators = operators,
      condition_compiled = M.ast_text(ast), events = events, plugins = json.array(),
    },
  }
end

-- Items that are names of lists were replaced by theirs.
local function describe_list(list)
  local compiled, stays = json.array(), {}
  for i, node in ipairs(list.definition.flat) do
    compiled[i], stays[node.text] = node.text, true
  end
  local items, lists = json.array(), {}
  for _, text in ipairs(list.items) do
    if stays[text] then
      items[#items + 1] = text
    else
      lists[text] = true
    end
  end
  return {
    info = { name = list.name, items = items },
    details = { used = list.used, lists = sorted(lists), items_compiled = compiled, plugins = json.array() },
  }
end

-- ------------------------------------------------------------------ entries

local function requirement(plugin)
  return { name = plugin.name, version = plugin.version }
end

local function requirements(plugins)
  local out = json.array()
  for i, plugin in ipairs(plugins) do
    out[i] = requirement(plugin)
    out[i].alternatives = json.array()
    for k, other in ipairs(plugin.alternatives) do
      out[i].alternatives[k] = requirement(other)
    end
  end
  return out
end

function M.all(result)
  local rules, macros, lists = json.array(), json.array(), json.array()
  for i, rule in ipairs(result.rules) do
    rules[i] = describe_rule(result, rule)
  end
  for i, macro in ipairs(result.macros) do
    macros[i] = describe_macro(result, macro)
  end
  for i, list in ipairs(result.lists) do
    lists[i] = describe_list(list)
  end
  return { rules = rules, macros = macros, lists = lists,
           required_engine_version = result.required_engine_version or "0.0.0",
           required_plugin_versions = requirements(result.required_plugin_versions) }
end

-- The rule of that name, or nil and a message.
function M.find(result, name)
  local i = 0
  for _, rule in ipairs(result.rules) do
    if rule.name == name then
      return rule
    end
  end
  local near = diag.suggest(name, function()
    i = i + 1
    return result.rules[i] and result.rules[i].name
  end)
  local advice = near and (" (did you mean '%s'?)"):format(near) or "; -L lists them all"
  return nil, ("there is no rule '%s' in the rules files%s"):format(name, advice)
end

function M.rule(result, name)
  local rule, message = M.find(result, name)
  if not rule then
    return nil, message
  end
  return { rules = json.array{ describe_rule(result, rule) } }
end

return M
