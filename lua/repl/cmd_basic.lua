-- SPDX-License-Identifier: Apache-2.0
-- Commands about the REPL itself.
local commands = require("repl.commands")
local core = require("core")
local diag = require("diag")
local rules = require("rules")
local show = require("repl.show")
local tables = require("repl.table")

local function help_of(out, row)
  out:line(out:paint("bold", ":" .. row.name .. (row.args and " " .. row.args or "")))
  out:line("  " .. row.help)
  if row.more then out:line("  " .. row.more:gsub("\n", "\n  ")) end
end

local INTRO = [[
A line that is a condition runs over the captures; macros and lists of the rules may be used in it. Enter shows more of
what matched, Ctrl-C stops, Tab completes, Ctrl-R searches what was typed before. A line with an open parenthesis or
quote goes on in the next. A line that begins with "function" or "local" is Lua, see :lua. Commands:
]]

local function help(session, word)
  local out = session.out
  if word ~= "" then
    local row, message = commands.find((word:gsub("^:", "")))
    if not row then return out:error(message) end
    return help_of(out, row)
  end
  local rows = {}
  for i, row in ipairs(commands.rows()) do rows[i] = { ":" .. row.name .. (row.args and " " .. row.args or ""), row.help } end
  table.sort(rows, function(a, b) return a[1] < b[1] end)
  return out:text(INTRO .. tables.render{ heads = { "", "" }, rows = rows, no_head = true, width = out.width,
    paint = function(i, text) return i == 1 and out:paint("bold", text) or text end })
end

local function quit(session)
  session.quits = true
end

local function columns(session, text)
  if text == "" or text == "-" then
    session.chosen = nil
    return session.out:note("columns: chosen by each condition")
  end
  local names = {}
  for name in text:gmatch("[^%s,]+") do names[#names + 1] = (name:gsub("^%%", "")) end
  local ruleset, diags = core.ffi.gc(core.C.ruleset_new(), core.C.ruleset_free), diag.new()
  if not rules.output{ text = "*%" .. table.concat(names, " %"), ruleset = ruleset, diag = diags, name = "columns" } then
    return session.out:diagnostics(diags)
  end
  session.chosen = names
  local last = session.last
  if last then return require("repl.find").show(session, last.hits, last.made, names) end
end

local function rows(session, text)
  local n = tonumber(text)
  if text ~= "-" and (not n or n < 1 or n > 1e6 or n ~= math.floor(n)) then
    return session.out:error(":rows wants a whole number up to a million, or - for the default")
  end
  session.page = n
end

local function open(session, text)
  local paths = {}
  for path in text:gmatch("%S+") do paths[#paths + 1] = path end
  if session:open(paths) then session.out:note("open: " .. show.value(table.concat(paths, ", "))) end
end

return {
  { name = "open", args = "FILE...", wants = "file", help = "captures to look at, instead of those that are open", fn = open },
  { name = "help", args = "[COMMAND]", wants = "command", help = "say what a command does, or list them all", fn = help },
  { name = "quit", help = "end; so does Ctrl-D", fn = quit },
  { name = "cols", args = "[FIELD...|-]", wants = "columns", help = "choose the columns of tables; - leaves it to each condition",
    fn = columns },
  { name = "rows", args = "N|-", help = "how many rows are shown at a time; - is as many as fit", fn = rows },
}
