-- SPDX-License-Identifier: Apache-2.0
-- An alert's values (struct alert, copied out of the event by C) -> the line that outputs write. It is put together in
-- buffers that are reused; values go from C into them without becoming Lua strings or numbers.
--
--   local formatter = format.new(config, ruleset)
--   local prepared = formatter:prepare(rule)            once for each rule of rules.load()
--   local record = formatter:render(prepared, C.alert_fill(evt, prepared.output))
--
-- A record is what outputs/init.lua describes; its line lives until the next render().
--
-- Text   TIME: Priority message     the whole escaped as the inside of a JSON string, so that it is one line for sure
-- JSON   keys in the order of their bytes; output_fields holds the fields of the message, of the prefix (the time), and
--        those that append_output adds: plain fields as their values, formats as texts
local buffer = require("string.buffer")
local core = require("core")
local diag = require("diag")
local json = require("json")
local sorted_keys = require("sorted_keys")
local text = require("text")
local rules = require("rules")

local M = {}

-- What stands in front of a message. The time is written by C; its field belongs to the output_fields.
local TIME_LOCAL = { form = "TIME_CLOCK_NS", field = "%evt.time" }
local TIME_ISO = { form = "TIME_ISO", field = "%evt.time.iso8601" }

-- ------------------------------------------------------------------ writing into a string.buffer

local GUESS = 512        -- room to try with before asking how much it takes

-- write: value_text() or value_json() of C. They say how much they wanted, and are called again if that was too much.
local function put(out, write, value)
  local p, room = out:reserve(GUESS)
  local n = write(value, p, room)
  if n > room then
    p, room = out:reserve(n)
    n = write(value, p, room)
  end
  out:commit(n)
end

local function put_escaped(out, bytes, len)
  local C = core.C
  local p, room = out:reserve(len + GUESS)
  local n = C.json_escape(bytes, len, p, room)
  if n > room then
    p, room = out:reserve(n)
    n = C.json_escape(bytes, len, p, room)
  end
  out:commit(n)
end

local function put_time(out, ns, form)
  local p, room = out:reserve(GUESS)
  out:commit(core.C.time_text(ns, form, p, room))
end

-- %20field: cut or filled up to so many bytes.
local function put_fixed(out, scratch, value, width)
  scratch:reset()
  put(scratch, core.C.value_text, value)
  local n = #scratch
  out:put(scratch:get(width))
  if n < width then out:put((" "):rep(width - n)) end
end

-- ------------------------------------------------------------------ values of several plans in one alert

-- Expressions of one alert, each once.
local Union = {}
Union.__index = Union

local function new_union(ruleset)
  return setmetatable({ ruleset = ruleset, exprs = {}, index = {} }, Union)
end

-- Where the value of expression `id` will be in alert.values.
function Union:add(id)
  local at = self.index[id]
  if not at then
    at = #self.exprs
    self.exprs[at + 1] = id
    self.index[id] = at
  end
  return at
end

-- The parts of a plan, with indices into this alert's values: texts, and { at =, width = }.
function Union:parts(plan)
  local parts = {}
  for i, part in ipairs(plan.parts) do
    parts[i] = type(part) == "string" and part or { at = self:add(plan.exprs[part.expr]), width = part.width }
  end
  return parts
end

-- Adds the plan's fields to `map`: name -> { at = }.
function Union:fields(plan, map)
  for _, field in ipairs(plan.fields) do map[field.name] = { at = self:add(plan.exprs[field.expr]) } end
end

-- The id for alert_fill().
function Union:output()
  local list = core.ffi.new("int32_t[?]", math.max(#self.exprs, 1), self.exprs)
  local id = core.C.ruleset_output(self.ruleset, list, #self.exprs)
  assert(id >= 0, "an output of expressions that exist cannot fail")
  return id
end

local function put_part(self, out, part, values)
  if part.width then
    put_fixed(out, self.scratch, values + part.at, part.width)
  else
    put(out, core.C.value_text, values + part.at)
  end
end

-- A terminal obeys control characters, and values may come from somebody who knows that.
local function put_printable(self, out, part, values)
  self.scratch3:reset()
  put_part(self, self.scratch3, part, values)
  out:put((text.printable(self.scratch3:get()):gsub("[\t\n]", "?")))
end

local function put_parts(self, out, parts, values)
  local put_value = self.clean and put_printable or put_part
  for i = 1, #parts do
    local part = parts[i]
    if type(part) == "string" then
      out:put(part)
    else
      put_value(self, out, part, values)
    end
  end
end

local function by_name(a, b)
  return a.name < b.name
end

-- Members of an object, sorted: { name, at } values or { name, parts } texts, with what stands in front of each.
local function members_of(map)
  local members = {}
  for name, member in pairs(map) do
    member.name = name
    members[#members + 1] = member
  end
  table.sort(members, by_name)
  for i, member in ipairs(members) do
    member.head = (i > 1 and "," or "") .. json.quote(member.name) .. ":"
  end
  return members
end

local function put_members(self, out, members, values)
  for i = 1, #members do
    local member = members[i]
    out:put(member.head)
    if member.parts then
      self.scratch2:reset()
      put_parts(self, self.scratch2, member.parts, values)
      out:put('"')
      put_escaped(out, self.scratch2:ref())
      out:put('"')
    else
      put(out, core.C.value_json, values + member.at)
    end
  end
end

-- ------------------------------------------------------------------ alerts

local Formatter = {}
Formatter.__index = Formatter

function M.hostname()
  local name = os.getenv("FALCO_HOSTNAME")
  if name then return name end
  local room = core.ffi.new("char[?]", 256)
  return core.C.sys_hostname(room, 256) == 0 and core.ffi.string(room) or ""
end

-- diags is for the prefix alone, whose field is ours: it stays empty.
function M.new(config, ruleset)
  local time = config.time_format_iso_8601 and TIME_ISO or TIME_LOCAL
  return setmetatable({
    json = config.json_output, time_form = core.C[time.form], ruleset = ruleset,
    with_output = config.json_include_output_property, with_message = config.json_include_message_property,
    with_fields = config.json_include_output_fields_property, with_tags = config.json_include_tags_property,
    prefix = rules.output{ text = time.field, ruleset = ruleset, diag = diag.new() },
    head = '{"hostname":' .. json.quote(M.hostname()),
    raw = buffer.new(), line = buffer.new(), scratch = buffer.new(), scratch2 = buffer.new(),
    record = { mark_at = 0, mark_len = 0 },
  }, Formatter)
end

local function tags_of(rule)
  local tags = json.array()
  for i, tag in ipairs(rule.tags) do tags[i] = tag end
  return json.encode(tags)
end

-- output_fields: the message's fields, then the prefix's, then those of append_output, each over the ones before.
local function output_fields(self, union, rule)
  local map = {}
  union:fields(rule.output_plan, map)
  union:fields(self.prefix, map)
  for _, extra in ipairs(rule.extra_fields) do
    if extra.plan.text == "%" .. extra.name then      -- the field itself: its value, not its text
      union:fields(extra.plan, map)
    else
      map[extra.name] = { parts = union:parts(extra.plan) }
    end
  end
  return members_of(map)
end

-- What render() needs to know of a rule.
function Formatter:prepare(rule)
  local union = new_union(self.ruleset)
  local prepared = {
    rule = rule.name, source = rule.source, priority = rule.priority, tags = rule.tags,
    level = rule.priority_name .. " ", mark_len = #rule.priority_name, parts = union:parts(rule.output_plan),
  }
  if self.json then
    prepared.members = self.with_fields and output_fields(self, union, rule) or nil
    local tags = self.with_tags and ',"tags":' .. tags_of(rule) or ""
    prepared.tail = (',"priority":%s,"rule":%s,"source":%s%s,"time":"'):format(
      json.quote(rule.priority_name), json.quote(rule.name), json.quote(rule.source), tags)
  end
  prepared.output = union:output()
  return prepared
end

local function put_quoted(out, key, bytes, len)
  out:put(key)
  put_escaped(out, bytes, len)
  out:put('"')
end

local function put_object(self, prepared, alert, message_at)
  local out, raw, len = self.line, self.raw:ref()
  out:put(self.head)
  if self.with_message then put_quoted(out, ',"message":"', raw + message_at, len - message_at) end
  if self.with_output then put_quoted(out, ',"output":"', raw, len) end
  if prepared.members then
    out:put(',"output_fields":{')
    put_members(self, out, prepared.members, alert.values)
    out:put("}")
  end
  out:put(prepared.tail)
  put_time(out, alert.ts, core.C.TIME_ISO_Z)
  out:put('"}')
end

-- The record of an alert; it and its line are good until the next call.
function Formatter:render(prepared, alert)
  local raw, out, record = self.raw, self.line, self.record
  raw:reset()
  out:reset()
  put_time(raw, alert.ts, self.time_form)
  raw:put(": ")
  record.mark_at = #raw
  raw:put(prepared.level)
  local message_at = #raw
  put_parts(self, raw, prepared.parts, alert.values)
  if self.json then
    put_object(self, prepared, alert, message_at)
    record.mark_len = 0
  else
    put_escaped(out, raw:ref())
    record.mark_len = prepared.mark_len
  end
  record.len = #out
  out:put("\n")
  record.line = core.ffi.cast("const char *", (out:ref()))
  record.rule, record.source, record.tags = prepared.rule, prepared.source, prepared.tags
  record.priority = prepared.priority
  return record
end

-- What falco says itself, in the form of an alert: ts in ns, and { rule =, message =, priority = 0-7, level = "Debug",
-- fields = map of texts and numbers }. Good until the next record.
function Formatter:internal(ts, what)
  local raw, out, record = self.raw, self.line, self.record
  raw:reset()
  out:reset()
  put_time(raw, ts, self.time_form)
  raw:put(": ")
  record.mark_at, record.mark_len = #raw, 0
  if self.json then
    out:put(self.head)
    if self.with_output then out:put(',"output":', json.quote(what.message)) end
    out:put(',"output_fields":', json.encode(what.fields), ',"priority":', json.quote(what.level), ',"rule":',
      json.quote(what.rule), ',"source":"internal","time":"')
    put_time(out, ts, core.C.TIME_ISO_Z)
    out:put('"}')
  else
    local fields = {}
    for _, name in ipairs(sorted_keys(what.fields)) do fields[#fields + 1] = name .. "=" .. json.encode(what.fields[name]) end
    raw:put(what.level, " ", text.printable(what.message), " (", table.concat(fields, " "), ")")
    out:put(raw:get())
    record.mark_len = #what.level
  end
  record.len = #out
  out:put("\n")
  record.line = core.ffi.cast("const char *", (out:ref()))
  record.rule, record.source, record.tags, record.priority = what.rule, "internal", {}, what.priority
  return record
end

-- ------------------------------------------------------------------ lines of `falco events`

local Lines = {}
Lines.__index = Lines

-- plan: of rules.output(). opts: json = an object of the plan's fields instead of its text; clean = control characters
-- in values become "?". A plan whose format does not begin with "*" has no line for an alert with a missing value.
function M.lines(plan, ruleset, opts)
  local union = new_union(ruleset)
  local self = setmetatable({
    parts = union:parts(plan), lenient = plan.lenient, clean = opts.clean,
    line = buffer.new(), scratch = buffer.new(), scratch2 = buffer.new(), scratch3 = buffer.new(),
  }, Lines)
  if opts.json then
    local map = {}
    union:fields(plan, map)
    self.members = members_of(map)
  end
  self.output = union:output()
  return self
end

local function lacks_value(alert)
  for i = 0, alert.n - 1 do
    if alert.values[i].type == 0 then return true end
  end
  return false
end

-- The line with its newline and its length; nil: no line for this one.
function Lines:render(alert)
  if not self.lenient and lacks_value(alert) then return nil end
  local out = self.line
  out:reset()
  if self.members then
    out:put("{")
    put_members(self, out, self.members, alert.values)
    out:put("}")
    if self.clean then out:put(text.printable(out:get())) end      -- no colours of ours in it
  else
    put_parts(self, out, self.parts, alert.values)
  end
  out:put("\n")
  local p, len = out:ref()
  return core.ffi.cast("const char *", p), len
end

return M
