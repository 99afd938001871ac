#!/usr/bin/env luajit
-- SPDX-License-Identifier: Apache-2.0
-- What of each system call's event can be trusted, for docs/DRIVER.md: between the two lines of it that name this file.
--   luajit docs/trust.lua            writes the table anew
--   luajit docs/trust.lua --check    fails if that would change anything
-- FILL rows of c/driver/syscalls.def say it themselves, by the primitives that they are made of. What CUSTOM rows do is said
-- below; each parameter of their events has to be named once.
local PAGE = "docs/DRIVER.md"
local BEGIN, END = "<!-- made by docs/trust.lua from here -->\n", "<!-- made by docs/trust.lua up to here -->\n"

local KERNEL, VALUE, MEMORY = 1, 2, 3

-- What a primitive takes a parameter from, and how many it makes.
local PRIMITIVES = {
  RES = KERNEL, RES_FD = KERNEL, RES_FD32 = KERNEL, RES_U32 = KERNEL, RES_U64 = KERNEL, RES_SIZE = KERNEL, DEV = KERNEL, INO = KERNEL,
  CREAT_FLAGS = KERNEL, TASK_MEMORY = { KERNEL, 3 }, TASK_CAPS = { KERNEL, 3 }, LOOK = { KERNEL, 0 }, NOTHING = { KERNEL, 0 },
  FD = VALUE, DIRFD = VALUE, PID = VALUE, U8 = VALUE, U16 = VALUE, U32 = VALUE, U64 = VALUE, S32 = VALUE, S64 = VALUE, FLAGS = VALUE,
  FLAGS8 = VALUE, FLAGS16 = VALUE, CONST8 = VALUE, CONST32 = VALUE, OPEN_FLAGS = VALUE, OPEN_MODE = VALUE, NODE_MODE = VALUE,
  NODE_DEV = VALUE, put_u8 = VALUE, put_u16 = VALUE, put_u32 = VALUE, put_u64 = VALUE, put_s32 = VALUE, put_s64 = VALUE,
  USTR = MEMORY, SOCKADDR = MEMORY, TIMESPEC = MEMORY, UINT_AT = MEMORY, ULONG_AT = MEMORY, POLLED = MEMORY, DATA_IN = MEMORY,
  DATA_OUT = MEMORY, IOV_IN = MEMORY, IOV_OUT = MEMORY, IOV_SIZE = MEMORY, put_user_bytes = MEMORY, IF_OK = MEMORY,
  RLIMIT_IN = { MEMORY, 2 }, RLIMIT_OUT = { MEMORY, 2 }, RLIMIT64_IN = { MEMORY, 2 }, RLIMIT64_OUT = { MEMORY, 2 },
}

local PROCESS = "tid pid ptid cwd fdlimit pgft_maj pgft_min vm_size vm_rss vm_swap comm cgroups"
local PROGRAM = "tty vpgid loginuid flags cap_inheritable cap_permitted cap_effective exe_ino exe_ino_ctime exe_ino_mtime uid "
  .. "trusted_exepath pgid gid"
-- exe and args of a new process are the bytes that the kernel laid out when its program started, where that can write to them
local CLONE = { "res " .. PROCESS .. " uid gid vtid vpid pidns_init_start_ts", "flags", "exe args" }
local MESSAGE = { "res tuple", "fd", "data size" }

-- kernel, value, memory: names of parameters
local CUSTOM = {
  OPENAT2 = { "fd dev ino", "dirfd", "name flags mode resolve" },
  OPEN_BY_HANDLE_AT = { "fd path dev ino", "mountfd flags", "" },
  PIPE = { "res ino", "", "fd1 fd2" }, PIPE2 = { "res ino", "flags", "fd1 fd2" },
  IO_URING_SETUP = { "res", "entries", "sq_entries cq_entries flags sq_thread_cpu sq_thread_idle features" },
  FSCONFIG = { "res", "fd cmd aux", "key value_bytebuf value_charbuf" },
  QUOTACTL = { "res", "cmd type id quota_fmt", "special quotafilepath dqb_bhardlimit dqb_bsoftlimit dqb_curspace dqb_ihardlimit "
    .. "dqb_isoftlimit dqb_btime dqb_itime dqi_bgrace dqi_igrace dqi_flags quota_fmt_out" },
  CONNECT = { "res tuple", "fd", "addr" },
  ACCEPT = { "fd tuple queuepct queuelen queuemax", "", "" }, ACCEPT4 = { "fd tuple queuepct queuelen queuemax", "flags", "" },
  SOCKETPAIR = { "res source peer", "domain type proto", "fd1 fd2" },
  SETSOCKOPT = { "res", "fd level optname optlen", "val" }, GETSOCKOPT = { "res", "fd level optname", "val optlen" },
  SENDTO = { "res tuple", "fd size", "data" }, RECVFROM = { "res tuple", "fd size", "data" },
  SENDMSG = MESSAGE, SENDMMSG = { "tuple", "fd", "res data size" },
  RECVMSG = { "res size tuple", "fd", "data msgcontrol" }, RECVMMSG = { "tuple", "fd", "res size data msgcontrol" },
  PPOLL = { "res", "", "fds timeout sigmask" },
  SEMOP = { "res", "nsops semid", "sem_num_0 sem_op_0 sem_flg_0 sem_num_1 sem_op_1 sem_flg_1" },
  CLONE = CLONE, FORK = CLONE, VFORK = CLONE, CLONE3 = { CLONE[1], "", "flags exe args" },
  EXECVE = { "res " .. PROCESS .. " " .. PROGRAM, "", "exe args env filename" },
  EXECVEAT = { "res " .. PROCESS .. " " .. PROGRAM, "", "exe args env" },
  PTRACE = { "res", "addr request pid", "data" }, PRCTL = { "res", "option", "arg2_str arg2_int" },
  KEYCTL = { "res", "operation", "arg2 arg3 arg4 arg5" },
}

-- What a line of a table cannot say.
local NOTES = {
  EXECVE = "of one that fails; of one that succeeds all is the kernel's, and exe, args and env are read from where it put them",
  EXECVEAT = "as execve", GETCWD = "the kernel wrote it there",
  SENDMSG = "where the tuple has no port of its own (not connected), it is the address in memory", SENDTO = "as sendmsg",
  SENDMMSG = "as sendmsg", RECVFROM = "likewise of who sent it", CONNECT = "the tuple of a datagram socket too is the kernel's",
  PRCTL = "arg2_int is a value but for PR_GET_CHILD_SUBREAPER", KEYCTL = "texts; numbers among them are values",
  PTRACE = "data is a value but for PTRACE_PEEK*",
}

local function read(path)
  local f = assert(io.open(path))
  local text = f:read("*a")
  f:close()
  return text
end

local function split(list)
  local out, depth, from = {}, 0, 1
  for i = 1, #list + 1 do
    local c = list:sub(i, i)
    if c == "(" then depth = depth + 1 elseif c == ")" then depth = depth - 1 end
    if (c == "," and depth == 0) or i > #list then
      out[#out + 1] = list:sub(from, i - 1):match("^%s*(.-)%s*$")
      from = i + 1
    end
  end
  return out
end

local events = {}                 -- symbol -> { name =, parameters }
for symbol, name, rest in read("c/driver/events.def"):gmatch('EVENT%(%d+, ([%w_]+), "([^"]*)",(.-)%)\n%f[^\n]') do
  local event = { name = name }
  for parameter in (rest .. ")"):gmatch("%f[%w]P[FRELDYN]*%(([%w_]+),") do event[#event + 1] = parameter end
  events[symbol] = event
end

local defs = read("c/driver/syscalls.def")
local event_of, name_of = {}, {}
for sc, symbol in defs:gmatch("\nSYSCALL%(%d+, ([%w_]+), ([%w_]+),") do event_of[sc] = symbol end
for sc, name in defs:gmatch('\nSC%(%d+, ([%w_]+), "([^"]*)"%)') do name_of[sc] = name end

local rows = {}

local function add(sc, columns)
  local text = {}
  for i = 1, 3 do text[i] = #columns[i] > 0 and table.concat(columns[i], ", ") or "" end
  rows[#rows + 1] = { name = name_of[sc], ("| %s | %s | %s | %s | %s |"):format(name_of[sc], text[1], text[2], text[3], NOTES[sc] or "") }
end

for sc, list in defs:gmatch("\nFILL%(([%w_]+), ([^\n]*)%)%f[\n]") do
  local event, columns, at = events[event_of[sc]], { {}, {}, {} }, 1
  for _, item in ipairs(split(list)) do
    local primitive = assert(PRIMITIVES[item:match("^[%w_]+")], sc .. ": unknown primitive " .. item)
    local kind, count = primitive, 1
    if type(primitive) == "table" then kind, count = primitive[1], primitive[2] end
    for _ = 1, count do
      local column = columns[kind]
      column[#column + 1] = assert(event[at], sc .. ": more values than parameters")
      at = at + 1
    end
  end
  assert(at == #event + 1, sc .. ": fewer values than parameters")
  add(sc, columns)
end
for sc in defs:gmatch("\n%u+%(([%w_]+)%)") do
  local said, columns, left = assert(CUSTOM[sc], sc .. ": docs/trust.lua does not say where its parameters come from"), {}, {}
  for _, parameter in ipairs(events[event_of[sc]]) do left[parameter] = true end
  for i = 1, 3 do
    columns[i] = {}
    for name in said[i]:gmatch("%S+") do
      assert(left[name], ("%s: docs/trust.lua names %s, which is no parameter or was named before"):format(sc, name))
      left[name] = nil
      columns[i][#columns[i] + 1] = name
    end
  end
  assert(next(left) == nil, ("%s: docs/trust.lua does not name %s"):format(sc, tostring(next(left))))
  add(sc, columns)
end
table.sort(rows, function(a, b) return a.name < b.name end)

local lines = { "| call | the kernel's | passed by value | memory of the process | |", "|---|---|---|---|---|" }
for _, row in ipairs(rows) do lines[#lines + 1] = row[1] end
local page = read(PAGE)
local first, last = page:find(BEGIN, 1, true), page:find(END, 1, true)
assert(first and last, PAGE .. " has no place for the table")
local new = page:sub(1, first + #BEGIN - 1) .. "\n" .. table.concat(lines, "\n") .. "\n\n" .. page:sub(last)
if arg[1] == "--check" then
  if new ~= page then
    print(PAGE .. ": the table of what can be trusted is out of date: luajit docs/trust.lua")
    os.exit(1)
  end
else
  local f = assert(io.open(PAGE, "w"))
  f:write(new)
  f:close()
end
