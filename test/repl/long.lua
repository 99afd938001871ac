-- SPDX-License-Identifier: Apache-2.0
-- A capture of millions of events: a bar shows how far a scan is, Ctrl-C stops the scan and nothing else.
local ROUNDS = 700000                  -- three events each

local function big_capture(tool)
  local path = tool.dir() .. "/big.scap"
  local r = tool.run{ "luajit", "test/flood.lua", "threads", tostring(ROUNDS), out_to = path, timeout = 120 }
  assert(r.code == 0, r.err)
  return path
end

local function ctrl_c(tool, falco, terminal)
  local path = big_capture(tool)
  local t = terminal.open(("%s repl %s"):format(falco, path), { env = { HOME = tool.dir(), XDG_STATE_HOME = "" } })
  t:expect("falco> *$", "the prompt")
  t:type('proc.name regex ".*(a|b|c)+.*x" or proc.args regex ".*(x|y|z)+.*v"')
  t:key("Enter")
  t:expect("scanning .+ +%d+ %%", "the bar")
  t:key("C-c")
  t:expect("stopped; the rest of the captures was not looked at", "Ctrl-C in a scan")
  t:expect("of [%d,]+ events match.*falco> *$", "what was found until then")
  tool.check(not t:last():find("░"), "the bar stays")
  t:type(":lua 6*7")
  t:key("Enter")
  t:expect("\n42\n", "the REPL goes on")
  t:type("evt.num < 3")
  t:key("Enter")
  t:expect("2 of [%d,]+ events match.*falco> *$", "a scan after one that was stopped", 60)
  t:key("C-l")
  t:type("function on_event(evt) n = (n or 0) + 1 end")
  t:key("Enter")
  t:expect("running .+ +%d+ %%", "the bar of on_event()")
  t:key("C-c")
  t:expect("stopped; the rest.*falco> *$", "Ctrl-C in on_event()", 5)
  t:key("C-l")
  t:type(":ev 2000000")
  t:key("Enter")
  t:expect("reading .+ +%d+ %%", "the bar of :ev")
  t:key("C-c")
  t:expect("stopped; the rest.*falco> *$", "Ctrl-C in :ev", 5)
  t:key("C-d")
  t:expect("exit status 0", "the end")
  t:close()
  os.remove(path)
end

return { needs_terminal = true, { "Ctrl-C in a scan", ctrl_c } }
