-- SPDX-License-Identifier: Apache-2.0
-- Makes captures event by event, fast enough for millions. What an event consists of is asked of the program's own tables.
--
--   local capture = dofile("test/capture.lua")
--   local out = capture.writer("-")                    a path, or standard output
--   out:head{ processes = { { tid = 1, comm = "init" } }, users = { [0] = "root" }, fds = { [1] = { [3] = "/etc/x" } } }
--   local open = capture.event("openat", "exit")
--   local values = open:values{ fd = 3, name = "/etc/passwd", dirfd = -100 }
--   out:put(open, 1, values)                           by thread 1
--   values[open.at.name] = "/etc/group"                the table may be changed and put again
--   out:put(open, 1, values)
--   out:close()
--
-- A value is a number, or a string of bytes; texts get their NUL here. false: the parameter is empty. What is not given is 0
-- or the empty text.
package.path = "lua/?.lua;" .. package.path
local ffi = require("ffi")
local core = require("core")
local scap = dofile("test/scap.lua")

-- several tests of one process may load this file
if not pcall(ffi.typeof, "struct capture_clock") then
  ffi.cdef [[
  struct capture_clock { uint64_t ts; };
  long write(int fd, const void *buf, size_t n);
  int creat(const char *path, unsigned mode);
  ]]
end

local M = {}

local BUFFER, LARGEST = 1048576, 80000
local LARGE_FLAG, LARGE_EVENT = 2048, 0x221       -- EF_LARGE: parameter lengths of 32 bits
local FIRST_TS = 1700000000000000000ULL
local STEP_NS = 1000ULL

local WIDTH = {
  INT8 = 1, INT16 = 2, INT32 = 4, INT64 = 8, UINT8 = 1, UINT16 = 2, UINT32 = 4, UINT64 = 8, ERRNO = 8, FD = 8, PID = 8,
  FLAGS8 = 1, FLAGS16 = 2, FLAGS32 = 4, ENUMFLAGS8 = 1, ENUMFLAGS16 = 2, ENUMFLAGS32 = 4, UID = 4, GID = 4, MODE = 4,
  RELTIME = 8, ABSTIME = 8, SIGTYPE = 1, SYSCALLID = 2, PORT = 2, L4PROTO = 1, BOOL = 4,
}
local TEXT = { CHARBUF = true, FSPATH = true, FSRELPATH = true }

-- ---------------------------------------------------------------------------- events

local Event = {}
Event.__index = Event

local function find_code(name, is_exit)
  local C, found = core.C, nil
  for code = 0, C.event_count() - 1 do
    if ffi.string(C.event_info(code).name) == name and C.event_is_exit(code) == is_exit and not C.event_is_unused(code)
      and (not found or not C.event_is_old(code) or C.event_is_old(found)) then
      found = code
    end
  end
  return assert(found, "no event " .. name)
end

-- side: "enter" or "exit". The newest form that there is.
function M.event(name, side)
  local code = find_code(name, side == "exit")
  local info = core.C.event_info(code)
  local self = { code = code, n = info.nparams, large = bit.band(info.flags, LARGE_FLAG) ~= 0, width = {}, text = {}, at = {} }
  for i = 1, self.n do
    local p = info.params[i - 1]
    local type = ffi.string(core.C.type_name(p.type))
    self.at[ffi.string(p.name)] = i
    self.width[i] = WIDTH[type] or 0
    self.text[i] = TEXT[type] or false
  end
  return setmetatable(self, Event)
end

-- Values by name -> the array that put() wants.
function Event:values(named)
  local values = {}
  for i = 1, self.n do values[i] = self.width[i] > 0 and 0 or "" end
  for name, value in pairs(named or {}) do
    values[assert(self.at[name], "no parameter " .. name)] = value
  end
  return values
end

-- ---------------------------------------------------------------------------- writing

local Writer = {}
Writer.__index = Writer

function M.writer(path)
  local fd = path == "-" and 1 or ffi.C.creat(path, 420)
  assert(fd >= 0, "cannot write " .. path)
  return setmetatable({ fd = fd, buf = ffi.new("uint8_t[?]", BUFFER), at = 0,
    clock = ffi.new("struct capture_clock", FIRST_TS) }, Writer)
end

function Writer:flush()
  local done = 0
  while done < self.at do
    local n = tonumber(ffi.C.write(self.fd, self.buf + done, self.at - done))
    if n <= 0 then os.exit(1) end       -- the reader is gone, and says why itself
    done = done + n
  end
  self.at = 0
end

function Writer:close()
  self:flush()
end

function Writer:bytes(text)
  if self.at + #text > BUFFER then self:flush() end
  ffi.copy(self.buf + self.at, text, #text)
  self.at = self.at + #text
end

-- Lets time pass, in seconds.
function Writer:wait(seconds)
  self.clock.ts = self.clock.ts + ffi.cast("uint64_t", seconds * 1e9)
end

local function put_number(p, width, value)
  if width == 8 then
    ffi.cast("int64_t *", p)[0] = value
  elseif width == 4 then
    ffi.cast("int32_t *", p)[0] = ffi.cast("int64_t", value)
  elseif width == 2 then
    ffi.cast("int16_t *", p)[0] = value
  else
    p[0] = value
  end
end

-- Writes value i at p; returns how many bytes it has.
local function put_value(ev, i, value, p)
  local width = ev.width[i]
  if not value then return 0 end
  if width > 0 and type(value) == "number" then
    put_number(p, width, value)
    return width
  end
  local len = #value
  ffi.copy(p, value, len)
  if not ev.text[i] then return len end
  p[len] = 0
  return len + 1
end

-- One event of thread `tid`, a little later than the one before.
function Writer:put(ev, tid, values)
  if self.at + LARGEST > BUFFER then self:flush() end
  local start = self.buf + self.at
  local head = start + 10
  local n, step = ev.n, ev.large and 4 or 2
  local lens = head + 26
  local p = lens + n * step
  for i = 1, n do
    local len = put_value(ev, i, values[i], p)
    if ev.large then
      ffi.cast("uint32_t *", lens)[i - 1] = len
    else
      ffi.cast("uint16_t *", lens)[i - 1] = len
    end
    p = p + len
  end
  local clock = self.clock
  clock.ts = clock.ts + STEP_NS
  ffi.cast("uint16_t *", start + 8)[0] = 0                      -- CPU
  ffi.cast("uint64_t *", head)[0] = clock.ts
  ffi.cast("int64_t *", head + 8)[0] = tid
  ffi.cast("uint32_t *", head + 16)[0] = p - head
  ffi.cast("uint16_t *", head + 20)[0] = ev.code
  ffi.cast("uint32_t *", head + 22)[0] = n
  while bit.band(tonumber(p - start), 3) ~= 0 do
    p[0] = 0
    p = p + 1
  end
  local total = tonumber(p - start) + 4
  ffi.cast("uint32_t *", start)[0] = ev.large and LARGE_EVENT or scap.EVENT
  ffi.cast("uint32_t *", start)[1] = total
  ffi.cast("uint32_t *", p)[0] = total
  self.at = self.at + total
end

-- ---------------------------------------------------------------------------- what stands before the events

local function counted(text)
  return scap.le16(#text) .. text
end

local function signed64(n)
  return n < 0 and ("\255"):rep(8) or scap.le64(n)
end

-- { tid =, pid =, ptid =, comm =, exe =, exepath =, args =, cwd =, env =, cgroups =, root =, uid =, gid = }
local function process(p)
  local pid = p.pid or p.tid
  local body = signed64(p.tid) .. signed64(pid) .. signed64(p.ptid or 0) .. signed64(p.sid or 0) .. signed64(p.vpgid or 0)
    .. counted(p.comm or "") .. counted(p.exe or p.comm or "") .. counted(p.exepath or "") .. counted(p.args or "")
    .. counted(p.cwd or "/") .. scap.le64(1024) .. scap.le32(p.flags or 0) .. scap.le32(p.uid or 0) .. scap.le32(p.gid or 0)
    .. scap.le32(0):rep(3) .. scap.le64(0):rep(2) .. counted(p.env or "") .. signed64(p.tid) .. signed64(pid)
    .. counted(p.cgroups or "") .. counted(p.root or "/")
  return scap.le32(#body + 4) .. body
end

local FILE = 16

-- { [number] = path }
local function files(tid, list)
  local body = { scap.le64(tid) }
  for number, path in pairs(list) do
    local entry = scap.le64(number) .. scap.le64(0) .. string.char(FILE) .. scap.le32(1) .. counted(path)
    body[#body + 1] = scap.le32(#entry + 4) .. entry
  end
  return scap.block(scap.FDS, table.concat(body))
end

-- The block of a user or group list with one entry each: { [uid] = name }
local function users(list)
  local body = {}
  for uid, name in pairs(list) do
    local entry = "\0" .. scap.le32(uid) .. scap.le32(uid) .. counted(name) .. counted("/home/" .. name) .. counted("/bin/sh")
    body[#body + 1] = scap.le32(#entry + 4) .. entry
  end
  return scap.block(0x220, table.concat(body))
end

function Writer:head(what)
  local list = {}
  for i, p in ipairs(what.processes or {}) do list[i] = process(p) end
  self:bytes(scap.section())
  self:bytes(scap.block(scap.MACHINE, scap.le32(2) .. scap.le64(2 ^ 32) .. scap.le64(2 ^ 22) .. "host" .. ("\0"):rep(124)
    .. scap.le64(1699999000) .. scap.le64(0):rep(3)))
  self:bytes(users(what.users or { [0] = "root" }))
  self:bytes(scap.block(scap.PROCESSES, table.concat(list)))
  for tid, of in pairs(what.fds or {}) do self:bytes(files(tid, of)) end
end

return M
