-- SPDX-License-Identifier: Apache-2.0
-- Just enough of the capture format to take captures apart and make bad ones. Positions count from 0, as in messages.
local M = {}

M.SECTION, M.MACHINE, M.PROCESSES, M.FDS, M.EVENT = 0x0A0D0D0A, 0x201, 0x215, 0x218, 0x216
M.INTERFACES, M.LARGE_EVENT = 0x219, 0x221
local EVENTS = { [0x204] = 2, [0x208] = 6, [0x216] = 2, [0x217] = 6, [0x221] = 2, [0x222] = 6 }   -- bytes before the header

function M.u16(text, at)
  local a, b = text:byte(at + 1, at + 2)
  return a + b * 256
end

function M.u32(text, at)
  local a, b, c, d = text:byte(at + 1, at + 4)
  return a + b * 256 + c * 65536 + d * 16777216
end

function M.le16(n)
  return string.char(n % 256, math.floor(n / 256) % 256)
end

function M.le32(n)
  return M.le16(n % 65536) .. M.le16(math.floor(n / 65536))
end

function M.le64(n)
  return M.le32(n % 2 ^ 32) .. M.le32(math.floor(n / 2 ^ 32))
end

-- { type, at, ends, event = is one, time = its 8 bytes } of every block of an uncompressed capture
function M.blocks(text)
  local list, at = {}, 0
  while at < #text do
    local type, len = M.u32(text, at), M.u32(text, at + 4)
    local b = { type = type, at = at, ends = at + len, event = EVENTS[type] ~= nil }
    if b.event then
      b.header = at + 8 + EVENTS[type]
      b.time = text:sub(b.header + 1, b.header + 8)
    end
    list[#list + 1] = b
    at = at + len
  end
  return list
end

-- Walks the blocks of a file without holding it: see(type, at, ends) until it answers true. Returns how many were seen.
function M.walk(path, see)
  local f = assert(io.open(path, "rb"))
  local text, base, at, n = f:read(1048576) or "", 0, 0, 0
  while true do
    if at + 8 - base > #text then
      f:seek("set", at)
      base, text = at, f:read(1048576) or ""
      if #text < 8 then break end
    end
    local type, len = M.u32(text, at - base), M.u32(text, at - base + 4)
    n = n + 1
    if len < 12 or see(type, at, at + len) then break end
    at = at + len
  end
  f:close()
  return n
end

function M.is_event(type)
  return EVENTS[type] ~= nil
end

function M.block(type, body)
  local pad = -#body % 4
  local len = 12 + #body + pad
  return M.le32(type) .. M.le32(len) .. body .. ("\0"):rep(pad) .. M.le32(len)
end

function M.section()
  return M.block(M.SECTION, M.le32(0x1A2B3C4D) .. M.le16(1) .. M.le16(2) .. ("\255"):rep(8))
end

function M.machine(name)
  return M.block(M.MACHINE, M.le32(2) .. M.le64(2 ^ 30) .. M.le64(32768) .. name .. ("\0"):rep(128 - #name) .. M.le64(0):rep(4))
end

-- params: array of byte strings as they stand on the wire; ts: ns since the epoch, below 2^53
function M.event(code, tid, ts, params, large)
  local lens, values = {}, table.concat(params)
  for i, p in ipairs(params) do
    lens[i] = large and M.le32(#p) or M.le16(#p)
  end
  lens = table.concat(lens)
  return M.block(large and M.LARGE_EVENT or M.EVENT, M.le16(0) .. M.le64(ts) .. M.le64(tid) .. M.le32(26 + #lens + #values)
    .. M.le16(code) .. M.le32(#params) .. lens .. values)
end

local function text(s)
  return M.le16(#s) .. s
end

-- { tid, pid, ptid, comm, exe, args, env, cgroups (blobs), cwd, uid, gid, flags, sid, vpgid, caps, ... }: what is left out is
-- what an ordinary process of root's has.
function M.process(p)
  local pid = p.pid or p.tid
  local e = M.le64(p.tid) .. M.le64(pid) .. M.le64(p.ptid or 1) .. M.le64(p.sid or pid) .. M.le64(p.vpgid or pid)
    .. text(p.comm or "sh") .. text(p.exe or "sh") .. text(p.exepath or "/bin/sh") .. text(p.args or "") .. text(p.cwd or "/")
    .. M.le64(p.fdlimit or 1024) .. M.le32(p.flags or 0) .. M.le32(p.uid or 0) .. M.le32(p.gid or 0) .. M.le32(0):rep(3)
    .. M.le64(0):rep(2) .. text(p.env or "") .. M.le64(p.vtid or p.tid) .. M.le64(p.vpid or pid) .. text(p.cgroups or "") .. text("/")
    .. M.le64(0) .. M.le32(p.tty or 0) .. M.le32(p.loginuid or 0) .. "\0" .. M.le64(p.caps or 0):rep(3)
  return M.le32(#e + 4) .. e
end

function M.processes(list)
  local out = {}
  for i, p in ipairs(list) do
    out[i] = M.process(p)
  end
  return M.block(M.PROCESSES, table.concat(out))
end

-- IPv4 addresses of 4 bytes
function M.interfaces(addresses)
  local out = {}
  for i, address in ipairs(addresses) do
    local e = M.le16(1) .. M.le16(4) .. address .. "\255\255\255\0" .. address .. M.le64(0) .. "eth0"
    out[i] = M.le32(#e) .. e
  end
  return M.block(M.INTERFACES, table.concat(out))
end

-- Replaces the bytes at `at`.
function M.patch(text, at, bytes)
  return text:sub(1, at) .. bytes .. text:sub(at + #bytes + 1)
end

return M
