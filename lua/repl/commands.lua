-- SPDX-License-Identifier: Apache-2.0
-- Commands, one row each: help, completion and the man page read the same rows.
--
--   { name =, args =, wants =, help =, fn = }
--     args    for people, as in ":why [RULE] N"
--     wants   what completion offers behind it: "condition" "field" "rule" "macro" "list" "file" "command" "columns"; nil:
--     nothing
--     fn(session, text)   text: what stands behind the name, without blanks around it
--
--   commands.rows, commands.find(word) -> row, or nil and a message
--   commands.run(session, line)            a line that begins with ":"
local diag = require("diag")

local M = {}

local MODULES = { "repl.cmd_event", "repl.cmd_look", "repl.cmd_rules", "repl.cmd_work", "repl.cmd_live", "repl.cmd_lua",
  "repl.cmd_basic" }

local rows
function M.rows()
  if not rows then
    rows = {}
    for _, name in ipairs(MODULES) do
      local module = require(name)
      for _, row in ipairs(module.rows or module) do rows[#rows + 1] = row end
    end
  end
  return rows
end

local function starting_with(word)
  local found = {}
  for _, row in ipairs(M.rows()) do
    if row.name == word then return { row } end
    if row.name:sub(1, #word) == word then found[#found + 1] = row end
  end
  return found
end

local function listed(found)
  local names = {}
  for i, row in ipairs(found) do names[i] = ":" .. row.name end
  return table.concat(names, ", ")
end

-- By its name or a beginning of it that no other has.
function M.find(word)
  if word == "" then return nil, "a command has a name; :help lists them" end
  local found = starting_with(word)
  if #found == 1 then return found[1] end
  if #found > 1 then return nil, ("':%s' could be %s"):format(word, listed(found)) end
  local names = {}
  for i, row in ipairs(M.rows()) do names[i] = row.name end
  local near = diag.suggest(word, names)
  return nil, ("there is no command ':%s'%s"):format(word, near and (" (did you mean ':%s'?)"):format(near)
    or "; :help lists them")
end

function M.run(session, line)
  local word, rest = line:match("^%s*:([%a_]*)%s*(.-)%s*$")
  local row, message = M.find(word)
  if not row then return session.out:error(message) end
  if rest == "" and row.args and row.args:find("^%u") then
    return session.out:error((":%s wants %s"):format(row.name, row.args))
  end
  if rest ~= "" and not row.args then return session.out:error((":%s takes nothing behind it"):format(row.name)) end
  return row.fn(session, rest)
end

return M
