-- SPDX-License-Identifier: Apache-2.0
-- `falco test`, `falco why` and `falco bench` from outside: exit statuses, forms, what they say of the shipped rules.
local RULES = "rules/falco_rules.yaml"

local RULES_TEXT = [[
- rule: shadow
  desc: d
  condition: evt.type in (open, openat) and fd.name = /etc/shadow
  output: read by %proc.name
  priority: INFO
]]

local GOOD = [[
- test: good
  events:
    - openat: {name: /etc/shadow}
      match: shadow
    - openat: {name: /etc/passwd}
      match: none
]]

local BAD = [[
- test: bad
  events:
    - openat: {name: /etc/shadow, proc.name: cat}
      match: none
]]

local function files(tool)
  local dir = tool.dir() .. "/rules"
  os.execute("mkdir -p '" .. dir .. "'")
  tool.write(dir .. "/mine.yaml", RULES_TEXT)
  return dir
end

local function run(tool, falco, ...)
  return tool.run{ timeout = 120, falco, "test", ... }
end

local function statuses(tool, falco, dir)
  local path = tool.write(dir .. "/mine_test.yaml", GOOD)
  local r = run(tool, falco, dir)
  tool.check_run(r, r.code == 0 and r.out:find("1 test, 0 failed", 1, true), "a good test: %s", tool.how(r))
  r = run(tool, falco, dir, "--min-coverage", "100", "--coverage")
  tool.check_run(r, r.code == 1 and r.out:find("mine.yaml:3:14: never false: evt.type in (open, openat)", 1, true)
    and r.err:find("--min-coverage wants 100 %", 1, true), "too little coverage: %s", tool.how(r))
  tool.write(path, GOOD .. BAD)
  r = run(tool, falco, path)
  tool.check_run(r, r.code == 1 and r.out:find("mine_test.yaml:9:7: event 1, openat", 1, true)
    and r.out:find("+ shadow: read by cat", 1, true), "a bad test: %s", tool.how(r))
  r = run(tool, falco, path, "--filter", "good", "--no-coverage")
  tool.check_run(r, r.code == 0, "the good one of two: %s", tool.how(r))
  tool.write(path, GOOD .. "- tset: x\n")
  r = run(tool, falco, path)
  tool.check_run(r, r.code == 2 and r.err:find("did you mean 'test'?", 1, true), "a mistake: %s", tool.how(r))
  r = run(tool, falco, dir .. "/none_test.yaml")
  tool.check_run(r, r.code == 2 and r.err:find("no such file", 1, true), "no file: %s", tool.how(r))
  r = run(tool, falco)
  tool.check_run(r, r.code == 2, "no path: %s", tool.how(r))
  -- 1 would say that a test failed, or that a rule does not match
  for _, args in ipairs{ { "test", "--nosuch" }, { "test", "--format", "x", path }, { "test", "--init", "x" }, { "why" },
                         { "why", "--nosuch", "x", "y" }, { "why", "x", "y", "--event", "z" } } do
    r = tool.run{ falco, args[1], args[2], args[3], args[4], args[5], timeout = 60 }
    tool.check_run(r, r.code == 2 and r.out == "", "a mistake in the command line, %s: %s", table.concat(args, " "), tool.how(r))
  end
  r = tool.run{ falco, "bench", "--nosuch", timeout = 60 }
  tool.check_run(r, r.code == 1, "a mistake in another command line: %s", tool.how(r))
  tool.write(path, GOOD)
  tool.write(dir .. "/mine.yaml", RULES_TEXT:gsub("fd.name", "fd.nmae"))
  r = run(tool, falco, path)
  tool.check_run(r, r.code == 2 and r.err:find("mine.yaml:3:45: error: unknown field 'fd.nmae' (did you mean 'fd.name'?)", 1, true),
    "a mistake in the rules: %s", tool.how(r))
  tool.write(dir .. "/mine.yaml", RULES_TEXT)
end

local function forms(tool, falco, dir)
  local path = tool.write(dir .. "/mine_test.yaml", GOOD .. BAD)
  local r = run(tool, falco, path, "--format", "tap")
  tool.check_run(r, r.code == 1 and r.out:find("TAP version 13\n1..2\nok 1 - good\nnot ok 2 - bad\n", 1, true), "TAP: %s", tool.how(r))
  r = run(tool, falco, path, "--format", "junit")
  tool.check_run(r, r.code == 1 and r.out:find('<testsuite name="falco test" tests="2" failures="1"', 1, true)
    and r.out:find('<property name="coverage.rules" value="1/1"/>', 1, true), "JUnit: %s", tool.how(r))
  tool.write(path, GOOD .. "- tset: <x>\n")
  r = run(tool, falco, path, "--format", "junit")
  tool.check_run(r, r.code == 2 and r.out:find('<testsuite name="falco test" tests="1" failures="0" errors="1"', 1, true)
    and r.out:find("mine_test.yaml:7:3: unknown key 'tset' (did you mean 'test'?)</error>", 1, true)
    and r.out:find("</testsuite>\n$"), "mistakes as JUnit: %s", tool.how(r))
  r = run(tool, falco, path, "--format", "tap")
  tool.check_run(r, r.code == 2 and r.out:find("^TAP version 13\nBail out! [^\n]*unknown key 'tset'"), "mistakes as TAP: %s", tool.how(r))
  r = run(tool, falco, path, "--format", "junit", "--filter", "<none>")
  tool.check_run(r, r.code == 2 and r.out:find("</testsuite>\n$"), "mistakes as JUnit, of a filter: %s", tool.how(r))
  r = run(tool, falco, dir .. "/none_test.yaml", "--format", "junit")
  tool.check_run(r, r.code == 2 and r.out:find("no such file</error>", 1, true), "no file as JUnit: %s", tool.how(r))
  tool.write(path, GOOD)
  tool.write(dir .. "/mine.yaml", RULES_TEXT:gsub("fd.name", "fd.nmae"))
  r = run(tool, falco, path, "--format", "junit")
  tool.check_run(r, r.code == 2 and r.out:find("mine.yaml:3:45: unknown field 'fd.nmae'", 1, true), "mistakes of rules as JUnit: %s", tool.how(r))
  tool.write(dir .. "/mine.yaml", RULES_TEXT)
  -- rules beside their tests are loaded without them
  r = tool.run{ falco, "-V", dir, timeout = 60 }
  tool.check_run(r, r.code == 0, "-V of a directory with tests: %s", tool.how(r))
end

local function skeletons(tool, falco, dir)
  local r = run(tool, falco, "-r", RULES, "--init", "Credential file opened")
  tool.check_run(r, r.code == 0, "--init: %s", tool.how(r))
  local path = tool.write(dir .. "/new_test.yaml", r.out)
  r = run(tool, falco, "-r", RULES, path)
  tool.check_run(r, r.code == 0, "a skeleton passes as it is: %s", tool.how(r))
  os.remove(path)
  r = run(tool, falco, "-r", RULES, "--init", "Credential file opnd")
  tool.check_run(r, r.code == 2 and r.err:find("did you mean 'Credential file opened'?", 1, true), "--init of no rule: %s", tool.how(r))
end

local function wait_for(tool, path, text, seconds)
  local ends = tool.now() + seconds
  while tool.now() < ends do
    if (tool.read(path) or ""):find(text, 1, true) then return true end
    os.execute("sleep 0.1")
  end
  return false
end

local function watching(tool, falco, dir)
  local path, out = tool.write(dir .. "/mine_test.yaml", GOOD), tool.dir() .. "/watch.out"
  local job = tool.start{ falco, "test", "--watch", path, out_to = out, timeout = 120 }
  tool.check(wait_for(tool, out, "1 test, 0 failed", 30), "--watch ran at once")
  os.execute("sleep 0.5")
  tool.write(path, GOOD .. BAD)
  tool.check(wait_for(tool, out, "2 tests, 1 failed", 30), "--watch ran again")
  os.execute("kill -INT " .. job.pid)
  local r = tool.wait(job)
  tool.check_run(r, r.code == 1, "--watch ended by a signal: %s", tool.how(r))
end

-- ------------------------------------------------------------------ why, bench

local function count(text, pattern)
  local _, n = text:gsub(pattern, "")
  return n
end

local function reasons(tool, falco)
  local r = tool.run{ falco, "why", "-r", RULES, "Server starts a shell", "test/data/websrv.scap", "--json", timeout = 60 }
  tool.check_run(r, r.code == 0 and r.out:find('"matches":6,', 1, true) and count(r.out, '"match":true') == 3, "why it matches: %s", tool.how(r))
  local num = r.out:match('"num":(%d+)')
  r = tool.run{ falco, "why", "-r", RULES, "Server starts a shell", "test/data/websrv.scap", "--event", num, timeout = 60 }
  tool.check_run(r, r.code == 0 and r.out:find("event " .. num .. " (execve): matches", 1, true), "why this one: %s", tool.how(r))
  r = tool.run{ falco, "why", "-r", RULES, "Private key read", "test/data/websrv.scap", timeout = 60 }
  tool.check_run(r, r.code == 1 and r.out:find("matches none of the", 1, true) and r.out:find("=> false", 1, true), "why it does not: %s", tool.how(r))
  r = tool.run{ falco, "why", "-r", RULES, "Becoming root refused", "test/data/websrv.scap", timeout = 60 }
  tool.check_run(r, r.code == 1 and r.out:find("no event of a type", 1, true), "why it cannot: %s", tool.how(r))
  for _, args in ipairs{ { "No such", "test/data/websrv.scap" }, { "Private key read", "none.scap" },
                         { "Private key read", "test/data/websrv.scap", "--event", "99999999" } } do
    r = tool.run{ falco, "why", "-r", RULES, args[1], args[2], args[3], args[4], timeout = 60 }
    tool.check_run(r, r.code == 2 and r.out == "" and #tool.lines(r.err) >= 1, "why of nothing: %s", tool.how(r))
  end
end

-- Alerts by rule, of a replay in which every rule speaks.
local function alerts_of(tool, falco, capture)
  local r = tool.run{ falco, "replay", capture, "-r", RULES, "-o", "rule_matching=all", "-o", "json_output=true", timeout = 60 }
  local counts = {}
  for _, line in ipairs(tool.lines(r.out)) do
    local rule = line:match('"rule":"([^"]*)"')
    if rule then counts[rule] = (counts[rule] or 0) + 1 end
  end
  return counts
end

local function costs(tool, falco)
  for _, name in ipairs{ "websrv", "fswrite", "namespaces" } do
    local capture = ("test/data/%s.scap"):format(name)
    local r = tool.run{ falco, "bench", RULES, capture, "--json", "--runs", "1", timeout = 120 }
    tool.check_run(r, r.code == 0, "bench of %s: %s", name, tool.how(r))
    local want, rows = alerts_of(tool, falco, capture), 0
    for matches, rule in r.out:gmatch('"matches":(%d+),"ns_per_event":[^,]*,"rule":"([^"]*)"') do
      rows = rows + 1
      tool.check(tonumber(matches) == (want[rule] or 0), "bench of %s: '%s' matches %s times, replayed %d times", name, rule, matches, want[rule] or 0)
    end
    tool.check(rows == 39, "bench of %s: %d rules", name, rows)
  end
  local r = tool.run{ falco, "bench", RULES, "test/data/websrv.scap", "--runs", "1", timeout = 120 }
  tool.check_run(r, r.code == 0 and r.out:find("39 rules over 5711 events", 1, true), "bench as a table: %s", tool.how(r))
  r = tool.run{ falco, "bench", "none.yaml", "test/data/websrv.scap", timeout = 60 }
  tool.check_run(r, r.code == 1, "bench of no rules: %s", tool.how(r))
  r = tool.run{ falco, "bench", RULES, "none.scap", timeout = 60 }
  tool.check_run(r, r.code == 1, "bench of no capture: %s", tool.how(r))
end

return function(tool, falco)
  local dir = files(tool)
  statuses(tool, falco, dir)
  forms(tool, falco, dir)
  skeletons(tool, falco, dir)
  watching(tool, falco, dir)
  reasons(tool, falco)
  costs(tool, falco)
end
