-- SPDX-License-Identifier: Apache-2.0
-- luajit test/flood.lua KIND N: a capture on standard output in which something happens N times, for test/bounds. Around the
-- flood, process 100 ("watch") opens /probe/first and /probe/last: what is known of it must stay right.
local capture = dofile("test/capture.lua")

local AT_CWD, CHILD_IN_PIDNS, CLONE_THREAD = -100, 0x20000000, 0x2000
local WATCH, WATCHED = 100, { tid = 100, ptid = 1, comm = "watch", exepath = "/usr/bin/watch", args = "-v\0", cwd = "/srv",
  uid = 7, env = "HOME=/srv\0" }

local kind, N = arg[1], tonumber(arg[2])
local out = capture.writer("-")
local clone, execve = capture.event("clone", "exit"), capture.event("execve", "exit")
local open, exit = capture.event("openat", "exit"), capture.event("procexit", "enter")

local function clone_values(more)
  local named = { exe = "/bin/tool", comm = "tool", cwd = "", cgroups = "cpu=/\0", fdlimit = 1024, uid = 7, gid = 7 }
  for name, value in pairs(more or {}) do named[name] = value end
  return clone:values(named)
end

local BY_PARENT, BY_CHILD = clone_values(), clone_values()
local c = clone.at

-- A process that `parent` makes, seen by the parent. Its tables are reused: no garbage.
local function fork(parent, tid)
  local v = BY_PARENT
  v[c.res], v[c.tid], v[c.pid], v[c.ptid], v[c.vtid], v[c.vpid] = tid, parent, parent, 1, parent, parent
  out:put(clone, parent, v)
end

-- The same, seen by the child.
local function born(parent, tid, flags, vtid)
  local v = BY_CHILD
  v[c.res], v[c.tid], v[c.pid], v[c.ptid], v[c.vtid], v[c.vpid] = 0, tid, tid, parent, vtid or tid, vtid or tid
  v[c.flags] = flags or 0
  out:put(clone, tid, v)
end

local EXIT = exit:values()
local function die(tid)
  out:put(exit, tid, EXIT)
end

local OPEN = open:values{ dirfd = AT_CWD, flags = 1 }
local function open_file(tid, fd, name)
  OPEN[open.at.fd], OPEN[open.at.name] = fd, name
  out:put(open, tid, OPEN)
end

local EXEC = execve:values{ exe = "/bin/tool", comm = "tool", trusted_exepath = "/usr/bin/tool" }
local function exec(tid, ptid, args, env)
  local at = execve.at
  EXEC[at.tid], EXEC[at.pid], EXEC[at.ptid], EXEC[at.args], EXEC[at.env] = tid, tid, ptid, args, env
  out:put(execve, tid, EXEC)
end

local floods = {}

-- Processes that come and go.
function floods.threads()
  for i = 1, N do
    local tid = 1000 + i
    fork(WATCH, tid)
    born(WATCH, tid)
    die(tid)
  end
end

-- The same, but their exits were lost.
function floods.lost_exits()
  for i = 1, N do
    fork(WATCH, 1000 + i)
    born(WATCH, 1000 + i)
  end
end

-- Threads of one process, whose exits were lost.
function floods.lost_threads()
  local v = clone_values{ pid = WATCH, ptid = 1, vpid = WATCH, vtid = WATCH, tid = WATCH, flags = CLONE_THREAD }
  for i = 1, N do
    v[c.res] = 1000 + i
    out:put(clone, WATCH, v)
  end
end

-- Threads of which one event is all that is ever seen.
function floods.placeholders()
  for i = 1, N do open_file(1000 + i, 3, "/tmp/x") end
end

-- Containers' processes: numbers of another namespace; every other one exits.
function floods.namespaces()
  for i = 1, N do
    born(WATCH, 1000 + i, CHILD_IN_PIDNS, i % 30 + 1)
    if i % 2 == 0 then die(1000 + i) end
  end
end

local function long_blob(i, len)
  return ("N=%d\0"):format(i) .. ("x"):rep(len) .. "\0"
end

-- One process that executes and executes, each time with other arguments.
function floods.execs()
  for i = 1, N do exec(WATCH + 1, 1, long_blob(i, 1500), long_blob(-i, 1500)) end
end

-- Processes that stay, each with an environment of its own.
function floods.environments()
  for i = 1, N do
    born(WATCH, 1000 + i)
    exec(1000 + i, WATCH, long_blob(i, 1500), long_blob(-i, 1500))
  end
end

function floods.users()
  local user, group = capture.event("useradded", "enter"), capture.event("groupadded", "enter")
  local u, g = user:values{ home = ("h"):rep(150), shell = "/bin/sh" }, group:values()
  for i = 1, N do
    u[user.at.uid], u[user.at.name], u[user.at.container_id] = 1000 + i, "user" .. i, i % 2 == 0 and ("c%011d"):format(i) or ""
    g[group.at.gid], g[group.at.name] = 1000 + i, "group" .. i
    out:put(user, -1, u)
    out:put(group, -1, g)
  end
end

-- Not floods: what test/bench and test/quiet compare. N rounds; no process comes or goes, but for what they say.

local TUPLE = "\2\127\0\0\1%s\10\0\0\1\80\0"
local close, connect = capture.event("close", "exit"), capture.event("connect", "exit")
local socket = capture.event("socket", "exit")
local CLOSE, SOCKET, CONNECT = close:values(), socket:values{ domain = 2, type = 1 }, connect:values()

local function close_file(tid, fd)
  CLOSE[close.at.fd] = fd
  out:put(close, tid, CLOSE)
end

-- A server at work: files are opened and closed, connections made and closed.
function floods.busy()
  for i = 1, N do
    open_file(101, 5, "/srv/data/file" .. i % 5000)
    close_file(101, 5)
    SOCKET[socket.at.fd] = 6
    out:put(socket, 101, SOCKET)
    CONNECT[connect.at.fd] = 6
    CONNECT[connect.at.tuple] = TUPLE:format(string.char(128 + i % 100, i % 256))
    out:put(connect, 101, CONNECT)
    close_file(101, 6)
  end
end

local SMALL = { "-a\0-b\0", "PATH=/bin\0" }

-- A process that executes again and again, whose child opens a file in between, as it does itself.
function floods.exec_loop()
  born(WATCH + 1, 200)
  for i = 1, N do
    exec(WATCH + 1, 1, SMALL[1], SMALL[2])
    open_file(WATCH + 1, 5, "/srv/data/file" .. i % 5000)
    open_file(200, 5, "/srv/data/file" .. i % 5000)
  end
end

-- The same events, one kind after the other: what is known of a process can be remembered from event to event.
function floods.exec_apart()
  born(WATCH + 1, 200)
  for _ = 1, N do exec(WATCH + 1, 1, SMALL[1], SMALL[2]) end
  for i = 1, N do open_file(WATCH + 1, 5, "/srv/data/file" .. i % 5000) end
  for i = 1, N do open_file(200, 5, "/srv/data/file" .. i % 5000) end
end

-- Descriptors of one process that are never closed.
function floods.fds()
  for i = 1, N do open_file(101, i, "/tmp/file" .. i) end
end

-- Long names as they were passed.
function floods.long_names()
  local name = ("/"):rep(50000)
  for i = 1, N do open_file(101 + i % 3, i % 4000, name) end
end

-- Processes that stay, each with many descriptors of its own.
function floods.fds_everywhere()
  for i = 0, N - 1 do
    local tid = 1000 + math.floor(i / 100)
    if i % 100 == 0 then born(WATCH, tid) end
    open_file(tid, i % 100, "/tmp/file" .. i)
  end
end

-- Generations: each process has its parent's descriptors, opens one more file, and forks.
function floods.forks()
  for i = 1, 1000 do open_file(101, i, "/tmp/file" .. i) end
  for i = 1, N do
    fork(i % 100 == 1 and 101 or 999 + i, 1000 + i)
    open_file(1000 + i, 5, "/tmp/other" .. i)
  end
end

-- Generations that all share a table, and exit from the eldest on.
function floods.generations()
  for i = 1, N do
    fork(i == 1 and 101 or 999 + i, 1000 + i)
    if i > 50 then die(1000 + i - 50) end
  end
end

function floods.chdirs()
  local chdir = capture.event("chdir", "exit")
  local v = chdir:values()
  for i = 1, N do
    v[chdir.at.path] = i % 2 == 0 and "/tmp/dir" .. i or "deeper" .. i
    out:put(chdir, 101, v)
  end
end

-- Calls that never return, of old captures: what they were given is kept for the exit.
function floods.enters()
  local enter = capture.event("openat", "enter")
  local v = enter:values{ dirfd = AT_CWD, name = ("/long"):rep(800) }
  for i = 1, N do out:put(enter, 1000 + i, v) end
end

-- Processes that say they are each other's parents.
function floods.loops()
  for i = 1, N do
    local a, b = 1000 + 2 * i, 1001 + 2 * i
    born(b, a)
    born(a, b)
    born(b, a)
    open_file(a, 3, "/tmp/x")
    if i % 3 == 0 then die(b) end
  end
end

function floods.containers()
  local event = capture.event("container", "enter")
  local v = event:values()
  for i = 1, N do
    local id = ("%012x"):format(i)
    v[event.at.json] = ('{"container":{"id":"%s","full_id":"%s","name":"%s","image":"img","type":0,"labels":{"l":"%s"}}}')
      :format(id, id, ("n"):rep(200), ("v"):rep(3000))
    out:put(event, -1, v)
  end
end

-- Processes of ever new containers.
function floods.cgroups()
  local v = BY_CHILD
  for i = 1, N do
    v[c.cgroups] = ("cpu=/docker/%064x\0"):format(i)
    born(WATCH, 1000 + i)
    if i % 2 == 0 then die(1000 + i) end
  end
end

out:head{
  processes = { { tid = 1, comm = "init", exepath = "/sbin/init" }, WATCHED, { tid = 101, ptid = 1, comm = "busy", cwd = "/tmp" } },
  users = { [0] = "root", [7] = "keeper" },
}
open_file(WATCH, 3, "/probe/first")
assert(floods[kind], "there is no flood " .. tostring(kind))()
open_file(WATCH, 3, "/probe/last")
out:close()
