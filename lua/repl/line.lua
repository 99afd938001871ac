-- SPDX-License-Identifier: Apache-2.0
-- Where lines come from: a terminal, by libedit, with history, completion and colours; or anything else, as it is.
--
--   local reader = line.new(session)
--   reader:read() -> a line (several, if a parenthesis or quote was open), or nil at the end
--   reader:close()
local commands = require("repl.commands")
local complete = require("repl.complete")
local core = require("core")
local files = require("files")
local lua = require("repl.cmd_lua")
local show = require("repl.show")
local syntax = require("repl.syntax")
local tables = require("repl.table")

local M = {}

local PROMPT, MORE = "falco> ", "   ... "
local MAX_LINES = 1000                 -- that one condition may go over
local MAX_SHOWN = 200                  -- candidates that Tab lists

-- What may go on in the next line: conditions, and Lua. In a name of a rule or file a quote is a letter.
local OPEN = { condition = true, field = true, diff = true }

local function is_open(text)
  if text:find("^%s*:lua%s") or lua.is_lua(text) then return lua.is_open(text) end
  local word = text:match("^%s*:([%a_]*)")
  local row = word and commands.find(word)
  if word and not (row and OPEN[row.wants]) then return false end
  return syntax.is_open(text)
end

-- ------------------------------------------------------------------ pipes

local Pipe = {}
Pipe.__index = Pipe

local MAX_LINE, PIECE = 1048576, 4096

-- A line without its end, and what it has too much; nil: there is none. By bytes, as io's own lines end at a NUL and grow
-- without bound.
function Pipe:bytes()
  local pieces, piece, n, total = {}, {}, 0, 0
  while true do
    local byte = self.file:read(1)
    if not byte and total == 0 then return nil end
    if not byte or byte == "\n" then break end
    total = total + 1
    if total <= MAX_LINE then
      n = n + 1
      piece[n] = byte
    end
    if n == PIECE then
      pieces[#pieces + 1], n = table.concat(piece, "", 1, n), 0
    end
  end
  pieces[#pieces + 1] = table.concat(piece, "", 1, n)
  return table.concat(pieces), total - MAX_LINE
end

-- A line that cannot be one is left out, with a word on why.
function Pipe:next_line()
  local text, too_much = self:bytes()
  if not text then return nil end
  local wrong = too_much > 0 and ("a line of more than %d bytes"):format(MAX_LINE)
    or text:find("%z") and "a line with a NUL in it"
  if not wrong then return text end
  self.session.out:error(wrong .. " is left out")
  return ""
end

-- A mistake in an open line must not swallow the rest: an empty line ends it.
function Pipe:read()
  local text = self:next_line()
  if not text then return nil end
  for _ = 1, MAX_LINES do
    if not is_open(text) then break end
    local more = self:next_line()
    if not more or more:find("^%s*$") then break end
    text = text .. "\n" .. more
  end
  return text
end

function Pipe:close() end

-- ------------------------------------------------------------------ history

local function history_path()
  local state, home = os.getenv("XDG_STATE_HOME"), os.getenv("HOME")
  if state and state:sub(1, 1) == "/" then return state .. "/falco_history" end
  return home and home ~= "" and home .. "/.falco_history" or nil
end

-- The last lines of the file, the file made smaller when it has grown; nil: there is none.
local function load_history(path, limit)
  local text = files.kind(path) == "file" and files.read(path)
  if not text then return {} end
  local lines = {}
  for entry in text:gmatch("[^\n]+") do lines[#lines + 1] = entry end
  if #lines <= limit then return lines end
  local kept = {}
  for i = #lines - limit + 1, #lines do kept[#kept + 1] = lines[i] end
  if #lines > 2 * limit then
    local anew = table.concat(kept, "\n") .. "\n"
    core.C.line_keep(path, anew, #anew, true)
  end
  return kept
end

-- ------------------------------------------------------------------ terminal

local Terminal = {}
Terminal.__index = Terminal

function Terminal:remember(text)
  text = text:gsub("\n", " ")
  if text:find("^%s*$") or text == self.remembered then return end
  self.remembered = text
  core.C.line_remember(self.line, text)
  if not self.path then return end
  local entry = text .. "\n"
  local code = core.C.line_keep(self.path, entry, #entry, false)
  if code < 0 then
    self.session.out:note(("the history is not kept: %s: %s"):format(self.path, core.ffi.string(core.C.sys_error_text(code))))
    self.path = nil
  end
end

local len, cursor

function Terminal:text()
  len, cursor = len or core.ffi.new("uint32_t[1]"), cursor or core.ffi.new("uint32_t[1]")
  local p = core.C.line_text(self.line, len, cursor)
  return core.ffi.string(p, len[0]), cursor[0]
end

function Terminal:paint(before)
  if not self.session.out.has_colour then return end
  local text = self:text()
  local styles = syntax.styles(before ~= "" and before .. "\n" .. text or text, self.session.names)
  core.C.line_paint(self.line, before ~= "" and styles + #before + 1 or styles, #text)
end

local function common_prefix(list)
  local prefix = list[1].text
  for i = 2, #list do
    while list[i].text:sub(1, #prefix) ~= prefix do prefix = prefix:sub(1, -2) end
  end
  return (prefix:gsub("[\192-\255][\128-\191]*$", function(s)      -- not half a character
    return core.C.text_columns(s, #s) > 0 and #s > 1 and s or ""
  end))
end

-- Names side by side, read downwards.
local function side_by_side(list, width)
  local widest = 1
  for i = 1, math.min(#list, MAX_SHOWN) do widest = math.max(widest, tables.columns(show.value(list[i].text)) + 2) end
  local across = math.max(1, math.floor(width / widest))
  local n = math.min(#list, MAX_SHOWN)
  local down, out = math.ceil(n / across), {}
  for row = 1, down do
    for i = row, n, down do
      local cell, columns = tables.cut(show.value(list[i].text), width - 1)
      out[#out + 1] = cell .. (" "):rep(widest - columns)
    end
    out[#out + 1] = "\n"
  end
  if #list > n then out[#out + 1] = ("and %d more\n"):format(#list - n) end
  return (table.concat(out):gsub(" +\n", "\n"))
end

function Terminal:list(found)
  local out = self.session.out
  core.C.line_leave(self.line)
  out:measure()
  if found.title then out:line(out:paint("dim", found.title)) end
  out:write(side_by_side(found.list, out.width))
  out:flush()
  core.C.line_return(self.line)
end

-- Tab: what all candidates have in common is put there; if that is there already, they are listed.
function Terminal:complete(before)
  local text, at = self:text()
  local head = text:sub(1, at)
  local found = complete.find(self.session, before ~= "" and before .. "\n" .. head or head)
  if not found or #found.list == 0 then return core.C.line_beep(self.line) end
  local one = #found.list == 1
  local new = one and found.list[1].text .. (found.list[1].tail or " ") or common_prefix(found.list)
  if one and text:sub(at + 1, at + 1) == " " then new = new:gsub(" $", "") end
  if #new > #found.word or one and new ~= found.word then
    core.C.line_replace(self.line, #found.word, new, #new)
  else
    self:list(found)
  end
end

-- One line of the screen. Returns its text; nil at the end; false after Ctrl-C.
function Terminal:one(prompt, before)
  local C = core.C
  C.line_begin(self.line, prompt)
  local text
  while true do
    local result = C.line_read(self.line)
    if result == C.LINE_COMPLETE then
      self:complete(before)
      self:paint(before)
    elseif result == C.LINE_CHANGED then
      self:paint(before)
    else
      if result == C.LINE_DONE then
        text = self:text()
      elseif result == C.LINE_INTERRUPTED then
        text = false
      end
      if result ~= C.LINE_DONE then C.line_leave(self.line) end
      break
    end
  end
  C.line_end(self.line)
  return text
end

function Terminal:read()
  local text = self:one(PROMPT, "")
  while text == false do text = self:one(PROMPT, "") end
  for _ = 1, MAX_LINES do
    if not text or not is_open(text) then break end
    local more = self:one(MORE, text)
    if not more then
      if more == nil then return nil end
      return self:read()
    end
    text = text .. "\n" .. more
    if more:find("^%s*$") and not lua.is_lua(text) then break end      -- enough: the compiler says what is missing
  end
  if text then self:remember(text) end
  return text
end

function Terminal:close()
  core.C.line_free(self.line)
end

-- ------------------------------------------------------------------ either

function M.new(session)
  if not session.out.is_interactive then return setmetatable({ session = session, file = io.stdin }, Pipe) end
  local err = core.err()
  local made = core.C.line_new(err)
  if made == nil then return nil, core.message(err) end
  local self = setmetatable({ session = session, line = made, path = history_path() }, Terminal)
  for _, entry in ipairs(self.path and load_history(self.path, core.C.LINE_MAX_HISTORY) or {}) do
    core.C.line_remember(made, entry)
  end
  return self
end

return M
