-- SPDX-License-Identifier: Apache-2.0
-- Names as they should never be: what alerts and event lines make of them, byte for byte; that conditions can name them; that JSON
-- is JSON to others. (terminal.lua: that nothing of them is obeyed by a terminal.)
local capture = dofile("test/capture.lua")

local BAD = "\239\191\189"         -- U+FFFD
local LONG = ("d"):rep(1010)

-- { name, how it looks in a line of text, and in a JSON field }: the latter two are the name itself, and the former, if not given.
-- Text is escaped as JSON, with each ill-formed piece of UTF-8 replaced. JSON fields come out as the reference's: there the first
-- byte alone says how many belong together.
local NAMES = {
  { "two words" },
  { "new\nline", [[new\nline]] },
  { "tab\tand\rreturn", [[tab\tand\rreturn]] },
  { 'quote"s and \'s', [[quote\"s and 's]] },
  { "back\\slash", [[back\\slash]] },
  { "\1\27[31mred\27]0;title\7", [[\u0001\u001b[31mred\u001b]0;title\u0007]] },
  { "delete\127" },
  { "eight bits \194\155 31m" },
  { "caf\195\169 \226\152\131 \240\159\144\159" },
  { "bad\255\254name", "bad" .. BAD .. BAD .. "name" },
  { "cut\226\152", "cut" .. BAD, "cut" .. BAD .. BAD },
  { "lone\195(x", "lone" .. BAD .. "(x", "lone\195\168x" },
  { "overlong\192\175", "overlong" .. BAD .. BAD, "overlong" .. BAD },
  { "surrogate\237\160\128", "surrogate" .. BAD .. BAD .. BAD, "surrogate" .. BAD },
  { "beyond\244\144\128\128", "beyond" .. BAD .. BAD .. BAD .. BAD, "beyond" .. BAD },
  { "raw eight bits \155 31m", "raw eight bits " .. BAD .. " 31m", "raw eight bits \219\160" .. "31m" },
  { "%proc.name %s %n 100%" },
  { "$(reboot) `id` ; rm" },
  { "<NA>" },
  { "(a,b)" },
  { LONG },
}

local OUTPUT = "<%proc.name> <%proc.cmdline> <%proc.args> <%fd.name> <%fd.filename>"
local RULE = ("- rule: odd\n  desc: d\n  condition: evt.type = openat\n  output: \"%s\"\n  priority: NOTICE\n"):format(OUTPUT)
local ENV = { TZ = "UTC", FALCO_HOSTNAME = "host", NO_COLOR = "1" }
local TOO_LONG = "/DIR_TOO_LONG/FILENAME_TOO_LONG"

-- Each name is a program's name, its argument, and a file's name. Process 100 + i has name i.
local function make(path)
  local out = capture.writer(path)
  local exec, open = capture.event("execve", "exit"), capture.event("openat", "exit")
  out:head{ processes = { { tid = 1, comm = "init" } } }
  local function run(tid, comm, args)
    out:put(exec, tid, exec:values{ exe = "/bin/odd", comm = comm, args = args, tid = tid, pid = tid, ptid = 1 })
  end
  local function open_file(tid, name)
    out:put(open, tid, open:values{ fd = 3, name = name, dirfd = -100, flags = 1 })
  end
  for i, row in ipairs(NAMES) do
    run(100 + i, row[1], "-x\0" .. row[1] .. "\0\0")
    open_file(100 + i, "/odd/" .. row[1])
  end
  run(1000, "empty argv", false)
  open_file(1000, "/odd/" .. ("p"):rep(4090))
  run(1001, false, "\0\0")
  open_file(1001, "/" .. ("q"):rep(1022))
  open_file(1001, "/" .. ("r"):rep(1021))
  run(1002, "", "-v\0")
  open_file(1002, "/x")
  out:close()
  return path
end

-- The lines that alerts should be.
local function wanted_text()
  local lines = {}
  for i, row in ipairs(NAMES) do
    local name = row[2] or row[1]
    lines[i] = ("<%s> <%s -x %s > <-x %s > </odd/%s> <%s>"):format(name, name, name, name, name, name)
  end
  lines[#lines + 1] = ("<empty argv> <empty argv> <> <%s> <FILENAME_TOO_LONG>"):format(TOO_LONG)
  lines[#lines + 1] = ("</bin/odd> </bin/odd  > < > <%s> <FILENAME_TOO_LONG>"):format(TOO_LONG)
  lines[#lines + 1] = ("</bin/odd> </bin/odd  > < > </%s> <%s>"):format(("r"):rep(1021), ("r"):rep(1021))
  lines[#lines + 1] = "<> < -v> <-v> </x> <x>"
  return lines
end

local function replay(tool, falco, file, ...)
  local rules = tool.write(tool.dir() .. "/odd.yaml", RULE)
  return { env = ENV, falco, "replay", file, "-r", rules, "-o", "append_output=[]", ... }
end

local function text_alerts(tool, falco, file)
  local r = tool.run(replay(tool, falco, file))
  local have, want = tool.lines(r.out), wanted_text()
  tool.check_run(r, r.code == 0 and r.err == "" and #have == #want, "odd names: %s, %d alerts", tool.how(r), #have)
  for i, line in ipairs(want) do
    local message = (have[i] or ""):match("^%d%d:%d%d:%d%d%.%d+: Notice (.*)$")
    tool.check(message == line, "odd name in text:\n  wanted %s\n  got    %s", line, message)
  end
end

local function json_alerts(tool, falco, file)
  local r = tool.run(replay(tool, falco, file, "-o", "json_output=true"))
  local have = tool.lines(r.out)
  tool.check_run(r, r.code == 0 and #have == #wanted_text(), "odd names in JSON: %s", tool.how(r))
  for i, row in ipairs(NAMES) do
    local line, field, text = have[i] or "", row[3] or row[2] or row[1], row[2] or row[1]
    tool.check(line:find(('"proc.name":"%s"}'):format(field), 1, true) and
      line:find(('"fd.name":"/odd/%s",'):format(field), 1, true), "odd name in a JSON field: wanted %s\n  in %s", field, line)
    -- what stands in the message is escaped twice
    local twice = text:gsub('[\\"]', "\\%0")
    tool.check(line:find(("Notice <%s> "):format(text), 1, true) or line:find(("Notice <%s> "):format(twice), 1, true),
      "odd name in JSON's output: wanted %s\n  in %s", text, line)
  end
  tool.check(have[#NAMES + 1]:find('"proc.args":"",', 1, true), "no arguments: %s", have[#NAMES + 1])
  return r.out
end

-- Every byte that is no letter or digit as \xHH.
local function quoted(name)
  return '"' .. name:gsub("[^%w]", function(c) return ("\\x%02x"):format(c:byte()) end) .. '"'
end

local function conditions(tool, falco, file)
  for i, row in ipairs(NAMES) do
    local name, path = quoted(row[1]), quoted("/odd/" .. row[1])
    local middle = quoted(row[1]:sub(3, -2))
    local r = tool.run{ falco, "events", file, ("evt.type = openat and proc.name = %s and fd.name in (%s, x) and fd.name endswith %s"
      .. " and proc.cmdline contains %s and fd.name startswith %s"):format(name, path, name, middle, path), "-p", "%thread.tid" }
    tool.check_run(r, r.code == 0 and r.out == (100 + i) .. "\n", "odd name %d in a condition: %s", i, tool.how(r))
  end
  -- the same through YAML, whose escapes are others
  local rules = tool.write(tool.dir() .. "/quoted.yaml", [[
- rule: odd
  desc: d
  condition: 'evt.type = openat and (fd.name = "/odd/bad\xff\xfename" or fd.name glob "*\xc3(x" or fd.name = "/odd/new\nline")'
  output: "%thread.tid"
  priority: NOTICE
]])
  local r = tool.run{ falco, "replay", file, "-r", rules, "-o", "append_output=[]" }
  local tids = {}
  for tid in r.out:gmatch("Notice (%d+)\n") do tids[#tids + 1] = tid end
  tool.check_run(r, table.concat(tids, " ") == "102 110 112", "odd names in a rule: %s", table.concat(tids, " "))
end

-- JSON as somebody else understands it: each line is an object, in UTF-8.
local function foreign_json(tool, text, what)
  local program = [[
import json, sys
n = 0
for line in sys.stdin.buffer.read().split(b"\n"):
    if line:
        value = json.loads(line.decode("utf-8"))
        assert isinstance(value, dict), line
        n += 1
print(n)
]]
  if tool.run{ "python3", "-c", "print(1)" }.out ~= "1\n" then
    tool.skip("JSON of odd names, read by Python (python3 is not there)")
    return
  end
  local path = tool.write(tool.dir() .. "/lines.json", text)
  local r = tool.run{ "python3", "-c", program, stdin = path }
  tool.check_run(r, r.code == 0 and tonumber(r.out) == #tool.lines(text), "%s is no JSON to Python", what)
end

return function(tool, falco)
  local file = make(tool.dir() .. "/names.scap")
  text_alerts(tool, falco, file)
  foreign_json(tool, json_alerts(tool, falco, file), "the JSON of alerts with odd names")
  local events = tool.run{ falco, "events", file, "--json", "-p", "*%proc.name %proc.cmdline %fd.name %evt.args %proc.aname[1]" }
  foreign_json(tool, events.out, "the JSON of events with odd names")
  conditions(tool, falco, file)
end
