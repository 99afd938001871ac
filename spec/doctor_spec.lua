-- SPDX-License-Identifier: Apache-2.0
local doctor = require "doctor"

local CONFIG = { engine = { modern_ebpf = { buf_size_preset = 4, cpus_for_each_buffer = 2 } } }

-- A machine where everything is well; `changes` by path: a text, or false for missing.
local function machine(changes)
  local files = {
    ["/proc/sys/kernel/osrelease"] = "6.1.0-18-amd64\n",
    ["/proc/self/status"] = "Name:\tfalco\nCapEff:\t000001ffffffffff\nSeccomp:\t0\n",
    ["/proc/1/mounts"] = "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\nbpf /sys/fs/bpf bpf rw 0 0\n",
    ["/proc/1/status"] = "", ["/sys/kernel/btf/vmlinux"] = "", ["/sys/devices/system/cpu/online"] = "0-2,5\n",
    ["/proc/self/limits"] = "Limit\nMax locked memory         65536                65536                bytes\n",
    ["/sys/kernel/security/lockdown"] = "[none] integrity confidentiality\n",
    ["/proc/sys/net/core/bpf_jit_enable"] = "1\n", ["/var/run/docker.sock"] = "",
  }
  local host = { root = "" }
  for path, text in pairs(changes or {}) do
    if type(path) == "string" and path:sub(1, 1) == "/" then files[path] = text or nil else host[path] = text end
  end
  function host.read(path) return files[path] end
  function host.exists(path) return files[path] ~= nil end
  function host.link() return host.namespace or "pid:[4026531836]" end
  function host.try() return host.failure end
  return host
end

local function answer(name, changes)
  local answers = doctor.examine(machine(changes), CONFIG)
  for _, a in ipairs(answers) do
    if a.check == name then return a, doctor.works(answers) end
  end
  error("no check '" .. name .. "'")
end

local function assert_answer(status, found, name, changes)
  local a, works = answer(name, changes)
  assert.equal(status, a.status)
  assert.matches(found, a.found)
  assert.equal(status ~= "ok", a.advice ~= nil)
  assert.equal(status ~= "problem", works)
end

describe("falco doctor", function()
  it("finds nothing wrong where nothing is", function()
    local answers = doctor.examine(machine(), CONFIG)
    for _, a in ipairs(answers) do assert.equal("ok", a.status, a.check) end
    assert.is_true(doctor.works(answers))
  end)

  it("knows which kernels will not do", function()
    assert_answer("problem", "5%.4%.0", "kernel", { ["/proc/sys/kernel/osrelease"] = "5.4.0\n" })
    assert_answer("ok", "5%.10%.1", "kernel", { ["/proc/sys/kernel/osrelease"] = "5.10.1\n" })
    assert_answer("problem", "missing", "type information (BTF)", { ["/sys/kernel/btf/vmlinux"] = false })
    assert_answer("problem", "confidentiality", "lockdown",
      { ["/sys/kernel/security/lockdown"] = "none integrity [confidentiality]\n" })
    assert_answer("ok", "integrity", "lockdown", { ["/sys/kernel/security/lockdown"] = "none [integrity] confidentiality\n" })
    assert_answer("warning", "off", "eBPF compiler", { ["/proc/sys/net/core/bpf_jit_enable"] = "0\n" })
  end)

  it("reads capabilities bit by bit", function()
    local function status(bits) return { ["/proc/self/status"] = "Name:\tfalco\nCapEff:\t" .. bits .. "\nSeccomp:\t0\n" } end
    assert_answer("problem", "neither", "capabilities", status("0000000000000000"))
    assert_answer("ok", "enough", "capabilities", status("000000c000080004"))       -- BPF, PERFMON, PTRACE, DAC_READ_SEARCH
    assert_answer("warning", "without CAP_DAC_READ_SEARCH, CAP_SYS_PTRACE", "capabilities", status("000000c000000000"))
    assert_answer("problem", "neither", "capabilities", status("0000008000080004"))
    assert_answer("warning", "without CAP_SYS_PTRACE", "capabilities", status("0000000000200004"))
  end)

  it("sees that it is in a container", function()
    assert_answer("warning", "not the host's", "pid namespace", { namespace = "pid:[4026532000]" })
    assert_answer("problem", "/host/proc is not there", "/proc of the host", { root = "/host" })
    assert_answer("warning", "filter", "seccomp",
      { ["/proc/self/status"] = "Name:\tfalco\nCapEff:\t000001ffffffffff\nSeccomp:\t2\n" })
  end)

  it("tells control groups, memory, buffers and runtimes", function()
    assert_answer("ok", "hybrid", "control groups",
      { ["/proc/1/mounts"] = "c /a cgroup rw 0 0\ncgroup2 /b cgroup2 rw 0 0\n" })
    assert_answer("ok", "version 1", "control groups", { ["/proc/1/mounts"] = "c /a cgroup rw 0 0\n" })
    assert_answer("warning", "none", "control groups", { ["/proc/1/mounts"] = "" })
    assert_answer("warning", "65536 bytes", "locked memory", { ["/proc/sys/kernel/osrelease"] = "5.10.0\n" })
    assert_answer("ok", "2 of 8 MB for 4 CPUs", "buffers")
    assert_answer("ok", "docker %(/var/run/docker.sock%)", "container runtimes")
    assert_answer("ok", "none in the standard places", "container runtimes", { ["/var/run/docker.sock"] = false })
  end)

  it("believes the driver in the end", function()
    assert_answer("problem", "not today", "driver", { failure = "not today" })
  end)

  it("prints lines, or one JSON object", function()
    local answers = doctor.examine(machine{ failure = "not today" }, CONFIG)
    local text = doctor.text(answers)
    assert.matches("\nproblem  driver                  not today\n +see the lines above", text)
    assert.matches("live capture does not work here\n$", text)
    local json = doctor.json(answers)
    assert.matches('"works": false', json)
    assert.matches('"check": "kernel"', json)
  end)
end)
