-- SPDX-License-Identifier: Apache-2.0
-- Falco as a daemon: rules and configuration loaded anew between two events, by signal and because files changed; the end.
-- Captures come through a pipe, so that the test decides what happens in between.
local WAIT = 20         -- seconds for something to happen

local function rules_text(mark, more)
  return ([[
- rule: every event
  desc: all of them
  condition: evt.num > 0
  output: "%s %%evt.num"
  priority: NOTICE
  warn_evttypes: false
%s]]):format(mark, more or "")
end

local function shell(...)
  local status = os.execute(table.concat({ ... }, " "))
  assert(status == 0 or status == true, table.concat({ ... }, " "))
end

-- Waits until ask() says something true.
local function wait_for(tool, ask)
  local deadline = tool.now() + WAIT
  repeat
    local answer = ask()
    if answer then return answer end
    os.execute("sleep 0.02")
  until tool.now() > deadline
  return nil
end

local function said(tool, job, text)
  return wait_for(tool, function() return (tool.read(job.err_path) or ""):find(text, 1, true) end)
end

local function printed(tool, job, text)
  return wait_for(tool, function() return (tool.read(job.out_path) or ""):find(text, 1, true) end)
end

-- A falco that reads a pipe. give(n): the next n bytes of the capture, nil: all the rest, and the end
local function start(tool, falco, dir, args)
  local fifo = dir .. "/pipe"
  os.remove(fifo)
  shell("mkfifo", fifo)
  local argv = { falco, "replay", "-", "-c", dir .. "/falco.yaml", stdin = fifo, timeout = 60, out_to = args and args.out_to,
    env = args and args.env }
  for _, arg in ipairs(args or {}) do argv[#argv + 1] = arg end
  local job = tool.start(argv)
  local pipe, at = assert(io.open(fifo, "wb")), 1
  pipe:setvbuf("no")
  function job.give(n)
    local piece = tool.capture:sub(at, n and at + n - 1 or -1)
    at = at + #piece
    pipe:write(piece)
    if not n then pipe:close() end
  end
  function job.hang_up() pipe:close() end
  return job
end

local function kill(job, signal)
  shell("kill", "-" .. signal, job.pid)
end

local function config_text(dir, more)
  return ("rules_files: [%s/rules]\nstdout_output: {enabled: true}\nrule_matching: all\n%s"):format(dir, more or "")
end

local function new_dir(tool, name, more)
  local dir = tool.dir() .. "/" .. name
  shell("mkdir -p", dir .. "/rules")
  tool.write(dir .. "/falco.yaml", config_text(dir, more))
  tool.write(dir .. "/rules/a.yaml", rules_text("first"))
  return dir
end

-- Lines "TIME: Notice MARK NUMBER" -> how many of each mark; checks that the numbers are those of a run without any reload.
local function marks(tool, r, what)
  local of, got = {}, {}
  for _, line in ipairs(tool.alerts(r.out)) do
    local mark, n = line:match("Notice (%S+) (%d+)$")
    if mark then
      got[#got + 1] = n
      of[mark] = (of[mark] or 0) + 1
    end
  end
  tool.check(table.concat(got, " ") == tool.numbers, "%s: %d alerts, and not those of %d events", what, #got, tool.events)
  return of
end

-- Everything that came before the reload alerted by the old rules, everything after it by the new ones, and all of it did.
local function by_signal(tool, falco)
  local dir = new_dir(tool, "signal", "watch_config_files: false\n")
  local job = start(tool, falco, dir, { "-v" })
  local half = math.floor(#tool.capture / 2)
  job.give(half)
  tool.check(printed(tool, job, "first 100"), "no alerts from a pipe")
  tool.write(dir .. "/rules/a.yaml", rules_text("second", "- rule: never\n  desc: d\n  condition: evt.type = mount\n  output: o\n  priority: INFO\n"))
  tool.write(dir .. "/falco.yaml", config_text(dir, "watch_config_files: false\nengine: {kind: nodriver}\nfalco_libs: {thread_table_size: 77}\n"
    .. "time_format_iso_8601: true\n"))
  kill(job, "HUP")
  tool.check(said(tool, job, "loaded anew"), "SIGHUP loads nothing")
  job.give()
  local r = tool.wait(job)
  tool.check_run(r, r.code == 0, "reload by signal: %s", tool.how(r))
  local of = marks(tool, r, "reload by signal")
  tool.check((of.first or 0) >= 100 and (of.second or 0) >= 100, "old rules %s, new rules %s", of.first, of.second)
  tool.check(r.out:find("every event: " .. tool.events, 1, true), "counts do not add up:\n%s", r.out:sub(-300))
  tool.check(r.err:find("SIGHUP: loaded anew: 1 rule added (never); 1 rule changed (every event); configuration: ", 1, true),
    "what changed is not said:\n%s", r.err)
  tool.check(r.err:find("time_format_iso_8601", 1, true), "a changed key is not named:\n%s", r.err)
  tool.check(r.err:find("keep their old values until falco is restarted: falco_libs.thread_table_size", 1, true),
    "a key that wants a restart is not named:\n%s", r.err)
  tool.check(r.out:find("\n%d+%-%d+%-%d+T[^\n]*Notice second"), "the configuration's change has no effect:\n%s", r.out:sub(-300))
end

-- A mistake anywhere leaves everything as it was, and is shown with its place.
local function bad_ones(tool, falco)
  local dir = new_dir(tool, "bad", "watch_config_files: false\n")
  local job = start(tool, falco, dir, { "-v" })
  job.give(math.floor(#tool.capture / 3))
  printed(tool, job, "first 50")
  tool.write(dir .. "/rules/b.yaml", "- rule: wrong\n  desc: d\n  condition: evt.type = opn\n  output: o\n  priority: INFO\n")
  kill(job, "HUP")
  tool.check(said(tool, job, "nothing was loaded anew"), "a bad rules file is not told")
  os.remove(dir .. "/rules/b.yaml")
  job.give(math.floor(#tool.capture / 3))
  tool.write(dir .. "/rules/a.yaml", rules_text("second"))
  tool.write(dir .. "/falco.yaml", config_text(dir, "json_outptu: true\n"))
  kill(job, "HUP")
  tool.check(said(tool, job, "unknown key 'json_outptu'"), "a bad configuration is not told")
  tool.write(dir .. "/falco.yaml", config_text(dir, "file_output: {enabled: true, filename: /nonexistent/x}\n"))
  kill(job, "HUP")
  tool.check(said(tool, job, "file_output: /nonexistent/x"), "an output that cannot be opened is not told")
  job.give()
  local r = tool.wait(job)
  tool.check_run(r, r.code == 0, "bad reload: %s", tool.how(r))
  tool.check(marks(tool, r, "bad reload").first == tool.events, "the old rules did not go on")
  tool.check(r.err:find("b.yaml:3:25: error: ", 1, true), "the mistake has no place:\n%s", r.err)
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
    shell("rm -rf", dir .. "/rules.new", dir .. "/rules.old")
    shell("mkdir", dir .. "/rules.new")
    tool.write(dir .. "/rules.new/z.yaml", text)
    shell("mv", dir .. "/rules", dir .. "/rules.old")
    shell("mv", dir .. "/rules.new", dir .. "/rules")
  end },
  { "the directory becomes a volume of Kubernetes", function(tool, dir, text)
    shell("rm -rf", dir .. "/rules")
    shell("mkdir -p", dir .. "/rules/..2024_1")
    tool.write(dir .. "/rules/..2024_1/a.yaml", text)
    shell("ln -s ..2024_1", dir .. "/rules/..data")
    shell("ln -s ..data/a.yaml", dir .. "/rules/a.yaml")
  end },
  { "..data swapped", function(tool, dir, text)
    shell("mkdir -p", dir .. "/rules/..2024_2")
    tool.write(dir .. "/rules/..2024_2/a.yaml", text)
    shell("ln -s ..2024_2", dir .. "/rules/..data_tmp")
    shell("mv -T", dir .. "/rules/..data_tmp", dir .. "/rules/..data")
    shell("rm -r", dir .. "/rules/..2024_1")
  end },
  { "the whole volume behind a link", function(tool, dir, text)
    shell("mkdir -p", dir .. "/else/where")
    tool.write(dir .. "/else/where/a.yaml", text)
    shell("rm -rf", dir .. "/rules")
    shell("ln -s else/where", dir .. "/rules")
  end },
  { "changed where the link leads", function(tool, dir, text) tool.write(dir .. "/else/where/a.yaml", text) end },
}

local function by_watching(tool, falco)
  local dir = new_dir(tool, "watch")
  local job = start(tool, falco, dir)
  local piece = math.floor(#tool.capture / (#CHANGES + 2))
  job.give(piece)
  tool.check(printed(tool, job, "first 20"), "no alerts from a pipe")
  for i, change in ipairs(CHANGES) do
    change[2](tool, dir, rules_text("mark" .. i))
    job.give(piece)
    local seen = wait_for(tool, function()
      local _, n = (tool.read(job.err_path) or ""):gsub("loaded anew: 1 rule changed", "")
      return n >= i
    end)
    tool.check(seen, "%s: not noticed\n%s", change[1], tool.read(job.err_path))
    if not seen then break end
  end
  job.give()
  local r = tool.wait(job)
  tool.check_run(r, r.code == 0, "watching: %s", tool.how(r))
  marks(tool, r, "watching")
  tool.check(r.out:find("Notice mark" .. #CHANGES, 1, true), "the last rules have no effect")
end

-- The configuration file itself, and what is touched but not changed.
local function configuration(tool, falco)
  local dir = new_dir(tool, "conf", "config_files: [" .. tool.dir() .. "/conf/config.d]\n")
  local job = start(tool, falco, dir)
  job.give(math.floor(#tool.capture / 2))
  printed(tool, job, "first 50")
  shell("mkdir", dir .. "/config.d")
  tool.write(dir .. "/config.d/one.yaml", "json_output: true\n")
  tool.check(said(tool, job, "configuration: json_output"), "config.d comes into being: not noticed\n%s", tool.read(job.err_path))
  shell("touch", dir .. "/falco.yaml")
  tool.check(said(tool, job, "nothing has changed"), "touch: not noticed")
  job.give()
  local r = tool.wait(job)
  tool.check_run(r, r.code == 0 and r.out:find('"rule":"every event"', 1, true), "json_output has no effect: %s", tool.how(r))
end

return function(tool, falco)
  tool.capture = tool.run{ "gzip", "-dc", "test/data/websrv.scap" }.out
  local list = {}
  for n in tool.run{ falco, "events", "test/data/websrv.scap", "evt.num > 0", "-p", "%evt.num" }.out:gmatch("%d+") do list[#list + 1] = n end
  tool.numbers, tool.events = table.concat(list, " "), #list
  by_signal(tool, falco)
  bad_ones(tool, falco)
  by_watching(tool, falco)
  configuration(tool, falco)
end
