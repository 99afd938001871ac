-- SPDX-License-Identifier: Apache-2.0
-- :live, on this host: as root where the driver works; else a message that says why not.
local function refused(tool, falco)
  local path = tool.write(tool.dir() .. "/lines", ":live 1 evt.type = execve\n:lua 'goes on'\n")
  os.execute(("chmod 755 '%s'; chmod 644 '%s'"):format(tool.dir(), path))
  local r = tool.run{ "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", falco, "repl", stdin = path, timeout = 60 }
  if r.code == 127 or r.err:find("setpriv:", 1, true) then return tool.skip(":live without rights (no setpriv, or not root)") end
  tool.check_run(r, r.code == 1 and r.err:find("this host cannot be watched", 1, true), ":live without rights: %s", tool.how(r))
  tool.check_run(r, r.out:find("goes on", 1, true), ":live without rights ends the REPL")
end

local function watched(tool, falco, terminal)
  if tool.run{ falco, "doctor" }.code ~= 0 then return tool.skip(":live (falco doctor: this host cannot be watched)") end
  local t = terminal.open(falco .. " repl", { env = { HOME = tool.dir(), XDG_STATE_HOME = "" } })
  t:expect("falco> *$", "the prompt")
  t:type(":cols evt.num proc.name proc.cmdline")
  t:key("Enter")
  t:expect("falco> *$", "columns")
  t:type(":live evt.type = execve and proc.cmdline contains a_word_of_the_live_test")
  t:key("Enter")
  t:expect("watching until Ctrl%-C", "the watch", 60)
  local deadline = tool.now() + 60
  repeat
    os.execute("/bin/echo a_word_of_the_live_test >/dev/null")
    os.execute("sleep 0.2")
  until t:screen():find("\n *[%d]+ +echo +echo a_word_of_the_live_test") or tool.now() > deadline
  t:expect("\n *[%d]+ +echo +echo a_word_of_the_live_test", "an event of this host")
  t:key("C-c")
  t:expect("of [%d,]+ events match.*is open as a capture now", "the end of the watch", 60)
  t:expect("falco> *$", "the prompt after it")
  t:type("evt.type = execve and proc.cmdline contains a_word_of_the_live_test")
  t:key("Enter")
  t:expect("\n[%d,]+ of [%d,]+ events match", "the capture of what was watched", 60)
  tool.check(not t:screen():find("\n0 of"), "what was watched is not in its capture")
  t:key("C-d")
  t:expect("exit status 0", "the end")
  t:close()
end

return { needs_terminal = true, { "without rights", refused }, { "this host", watched } }
