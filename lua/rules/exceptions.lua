-- SPDX-License-Identifier: Apache-2.0
-- Exceptions of rules: reading them, checking them, and turning them into condition text.
--
--   { name, node, ctx, fields = entry, comps = entry | nil, values = { entry, ... } }
--   entry: { node, text } for a single value, { node, items = { entry, ... } } for a list
--
--   (condition) and not (field op (v1, v2))                            one field
--   (condition) and not (( f1 op v1 and  f2 op v2) or (...))           several
local context = require "rules.context"
local diag = require "diag"
local keys = require "rules.keys"
local rope = require "rules.rope"
local words = require "rules.words"
local yaml = require "rules.yaml"

local M = {}

local MAX_DEPTH = 3		-- values, a tuple of them, a list inside the tuple
local MAX_VALUES = 100000	-- of one file; aliases can make much out of little

-- ------------------------------------------------------------------ reading

-- Where a mistake in an entry is, for the validation JSON: in a value if `values` holds the node, else in a key.
local function entry_place(ctx, node, key, values)
  if values then
    ctx = context.new(context.new(ctx, "exception values", "", values), "exception value", "", node)
  end
  return context.new(ctx, "value for", values and "" or key, node)
end

local function read_entry(ctx, node, depth, key, values)
  local state = ctx.state
  state.exception_values = (state.exception_values or 0) + 1
  if state.exception_values > MAX_VALUES then
    if state.exception_values == MAX_VALUES + 1 then
      context.fail(entry_place(ctx, node, key, values), "LOAD_ERR_YAML_VALIDATE", node,
        ("more than %d values in exceptions"):format(MAX_VALUES))
    end
    return nil
  elseif node.kind == "map" or (node.kind == "seq" and depth > MAX_DEPTH) then
    context.fail(entry_place(ctx, node, key, values), "LOAD_ERR_YAML_VALIDATE", node,
      "expected a single value or a list of them")
    return nil
  elseif node.kind == "scalar" then
    if node.text == "" or yaml.is_null(node) then
      context.fail(entry_place(ctx, node, key, values), "LOAD_ERR_YAML_VALIDATE", node, "a value is empty")
      return nil
    end
    return { node = node, text = node.text }
  end
  local entry = { node = node, items = {} }
  for _, item in ipairs(node) do
    entry.items[#entry.items + 1] = read_entry(ctx, item, depth + 1, key, values)
  end
  return entry
end

local function optional_entry(ctx, map, key)
  local node = yaml.get(map, key)
  local entry = node and not yaml.is_null(node) and read_entry(ctx, node, 2, key) or nil
  if entry and entry.items and #entry.items == 0 then
    return nil
  end
  return entry
end

local function read_values(ctx, map, append)
  local node = yaml.get(map, "values")
  local out = {}
  if not node then
    if append then
      context.warn(ctx, "LOAD_APPEND_NO_VALUES", nil, ("exception '%s' is appended to without values"):format(ctx.name))
    end
    return out
  elseif node.kind ~= "seq" then
    context.fail(context.new(ctx, "exception values", "", node), "LOAD_ERR_YAML_VALIDATE", node, "'values' wants a list")
    return out
  end
  for _, item in ipairs(node) do
    out[#out + 1] = read_entry(ctx, item, 2, "values", node)
  end
  return out
end

-- all: the exceptions of the item `parent`
local function read_one(parent, all, map, append, names)
  local ctx = context.new(all, "exception", "", map)
  local name = map.kind == "map" and yaml.get(map, "name")
  if map.kind ~= "map" then
    context.fail(ctx, "LOAD_ERR_YAML_VALIDATE", map, "an exception is a map with 'name', 'fields', 'comps' and 'values'")
  elseif not name or name.kind ~= "scalar" or name.text == "" or yaml.is_null(name) then
    context.fail(ctx, "LOAD_ERR_YAML_VALIDATE", name or map, "an exception needs a 'name'")
  else
    ctx = context.new(parent, "exception", name.text, map)
    context.unknown_keys(ctx, map, keys.map.exception)
    if names[name.text] then
      context.warn(ctx, "LOAD_EXCEPTION_NAME_NOT_UNIQUE", name, ("exception '%s' is defined twice in one rule"):format(name.text))
    end
    names[name.text] = true
    local ex = { name = name.text, node = map, ctx = ctx, fields = optional_entry(ctx, map, "fields"),
                 comps = optional_entry(ctx, map, "comps"), values = read_values(ctx, map, append) }
    if not map.keys.fields and not append then
      context.fail(ctx, "LOAD_ERR_YAML_VALIDATE", nil, ("exception '%s' lacks 'fields'"):format(ex.name))
    end
    return ex
  end
end

-- The exceptions of a rule item; append: the item adds to a rule that exists.
function M.read(parent, map, append)
  local node = yaml.get(map, "exceptions")
  local out, names = {}, {}
  if not node or yaml.is_null(node) then
    return out
  end
  local all = context.new(parent, "exceptions", "", node)
  if node.kind ~= "seq" then
    context.fail(all, "LOAD_ERR_YAML_VALIDATE", node, "'exceptions' wants a list")
    return out
  end
  for _, item in ipairs(node) do
    out[#out + 1] = read_one(parent, all, item, append, names)
  end
  return out
end

-- ------------------------------------------------------------------ checking

-- "startswith  oneof" -> its operator and modifier, or nil.
local function split_operator(text)
  local op, modifier = text:match("^%s*(%S+)%s*(%S*)%s*$")
  local known = op and words.get().ops[op]
  if not known or (modifier ~= "" and (known.class ~= "text" or not words.get().modifiers[modifier])) then
    return nil
  end
  return known, modifier ~= ""
end

local function takes_list(known, with_modifier)
  return known.class == "list" or with_modifier
end

local function mistake(ex, node, message, more)
  context.fail(ex.ctx, "LOAD_ERR_VALIDATE", node, message, more)
  return false
end

local function check_single(ex)
  if not ex.comps then
    ex.comps = { node = ex.fields.node, text = "in" }
  elseif ex.comps.items then
    return mistake(ex, ex.comps.node, "'fields' is a single field, so 'comps' must be a single operator")
  end
  local known, with_modifier = split_operator(ex.comps.text)
  if not known or not takes_list(known, with_modifier) then
    return mistake(ex, ex.comps.node, ("'%s' cannot compare one field with a list of values"):format(ex.comps.text),
      { hint = "use in, pmatch, intersects, or an operator with oneof, anyof or allof" })
  end
  local good = true
  for _, value in ipairs(ex.values) do
    if value.items then
      good = mistake(ex, value.node, "'fields' is a single field, so the values must be single, too")
    end
  end
  return good
end

local function check_tuple(ex, value)
  local want, n = #ex.fields.items, value.items and #value.items or 1
  local fields = ("exception '%s' has %s"):format(ex.name, want == 1 and "a list of 1 field" or want .. " fields")
  if not value.items then
    return mistake(ex, value.node, ("%s, so each of its values is a list"):format(fields),
      { hint = want == 1 and value.text and ("write [%s], or a single field"):format(value.text) or nil })
  elseif n ~= want then
    return mistake(ex, value.node, ("%s, but this has %d value%s"):format(fields, n, n == 1 and "" or "s"))
  end
  for _, item in ipairs(value.items) do
    for _, inner in ipairs(item.items or {}) do
      if inner.items then
        return mistake(ex, inner.node, "lists of values cannot be nested any further")
      end
    end
  end
  return true
end

local function default_comps(ex)
  local comps = { node = ex.fields.node, items = {} }
  for i, field in ipairs(ex.fields.items) do
    comps.items[i] = { node = field.node, text = "=" }
  end
  return comps
end

-- One value for each field, in every tuple.
local function check_tuples(ex)
  local good = true
  for _, value in ipairs(ex.values) do
    good = check_tuple(ex, value) and good
  end
  return good
end

local function check_multiple(ex)
  ex.comps = ex.comps or default_comps(ex)
  if not ex.comps.items or #ex.comps.items ~= #ex.fields.items then
    return mistake(ex, ex.comps.node, ("exception '%s' needs as many 'comps' as 'fields': %d"):format(ex.name, #ex.fields.items))
  end
  local good = true
  for i, comp in ipairs(ex.comps.items) do
    if not comp.text or not split_operator(comp.text) then
      good = mistake(ex, comp.node, ("'%s' is no operator"):format(comp.text or "this"),
        { near = comp.text and diag.suggest(comp.text, words.get().op_names) })
    elseif not ex.fields.items[i].text then
      good = mistake(ex, ex.fields.items[i].node, "fields must be single names")
    end
  end
  return check_tuples(ex) and good
end

local function check(ex)
  if not ex.fields then
    return not ex.ctx.failed and mistake(ex, nil, ("exception '%s' lacks 'fields'"):format(ex.name))
  end
  return (ex.fields.items and check_multiple or check_single)(ex)
end

-- true if all are well-formed; what is not has been reported.
function M.check_all(list)
  local good = true
  for _, ex in ipairs(list) do
    good = check(ex) and good
  end
  return good
end

-- ------------------------------------------------------------------ appending

local function by_name(list, name)
  for _, ex in ipairs(list) do
    if ex.name == name then
      return ex
    end
  end
end

local function append_new(list, ex)
  if not ex.fields then
    return mistake(ex, nil, ("exception '%s' is new to this rule, so it needs 'fields'"):format(ex.name))
  elseif #ex.values == 0 then
    return mistake(ex, nil, ("exception '%s' is new to this rule, so it needs 'values'"):format(ex.name))
  elseif check(ex) then
    list[#list + 1] = ex
  end
end

-- Adds values to exceptions that are there, and whole exceptions that are not.
function M.append(list, more)
  for _, ex in ipairs(more) do
    local old = by_name(list, ex.name)
    if not old then
      append_new(list, ex)
    elseif ex.fields or ex.comps then
      mistake(ex, (ex.fields or ex.comps).node, ("exception '%s' exists: only 'values' can be appended"):format(ex.name))
    else
      local merged = { name = old.name, node = old.node, ctx = ex.ctx, fields = old.fields, comps = old.comps, values = ex.values }
      if check(merged) then
        for _, value in ipairs(ex.values) do
          old.values[#old.values + 1] = value
        end
      end
    end
  end
end

-- ------------------------------------------------------------------ condition text

-- Items of lists and values of exceptions are pasted as they are, quoted only if they have a blank.
function M.add_item(out, node, text)
  local quoted = text:find(" ", 1, true) and not text:find("^[\"']")
  if quoted then
    rope.add(out, '"', node)
  end
  rope.add(out, text, node, 1)
  if quoted then
    rope.add(out, '"', node)
  end
end

local function add(out, text, entry)
  rope.add(out, text, entry.node)
end

local function add_text(out, entry)
  rope.add(out, entry.text, entry.node, 1)
end

local function add_items(out, entries)
  for i, entry in ipairs(entries) do
    if i > 1 then
      add(out, ", ", entry)
    end
    M.add_item(out, entry.node, entry.text)
  end
end

local function add_single(out, ex)
  add(out, " and not (", ex)
  add_text(out, ex.fields)
  add(out, " ", ex.fields)
  if ex.comps.node == ex.fields.node then
    add(out, ex.comps.text, ex.comps)
  else
    add_text(out, ex.comps)
  end
  add(out, " (", ex)
  add_items(out, ex.values)
  add(out, "))", ex)
end

local function add_value(out, comp, value)
  if value.items then
    add(out, "(", value)
    add_items(out, value.items)
    add(out, ")", value)
  elseif takes_list(split_operator(comp.text)) and not value.text:find("^%(") then
    add(out, "(", value)
    add_text(out, value)
    add(out, ")", value)
  elseif takes_list(split_operator(comp.text)) then
    add_text(out, value)
  else
    M.add_item(out, value.node, value.text)
  end
end

local function add_tuple(out, ex, tuple)
  add(out, "(", tuple)
  for k, field in ipairs(ex.fields.items) do
    local comp = ex.comps.items[k]
    add(out, k == 1 and " " or " and  ", field)
    add_text(out, field)
    add(out, " ", field)
    if comp.node == field.node then
      add(out, comp.text, comp)
    else
      add_text(out, comp)
    end
    add(out, " ", comp)
    add_value(out, comp, tuple.items[k])
  end
  add(out, ")", tuple)
end

local function add_multiple(out, ex)
  add(out, " and not (", ex)
  for i, tuple in ipairs(ex.values) do
    if i > 1 then
      add(out, " or ", tuple)
    end
    add_tuple(out, ex, tuple)
  end
  add(out, ")", ex)
end

-- Adds what the exceptions say behind a condition that stands in parentheses.
function M.write(out, list)
  for _, ex in ipairs(list) do
    if #ex.values > 0 then
      (ex.fields.items and add_multiple or add_single)(out, ex)
    end
  end
end

return M
