-- SPDX-License-Identifier: Apache-2.0
-- What the screen shows: tables, pages, the pager, another size, names in other scripts, Ctrl-C.
local CAPTURE = "test/data/websrv.scap"

local function open(tool, falco, terminal, opts)
  opts = opts or {}
  local env = { HOME = tool.dir(), XDG_STATE_HOME = "", PAGER = "cat" }
  for name, value in pairs(opts.env or {}) do env[name] = value end
  local t = terminal.open(("%s repl %s"):format(falco, opts.capture or CAPTURE), { env = env, columns = opts.columns,
    rows = opts.rows })
  t:expect("falco> *$", "the prompt")
  return t
end

local function enter(t, text, wanted, seconds)
  t:type(text)
  t:key("Enter")
  return t:expect(wanted, text, seconds)
end

local function pages(tool, falco, terminal)
  local t = open(tool, falco, terminal, { rows = 20 })
  enter(t, "proc.name = sh", "215 more; Enter shows them *\nfalco> *$")
  t:key("Enter")
  t:expect("\n *2827  .*201 more; Enter shows them *\nfalco> *$", "the second page")
  enter(t, ":rows 3", "falco> *$")
  enter(t, ":cols evt.num proc.pname fd.name", "evt%.num  proc%.pname  fd%.name.*226 more; Enter shows them")
  t:key("Enter")
  t:expect("223 more", "the second page of the same columns")
  local widest = 0
  for line in t:screen():gmatch("[^\n]+") do widest = math.max(widest, #line:gsub("[\128-\191]", "")) end
  tool.check(widest <= 100, "a line of %d columns on a screen of 100", widest)
  t:close()
end

local function pager(tool, falco, terminal)
  local t = open(tool, falco, terminal, { rows = 16, env = { PAGER = "sed s/^/paged:/" } })
  enter(t, ":help", "paged::why .*falco> *$")
  enter(t, ":help why", "\n:why %[RULE%] N")
  t:close()
  t = open(tool, falco, terminal, { rows = 16, env = { PAGER = "no-such-pager-of-test" } })
  enter(t, ":help", "\n:why .*falco> *$")
  t:close()
  t = open(tool, falco, terminal, { rows = 16, env = { PAGER = "less" } })
  enter(t, ":help", "\n: *$")          -- less waits; q ends it, Ctrl-C does not end us
  t:key("C-c")
  os.execute("sleep 0.3")
  t:key("q")
  t:expect("falco> *$", "the prompt after the pager")
  enter(t, ":lua 6*7", "\n42\n")
  t:close()
end

local function resize(tool, falco, terminal)
  local t = open(tool, falco, terminal, { columns = 100 })
  t:type("evt.type = execve and proc.name in (first, second, third, fourth, fifth, sixth, seventh, eighth, ninth, curl) "
    .. "and evt.num > 1")
  t:expect("evt%.num > 1 *$", "a line of two rows")
  for _, columns in ipairs{ 60, 140, 45, 100 } do
    t:resize(columns, 30)
    os.execute("sleep 0.3")
    local _, times = t:screen():gsub("seventh", "")
    tool.check(times == 1, "at %d columns the line is shown %d times:\n%s", columns, times, t:screen())
  end
  t:type("00")
  t:key("Enter")
  t:expect("6 of 5,633 events match", "the line after all that")
  t:resize(70, 30)
  enter(t, "proc.name = curl", "events match")
  for line in t:screen():gmatch("[^\n]+") do
    local _, columns = line:gsub("[^\128-\191]", "")
    if line:find("^ *%d+  ") and line:find("…$") then tool.check(columns <= 100, "a row of %d columns", columns) end
  end
  t:close()
end

local NAMES = { "日本語プログラム", "кот", "ascii", "e\204\129x", "한국어", "xy" }

local function utf8_capture(tool)
  local capture = dofile("test/capture.lua")
  local path = tool.dir() .. "/utf8.scap"
  local out = capture.writer(path)
  local processes = {}
  for i, name in ipairs(NAMES) do processes[i] = { tid = i, comm = name } end
  out:head{ processes = processes }
  local open_event = capture.event("open", "exit")
  for i, name in ipairs(NAMES) do out:put(open_event, i, open_event:values{ fd = 3, name = "/tmp/" .. name }) end
  out:close()
  return path
end

-- Columns of UTF-8 text, as this test sees it: wide scripts take two, accents that combine none.
local function columns(s)
  local n = 0
  for c in s:gmatch("[%z\1-\127\194-\244][\128-\191]*") do
    if c:find("^[\227-\237]") then n = n + 2 elseif not c:find("^\204[\128-\191]")
      and not c:find("^\205[\128-\175]") then n = n + 1 end
  end
  return n
end

local function other_scripts(tool, falco, terminal)
  local t = open(tool, falco, terminal, { capture = utf8_capture(tool) })
  enter(t, ":cols proc.name evt.type fd.name", "falco> *$")
  enter(t, "evt.type = open", "6 of 6 events match")
  local at
  for line in t:screen():gmatch("[^\n]+") do
    local before = line:match("^(.-)open  ") or line:match("^(.-)evt%.type  ")
    if before then
      at = at or columns(before)
      tool.check(columns(before) == at, "columns are not aligned: '%s'", line)
    end
  end
  tool.check(at, "there is no table")
  enter(t, "proc.name = 日本語プログラム", "1 of 6 events match")
  t:type("proc.name = к")
  t:key("Tab")
  t:expect("falco> proc%.name = кот *$", "completion of a value that is no ASCII")
  t:key("C-w", "C-w")
  t:type("한국")
  t:key("BSpace", "BSpace", "BSpace")
  t:type(" = ascii")
  t:key("C-a")
  t:key("C-c")
  t:close()
end

local function ctrl_c_in_lua(tool, falco, terminal)
  local t = open(tool, falco, terminal)
  t:type(":lua while true do end")
  t:key("Enter")
  os.execute("sleep 0.5")
  t:key("C-c")
  t:expect("stopped.*falco> *$", "Ctrl-C in a loop")
  t:type(":lua while true do pcall(function() while true do end end) end")
  t:key("Enter")
  os.execute("sleep 0.3")
  t:key("C-c")
  t:expect("stopped.*stopped.*falco> *$", "Ctrl-C in a loop that catches errors")
  t:type("function on_event(evt) while true do end end")
  t:key("Enter")
  os.execute("sleep 0.3")
  t:key("C-c")
  t:expect("stopped.*stopped.*stopped.*falco> *$", "Ctrl-C in on_event()")
  enter(t, "proc.name = sh", "229 of 5,633 events match")
  t:close()
end

return {
  needs_terminal = true,
  { "pages and columns", pages }, { "pager", pager }, { "another size", resize }, { "names in other scripts", other_scripts },
  { "Ctrl-C in Lua", ctrl_c_in_lua },
}
