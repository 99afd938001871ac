-- SPDX-License-Identifier: Apache-2.0
-- An alert's values (struct alert, copied out of the event by C) -> the line that outputs write. It is put together in
-- buffers that are reused; values go from C into them without becoming Lua strings or numbers.
--
--   local renderer = render.new(config)
--   local plan = renderer:plan(described)          described: plain data, by format.lua, once for each rule
--   local record = renderer:take(plan, alert)      what outputs/init.lua calls an alert, yet without its line
--   renderer:write(record)                         its line; record.priority and record.extra may have been changed
--   local record = renderer:tell(ts, what)         likewise of what falco says itself; write() it, too
--
-- A record and its line are good until the next one is taken.
--
-- Text   TIME: Priority message     the whole escaped as the inside of a JSON string, so that it is one line for sure
-- JSON   keys in the order of their bytes; output_fields holds the fields of the message, of the prefix (the time), and
--        those that append_output adds: plain fields as their values, formats as texts
--
-- Nothing here knows of rules: what one looks like has come as plain data, from another thread perhaps.
local buffer = require("string.buffer")
local core = require("core")
local json = require("json")
local schema = require("schema")
local sorted_keys = require("sorted_keys")
local text = require("text")

local M = {}

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

-- ------------------------------------------------------------------ parts and members

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

M.put_parts, M.put_members = put_parts, put_members

-- Buffers for put_parts() and put_members() of `self`.
function M.scratch(self)
  self.scratch, self.scratch2, self.scratch3 = buffer.new(), buffer.new(), buffer.new()
  return self
end

-- ------------------------------------------------------------------ alerts

local Renderer = {}
Renderer.__index = Renderer

-- How a line begins: the time is written by C.
M.times = { iso = "TIME_ISO", clock = "TIME_CLOCK_NS" }

function M.hostname()
  local name = os.getenv("FALCO_HOSTNAME")
  if name then return name end
  local room = core.ffi.new("char[?]", 256)
  return core.C.sys_hostname(room, 256) == 0 and core.ffi.string(room) or ""
end

function M.new(config)
  return M.scratch(setmetatable({
    json = config.json_output, time_form = core.C[config.time_format_iso_8601 and M.times.iso or M.times.clock],
    with_output = config.json_include_output_property, with_message = config.json_include_message_property,
    with_fields = config.json_include_output_fields_property, with_tags = config.json_include_tags_property,
    head = '{"hostname":' .. json.quote(M.hostname()), raw = buffer.new(), line = buffer.new(),
    record = { mark_at = 0, mark_len = 0 },
  }, Renderer))
end

local function tail_of(self, plan, level)
  local tags = ""
  if self.with_tags then
    local list = json.array()
    for i, tag in ipairs(plan.tags) do list[i] = tag end
    tags = ',"tags":' .. json.encode(list)
  end
  return (',"priority":%s,"rule":%s,"source":%s%s,"time":"'):format(json.quote(level), json.quote(plan.rule),
    json.quote(plan.source), tags)
end

-- The plan of a description, which becomes it. { rule =, source =, priority =, level = its name, tags =, parts =, members = }
function Renderer:plan(described)
  described.tail = tail_of(self, described, described.level)
  described.by_name = {}
  for _, member in ipairs(described.hidden or {}) do described.by_name[member.name] = member end
  for _, member in ipairs(described.members) do described.by_name[member.name] = member end
  return described
end

function Renderer:take(plan, alert)
  local record = self.record
  record.plan, record.alert, record.what, record.extra, record.to = plan, alert, nil, nil, nil
  record.ts, record.rule, record.source, record.tags, record.priority = alert.ts, plan.rule, plan.source, plan.tags, plan.priority
  record.line = nil
  return record
end

-- ts in ns, and { rule =, message =, priority = 0-7, fields = map of texts and numbers, to = names of outputs as a set, or nil,
-- scripted = it is a script's }. Each has a record of its own: one may be raised while another is on its way.
function Renderer:tell(ts, what)
  local record = { mark_at = 0, mark_len = 0, what = what, to = what.to }
  record.ts, record.rule, record.source, record.tags, record.priority = ts, what.rule, what.source or "internal", what.tags or {},
    what.priority
  record.line = nil
  return record
end

-- A field of the record's output_fields as text, or nil: there is none of that name, or it has no value.
function Renderer:field(record, name)
  local extra = record.extra and record.extra[name]
  if extra ~= nil then return tostring(extra) end
  if record.what then
    local value = record.what.fields[name]
    return value ~= nil and tostring(value) or nil
  end
  local member = record.plan.by_name[name]
  if not member then return nil end
  local out = self.scratch2
  out:reset()
  if member.parts then
    put_parts(self, out, member.parts, record.alert.values)
  else
    local value = record.alert.values + member.at
    if value.type == 0 then return nil end
    put(out, core.C.value_text, value)
  end
  return out:get()
end

local function put_quoted(out, key, bytes, len)
  out:put(key)
  put_escaped(out, bytes, len)
  out:put('"')
end

-- Members of the plan and what scripts added, which goes over what has its name.
local function put_with_extra(self, out, record)
  local members, names = {}, {}
  for _, name in ipairs(sorted_keys(record.extra)) do names[name] = true end
  for _, member in ipairs(record.plan.members) do
    if not names[member.name] then members[#members + 1] = member end
  end
  for name in pairs(names) do members[#members + 1] = { name = name, value = json.encode(record.extra[name]) } end
  table.sort(members, function(a, b) return a.name < b.name end)
  for i, member in ipairs(members) do
    local head = (i > 1 and "," or "") .. json.quote(member.name) .. ":"
    if member.value then
      out:put(head, member.value)
    else
      put_members(self, out, { { head = head, parts = member.parts, at = member.at } }, record.alert.values)
    end
  end
end

local function put_object(self, record, message_at)
  local out, raw, len = self.line, self.raw:ref()
  local plan = record.plan
  out:put(self.head)
  if self.with_message then put_quoted(out, ',"message":"', raw + message_at, len - message_at) end
  if self.with_output then put_quoted(out, ',"output":"', raw, len) end
  if self.with_fields then
    out:put(',"output_fields":{')
    if record.extra then
      put_with_extra(self, out, record)
    else
      put_members(self, out, plan.members, record.alert.values)
    end
    out:put("}")
  end
  out:put(record.priority == plan.priority and plan.tail or tail_of(self, plan, schema.priorities[record.priority + 1]))
  put_time(out, record.ts, core.C.TIME_ISO_Z)
  out:put('"}')
end

-- What scripts raise looks as the alerts of rules do.
local function write_scripted(self, record, level)
  local raw, out, what = self.raw, self.line, record.what
  raw:put(level, " ")
  local message_at = #raw
  raw:put(what.message)
  if not self.json then
    put_escaped(out, raw:ref())
    record.mark_len = #level
    return
  end
  local bytes, len = raw:ref()
  out:put(self.head)
  if self.with_message then put_quoted(out, ',"message":"', bytes + message_at, len - message_at) end
  if self.with_output then put_quoted(out, ',"output":"', bytes, len) end
  if self.with_fields then out:put(',"output_fields":', json.encode(what.fields)) end
  out:put(tail_of(self, record, level))
  put_time(out, record.ts, core.C.TIME_ISO_Z)
  out:put('"}')
end

local function write_told(self, record, level)
  local raw, out, what = self.raw, self.line, record.what
  if record.extra then
    for key, value in pairs(record.extra) do what.fields[key] = value end
  end
  if what.scripted then return write_scripted(self, record, level) end
  if self.json then
    out:put(self.head)
    if self.with_output then out:put(',"output":', json.quote(what.message)) end
    local tags = what.tags and self.with_tags and ',"tags":' .. json.encode(json.array(what.tags)) or ""
    out:put(',"output_fields":', json.encode(what.fields), ',"priority":', json.quote(level), ',"rule":',
      json.quote(what.rule), ',"source":', json.quote(record.source), tags, ',"time":"')
    put_time(out, record.ts, core.C.TIME_ISO_Z)
    out:put('"}')
    return
  end
  local fields = {}
  for _, name in ipairs(sorted_keys(what.fields)) do fields[#fields + 1] = name .. "=" .. json.encode(what.fields[name]) end
  raw:put(level, " ", text.printable(what.message), " (", table.concat(fields, " "), ")")
  out:put(raw:get())
  record.mark_len = #level
end

local function write_alert(self, record, level)
  local raw, plan = self.raw, record.plan
  raw:put(level, " ")
  local message_at = #raw
  put_parts(self, raw, plan.parts, record.alert.values)
  if self.json then
    put_object(self, record, message_at)
  else
    put_escaped(self.line, raw:ref())
    record.mark_len = #level
  end
end

function Renderer:write(record)
  local raw, out = self.raw, self.line
  raw:reset()
  out:reset()
  put_time(raw, record.ts, self.time_form)
  raw:put(": ")
  record.mark_at, record.mark_len = #raw, 0
  local level = schema.priorities[record.priority + 1]
  if record.what then write_told(self, record, level) else write_alert(self, record, level) end
  record.len = #out
  out:put("\n")
  record.line = core.ffi.cast("const char *", (out:ref()))
  return record
end

return M
