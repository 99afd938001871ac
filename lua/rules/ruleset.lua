-- SPDX-License-Identifier: Apache-2.0
-- The C ruleset, by names instead of ids: operands and checks of the grammar become numbered expressions and leaves.
--
--   ruleset.operand(rs, operand) -> expression id, or nil and an error
--   ruleset.leaf(rs, check) -> leaf id, scope (SCOPE_*); or nil and an error
--   ruleset.output(rs, { expression id, ... }) -> output id
--   ruleset.has_flag("evt.dir", FIELD_*) -> bool
--   errors: { message, from, stop (of the text the operand or check was parsed from), unknown = field or event unknown }
--   ruleset.stateful(check): its leaf remembers something from event to event, so every rule wants one of its own
local bit = require "bit"
local core = require "core"
local ffi = core.ffi

local M = {}

local ENOENT = -2

local function failure(node, err, unknown)
  return { message = core.message(err), from = node.from, stop = node.stop, unknown = unknown }
end

-- FIELD_* bits of a field's name; 0: there is no such field.
local flags_of = setmetatable({}, { __index = function(cache, name)
  local i = core.C.field_find(name, #name)
  cache[name] = i >= 0 and core.C.field_info(i).flags or 0
  return cache[name]
end })

-- Does a field have this flag? Names without their arguments.
function M.has_flag(name, flag)
  return bit.band(flags_of[name], flag) ~= 0
end

local operand

local function operands(rs, list)
  local ids = ffi.new("int32_t[?]", math.max(#list, 1))
  for i, o in ipairs(list) do
    local id, err = operand(rs, o)
    if not id then
      return nil, err
    end
    ids[i - 1] = id
  end
  return ids
end

local KIND = {}

function KIND.field(rs, o, err)
  return core.C.ruleset_field(rs, o.name, #o.name, o.arg, o.arg and #o.arg or 0, err)
end

function KIND.text(rs, o, err)
  return core.C.ruleset_text(rs, o.text, #o.text, err)
end

function KIND.list(rs, o, err)
  local ids, failed = operands(rs, o.items)
  if not ids then
    return nil, failed
  end
  return core.C.ruleset_list(rs, ids, #o.items, err)
end

function KIND.transform(rs, o, err)
  local ids, failed = operands(rs, o.inputs)
  if not ids then
    return nil, failed
  end
  return core.C.ruleset_transform(rs, o.id, ids, #o.inputs, o.arg, o.arg and #o.arg or 0, err)
end

operand = function(rs, o)
  local err = core.err()
  local id, failed = KIND[o.kind](rs, o, err)
  if not id then
    return nil, failed
  elseif id < 0 then
    return nil, failure(o, err, o.kind == "field" and id == ENOENT)
  end
  return id
end

M.operand = operand

local function constants(check)
  local list = check.values or {}
  local values = ffi.new("struct str[?]", math.max(#list, 1))
  for i, value in ipairs(list) do
    values[i - 1].p, values[i - 1].len = value.text, #value.text
  end
  return values, #list
end

local function leaf_failure(rs, check, left, bad, err)
  local value = bad >= 0 and check.values and check.values[bad + 1]
  if not value then
    return failure({ from = check.op_from, stop = check.op_stop }, err)
  end
  return failure(value, err, bit.band(core.C.ruleset_expr(rs, left).flags, core.C.FIELD_EVENT_NAME) ~= 0)
end

function M.leaf(rs, check)
  local left, failed = operand(rs, check.left)
  if not left then
    return nil, failed
  end
  local right = -1
  if check.right then
    right, failed = operand(rs, check.right)
    if not right then
      return nil, failed
    end
  end
  local values, n = constants(check)
  local spec = ffi.new("struct leaf_spec", { expr = left, rhs = right, op = check.op, modifier = check.modifier, nvalues = n,
                                             values = values })
  local err, bad = core.err(), ffi.new("int32_t[1]", -1)
  local id = core.C.ruleset_leaf(rs, spec, bad, err)
  if id < 0 then
    return nil, leaf_failure(rs, check, left, bad[0], err)
  end
  return id, core.C.ruleset_leaf_expr(rs, id).scope
end

function M.output(rs, exprs)
  local ids = ffi.new("int32_t[?]", math.max(#exprs, 1))
  for i, id in ipairs(exprs) do
    ids[i - 1] = id
  end
  return core.C.ruleset_output(rs, ids, #exprs)
end

return M
