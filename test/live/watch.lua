-- SPDX-License-Identifier: Apache-2.0
-- Running falco live in tests: a configuration, waiting until it sees, ending it, reading its alerts. Returns
-- function(tool, falco), and that a table:
--
--   obstacle()               why this machine cannot run it live, or nil
--   config{rules =, live =}  path of a configuration for JSON alerts with the field "act": ACT of the process's environment.
--                            all_rules: also rules that are off
--   start(args)              falco with these arguments in the background, as of tool.start()
--   wait_until_seen(job)     until an alert comes of what is done for that purpose; false: none did
--   settle(job)              until it has seen what was done so far
--   stop(job)                ends it with a signal: what tool.wait() gives
--   alerts(text)             array of { rule =, act =, line = without times }, of acts only
local ffi = require("ffi")

ffi.cdef [[
int kill(int pid, int sig);
int usleep(unsigned usec);
]]

local SIGTERM = 15
local PROBE = "falco-sees-this"         -- the act of wait_until_seen()

return function(tool, falco)
  local M = { falco = falco }

  function M.sleep(seconds)
    ffi.C.usleep(seconds * 1e6)
  end

  function M.obstacle()
    if tool.run{ "id", "-u" }.out ~= "0\n" then return "only root can load eBPF programs" end
    if not tool.exists("/sys/kernel/btf/vmlinux") then return "this kernel has no /sys/kernel/btf/vmlinux" end
    return nil
  end

  local configs = 0

  function M.config(options)
    configs = configs + 1
    local rules = {}
    for i, path in ipairs(options.rules) do rules[i] = path:find("^/") and path or tool.root() .. "/" .. path end
    return tool.write(("%s/falco%d.yaml"):format(tool.dir(), configs), ([[
engine: {kind: %s}
rules_files: [%s]
%sstdout_output: {enabled: true}
syslog_output: {enabled: false}
log_syslog: false
log_level: warning
webserver: {enabled: false}
json_output: true
json_include_output_property: false
append_output:
  - match: {source: syscall}
    extra_fields: [act: "%%proc.env[ACT]"]
]]):format(options.live and "modern_ebpf" or "replay", table.concat(rules, ", "),
      options.all_rules and 'rules: [enable: {rule: "*"}]\n' or ""))
  end

  function M.start(args)
    local run = { falco, timeout = 1800 }
    for k, v in pairs(args) do
      if type(k) == "number" then run[k + 1] = v else run[k] = v end
    end
    return tool.start(run)
  end

  -- Is it still there? (It is our child, so a pid without a process is a zombie: look at its state.)
  function M.is_running(job)
    local state = (tool.read(("/proc/%d/stat"):format(job.pid)) or ""):match("%) (%a)")
    return state ~= nil and state ~= "Z"
  end

  function M.probe()
    tool.run{ "sh", "-c", "exec 3</etc/shadow; cat /etc/shadow", env = { ACT = PROBE } }
  end

  -- Loading takes a second or so here, and longer in an emulated machine.
  function M.wait_until_seen(job, seconds)
    local deadline = tool.now() + (seconds or 900)
    while tool.now() < deadline and M.is_running(job) do
      M.probe()
      M.sleep(0.2)
      if (tool.read(job.out_path) or ""):find(PROBE, 1, true) then return true end
    end
    return false
  end

  local function probes_seen(job)
    return select(2, (tool.read(job.out_path) or ""):gsub('"falco%-sees%-this"', ""))
  end

  -- Events come in order of time: who has seen a new probe has seen what was before it.
  function M.settle(job)
    local before, deadline = probes_seen(job), tool.now() + 300
    M.probe()
    while M.is_running(job) and probes_seen(job) <= before and tool.now() < deadline do M.sleep(0.1) end
  end

  function M.stop(job)
    ffi.C.kill(job.pid, SIGTERM)
    return tool.wait(job)
  end

  function M.alerts(text)
    local list = {}
    for line in text:gmatch("[^\n]+") do
      local act, rule = line:match('"act":"([^"]+)"'), line:match('"rule":"([^"]*)"')
      if act and rule and act ~= PROBE then
        -- two observers of one event differ by what their clocks said of it, and so does what is reckoned from that
        line = line:gsub('"time":"[^"]*"', ""):gsub('"evt%.time":%d+', ""):gsub('"[%w_.]*duration[%w_.]*":%d+', "")
        list[#list + 1] = { rule = rule, act = act, line = line }
      end
    end
    return list
  end

  return M
end
