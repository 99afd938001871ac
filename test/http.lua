-- SPDX-License-Identifier: Apache-2.0
-- Sockets for tests: a client that speaks HTTP as badly as a test wants, and a receiver of datagrams. Loopback alone.
--   local http = dofile("test/http.lua")
--   local c = http.connect(port)         nil, errno: refused
--   c:send(text)  c:receive(seconds)     all that comes until the far end closes, or the time is over; and whether it closed
--   c:close()
--   http.get(port, path, more) -> { status =, headers = {}, body = } or nil and what came
--   local d = http.datagrams(path)       d:receive(seconds) -> text or nil;  d:close()
local ffi = require("ffi")

-- Several tests of one run may use this.
if not pcall(ffi.typeof, "struct http_in") then ffi.cdef [[
struct http_in { uint16_t family, port; uint32_t address; uint8_t zero[8]; };
struct http_un { uint16_t family; char path[108]; };
struct http_poll { int fd; short events, revents; };
int socket(int domain, int type, int protocol);
int connect(int fd, const void *address, unsigned len);
int bind(int fd, const void *address, unsigned len);
int listen(int fd, int backlog);
long send(int fd, const void *data, size_t len, int flags);
long recv(int fd, void *data, size_t len, int flags);
int poll(struct http_poll *fds, unsigned long n, int ms);
int close(int fd);
]] end

local C = ffi.C
local MSG_NOSIGNAL, POLLIN = 0x4000, 1
local M = {}

local function wait(fd, seconds)
  local p = ffi.new("struct http_poll[1]", { { fd, POLLIN, 0 } })
  return C.poll(p, 1, math.max(0, math.floor(seconds * 1000))) > 0
end

local Client = {}
Client.__index = Client

local function swapped(port)
  return bit.bor(bit.lshift(bit.band(port, 255), 8), bit.rshift(port, 8))
end

local LOOPBACK = 0x0100007f

function M.connect(port)
  local fd = C.socket(2, 1, 0)
  if fd < 0 then return nil, ffi.errno() end
  local to = ffi.new("struct http_in", { 2, swapped(port), LOOPBACK })
  if C.connect(fd, to, ffi.sizeof(to)) ~= 0 then
    local error = ffi.errno()
    C.close(fd)
    return nil, error
  end
  return setmetatable({ fd = fd }, Client)
end

-- Takes the port, so that nobody else can listen there.
function M.listen(port)
  local fd = C.socket(2, 1, 0)
  local at = ffi.new("struct http_in", { 2, swapped(port), LOOPBACK })
  assert(C.bind(fd, at, ffi.sizeof(at)) == 0 and C.listen(fd, 5) == 0, "port " .. port .. " is taken")
  return setmetatable({ fd = fd }, Client)
end

function Client:send(text)
  return tonumber(C.send(self.fd, text, #text, MSG_NOSIGNAL))
end

function Client:receive(seconds)
  local parts, buf = {}, ffi.new("char[65536]")
  while wait(self.fd, seconds) do
    local n = tonumber(C.recv(self.fd, buf, 65536, 0))
    if n <= 0 then return table.concat(parts), true end
    parts[#parts + 1] = ffi.string(buf, n)
  end
  return table.concat(parts), false
end

function Client:close()
  C.close(self.fd)
end

function M.parse(text)
  local status, head, body = text:match("^HTTP/1%.1 (%d+) [^\r\n]*\r\n(.-)\r\n\r\n(.*)$")
  if not status then return nil, text end
  local headers = {}
  for name, value in (head .. "\r\n"):gmatch("([^:\r\n]+): *([^\r\n]*)\r\n") do headers[name:lower()] = value end
  return { status = tonumber(status), headers = headers, body = body }
end

function M.get(port, path, more)
  local c, error = M.connect(port)
  if not c then return nil, "connect: errno " .. error end
  c:send(("GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n"):format(path, more or ""))
  local text = c:receive(10)
  c:close()
  return M.parse(text)
end

local Datagrams = {}
Datagrams.__index = Datagrams

function M.datagrams(path)
  local fd = C.socket(1, 2, 0)
  local at = ffi.new("struct http_un", { 1, path })
  assert(C.bind(fd, at, 2 + #path + 1) == 0, path)
  return setmetatable({ fd = fd }, Datagrams)
end

function Datagrams:receive(seconds)
  local buf = ffi.new("char[65536]")
  if not wait(self.fd, seconds) then return nil end
  local n = tonumber(C.recv(self.fd, buf, 65536, 0))
  return n >= 0 and ffi.string(buf, n) or nil
end

function Datagrams:close()
  C.close(self.fd)
end

return M
