-- SPDX-License-Identifier: Apache-2.0
-- seed_scap.lua DIR: writes one small valid capture of every kind of block, and of old events that get converted.
package.path = 'test/?.lua;' .. package.path
local S = require('scap')
local block, le16, le32, le64 = S.block, S.le16, S.le32, S.le64

local function text(s) return le16(#s) .. s end
local function sized(s) return le32(#s + 4) .. s end           -- the length counts itself

-- params: strings as they stand on the wire
local function event(kind, code, params)
  local v1, wide = kind == 0x204 or kind == 0x208, kind >= 0x221
  local flags = kind == 0x208 or kind == 0x217 or kind == 0x222
  local lens, values = {}, table.concat(params)
  for i, p in ipairs(params) do lens[i] = wide and le32(#p) or le16(#p) end
  lens = table.concat(lens)
  local head = le64(1000) .. le64(7) .. le32((v1 and 22 or 26) + #lens + #values) .. le16(code)
  return block(kind, le16(0) .. (flags and le32(1) or '') .. head .. (v1 and '' or le32(#params)) .. lens .. values)
end

local section = S.section()
local machine = block(S.MACHINE, le32(2) .. le64(2 ^ 30) .. le64(32768) .. 'box' .. ('\0'):rep(125 + 32))
local close = event(S.EVENT, 5, { le64(0), le64(3) })

local function process(version)
  local e = le64(12) .. le64(12) .. le64(1)
  if version >= 6 then e = e .. le64(12) end
  if version >= 8 then e = e .. le64(12) end
  e = e .. text('cat') .. text('/bin/cat') .. (version >= 7 and text('/bin/cat') or '') .. text('-a\0-b\0')
    .. text('/') .. le64(1024) .. le32(0) .. le32(0) .. le32(0)
  if version >= 2 then e = e .. le32(1) .. le32(2) .. le32(3) .. le64(4) .. le64(5) end
  if version >= 3 then e = e .. text('A=1\0') end
  if version >= 4 then e = e .. le64(12) .. le64(12) .. text('cpu=/\0') end
  if version >= 5 then e = e .. text('/') end
  return e
end

local function descriptors(wrap)
  local v4, v6 = '\127\0\0\1', ('\1'):rep(16)
  local forms = {
    [1] = text('/f'), [2] = text('/'),
    [3] = v4 .. v4 .. le16(1) .. le16(2) .. '\2', [4] = v6 .. v6 .. le16(1) .. le16(2) .. '\3',
    [5] = v4 .. le16(80) .. '\2', [6] = v6 .. le16(80) .. '\2', [8] = le64(1) .. le64(2) .. text('/s'),
    [16] = le32(1) .. text('/v2'),
  }
  local list = le64(12)
  for type = 1, 21 do
    list = list .. wrap(le64(type) .. le64(99) .. string.char(type) .. (forms[type] or text('x')))
  end
  return list
end

local function interfaces(wrap)
  local list = ''
  for type = 1, 4 do
    local addr = ('\10'):rep(type % 2 == 1 and 4 or 16)
    list = list .. wrap(le16(type) .. le16(4) .. addr:rep(3) .. (type < 3 and le64(10) or '') .. 'eth0')
  end
  return list
end

local function users(wrap)
  return wrap('\0' .. le32(1) .. le32(2) .. text('anna') .. text('/home') .. text('/bin/sh'))
    .. wrap('\1' .. le32(2) .. text('g'))
end

local function plain(s) return s end
local function sized_after(s) return le32(#s) .. s end          -- the length does not count itself

local seeds = {
  machine = machine, unknown = block(0x777, 'whatever'),
  fds1 = block(0x203, descriptors(plain)),
  fds2 = block(0x218, descriptors(sized) .. sized(le64(1) .. le64(2) .. '\99zzz')),
  ifaces1 = block(0x205, interfaces(plain)), ifaces2 = block(0x219, interfaces(sized_after)),
  users1 = block(0x206, users(plain)), users2 = block(0x220, users(sized)),
  twice = close .. section .. machine,
}
for version, code in ipairs { 0x202, 0x207, 0x209, 0x210, 0x211, 0x212, 0x213, 0x214 } do
  seeds['procs' .. version] = block(code, process(version):rep(2))
end
for _, extra in ipairs { 0, 4, 29, 66, 68, 76 } do
  seeds['procs9_' .. extra] = block(0x215, sized(process(9) .. ('\1'):rep(extra)):rep(2))
end
for _, kind in ipairs { 0x204, 0x208, 0x216, 0x217, 0x221, 0x222 } do
  local wide = kind >= 0x221
  seeds[('event%x'):format(kind)] = wide and event(kind, 402, { le32(0), 'name\0', 'data' })
    or event(kind, 6, { le64(3), le32(10) }) .. event(kind, 7, { le64(2), 'ab' })
end
seeds.chain = event(0x204, 13, { le64(0), '/bin/ls\0', '-l\0', le64(1), le64(1), le64(1), '/\0', le64(9) })
  .. event(0x204, 10, { le32(1) }) .. event(0x204, 11, { le64(2) }) .. event(0x204, 16, {})
  .. event(0x204, 228, { 'abc\0', le32(0), 'name\0', 'image\0' }) .. event(0x216, 22, { le64(3), 'addr' })
  .. event(0x216, 23, { le64(0), 'tuple' }) .. event(0x216, 280, { 'id\0', 'desc\0' })

local dir = assert(arg[1], 'usage: seed_scap.lua DIR')
for name, blocks in pairs(seeds) do
  local file = assert(io.open(dir .. '/seed-' .. name .. '.scap', 'wb'))
  file:write(section, blocks, close)
  file:close()
end
assert(os.execute(('cd %q && gzip -nkf seed-chain.scap seed-procs9_76.scap'):format(dir)) == 0)
