-- SPDX-License-Identifier: Apache-2.0
-- YAML nodes -> rules, macros and lists: keys, types, appends, overrides, redefinitions, versions. Conditions stay text.
--
--   local state = load.new(diag)
--   load.file(state, name, text)        in order; mistakes become diagnostics, the rest of the file is still read
--
-- state.rules, state.macros, state.lists: { order = { item, ... }, by_name = { name -> item } }
-- Every item has: kind, name, node (its YAML map), broken, index (place of its first definition), visibility (place of its
-- latest change)
--   list   items = { scalar node, ... }
--   macro  cond = { piece, ... }
--   rule   cond, output, desc = { piece, ... }; priority (0-7), source, known_source, tags (set), exceptions, enabled, capture,
--          capture_duration, script = { name =, text = }, warn_evttypes, skip_unknown, sees (macros defined up to there are
--          visible)
-- A piece is { node = scalar, text =, at = byte of node.text it begins with }; pieces are joined by one blank.
local context = require "rules.context"
local core = require "core"
local diag = require "diag"
local exceptions = require "rules.exceptions"
local files = require "files"
local config_schema = require "schema"
local keys = require "rules.keys"
local reading = require "rules.reading"
local sorted_keys = require "sorted_keys"
local versions = require "rules.versions"
local yaml = require "rules.yaml"

local compile = load

local M = {}

M.SOURCES = { syscall = true }

local invalid, mistake, value_of, KIND_NAMES = reading.invalid, reading.mistake, reading.value_of, reading.KIND_NAMES
local scalar, text, bool, whole, sequence = reading.scalar, reading.text, reading.bool, reading.whole, reading.sequence
local tags, priority, piece = reading.tags, reading.priority, reading.piece

-- ------------------------------------------------------------------ throttle

local THROTTLE = { "count", "within", "by" }

local function throttle_by(ctx, node)
  local by = {}
  for i, item in ipairs(node and (node.kind == "seq" and node or { node }) or {}) do
    if item.kind ~= "scalar" or yaml.is_null(item) then
      return invalid(ctx, item, "'by' of a throttle is a list of fields")
    end
    by[i] = item.text
  end
  return by
end

-- { count =, within = text, by = { field, ... } }
local function throttle(ctx, map, key)
  local node = yaml.get(map, key)
  if not node or yaml.is_null(node) then
    return nil
  end
  local value = value_of(ctx, key, node)
  if node.kind ~= "map" then
    return invalid(value, node, "'throttle' wants a map, like {count: 5, within: 1m, by: [proc.name]}")
  end
  for _, entry in ipairs(node) do
    local name = entry.key.text or ""
    if name ~= "count" and name ~= "within" and name ~= "by" then
      return invalid(value, entry.key, ("a throttle has no key '%s'"):format(name), { near = diag.suggest(name, THROTTLE) })
    end
  end
  local count, within = yaml.get(node, "count"), yaml.get(node, "within")
  local n = count and count.kind == "scalar" and count.text:find("^%d+$") and tonumber(count.text)
  if not n or n < 1 or n > 1000000000 then
    return invalid(value, count or node, "'count' of a throttle is a whole number from 1")
  end
  if not within or within.kind ~= "scalar" or not config_schema.interval(within.text) then
    return invalid(value, within or node, "'within' of a throttle is a time, such as 30s or 1h")
  end
  local by = throttle_by(value, yaml.get(node, "by"))
  return by and { count = n, within = within.text, by = by }
end

-- ------------------------------------------------------------------ scripts

local SCRIPT_MAX = 1048576

-- A path is seen from the directory of the rules file.
local function script_text(ctx, node)
  local path = node.text
  if path:sub(1, 1) ~= "/" then
    path = (node.file:match("^.*/") or "") .. path
  end
  local source, why = files.read(path)
  if not source then
    mistake(ctx, node, ("script '%s': %s"):format(path, why))
  end
  return source, path
end

-- { name = where messages say that a mistake is, text = }. That it is Lua is seen here; it runs in a sandbox, when events come.
local function script(ctx, map, key)
  local source, node = text(ctx, map, key)
  if not source then
    return nil
  end
  local value = value_of(ctx, key, node)
  local name = node.file
  if not source:find("\n", 1, true) and source:find("%.lua%s*$") then
    source, name = script_text(value, node)
  else
    -- messages then have the lines of the rules file: a block begins below its key
    source = ("\n"):rep(source:find("\n", 1, true) and node.line or node.line - 1) .. source
  end
  if not source then
    return nil
  elseif #source > SCRIPT_MAX then
    mistake(value, node, ("the script is larger than %d bytes"):format(SCRIPT_MAX))
  else
    local chunk, why = compile(source, "@" .. name, "t")
    if not chunk then
      mistake(value, node, "the script is no Lua: " .. why)
    end
    return chunk and { name = name, text = source }
  end
end

local unknown_keys = context.unknown_keys

-- ------------------------------------------------------------------ append and override

-- What one entry of `override` says, checked: key node, "append" or "replace"; nil: reported.
local function override_entry(ctx, entry, item)
  local key, what = entry.key.text, entry.value.text
  local row = key and item.by_name[key]
  if not key then
    invalid(ctx, entry.key, "keys of 'override' must be single values")
  elseif what ~= "append" and what ~= "replace" then
    invalid(value_of(ctx, key, entry.value), entry.value, ("'%s' can be overridden by 'append' or 'replace' only"):format(key),
      { near = what and diag.suggest(what, { "append", "replace" }) })
  elseif not row or not row[what] then
    local fit = keys.names(item, function(r) return r[what] end)
    invalid(context.new(ctx, "overrides", key, entry.key), entry.key,
      ("'%s' cannot be %s"):format(key, what == "append" and "appended to" or "replaced"),
      { near = diag.suggest(key, fit), hint = row and row.replace and ("'%s: replace' would do"):format(key) or nil })
  else
    return entry.key, what
  end
end

-- Which keys `override` appends to and replaces: { append = key nodes by name, replace = likewise, any = bool }, and .flag:
-- the older `append: true`.
local function overrides(ctx, map, item)
  local out = { append = {}, replace = {}, any = false }
  out.flag = bool(ctx, map, "append", false)
  if out.flag then
    context.warn(ctx, "LOAD_DEPRECATED_ITEM", map.keys.append.key, "'append: true' is deprecated",
      { hint = "say which keys to append to, for instance  override: {condition: append}" })
  end
  local node = yaml.get(map, "override")
  if not node or yaml.is_null(node) then
    return out
  end
  local over = context.new(ctx, "overrides", "", map)
  if node.kind ~= "map" then
    out.any = true
    invalid(over, node, ("'override' wants a map of keys to append or replace, not %s"):format(KIND_NAMES[node.kind]))
    return out
  end
  for _, entry in ipairs(node) do
    out.any = true
    local key, what = override_entry(over, entry, item)
    if key then
      out[what][key.text] = key
    end
  end
  if out.any and out.flag then
    invalid(ctx, map.keys.append.key, "'append' and 'override' exclude each other",
      { hint = "drop 'append'; 'override' says it all" })
  end
  return out
end

-- ------------------------------------------------------------------ collections

local function collection()
  return { order = {}, by_name = {} }
end

local function next_index(state)
  state.index = state.index + 1
  return state.index
end

-- Defines anew, or replaces the contents at the place of the first definition.
local function define(state, into, item)
  item.visibility = next_index(state)
  local old = into.by_name[item.name]
  if old then
    for key in pairs(old) do
      if key ~= "index" then
        old[key] = nil
      end
    end
    for key, value in pairs(item) do
      old[key] = value
    end
    return old
  end
  item.index = item.visibility
  into.order[#into.order + 1] = item
  into.by_name[item.name] = item
  return item
end

-- The item that an append or an override is about.
local function target(ctx, into, name, node)
  local old = into.by_name[name]
  if not old then
    local i = 0
    local function names()
      i = i + 1
      return into.order[i] and into.order[i].name
    end
    mistake(ctx, node, ("there is no %s '%s' yet to append to or override"):format(ctx.type, name),
      { near = diag.suggest(name, names) })
  end
  return old
end

-- An item that had mistakes: later uses of it are no mistakes, and what it has is still looked at.
local function define_broken(state, into, item)
  if item.name then
    for _, key in ipairs{ "cond", "output", "desc", "items", "tags", "exceptions" } do
      item[key] = item[key] or {}
    end
    item.broken = true
    define(state, into, item)
  end
end

-- ------------------------------------------------------------------ lists and macros

local function read_list(state, ctx, map)
  local name, name_node = text(ctx, map, "list", { required = true })
  ctx.name = name
  local items = sequence(ctx, map, "items", true)
  local over = overrides(ctx, map, keys.item.list)
  unknown_keys(ctx, map, keys.item.list)
  if name and not name:find("^[^()\"'%s=,]+$") then
    context.warn(ctx, "LOAD_INVALID_LIST_NAME", name_node, ("'%s' cannot be used as the name of a list"):format(name),
      { hint = "names of lists have no blanks and none of ( ) = , \" '" })
  end
  if ctx.failed then
    local list = { kind = "list", name = name, node = map, name_node = name_node, ctx = ctx, items = items }
    return define_broken(state, state.lists, list)
  elseif over.flag or over.append.items then
    local old = target(ctx, state.lists, name, name_node)
    if old then
      for _, item in ipairs(items) do
        old.items[#old.items + 1] = item
      end
      old.visibility = next_index(state)
    end
    return
  end
  define(state, state.lists, { kind = "list", name = name, node = map, name_node = name_node, ctx = ctx, items = items })
end

local function read_macro(state, ctx, map)
  local name, name_node = text(ctx, map, "macro", { required = true })
  ctx.name = name
  local cond = scalar(ctx, map, "condition", { required = true })
  local over = overrides(ctx, map, keys.item.macro)
  unknown_keys(ctx, map, keys.item.macro)
  if name and not name:find("^%a[%w_]*$") then
    context.warn(ctx, "LOAD_INVALID_MACRO_NAME", name_node, ("'%s' cannot be used as the name of a macro"):format(name),
      { hint = "names of macros are letters, digits and _, and begin with a letter" })
  end
  if ctx.failed then
    return define_broken(state, state.macros, { kind = "macro", name = name, node = map, name_node = name_node, ctx = ctx })
  elseif over.flag or over.append.condition then
    local old = target(ctx, state.macros, name, name_node)
    if old then
      old.cond[#old.cond + 1] = piece(cond)
      old.visibility = next_index(state)
    end
    return
  end
  local macro = { kind = "macro", name = name, node = map, name_node = name_node, ctx = ctx, cond = { piece(cond) } }
  define(state, state.macros, macro)
end

-- ------------------------------------------------------------------ rules

local RULE = keys.item.rule

local function text_reader(key)
  return function(ctx, map, trim)
    local node = scalar(ctx, map, key, { required = true })
    return node and { piece(node, trim and key == "output") }
  end
end

local function reader(read, key)
  return function(ctx, map)
    return read(ctx, map, key)
  end
end

local READERS = { text = text_reader, priority = function() return priority end, texts = function() return tags end,
  bool = function(key) return reader(bool, key) end, whole = function(key) return reader(whole, key) end,
  script = function(key) return reader(script, key) end, throttle = function(key) return reader(throttle, key) end }

-- Names of keys inside the program, where they differ.
local KEPT_AS = { condition = "cond", ["skip-if-unknown-filter"] = "skip_unknown" }

-- The keys of a rule that are read one by one: { key, into = where it is kept, read, default, required }.
local READ = {}
for _, row in ipairs(RULE.rows) do
  if READERS[row.kind] and row.replace then
    local read = { key = row.key, into = KEPT_AS[row.key] or row.key, read = READERS[row.kind](row.key), default = row.default,
                   required = row.required }
    READ[#READ + 1], READ[row.key] = read, read
  end
end

-- What a new rule must have: keys, and those of them that are not there, quoted.
local function missing_keys(map)
  local out, n = {}, 0
  for _, row in ipairs(READ) do
    n = n + (row.required and 1 or 0)
    if row.required and not map.keys[row.key] then
      out[#out + 1] = "'" .. row.key .. "'"
    end
  end
  return out, #out == n
end

local function new_rule(state, ctx, map, name, name_node)
  local missing = missing_keys(map)
  local rule = { kind = "rule", name = name, node = map, name_node = name_node, ctx = ctx }
  if #missing > 0 then
    invalid(ctx, name_node, ("rule '%s' lacks %s"):format(name, table.concat(missing, " and ")))
  end
  for _, row in ipairs(READ) do
    if map.keys[row.key] then
      rule[row.into] = row.read(ctx, map, true)
    end
    if rule[row.into] == nil then
      rule[row.into] = row.default
    end
  end
  rule.tags = rule.tags or {}
  rule.source = text(ctx, map, "source") or RULE.by_name.source.default
  rule.exceptions = exceptions.read(ctx, map, false)
  local old = state.rules.by_name[name]
  if old and not old.broken and old.source ~= rule.source then
    mistake(ctx, name_node, ("rule '%s' is defined again, with another source ('%s' before)"):format(name, old.source))
  end
  if not exceptions.check_all(rule.exceptions) then
    rule.exceptions = {}
    ctx.failed = true
  end
  rule.known_source = M.SOURCES[rule.source] or false
  if not rule.known_source then
    local node = yaml.get(map, "source")
    context.warn(ctx, "LOAD_UNKNOWN_SOURCE", node, ("unknown source '%s'; the rule is skipped"):format(rule.source),
      { near = diag.suggest(rule.source, { "syscall" }) })
  end
  if ctx.failed then
    return define_broken(state, state.rules, rule)
  end
  define(state, state.rules, rule)
end

local function append_pieces(rule, key, pieces)
  for _, p in ipairs(pieces or {}) do
    if p.text ~= "" then
      rule[key][#rule[key] + 1] = p
    end
  end
end

-- One key of an override, appended.
local APPEND = {
  condition = function(ctx, map, rule) append_pieces(rule, "cond", READ.condition.read(ctx, map)) end,
  output = function(ctx, map, rule) append_pieces(rule, "output", READ.output.read(ctx, map)) end,
  desc = function(ctx, map, rule) append_pieces(rule, "desc", READ.desc.read(ctx, map)) end,
  tags = function(ctx, map, rule)
    for tag in pairs(tags(ctx, map)) do
      rule.tags[tag] = true
    end
  end,
  exceptions = function(ctx, map, rule) exceptions.append(rule.exceptions, exceptions.read(ctx, map, true)) end,
}

local function replace_key(ctx, map, rule, key)
  if key == "exceptions" then
    local read = exceptions.read(ctx, map, false)
    if exceptions.check_all(read) then
      rule.exceptions = read
    end
    return
  end
  local value = READ[key].read(ctx, map)
  if value ~= nil then
    rule[READ[key].into] = value
  end
end

-- Every overridden key must be there, and every key that could be overridden must be.
local function check_overrides(ctx, map, over)
  for _, how in ipairs{ "append", "replace" } do
    for _, key in ipairs(sorted_keys(over[how])) do
      if not map.keys[key] then
        invalid(ctx, over[how][key], ("'override' wants to %s '%s', but there is no '%s' here"):format(how, key, key))
      end
    end
  end
  for _, row in ipairs(ctx.failed and {} or RULE.rows) do
    local key = row.key
    if row.replace and map.keys[key] and not over.append[key] and not over.replace[key] then
      invalid(context.new(ctx, "overrides", key, yaml.get(map, key)), map.keys[key].key,
        ("'override' does not say what to do with '%s'"):format(key),
        { hint = ("add '%s: replace'%s to it"):format(key, row.append and (" or '%s: append'"):format(key) or "") })
    end
  end
end

-- Appends and replaces what `over` says, if the rule is there and fit for it.
local function change_rule(state, ctx, map, name, name_node, over)
  local rule = target(ctx, state.rules, name, name_node)
  if not rule or ctx.failed or rule.broken then
    return
  end
  local source = text(ctx, map, "source", { empty = true })
  if source and source ~= rule.source then
    return mistake(ctx, yaml.get(map, "source"),
      ("rule '%s' has the source '%s', which cannot be changed"):format(name, rule.source))
  end
  for _, key in ipairs(sorted_keys(over.append)) do
    APPEND[key](ctx, map, rule)
  end
  for _, key in ipairs(sorted_keys(over.replace)) do
    replace_key(ctx, map, rule, key)
  end
  rule.visibility, rule.sees = next_index(state), nil	-- what it says now may use macros of this file
end

local function override_rule(state, ctx, map, name, name_node, over)
  check_overrides(ctx, map, over)
  change_rule(state, ctx, map, name, name_node, over)
end

-- The older form: `append: true` with a condition, exceptions, or both.
local function append_rule(state, ctx, map, name, name_node)
  if not map.keys.condition and not map.keys.exceptions then
    mistake(ctx, name_node, ("nothing to append to rule '%s': neither 'condition' nor 'exceptions'"):format(name))
  end
  local over = { append = {}, replace = {} }
  over.append.condition = map.keys.condition and map.keys.condition.key
  over.append.exceptions = map.keys.exceptions and map.keys.exceptions.key
  change_rule(state, ctx, map, name, name_node, over)
end

-- `enabled` alone switches a rule that exists.
local function switch_rule(state, ctx, map, name, name_node)
  local node = scalar(ctx, map, "enabled")
  if not map.keys.enabled then
    return invalid(ctx, name_node, ("rule '%s' lacks %s"):format(name, table.concat(missing_keys(map), " and ")))
  elseif not node then
    return
  end
  local enabled = bool(ctx, map, "enabled")
  context.warn(ctx, "LOAD_DEPRECATED_ITEM", map.keys.enabled.key, "'enabled' alone to switch a rule is deprecated",
    { hint = "add  override: {enabled: replace}" })
  local rule = target(ctx, state.rules, name, name_node)
  if rule and enabled ~= nil then
    rule.enabled = enabled
  end
end

local function read_rule(state, ctx, map)
  local name, name_node = text(ctx, map, "rule", { required = true })
  if not name then
    return
  end
  ctx.name = name
  local over = overrides(ctx, map, RULE)
  unknown_keys(ctx, map, RULE)
  if over.any then
    override_rule(state, ctx, map, name, name_node, over)
  elseif over.flag then
    append_rule(state, ctx, map, name, name_node)
  elseif select(2, missing_keys(map)) then
    switch_rule(state, ctx, map, name, name_node)
  else
    new_rule(state, ctx, map, name, name_node)
  end
end

-- ------------------------------------------------------------------ files

-- By the names of keys.lua; the first of them that an item has as a key says what it is.
local READ_ITEM = { required_engine_version = versions.engine, required_plugin_versions = versions.plugins,
  list = read_list, macro = read_macro, rule = read_rule }

local function item_names()
  local names = {}
  for i, item in ipairs(keys.items) do
    names[i] = item.name
  end
  return names
end

local function unknown_item(ctx, map)
  local key = map[1] and map[1].key
  local name = key and key.text
  local message = name and ("unknown item '%s' is ignored"):format(name) or "an item without a name is ignored"
  context.warn(ctx, "LOAD_UNKNOWN_ITEM", key or map, message,
    { near = name and diag.suggest(name, item_names()), hint = "items: " .. table.concat(item_names(), ", ") })
end

-- index: which item of its document, from 0
local function read_item(state, map, root, index)
  if map.kind ~= "map" then
    local ctx = context.new(root, "rules content item", "", map, index)
    return invalid(ctx, map, ("an item of a rules file is a map, like '- rule: name', not %s"):format(KIND_NAMES[map.kind]))
  end
  for _, item in ipairs(keys.items) do
    if map.keys[item.name] then
      return READ_ITEM[item.name](state, context.new(root, item.context, "", map, index), map)
    end
  end
  unknown_item(context.new(root, "rules content item", "", map, index), map)
end

local function read_document(state, doc, root)
  if yaml.is_null(doc) then
    return
  elseif doc.kind ~= "seq" then
    return invalid(root, doc, ("this is %s, not a list of rules"):format(KIND_NAMES[doc.kind]),
      { hint = "each item of a rules file begins with '- rule:', '- macro:' or '- list:'" })
  end
  for i, item in ipairs(doc) do
    if not yaml.is_null(item) then
      read_item(state, item, root, i - 1)
    end
  end
end

function M.new(diags)
  return { diag = diags, index = 0, texts = {}, required_plugin_versions = {},
           rules = collection(), macros = collection(), lists = collection() }
end

function M.file(state, name, file_text)
  local root = { type = "rules content", name = "", file = name, state = state }
  state.texts[name] = file_text
  for _, doc in ipairs(yaml.parse(file_text, name, state.diag) or {}) do
    read_document(state, doc, root)
  end
  for _, rule in ipairs(state.rules.order) do
    rule.sees = rule.sees or state.index
  end
end

return M
