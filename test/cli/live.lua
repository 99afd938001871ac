-- SPDX-License-Identifier: Apache-2.0
-- This host as a source: events, alerts and captures of what a child of this test does. Needs root and BTF.
-- Does it every second for a while: nobody knows how long falco takes to begin.
local function start_later(tool, script)
  os.execute(("(for i in 1 2 3 4 5 6; do sleep 1; /bin/%s; done) >/dev/null 2>&1 &"):format(script))
end

-- The text is one line or more, all of them `line`.
local function is_only(text, line)
  return #text > 0 and text:gsub(line:gsub("%p", "%%%0"), "") == ""
end

local function events(tool, falco, secret)
  start_later(tool, "cat " .. secret)
  local r = tool.run{ falco, "events", "--live", "-M", "5", "fd.name = " .. secret .. " and evt.type = openat",
    "-p", "%proc.name %evt.arg.name %evt.is_open_read %proc.cmdline %user.uid", timeout = 30 }
  tool.check_run(r, r.code == 0, "events --live: %s", tool.how(r))
  tool.check(is_only(r.out, ("cat %s true cat %s 0\n"):format(secret, secret)), "events --live printed:\n%s", r.out)
end

local function alerts(tool, falco, secret)
  local rules = tool.write(tool.dir() .. "/live.yaml", ([[
- rule: secret read
  desc: the file of this test is opened
  condition: evt.type in (open, openat, openat2) and fd.name = %s
  output: "%%proc.name read %%fd.name"
  priority: WARNING
]]):format(secret))
  start_later(tool, "cat " .. secret)
  local r = tool.run{ falco, "-r", rules, "-o", "engine.kind=modern_ebpf", "-o", "stdout_output.enabled=true", "-o",
    "time_format_iso_8601=true", "-M", "5", timeout = 30 }
  tool.check_run(r, r.code == 0, "live: %s", tool.how(r))
  tool.check(r.out:find("Warning cat read " .. secret, 1, true), "no alert:\n%s", r.out)
end

-- Nobody hears of alerts any more: falco says so, and ends.
local function lost_reader(tool, falco, secret)
  start_later(tool, "cat " .. secret)
  local r = tool.run{ "bash", "-c", ('"$0" "$@" -r %s/live.yaml -o engine.kind=modern_ebpf -o stdout_output.enabled=true -M 60 | head -n 1; '
    .. 'echo ${PIPESTATUS[0]}'):format(tool.dir()), falco, timeout = 90 }
  tool.check_run(r, r.out:find("Warning cat read [^\n]*\n1\n$") and r.err:find("stdout_output: its reader has gone", 1, true),
    "live, its reader has gone: %s", tool.how(r))
end

local function record(tool, falco, secret)
  local capture = tool.dir() .. "/live.scap"
  start_later(tool, "cat " .. secret)
  local r = tool.run{ falco, "record", "-w", capture, "--seconds", "5", "fd.name = " .. secret, timeout = 30 }
  tool.check_run(r, r.code == 0, "record: %s", tool.how(r))
  r = tool.run{ falco, "events", capture, "evt.type in (openat, read, close)", "-p",
    "%proc.name %evt.type %fd.name %proc.cmdline" }
  local want = {}
  for _, kind in ipairs{ "openat", "read", "read", "close" } do
    want[#want + 1] = ("cat %s %s cat %s\n"):format(kind, secret, secret)
  end
  tool.check(r.out:find(table.concat(want), 1, true), "the capture has:\n%s", r.out)
end

-- Who is there at the start: threads that the driver listed, and that fd.name of what was opened before is known.
local function start(tool, falco, secret, disabled)
  local job = tool.start{ "sh", "-c", "exec 7<" .. secret .. "; while sleep 0.1; do exec 8<&7; done" }
  os.execute("sleep 0.2")
  local rules = tool.write(tool.dir() .. "/start.yaml", ([[
- rule: used again
  desc: what was open before falco began
  condition: evt.type = dup2 and proc.pid = %d
  output: "%%fd.name"
  priority: WARNING
]]):format(job.pid))
  local r = tool.run{ falco, "-r", rules, "-o", "engine.kind=modern_ebpf", "-o", "stdout_output.enabled=true", "-v",
    "-M", "1", "-o", "engine.modern_ebpf.disable_iterators=" .. tostring(disabled), timeout = 30 }
  tool.check(os.execute("kill " .. job.pid) == 0, "the reader has ended")
  tool.wait(job)
  tool.check_run(r, r.code == 0 and r.out:find("Warning " .. secret, 1, true), "what was open before: %s", tool.how(r))
  local listed = tonumber(r.err:match("listed by the driver: (%d+)"))
  tool.check_run(r, listed and (listed == 0) == disabled, "disable_iterators=%s", disabled)
end

local LOOK_UP = "0000000000080004"      -- CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH

-- Each thread of a process: what its status says of something.
local function statuses(tool, pid, key)
  local list = {}
  local p = io.popen(("cat /proc/%d/task/*/status 2>/dev/null"):format(pid))
  for line in p:lines() do list[#list + 1] = line:match("^" .. key .. ":%s*(%S+)") end
  p:close()
  return list
end

-- Does each thread come to have nothing but what is needed to look things up, or, if it writes alerts, less?
local function rights_of(tool, args)
  local job, list = tool.start(args), {}
  for _ = 1, 100 do
    os.execute("sleep 0.1")
    list = statuses(tool, job.pid, "CapEff")
    if list[1] == LOOK_UP then break end
  end
  local what = table.concat(args, " ")
  tool.check(#list > 0, "%s: has ended", what)
  for _, key in ipairs{ "CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb", "NoNewPrivs" } do
    local want = (key == "CapInh" or key == "CapAmb") and ("0"):rep(16) or key == "NoNewPrivs" and "1" or LOOK_UP
    for _, has in ipairs(statuses(tool, job.pid, key)) do
      tool.check(has == want or want == LOOK_UP and has == ("0"):rep(16), "%s: %s is %s, not %s", what, key, has, want)
    end
  end
  local r = tool.wait(job)
  tool.check_run(r, r.code == 0, "%s: %s", what, tool.how(r))
end

-- All rights but two are gone soon.
local function rights(tool, falco, secret)
  local rules = tool.dir() .. "/live.yaml"
  rights_of(tool, { falco, "events", "--live", "-M", "1", "fd.name = " .. secret })
  rights_of(tool, { falco, "record", "-w", tool.dir() .. "/rights.scap", "--seconds", "1", "fd.name = " .. secret })
  rights_of(tool, { falco, "-r", rules, "-o", "engine.kind=modern_ebpf", "-o", "stdout_output.enabled=true", "-M", "1" })
end

local function refused(tool, falco)
  local r = tool.run{ "setpriv", "--reuid=65534", "--clear-groups", falco, "events", "--live", "-M", "1", timeout = 30 }
  tool.check(r.code == 1 and r.err == "falco: error: watching this host needs CAP_BPF and CAP_PERFMON: run as root, or with both "
    .. "capabilities\n", "without capabilities: %s", tool.how(r))
end

return function(tool, falco)
  local uid = tool.run{ "id", "-u" }.out
  if uid ~= "0\n" or not tool.exists("/sys/kernel/btf/vmlinux") then
    tool.skip("this host as a source (needs root and /sys/kernel/btf/vmlinux)")
    return
  end
  local secret = tool.write(tool.dir() .. "/secret", "words")
  events(tool, falco, secret)
  alerts(tool, falco, secret)
  lost_reader(tool, falco, secret)
  record(tool, falco, secret)
  start(tool, falco, secret, false)
  start(tool, falco, secret, true)
  rights(tool, falco, secret)
  refused(tool, falco)
end
