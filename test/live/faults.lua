-- SPDX-License-Identifier: Apache-2.0
-- What happens to a falco that watches, and what keeps it from watching.
--
--   killed     after SIGKILL none of its programs and maps is left in the kernel
--   two        two of them see the same; one goes on when the other ends
--   full ring  what did not fit is counted
--   obstacles  each is named in one message, with an exit status that is not 0
local ffi = require("ffi")

ffi.cdef [[ long syscall(long number, ...); ]]

local SYS_BPF, PROG_GET_NEXT_ID, MAP_GET_NEXT_ID = 321, 11, 12
local SIGKILL, SIGSTOP, SIGCONT = 9, 19, 18
local RULES = { "rules/falco_rules.yaml" }

-- Is there still an object of that id? kind: PROG_ or MAP_GET_NEXT_ID. It is not opened: the kernel empties a map of programs when
-- the last one who has it open closes it, later on, and to ask for that once more meanwhile keeps the map for good.
local function exists(kind, id)
  local attr = ffi.new("uint32_t[32]")
  attr[0] = id - 1
  local found = tonumber(ffi.C.syscall(SYS_BPF, ffi.cast("int", kind), attr, ffi.cast("unsigned", 128))) == 0
  return found and attr[1] == id
end

-- { { kind, id }, ... } of what a process has open
local function bpf_objects(pid)
  local list = {}
  local p = io.popen(("cat /proc/%d/fdinfo/* 2>/dev/null"):format(pid))
  for line in p:lines() do
    local what, id = line:match("^(%a+)_id:%s*(%d+)")
    if what == "prog" then list[#list + 1] = { PROG_GET_NEXT_ID, tonumber(id) } end
    if what == "map" then list[#list + 1] = { MAP_GET_NEXT_ID, tonumber(id) } end
  end
  p:close()
  return list
end

local function count_existing(objects)
  local n = 0
  for _, object in ipairs(objects) do n = n + (exists(unpack(object)) and 1 or 0) end
  return n
end

return function(tool, watch)
  local config = watch.config{ rules = RULES, live = true }

  local function start(...)
    return watch.start{ "-c", config, "-U", "-v", ... }
  end

  local function killed()
    local job = start()
    tool.check(watch.wait_until_seen(job), "killed: nothing is seen before")
    local objects = bpf_objects(job.pid)
    tool.check(#objects > 20 and count_existing(objects) == #objects, "killed: only %d programs and maps are found", #objects)
    ffi.C.kill(job.pid, SIGKILL)
    tool.wait(job)
    local deadline = tool.now() + 90                 -- the kernel frees them a little later
    while count_existing(objects) > 0 and tool.now() < deadline do watch.sleep(0.1) end
    tool.check(count_existing(objects) == 0, "killed: %d of %d programs and maps are left in the kernel",
      count_existing(objects), #objects)
  end

  local function two()
    local one, other = start(), start()
    tool.check(watch.wait_until_seen(one) and watch.wait_until_seen(other), "two: not both see what happens")
    local r = watch.stop(one)
    tool.check_run(r, r.code == 0, "two: the first: %s", tool.how(r))
    local size = #(tool.read(other.out_path) or "")
    watch.probe()
    watch.sleep(0.5)
    tool.check(#(tool.read(other.out_path) or "") > size, "two: the second sees nothing after the first has ended")
    r = watch.stop(other)
    tool.check_run(r, r.code == 0, "two: the second: %s", tool.how(r))
  end

  local function full_ring()
    local job = start("-o", "engine.modern_ebpf.buf_size_preset=1")
    tool.check(watch.wait_until_seen(job), "full ring: nothing is seen before")
    ffi.C.kill(job.pid, SIGSTOP)
    local storm = tool.run{ os.getenv("FALCO_STORM") or "build/test/storm", "0", "openclose", "100000" }
    tool.check_run(storm, storm.code == 0, "full ring: the storm: %s", tool.how(storm))
    ffi.C.kill(job.pid, SIGCONT)
    watch.sleep(1)
    tool.check(watch.is_running(job), "full ring: falco ended")
    watch.probe()
    watch.sleep(0.5)
    local r = watch.stop(job)
    local lost = 0
    for n in r.err:gmatch("lost, ring full: [^\n]*: (%d+)") do lost = lost + tonumber(n) end
    tool.check_run(r, r.code == 0 and lost > 50000, "full ring: %s, %d events counted as lost of 200000", tool.how(r), lost)
  end

  -- Name, words that the message must have, and a command line in front of falco's.
  local OBSTACLES = {
    { "no BTF", "BTF", "unshare", "-m", "sh", "-c", 'mount -t tmpfs none /sys/kernel/btf && exec "$0" "$@"' },
    { "no capabilities", "CAP_", "setpriv", "--bounding-set", "-all", "--inh-caps", "-all" },
    { "no CAP_BPF and CAP_SYS_ADMIN", "CAP_BPF", "setpriv", "--bounding-set", "-bpf,-sys_admin", "--inh-caps", "-bpf,-sys_admin" },
    { "a user namespace", "user namespace", "unshare", "-U", "-r" },
    { "an ordinary user", "root", "setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups" },
  }

  local function obstacles()
    for _, obstacle in ipairs(OBSTACLES) do
      if os.execute("command -v " .. obstacle[3] .. " >/dev/null") ~= 0 then
        tool.skip("%s: %s is not installed", obstacle[1], obstacle[3])
      else
        local args = { select(3, unpack(obstacle)) }
        for _, arg in ipairs{ watch.falco, "events", "--live", "-M", "1", "evt.type = openat" } do args[#args + 1] = arg end
        local r = tool.run(args)
        tool.check_run(r, r.code and r.code ~= 0 and r.err:find("falco: error:", 1, true) and r.err:find(obstacle[2], 1, true),
          "%s: no message that says '%s'", obstacle[1], obstacle[2])
      end
    end
    -- nothing is pinned, so that one is none
    local r = tool.run{ "unshare", "-m", "sh", "-c", 'mount -t bpf -o ro bpf /sys/fs/bpf && exec "$0" "$@"', watch.falco, "events",
      "--live", "-M", "2", "evt.type = openat" }
    tool.check_run(r, r.code == 0, "a read-only bpffs: %s", tool.how(r))
  end

  -- Before 6.2 libbpf needs more, and the message says so.
  local function few_capabilities()
    if os.execute("command -v setpriv >/dev/null") ~= 0 then return tool.skip("few capabilities: setpriv is not installed") end
    local major, minor = tool.read("/proc/sys/kernel/osrelease"):match("^(%d+)%.(%d+)")
    local r = tool.run{ "setpriv", "--bounding-set", "-all,+bpf,+perfmon", "--inh-caps", "-all", watch.falco, "events", "--live",
      "-M", "2", "evt.type = openat" }
    if tonumber(major) * 100 + tonumber(minor) >= 602 then
      tool.check_run(r, r.code == 0, "CAP_BPF and CAP_PERFMON alone: %s", tool.how(r))
    elseif r.code ~= 0 then
      tool.check_run(r, r.err:find("CAP_SYS_ADMIN", 1, true), "CAP_BPF and CAP_PERFMON alone: the message is another one")
    end
  end

  killed()
  two()
  full_ring()
  obstacles()
  few_capabilities()
end
