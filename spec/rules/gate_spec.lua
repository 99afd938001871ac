-- SPDX-License-Identifier: Apache-2.0
-- One story for each thing that ends what the gate remembers: it must see the change, as a naive walk over the tree does.
local story = dofile "spec/story.lua"

local NOFILE, CLONE_THREAD, CLONE_FILES, CLONE_NEWUSER, CLOEXEC = 7, 0x2000, 0x1, 0x100000, 0x1000
local INET, INET6 = "\2", "\10"
local LOCAL, PEER, OTHER = "\10\0\0\1", "\10\0\0\2", "\10\0\0\3"

local function addr(ip, port)
  return INET .. ip .. story.le16(port)
end

local function tuple(src, sport, dst, dport)
  return INET .. src .. story.le16(sport) .. dst .. story.le16(dport)
end

-- init(1) - shell(10) - a program of three threads (20, 21, 22)
local function usual(options)
  options = options or {}
  options.processes = options.processes or {
    { tid = 1, ptid = 0, comm = "init" },
    { tid = 10, comm = "sh", sid = 10 },
    { tid = 20, ptid = 10, comm = "prog", sid = 10, vpgid = 10, cwd = "/home" },
    { tid = 21, pid = 20, ptid = 10, comm = "prog", flags = CLONE_THREAD + CLONE_FILES, sid = 10, vpgid = 10 },
    { tid = 22, pid = 20, ptid = 10, comm = "prog", flags = CLONE_THREAD + CLONE_FILES, sid = 10, vpgid = 10 },
  }
  return story.new(options)
end

local function exec(s, tid, comm, more)
  local values = { res = 0, exe = "/bin/" .. comm, comm = comm, tid = tid, pid = tid, ptid = 1, args = "-x\0", uid = 0, gid = 0 }
  for key, value in pairs(more or {}) do
    values[key] = value
  end
  s:event("execve", tid, values)
end

-- Both views of a clone that makes a process, or with CLONE_THREAD a thread of the caller's process.
local function clone(s, caller, child, more)
  local values = { res = child, exe = "/bin/sh", comm = "sh", args = "-c\0", tid = caller, pid = caller, ptid = 1, flags = 0, uid = 0,
                   gid = 0, vtid = caller, vpid = caller }
  for key, value in pairs(more or {}) do
    values[key] = value
  end
  s:event("clone", caller, values)
end

local function open(s, tid, fd, name, flags)
  s:event("openat", tid, { fd = fd, dirfd = -100, name = name, flags = flags or 1, mode = 0, dev = 5, ino = 7 })
end

describe("the gate notices, of a thread,", function()
  it("exec", function()
    local s = usual()
    s:probe(10)
    exec(s, 10, "ls")
    s:probe(10)
    exec(s, 10, "cat", { res = -2 })
    s:probe(10)
    s:expect{ ["proc.name = sh"] = "100", ["proc.name = ls"] = "011", ["proc.exe = /bin/ls"] = "011", ["proc.args exists"] = "111",
              ["proc.cmdline = \"ls -x\""] = "011", ["proc.cmdnargs = 0"] = "100", ["proc.name in (cat, sh)"] = "100" }
  end)

  it("exec in another thread than the main one", function()
    local s = usual()
    s:probe(21)
    s:probe(22)
    exec(s, 20, "ls", { pid = 20, ptid = 10 })
    s:probe(20)
    s:probe(21)                 -- nobody: gone with the exec, and known by number alone
    s:expect{ ["proc.name = prog"] = "1100", ["proc.name = ls"] = "0010", ["proc.pid = 20"] = "1110",
              ["thread.ismain = true"] = "0010", ["proc.cwd = /home/"] = "1110" }
  end)

  it("set*id, in the one that called", function()
    local s = usual()
    s:probe(21)
    s:probe(22)
    s:event("setuid", 21, { res = 0, uid = 5 })
    s:probe(21)
    s:probe(22)
    s:event("setresuid", 22, { res = 0, ruid = 6, euid = 6, suid = 6 })
    s:event("setgid", 21, { res = 0, gid = 8 })
    s:probe(21)
    s:probe(22)
    s:event("setresgid", 22, { res = 0, rgid = 9, egid = 9, sgid = 9 })
    s:event("setuid", 21, { res = -1, uid = 0 })
    s:probe(21)
    s:probe(22)
    s:expect{ ["user.uid = 0"] = "11010000", ["user.uid = 5"] = "00101010", ["user.uid = 6"] = "00000101", ["group.gid = 0"] = "11110100",
              ["group.gid = 8"] = "00001010", ["group.gid = 9"] = "00000001", ["user.name = root"] = "11010000" }
  end)

  it("setsid", function()
    local s = usual()
    s:probe(20)
    s:event("setsid", 20, { res = 20 })
    s:probe(20)
    s:expect{ ["proc.sid = 10"] = "10", ["proc.sid = 20"] = "01", ["proc.is_sid_leader = true"] = "01", ["proc.sname = sh"] = "10",
              ["proc.sname = prog"] = "01" }
  end)

  it("chdir, fchdir and getcwd, by whichever thread of the process", function()
    local s = usual()
    s:probe(20)
    s:probe(22)
    s:event("chdir", 21, { res = 0, path = "/tmp" })
    s:probe(20)
    s:probe(22)
    open(s, 22, 3, "/srv", 0x400)
    s:event("fchdir", 22, { res = 0, fd = 3 })
    s:probe(20)
    s:probe(21)
    s:event("getcwd", 20, { res = 5, path = "/opt" })
    s:probe(22)
    s:event("chdir", 20, { res = -2, path = "/no" })
    s:probe(21)
    s:expect{ ["proc.cwd = /home/"] = "11000000", ["proc.cwd = /tmp/"] = "00110000", ["proc.cwd startswith /srv"] = "00001100",
              ["proc.cwd = /opt/"] = "00000011" }
  end)

  it("capset, and namespaces that give capabilities", function()
    local s = usual()
    s:probe(20)
    s:event("capset", 20, { res = 0, cap_inheritable = 0, cap_permitted = 1, cap_effective = 1 })
    s:probe(20)
    s:event("unshare", 21, { res = 0, flags = CLONE_NEWUSER })
    s:probe(20)
    s:probe(21)
    s:event("setns", 22, { res = 0, fd = 3, nstype = CLONE_NEWUSER })
    s:probe(22)
    s:event("capset", 22, { res = 0, cap_inheritable = 0, cap_permitted = 0, cap_effective = 0 })
    s:probe(22)
    s:expect{ ["thread.cap_effective = CAP_CHOWN"] = "011000", ["thread.cap_effective contains CAP_BPF"] = "000110",
              ["thread.cap_permitted = \"\""] = "100001" }
  end)

  it("setrlimit, and prlimit by another process", function()
    local s = usual()
    s:probe(21)
    s:event("prlimit", 10, { res = 0, newcur = 7, newmax = 7, oldcur = 1, oldmax = 1, pid = 20, resource = NOFILE })
    s:probe(21)
    s:event("setrlimit", 22, { res = 0, cur = 9, max = 9, resource = NOFILE })
    s:probe(20)
    s:event("prlimit", 10, { res = 0, newcur = 11, newmax = 11, oldcur = 1, oldmax = 1, pid = 0, resource = NOFILE })
    s:probe(20)
    s:probe(10)
    s:expect{ ["proc.fdlimit = 1024"] = "10000", ["proc.fdlimit = 7"] = "01000", ["proc.fdlimit = 9"] = "00110", ["proc.fdlimit = 11"] = "00001" }
  end)

  it("chroot, which no field shows", function()
    local s = usual()
    s:probe(20)
    s:event("chroot", 20, { res = 0, path = "/jail" })
    s:probe(20)
    s:expect{ ["proc.cwd = /home/"] = "11" }
  end)

  it("a placeholder that is filled by an exec", function()
    local s = usual()
    s:probe(50)
    exec(s, 50, "ls")
    s:probe(50)
    s:expect{ ["proc.name = ls"] = "01", ["proc.pid = 50"] = "01", ["proc.pname = init"] = "01", ["thread.ismain = true"] = "01" }
  end)

  it("a placeholder that is filled by its own clone", function()
    local s = usual()
    s:probe(50)
    clone(s, 50, 51, { comm = "sh", pid = 50, ptid = 10, vtid = 50, vpid = 50 })
    s:probe(50)
    s:probe(51)
    s:expect{ ["proc.name = sh"] = "011", ["proc.pid = 50"] = "010", ["proc.pid = 51"] = "001", ["thread.vtid = 50"] = "010" }
  end)

  it("a placeholder that is filled by the clone of a thread of its", function()
    local s = usual()
    s:probe(50)
    clone(s, 51, 0, { comm = "sh", tid = 51, pid = 50, ptid = 10, flags = CLONE_THREAD + CLONE_FILES, vtid = 51, vpid = 50 })
    s:probe(50)
    s:probe(51)
    s:expect{ ["proc.name = sh"] = "011", ["proc.pid = 50"] = "011", ["thread.ismain = true"] = "010" }
  end)

  it("a leader that becomes known", function()
    local s = usual{ processes = { { tid = 1, ptid = 0, comm = "init" }, { tid = 61, pid = 60, flags = CLONE_THREAD + CLONE_FILES } } }
    s:probe(61)
    exec(s, 60, "ls", { env = "A=1\0", fdlimit = 77 })
    s:event("chdir", 60, { res = 0, path = "/new" })
    s:probe(61)
    s:probe(60)
    s:expect{ ["proc.cwd = /new/"] = "001", ["proc.fdlimit = 77"] = "001" }
  end)

  it("pid reuse after an exit", function()
    local s = usual()
    s:probe(20)
    s:event("procexit", 21, { status = 0 })
    s:event("procexit", 22, { status = 0 })
    s:event("procexit", 20, { status = 0 })
    s.ts = s.ts + 4e9           -- a clone right after the exit would be the one of the thread that is gone
    clone(s, 10, 20, { pid = 10, vtid = 10, vpid = 10 })
    s:probe(20)
    s:expect{ ["proc.name = prog"] = "10", ["proc.name = sh"] = "01", ["proc.cwd = /home/"] = "10" }
  end)

  it("pid reuse after an exit that was lost", function()
    local s = usual()
    s:probe(20)
    clone(s, 10, 20, { pid = 10, vtid = 10, vpid = 10 })
    s:probe(20)
    exec(s, 20, "ls")
    s:probe(20)
    s:expect{ ["proc.name = prog"] = "100", ["proc.name = sh"] = "010", ["proc.name = ls"] = "001" }
  end)

  it("that it is a thread, not a process", function()
    local s = usual()
    clone(s, 20, 30, { pid = 20, ptid = 10, comm = "prog", vtid = 20, vpid = 20 })
    clone(s, 20, 31, { pid = 20, ptid = 10, comm = "prog", vtid = 20, vpid = 20, flags = CLONE_THREAD + CLONE_FILES })
    s:probe(30)
    s:probe(31)
    s:event("chdir", 20, { res = 0, path = "/tmp" })
    s:probe(30)
    s:probe(31)
    s:expect{ ["thread.ismain = true"] = "1010", ["proc.pname = prog"] = "1010", ["proc.pname = sh"] = "0101", ["proc.cwd = /home/"] = "1110",
              ["proc.cwd = /tmp/"] = "0001", ["proc.pid = 20"] = "0101" }
  end)
end)

describe("the gate notices, of a family,", function()
  it("exec of the parent", function()
    local s = usual()
    s:probe(20)
    s:probe(21)
    exec(s, 10, "bash")
    s:probe(20)
    s:probe(21)
    s:expect{ ["proc.pname = sh"] = "1100", ["proc.pname = bash"] = "0011", ["proc.aname = bash"] = "0011", ["proc.aname[2] = init"] = "1111",
              ["proc.pcmdline = \"bash -x\""] = "0011", ["proc.sname = bash"] = "0011", ["proc.loginshellid = 10"] = "1111" }
  end)

  it("a new parent", function()
    local s = usual()
    s:probe(20)
    s:event("procexit", 10, { status = 0, reaper_tid = 1 })
    s:probe(20)
    s:event("getcwd", 1, { res = 0, path = "/" })
    s:probe(20)
    s:expect{ ["proc.pname = sh"] = "100", ["proc.pname = init"] = "011", ["proc.ppid = 1"] = "011", ["proc.aname in (sh)"] = "100" }
  end)

  it("setsid of the parent", function()
    local s = usual()
    s:probe(20)
    s:event("setsid", 10, { res = 10 })
    s:event("setsid", 20, { res = 20 })
    s:probe(20)
    exec(s, 20, "top")
    s:probe(20)
    s:expect{ ["proc.sname = sh"] = "100", ["proc.sname = prog"] = "010", ["proc.sname = top"] = "001" }
  end)
end)

describe("the gate notices, of a descriptor,", function()
  it("another file under its number", function()
    local s = usual()
    open(s, 20, 3, "/etc/passwd")
    s:probe(20, 3)
    s:event("close", 20, { res = 0, fd = 3 })
    s:probe(20, 3)
    open(s, 21, 3, "/etc/shadow")
    s:probe(20, 3)
    s:expect{ ["fd.name = /etc/passwd"] = "100", ["fd.name exists"] = "111", ["fd.type exists"] = "101", ["fd.filename = shadow"] = "001",
              ["fd.typechar = f"] = "101" }
  end)

  it("dup, and dup2 over an open one", function()
    local s = usual()
    open(s, 20, 3, "/a")
    open(s, 20, 4, "/b")
    s:probe(20, 3)
    s:probe(20, 4)
    s:event("dup2", 20, { res = 4, oldfd = 3, newfd = 4 })
    s:probe(20, 4)
    s:event("dup", 20, { res = 5, oldfd = 4 })
    s:probe(20, 5)
    open(s, 20, 3, "/c", 1 + CLOEXEC)
    s:event("dup2", 20, { res = 5, oldfd = 3, newfd = 5 })
    s:probe(20, 5)
    s:probe(20, 4)
    s:expect{ ["fd.name = /a"] = "101101", ["fd.name = /b"] = "010000", ["fd.name = /c"] = "000010" }
  end)

  it("connect", function()
    local s = usual()
    s:event("socket", 20, { fd = 3, domain = 2, type = 1, proto = 0, flags = 0 })
    s:probe(20, 3)
    s:event("connect", 20, { res = 0, tuple = tuple(LOCAL, 4000, PEER, 80), fd = 3, addr = addr(PEER, 80) })
    s:probe(20, 3)
    s:expect{ ["fd.sip = 10.0.0.2"] = "01", ["fd.sport = 80"] = "01", ["fd.name contains 4000"] = "01", ["fd.l4proto = tcp"] = "01",
              ["fd.connected = true"] = "01", ["fd.type = ipv4"] = "11", ["fd.net = 10.0.0.0/8"] = "01" }
  end)

  it("bind and accept", function()
    local s = usual()
    s:event("socket", 20, { fd = 3, domain = 2, type = 1, proto = 0, flags = 0 })
    s:probe(20, 3)
    s:event("bind", 20, { res = 0, addr = addr(LOCAL, 8080), fd = 3 })
    s:probe(20, 3)
    s:event("accept4", 21, { fd = 4, tuple = tuple(PEER, 5000, LOCAL, 8080), queuepct = 0, queuelen = 0, queuemax = 0, flags = 0 })
    s:probe(20, 4)
    s:expect{ ["fd.sport = 8080"] = "011", ["fd.cport = 5000"] = "001", ["fd.is_server = true"] = "011", ["fd.name exists"] = "111",
              ["fd.cip = 10.0.0.2"] = "001" }
  end)

  it("the role that a datagram tells", function()
    for call, server in pairs{ sendto = "10.0.0.2", recvfrom = "10.0.0.1" } do
      local s = usual()
      s:event("socket", 20, { fd = 3, domain = 2, type = 2, proto = 0, flags = 0 })
      s:probe(20, 3)
      local there, back = tuple(LOCAL, 4000, PEER, 53), tuple(PEER, 53, LOCAL, 4000)
      s:event(call, 20, { res = 1, data = "x", fd = 3, size = 1, tuple = call == "sendto" and there or back })
      s:probe(20, 3)
      s:expect{ ["fd.sip = " .. server] = "01", ["fd.l4proto = udp"] = "01", ["fd.cport exists"] = "01" }
    end
  end)

  it("that reading shows a socket to be connected", function()
    local s = usual()
    s:event("socket", 20, { fd = 3, domain = 2, type = 1, proto = 0, flags = 0 })
    s:probe(20, 3)
    s:event("read", 20, { res = 1, data = "x", fd = 3, size = 1 })
    s:probe(20, 3)
    s:expect{ ["fd.connected = true"] = "01", ["fd.connected = false"] = "10" }
  end)

  it("close_range, closing and marking", function()
    local s = usual()
    open(s, 20, 3, "/a")
    open(s, 20, 4, "/b")
    s:probe(20, 3)
    s:probe(20, 4)
    s:event("close_range", 20, { res = 0, first = 4, last = 9, flags = 0 })
    s:probe(20, 4)
    s:event("close_range", 20, { res = 0, first = 0, last = 9, flags = 4 })
    s:probe(20, 3)
    exec(s, 20, "ls", { pid = 20 })
    s:probe(20, 3)
    s:expect{ ["fd.name = /a"] = "10010", ["fd.name = /b"] = "01000", ["fd.type exists"] = "11010" }
  end)

  it("that a fork has a table of its own", function()
    local s = usual()
    open(s, 20, 3, "/a")
    clone(s, 20, 30, { pid = 20, ptid = 10, vtid = 20, vpid = 20 })
    s:probe(20, 3)
    s:probe(30, 3)
    open(s, 30, 3, "/b")
    s:probe(20, 3)
    s:probe(30, 3)
    s:event("close", 20, { res = 0, fd = 3 })
    s:probe(20, 3)
    s:probe(30, 3)
    s:expect{ ["fd.name = /a"] = "111000", ["fd.name = /b"] = "000101" }
  end)

  it("that threads share a table", function()
    local s = usual()
    open(s, 20, 3, "/a")
    s:probe(21, 3)
    open(s, 22, 3, "/b")
    s:probe(21, 3)
    s:expect{ ["fd.name = /a"] = "10", ["fd.name = /b"] = "01" }
  end)

  it("an IPv6 tuple in place of another", function()
    local one, two = ("\1"):rep(16), ("\2"):rep(16)
    local s = usual()
    s:event("socket", 20, { fd = 3, domain = 10, type = 2, proto = 0, flags = 0 })
    for _, peer in ipairs{ one, two } do
      s:event("sendto", 20, { res = 1, data = "x", fd = 3, size = 1, tuple = INET6 .. one .. story.le16(9) .. peer .. story.le16(53) })
      s:probe(20, 3)
    end
    s:expect{ ["fd.sip = 101:101:101:101:101:101:101:101"] = "10", ["fd.sip = 202:202:202:202:202:202:202:202"] = "01" }
  end)
end)

describe("the gate notices, of tables,", function()
  it("users and groups that come and go", function()
    local s = usual{ processes = { { tid = 10, uid = 5, gid = 6 } } }
    s:probe(10)
    s:event("useradded", nil, { uid = 5, gid = 6, name = "anna", home = "/home/anna", shell = "/bin/zsh", container_id = "" })
    s:event("groupadded", nil, { gid = 6, name = "staff", container_id = "" })
    s:probe(10)
    s:event("userdeleted", nil, { uid = 5, gid = 6, name = "anna", home = "", shell = "", container_id = "" })
    s:probe(10)
    s:event("groupdeleted", nil, { gid = 6, name = "staff", container_id = "" })
    s:probe(10)
    s:expect{ ["user.name = anna"] = "0100", ["user.homedir = /home/anna"] = "0100", ["user.shell endswith zsh"] = "0100",
              ["group.name = staff"] = "0110", ["user.name = <NA>"] = "1011" }
  end)

  it("what is told of a container later", function()
    local id = ("ab"):rep(32)
    local s = usual{ processes = { { tid = 10, cgroups = "cpu=/docker/" .. id .. "\0" } } }
    local function news(name, more)
      s:event("asyncevent", nil, { plugin_id = 0, name = name, data = ('{"container":{"id":"%s"%s}}'):format(id:sub(1, 12), more) })
    end
    s:probe(10)
    news("container", ',"name":"web","image":"nginx:1","privileged":true')
    s:probe(10)
    news("container", ',"name":"db"')
    s:probe(10)
    news("container_removed", "")
    s:probe(10)
    s:expect{ ["container.id = " .. id:sub(1, 12)] = "1111", ["container.name = web"] = "0100", ["container.name = db"] = "0010",
              ["container.privileged = true"] = "0100", ["container.image = nginx:1"] = "0100" }
  end)

  it("a thread that moves into a container", function()
    local id = ("cd"):rep(32)
    local s = usual()
    s:probe(20)
    exec(s, 20, "prog", { cgroups = "cpu=/docker/" .. id .. "\0" })
    s:probe(20)
    s:expect{ ["container.id = host"] = "10", ["container.id = " .. id:sub(1, 12)] = "01", ["thread.cgroup.cpu startswith /docker"] = "01" }
  end)

  it("another list of interfaces, in a later section", function()
    local s = usual()
    local function connected()
      s:event("socket", 20, { fd = 3, domain = 2, type = 1, proto = 0, flags = 0 })
      s:event("connect", 20, { res = 0, tuple = tuple(LOCAL, 4000, PEER, 80), fd = 3, addr = addr(PEER, 80) })
      s:probe(20, 3)
    end
    connected()
    s:section{ processes = { { tid = 20, comm = "other" } }, interfaces = { PEER, OTHER } }
    connected()
    s:expect{ ["fd.is_server = true"] = "01", ["fd.lport = 4000"] = "10", ["fd.rport = 4000"] = "01", ["proc.name = prog"] = "10",
              ["fd.sport = 80"] = "11" }
  end)
end)
