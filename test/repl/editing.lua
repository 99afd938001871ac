-- SPDX-License-Identifier: Apache-2.0
-- What happens to a line before Enter: completion, history, paste, several lines.
local CAPTURE = "test/data/websrv.scap"

local RULES = [[
- list: shells_of_test
  items: [sh, bash, dash]
- macro: a_shell_of_test
  condition: (proc.name in (shells_of_test))
- rule: Shell of the test
  desc: A shell starts.
  condition: evt.type = execve and a_shell_of_test
  output: shell=%proc.name
  priority: INFO
]]

local function open(tool, falco, terminal, opts)
  local dir = tool.dir()
  opts = opts or {}
  local env = { HOME = opts.home or dir, XDG_STATE_HOME = "", PAGER = "cat" }
  for name, value in pairs(opts.env or {}) do env[name] = value end
  local rules = tool.write(dir .. "/rules.yaml", RULES)
  local t = terminal.open(("%s repl %s -r %s"):format(falco, opts.capture or CAPTURE, rules), { env = env,
    columns = opts.columns, rows = opts.rows })
  t:expect("falco> *$", "the prompt")
  return t
end

-- Types, presses Tab, and looks what is in the line.
local function completes(tool, t, typed, wanted)
  t:type(typed)
  t:key("Tab")
  local ok = t:expect(wanted, ("Tab behind '%s'"):format(typed))
  t:key("C-c")
  t:expect("falco> *$", "a new line after Ctrl-C")
  return ok
end

local function completion(tool, falco, terminal)
  local t = open(tool, falco, terminal)
  for _, case in ipairs{
    { "proc.na", "falco> proc%.name *$" }, { "proc.name = cu", "falco> proc%.name = curl *$" },
    { "evt.arg[filena", "falco> evt%.arg%[filename%] *$" }, { "proc.name starts", "falco> proc%.name startswith *$" },
    { "a_sh", "falco> a_shell_of_test *$" }, { "proc.name in (shells_", "falco> proc%.name in %(shells_of_test$" },
    { "proc.name in (curl, ba", "falco> proc%.name in %(curl, bash$" }, { "evt.type = execvea",
      "falco> evt%.type = execveat *$" },
    { ":expl", "falco> :explain *$" }, { ":rule Sh", "falco> :rule Shell of the test *$" }, { ":top proc.cmdli",
      "falco> :top proc%.cmdline *$" },
    { ":load test/demo-", "falco> :load test/demo%-live%.yaml *$" }, { "toup", "falco> toupper%($" },
    { "not proc.name = curl an", "falco> not proc%.name = curl and *$" }, { "proc.is_exe_upper_layer = t", "= true *$" },
    { "evt.type.is[exe", nil },
  } do
    if case[2] then completes(tool, t, case[1], case[2]) end
  end
  t:type("proc.name = ")        -- several: they are listed, and the line is there again
  t:key("Tab")
  t:expect("bash.*httpd.*falco> proc%.name = *$", "Tab with several values")
  t:key("C-c")
  t:type("fd.s")
  t:key("Tab", "Tab")
  t:expect("fd%.sip .*fd%.sport.*falco> fd%.s *$", "Tab with several fields")
  t:close()
end

local function history(tool, falco, terminal, dir)
  local home = dir .. "/history"
  os.execute(("mkdir -p '%s'"):format(home))
  local t = open(tool, falco, terminal, { home = home })
  for _, line in ipairs{ "proc.name = httpd", "proc.name = curl", "evt.type = procexit and evt.num < 50" } do
    t:type(line)
    t:key("Enter")
    t:expect("of 5,633 events match.*falco> *$", line)
    t:key("C-l")
  end
  t:key("Up", "Up")
  t:expect("falco> proc%.name = curl *$", "two lines back")
  t:key("C-c", "C-r")
  t:type("httpd")
  t:expect("proc%.name = httpd", "Ctrl-R")
  t:key("Enter")
  t:expect("of 5,633 events match.*falco> *$", "what Ctrl-R found")
  t:key("C-d")
  t:expect("exit status 0", "the end by Ctrl-D")
  t:close()
  local mode = io.popen(("stat -c %%a '%s/.falco_history'"):format(home)):read("*l")
  tool.check(mode == "600", "the history may be read by others: mode %s", mode)
  -- another session knows it; and a file that has grown is cut
  local f = io.open(home .. "/.falco_history", "a")
  for i = 1, 5000 do f:write("evt.num = ", i, "\n") end
  f:close()
  t = open(tool, falco, terminal, { home = home })
  t:key("Up")
  t:expect("falco> evt%.num = 5000 *$", "the history of another session")
  t:key("C-c")
  t:type(":quit")
  t:key("Enter")
  t:expect("exit status 0", "the end by :quit")
  t:close()
  local lines = #tool.lines(tool.read(home .. "/.falco_history"))
  tool.check(lines <= 1001 and lines >= 1000, "the history has %d lines", lines)
end

local function state_home(tool, falco, terminal, dir)
  local t = open(tool, falco, terminal, { env = { XDG_STATE_HOME = dir } })
  t:type("proc.name = xdg")
  t:key("Enter")
  t:expect("0 of 5,633 events match", "an answer")
  t:key("C-d")
  t:expect("exit status 0", "the end")
  t:close()
  tool.check((tool.read(dir .. "/falco_history") or ""):find("proc.name = xdg", 1, true),
    "XDG_STATE_HOME does not have the history")
end

local function several_lines(tool, falco, terminal)
  local t = open(tool, falco, terminal)
  t:type("(proc.name = curl or")
  t:key("Enter")
  t:expect("%.%.%. *$", "an open parenthesis goes on")
  t:type('proc.args contains "a')
  t:key("Enter")
  t:expect("%.%.%. *$", "an open quote goes on")
  t:type('b") and evt.type = execve')
  t:key("Enter")
  t:expect("of 5,633 events match", "a condition of three lines")
  t:type("(proc.name = curl")
  t:key("Enter", "Enter")
  t:expect("condition:.*falco> *$", "an empty line ends a condition")
  t:type("(proc.name = curl")
  t:key("Enter", "C-c")
  t:expect("falco> *$", "Ctrl-C gives up all lines")
  t:type("function on_event(evt)")
  t:key("Enter")
  t:expect("%.%.%. *$", "an open function goes on")
  t:type("n = (n or 0) + 1 end")
  t:key("Enter")
  t:expect("5,633 events in ", "a function over all events")
  t:type(":lua n")
  t:key("Enter")
  t:expect("\n5633\n", "what it counted")
  t:close()
end

local function long_condition()
  local names = {}
  for i = 1, 60 do names[i] = ("program_of_test_%03d"):format(i) end
  return ("evt.type = execve and proc.name in (%s, curl)"):format(table.concat(names, ", "))
end

local function paste(tool, falco, terminal)
  local t = open(tool, falco, terminal, { columns = 80 })
  local text = long_condition():gsub(" and ", "\n\tand "):gsub("_030,", "_030,\n")
  t:paste(text)
  t:expect("program_of_test_060, curl%)", "the paste")
  os.execute("sleep 0.3")
  tool.check(not t:screen():find("events match"), "a newline in a paste is Enter")
  t:key("Enter")
  t:expect("6 of 5,633 events match", "the pasted condition")
  t:close()
end

-- A line of more than 1,000 columns, typed; and changed at its beginning.
local function long_line(tool, falco, terminal)
  local t = open(tool, falco, terminal, { columns = 80, rows = 40 })
  local text = long_condition()
  tool.check(#text > 1000, "the long line has %d columns", #text)
  t:type(text)
  t:expect("program_of_test_060, curl%) *$", "the long line")
  t:key("C-a")
  t:type("not ")
  t:key("C-e")
  t:type(" and evt.num < 100")
  t:expect("falco> not evt%.type = execve and proc%.name in %(program_of_test_001, .*curl%) and evt%.num < 100 *$",
    "the changed line")
  local seen = t:screen():gsub("%s+", " ")
  local _, times = seen:gsub("program_of_test_031", "")
  tool.check(times == 1, "the line is shown %d times", times)
  t:key("Enter")
  t:expect("0 of 5,633 events match", "the long line's answer")
  t:close()
end

local function colours(tool, falco, terminal)
  local t = open(tool, falco, terminal)
  t:type("proc.name = sh and not a_shell_of_test")
  t:expect("a_shell_of_test *$", "the line")
  os.execute("sleep 0.2")
  local shown = t:coloured()
  tool.check(shown:find("\27[36mproc.name\27[39m", 1, true) or shown:find("\27[36mproc.name", 1, true), "a field has no colour")
  tool.check(shown:find("\27[35mand", 1, true), "'and' has no colour")
  tool.check(shown:find("\27[34ma_shell_of_test", 1, true), "a macro has no colour")
  t:close()
  t = open(tool, falco, terminal, { env = { NO_COLOR = "1" } })
  t:type("proc.name = sh")
  t:key("Enter")
  t:expect("events match", "an answer")
  tool.check(not t:coloured():find("\27[", 1, true), "NO_COLOR is ignored")
  t:close()
end

return {
  needs_terminal = true,
  { "completion", completion }, { "history, Ctrl-R", history }, { "XDG_STATE_HOME", state_home },
  { "several lines", several_lines }, { "paste of a long condition", paste }, { "a line of 1,000 columns", long_line },
  { "colours, NO_COLOR", colours },
}
