-- SPDX-License-Identifier: Apache-2.0
-- Values of fields, named as people name them.
--
--   local output, diags = values.output(rs, { "proc.name", "evt.arg[0]" })     for alert_fill(); nil and diagnostics: mistakes
--   local text = values.text(alert.values[0])                                   false: missing
local bit = require("bit")
local core = require("core")
local diag = require("diag")
local grammar = require("rules.grammar")
local ruleset = require("rules.ruleset")
local ffi = core.ffi

local M = {}

local text_room = ffi.new("char[?]", 4096)

function M.text(value)
  local C = core.C
  if value.type == 0 then return false end
  local n = C.value_text(value, text_room, 4096)
  if n <= 4096 then return ffi.string(text_room, n) end
  local room = ffi.new("char[?]", n)
  return ffi.string(room, math.min(C.value_text(value, room, n), n))
end

-- An output of these fields in the ruleset, or nil and diagnostics.
function M.output(rs, fields)
  local ids, diags = {}, diag.new()
  for i, text in ipairs(fields) do
    local operand, after = grammar.operand(text, 1)
    local id, err
    if not operand then
      err = after
    elseif after <= #text then
      err = { message = ("'%s' is no field"):format(text) }
    else
      id, err = ruleset.operand(rs, operand)
    end
    if id and bit.band(core.C.ruleset_expr(rs, id).flags, core.C.FIELD_FILTER_ONLY) ~= 0 then
      id, err = nil, { message = ("'%s' is for conditions only: it has no single value"):format(text) }
    end
    if not id then diags:error("LOAD_ERR_COMPILE_OUTPUT", nil, err.message) end
    ids[i] = id
  end
  if diags.errors > 0 then return nil, diags end
  return ruleset.output(rs, ids)
end

return M
