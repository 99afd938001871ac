-- SPDX-License-Identifier: Apache-2.0
-- The C ruleset, by names instead of ids: operands and checks of the grammar become numbered expressions and leaves.
--
--   ruleset.operand(rs, operand) -> expression id, or nil and an error
--   ruleset.leaf(rs, check) -> leaf id, scope (SCOPE_*); or nil and an error
--   ruleset.settle(rs): all its rules are loaded
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

-- One for all calls: a message is copied out at once, and most calls have none.
local err

local function error_box()
  err = err or core.err()
  return err
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

-- What a ruleset has already, so that it need not be asked again: expressions of fields by their names (with an argument:
-- name, "[", argument), and leaves by what they compare. Stateful ones are not here: each use wants its own.
local known_of = setmetatable({}, { __mode = "k", __index = function(all, rs)
  local known = { fields = {}, leaves = {} }
  all[rs] = known
  return known
end })

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

function KIND.field(rs, o, box)
  local arg, fields = o.arg, known_of[rs].fields
  local key = arg and o.name .. "[" .. arg or o.name
  local id = fields[key]
  if not id then
    id = core.C.ruleset_field(rs, o.name, #o.name, arg, arg and #arg or 0, box)
    if id >= 0 and core.C.ruleset_expr(rs, id).scope ~= core.C.SCOPE_STATEFUL then
      fields[key] = id
    end
  end
  return id
end

function KIND.text(rs, o, box)
  return core.C.ruleset_text(rs, o.text, #o.text, box)
end

function KIND.list(rs, o, box)
  local ids, failed = operands(rs, o.items)
  if not ids then
    return nil, failed
  end
  return core.C.ruleset_list(rs, ids, #o.items, box)
end

function KIND.transform(rs, o, box)
  local ids, failed = operands(rs, o.inputs)
  if not ids then
    return nil, failed
  end
  return core.C.ruleset_transform(rs, o.id, ids, #o.inputs, o.arg, o.arg and #o.arg or 0, box)
end

operand = function(rs, o)
  local box = error_box()
  local id, failed = KIND[o.kind](rs, o, box)
  if not id then
    return nil, failed
  elseif id < 0 then
    return nil, failure(o, box, o.kind == "field" and id == ENOENT)
  end
  return id
end

M.operand = operand

-- ------------------------------------------------------------------ leaves

local NONE, SEPARATOR = {}, "\0"	-- the grammar lets no NUL into a value

-- The texts of the values of a check in one.
local function joined_values(check)
  local values = check.values or NONE
  if #values <= 1 then
    return values[1] and values[1].text or "", #values
  end
  local texts = {}
  for i = 1, #values do
    texts[i] = values[i].text
  end
  return table.concat(texts, SEPARATOR), #values
end

local MANY = 1000		-- values that there is always room for
local room

-- Room for the arguments of ruleset_leaf(), used again and again.
local function argument_room(n)
  if not room then
    room = { spec = ffi.new("struct leaf_spec"), bad = ffi.new("int32_t[1]"), few = ffi.new("struct str[?]", MANY) }
  end
  room.values = n <= MANY and room.few or ffi.new("struct str[?]", n)
  room.spec.values = room.values
  return room
end

local function leaf_failure(rs, check, left, bad, box)
  local value = bad >= 0 and check.values and check.values[bad + 1]
  if not value then
    return failure({ from = check.op_from, stop = check.op_stop }, box)
  end
  return failure(value, box, bit.band(core.C.ruleset_expr(rs, left).flags, core.C.FIELD_EVENT_NAME) ~= 0)
end

-- A leaf of the ruleset: its id and scope.
local function make_leaf(rs, check, left, right, joined, n)
  local args, box = argument_room(n), error_box()
  local spec = args.spec
  spec.expr, spec.rhs, spec.op, spec.modifier, spec.nvalues = left, right, check.op, check.modifier, n
  core.C.values_split(joined, #joined, args.values, n)
  local id = core.C.ruleset_leaf(rs, spec, args.bad, box)
  if id < 0 then
    return nil, leaf_failure(rs, check, left, args.bad[0], box)
  end
  return id, core.C.ruleset_leaf_expr(rs, id).scope
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
  local joined, n = joined_values(check)
  local key = ("%d %d %d %d %d %s"):format(left, right, check.op, check.modifier, n, joined)
  local leaves = known_of[rs].leaves
  local known = leaves[key]
  if known then
    return known.id, known.scope
  end
  local id, scope = make_leaf(rs, check, left, right, joined, n)
  if id and scope ~= core.C.SCOPE_STATEFUL then
    leaves[key] = { id = id, scope = scope }
  end
  return id, scope
end

-- Forgets what only rules that are still to come would ask for.
function M.settle(rs)
  known_of[rs].leaves = {}
end

function M.output(rs, exprs)
  local ids = ffi.new("int32_t[?]", math.max(#exprs, 1))
  for i, id in ipairs(exprs) do
    ids[i - 1] = id
  end
  return core.C.ruleset_output(rs, ids, #exprs)
end

return M
