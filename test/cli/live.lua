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
  record(tool, falco, secret)
  refused(tool, falco)
end
