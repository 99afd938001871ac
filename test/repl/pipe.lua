-- SPDX-License-Identifier: Apache-2.0
-- Pipes instead of a terminal: plain, aligned, colourless; exit status 1 after a mistake; no line is a bug of ours.
local CAPTURE = "test/data/websrv.scap"

local function run(tool, falco, text, args)
  local path = tool.write(tool.dir() .. "/lines", text)
  local words = { falco, "repl", stdin = path, env = { HOME = tool.dir(), TERM = "xterm" }, timeout = tool.sanitized
    and 900 or 120 }
  for _, word in ipairs(args or { CAPTURE }) do words[#words + 1] = word end
  return tool.run(words)
end

local function answer(tool, falco)
  local r = run(tool, falco, "proc.name = cat\n")
  tool.check_run(r, r.code == 0 and r.err == "", "a condition from a pipe: %s", tool.how(r))
  tool.check_run(r, not r.out:find("\27", 1, true), "a pipe gets escape sequences")
  tool.check_run(r, r.out:find("116 of 5,633 events match", 1, true), "the count is missing")
  local lines = tool.lines(r.out)
  local at = lines[1]:find("evt.type", 1, true)
  tool.check_run(r, lines[1]:find("^ *evt%.num  evt%.time +proc%.name  evt%.type +evt%.args$") ~= nil, "the head is '%s'",
    lines[1])
  for i = 2, 100 do
    tool.check(lines[i]:sub(at - 2, at):find("^  [%w]$"), "row %d is not aligned: %s", i, lines[i])
  end
end

local function mistakes(tool, falco)
  for _, case in ipairs{
    { "proc.nam = cat", "unknown field 'proc.nam' (did you mean 'proc.name'?)", "^~~~~~~~" },
      { "proc.name = cat andd fd.num = 1", "^", "condition:1:" },
    { "(proc.name = cat", "condition:1:", "^" }, { "proc.name = ", "condition:1:", "^" }, { ":nosuch",
      "there is no command ':nosuch'" },
    { ":exlain x", "did you mean ':explain'" }, { ":why x", "number of an event" }, { ":why 99999999", "no condition at hand" },
    { ":lua error('mine')", "mine" }, { ":lua )", "lua:1:" }, { ":rule x", "no rules are loaded" },
      { ":cols evt.num nosuch.field", "columns:1:" },
    { ":ev 99999999", "there is no event 99999999" }, { ":fds 424242 100", "no process 424242" }, { ":r", "could be" },
    { ":top nosuch.field", "nosuch" }, { ":load /no/such/file", "cannot be read" }, { ":quit now", "takes nothing" },
      { ":why", "wants" },
    { ":open /no/such/capture", "/no/such/capture" }, { ":rows x", "whole number" }, { ":write /tmp", "no condition at hand" },
    { "function on_event(evt) count('evt.num = 1') end", "not for on_event" },
      { "function on_event(evt) return evt.nosuch end", "no field 'nosuch'" },
    { "function on_event(evt) error('mine') end", "mine" },
  } do
    local r = run(tool, falco, case[1] .. "\n")
    tool.check_run(r, r.code == 1, "'%s': %s", case[1], tool.how(r))
    for i = 2, #case do tool.check_run(r, r.err:find(case[i], 1, true), "'%s': the message lacks '%s'", case[1], case[i]) end
    tool.check_run(r, not (r.out .. r.err):find("traceback", 1, true) and not r.err:find("bug:", 1, true),
      "'%s': a traceback", case[1])
  end
  local r = run(tool, falco, "proc.nam = cat\nproc.name = cat\n")
  tool.check_run(r, r.code == 1 and r.out:find("116 of", 1, true), "what follows a mistake is not done")
  r = tool.run{ falco, "repl", "/no/such/capture" }
  tool.check_run(r, r.code == 1 and r.err:find("/no/such/capture", 1, true), "a capture that is not there: %s", tool.how(r))
end

local function several_captures(tool, falco)
  local r = run(tool, falco, "evt.type = execve and proc.name = cat\n:uniq proc.name evt.type = execve\n", { CAPTURE,
    "test/data/fileless.scap" })
  tool.check_run(r, r.code == 0 and r.out:find("events match", 1, true), "two captures: %s", tool.how(r))
end

-- Each capture is written to a file of its own, also what a damaged one had until there.
local function written_several(tool, falco)
  local cut, to = tool.dir() .. "/cut.scap", tool.dir() .. "/several.scap"
  tool.write(cut, tool.read(CAPTURE):sub(1, 30000))
  local r = run(tool, falco, "proc.name = httpd or evt.num < 150\n:write " .. to .. "\n", { CAPTURE, cut })
  tool.check_run(r, r.code == 1 and r.err:find(to .. ".2 ends there", 1, true), "a damaged one is copied: %s", tool.how(r))
  for i = 1, 2 do
    local e = tool.run{ falco, "events", to .. "." .. i, "evt.num > 0" }
    tool.check_run(e, e.code == 0 and #tool.lines(e.out) > 40, "copy %d: %s", i, tool.how(e))
  end
end

-- Commands, each with something that its answer has.
local RULES = "rules/falco_rules.yaml"
local function commands(tool, falco)
  local saved, written = tool.dir() .. "/saved.yaml", tool.dir() .. "/written.scap"
  local r = run(tool, falco, table.concat({
    "evt.type = execve and proc.name = sh", ":why 2800", ":why 2801", ":why Server starts a shell 2800",
      ":near Server starts a shell",
    ":ev 2800", ":ps 2800", ":fds 14165 2810", ":top proc.name", ":hist evt.rawres evt.type = read", ":hist proc.name",
      ":uniq evt.type proc.name = sh",
    ":rules shell", ":rule Server starts a shell", ":macro", ":list", ":explain", ":explain shell_starts",
      ":cost shell",
    ":diff proc.name = sh | proc.name in (sh, cat)", ":diff 'proc.name = sh' 'proc.name = sh'",
    ":lua { 1, x = 'y' }",
      "function on_event(evt) n = (n or 0) + 1; return evt.type == 'execve' and evt.proc.name == 'sh' end", ":lua n",
    ":lua count('proc.name = sh')", ":lua event(2800).proc.name", "evt.type = execve and proc.name = sh",
    ":save 'A rule \"of\" test' " .. saved, ":load " .. saved, ":reload", ":rule A rule", ":write " .. written,
      ":open " .. written,
    "evt.type = execve", ":help", ":help diff", "# a remark", "", ":quit", "this is not read",
  }, "\n") .. "\n", { CAPTURE, "-r", RULES })
  tool.check_run(r, r.code == 0, "commands: %s", tool.how(r))
  for _, text in ipairs{
    "4 of 5,633 events match", "event 2800 (execve): matches", "event 2801 (brk): no rule", "=> true    proc.name = sh",
      "failed by one comparison alone",
    "process and its ancestors", "descriptors", "processes when event 2800", "/tmp/scen/log/websrv.out",
      "15 different values of 5,633 events", "348 values",
    "Server starts a shell", "generated Lua", "\n-- 1: evt.failed = false\n", "parts that the gate asks first", "evaluations",
      "0 events: only proc.name = sh\n> 116 events: only",
    "= 229 events: both", '{ 1, x = "y" }', "\n5633\n", "\n229\n", '"sh"', "A rule \"of\" test", "4 of 4 events match",
      ":diff A | B",
  } do
    tool.check(r.out:find(text, 1, true), "commands: the answer lacks '%s'", text)
  end
  tool.check(not r.out:find("this is not read", 1, true), "what follows :quit is read")
  local v = tool.run{ falco, "-V", saved }
  tool.check_run(v, v.code == 0, "the saved rule does not load: %s", tool.how(v))
  local e = tool.run{ falco, "events", written, "-p", "%proc.name", "evt.type = execve" }
  tool.check_run(e, e.code == 0 and #tool.lines(e.out) == 4, "the written capture: %s, %d events", tool.how(e),
    #tool.lines(e.out))
end

-- In names of rules and files quotes and parentheses are letters: they leave no line open, which would swallow the next.
local function letters(tool, falco)
  local saved = tool.dir() .. "/letters.yaml"
  local r = run(tool, falco, table.concat({
    ":rule It's missing", "evt.type = execve and proc.name = sh", ":save 100% (of sh's) 5\" " .. saved, ":load " .. saved,
    ":why 100% (of sh's) 5\" 2800", ":explain (proc.name = cat", "and evt.type = openat)", ":lua ('the end')", "",
  }, "\n"), { CAPTURE, "-r", RULES })
  tool.check_run(r, r.err:find("It's missing", 1, true), "a rule with an apostrophe: %s", tool.how(r))
  for _, text in ipairs{ "4 of 5,633 events match", "40 rules", "event 2800 (execve): matches", "event types: openat",
    '"the end"' } do
    tool.check_run(r, r.out:find(text, 1, true), "names with quotes: the answer lacks '%s'", text)
  end
  local v = tool.run{ falco, "-V", saved }
  tool.check_run(v, v.code == 0, "the saved rule does not load: %s", tool.how(v))
end

-- What only a mad person types.
local function anything(tool, falco)
  local lines = {
    ":", "::", ": help", ":help nosuch", ":why -1", ":why 0", ":why 1.5", ":why 1e300", ":ev 18446744073709551616", ":near",
      ":ps -3", ":fds", ":fds x y z",
    ":fds -1", ":top", ":top [", ":top %", ":top evt.num[", ":hist evt.time", ":hist evt.args", ":uniq evt.around[1]",
      ":cols %", ":cols ,", ":cols -", ":rows 0", ":rows -1",
    ":rows 1e9", ":explain (", ":explain \"", ":diff |", ":diff a | b", ":diff ''  ''", ":diff", ":lua", ":lua nil",
      ":lua evt", ":lua event(-1)",
    ":lua event(1).nosuch.field", ":lua event(1).proc", ":lua count(nil)", ":lua count('x')", ":lua find('proc.name = sh')",
      ":lua setmetatable({}, {})",
    ":lua ffi", ":lua io", ":lua os", ":lua require('ffi')", ":lua string.rep('x', 1e10)", ":lua error({})", ":lua error(nil)",
    ":lua local t = {} t.t = t return t", ":lua (function() local function f() return f() + 1 end return f() end)()",
      ":lua evt = 1", ":lua print(nil, {}, print)",
    ":lua getmetatable('').__index", ":lua string.format('%s', {})", "function on_event(evt) return evt.x.y.z end",
    "function on_event(evt) keep = evt end", ":lua keep.proc.name", "function on_event(evt) evt.x = 1 end",
      "function on_event", "local", "local x = 1", "function x() end",
    "function on_event(evt) error(setmetatable({}, {})) end", "\27[31mred", "proc.name = \27[31mred", "\0\1\2",
      "proc.name = '\255\254'", ("("):rep(3000), ("not "):rep(3000) .. "evt.num = 1",
    "proc.name in (" .. ("x,"):rep(20000) .. "x)", ":save", ":save x", ":save 'x' /no/such/dir/x.yaml", ":write",
      ":write /no/such/dir/x", ":open", ":open " .. CAPTURE .. " /dev/null",
    ":load", ":load /dev/null", ":reload", ":macro x", ":list x", ":rule", ":cost", ":live", ":nosuch" .. ("x"):rep(10000),
      "proc.aname[99999999999] = x", "evt.arg[x] = 1",
    "proc.name = $(reboot)", ":load $(reboot)", ":open ;reboot", "evt.num > 5 | less", ("proc.name = x or "):rep(1000)
      .. "evt.num = 1",
  }
  -- what takes its time, once
  local greedy = "\n:lua ('x'):rep(1e9):rep(100)\n:lua for i = 1, 1e9 do _G[i] = ('x'):rep(1000) end\n"
  for i, args in ipairs(tool.sanitized and { { CAPTURE } } or { { CAPTURE }, {}, { CAPTURE, "-r", RULES } }) do
    if i == 2 then lines[#lines + 1] = greedy end
    if i == 3 then lines[#lines] = nil end
    local r = run(tool, falco, table.concat(lines, "\n\n") .. "\n\n:lua 'the end of ' .. 'all'\n", args)
    tool.check_run(r, r.code == 1, "anything: %s", tool.how(r))
    tool.check_run(r, r.out:find("the end of all", 1, true), "anything: it did not get to the end")
    tool.check(not (r.out .. r.err):find("traceback", 1, true) and not r.err:find("bug", 1, true), "anything: a traceback: %s",
      (r.err:match("[^\n]*bug[^\n]*") or r.err:match("[^\n]*traceback[^\n]*") or ""))
    tool.check(not r.out:find("\27", 1, true), "anything: an escape sequence of the user's comes back")
    tool.check(r.rss < 2500000 or tool.sanitized, "anything: %d kB of memory", r.rss)
  end
end

-- Lines that are none: they are said and left out, and no byte of the next is.
local function odd_lines(tool, falco)
  local r = run(tool, falco, "proc.name = ca\0t\nproc.name = cat\n" .. ("x"):rep(1048577) .. "\nproc.name = sh")
  tool.check_run(r, r.code == 1 and r.err:find("a line with a NUL in it is left out", 1, true)
    and r.err:find("a line of more than 1048576 bytes is left out", 1, true) and #tool.lines(r.err) == 2, "odd lines: %s", tool.how(r))
  tool.check_run(r, r.out:find("116 of 5,633 events match", 1, true) and r.out:find("229 of 5,633 events match", 1, true),
    "what follows odd lines: %s", tool.how(r))
  -- made by others: what this program takes would count
  local path = tool.dir() .. "/endless"
  os.execute(("{ head -c 40000000 /dev/zero | tr '\\0' x; printf '\\n:lua 1\\n'; } >'%s'"):format(path))
  r = tool.run{ falco, "repl", stdin = path, timeout = tool.sanitized and 900 or 120 }
  tool.check_run(r, r.out == "1\n" and (r.rss < 90000 or tool.sanitized), "a line without end takes %d kB", r.rss)
end

local function words(tool, falco)
  local r = run(tool, falco, "evt.num = 2800\n:uniq proc.name evt.num = 2800\n:diff evt.num = 2800 | evt.num = 2801\n:ev 2\n:ev 2800\n"
    .. ":cols evt.num proc.pid\n:near Server starts a shell\n", { CAPTURE, "-r", RULES })
  for _, text in ipairs{ "1 of 5,633 events matches (", "1 different value of 1 event\n", "< 1 event: only", "= 0 events: both" } do
    tool.check_run(r, r.out:find(text, 1, true), "words: the answer lacks '%s'", text)
  end
  -- before the first event there is nothing that it could be relative to: there it is the time itself, as in the reference
  local before, event = r.out:match("event 2: (.-)event 2800: (.*)$")
  tool.check_run(r, before and before:find("evt%.reltime +%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d\n"), "the relative time of what is before all events")
  tool.check_run(r, event and event:find("evt%.reltime +068226419\n"), "the relative time of an event")
  tool.check_run(r, r.out:find("\nevt.num  proc.pid  failed\n", 1, true), ":near has the columns of :cols: %s", tool.how(r))
end

local function borders(tool, falco)
  local r = run(tool, falco, ":hist proc.pid\n")
  local from, to = r.out:match("\n *([%d,]+) +([%d,]+) +63 ")
  tool.check_run(r, from == "13,853" and to == "13,874" and not r.out:find("e+", 1, true), "borders of :hist: %s", tool.how(r))
end

local function closed_reader(tool, falco)
  tool.write(tool.dir() .. "/many", ("evt.num > 0\n"):rep(200))
  local p = io.popen(("%s repl %s <'%s/many' 2>&1 | head -n 3"):format(falco, CAPTURE, tool.dir()))
  local text = p:read("*a")
  p:close()
  tool.check(#tool.lines(text) == 3 and not text:find("bug", 1, true), "a reader that goes away: %s", text)
end

-- docs/REPL.md shows what its sessions give.
local function docs(tool, falco)
  local r = tool.run{ "luajit", "docs/repl_session.lua", falco, "--check", timeout = 120 }
  tool.check_run(r, r.code == 0, "the sessions of docs/REPL.md: %s", tool.how(r))
end

return {
  { "docs/REPL.md", docs }, { "an answer", answer }, { "mistakes", mistakes }, { "several captures", several_captures },
    { "every command", commands },
  { "copies of several captures", written_several },
  { "names with quotes", letters }, { "odd lines", odd_lines }, { "words", words }, { "borders", borders }, { "anything", anything }, { "a reader that goes away", closed_reader },
}
