-- SPDX-License-Identifier: Apache-2.0
-- What the test programs of this directory share: running a program and seeing all that came of it, temporary files,
-- and a count of what held.
--
--   local tool = dofile("test/tool.lua")
--   local r = tool.run{ falco, "events", file, timeout = 10 }
--   r.out, r.err          what it wrote
--   r.code, r.signal      how it ended: one of them is nil
--   r.rss                 peak memory, kB (never less than our own was: it counts from the fork)
--   r.seconds             wall clock;  r.cpu user + system
--   tool.check(r.code == 0, "events of %s: exit status %s", file, r.code)
--   tool.finish()         prints the sum and exits
local ffi = require("ffi")

ffi.cdef [[
int fork(void);
int execvp(const char *file, char *const argv[]);
void _exit(int status);
int open(const char *path, int flags, ...);
int dup2(int from, int to);
int close(int fd);
unsigned alarm(unsigned seconds);
int setenv(const char *name, const char *value, int overwrite);
int chdir(const char *path);
char *mkdtemp(char *template);
struct tool_time { long sec, usec; };
struct tool_usage { struct tool_time user, sys; long maxrss, rest[13]; };
int wait4(int pid, int *status, int options, struct tool_usage *usage);
struct tool_spec { long sec, nsec; };
int clock_gettime(int clock, struct tool_spec *t);
struct tool_limit { unsigned long cur, max; };
int setrlimit(int what, const struct tool_limit *limit);
]]

local C = ffi.C
local O_WRONLY_CREAT_TRUNC, RLIMIT_AS, RLIMIT_CORE = 577, 9, 4

local M = { failures = 0, checks = 0, skips = 0 }

function M.now()
  local t = ffi.new("struct tool_spec")
  C.clock_gettime(1, t)
  return tonumber(t.sec) + tonumber(t.nsec) / 1e9
end

function M.read(path)
  local f = io.open(path, "rb")
  if not f then return nil end
  local text = f:read("*a")
  f:close()
  return text
end

function M.write(path, text)
  local f = assert(io.open(path, "wb"))
  f:write(text)
  f:close()
  return path
end

function M.exists(path)
  local f = io.open(path, "rb")
  if f then f:close() end
  return f ~= nil
end

-- Names of the files below DIR that end in TAIL, sorted.
function M.list(dir, tail)
  local names = {}
  local p = io.popen("ls -1 '" .. dir .. "' 2>/dev/null")
  for name in p:lines() do
    if name:sub(-#tail) == tail then names[#names + 1] = name end
  end
  p:close()
  return names
end

function M.lines(text)
  local lines = {}
  for line in text:gmatch("([^\n]*)\n?") do lines[#lines + 1] = line end
  if lines[#lines] == "" then lines[#lines] = nil end
  return lines
end

-- What a replay printed, without the counts at its end.
function M.alerts(out)
  local lines = M.lines(out)
  for i, line in ipairs(lines) do
    if line:find("^Events detected: ") then
      for k = #lines, i, -1 do lines[k] = nil end
      break
    end
  end
  return lines
end

-- A directory of this run's own; finish() removes it if all is well.
function M.dir()
  if not M.own_dir then
    local base = os.getenv("TMPDIR") or "/tmp"
    local template = ffi.new("char[?]", #base + 32, base .. "/falco-test-XXXXXX")
    assert(C.mkdtemp(template) ~= nil, "no temporary directory")
    M.own_dir = ffi.string(template)
  end
  return M.own_dir
end

local serial = 0

-- Starts a program; args as in run(). finish it with wait().
function M.start(args)
  serial = serial + 1
  local base = ("%s/run%d"):format(M.dir(), serial)
  local argv = ffi.new("const char *[?]", #args + 1)
  for i, arg in ipairs(args) do argv[i - 1] = arg end
  local job = { out_path = base .. ".out", err_path = base .. ".err", began = M.now(), args = args }
  io.stdout:flush()
  local pid = C.fork()
  if pid == 0 then
    C.dup2(C.open(args.stdin or "/dev/null", 0), 0)
    if not args.show then C.dup2(C.open(args.out_to or job.out_path, O_WRONLY_CREAT_TRUNC, ffi.cast("int", 420)), 1) end
    C.dup2(C.open(job.err_path, O_WRONLY_CREAT_TRUNC, ffi.cast("int", 420)), 2)
    local none = ffi.new("struct tool_limit", 0, 0)
    C.setrlimit(RLIMIT_CORE, none)
    if args.address_space then
      C.setrlimit(RLIMIT_AS, ffi.new("struct tool_limit", args.address_space, args.address_space))
    end
    for name, value in pairs(args.env or {}) do C.setenv(name, value, 1) end
    if args.cwd then C.chdir(args.cwd) end
    C.alarm(args.timeout or 60)         -- survives the exec: a hang ends as SIGALRM
    C.execvp(args[1], ffi.cast("char *const *", argv))
    C._exit(127)
  end
  assert(pid > 0, "fork failed")
  job.pid = pid
  return job
end

function M.wait(job)
  local status, usage = ffi.new("int[1]"), ffi.new("struct tool_usage")
  repeat local got = C.wait4(job.pid, status, 0, usage) until got == job.pid or ffi.errno() ~= 4
  local r = { seconds = M.now() - job.began, rss = tonumber(usage.maxrss), args = job.args }
  r.cpu = tonumber(usage.user.sec + usage.sys.sec) + tonumber(usage.user.usec + usage.sys.usec) / 1e6
  local s = status[0]
  local signal = bit.band(s, 127)
  if signal ~= 0 then r.signal = signal else r.code = bit.band(bit.rshift(s, 8), 255) end
  r.out, r.err = M.read(job.out_path) or "", M.read(job.err_path) or ""
  os.remove(job.out_path)
  os.remove(job.err_path)
  return r
end

-- { program, arguments ..., stdin =, env =, cwd =, timeout = seconds, address_space = bytes, out_to = path,
--   show = true: standard output is ours }
function M.run(args)
  return M.wait(M.start(args))
end

-- Runs many: each of `list` is an argument of run(), or a function that makes one, with a function `done(r)` in it. `width`
-- at a time, in order of start.
function M.run_all(list, width)
  local running, next_job = {}, 1
  while next_job <= #list or #running > 0 do
    while next_job <= #list and #running < (width or 2) do
      local args = list[next_job]
      if type(args) == "function" then args = args() end
      running[#running + 1] = { M.start(args), args.done }
      next_job = next_job + 1
    end
    local first = table.remove(running, 1)
    first[2](M.wait(first[1]))
  end
end

function M.how(r)
  return r.signal and ("killed by signal " .. r.signal) or ("exit status " .. r.code)
end

function M.check(ok, format, ...)
  M.checks = M.checks + 1
  if not ok then
    M.failures = M.failures + 1
    if M.failures <= (tonumber(os.getenv("FALCO_TEST_FAILURES")) or 30) then print("FAILED: " .. format:format(...)) end
  end
  return ok
end

-- The same, showing what the program wrote.
function M.check_run(r, ok, format, ...)
  if not M.check(ok, format, ...) and M.failures <= 10 then
    print("  command: " .. table.concat(r.args, " "))
    print("  ended:   " .. M.how(r))
    print("  stdout:  " .. r.out:sub(1, 600):gsub("\n", "\n           "))
    print("  stderr:  " .. r.err:sub(1, 1500):gsub("\n", "\n           "))
  end
  return ok
end

function M.skip(format, ...)
  M.skips = M.skips + 1
  print("skipped: " .. format:format(...))
end

function M.finish(what)
  if M.failures > 0 then
    print(("%s: %d of %d checks failed; files: %s"):format(what, M.failures, M.checks, M.own_dir or "none"))
    os.exit(1)
  end
  if M.own_dir then os.execute("rm -rf '" .. M.own_dir .. "'") end
  print(("%s: %d checks held"):format(what, M.checks))
  os.exit(0)
end

-- The repository's own path, for programs that are started elsewhere.
function M.root()
  local p = io.popen("pwd")
  local path = p:read("*l")
  p:close()
  return path
end

return M
