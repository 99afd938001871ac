-- SPDX-License-Identifier: Apache-2.0
-- Scripts of users against captures: those of the configuration, those of rules, the examples among them.
local SEQUENCE = [[
- rule: Downloaded file run
  desc: a file that was written is run soon after
  condition: >
    (evt.type in (open, openat, openat2, creat) and evt.is_open_write=true and fd.typechar=f)
    or (evt.type in (execve, execveat) and evt.rawres=0)
  output: run file=%%proc.exepath command=%%proc.cmdline
  priority: critical
  tags: [sequence]
  script: %s
- rule: Every program
  desc: what stands behind a rule with a script
  condition: evt.type in (execve, execveat) and evt.rawres=0 and proc.name in (dropped, d2)
  output: program %%proc.name
  priority: notice
]]

local COUNTER = [[
- rule: Counted
  desc: windows and counts
  condition: evt.type in (open, openat, openat2) and fd.name contains shadow
  output: shadow %fd.name
  priority: info
  script: |
    local seen = falco.table{ expire = 60, max = 100 }
    function on_event(evt)
      local process = assert(evt:process())
      process.n = (process.n or 0) + 1
      if seen:add(evt:get("fd.name")) % 5 == 0 then
        emit{ output = "the fifth", priority = "warning", fields = { all = seen:get(evt:get("fd.name")), mine = process.n } }
      end
    end
- rule: Broken
  desc: a mistake in a script does not blind a rule
  condition: evt.type = execve and proc.name = cat
  output: cat %proc.args
  priority: info
  script: |
    function on_event(evt)
      local nothing
      emit{ output = nothing.x }
    end
]]

-- On this host: what a rule finds is killed, and a program told of it. Nobody knows how long falco takes to begin.
local function kills(tool, falco)
  local uid = tool.run{ "id", "-u" }.out
  if uid ~= "0\n" or not tool.exists("/sys/kernel/btf/vmlinux") then
    return tool.skip("killing what a rule finds (needs root and /sys/kernel/btf/vmlinux)")
  end
  local dir = tool.dir() .. "/kills"
  os.execute("mkdir " .. dir .. "; cp /bin/sleep " .. dir .. "/victim")
  local rules = tool.write(dir .. "/rules.yaml", ([[
- rule: Victim
  desc: the program of this test
  condition: evt.type in (execve, execveat) and evt.rawres = 0 and proc.exepath = %s/victim
  output: victim %%proc.pid %%proc.name
  priority: critical
]]):format(dir))
  local teller = tool.write(dir .. "/tell.lua", [[
return { write = function(alert)
  falco.exec{ "/usr/bin/id", "-u", done = function(r) falco.emit{ rule = "Told", output = "id said " .. r.output:gsub("%s", "") } end }
end }]])
  local conf = tool.write(dir .. "/falco.yaml", ("engine: {kind: modern_ebpf}\nstdout_output: {enabled: true}\nscripts_dir: ''\nscripts:\n"
    .. "  - path: lua/examples/kill.lua\n    grant: [kill, emit]\n    args: {rules: [Victim]}\n"
    .. "  - path: %s\n    grant: [exec, emit]\n"):format(teller))
  os.execute(("(for i in 1 2 3 4 5 6; do sleep 1; (%s/victim 8; echo $? >>%s/ends) & done) >/dev/null 2>&1 &"):format(dir, dir))
  local r = tool.run{ falco, "-c", conf, "-r", rules, "-M", "8", timeout = 60 }
  tool.check_run(r, r.code == 0, "kill.lua on this host: %s", tool.how(r))
  tool.check(r.out:find("Critical victim %d+ victim\n") and r.out:find("Notice process %d+ was sent SIGKILL for 'Victim'"),
    "kill.lua on this host said:\n%s%s", r.out, r.err)
  tool.check(r.out:find("id said 0", 1, true), "a program that a script runs said:\n%s%s", r.out, r.err)
  tool.check((tool.read(dir .. "/ends") or ""):find("137"), "how it ended: %s", tostring(tool.read(dir .. "/ends")))
end

-- Not only how scripts are written: they are loaded, and nothing of what they ask for happens.
local function dry_runs(tool, falco, rules)
  local dir = tool.dir() .. "/dry"
  os.execute("mkdir -p " .. dir)
  local function run(text, more, more_rules)
    local conf = tool.write(dir .. "/falco.yaml", ("stdout_output: {enabled: true}\nengine: {kind: nodriver}\nscripts_dir: ''\n%s%s"):format(
      text and "scripts:\n  - path: " .. tool.write(dir .. "/a.lua", text) .. "\n" or "", more or ""))
    return tool.run{ falco, "-c", conf, "-r", rules, "--dry-run", more_rules and "-r" or nil, more_rules }
  end
  for _, try in ipairs{
    { "return 5", "script 'a' cannot be run: " },
    { "return { write = 'x' }", "write" },
    { "falco.kill(1)\nreturn {}", "a.lua:1: 'kill' is not granted to this script" },
    { "return {\n  write = falco.nothing.such }", "a.lua:2: attempt to index field 'nothing'" },
    { "while true do end", "a.lua:1: more than " },
  } do
    local r = run(try[1])
    tool.check_run(r, r.code == 1 and r.err:find(try[2], 1, true), "--dry-run of %s: %s", try[1], tool.how(r))
  end
  local r = run("falco.log('it was run')\nreturn { wriet = function() end }")
  tool.check_run(r, r.code == 0 and r.err:find("did you mean 'write'?", 1, true) and not r.err:find("it was run", 1, true),
    "--dry-run of a script with a stray name: %s", tool.how(r))
  r = run(nil, "route:\n  - {to: [htp]}\n")
  tool.check_run(r, r.code == 1 and r.err:find("route[0].to: no output called 'htp' is enabled; there is: stdout", 1, true),
    "--dry-run of a route to nowhere: %s", tool.how(r))
  r = run(nil, "", tool.write(dir .. "/rule.yaml", COUNTER:gsub("local seen = [^\n]+", "local seen = falco.nothing()")))
  tool.check_run(r, r.code == 1 and r.err:find("its script cannot be run: .*rule.yaml:7: attempt to call field 'nothing'"),
    "--dry-run of a rule's script: %s", tool.how(r))
end

-- What lies in scripts_dir and is no script that can be run.
local function odd_files(tool, falco, rules)
  local dir = tool.dir() .. "/scripts.d"
  os.execute(("mkdir -p %s/sub.lua; ln -s nowhere %s/link.lua; mkfifo %s/pipe.lua; touch %s/a.lua~ %s/.hidden %s/README"):format(dir, dir,
    dir, dir, dir, dir))
  tool.write(dir .. "/good.lua", "return { write = function(alert) alert:set('seen', 1) end }")
  local function run(path)
    return tool.run{ falco, "replay", "test/data/unix_sock.scap", "-r", rules, "-o", "stdout_output.enabled=true", "-o", "scripts_dir=" .. path,
      "-o", "json_output=true" }
  end
  local r = run(dir)
  for _, line in ipairs{ "error: script 'link': " .. dir .. "/link.lua: there is no such file",
    "error: script 'pipe': " .. dir .. "/pipe.lua: it is no file", "notice: scripts_dir: " .. dir .. "/sub.lua is left out: it is a directory",
    "notice: scripts_dir: " .. dir .. "/a.lua~ is left out: its name does not end in .lua",
    "notice: scripts_dir: " .. dir .. "/README is left out: its name does not end in .lua" } do
    tool.check_run(r, r.err:find(line, 1, true), "scripts_dir: not said: %s", line)
  end
  tool.check(not r.err:find(".hidden", 1, true), "a hidden file in scripts_dir is told")
  r = run(dir .. "/good.lua")
  tool.check_run(r, r.err:find("scripts_dir: " .. dir .. "/good.lua: it is no directory", 1, true), "scripts_dir is a file: %s", tool.how(r))
end

return function(tool, falco)
  kills(tool, falco)
  local n = 0
  local function replay(capture, config, rules, ...)
    n = n + 1
    local conf = tool.write(("%s/scripts%d.yaml"):format(tool.dir(), n), "stdout_output: {enabled: true}\nscripts_dir: ''\n" .. config)
    local r = tool.run{ falco, "replay", "test/data/" .. capture .. ".scap", "-c", conf, "-r", rules, ... }
    tool.check_run(r, r.code == 0, "replay of %s with scripts: %s", capture, tool.how(r))
    return r
  end
  local function alerts(r, pattern)
    local list = {}
    for _, line in ipairs(tool.alerts(r.out)) do
      if line:find(pattern, 1, true) then list[#list + 1] = line end
    end
    return list
  end

  -- a sequence; the rule behind it sees its events, too
  local here = tool.run{ "pwd" }.out:match("[^\n]+")
  local sequence = tool.write(tool.dir() .. "/sequence.yaml", SEQUENCE:format(here .. "/lua/examples/download_exec.lua"))
  local r = replay("docker_drop", "json_output: true\n", sequence)
  local found = alerts(r, '"rule":"Downloaded file run"')
  tool.check(#found == 2, "sequence: %d alerts, not 2:\n%s", #found, r.out)
  for i, by in ipairs{ "cp /bin/ctools /tmp/dropped", "ctools drift /tmp/d2 /tmp/d3" } do
    tool.check(found[i] and found[i]:find(('"download.by":"%s","download.ms_ago":1'):format(by), 1, true), "sequence: %s", tostring(found[i]))
    tool.check(found[i] and found[i]:find('"tags":["sequence"]', 1, true) and found[i]:find('"priority":"Critical"', 1, true),
      "what an emitted alert has of its rule: %s", tostring(found[i]))
  end
  tool.check(#alerts(r, '"rule":"Every program"') >= 2, "a rule behind one with a script: %s", r.out)

  -- what scripts of rules raise, scripts of outputs see
  r = replay("docker_drop", "json_output: true\nscripts:\n  - path: "
    .. tool.write(tool.dir() .. "/sees.lua", "return { write = function(alert) alert:set('seen', type(alert:get('evt.time'))) end }")
    .. "\n", sequence)
  tool.check(#alerts(r, '"seen":"number"') == #tool.alerts(r.out) and not r.err:find("error"), "both kinds of scripts: %s%s", r.out, r.err)

  -- counts, tables of processes, emitted alerts with words of their own; and mistakes
  local counter = tool.write(tool.dir() .. "/counter.yaml", COUNTER)
  r = replay("sensitive", "json_output: true\n", counter)
  local fifth = alerts(r, "the fifth")
  tool.check(#fifth == 4, "every fifth event: %d alerts, not 4:\n%s", #fifth, r.out)
  for i, line in ipairs(fifth) do
    tool.check(line:find(('"all":%d'):format(i * 5), 1, true) and line:find('"priority":"Warning"', 1, true)
      and line:find(('"mine":%d}'):format(({ 1, 6, 4, 1 })[i])), "%s", line)
  end
  local cats = alerts(r, '"rule":"Broken"')
  tool.check(#cats > 5 and cats[1]:find("cat /"), "a rule whose script fails alerts all the same: %d", #cats)
  tool.check(#alerts(r, "Falco internal: script switched off") == 1, "that it was switched off is an alert: %s", r.out)
  tool.check(r.err:find("counter.yaml:23: attempt to index local 'nothing' %(a nil value%)\nstack traceback:"),
    "the error has the line of the rules file:\n%s", r.err)

  -- scripts of the configuration
  local rules = "rules/falco_rules.yaml"
  local plain = replay("sensitive", "", rules)
  local all = tool.alerts(plain.out)
  r = replay("sensitive", [[
scripts:
  - path: lua/examples/dedup.lua
    args: { by: [rule], seconds: 3600 }
  - path: lua/examples/top_talkers.lua
    args: { field: proc.exepath }
]], rules)
  local kept = tool.alerts(r.out)
  tool.check(#all > 20 and #kept == 4, "dedup by rule leaves 3 alerts of %d, and top_talkers adds one: %d\n%s", #all, #kept, r.out)
  tool.check(kept[4] and kept[4]:find("Informational 2 alerts, most of them from /usr/bin/cat=2", 1, true), "top_talkers: %s", tostring(kept[4]))

  -- each alert still arrives when a script fails, and when it is switched off
  local bad = tool.write(tool.dir() .. "/bad.lua", "return { write = function(alert) while true do end end }")
  r = replay("sensitive", "scripts:\n  - path: " .. bad .. "\n    limits: { errors: 3, instructions: 10000 }\n", rules)
  local there = {}
  for _, line in ipairs(tool.alerts(r.out)) do there[line] = true end
  for _, line in ipairs(all) do tool.check(there[line], "a script that does not end: lost %s", line) end
  tool.check(#alerts(r, "script switched off") == 1, "it is switched off: %s", r.out)
  local _, said = r.err:gsub("bad.lua:1: more than 10000 instructions in one call", "")
  tool.check(said == 3, "said %d times, not 3:\n%s", said, r.err)

  -- everything that was ever tried against the sandbox, at once: nothing is disturbed
  local attacks, dir = dofile("spec/scripts/attacks.lua"), tool.dir() .. "/attacks"
  os.execute("mkdir " .. dir)
  for half = 0, 1 do
    local entries = {}
    for i, attack in ipairs(attacks) do
      if i % 2 == half then
        local path = tool.write(("%s/%d.lua"):format(dir, i),
          attack.whole or ("return { write = function(alert)\n%s\nend }"):format(attack.body))
        entries[#entries + 1] = ("  - path: %s\n    limits: { errors: 1, instructions: 100000, ms: 20, memory_bytes: 4194304 }\n"
          .. "    grant: [log, emit, timers, kv]\n"):format(path)
      end
    end
    r = replay("sensitive", ("log_level: debug\nscripts_state_dir: %s\nscripts:\n"):format(dir) .. table.concat(entries), rules)
    there = {}
    for _, line in ipairs(tool.alerts(r.out)) do there[line] = true end
    for _, line in ipairs(all) do tool.check(there[line], "under attack: lost %s\n%s", line, r.out) end
    tool.check(not (r.out .. r.err):find("ESCAPED: "), "under attack: %s", r.err)
    tool.check(#alerts(r, "Falco internal: script") > 25, "under attack: %d were switched off", #alerts(r, "Falco internal: script"))
  end

  -- to outputs by tag
  local tagged = {}
  for _, row in ipairs{ { "A", "cat", "a" }, { "B", "ls", "b" }, { "C", "ln", "c" }, { "D", "dd" } } do
    tagged[#tagged + 1] = ("- rule: %s\n  desc: d\n  condition: evt.type = execve and proc.name = %s\n  output: found %s\n  priority: info\n%s")
      :format(row[1], row[2], row[1], row[3] and "  tags: [" .. row[3] .. "]\n" or "")
  end
  local log = tool.dir() .. "/routed.log"
  r = replay("sensitive", ("file_output: {enabled: true, filename: %s}\nscripts:\n  - path: lua/examples/route.lua\n"
    .. "    args: {routes: {a: [file], b: [], c: [stdout, file_output]}, urgent: [a]}\n"):format(log),
    tool.write(tool.dir() .. "/tagged.yaml", table.concat(tagged)))
  local function kinds(text)
    local seen = {}
    for level, name in text:gmatch("(%a+) found (%u)\n") do seen[#seen + 1] = level:sub(1, 1) .. name end
    table.sort(seen)
    return table.concat(seen, " ")
  end
  tool.check(kinds(r.out) == "IC ID", "route to standard output: %s", kinds(r.out))
  tool.check(kinds(tool.read(log) or ""):find("^CA CA CA .*CA IC ID$"), "route to a file: %s", kinds(tool.read(log) or ""))

  -- containers, by their own alerts
  r = replay("docker_drop", "scripts:\n  - path: lua/examples/rate_limit.lua\n    args: { per_minute: 1 }\n",
    tool.write(tool.dir() .. "/containers.yaml", [[
- rule: in a container
  desc: programs
  condition: evt.type = execve and container.id != host
  output: "%container.id %proc.name"
  priority: info
]]))
  local list = tool.alerts(r.out)
  tool.check(#list >= 2 and list[#list]:find("alerts of container %w+ were left out"), "rate_limit:\n%s", r.out)

  -- mistakes are found before anything runs
  local wrong = tool.write(tool.dir() .. "/wrong.yaml", COUNTER:gsub("local nothing\n", "local = 5\n"))
  r = tool.run{ falco, "-V", wrong }
  tool.check_run(r, r.code ~= 0 and (r.out .. r.err):find("the script is no Lua: .*wrong.yaml:22:"), "-V of a script with a mistake: %s", tool.how(r))
  local gone = tool.write(tool.dir() .. "/gone.yaml", SEQUENCE:format("nowhere/to_be_found.lua"))
  r = tool.run{ falco, "-V", gone }
  tool.check_run(r, r.code ~= 0 and (r.out .. r.err):find("nowhere/to_be_found.lua': No such file"), "-V of a script that is missing: %s", tool.how(r))

  local conf = tool.write(tool.dir() .. "/dry.yaml", ("stdout_output: {enabled: true}\nengine: {kind: nodriver}\nscripts_dir: ''\n"
    .. "scripts:\n  - path: %s\n  - path: /nonexistent/x.lua\n"):format(tool.write(tool.dir() .. "/nolua.lua", "return {\n  write = = 1 }")))
  r = tool.run{ falco, "-c", conf, "-r", rules, "--dry-run" }
  tool.check_run(r, r.code == 1 and r.err:find("nolua.lua:2: unexpected symbol near '='", 1, true)
    and r.err:find("script 'x': /nonexistent/x.lua: there is no such file", 1, true), "--dry-run with mistakes in scripts: %s", tool.how(r))

  dry_runs(tool, falco, rules)
  odd_files(tool, falco, rules)

  -- falco test runs them
  tool.write(tool.dir() .. "/third.yaml", [[
- rule: The third
  desc: counts
  condition: evt.type = openat
  output: third %fd.name
  priority: info
  script: |
    local n = 0
    function on_event(evt)
      n = n + 1
      if n == 3 then emit{} end
    end
]])
  local event = "    - openat: {proc.name: cat, name: /etc/passwd, flags: O_RDONLY}\n      match: "
  local tests = tool.write(tool.dir() .. "/third_test.yaml", "- test: two\n  events:\n" .. (event .. "none\n"):rep(2)
    .. "- test: three\n  events:\n" .. (event .. "none\n"):rep(2) .. event .. "The third\n" .. event .. "none\n")
  r = tool.run{ falco, "test", tests }
  tool.check_run(r, r.code == 0, "falco test with scripts: %s", tool.how(r))
  tests = tool.write(tool.dir() .. "/third_bad_test.yaml", "- test: one\n  rules: third.yaml\n  events:\n" .. event .. "The third\n")
  r = tool.run{ falco, "test", "-r", tool.dir() .. "/third.yaml", tests }
  tool.check_run(r, r.code == 1, "falco test of a script that does not emit: %s", tool.how(r))

  -- loaded anew when one of their files changes, with what they keep; a mistake costs the script, not the run
  local dir2 = tool.dir() .. "/reload"
  os.execute("mkdir " .. dir2)
  local function script(word)
    tool.write(dir2 .. "/a.lua", ("return { open = function() falco.log('notice', '%s ' .. falco.kv.add('n')) end }"):format(word))
  end
  script("first")
  tool.write(dir2 .. "/r.yaml", SEQUENCE:format("r.lua"))
  tool.write(dir2 .. "/r.lua", "function on_event(evt) end")
  tool.write(dir2 .. "/falco.yaml", ("engine: {kind: nodriver}\nrules_files: [%s/r.yaml]\nstdout_output: {enabled: true}\n"
    .. "watch_config_files: true\nscripts_dir: ''\nscripts_state_dir: %s/state\nscripts:\n  - path: %s/a.lua\n    grant: [log, kv]\n")
    :format(dir2, dir2, dir2))
  local job = tool.start{ falco, "-c", dir2 .. "/falco.yaml", timeout = 60 }
  local function says(text)
    local deadline = tool.now() + 20
    repeat
      if (tool.read(job.err_path) or ""):find(text, 1, true) then return true end
      os.execute("sleep 0.05")
    until tool.now() > deadline
    return false
  end
  tool.check(says("script 'a': first 1"), "a script at the start: %s", tool.read(job.err_path))
  os.execute("sleep 0.5")
  script("second")
  tool.check(says("script 'a': second 2"), "a script that changed: %s", tool.read(job.err_path))
  os.execute("sleep 0.5")
  tool.write(dir2 .. "/a.lua", "return {")
  tool.check(says("script 'a' is not run: "), "a script that is broken now: %s", tool.read(job.err_path))
  os.execute("sleep 0.5")
  script("third")
  tool.check(says("script 'a': third 3"), "a script that was mended: %s", tool.read(job.err_path))
  os.execute("sleep 0.5")
  tool.write(dir2 .. "/r.lua", "function on_event(evt) emit{} end")
  tool.check(says("1 rule changed (Downloaded file run)"), "the script of a rule that changed: %s", tool.read(job.err_path))
  os.execute("kill -TERM " .. job.pid)
  r = tool.wait(job)
  tool.check_run(r, r.code == 0, "the end of it: %s", tool.how(r))
end
