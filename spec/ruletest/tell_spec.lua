-- SPDX-License-Identifier: Apache-2.0
local support = dofile "spec/ruletest/support.lua"

-- condition, an event for which it holds, one for which it does not
local PAIRS = {
  { "evt.type = execve and proc.name = nc and proc.args = '-e sh'", "execve: {proc.name: nc, proc.args: -e sh}", "execve: {proc.name: nc}" },
  { "evt.type = execve and proc.args contains 'a b' and proc.cmdline = 'sh -c a b'", "execve: {proc.name: sh, proc.args: [-c, a b]}",
    "execve: {proc.name: sh, proc.args: [-c, ab]}" },
  { "evt.type = execve and proc.name = nc and proc.args = -l", "execve: {proc.cmdline: /bin/nc -l}", "execve: {proc.cmdline: nc}" },
  { "evt.type = execve and proc.exepath = /opt/x", "execve: {proc.exepath: /opt/x}", "execve: {proc.name: x}" },
  { "evt.type = execveat and proc.exe = ./x and proc.cwd = /tmp/", "execveat: {proc.exe: ./x, proc.cwd: /tmp}", "execveat: {proc.exe: ./x}" },
  { "evt.type = execve and proc.env contains A=1", "execve: {proc.env: [A=1]}", "execve: {proc.env: [B=1]}" },
  { "evt.type = execve and proc.tty != 0", "execve: {proc.tty: 34816}", "execve: {}" },
  { "evt.type = execve and proc.is_exe_upper_layer = true", "execve: {proc.is_exe_upper_layer: true}", "execve: {proc.is_exe_writable: true}" },
  { "evt.type = execve and proc.is_exe_from_memfd = true", "execve: {proc.is_exe_from_memfd: true}", "execve: {}" },
  { "evt.type = execve and evt.failed = false", "execve: {}", "execve: {evt.failed: true}" },
  { "evt.type = execve and evt.res = ENOENT", "execve: {res: ENOENT}", "execve: {res: EPERM}" },
  { "evt.type = execve and proc.pname = a and proc.aname[2] = b and proc.aname[4] = d", "execve: {proc.pname: a, 'proc.aname[2]': b, 'proc.aname[4]': d}",
    "execve: {proc.pname: a, 'proc.aname[2]': b}" },
  { "evt.type = execve and proc.pcmdline = 'sh -c x'", "execve: {proc.pcmdline: sh -c x}", "execve: {proc.pname: sh}" },
  { "evt.type = execve and user.uid = 33 and user.name = www", "execve: {user.uid: 33, user.name: www}", "execve: {user.uid: 34}" },
  { "evt.type = execve and user.name = eve and user.uid != 0", "execve: {user.name: eve}", "execve: {user.name: root}" },
  { "evt.type = execve and container.id = abcdef000000", "execve: {container.id: abcdef}", "execve: {container.id: host}" },
  { "evt.type = openat and fd.name = /etc/shadow", "openat: {name: /etc/shadow}", "openat: {name: /etc/passwd}" },
  { "evt.type = openat and fd.name = /etc/shadow", "openat: {fd.name: /etc/shadow}", "openat: {fd.name: /etc/passwd}" },
  { "evt.type = openat and fd.name = /tmp/x", "openat: {proc.cwd: /tmp, name: x}", "openat: {name: x}" },
  { "evt.type = openat and evt.is_open_write = true and evt.is_open_read = false", "openat: {name: /x, flags: O_WRONLY|O_CREAT}", "openat: {name: /x}" },
  { "evt.type = openat and evt.is_open_write = true", "openat: {fd.name: /x, evt.is_open_write: true}", "openat: {fd.name: /x}" },
  { "evt.type = openat and fd.num = 7", "openat: {name: /x, fd: 7}", "openat: {name: /x, fd: EACCES}" },
  { "evt.type = openat and evt.failed = true and fd.num < 0", "openat: {name: /x, evt.failed: true}", "openat: {name: /x}" },
  { "evt.type = creat and fd.name = /x", "creat: {name: /x}", "creat: {name: /y}" },
  { "evt.type = open_by_handle_at and fd.name = /x", "open_by_handle_at: {path: /x}", "open_by_handle_at: {path: /y}" },
  { "evt.type = connect and fd.sip = 1.2.3.4 and fd.sport = 443", "connect: {fd.name: '10.0.0.1:999->1.2.3.4:443'}",
    "connect: {fd.name: '10.0.0.1:999->1.2.3.5:443'}" },
  { "evt.type = connect and fd.sip = '::2'", "connect: {fd.name: '[::1]:999->[::2]:443'}", "connect: {fd.name: '[::1]:999->[::3]:443'}" },
  { "evt.type = connect and fd.name endswith docker.sock", "connect: {tuple: /run/docker.sock}", "connect: {tuple: /run/x.sock}" },
  { "evt.type = dup2 and fd.type = ipv4 and evt.rawres = 1", "dup2: {res: 1, oldfd: 5, newfd: 1, fd.name: '10.0.0.1:999->1.2.3.4:443'}",
    "dup2: {res: 1, oldfd: 5, newfd: 1, fd.name: /x}" },
  { "evt.type = read and fd.name = /etc/x", "read: {fd.name: /etc/x}", "read: {fd.name: /etc/y}" },
  { "evt.type = listen and fd.type = ipv4 and fd.sport = 80", "listen: {fd.type: ipv4, fd.name: '0.0.0.0:80'}", "listen: {fd.type: ipv4, fd.name: '0.0.0.0:81'}" },
  { "evt.type = unlinkat and fs.path.name = /x", "unlinkat: {name: /x}", "unlinkat: {fs.path.name: /y}" },
  { "evt.type = rename and fs.path.source = /a and fs.path.target = /b", "rename: {oldpath: /a, newpath: /b}", "rename: {oldpath: /b, newpath: /a}" },
  { "evt.type = chmod and evt.arg.mode contains S_ISUID", "chmod: {filename: /x, mode: S_ISUID|S_IXUSR}", "chmod: {filename: /x, mode: S_IXUSR}" },
  { "evt.type = setuid and evt.failed = true and user.uid = 5", "setuid: {user.uid: 5, res: EPERM, uid: 0}", "setuid: {user.uid: 5, uid: 5, res: 0}" },
  { "evt.type = ptrace and evt.arg.request contains PTRACE_ATTACH", "ptrace: {request: PTRACE_ATTACH, pid: 5}", "ptrace: {request: PTRACE_PEEKDATA, addr: 7}" },
  { "evt.type = bpf and evt.arg.cmd = BPF_PROG_LOAD", "bpf: {cmd: BPF_PROG_LOAD}", "bpf: {cmd: BPF_MAP_CREATE}" },
  { "evt.type = unshare and evt.arg.flags contains CLONE_NEWUSER", "unshare: {flags: CLONE_NEWUSER}", "unshare: {flags: CLONE_NEWNET}" },
  { "evt.type = socket and evt.arg.domain contains AF_PACKET", "socket: {domain: AF_PACKET}", "socket: {domain: AF_INET}" },
  { "evt.type = sched_yield and proc.name = x", "sched_yield: {proc.name: x}", "sched_yield: {proc.name: y}" },
  { "evt.type = kill and evt.arg.sig = SIGKILL", "kill: {pid: 5, sig: SIGKILL}", "kill: {pid: 5, sig: SIGTERM}" },
}

describe("events written by hand", function()
  for _, pair in ipairs(PAIRS) do
    it(pair[2], function()
      support.first_of(pair[1], { pair[2], pair[3] })
    end)
  end

  it("happen to processes that are listed, with their descriptors, and go on", function()
    support.passes([[
- test: t
  users: [{uid: 33, name: www, gid: 33}]
  groups: [{gid: 33, name: web}]
  interfaces: 10.0.0.1
  containers:
    - {container.id: abc123, container.name: web, container.image.repository: nginx}
  processes:
    - {proc.pid: 9, proc.name: nginx, user.uid: 33, group.gid: 33, fds: [{fd.num: 6, fd.type: file, fd.name: /var/log/x}]}
    - {proc.pid: 10, proc.name: nginx, user.uid: 33, group.gid: 33, container.id: abc123,
       fds: [{fd.num: 5, fd.type: ipv4, fd.name: "10.0.0.9:555->10.0.0.1:80"}, {fd.num: 6, fd.type: file, fd.name: /var/log/x}]}
    - {proc.pid: 11, proc.ppid: 10, proc.name: sh}
  events:
    - write: {proc.pid: 9, fd: 6}
      match: log
    - write: {proc.pid: 10, fd: 6}
      match: none
    - execve: {proc.pid: 11, proc.name: nc, proc.args: -l}
      match: nc
    - read: {proc.pid: 11, fd: 5}
      match: none
    - clone: {proc.pid: 10, res: 12}
    - clone: {proc.pid: 12, proc.ppid: 10, proc.name: nginx, user.uid: 33, res: 0, container.id: abc123}
    - close: {proc.pid: 12, fd: 6}
    - write: {proc.pid: 12, fd: 6}
      match: none
    - write: {proc.pid: 12, fd: 5}
      match: net
    - procexit: {proc.pid: 12}
]], [[
- rule: log
  desc: d
  condition: evt.type = write and fd.name = /var/log/x and fd.num = 6 and proc.name = nginx and proc.pid = 9 and user.uid = 33
    and group.gid = 33
  output: o
  priority: INFO
- rule: nc
  desc: d
  condition: evt.type = execve and proc.name = nc and proc.pname = nginx and proc.args = -l and proc.exepath = /usr/bin/nc
  output: o
  priority: INFO
- rule: net
  desc: d
  condition: evt.type = write and fd.sport = 80 and container.image.repository = nginx
  output: o
  priority: INFO
]])
  end)

  it("have a time", function()
    support.passes([[
- test: t
  events:
    - {sched_yield: {}, at: 1.5}
    - sched_yield: {}
  expect:
    - {rule: r, where: evt.reltime < 1000, count: 1}
    - {rule: r, where: evt.deltatime = 1000000 or evt.num = 1, count: 2}
]], "- rule: r\n  desc: d\n  condition: evt.type = sched_yield\n  output: o\n  priority: INFO\n")
  end)
end)
