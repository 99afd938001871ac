-- SPDX-License-Identifier: Apache-2.0
-- The state of the host when an event has happened, for people: what s:at(num) of scan.lua gives.
--
--   local at, message = moment.at(scan, num, opts)     goes on from where it stood, or begins anew; scan.cursor is the one there is
--
-- An engine of its own replays up to the event: what is remembered, or the files.
local bit = require("bit")
local core = require("core")
local values = require("values")
local ffi = core.ffi

local M = {}

local At = {}
At.__index = At

local SLICE = 4096           -- events between two words of progress
local MAX_THREADS, MAX_FDS = 1048576, 65536       -- rows that people get to see

-- An engine of its own that replays: { eng, evt, head, file (index) }, or nil and a message.
local function new_reader(s)
  local err = core.err()
  local eng = core.C.engine_new(s.limits, err)
  if eng == nil then return nil, core.message(err) end
  local reader = { eng = ffi.gc(eng, core.C.engine_free), file = 0 }
  reader.evt = core.C.engine_evt(eng)
  reader.head = core.C.evt_head(reader.evt)
  return reader
end

local function free_reader(reader)
  core.C.engine_use(reader.eng, nil)
  core.C.engine_free(ffi.gc(reader.eng, nil))
end

-- One event on: true; false: the end; nil and a message.
local function step(s, reader)
  local C = core.C
  while true do
    local r = reader.file == 0 and C.NEXT_END or C.engine_step(reader.eng)
    if r == C.NEXT_EVENT then return true end
    if r ~= C.NEXT_END then return nil, r < 0 and core.cstr(C.engine_error(reader.eng)) or "interrupted" end
    if reader.file == #s.files then return false end
    local err = core.err()
    if C.past_open_again(s.past, reader.eng, reader.file, err) < 0 then return nil, core.message(err) end
    reader.file = reader.file + 1
  end
end

function M.at(scan, num, opts)
  if scan.cursor and scan.cursor.num > num then scan.cursor:close() end
  local at = scan.cursor
  if not at then
    local reader, message = new_reader(scan)
    if not reader then return nil, message end
    at = setmetatable({ scan = scan, reader = reader, num = 0, evt = reader.evt, head = reader.head, engine = reader.eng }, At)
    scan.cursor = at
  end
  at:use(nil)
  local left = SLICE
  while at.num < num do
    local go, message = step(scan, at.reader)
    left = left - 1
    if left == 0 and go then
      left = SLICE
      if opts and opts.progress and opts.progress(at.num / num) == false then go, message = nil, "stopped" end
    end
    if not go then
      at:close()
      return nil, message or ("there is no event %d"):format(num)
    end
    at.num = tonumber(at.head.num)
  end
  at.visible = core.C.engine_shows(at.engine)
  return at
end

-- The ruleset whose expressions are read from the event.
function At:use(rs)
  self.ruleset = rs
  core.C.engine_use(self.engine, rs)
end

function At:close()
  if self.scan.cursor == self then self.scan.cursor = nil end
  if self.engine then free_reader(self.reader) end
  self.engine = nil
end

local function read_values(at, fields)
  local rs = ffi.gc(core.C.ruleset_new(), core.C.ruleset_free)
  local output, diags = values.output(rs, fields)
  if not output then return nil, diags end
  local before, texts = at.ruleset, {}
  at:use(rs)
  local filled = core.C.alert_fill(at.evt, output).values
  for i = 1, #fields do texts[i] = values.text(filled[i - 1]) end
  at:use(before)
  return texts
end

function At:value(field)
  local texts, diags = read_values(self, { field })
  if not texts then return nil, diags:sorted()[1].message end
  return texts[1] or nil
end

-- Fields that have one value to show without being told of what.
local plain_fields
local function all_fields()
  if plain_fields then return plain_fields end
  local C = core.C
  plain_fields = {}
  for i = 0, C.field_count() - 1 do
    local info = C.field_info(i)
    local unfit = C.FIELD_FILTER_ONLY + C.FIELD_HIDDEN + C.FIELD_DEPRECATED
    if bit.band(info.arg, C.ARG_REQUIRED) == 0 and bit.band(info.flags, unfit) == 0
      and info.scope ~= C.SCOPE_STATEFUL then
      plain_fields[#plain_fields + 1] = core.cstr(info.name)
    end
  end
  return plain_fields
end

-- In an alert evt.abspath makes the fields behind it speak of another descriptor: here it is read last.
local LAST = "evt.abspath"

function At:fields()
  local names, out = all_fields(), {}
  local without = {}
  for i, name in ipairs(names) do without[i] = name == LAST and names[1] or name end
  local texts, last = read_values(self, without), self:value(LAST)
  for i, text in ipairs(texts) do
    if names[i] == LAST then text = last end
    if text then out[#out + 1] = { name = names[i], value = text } end
  end
  return out
end

function At:params()
  local info, names, fields = core.C.event_info(self.head.code), {}, {}
  for i = 0, math.min(info.nparams, self.head.nparams) - 1 do
    names[#names + 1], fields[#fields + 1] = core.cstr(info.params[i].name), ("evt.arg[%d]"):format(i)
  end
  local out = {}
  if #fields == 0 then return out end
  for i, text in ipairs(read_values(self, fields)) do out[i] = { name = names[i], value = text or nil } end
  return out
end

local function items(s)
  local out, text = {}, core.str(s)
  if text == "" then return out end
  for item in (text:sub(-1) == "\0" and text or text .. "\0"):gmatch("(%Z*)%z") do out[#out + 1] = item end
  return out
end

local NUMBERS = { "tid", "pid", "ptid", "parent", "vtid", "vpid", "sid", "pgid", "uid", "gid", "loginuid", "tty", "threads",
                  "fds", "clone_ts", "exec_ts" }
local TEXTS = { "comm", "exe", "exepath", "cwd", "container" }

local function thread_row(row)
  local out = { is_main = row.is_main, is_dead = row.is_dead, is_known = row.is_known }
  for _, key in ipairs(NUMBERS) do out[key] = tonumber(row[key]) end
  for _, key in ipairs(TEXTS) do out[key] = core.str(row[key]) end
  out.args, out.env, out.cgroups = items(row.args), items(row.env), items(row.cgroups)
  out.cmdline = table.concat({ out.comm, unpack(out.args) }, " ")
  return out
end

function At:thread(tid)
  local row = ffi.new("struct thread_row")
  if core.C.engine_thread(self.engine, tid, row) < 0 then return nil end
  return thread_row(row)
end

function At:processes()
  local C = core.C
  local n = math.min(C.engine_threads(self.engine, nil, 0), MAX_THREADS)
  local tids, out, by_pid = ffi.new("int64_t[?]", math.max(n, 1)), {}, {}
  C.engine_threads(self.engine, tids, n)
  for i = 0, n - 1 do
    local row = self:thread(tids[i])
    if row.is_main or not row.is_known then
      row.children = {}
      out[#out + 1], by_pid[row.pid] = row, row
    end
  end
  table.sort(out, function(a, b) return a.tid < b.tid end)
  for _, row in ipairs(out) do
    local parent = row.parent ~= row.pid and by_pid[row.parent]
    if parent then parent.children[#parent.children + 1] = row.pid end
  end
  return out
end

function At:ancestors(tid)
  local out, seen = {}, {}
  local row = self:thread(tid)
  if row and not row.is_main then row = self:thread(row.pid) or row end
  while row and not seen[row.tid] do
    seen[row.tid] = true
    out[#out + 1] = row
    row = row.parent > 0 and self:thread(row.parent) or nil
  end
  return out
end

function At:fds(tid)
  local C = core.C
  local n = math.min(C.engine_fds(self.engine, tid, nil, 0), MAX_FDS)
  local rows, out = ffi.new("struct fd_row[?]", math.max(n, 1)), {}
  C.engine_fds(self.engine, tid, rows, n)
  for i = 0, n - 1 do
    local row = rows[i]
    out[#out + 1] = { fd = tonumber(row.fd), type = core.cstr(row.type), letter = string.char(row.letter),
                      name = core.str(row.name), raw = core.str(row.raw), ino = tonumber(row.ino), dev = row.dev, openflags = row.openflags }
  end
  table.sort(out, function(a, b) return a.fd < b.fd end)
  return out
end

return M
