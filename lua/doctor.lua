-- SPDX-License-Identifier: Apache-2.0
-- falco doctor: what this machine can do for a live capture, and what to change. Each check looks at one thing and answers
--   status   "ok", "warning" (it works, with something missing) or "problem" (it does not work)
--   found    what there is
--   advice   what to change; nil when there is nothing to
--
--   doctor.run(config, options)            prints, returns the exit status: 0 when a live capture works
--   doctor.examine(host, config)           the list of answers; host: how to look (doctor.host(), or a made-up one)
local console = require("console")
local core = require("core")
local json = require("json")

local M = {}

local HOST_PID_NAMESPACE = "pid:[4026531836]"          -- a number that the kernel gives to the first one for good
local SYS_ADMIN, SYS_PTRACE, DAC_READ_SEARCH, PERFMON, BPF = 21, 19, 2, 38, 39

-- ------------------------------------------------------------------ looking

-- How to look at this machine. Paths of the watched host are below HOST_ROOT.
function M.host()
  local C, ffi = core.C, core.ffi
  local host = { root = os.getenv("HOST_ROOT") or "" }
  function host.read(path)
    local f = io.open(path, "rb")
    local text = f and f:read(65536)
    if f then f:close() end
    return text
  end
  function host.exists(path)
    return C.sys_kind(path) > C.SYS_MISSING           -- negative: nobody may tell
  end
  function host.link(path)
    local buf = ffi.new("char[256]")
    return C.sys_link(path, buf, 256) > 0 and ffi.string(buf) or nil
  end
  -- Opens the driver for a moment: nil, or why it does not open.
  function host.try(config)
    local run = require("run")
    local kind = config.engine.kind
    config.engine.kind = "modern_ebpf"
    local eng, message = run.open_engine(config, nil, { set = ffi.new("struct syscall_set"), seconds = 1 })
    config.engine.kind = kind
    if eng then C.engine_free(eng) end
    return message
  end
  return host
end

local function first_line(text)
  return text and text:match("^[^\n]*")
end

-- Kernel release as a number that can be compared: 5.10 is 510.
local function release_number(release)
  local major, minor = (release or ""):match("^(%d+)%.(%d+)")
  return major and tonumber(major) * 100 + tonumber(minor) or 0
end

-- Mount points by type of file system.
local function mounts(host)
  local text, list = host.read(host.root .. "/proc/1/mounts") or host.read("/proc/self/mounts") or "", {}
  for place, kind in text:gmatch("[^\n]- (%S+) (%S+) [^\n]*") do
    list[kind] = list[kind] or place
  end
  return list
end

-- Effective capabilities by number.
local function rights(host)
  local digits, has = (host.read("/proc/self/status") or ""):match("\nCapEff:%s*(%x+)") or "", {}
  for i = 1, #digits do
    local nibble = tonumber(digits:sub(-i, -i), 16)
    for bit = 0, 3 do has[(i - 1) * 4 + bit] = math.floor(nibble / 2 ^ bit) % 2 == 1 end
  end
  return has
end

-- "0-3,5" has 5
local function count_cpus(text)
  local n = 0
  for from, to in (text or ""):gmatch("(%d+)%-?(%d*)") do
    n = n + (tonumber(to) or tonumber(from)) - tonumber(from) + 1
  end
  return math.max(n, 1)
end

-- ------------------------------------------------------------------ checks

local function ok(found)
  return { status = "ok", found = found }
end

local function warning(found, advice)
  return { status = "warning", found = found, advice = advice }
end

local function problem(found, advice)
  return { status = "problem", found = found, advice = advice }
end

local CHECKS = {}

local function add(name, check)
  CHECKS[#CHECKS + 1] = { name = name, check = check }
end

add("kernel", function(host)
  local release = first_line(host.read("/proc/sys/kernel/osrelease"))
  if not release then return problem("unknown: /proc is not mounted", "mount /proc") end
  if release_number(release) < 508 then
    return problem(release, "the eBPF driver needs Linux 5.8 or later; on this kernel captures can only be replayed")
  end
  return ok(release)
end)

add("type information (BTF)", function(host)
  if host.exists("/sys/kernel/btf/vmlinux") then return ok("/sys/kernel/btf/vmlinux") end
  return problem("missing", "use a kernel with CONFIG_DEBUG_INFO_BTF=y; in a container, mount the host's /sys")
end)

add("capabilities", function(host)
  local has, missing = rights(host), {}
  if not has[SYS_ADMIN] and not (has[BPF] and has[PERFMON]) then
    return problem("neither CAP_SYS_ADMIN nor CAP_BPF with CAP_PERFMON", "run as root, or give CAP_BPF, CAP_PERFMON, " ..
      "CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH")
  end
  for bit, name in pairs{ [SYS_PTRACE] = "CAP_SYS_PTRACE", [DAC_READ_SEARCH] = "CAP_DAC_READ_SEARCH" } do
    if not has[bit] then missing[#missing + 1] = name end
  end
  table.sort(missing)
  if #missing == 0 then return ok("enough to load programs and to read /proc") end
  return warning("without " .. table.concat(missing, ", "),
    "processes of others will be known only in part; give the missing ones too")
end)

add("lockdown", function(host)
  local text = first_line(host.read("/sys/kernel/security/lockdown"))
  local mode = text and text:match("%[(%w+)%]")
  if mode == "confidentiality" then
    return problem(mode, "this mode keeps eBPF from reading kernel memory: boot with lockdown=integrity or none")
  end
  return ok(mode or "not compiled in, or not visible")
end)

add("seccomp", function(host)
  local mode = (host.read("/proc/self/status") or ""):match("\nSeccomp:%s*(%d)")
  if mode == "2" then
    return warning("a filter is in force", "it must let bpf(2) and perf_event_open(2) pass: in a container, run privileged or " ..
      "with a profile that does")
  end
  return ok("no filter")
end)

add("control groups", function(host)
  local found = mounts(host)
  if found.cgroup and found.cgroup2 then return ok("versions 1 and 2 (hybrid)") end
  if found.cgroup2 then return ok("version 2") end
  if found.cgroup then return ok("version 1") end
  return warning("none mounted", "containers cannot be told from the host: mount cgroup2 on /sys/fs/cgroup")
end)

add("pid namespace", function(host)
  local own = host.link("/proc/self/ns/pid")
  if own == HOST_PID_NAMESPACE then return ok("the host's") end
  return warning(own and "not the host's" or "unknown", "process numbers will not fit: run with the host's pid namespace " ..
    "(--pid=host), and set HOST_ROOT to where the host's file system is")
end)

add("/proc of the host", function(host)
  local path = host.root .. "/proc"
  if host.exists(path .. "/1/status") then return ok(path) end
  return problem(path .. " is not there", host.root == "" and "mount /proc" or
    "HOST_ROOT does not lead to the host's file system")
end)

add("bpffs, tracefs", function(host)
  local found, list = mounts(host), {}
  for _, kind in ipairs{ "bpf", "tracefs" } do
    if found[kind] then list[#list + 1] = found[kind] end
  end
  return ok(#list > 0 and table.concat(list, ", ") or "not mounted, and not needed")
end)

add("locked memory", function(host)
  local limit = (host.read("/proc/self/limits") or ""):match("\nMax locked memory%s+(%S+)") or "unknown"
  if release_number(host.read("/proc/sys/kernel/osrelease")) >= 511 then
    return ok(("limit %s; this kernel counts eBPF memory in control groups instead"):format(limit))
  end
  if limit == "unlimited" then return ok(limit) end
  return warning(("limit %s bytes"):format(limit), "buffers may not fit: ulimit -l unlimited, or LimitMEMLOCK=infinity in the unit")
end)

add("buffers", function(host, config)
  local driver = config.engine.modern_ebpf
  local cpus = count_cpus(first_line(host.read("/sys/devices/system/cpu/online")))
  local each = driver.cpus_for_each_buffer
  local n = each == 0 and 1 or math.ceil(cpus / each)
  local size = 2 ^ (driver.buf_size_preset - 1)
  return ok(("%d of %d MB for %d CPU%s (engine.modern_ebpf.buf_size_preset %d, cpus_for_each_buffer %d)"):format(n, size, cpus,
    cpus == 1 and "" or "s", driver.buf_size_preset, each))
end)

add("eBPF compiler", function(host)
  if first_line(host.read("/proc/sys/net/core/bpf_jit_enable")) == "0" then
    return warning("off", "programs are interpreted, which is slow: sysctl net.core.bpf_jit_enable=1")
  end
  return ok("on")
end)

add("perf_event_paranoid", function(host)
  return ok((first_line(host.read("/proc/sys/kernel/perf_event_paranoid")) or "unknown") .. " (of no matter to this driver)")
end)

local RUNTIMES = {
  { "docker", "/var/run/docker.sock", "/var/lib/docker/containers" },
  { "podman", "/run/podman/podman.sock", "/var/lib/containers/storage/overlay-containers" },
  { "containerd", "/run/containerd/containerd.sock", "/run/containerd/io.containerd.runtime.v2.task" },
  { "k3s", "/run/k3s/containerd/containerd.sock", "/run/k3s/containerd/io.containerd.runtime.v2.task" },
  { "cri-o", "/run/crio/crio.sock", "/run/containers/storage/overlay-containers" },
}

add("container runtimes", function(host)
  local list = {}
  for _, row in ipairs(RUNTIMES) do
    local parts = {}
    for i = 2, 3 do
      if host.exists(host.root .. row[i]) then parts[#parts + 1] = row[i] end
    end
    if #parts > 0 then list[#list + 1] = ("%s (%s)"):format(row[1], table.concat(parts, ", ")) end
  end
  return ok(#list > 0 and table.concat(list, "; ") or "none in the standard places; others are found by their processes")
end)

add("driver", function(host, config)
  local message = host.try(config)
  if not message then return ok("opens") end
  return problem(message, "see the lines above; `falco replay` works without it")
end)

function M.examine(host, config)
  local answers = {}
  for i, row in ipairs(CHECKS) do
    local answer = row.check(host, config)
    answer.check = row.name
    answers[i] = answer
  end
  return answers
end

-- Would a live capture work?
function M.works(answers)
  for _, answer in ipairs(answers) do
    if answer.status == "problem" then return false end
  end
  return true
end

-- ------------------------------------------------------------------ showing

local PAINT = { ok = "green", warning = "yellow", problem = "error" }

function M.text(answers, colour)
  local lines = {}
  for _, a in ipairs(answers) do
    local status = ("%-7s"):format(a.status)
    if colour then status = console.paints[PAINT[a.status]] .. status .. console.paints.off end
    lines[#lines + 1] = ("%s  %-22s  %s\n"):format(status, a.check, a.found)
    if a.advice then lines[#lines + 1] = (" "):rep(33) .. a.advice .. "\n" end
  end
  lines[#lines + 1] = M.works(answers) and "live capture works here\n" or "live capture does not work here\n"
  return table.concat(lines)
end

function M.json(answers)
  return json.encode({ works = M.works(answers), checks = json.array(answers) }, 2) .. "\n"
end

function M.run(config, options)
  local answers = M.examine(M.host(), config)
  console.print(options.event_json and M.json(answers) or M.text(answers, console.has_colour(1)))
  local failure = console.failure()
  if failure then
    console.error(failure)
    return 1
  end
  return M.works(answers) and 0 or 1
end

return M
