-- SPDX-License-Identifier: Apache-2.0
-- Rules and configuration loaded anew between two events, by signal and because files changed.
local pipe

-- Everything that came before the reload alerted by the old rules, everything after it by the new ones, and all of it did.
local function by_signal(tool)
  local dir = pipe.new_dir("signal", "watch_config_files: false\n")
  local job = pipe.start(dir, { "-v" })
  job.give(math.floor(#pipe.capture / 2))
  tool.check(pipe.printed(job, "first 100"), "no alerts from a pipe")
  tool.write(dir .. "/rules/a.yaml", pipe.rules_text("second",
    "- rule: never\n  desc: d\n  condition: evt.type = mount\n  output: o\n  priority: INFO\n"))
  tool.write(dir .. "/falco.yaml", pipe.config_text(dir, "watch_config_files: false\nengine: {kind: nodriver}\n"
    .. "falco_libs: {thread_table_size: 77}\ntime_format_iso_8601: true\n"))
  pipe.kill(job, "HUP")
  tool.check(pipe.said(job, "loaded anew"), "SIGHUP loads nothing")
  local r = pipe.finish(job, "reload by signal")
  local of = pipe.marks(r, "reload by signal")
  tool.check((of.first or 0) >= 100 and (of.second or 0) >= 100, "old rules %s, new rules %s", of.first, of.second)
  tool.check(r.out:find("every event: " .. pipe.events, 1, true), "counts do not add up:\n%s", r.out:sub(-300))
  tool.check(r.err:find("SIGHUP: loaded anew: 1 rule added (never); 1 rule changed (every event); configuration: ", 1, true),
    "what changed is not said:\n%s", r.err)
  tool.check(r.err:find("time_format_iso_8601", 1, true), "a changed key is not named:\n%s", r.err)
  tool.check(r.err:find("keep their old values until falco is restarted: falco_libs.thread_table_size", 1, true),
    "a key that wants a restart is not named:\n%s", r.err)
  tool.check(r.out:find("\n%d+%-%d+%-%d+T[^\n]*Notice second"), "the configuration's change has no effect:\n%s", r.out:sub(-300))
end

-- A mistake anywhere leaves everything as it was, and is shown with its place.
local function bad_ones(tool)
  local dir = pipe.new_dir("bad", "watch_config_files: false\n")
  local job = pipe.start(dir, { "-v" })
  job.give(math.floor(#pipe.capture / 3))
  pipe.printed(job, "first 50")
  tool.write(dir .. "/rules/b.yaml", "- rule: wrong\n  desc: d\n  condition: evt.type = opn\n  output: o\n  priority: INFO\n")
  pipe.kill(job, "HUP")
  tool.check(pipe.said(job, "nothing was loaded anew"), "a bad rules file is not told")
  os.remove(dir .. "/rules/b.yaml")
  job.give(math.floor(#pipe.capture / 3))
  tool.write(dir .. "/rules/a.yaml", pipe.rules_text("second"))
  tool.write(dir .. "/falco.yaml", pipe.config_text(dir, "json_outptu: true\n"))
  pipe.kill(job, "HUP")
  tool.check(pipe.said(job, "unknown key 'json_outptu'"), "a bad configuration is not told")
  tool.write(dir .. "/falco.yaml", pipe.config_text(dir, "file_output: {enabled: true, filename: /nonexistent/x}\n"))
  pipe.kill(job, "HUP")
  tool.check(pipe.said(job, "file_output: /nonexistent/x"), "an output that cannot be opened is not told")
  local r = pipe.finish(job, "bad reload")
  tool.check(pipe.marks(r, "bad reload").first == pipe.events, "the old rules did not go on")
  tool.check(r.err:find("b.yaml:3:25: error: ", 1, true), "the mistake has no place:\n%s", r.err)
end

-- Outputs of a reload that came to nothing do not take SIGUSR1 with them.
local function rotation_after_a_bad_one(tool)
  local dir = pipe.new_dir("rotation", "watch_config_files: false\n")
  local function configure(more)
    tool.write(dir .. "/falco.yaml", pipe.config_text(dir, ("watch_config_files: false\nfile_output: {enabled: true, keep_alive: true, "
      .. "filename: %s/alerts}\n%s"):format(dir, more)))
  end
  configure("")
  local job = pipe.start(dir)
  job.give(math.floor(#pipe.capture / 3))
  pipe.printed(job, "first 50")
  tool.write(dir .. "/rules/b.yaml", "- rule: wrong\n  desc: d\n  condition: evt.type = opn\n  output: o\n  priority: INFO\n")
  configure("json_output: true\n")
  pipe.kill(job, "HUP")
  tool.check(pipe.said(job, "nothing was loaded anew"), "a bad rules file is not told")
  assert(os.rename(dir .. "/alerts", dir .. "/alerts.1"))
  pipe.kill(job, "USR1")
  tool.check(pipe.wait_for(function() return tool.exists(dir .. "/alerts") end), "SIGUSR1 after a bad reload opens nothing anew")
  pipe.finish(job, "rotation after a bad reload")
end

-- What an editor, a package or Kubernetes does to files. Each: what is done with the rules of a mark, in the directory
local CHANGES = {
  { "written in place", function(tool, dir, text) tool.write(dir .. "/rules/a.yaml", text) end },
  { "renamed over", function(tool, dir, text)
    tool.write(dir .. "/rules/.a.swp", text)
    assert(os.rename(dir .. "/rules/.a.swp", dir .. "/rules/a.yaml"))
  end },
  { "moved away and made anew", function(tool, dir, text)
    assert(os.rename(dir .. "/rules/a.yaml", dir .. "/rules/a.yaml~"))
    tool.write(dir .. "/rules/a.yaml", text)
  end },
  { "a directory exchanged", function(tool, dir, text)
    pipe.shell("rm -rf", dir .. "/rules.new", dir .. "/rules.old")
    pipe.shell("mkdir", dir .. "/rules.new")
    tool.write(dir .. "/rules.new/z.yaml", text)
    pipe.shell("mv", dir .. "/rules", dir .. "/rules.old")
    pipe.shell("mv", dir .. "/rules.new", dir .. "/rules")
  end },
  { "the directory becomes a volume of Kubernetes", function(tool, dir, text)
    pipe.shell("rm -rf", dir .. "/rules")
    pipe.shell("mkdir -p", dir .. "/rules/..2024_1")
    tool.write(dir .. "/rules/..2024_1/a.yaml", text)
    pipe.shell("ln -s ..2024_1", dir .. "/rules/..data")
    pipe.shell("ln -s ..data/a.yaml", dir .. "/rules/a.yaml")
  end },
  { "..data swapped", function(tool, dir, text)
    pipe.shell("mkdir -p", dir .. "/rules/..2024_2")
    tool.write(dir .. "/rules/..2024_2/a.yaml", text)
    pipe.shell("ln -s ..2024_2", dir .. "/rules/..data_tmp")
    pipe.shell("mv -T", dir .. "/rules/..data_tmp", dir .. "/rules/..data")
    pipe.shell("rm -r", dir .. "/rules/..2024_1")
  end },
  { "the whole volume behind a link", function(tool, dir, text)
    pipe.shell("mkdir -p", dir .. "/else/where")
    tool.write(dir .. "/else/where/a.yaml", text)
    pipe.shell("rm -rf", dir .. "/rules")
    pipe.shell("ln -s else/where", dir .. "/rules")
  end },
  { "changed where the link leads", function(tool, dir, text) tool.write(dir .. "/else/where/a.yaml", text) end },
}

local function by_watching(tool)
  local dir = pipe.new_dir("watch")
  local job = pipe.start(dir)
  local piece = math.floor(#pipe.capture / (#CHANGES + 2))
  job.give(piece)
  tool.check(pipe.printed(job, "first 20"), "no alerts from a pipe")
  for i, change in ipairs(CHANGES) do
    change[2](tool, dir, pipe.rules_text("mark" .. i))
    job.give(piece)
    local seen = pipe.wait_for(function()
      local _, n = (tool.read(job.err_path) or ""):gsub("loaded anew: 1 rule changed", "")
      return n >= i
    end)
    tool.check(seen, "%s: not noticed\n%s", change[1], tool.read(job.err_path))
    if not seen then break end
  end
  local r = pipe.finish(job, "watching")
  pipe.marks(r, "watching")
  tool.check(r.out:find("Notice mark" .. #CHANGES, 1, true), "the last rules have no effect")
end

-- The configuration file itself, and what is touched but not changed.
local function configuration(tool)
  local dir = pipe.new_dir("conf", "config_files: [" .. tool.dir() .. "/conf/config.d]\n")
  local job = pipe.start(dir)
  job.give(math.floor(#pipe.capture / 2))
  pipe.printed(job, "first 50")
  pipe.shell("mkdir", dir .. "/config.d")
  tool.write(dir .. "/config.d/one.yaml", "json_output: true\n")
  tool.check(pipe.said(job, "configuration: json_output"), "config.d comes into being: not noticed\n%s", tool.read(job.err_path))
  pipe.shell("touch", dir .. "/falco.yaml")
  tool.check(pipe.said(job, "nothing has changed"), "touch: not noticed")
  local r = pipe.finish(job, "configuration")
  tool.check(r.out:find('"rule":"every event"', 1, true), "json_output has no effect")
end

-- Very often: no event is lost, and nothing is left behind. The pipe goes on all the time.
local function many_times(tool)
  local times = tool.sanitized and 50 or 1000
  local dir = pipe.new_dir("many", "watch_config_files: false\n")
  tool.write(dir .. "/rules/b.yaml", tool.read("rules/falco_rules.yaml"))
  local job = pipe.start(dir, { "-v" })
  local piece = math.floor(#pipe.capture / (2 * times))
  job.give(math.floor(#pipe.capture / 3))
  tool.check(pipe.printed(job, "first 100"), "no alerts from a pipe")
  local function rss() return tonumber((tool.read(("/proc/%d/status"):format(job.pid)) or ""):match("VmRSS:%s*(%d+)")) end
  local after_some, done = nil, 0
  for i = 1, times do
    job.give(piece)
    -- at once: a reload that is under way may be reading it
    assert(os.rename(tool.write(dir .. "/rules/.a.new", pipe.rules_text(i % 2 == 0 and "even" or "odd")), dir .. "/rules/a.yaml"))
    pipe.kill(job, "HUP")
    if i % 20 == 0 then
      local n = pipe.wait_for(function()
        local _, count = (tool.read(job.err_path) or ""):gsub("loaded anew", "")
        return count > done and count
      end)
      if not tool.check(n, "no reload for a long time, after %d signals", i) then break end
      done = n
    end
    if i == math.floor(times / 5) then after_some = rss() end
  end
  local last = rss()
  local r = pipe.finish(job, "many reloads")
  pipe.marks(r, "many reloads")
  local _, n = r.err:gsub("loaded anew", "")
  tool.check(not r.err:find("removed", 1, true), "a reload has read half a file")
  tool.check(n >= times / 20, "only %d reloads of %d signals", n, times)
  tool.check(r.out:find("every event: " .. pipe.events, 1, true), "counts do not add up:\n%s", r.out:sub(-300))
  if not tool.sanitized then
    tool.check(last < after_some * 1.3 + 4096, "memory grows: %d kB after a fifth, %d kB after %d reloads", after_some, last, n)
  end
end

-- While rules or the configuration are still being read: they come from a pipe that nobody has written to yet.
local function early_signals(tool, falco)
  local dir = pipe.new_dir("early", "")
  for _, signals in ipairs{ "USR1", "HUP", "HUP HUP USR1" } do
    pipe.shell("rm -f", dir .. "/rules.yaml;", "mkfifo", dir .. "/rules.yaml;", "cp", dir .. "/rules/a.yaml", dir .. "/b.yaml")
    local job = tool.start{ falco, "replay", "test/data/unix_sock.scap", "-r", dir .. "/rules.yaml", timeout = 20 }
    os.execute(("timeout 20 sh -c 'cd %s; exec 3>rules.yaml; mv b.yaml rules.yaml; for s in %s; do kill -$s %d; done; cat rules.yaml >&3'")
      :format(dir, signals, job.pid))
    local r = tool.wait(job)
    tool.check_run(r, r.code == 0 and r.out:find("first", 1, true), "SIG%s while rules are read: %s", signals, tool.how(r))
  end
  pipe.shell("rm -f", dir .. "/rules.yaml;", "mkfifo", dir .. "/rules.yaml")
  for _, what in ipairs{ "-r", "-c" } do
    for _, signal in ipairs{ "TERM", "INT" } do
      local job = tool.start{ falco, "replay", "test/data/unix_sock.scap", timeout = 20, what, dir .. "/rules.yaml" }
      pipe.wait_for(function() return (tool.read(("/proc/%d/wchan"):format(job.pid)) or ""):find("wait_for_partner", 1, true) end)
      pipe.kill(job, signal)
      local r = tool.wait(job)
      tool.check_run(r, r.code == 0, "SIG%s while %s is read: %s", signal, what, tool.how(r))
    end
  end
end

-- While the head of a capture is waited for, of which not all may be there: only a signal that asks to end ends that.
local function signals_at_the_head(tool)
  for _, given in ipairs{ 0, 1, 1000 } do
    for _, signal in ipairs{ "USR1", "HUP", "TERM" } do
      local job = pipe.start(pipe.new_dir("head", ""))
      if given > 0 then job.give(given) end
      for _ = 1, signal == "TERM" and 1 or 3 do
        pipe.wait_for(function() return (tool.read(("/proc/%d/wchan"):format(job.pid)) or ""):find("poll", 1, true) end)
        pipe.kill(job, signal)
      end
      local r = pipe.finish(job, ("SIG%s after %d bytes of a capture"):format(signal, given))
      if signal ~= "TERM" then pipe.marks(r, "signals at the head") end
    end
  end
end

-- From its first line on the program holds back what would end it. That it has begun is seen by SIGPIPE, which it ignores.
local function first_signals(tool, falco)
  local dir = pipe.new_dir("first", "")
  for _, signal in ipairs{ "HUP", "USR1", "TERM", "INT", "HUP", "USR1", "TERM", "INT" } do
    local job = tool.start{ "env", "--default-signal=PIPE", falco, "replay", "test/data/unix_sock.scap", "-r", dir .. "/rules/a.yaml",
      timeout = 20 }
    local path = ("/proc/%d/status"):format(job.pid)
    repeat
      local status = tool.read(path) or ""
      local ignored = status:match("SigIgn:%s*%x*(%x)%x%x%x\n")
    until not ignored or status:find("Name:\tfalco", 1, true) and tonumber(ignored, 16) % 2 == 1
    pipe.kill(job, signal)
    local r = tool.wait(job)
    tool.check_run(r, r.code == 0, "SIG%s at the very start: %s", signal, tool.how(r))
  end
end

-- This host as the source: whatever happens while rules are loaded is seen afterwards, however often somebody asks.
local function live(tool, falco)
  if tool.run{ "id", "-u" }.out ~= "0\n" or not tool.exists("/sys/kernel/btf/vmlinux") then
    tool.skip("reloads while this host is watched (needs root and /sys/kernel/btf/vmlinux)")
    return
  end
  local dir = pipe.new_dir("live", "engine: {kind: modern_ebpf}\nwatch_config_files: false\n")
  local secret = tool.write(dir .. "/secret", "words")
  tool.write(dir .. "/rules/a.yaml", ("- rule: secret read\n  desc: d\n  condition: evt.type in (open, openat) and fd.name = %s\n"
    .. "  output: read\n  priority: WARNING\n"):format(secret))
  tool.write(dir .. "/rules/b.yaml", tool.read("rules/falco_rules.yaml"))
  local job = tool.start{ falco, "-c", dir .. "/falco.yaml", "-P", dir .. "/pid", "-v", timeout = 60 }
  pipe.wait_for(function() return tool.exists(dir .. "/pid") end)
  os.execute("sleep 1")
  pipe.shell(("for i in $(seq 200); do : <%s; : <%s; kill -HUP %d; sleep 0.01; done"):format(secret, secret, job.pid))
  os.execute("sleep 2")
  pipe.shell((": <%s; kill -TERM %d"):format(secret, job.pid))         -- nor is the last one lost
  local r = tool.wait(job)
  local _, alerts = r.out:gsub("Warning read", "")
  local _, reloads = r.err:gsub("loaded anew", "")
  tool.check_run(r, r.code == 0 and reloads >= 2, "live: %s, %d reloads", tool.how(r), reloads)
  tool.check(alerts == 401, "live: %d alerts of 401, %d reloads, lost: %s", alerts, reloads, r.err:match("ring full: other calls: %d+"))
end

return function(tool, falco)
  pipe = dofile("test/pipe.lua")(tool, falco)
  by_signal(tool)
  bad_ones(tool)
  rotation_after_a_bad_one(tool)
  by_watching(tool)
  configuration(tool)
  many_times(tool)
  early_signals(tool, falco)
  signals_at_the_head(tool)
  first_signals(tool, falco)
  live(tool, falco)
end
