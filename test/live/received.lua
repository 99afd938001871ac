-- SPDX-License-Identifier: Apache-2.0
-- Descriptors that no event tells of: those that came from another process over a unix socket (SCM_RIGHTS) and those of a process
-- that was there before. What falco says of them live it says of the recording too.
local ffi = require("ffi")

-- What the receiver gets: a file, an end of a pipe, a unix socket, a listening socket, a memfd. It changes the owner of each (to
-- what it is), which is an event that shows the descriptor.
local CHILD = [[
local ffi = require("ffi")
ffi.cdef [=[
int socketpair(int, int, int, int *); int fork(void); int open(const char *, int, ...); int pipe(int *); int socket(int, int, int);
int bind(int, const void *, unsigned); int listen(int, int); int close(int); long syscall(long, ...); int waitpid(int, int *, int);
long sendmsg(int, const void *, int); long recvmsg(int, void *, int); int usleep(unsigned); void _exit(int);
struct iov { void *base; unsigned long len; };
struct msg { void *name; unsigned namelen, pad; struct iov *iov; unsigned long iovlen; void *control; unsigned long controllen; int flags; };
struct control { unsigned long len; int level, type; int fds[6]; };
struct in4 { unsigned short family, port; unsigned addr, zero[2]; };
]=]
local C, FCHOWN, MEMFD = ffi.C, 93, 319
local pair, ends = ffi.new("int[2]"), ffi.new("int[2]")
local number = function(n) return ffi.cast("long", n) end
local function message(control)
  local byte = ffi.new("char[1]")
  local iov = ffi.new("struct iov", byte, 1)
  return ffi.new("struct msg", nil, 0, 0, iov, 1, control, ffi.sizeof(control), 0), byte, iov
end
assert(C.socketpair(1, 1, 0, pair) == 0)
local pid = C.fork()
if pid == 0 then
  local control = ffi.new("struct control", 16 + 20, 1, 1)
  assert(C.pipe(ends) == 0)
  control.fds[0] = C.open("/etc/hostname", 0)
  control.fds[1] = ends[0]
  control.fds[2] = C.socket(1, 1, 0)
  control.fds[3] = C.socket(2, 1, 0)
  assert(C.bind(control.fds[3], ffi.new("struct in4", 2, 0, 0x0100007f), 16) == 0 and C.listen(control.fds[3], 1) == 0)
  control.fds[4] = tonumber(C.syscall(number(MEMFD), "handed over", number(0)))
  local m, a, b = message(control)
  m.controllen = 40
  assert(C.sendmsg(pair[0], m, 0) == 1)
  C._exit(0)
end
local control = ffi.new("struct control")
local m, a, b = message(control)
assert(C.recvmsg(pair[1], m, 0) == 1 and control.len == 36)
C.usleep(400000)                  -- falco has heard of it by then
for i = 0, 4 do C.syscall(number(FCHOWN), number(control.fds[i]), number(-1), number(-1)) end
C.usleep(400000)
C.waitpid(pid, nil, 0)
]]

local FORMAT = "%proc.name fd=%fd.num type=%fd.type name=%fd.name ino=%fd.ino server=%fd.is_server"
local CONDITION = "evt.type = fchown and proc.cmdline contains received-act"

local function counted(text)
  local map = {}
  for line in text:gmatch("[^\n]+") do map[line] = (map[line] or 0) + 1 end
  return map
end

return function(tool, watch)
  local capture, script = tool.dir() .. "/received.scap", tool.dir() .. "/received-act.lua"
  tool.write(script, CHILD)
  local function act()
    local r = tool.run{ "luajit", script }
    tool.check_run(r, r.code == 0, "received: the act: %s", tool.how(r))
    watch.sleep(0.3)
  end
  local function size(path) return #(tool.read(path) or "") end

  -- recvmsg is only seen because it is asked for
  local recorder = watch.start{ "record", "-w", capture }
  local job = watch.start{ "events", "--live", "-U", "-p", FORMAT, "(" .. CONDITION .. ") or (evt.type = recvmsg and proc.name = none)" }
  local deadline = tool.now() + 900
  while tool.now() < deadline and watch.is_running(job) and (size(job.out_path) == 0 or size(capture) == 0) do act() end
  local before = size(job.out_path)
  act()
  local live = (tool.read(job.out_path) or ""):sub(before + 1)
  local r = watch.stop(job)
  tool.check_run(r, r.code == 0, "received: %s", tool.how(r))
  r = watch.stop(recorder)
  tool.check_run(r, r.code == 0, "received: the recorder: %s", tool.how(r))
  for _, want in ipairs{ "type=file name=/etc/hostname", "type=pipe name=", "type=unix name=", "type=ipv4 name=127.0.0.1:",
      "type=memfd name=handed over" } do
    tool.check(live:find(want, 1, true), "received: '%s' is not in:\n%s", want, live)
  end
  local replay = tool.run{ watch.falco, "events", "-p", FORMAT, capture, CONDITION }
  tool.check_run(replay, replay.code == 0, "received, replayed: %s", tool.how(replay))
  local again = counted(replay.out)
  for line in pairs(counted(live)) do tool.check(again[line], "received: live only: %s\n%s", line, replay.out) end
end
