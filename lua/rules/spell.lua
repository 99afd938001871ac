-- SPDX-License-Identifier: Apache-2.0
-- An AST's parts (grammar.lua) back to text.
--   spell.quote(text), .operand_text(operand), .operator_text(check), .check_text(check)
local core = require "core"
local vocab = require("rules.words").get

local M = {}

local SHORT = { ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ["\\"] = "\\\\", ['"'] = '\\"' }

-- A constant as it could be written: quoted when it must be.
function M.quote(text)
  if text:find("[%c =\\\"']") then
    return '"' .. text:gsub('[%c\\"]', SHORT) .. '"'
  end
  return text
end

local function argument_text(arg)
  if not arg then
    return ""
  end
  return "[" .. (arg == "" and '""' or M.quote(arg)) .. "]"
end

-- Canonical text of an operand; what JSON output calls a field.
function M.operand_text(o)
  if o.kind == "field" then
    return o.name .. argument_text(o.arg)
  elseif o.kind == "text" then
    return M.quote(o.text)
  end
  local items = {}
  for i, input in ipairs(o.inputs or o.items) do
    items[i] = M.operand_text(input)
  end
  return ("%s(%s)%s"):format(o.name or "", table.concat(items, ","), argument_text(o.arg))
end

local MODIFIERS = { "oneof", "anyof", "allof" }

-- The operator of a check with its modifier: "startswith oneof".
function M.operator_text(check)
  for _, word in ipairs(check.modifier ~= core.C.MOD_NONE and MODIFIERS or {}) do
    if vocab().modifiers[word] == check.modifier then
      return check.op_text .. " " .. word
    end
  end
  return check.op_text
end

-- A check on one line, for people.
function M.check_text(check)
  local out = { M.operand_text(check.left), M.operator_text(check) }
  if check.right then
    out[#out + 1] = check.right.kind == "field" and ("val(%s)"):format(M.operand_text(check.right)) or M.operand_text(check.right)
  elseif check.values then
    local texts = {}
    for i, value in ipairs(check.values) do
      texts[i] = M.quote(value.text)
    end
    local list = table.concat(texts, ", ")
    local is_list = check.modifier ~= core.C.MOD_NONE or vocab().ops[check.op_text].class == "list"
    out[#out + 1] = is_list and "(" .. list .. ")" or list
  end
  return table.concat(out, " ")
end

return M
