-- SPDX-License-Identifier: Apache-2.0
-- A terminal, driven as by a person: tmux, whose screen can be read.
--
--   local terminal = dofile("test/repl/terminal.lua")(tool)
--   local t = terminal.open("build/falco repl x.scap", { columns = 100, rows = 30, env = { NO_COLOR = "1" } })
--   t:type("proc.name = cat")      as it stands          t:key("Enter", "C-c", "Tab")     keys, as tmux calls them
--   t:paste("text")                as terminals do       t:resize(60, 20)
--   t:wait("falco> $", 10)         until the screen's text has the pattern: true; or false, after so many seconds
--   t:screen(), t:coloured()       what it shows; wrapped lines are one
--   t:close()
return function(tool)
  local M = {}
  local Terminal = {}
  Terminal.__index = Terminal
  local serial = 0

  local function quoted(s)
    return "'" .. s:gsub("'", "'\\''") .. "'"
  end

  local function output_of(command)
    local p = io.popen(command .. " 2>&1")
    local text = p:read("*a")
    p:close()
    return text
  end

  -- tmux, with a server that is this terminal's own.
  function Terminal:tmux(...)
    local words = { "tmux", "-u", "-L", self.socket, "-f", "/dev/null" }
    for _, word in ipairs{ ... } do words[#words + 1] = quoted(word) end
    return output_of(table.concat(words, " "))
  end

  function M.is_there()
    return output_of("tmux -V"):find("^tmux ") ~= nil
  end

  function M.open(command, opts)
    serial = serial + 1
    opts = opts or {}
    local self = setmetatable({ socket = ("falco-%s-%d"):format(tool.dir():match("[^/]+$"), serial) }, Terminal)
    local env = "env LC_ALL=C.UTF-8 TZ=UTC"
    for name, value in pairs(opts.env or {}) do env = ("%s %s=%s"):format(env, name, quoted(value)) end
    self:tmux("new-session", "-d", "-x", tostring(opts.columns or 100), "-y", tostring(opts.rows or 30),
      ("%s %s; echo exit status $?; sleep 100"):format(env, command))
    return self
  end

  function Terminal:type(text)
    self:tmux("send-keys", "-l", "--", text)
  end

  function Terminal:key(...)
    for _, key in ipairs{ ... } do self:tmux("send-keys", key) end
  end

  function Terminal:paste(text)
    self:tmux("set-buffer", "--", text)
    self:tmux("paste-buffer", "-p", "-r")
  end

  function Terminal:resize(columns, rows)
    self:tmux("resize-window", "-x", tostring(columns), "-y", tostring(rows))
  end

  function Terminal:screen()
    return (self:tmux("capture-pane", "-p", "-J", "-S", "-200"):gsub("[ \n]+$", ""))
  end

  function Terminal:coloured()
    return self:tmux("capture-pane", "-p", "-e", "-J")
  end

  -- The last line that is not empty.
  function Terminal:last()
    return self:screen():match("([^\n]*)$")
  end

  function Terminal:wait(pattern, seconds)
    local deadline = tool.now() + (seconds or 10) * (tool.sanitized and 4 or 1)
    repeat
      if self:screen():find(pattern) then return true end
      os.execute("sleep 0.05")
    until tool.now() > deadline
    return false
  end

  -- The same, in the form of a check that shows the screen.
  function Terminal:expect(pattern, what, seconds)
    local ok = self:wait(pattern, seconds)
    if not tool.check(ok, "%s: '%s' does not come", what, pattern) then
      print("  screen:\n    " .. self:screen():gsub("\n", "\n    "))
    end
    return ok
  end

  function Terminal:close()
    self:tmux("kill-server")
  end

  return M
end
