-- SPDX-License-Identifier: Apache-2.0
-- Values of a map's keys in a rules file. Each function returns nil when the key is missing or wrong; wrong ones have been reported.
--
--   reading.text(ctx, map, key, opts) -> text, node        opts: required; empty: may have no value
--   reading.scalar(ctx, map, key, opts) -> node
--   reading.bool, .whole(ctx, map, key, default)            the default also for what is wrong
--   reading.sequence(ctx, map, key, required) -> scalar nodes
--   reading.tags(ctx, map) -> set; reading.priority(ctx, map) -> 0-7
--   reading.piece(node, trim) -> piece, see load.lua
--   reading.invalid, .mistake(ctx, node, message, more)     reports; reading.value_of(ctx, key, node): the place of mistakes in a value
local context = require "rules.context"
local diag = require "diag"
local yaml = require "rules.yaml"

local M = {}

M.PRIORITIES = { [0] = "Emergency", "Alert", "Critical", "Error", "Warning", "Notice", "Informational", "Debug" }

local priority_of = { info = 6 }
for number = 0, 7 do
  priority_of[M.PRIORITIES[number]:lower()] = number
end

function M.invalid(ctx, node, message, more)
  context.fail(ctx, "LOAD_ERR_YAML_VALIDATE", node, message, more)
end

function M.mistake(ctx, node, message, more)
  context.fail(ctx, "LOAD_ERR_VALIDATE", node, message, more)
end

M.KIND_NAMES = { map = "a map", seq = "a list", scalar = "a single value" }

-- The value of a key, as the place of a mistake in it.
function M.value_of(ctx, key, node)
  return context.new(ctx, "value for", key, node)
end

-- The scalar node of a key. opts: required; empty: may have no value
function M.scalar(ctx, map, key, opts)
  local node = yaml.get(map, key)
  if not node then
    if opts and opts.required then
      M.invalid(ctx, map.keys[key] and map.keys[key].key or nil, ("'%s' is missing"):format(key))
    end
    return nil
  end
  if yaml.is_null(node) or (node.kind == "scalar" and node.text == "") then
    if not (opts and opts.empty) then
      M.invalid(node.plain and ctx or M.value_of(ctx, key, node), map.keys[key].key, ("'%s' has no value"):format(key))
    end
    return nil
  elseif node.kind ~= "scalar" then
    M.invalid(M.value_of(ctx, key, node), node, ("'%s' wants a single value, not %s"):format(key, M.KIND_NAMES[node.kind]))
    return nil
  end
  return node
end

function M.text(ctx, map, key, opts)
  local node = M.scalar(ctx, map, key, opts)
  return node and node.text, node
end

function M.bool(ctx, map, key, default)
  local node = M.scalar(ctx, map, key)
  if not node then
    return default
  end
  local value = yaml.bool_text(node.text)
  if value == nil then
    M.invalid(M.value_of(ctx, key, node), node, ("'%s' wants true or false, not '%s'"):format(key, node.text),
      { near = diag.suggest(node.text, { "true", "false" }) })
    return default
  end
  return value
end

function M.whole(ctx, map, key, default)
  local node = M.scalar(ctx, map, key)
  if not node then
    return default
  end
  local value = node.text:match("^%+?%d+$") and tonumber(node.text)
  if not value or value >= 2 ^ 32 then
    M.invalid(M.value_of(ctx, key, node), node, ("'%s' wants a whole number, not '%s'"):format(key, node.text))
    return default
  end
  return value
end

-- Scalars of a list, as nodes. Missing and not required: nil.
function M.sequence(ctx, map, key, required)
  local node = yaml.get(map, key)
  if not node then
    if required then
      M.invalid(ctx, nil, ("'%s' is missing"):format(key))
    end
    return nil
  end
  local value = M.value_of(ctx, key, node)
  if node.kind ~= "seq" then
    M.invalid(value, node, ("'%s' wants a list, like [a, b], not %s"):format(key, M.KIND_NAMES[node.kind]))
    return nil
  end
  local out = {}
  for _, item in ipairs(node) do
    if yaml.is_null(item) then
      M.invalid(context.new(value, "list item", "", item), item, ("an item of '%s' has no value"):format(key),
        { hint = "to have the text, put it in quotes" })
    elseif item.kind == "scalar" then
      out[#out + 1] = item
    else
      M.invalid(context.new(value, "list item", "", item), item,
        ("the items of '%s' must be single values, not %s"):format(key, M.KIND_NAMES[item.kind]))
    end
  end
  return out
end

function M.tags(ctx, map)
  local set
  for _, node in ipairs(M.sequence(ctx, map, "tags") or {}) do
    set = set or {}
    set[node.text] = true
  end
  return set or {}
end

function M.priority(ctx, map)
  local name, node = M.text(ctx, map, "priority", { required = true })
  if not name then
    return nil
  end
  local number = priority_of[name:lower()]
  if not number then
    local names = { "Info" }
    for i = 0, 7 do
      names[i + 2] = M.PRIORITIES[i]
    end
    M.invalid(context.new(ctx, "rule priority", "", node), node, ("'%s' is no priority"):format(name),
      { near = diag.suggest(name, names), hint = "priorities: " .. table.concat(names, ", ", 2) })
  end
  return number
end

function M.piece(node, trim)
  local from, stop = 1, #node.text
  if trim then
    from = node.text:match("^%s*()")
    stop = node.text:match("^.*%S()") or from
    stop = stop - 1
  end
  return { node = node, text = node.text:sub(from, stop), at = from }
end

return M
