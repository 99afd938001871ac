-- SPDX-License-Identifier: Apache-2.0
-- What the program knows, printed from its own tables: --list, --list-events, --list-plugins, --version, --support,
-- --config-schema, the text of -L and -l. Each function returns text; main.lua prints it.
local bit = require("bit")
local core = require("core")
local json = require("json")
local schema = require("schema")

local M = {}

local LEFT, WIDTH = 30, 120        -- columns of names, and of everything

local function upstream(what)
  return core.cstr(core.C.upstream_versions()[what])
end

-- Lines of at most `width` columns, each further one below the first.
local function wrap(text, left, width)
  local lines, line = {}, ""
  for word in text:gmatch("%S+") do
    if line ~= "" and left + #line + 1 + #word > width then
      lines[#lines + 1] = line
      line = word
    else
      line = line == "" and word or line .. " " .. word
    end
  end
  lines[#lines + 1] = line
  return table.concat(lines, "\n" .. (" "):rep(left))
end

local function two_columns(left, right, indent, width)
  local pad = #left < indent and left .. (" "):rep(indent - #left) or left .. "\n" .. (" "):rep(indent)
  return pad .. wrap(right, indent, width) .. "\n"
end

-- ------------------------------------------------------------------ fields

local FLAG_TAGS = { "FIELD_FILTER_ONLY", "FIELD_PRINT_ONLY", "FIELD_NO_RHS", "FIELD_NO_TRANSFORM", "FIELD_LIST" }

local function argument_of(info)
  local C = core.C
  if info.arg == C.ARG_NONE then return nil end
  local kinds = json.array()
  if bit.band(info.arg, C.ARG_INDEX) ~= 0 then kinds[#kinds + 1] = "INDEX" end
  if bit.band(info.arg, C.ARG_KEY) ~= 0 then kinds[#kinds + 1] = "KEY" end
  return { required = bit.band(info.arg, C.ARG_REQUIRED) ~= 0, type = kinds }
end

local function field_of(info)
  local C, ffi = core.C, core.ffi
  local tags = {}
  local argument = argument_of(info)
  if argument then
    tags[1] = argument.required and "ARG_REQUIRED" or "ARG_ALLOWED"
    for _, kind in ipairs(argument.type) do tags[#tags + 1] = "ARG_" .. kind end
  end
  for _, name in ipairs(FLAG_TAGS) do
    if bit.band(info.flags, C[name]) ~= 0 then tags[#tags + 1] = name:sub(#"FIELD_" + 1) end
  end
  return {
    name = ffi.string(info.name), class = ffi.string(info.class_name), desc = ffi.string(info.doc),
    type = ffi.string(C.type_name(info.type)), is_list = bit.band(info.flags, C.FIELD_LIST) ~= 0,
    is_shown = bit.band(info.flags, bit.bor(C.FIELD_HIDDEN, C.FIELD_DEPRECATED)) == 0,
    tags = tags, argument = argument,
  }
end

-- Classes in the order of the table: { {name =, fields = {..}}, ... }
local function field_classes()
  local classes, by_name = {}, {}
  for i = 0, core.C.field_count() - 1 do
    local field = field_of(core.C.field_info(i))
    if field.is_shown then
      local class = by_name[field.class]
      if not class then
        class = { name = field.class, fields = {} }
        by_name[field.class] = class
        classes[#classes + 1] = class
      end
      class.fields[#class.fields + 1] = field
    end
  end
  return classes
end

local FIELD_FORMATS = {}

function FIELD_FORMATS.text(classes, verbose)
  local out = {}
  for _, class in ipairs(classes) do
    out[#out + 1] = "-------------------------------\n"
    out[#out + 1] = two_columns("Field Class:", class.name, LEFT, WIDTH)
    out[#out + 1] = two_columns("Event Sources:", "syscall", LEFT, WIDTH) .. "\n"
    for _, field in ipairs(class.fields) do
      local tags = #field.tags > 0 and "(" .. table.concat(field.tags, ",") .. ") " or ""
      local kind = verbose and "(Type: " .. field.type .. ") " or ""
      out[#out + 1] = two_columns(field.name, kind .. tags .. field.desc, LEFT, WIDTH)
    end
    out[#out + 1] = "\n"
  end
  return table.concat(out)
end

function FIELD_FORMATS.markdown(classes)
  local out = {}
  for _, class in ipairs(classes) do
    out[#out + 1] = ("## Field Class: %s\n\nEvent Sources: syscall\n\n"):format(class.name)
    out[#out + 1] = "Name | Type | Description\n:----|:-----|:-----------\n"
    for _, field in ipairs(class.fields) do
      local kind = field.is_list and "LIST(" .. field.type .. ")" or field.type
      out[#out + 1] = ("`%s` | %s | %s\n"):format(field.name, kind, (field.desc:gsub("|", "\\|")))
    end
    out[#out + 1] = "\n"
  end
  return table.concat(out)
end

function FIELD_FORMATS.json(classes)
  local list = json.array()
  for _, class in ipairs(classes) do
    local fields = json.array()
    for _, field in ipairs(class.fields) do
      fields[#fields + 1] = { name = field.name, type = field.type, desc = field.desc, is_list = field.is_list,
        argument = field.argument or json.null }
    end
    list[#list + 1] = { name = class.name, event_sources = json.array({ "syscall" }), fields = fields }
  end
  return json.encode({ fieldclasses = list }, 2) .. "\n"
end

local function field_names(classes, format)
  local names = json.array()
  for _, class in ipairs(classes) do
    for _, field in ipairs(class.fields) do names[#names + 1] = field.name end
  end
  if format == "json" then return json.encode({ fieldnames = names }, 2) .. "\n" end
  return table.concat(names, "\n") .. "\n"
end

-- opts: source ("" = all), names_only, format, verbose. nil and a message for a source that is not there.
function M.fields(opts)
  if opts.source ~= "" and opts.source ~= "syscall" then
    return nil, ("there is no event source '%s' in this build, only 'syscall'"):format(opts.source)
  end
  local classes = field_classes()
  if opts.names_only then return field_names(classes, opts.format) end
  return FIELD_FORMATS[opts.format](classes, opts.verbose)
end

-- ------------------------------------------------------------------ events

local GROUPS = {
  { title = "Syscall events", syscall = true }, { title = "Tracepoint events", tracepoint = true },
  { title = "Plugin events", plugin = true }, { title = "Metaevents", meta = true, iterator = true },
}

local function params_of(info)
  local C, ffi = core.C, core.ffi
  local params = json.array()
  for i = 0, info.nparams - 1 do
    local param = info.params[i]
    local kind = ffi.string(C.type_name(param.type))
    local flags
    if kind:find("FLAGS") and param.flags ~= nil then
      flags = json.array()
      for k = 0, param.flags.n - 1 do flags[#flags + 1] = ffi.string(param.flags.rows[k].name) end
    end
    params[#params + 1] = { type = kind, name = ffi.string(param.name), flags = flags }
  end
  return params
end

local function event_entry(code, name)
  local C = core.C
  local info = C.event_info(code)
  return {
    name = name or core.ffi.string(info.name), dir = C.event_is_exit(code) and "<" or ">",
    available = C.event_is_seen(code), params = params_of(info), origin = core.ffi.string(C.origin_name(info.origin)),
  }
end

-- System calls that have no event of their own, sorted.
local function generic_names(own)
  local names, seen = {}, {}
  for sc = 1, core.C.syscall_count() - 1 do
    local name = core.ffi.string(core.C.syscall_name(sc))
    if name ~= "" and not own[name] and not seen[name] then
      seen[name] = true
      names[#names + 1] = name
    end
  end
  table.sort(names)
  return names
end

local function all_events()
  local C = core.C
  local events, own, generic = {}, {}, {}
  for code = 0, C.event_count() - 1 do
    if C.event_is_generic(code) then
      generic[#generic + 1] = code
    elseif not C.event_is_unused(code) then
      local entry = event_entry(code)
      own[entry.name] = true
      if not C.event_is_old(code) and entry.origin ~= "" then events[#events + 1] = entry end
    end
  end
  for _, name in ipairs(generic_names(own)) do
    for _, code in ipairs(generic) do events[#events + 1] = event_entry(code, name) end
  end
  return events
end

local function param_text(param, mark)
  local text = ("%s **%s**"):format(param.type, param.name)
  if not param.flags then return text end
  local flags = {}
  for i, flag in ipairs(param.flags) do flags[i] = mark .. flag .. mark end
  return text .. ": " .. table.concat(flags, ", ")
end

local function params_text(entry, mark)
  local texts = {}
  for i, param in ipairs(entry.params) do texts[i] = param_text(param, mark) end
  return table.concat(texts, ", ")
end

local EVENT_FORMATS = {}

local function grouped(events, head, line)
  local out = { ("The events below are valid for Falco *Schema Version*: %s\n"):format(upstream("driver_schema")) }
  for _, group in ipairs(GROUPS) do
    out[#out + 1] = "## " .. group.title .. "\n\n" .. head
    for _, entry in ipairs(events) do
      if group[entry.origin] then out[#out + 1] = line(entry) end
    end
    out[#out + 1] = "\n"
  end
  return table.concat(out)
end

function EVENT_FORMATS.text(events)
  return grouped(events, "", function(entry)
    return ("%s %s(%s)\n"):format(entry.dir, entry.name, params_text(entry, ""))
  end)
end

function EVENT_FORMATS.markdown(events)
  return grouped(events, "Default | Dir | Name | Params \n:-------|:----|:-----|:-----\n", function(entry)
    return ("%s | `%s` | `%s` | %s\n"):format(entry.available and "Yes" or "No", entry.dir, entry.name,
      params_text(entry, "*"))
  end)
end

function EVENT_FORMATS.json(events)
  local root = { schema_version = upstream("driver_schema") }
  for _, group in ipairs(GROUPS) do
    local list = json.array()
    for _, entry in ipairs(events) do
      if group[entry.origin] then
        list[#list + 1] = { name = entry.name, dir = entry.dir, available = entry.available, params = entry.params }
      end
    end
    root[group.title] = list
  end
  return json.encode(root, 2) .. "\n"
end

function M.events(format)
  return EVENT_FORMATS[format](all_events())
end

function M.plugins()
  return "0 Plugins Loaded:\n\n\n"
end

-- ------------------------------------------------------------------ versions and support

function M.versions()
  local engine = upstream("engine")
  return {
    falco_version = core.cstr(core.C.falco_version()), libs_version = upstream("libs"),
    plugin_api_version = upstream("plugin_api"), driver_api_version = upstream("driver_api"),
    driver_schema_version = upstream("driver_schema"), default_driver_version = "none",
    engine_version = engine:match("%.(%d+)"), engine_version_semver = engine,
  }
end

function M.version(is_json)
  local v = M.versions()
  if is_json then return json.encode(v) .. "\n" end
  return table.concat({
    "Falco version: " .. v.falco_version, "Plugin API:    " .. v.plugin_api_version,
    "Engine:        " .. v.engine_version_semver, "Driver:", "  API version:    " .. v.driver_api_version,
    "  Schema version: " .. v.driver_schema_version, "",
  }, "\n")
end

local function first_line(path)
  local f = io.open(path)
  if not f then return "" end
  local line = f:read("*l")
  f:close()
  return line or ""
end

-- user:password@ of URLs
local function hide_login(text)
  return (text:gsub("(://)[^/@%s]*@", "%1***@"))
end

-- A value of the configuration with stars in place of secrets.
local function without_secrets(spec, value)
  if spec.secret == "url" then return hide_login(value) end
  if spec.secret and value ~= "" then return "***" end
  if spec.kind ~= "map" or type(value) ~= "table" then return value end
  local copy = setmetatable({}, getmetatable(value))
  for key, item in pairs(value) do
    local inner = spec.by_name[key]
    copy[key] = item
    if inner then copy[key] = without_secrets(inner, item) end
  end
  return copy
end

-- The keys of falco.yaml, without what else conf.load() found out.
local function written(config)
  local keys = {}
  for _, row in ipairs(schema.root.rows) do keys[row[1]] = without_secrets(row[2], config[row[1]]) end
  return keys
end

-- What a person who helps wants to know. config: from conf.load(); files: { {name =, text =}, ... } of rules.
function M.support(args, config, files)
  local rules = json.array()
  for _, file in ipairs(files) do
    rules[#rules + 1] = { name = file.name, variants = json.array({ { content = file.text or "" } }) }
  end
  return json.encode({
    version = core.ffi.string(core.C.falco_version()), engine_info = M.versions(),
    cmdline = "falco " .. hide_login((table.concat(args, " "):gsub("(password=)%S+", "%1***"))),
    config = written(config), rules_files = rules,
    system_info = {
      sysname = first_line("/proc/sys/kernel/ostype"), nodename = first_line("/proc/sys/kernel/hostname"),
      release = first_line("/proc/sys/kernel/osrelease"), version = first_line("/proc/sys/kernel/version"),
      machine = jit.arch == "x64" and "x86_64" or jit.arch == "arm64" and "aarch64" or jit.arch,
    },
  }) .. "\n"
end

-- ------------------------------------------------------------------ the schema of falco.yaml

local schema_of

local SCHEMA_TYPES = { bool = "boolean", int = "integer", number = "number", string = "string" }

local function schema_map(spec)
  local properties, required = {}, json.array()
  for _, row in ipairs(spec.rows) do
    properties[row[1]] = schema_of(row[2])
    if row[2].required then required[#required + 1] = row[1] end
  end
  if #required == 0 then required = nil end
  return { type = "object", additionalProperties = false, properties = properties, required = required }
end

function schema_of(spec)
  local out
  if spec.kind == "map" then
    out = schema_map(spec)
  elseif spec.kind == "list" then
    out = { type = "array", items = schema_of(spec.item) }
  elseif spec.kind == "open" then
    out = { type = "object" }
  elseif spec.kind == "either" then
    out = { anyOf = json.array() }
    for i, choice in ipairs(spec.choices) do out.anyOf[i] = schema_of(choice) end
  else
    out = { type = SCHEMA_TYPES[spec.kind], minimum = spec.min, maximum = spec.max, enum = spec.enum,
      default = spec.default }
  end
  out.description = spec.doc
  return out
end

function M.config_schema()
  local out = schema_of(schema.root)
  out["$schema"] = "http://json-schema.org/draft-06/schema#"
  return json.encode(out, 2) .. "\n"
end

-- ------------------------------------------------------------------ ignored events

-- As upstream prints it, but in order.
function M.ignored_events()
  return "Ignored syscall(s):\n- " .. table.concat(require("rules.interest").ignored(), "\n- ") .. "\n\n"
end

-- ------------------------------------------------------------------ rules

-- What describe.lua found, for people.
function M.describe_text(described)
  local out = { ("%-50s %s\n"):format("Rule", "Description"), ("%-50s %s\n"):format("----", "-----------") }
  for _, rule in ipairs(described.rules) do
    local info = rule.info
    local left = #info.name < 50 and info.name .. (" "):rep(51 - #info.name) or info.name .. " "
    out[#out + 1] = left .. wrap(info.description, 51, 110) .. "\n\n"
  end
  return table.concat(out)
end

return M
