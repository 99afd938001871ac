-- SPDX-License-Identifier: Apache-2.0
-- Many distinct rules out of a few: for measuring, and for tests that need a crowd. Needs lua/ in package.path.
--
--   vary.deeply(result, n)    -> YAML of n rules: conditions written out whole, with about half of the constants that are
--                                names of somebody's choice changed, so that few leaves are shared
--   vary.lightly(files, n)    -> { {name, text}, ... }: the files as they are, and copies of their rules with one more
--                                literal each, so that macros and lists are used as people use them
-- result: of rules.load(); files: of run.read_files(). The same input gives the same rules.
local core = require "core"
local spell = require "rules.spell"

local M = {}

local LIST = { ["in"] = true, intersects = true, pmatch = true }

-- ------------------------------------------------------------------ deeply

-- Numbers of our own: the same on every machine.
local function dice(seed)
  local state = seed
  return function(n)
    state = (state * 16807) % 2147483647
    return state % n
  end
end

local function is_open(name)      -- constants of these are anybody's names
  return name:find("^proc%.") or name:find("^fd%.[a-z]*name") or name == "fd.directory" or name:find("^container%.")
    or name:find("^user%.") or name:find("^fs%.path")
end

local function is_text_op(op)
  local C = core.C
  return op == C.OP_EQ or op == C.OP_NE or op == C.OP_IN or op == C.OP_STARTSWITH or op == C.OP_ENDSWITH or op == C.OP_CONTAINS
    or op == C.OP_PMATCH
end

local KEPT = { ["true"] = true, ["false"] = true, host = true }

local function value_text(text, change, roll, suffix)
  if change and text:find("^[%w/._-]*[%a/][%w/._-]*$") and not KEPT[text] and roll(2) == 0 then
    text = text .. suffix
  end
  return text:find('["\\%c]') and spell.quote(text) or text:find("^[%w/._-]+$") and text or '"' .. text .. '"'
end

local function check_text(check, roll, suffix)
  local name = check.left.name
  if not check.values or check.modifier ~= core.C.MOD_NONE then
    return spell.check_text(check)
  end
  local texts, change = {}, name and is_open(name) and is_text_op(check.op)
  for i, value in ipairs(check.values) do
    texts[i] = value_text(value.text, change, roll, suffix)
  end
  local list = table.concat(texts, ", ")
  return ("%s %s %s"):format(spell.operand_text(check.left), check.op_text, LIST[check.op_text] and "(" .. list .. ")" or list)
end

local function written(tree, roll, suffix)
  if tree.kind == "leaf" then
    return (tree.neg and "not " or "") .. check_text(tree.check, roll, suffix)
  end
  local parts = {}
  for i, child in ipairs(tree) do
    parts[i] = written(child, roll, suffix)
  end
  return "(" .. table.concat(parts, " " .. tree.kind .. " ") .. ")"
end

local function single_quoted(text)
  return "'" .. text:gsub("'", "''") .. "'"
end

function M.deeply(result, n)
  local out = {}
  for i = 1, n do
    local rule = result.rules[(i - 1) % #result.rules + 1]
    out[i] = ("- rule: %s\n  desc: d\n  priority: info\n  condition: %s\n  output: %s\n  warn_evttypes: false\n"):format(
      single_quoted(("%s %d"):format(rule.name, i)), single_quoted(written(rule.tree, dice(i), "x" .. i)), single_quoted(rule.output))
  end
  return table.concat(out)
end

-- ------------------------------------------------------------------ lightly

-- The rules of a text, as texts that start with "- rule:".
local function rule_texts(text)
  local out, current = {}, nil
  for line in (text .. "\n"):gmatch("(.-)\n") do
    if line:find("^%- ") then
      current = line:find("^%- rule:") and {} or nil
      out[#out + 1] = current
    end
    if current then
      current[#current + 1] = line
    end
  end
  return out
end

local function copied(lines, i)
  local out = {}
  for k, line in ipairs(lines) do
    line = line:gsub("^%- rule: *(.-)%s*$", function(name)
      return ("- rule: %s"):format(single_quoted(("%s %d"):format(name, i)))
    end)
    local head, rest = line:match("^(  condition: *)([^>|%s].*)$")
    if head then
      line = ("%sproc.name != v%d and (%s)"):format(head, i, rest)
    elseif line:find("^  condition: *[>|]") and lines[k + 1] then
      line = line .. "\n" .. lines[k + 1]:match("^ *") .. ("proc.name != v%d and"):format(i)
    end
    out[k] = line
  end
  return table.concat(out, "\n")
end

function M.lightly(files, n)
  local out, list = {}, {}
  for i, file in ipairs(files) do
    out[i] = file
    for _, lines in ipairs(rule_texts(file.text)) do
      list[#list + 1] = lines
    end
  end
  local copies = {}
  for i = 1, n - #list do
    copies[i] = copied(list[(i - 1) % #list + 1], i)
  end
  out[#out + 1] = { name = "copies.yaml", text = table.concat(copies, "\n") .. "\n" }
  return out
end

return M
