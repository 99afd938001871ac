-- SPDX-License-Identifier: Apache-2.0
-- The other end of a unix socket, for tests: appends what comes to a file, until it is killed.
--   luajit test/peer.lua stream|dgram SOCKET FILE [hang]      hang: takes connections, and reads nothing
-- Each datagram becomes a line.
local ffi = require("ffi")

ffi.cdef [[
struct sockaddr_un { unsigned short family; char path[108]; };
int socket(int domain, int type, int protocol);
int bind(int fd, const struct sockaddr_un *address, unsigned len);
int listen(int fd, int backlog);
int accept(int fd, void *address, void *len);
long read(int fd, void *p, size_t n);
int close(int fd);
int chmod(const char *path, unsigned mode);
unsigned sleep(unsigned seconds);
]]

local kind, path, out, hang = arg[1], arg[2], arg[3], arg[4] == "hang"
local AF_UNIX, SOCK = 1, { stream = 1, dgram = 2 }

local fd = ffi.C.socket(AF_UNIX, assert(SOCK[kind]), 0)
local address = ffi.new("struct sockaddr_un", AF_UNIX, path)
os.remove(path)
assert(ffi.C.bind(fd, address, ffi.sizeof(address)) == 0, "bind")
ffi.C.chmod(path, 511)
local room, SIZE = ffi.new("char[?]", 1048576), 1048576
local file = assert(io.open(out, "ab"))

local function copy(from, tail)
  while true do
    local n = tonumber(ffi.C.read(from, room, SIZE))
    if n <= 0 then return end
    file:write(ffi.string(room, n), tail)
    file:flush()
  end
end

if kind == "dgram" then
  if hang then ffi.C.sleep(600) end
  copy(fd, "\n")
else
  assert(ffi.C.listen(fd, 8) == 0, "listen")
  while true do
    local peer = ffi.C.accept(fd, nil, nil)
    if hang then ffi.C.sleep(600) end
    copy(peer, "")
    ffi.C.close(peer)
  end
end
