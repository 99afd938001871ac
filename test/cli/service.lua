-- SPDX-License-Identifier: Apache-2.0
-- Falco under a service manager: the end, the pid file, what systemd is told, where messages go.
local http = dofile("test/http.lua")
local pipe

-- SIGTERM in the middle: alerts of all that was read are there, counts too, and the status is good.
local function ends_in_order(tool)
  for _, signal in ipairs{ "TERM", "INT" } do
    local dir = pipe.new_dir("end_" .. signal, "watch_config_files: false\nbuffered_outputs: true\n")
    local job = pipe.start(dir, { "-v", "-P", dir .. "/pid" })
    job.give(math.floor(#pipe.capture / 2))
    pipe.wait_for(function() return tool.read(dir .. "/pid") == job.pid .. "\n" end)
    os.execute("sleep 0.5")          -- everything given is read
    pipe.kill(job, signal)
    local r = tool.wait(job)
    local alerts = #tool.alerts(r.out)
    tool.check_run(r, r.code == 0 and alerts > 100, "SIG%s: %s, %d alerts", signal, tool.how(r), alerts)
    tool.check(r.out:find("every event: " .. alerts, 1, true), "SIG%s: %d alerts came out, and the count is\n%s", signal, alerts, r.out:sub(-200))
    tool.check(not tool.exists(dir .. "/pid"), "SIG%s: the pid file is still there", signal)
  end
end

local function pid_file(tool, falco)
  local dir = pipe.new_dir("pid", "watch_config_files: false\n")
  local path = dir .. "/pid"
  local job = pipe.start(dir, { "-P", path })
  job.give(math.floor(#pipe.capture / 2))
  tool.check(pipe.wait_for(function() return tool.read(path) == job.pid .. "\n" end), "no pid file")
  local r = tool.run{ falco, "replay", "test/data/websrv.scap", "-c", dir .. "/falco.yaml", "-P", path }
  tool.check_run(r, r.code == 1 and r.err:find("falco runs already, as process " .. job.pid, 1, true), "a second falco: %s", tool.how(r))
  tool.check(tool.read(path) == job.pid .. "\n", "a second falco took the pid file")
  pipe.finish(job, "pid file")
  tool.check(not tool.exists(path), "the pid file is still there")
  for _, old in ipairs{ "999999999\n", "1\n", "words\n", "", ("9"):rep(1000) } do
    tool.write(path, old)
    r = tool.run{ falco, "replay", "test/data/websrv.scap", "-c", dir .. "/falco.yaml", "-P", path }
    tool.check_run(r, r.code == 0 and not tool.exists(path), "a pid file with %q: %s", old, tool.how(r))
  end
  r = tool.run{ falco, "replay", "test/data/websrv.scap", "-c", dir .. "/falco.yaml", "-P", "/nonexistent/pid" }
  tool.check_run(r, r.code == 1 and r.err:find("cannot write the process id", 1, true), "a pid file that cannot be: %s", tool.how(r))
end

local function systemd(tool)
  local path = tool.dir() .. "/notify"
  local socket = http.datagrams(path)
  local dir = pipe.new_dir("systemd", "watch_config_files: false\n")
  local job = pipe.start(dir, { env = { NOTIFY_SOCKET = path, WATCHDOG_USEC = "400000" } })
  job.give(math.floor(#pipe.capture / 2))
  local function heard(text)
    for _ = 1, 30 do
      local message = socket:receive(5)
      if not message then return nil end
      if message:find(text, 1, true) then return message end
    end
  end
  local ready = heard("READY=1")
  tool.check(ready and ready:find("MAINPID=" .. job.pid, 1, true), "READY=1: %s", ready)
  tool.check(heard("WATCHDOG=1") and heard("WATCHDOG=1"), "no watchdog")
  pipe.kill(job, "HUP")
  local reloading = heard("RELOADING=1")
  tool.check(reloading and reloading:find("MONOTONIC_USEC=%d+"), "RELOADING=1: %s", reloading)
  tool.check(heard("READY=1"), "not ready again")
  pipe.kill(job, "TERM")
  tool.check(heard("STOPPING=1"), "STOPPING=1")
  local r = tool.wait(job)
  tool.check_run(r, r.code == 0, "systemd: %s", tool.how(r))
  socket:close()
end

-- Messages go to syslog, those that log_level lets through; and nobody waits for a syslog that reads nothing.
local function syslog(tool)
  local path = tool.dir() .. "/dev_log"
  local socket = http.datagrams(path)
  local dir = pipe.new_dir("syslog", "watch_config_files: false\nlog_syslog: true\nlog_level: notice\n")
  local job = pipe.start(dir, { env = { FALCO_SYSLOG_SOCKET = path } })
  job.give(math.floor(#pipe.capture / 2))
  pipe.printed(job, "first 100")
  pipe.kill(job, "HUP")
  local line = socket:receive(10)
  tool.check(line and line:find("^<29>%u%l%l [ %d]%d %d%d:%d%d:%d%d falco%[" .. job.pid .. "%]: SIGHUP: loaded anew: nothing has changed$"),
    "syslog got %s", line)
  tool.write(dir .. "/rules/a.yaml", "- rule: x\n")
  pipe.kill(job, "HUP")
  line = socket:receive(10)
  tool.check(line and line:find("^<27>.*rules/a.yaml:1:%d+: error: "), "a mistake in syslog: %s", line)
  for _ = 1, 40 do pipe.kill(job, "HUP") end         -- more than a socket's queue holds, and nobody reads
  pipe.marks(pipe.finish(job, "syslog"), "syslog")
  socket:close()
end

return function(tool, falco)
  pipe = dofile("test/pipe.lua")(tool, falco)
  ends_in_order(tool)
  pid_file(tool, falco)
  systemd(tool)
  syslog(tool)
end
