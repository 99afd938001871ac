-- SPDX-License-Identifier: Apache-2.0
-- What the REPL prints, and how: to a terminal in colours, long texts through a pager; into a pipe plain.
--
--   local out = show.new()
--   out:line("text")            one line of ours
--   out:text(text)              several; a pager is asked on a terminal that has no room for them
--   out:paint("bold", "text")   the same text, between colours if there are any
--   out:painter({ [2] = "cyan" })   colours for the columns of a table
--   out:error("text")           a mistake of the user, in one line; counted
--   out:diagnostics(diags)      the compiler's; errors are counted
--   out.width                   columns of the terminal; nil: there is none
--
-- Values of events go through M.value() first: nothing of theirs reaches a terminal that it would obey.
local console = require("console")
local core = require("core")
local text = require("text")

local M = {}

local Out = {}
Out.__index = Out

local OUT, ERR = 1, 2

function M.new()
  local is_terminal = core.C.sys_isatty(OUT)
  return setmetatable({ is_terminal = is_terminal, has_colour = console.has_colour(OUT), errors = 0,
    width = is_terminal and core.C.sys_columns(OUT) or nil }, Out)
end

-- The terminal may have another size by now.
function Out:measure()
  if self.is_terminal then
    self.width, self.rows = core.C.sys_columns(OUT), core.C.terminal_rows(OUT)
  end
end

-- One line without anything that a terminal obeys.
function M.value(s)
  return (text.printable(s):gsub("[\n\t\r]", " "))
end

function Out:paint(name, s)
  return self.has_colour and s ~= "" and console.paints[name] .. s .. console.paints.off or s
end

-- For table.render(): heads are bold, columns of the map have its colours.
function Out:painter(map)
  return function(i, s)
    local name = i == 0 and "bold" or map and map[i]
    return name and self:paint(name, s) or s
  end
end

function Out:write(s)
  return core.C.writer_put(console.writer(), s, #s) == 0
end

function Out:line(s)
  return self:write(s .. "\n")
end

function Out:flush()
  return console.flush()
end

-- To standard error, after what was printed before.
function Out:say(s)
  console.flush()
  core.C.sys_write(ERR, s, #s)
end

function Out:error(message)
  self.errors = self.errors + 1
  console.flush()
  console.error(message)
end

function Out:note(message)
  self:line(self:paint("dim", message))
end

function Out:diagnostics(diags)
  self.errors = self.errors + diags.errors
  local rendered = diags:render{ color = console.has_colour(ERR) }
  if rendered ~= "" then self:say(rendered) end
end

-- ------------------------------------------------------------------ pager

local function count_lines(s)
  local _, n = s:gsub("\n", "")
  return n
end

-- The command that shows long texts; nil: none is wanted.
local function pager()
  local wanted = os.getenv("PAGER")
  if wanted == "" or wanted == "cat" then return nil end
  return wanted or "less"
end

local function is_there(command)
  return os.execute("command -v " .. (command:match("^[%w_./-]+") or "''") .. " >/dev/null 2>&1") == 0
end

local function paged(self, s)
  local command = pager()
  if not command or not is_there(command) then return false end
  console.flush()
  -- what git, too, tells a less that nobody told anything: colours, no pause for what fits, the text stays
  local pipe = io.popen(os.getenv("LESS") and command or "LESS=FRX " .. command, "w")
  if not pipe then return false end
  pipe:write(s)
  pipe:close()
  core.C.interrupts_seen(true)          -- it was for the pager
  return true
end

function Out:text(s)
  if s:sub(-1) ~= "\n" then s = s .. "\n" end
  self:measure()
  if self.is_terminal and self.is_interactive and count_lines(s) > self.rows - 2 and paged(self, s) then return end
  self:write(s)
end

return M
