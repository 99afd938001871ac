-- SPDX-License-Identifier: Apache-2.0
-- Just enough of the capture format to take captures apart and make bad ones. Positions count from 0, as in messages.
local M = {}

M.SECTION, M.MACHINE, M.PROCESSES, M.FDS, M.EVENT = 0x0A0D0D0A, 0x201, 0x215, 0x218, 0x216
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

-- Replaces the bytes at `at`.
function M.patch(text, at, bytes)
  return text:sub(1, at) .. bytes .. text:sub(at + #bytes + 1)
end

return M
