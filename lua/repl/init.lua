-- SPDX-License-Identifier: Apache-2.0
-- `falco repl [CAPTURE...] [-r RULES]`: conditions tried on captures, one line after the other.
--
--   session.lua   captures, rules, the condition at hand       line.lua      reading lines from a terminal, or a pipe
--   find.lua      a condition over the captures                complete.lua  what Tab offers
--   commands.lua  the table of commands, rows in cmd_*.lua     syntax.lua    words of a condition, colours, what is open
--   show.lua      printing, pager; table.lua, spark.lua        progress.lua  the bar of a long scan, and Ctrl-C
local commands = require("repl.commands")
local core = require("core")
local find = require("repl.find")
local line = require("repl.line")
local lua = require("repl.cmd_lua")
local rules = require("rules")
local session = require("repl.session")
local show = require("repl.show")
local spark = require("repl.spark")

local M = {}

-- What one line asks for.
local function obey(s, text)
  if text:find("^%s*$") then return find.more(s) end
  if text:find("^%s*#") then return end
  if text:find("^%s*:") then return commands.run(s, text) end
  if lua.is_lua(text) then return lua.run(s, text) end
  local made = s:compile(text)
  if made then find.run(s, made) end
end

-- A bug of ours must not take the session with it.
local function obey_safely(s, text)
  local ok, err = xpcall(obey, debug.traceback, s, text)
  if not ok then
    core.C.interrupts_stop(nil)
    s.out:error("bug: " .. tostring(err):match("^[^\n]*"))
    if os.getenv("FALCO_REPL_TRACE") then s.out:say(tostring(err) .. "\n") end
  end
end

local function greet(s)
  local out = s.out
  local what = #s.paths > 0 and table.concat(s.paths, ", ") or "no capture; :open FILE opens one"
  out:note(("falco %s: %s%s; :help lists commands, Tab completes"):format(core.cstr(core.C.falco_version()), show.value(what),
    s.rules and "; " .. spark.things(#s.rules.rules, "rule") or ""))
end

-- Returns the exit status.
function M.run(config, options)
  local out = show.new()
  out.is_interactive = out.is_terminal and core.C.sys_isatty(0)
  local s = session.new(config, options, out)
  if not s:load_rules() and #options.rules > 0 then return 1 end
  out.errors = 0                        -- mistakes in the rules of this host are not the user's
  if #options.captures > 0 and not s:open(options.captures) then return 1 end
  rules.jit_options()
  local reader, message = line.new(s)
  if not reader then
    out:error(message)
    return 1
  end
  if out.is_interactive then
    core.C.interrupts_take()
    greet(s)
  end
  while not s.quits do
    local text = out:flush() and reader:read()
    if not text then break end
    obey_safely(s, text)
  end
  reader:close()
  s:remove_file()
  local failure = (out:flush() or true) and require("console").failure()
  return (failure or not out.is_interactive and out.errors > 0) and 1 or 0
end

return M
