-- SPDX-License-Identifier: Apache-2.0
-- Alerts that go to some outputs, and alerts that are held back, as the configuration and rules ask for it.
local RULES = [[
- rule: files
  desc: d
  condition: evt.type = openat
  output: "%fd.name"
  priority: INFO
- rule: programs
  desc: d
  condition: evt.type = execve
  output: "%proc.cmdline"
  priority: ERROR
- rule: ends
  desc: d
  condition: evt.type = close
  output: "%fd.name"
  priority: DEBUG
]]

local CAPTURE = "test/data/websrv.scap"

local function run(tool, falco, rules, config)
  local dir = tool.dir()
  tool.write(dir .. "/route_rules.yaml", rules)
  tool.write(dir .. "/route.yaml", ("rules_files: [%s/route_rules.yaml]\nrule_matching: all\nstdout_output: {enabled: true}\n"
    .. "file_output: {enabled: true, filename: %s/route.txt}\njson_output: true\nwatch_config_files: false\n%s"):format(dir, dir, config))
  os.remove(dir .. "/route.txt")
  local r = tool.run{ falco, "replay", CAPTURE, "-c", dir .. "/route.yaml" }
  return r, tool.read(dir .. "/route.txt") or ""
end

local function counts(text)
  local of = {}
  for line in text:gmatch("[^\n]+") do
    local rule = line:match('"rule":"([^"]*)"')
    if rule then of[rule] = (of[rule] or 0) + 1 end
  end
  return of
end

-- How many of each there are, by a tool that knows of neither: lines of `falco events`.
local function events(tool, falco, condition)
  return #tool.lines(tool.run{ falco, "events", CAPTURE, condition, "-p", "*%evt.num" }.out)
end

local function routes(tool, falco)
  local all = { files = events(tool, falco, "evt.type = openat"), programs = events(tool, falco, "evt.type = execve"),
    ends = events(tool, falco, "evt.type = close") }
  local curl = events(tool, falco, "evt.type = openat and proc.name startswith cur")
  tool.check(curl > 0 and curl < all.files, "curl opens %d of %d files", curl, all.files)
  local r, file = run(tool, falco, RULES, [[
route:
  - match: {rule: "fi*", fields: {proc.name: "cur*"}}
    to: file
  - match: {priority: error}
    to: [stdout]
  - match: {rule: [ends, other]}
    drop: true
]])
  tool.check_run(r, r.code == 0, "route: %s", tool.how(r))
  local out = counts(r.out)
  file = counts(file)
  tool.check(file.files == all.files and out.files == all.files - curl, "files: %s and %s of %d, %d by curl", file.files, out.files, all.files, curl)
  tool.check(out.programs == all.programs and not file.programs, "programs: %s, %s of %d", out.programs, file.programs, all.programs)
  tool.check(not out.ends and not file.ends, "what is dropped comes out")
  tool.check(not r.out:find('"proc.name"', 1, true), "a field that only a route asked for is shown")
end

local function throttles(tool, falco)
  local r = run(tool, falco, RULES, "throttle:\n  - {match: {rule: ends}, count: 2, within: 1h, by: [proc.name]}\n")
  tool.check_run(r, r.code == 0, "throttle: %s", tool.how(r))
  local names, passed, held = {}, 0, 0
  for line in tool.run{ falco, "events", CAPTURE, "evt.type = close", "-p", "*%proc.name" }.out:gmatch("[^\n]+") do
    names[line] = (names[line] or 0) + 1
    if names[line] <= 2 then passed = passed + 1 else held = held + 1 end
  end
  local of, told = counts(r.out), 0
  for n in r.out:gmatch('"throttle.held":(%d+)') do told = told + tonumber(n) end
  tool.check(of.ends == passed, "%s alerts pass, not %d", of.ends, passed)
  tool.check(told == held, "%d alerts are told to be held back, not %d", told, held)
  local again = run(tool, falco, RULES, "throttle:\n  - {match: {rule: ends}, count: 2, within: 1h, by: [proc.name]}\n")
  tool.check(again.out == r.out, "a second replay says something else")
  local own = run(tool, falco, RULES .. "  throttle: {count: 2, within: 1h, by: [proc.name]}\n", "")
  tool.check(counts(own.out).ends == passed, "a rule's own throttle: %s pass, not %d", counts(own.out).ends, passed)
end

local function mistakes(tool, falco)
  for _, try in ipairs{
    { "", "route:\n  - {to: [htp]}\n", "route[0].to: no output called 'htp' is enabled; there is: file, stdout" },
    { "", "route:\n  - {match: {rule: x}}\n", "'route[0]': say where alerts go (to), or drop: true" },
    { "", "route:\n  - {to: [stdout], drop: true}\n", "route.yaml:8:5: error: 'route[0]': alerts cannot both go somewhere (to) and be dropped (drop)" },
    { "", "route:\n  - {match: {fields: {proc.nam: x}}, drop: true}\n", "unknown field 'proc.nam' (did you mean 'proc.name'?)" },
    { "", "route:\n  - {match: {priority: loud}, drop: true}\n", "'loud' is no priority" },
    { "", "throttle:\n  - {count: 0}\n", "must be" },
    { "", "throttle:\n  - {within: soon}\n", "'soon' is no time such as 30s" },
    { "", "throttle:\n  - {by: [nothing.such]}\n", "unknown field 'nothing.such'" },
    { "  throttle: {count: 1, within: 1s, by: [proc.nam]}\n", "", "unknown field 'proc.nam'" },
    { "  throttle: {count: 1, within: never}\n", "", "route_rules.yaml:16:32: error: 'within' of a throttle is a time" },
    { "  throttle: {count: x, within: 1s}\n", "", "'count' of a throttle is a whole number" },
    { "  throttle: {cuont: 1, within: 1s}\n", "", "a throttle has no key 'cuont' (did you mean 'count'?)" },
    { "  throttle: 5\n", "", "'throttle' wants a map" },
  } do
    local r = run(tool, falco, RULES .. try[1], try[2])
    tool.check_run(r, r.code == 1 and r.err:find(try[3], 1, true), "%s%s: %s", try[1], try[2], tool.how(r))
  end
end

return function(tool, falco)
  routes(tool, falco)
  throttles(tool, falco)
  mistakes(tool, falco)
end
