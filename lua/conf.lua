-- SPDX-License-Identifier: Apache-2.0
-- falco.yaml -> a plain table in the shape of schema.lua, every key there (defaults filled in).
--
--   read      the main file, then those of config_files, merged key by key at the top level
--   set       -o key=value from the command line, on the merged tree
--   convert   nodes -> values by the rows of schema.lua, collecting every mistake
--   settle    what one key alone cannot tell: aliases, plugins that load_plugins names
--
--   local config = conf.load{ path = "/etc/falco/falco.yaml", set = { "json_output=true" }, diag = diags }
--
-- path nil: no file, defaults and `set` only. The result is nil when diags got errors. Besides the keys of the schema
-- it has
--   .given     names of the top-level keys that were written somewhere (set)
--   .files     { path, ... } files that were read, in order
--   .absent    { path, ... } entries of config_files that do not exist
--   .missing   { {key =, text =}, ... } features that are switched on but not in this build; diags has warnings of them
local core = require("core")
local diag = require("diag")
local files = require("files")
local schema = require("schema")
local json = require("json")
local yaml = require("rules.yaml")

local M = {}

local WORDS = { scalar = "a single value", seq = "a list", map = "a map of keys" }

-- ------------------------------------------------------------------ reading

-- ${NAME} becomes the variable's value (nothing, if unset); $${NAME} stays as ${NAME}.
function M.expand_env(text)
  return (text:gsub("(%$?)%${([^}]*)}", function(escape, name)
    if escape == "$" then return "${" .. name .. "}" end
    return os.getenv(name) or ""
  end))
end

local function expand_nodes(node, seen)
  if seen[node] then return end
  seen[node] = true
  if node.kind == "scalar" then
    node.text = M.expand_env(node.text)
  elseif node.kind == "seq" then
    for _, item in ipairs(node) do expand_nodes(item, seen) end
  else
    for _, entry in ipairs(node) do expand_nodes(entry.value, seen) end
  end
end

local function empty_map(file)
  return { kind = "map", file = file, line = 1, column = 1, offset = 0, keys = {} }
end

-- yaml.parse() without the code of rules files.
local function parse(text, name, diags)
  local before = #diags.items
  local docs = yaml.parse(text, name, diags)
  for i = before + 1, #diags.items do diags.items[i].code = nil end
  return docs
end

-- The one document of a file that says anything, or nil after an error went to diags. Those behind it would be left out in
-- silence. Without any: a null scalar, or false.
local function only_document(docs, diags)
  local found = false
  for _, doc in ipairs(docs) do
    if not yaml.is_null(doc) then
      if found then
        diags:error(nil, doc, "a configuration file is one YAML document; this is a second one",
          { hint = "take the line '---' above it out" })
        return nil
      end
      found = doc
    end
  end
  return found
end

-- The top-level map of one file, or nil after an error went to diags.
local function read_file(path, diags)
  local text, message = files.read(path)
  if not text then
    diags:error(nil, nil, ("cannot read configuration file '%s': %s"):format(path, message))
    return nil
  end
  local docs = parse(text, path, diags)
  local root = docs and only_document(docs, diags)
  if root == nil then return nil end
  if not root then return empty_map(path) end
  if root.kind ~= "map" then
    diags:error(nil, root, "a configuration file is a map of keys, not a " .. root.kind)
    return nil
  end
  expand_nodes(root, {})
  return root
end

local function put(map, key, value)
  local entry = map.keys[key.text]
  if entry then
    entry.value = value
  else
    entry = { key = key, value = value }
    map[#map + 1] = entry
    map.keys[key.text] = entry
  end
end

local function concat_seqs(a, b)
  local both = {}
  for k, v in pairs(a) do both[k] = v end
  for _, item in ipairs(b) do both[#both + 1] = item end
  return both
end

-- `into` gets the top-level keys of `from`.
local function merge(into, from, strategy)
  for _, entry in ipairs(from) do
    local there = into.keys[entry.key.text]
    if not there then
      put(into, entry.key, entry.value)
    elseif strategy == "append" and entry.value.kind == "seq" and there.value.kind == "seq" then
      there.value = concat_seqs(there.value, entry.value)
    elseif strategy ~= "add-only" then
      -- the new key's place is the one that messages should show
      there.key, there.value = entry.key, entry.value
    end
  end
end

-- Entries of config_files as {path, strategy, node}; malformed ones are left for convert() to complain about.
local function include_entries(root)
  local entries, list = {}, yaml.get(root, "config_files")
  if not list then return entries end
  for _, item in ipairs(list.kind == "seq" and list or { list }) do
    if item.kind == "scalar" and not yaml.is_null(item) then
      entries[#entries + 1] = { path = item.text, strategy = "append", node = item }
    elseif item.kind == "map" then
      local path, strategy = yaml.get(item, "path"), yaml.get(item, "strategy")
      if path and path.kind == "scalar" then
        entries[#entries + 1] = { path = path.text, strategy = strategy and strategy.text or "append", node = item }
      end
    end
  end
  return entries
end

local function include(root, entry, file, diags, read)
  local from = read_file(file, diags)
  if not from then return end
  read[#read + 1] = file
  local nested = from.keys.config_files
  if nested then
    diags:error(nil, nested.key, "'config_files' is for the main configuration file only")
    return
  end
  merge(root, from, entry.strategy)
end

-- The files that an entry stands for, or nil and why that cannot be told. One that is not there stands for none.
local function files_of(entry, absent)
  local kind, why = files.kind(entry.path)
  if kind == "dir" then return files.inside(entry.path) end
  if kind == "missing" then absent[#absent + 1] = entry.path end
  return kind and (kind == "file" and { entry.path } or {}), why
end

local function include_all(root, main, diags, read, absent)
  for _, entry in ipairs(include_entries(root)) do
    if entry.path == main then
      diags:error(nil, entry.node, "'config_files' includes the main configuration file itself")
    else
      local found, why = files_of(entry, absent)
      if not found then
        diags:error(nil, entry.node, ("cannot read configuration '%s': %s"):format(entry.path, why))
      end
      for _, file in ipairs(found or {}) do include(root, entry, file, diags, read) end
    end
  end
end

-- ------------------------------------------------------------------ -o key=value

-- "a.b[3].c" -> steps { "a", "b", 3, "c" } (numbers from 0; "[]", append, is false) and the byte where each begins, from 1.
-- Malformed: nil, one line of text, where.
function M.parse_key(text)
  local steps, columns, name, start, i = {}, {}, nil, 1, 1
  local function add(step, at)
    steps[#steps + 1], columns[#columns + 1] = step, at
  end
  local function end_name()
    if name then add(name, start) end
    name = nil
  end
  while i <= #text do
    local c = text:sub(i, i)
    if c == "." then
      local after_index = text:sub(i - 1, i - 1) == "]"
      if not name and not after_index then return nil, "a name is missing before '.'", i end
      end_name()
      if i == #text then return nil, "a name is missing after '.'", i end
    elseif c == "[" then
      end_name()
      local index = text:match("^%[(%d*)%]", i)
      if not index or #steps == 0 then return nil, "brackets want a name in front and a number inside", i end
      if #index > 9 then return nil, ("there is no item %s"):format(index), i end
      add(index ~= "" and tonumber(index), i)
      i = i + #index + 1
    else
      if not name then name, start = "", i end
      if c == "\\" then
        i = i + 1
        c = text:match("^[.%[%]\\]", i)
        if not c then return nil, "after a backslash comes one of . [ ] \\", i - 1 end
      end
      name = name .. c
    end
    i = i + 1
  end
  end_name()
  if #steps == 0 then return nil, "the key is empty", 1 end
  return steps, columns
end

-- A node whose place is one option of the command line, from byte `column` (from 1).
local function option_node(option, column, fields)
  fields.file, fields.offset, fields.end_offset = "-o " .. option, column - 1, #option
  fields.line, fields.column = 1, column
  return fields
end

local function option_scalar(option, column, text)
  return option_node(option, column, { kind = "scalar", text = text, plain = true })
end

local function option_value(option, column, text, diags)
  if not text:find("^{.*}$") and not text:find("^%[.*%]$") then return option_scalar(option, column, text) end
  local docs = parse(text, "-o " .. option, diags)
  return docs and docs[1]
end

-- One step down from `node`: a slot to read and write the child, or nil and one line of text.
local function slot_of(node, step, key)
  if type(step) == "string" then
    if node.kind ~= "map" then return nil, ("'%s' is looked for in %s"):format(step, WORDS[node.kind]) end
    return {
      get = function() return yaml.get(node, step) end,
      set = function(value) put(node, key, value) end,
    }
  end
  if node.kind ~= "seq" then return nil, "brackets are for lists" end
  local index = step or #node
  if index > #node then return nil, ("there is no item %d: the list has %d"):format(index, #node) end
  return {
    get = function() return node[index + 1] end,
    set = function(value) node[index + 1] = value end,
  }
end

-- An empty container for `next_step` to go into.
local function container(option, column, next_step)
  if type(next_step) == "string" then return option_node(option, column, { kind = "map", keys = {} }) end
  return option_node(option, column, { kind = "seq" })
end

local function set_at(root, option, steps, columns, value)
  local at = root
  for i, step in ipairs(steps) do
    local slot, message = slot_of(at, step, option_scalar(option, columns[i], step))
    if not slot then return message, columns[i] end
    local child = slot.get()
    if i == #steps then
      slot.set(value)
    elseif not child or yaml.is_null(child) then
      child = container(option, columns[i], steps[i + 1])
      slot.set(child)
    end
    at = child
  end
end

local function set_option(root, option, diags)
  diags:source("-o " .. option, option)
  local key, text = option:match("^(.-)=(.*)$")
  if not key then
    diags:error(nil, option_node(option, 1, {}), "-o wants key=value")
    return
  end
  local steps, columns, wrong = M.parse_key(key)
  if not steps then
    diags:error(nil, option_node(option, wrong, {}), columns)
    return
  end
  local value = option_value(option, #key + 2, text, diags)
  if not value then return end
  local message, column = set_at(root, option, steps, columns, value)
  if message then diags:error(nil, option_node(option, column, {}), message) end
end

-- ------------------------------------------------------------------ values

local convert

local BOOLS = { ["true"] = true, yes = true, on = true, y = true, ["false"] = false, no = false, off = false,
  n = false }

local function default_of(spec)
  if spec.kind == "list" then return json.array() end
  if spec.kind == "open" then return {} end
  if spec.kind ~= "map" then return spec.default end
  local value = {}
  for _, row in ipairs(spec.rows) do
    if not row[2].alias then value[row[1]] = default_of(row[2]) end
  end
  return value
end

-- Limits as people write them: %g would make 4.29497e+09 of 4294967295.
local function limit_text(n)
  return n == math.floor(n) and math.abs(n) < 2^53 and ("%.0f"):format(n) or ("%g"):format(n)
end

local function number_in_range(ctx, node, spec, path, n, what)
  if not n then
    ctx.diag:error(nil, node, ("'%s' wants %s, not '%s'"):format(path, what, node.text))
  elseif (spec.min and n < spec.min) or (spec.max and n > spec.max) then
    local range = spec.max and limit_text(spec.min) .. " to " .. limit_text(spec.max) or limit_text(spec.min) .. " or more"
    ctx.diag:error(nil, node, ("'%s' must be %s, not %s"):format(path, range, node.text))
  else
    return n
  end
  return spec.default
end

local function integer(text)
  if not text:find("^[-+]?%d+$") and not text:find("^0[xX]%x+$") then return nil end
  local n = tonumber((text:gsub("^%+", "")))
  return n and math.abs(n) < 2 ^ 53 and n or nil
end

local SCALARS = {}

function SCALARS.bool(ctx, node, spec, path)
  local value = BOOLS[node.text:lower()]
  if value ~= nil then return value end
  ctx.diag:error(nil, node, ("'%s' wants true or false, not '%s'"):format(path, node.text),
    { near = diag.suggest(node.text, { "true", "false", "yes", "no" }) })
  return spec.default
end

function SCALARS.int(ctx, node, spec, path)
  return number_in_range(ctx, node, spec, path, integer(node.text), "a whole number")
end

function SCALARS.number(ctx, node, spec, path)
  local n = tonumber(node.text)
  if n and (n ~= n or math.abs(n) == math.huge) then n = nil end      -- nan, inf, 1e999
  return number_in_range(ctx, node, spec, path, n, "a number")
end

function SCALARS.string(ctx, node, spec, path)
  local text = node.text
  if spec.check then
    local why, known = spec.check(text)
    if why then
      ctx.diag:error(nil, node, ("'%s': '%s' %s"):format(path, text, why), { near = diag.suggest(text, known) })
    end
  end
  if not spec.enum then return text end
  for _, known in ipairs(spec.enum) do
    if text:lower() == known then return known end
  end
  ctx.diag:error(nil, node, ("'%s' must be one of %s, not '%s'"):format(path, table.concat(spec.enum, ", "), text),
    { near = diag.suggest(text, spec.enum) })
  return spec.default
end

local WANTED = { bool = "true or false", int = "a whole number", number = "a number", string = "a text",
  list = "a list",
  map = "a map of keys", open = "a map of keys" }

local function wrong_kind(ctx, node, spec, path)
  ctx.diag:error(nil, node, ("'%s' wants %s, not %s"):format(path, WANTED[spec.kind], WORDS[node.kind]))
  return default_of(spec)
end

local function convert_list(ctx, node, spec, path)
  -- one value stands for a list of it, as upstream has it (and -o can give no other)
  local items = node.kind == "seq" and node or { node }
  if node.kind == "map" and spec.item.kind ~= "map" then return wrong_kind(ctx, node, spec, path) end
  local values = json.array()
  for i, item in ipairs(items) do
    local value = convert(ctx, item, spec.item, ("%s[%d]"):format(path, i - 1))
    if value ~= nil then values[#values + 1] = value end
  end
  return values
end

local function unknown_key(ctx, entry, name, spec, path)
  local known = {}
  for _, row in ipairs(spec.rows) do known[#known + 1] = row[1] end
  local where = path == "" and "" or (" in '%s'"):format(path)
  ctx.diag:error(nil, entry.key, ("unknown key '%s'%s"):format(name, where), { near = diag.suggest(name, known) })
end

-- An alias gives its value to the key that replaced it, unless that one is written too.
local function convert_alias(ctx, node, entry, spec)
  local name = spec.alias
  if node.keys[name] then
    ctx.diag:error(nil, entry.key, ("'%s' is an old name of '%s'; only one of them can be given")
      :format(entry.key.text, name))
    return nil
  end
  ctx.diag:warning(nil, entry.key, ("'%s' is an old name; use '%s'"):format(entry.key.text, name))
  return name
end

local function convert_map(ctx, node, spec, path)
  local value = default_of(spec)
  local seen = {}
  for _, entry in ipairs(node) do
    local name = entry.key.text or ""
    local row = spec.by_name[name]
    local child = path == "" and name or path .. "." .. name
    if not row then
      unknown_key(ctx, entry, name, spec, path)
    elseif seen[name] then
      ctx.diag:warning(nil, entry.key, ("'%s' is given twice; the first one counts"):format(child))
    else
      seen[name] = true
      if path == "" then ctx.given[name] = true end
      local target = row.alias and convert_alias(ctx, node, entry, row) or not row.alias and name
      if target then value[target] = convert(ctx, entry.value, row, child) end
    end
  end
  for _, row in ipairs(spec.rows) do
    if row[2].required and not seen[row[1]] then
      ctx.diag:error(nil, node, ("'%s' lacks the key '%s'"):format(path, row[1]))
    end
  end
  local why = spec.check and spec.check(value)
  if why then ctx.diag:error(nil, node, ("'%s': %s"):format(path, why)) end
  return value
end

local function convert_open(ctx, node, _, path)
  if node.kind == "map" then
    local value, why = yaml.plain(node)
    if not value then ctx.diag:error(nil, node, ("'%s': %s"):format(path, why)) end
    return value or {}
  end
  ctx.diag:error(nil, node, ("'%s' wants a map of keys, not %s"):format(path, WORDS[node.kind]))
  return {}
end

local function fits(spec, node)
  if node.kind == "map" then return spec.kind == "map" or spec.kind == "open" end
  if node.kind == "seq" then return spec.kind == "list" end
  return SCALARS[spec.kind] ~= nil
end

local function convert_either(ctx, node, spec, path)
  for _, choice in ipairs(spec.choices) do
    if fits(choice, node) then return convert(ctx, node, choice, path) end
  end
  return wrong_kind(ctx, node, spec.choices[1], path)
end

local function is_asked(spec, value)
  if spec.asks then return spec.asks(value) end
  if type(value) == "table" then return next(value) ~= nil end
  return value ~= spec.default
end

local function note_missing(ctx, node, spec, path, value)
  if not spec.missing or not is_asked(spec, value) then return end
  ctx.missing[#ctx.missing + 1] = { key = path, text = spec.missing }
  ctx.diag:warning(nil, node, ("'%s' asks for something that this build does not have: %s"):format(path,
    spec.missing))
end

local function convert_value(ctx, node, spec, path)
  if spec.kind == "list" then return convert_list(ctx, node, spec, path) end
  if spec.kind == "either" then return convert_either(ctx, node, spec, path) end
  if spec.kind == "open" then return convert_open(ctx, node, spec, path) end
  if spec.kind == "map" then
    if node.kind ~= "map" then return wrong_kind(ctx, node, spec, path) end
    return convert_map(ctx, node, spec, path)
  end
  if node.kind ~= "scalar" then return wrong_kind(ctx, node, spec, path) end
  return SCALARS[spec.kind](ctx, node, spec, path)
end

function convert(ctx, node, spec, path)
  if yaml.is_null(node) then return default_of(spec) end
  local value = convert_value(ctx, node, spec, path)
  note_missing(ctx, node, spec, path, value)
  return value
end

-- ------------------------------------------------------------------ settling

local BUILT_IN = { container = true }       -- plugins that need no entry in `plugins`

-- load_plugins, when it is there, picks from `plugins` and gives the order.
local function pick_plugins(config, root, diags)
  if not config.given.load_plugins then return end
  local by_name, names, picked = {}, {}, {}
  for _, plugin in ipairs(config.plugins) do
    by_name[plugin.name or ""] = plugin
    names[#names + 1] = plugin.name
  end
  for _, name in ipairs(config.load_plugins) do
    if by_name[name] then
      picked[#picked + 1] = by_name[name]
    elseif BUILT_IN[name] then
      picked[#picked + 1] = { name = name }
    else
      local message = ("'load_plugins' names '%s', but 'plugins' has no such entry"):format(name)
      diags:error(nil, yaml.get(root, "load_plugins"), message,
        { near = diag.suggest(name, names) })
    end
  end
  config.plugins = picked
end

-- Where the configuration is looked for when -c names none.
function M.default_path()
  return core.cstr(core.C.falco_sysconf_dir()) .. "/falco/falco.yaml"
end

function M.load(opts)
  local diags, read, absent = opts.diag, {}, {}
  local root = empty_map(opts.path or "-o")
  if opts.path then
    root = read_file(opts.path, diags)
    if not root then return nil end
    read[1] = opts.path
  end
  -- config_files given by -o must be known before its files are read
  for _, option in ipairs(opts.set or {}) do
    if option:find("^config_files") then set_option(root, option, diags) end
  end
  if opts.path or root.keys.config_files then include_all(root, opts.path, diags, read, absent) end
  for _, option in ipairs(opts.set or {}) do
    if not option:find("^config_files") then set_option(root, option, diags) end
  end

  local ctx = { diag = diags, given = {}, missing = {} }
  local config = convert_map(ctx, root, schema.root, "")
  config.given, config.files, config.absent, config.missing = ctx.given, read, absent, ctx.missing
  pick_plugins(config, root, diags)
  if diags.errors > 0 then return nil end
  return config
end

return M
