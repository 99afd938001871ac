-- SPDX-License-Identifier: Apache-2.0
-- Words of conditions that the C core knows.
--   words.get() -> { ops = { [text] = { op = OP_*, class = } }, op_names = { text, ... }, transformers = { [name] = TR_* },
--                         modifiers = { [word] = MOD_* }, none = MOD_NONE }
--   class: what the right side is: "none", "number", "list" or "text"
local core = require "core"

local M = {}

local function vocabulary()
  local c = core.C
  local v = { ops = {}, op_names = {}, transformers = {} }
  v.none = c.MOD_NONE
  v.modifiers = { oneof = c.MOD_ONEOF, anyof = c.MOD_ANYOF, allof = c.MOD_ALLOF }
  local class = { [c.OP_EXISTS] = "none", [c.OP_LT] = "number", [c.OP_LE] = "number", [c.OP_GT] = "number",
                  [c.OP_GE] = "number", [c.OP_IN] = "list", [c.OP_INTERSECTS] = "list", [c.OP_PMATCH] = "list" }
  for op = 0, c.OP_COUNT - 1 do
    local text = core.cstr(c.operator_name(op))
    v.ops[text] = { op = op, class = class[op] or "text" }
    v.op_names[#v.op_names + 1] = text
  end
  v.ops["=="] = v.ops["="]
  for id = 0, c.TR_COUNT - 1 do
    v.transformers[core.cstr(c.transformer_name(id))] = id
  end
  return v
end

local cached

function M.get()
  cached = cached or vocabulary()
  return cached
end

return M
