-- SPDX-License-Identifier: Apache-2.0
-- Where in a rules file the loader is, for messages and for the validation JSON: a chain from the file down to a key.
--
--   local ctx = context.new(parent, "rule", "My rule", node)       type names are those of upstream's validation JSON
--   context.fail(ctx, "LOAD_ERR_VALIDATE", node, "message", { near =, hint = })      an error of the rules; marks the whole
--                                                                  chain as failed
--   context.warn(...)                                               likewise; the item is kept
--   context.unknown_keys(ctx, map, known)
--
-- A root has no parent: { type = "rules content", name = "", file = path, state = loader state }.
-- The diagnostics get .locations: from the file down to the context, { { item_type, item_name, file, title, node }, ... };
-- title, if there, is what the JSON shows for the name of the file.
local diag = require "diag"
local keys = require "rules.keys"

local M = {}

local TITLE = 20	-- bytes of a condition that stand for its name

-- index: which item of its document it is, from 0 (items only)
function M.new(parent, type_name, name, node, index)
  return { type = type_name, name = name or "", node = node, parent = parent, state = parent.state, index = index }
end

-- A place inside a condition.
function M.expression(parent, condition, place)
  local ctx = M.new(parent, "condition expression", "", place)
  local title = #condition > TITLE and condition:sub(1, TITLE - 3) .. "..." or condition
  ctx.title = '"' .. title:gsub("[\r\n]", " ") .. '"'
  return ctx
end

local function locations(ctx)
  local out = {}
  while ctx do
    table.insert(out, 1, { item_type = ctx.type, item_name = ctx.name or "", file = ctx.file or ctx.node and ctx.node.file,
                           title = ctx.title, node = ctx.node, index = ctx.index })
    ctx = ctx.parent
  end
  return out
end

local function report(level, ctx, code, place, message, more)
  more = more or {}
  more.locations = locations(ctx)
  return ctx.state.diag[level](ctx.state.diag, code, place or ctx.node, message, more)
end

function M.fail(ctx, code, place, message, more)
  local failed = ctx
  while failed do
    failed.failed = true
    failed = failed.parent
  end
  return report("error", ctx, code, place, message, more)
end

function M.warn(ctx, code, place, message, more)
  return report("warning", ctx, code, place, message, more)
end

-- Warns of keys of a map that mean nothing there. known: a map or item of keys.lua
function M.unknown_keys(ctx, map, known)
  local seen = {}
  for _, entry in ipairs(map) do
    local key = entry.key
    local name = key.kind == "scalar" and key.text or nil
    if not name then
      M.warn(ctx, "LOAD_UNKNOWN_KEY", key, "keys must be single values; this one is ignored")
    elseif not known.by_name[name] then
      M.warn(ctx, "LOAD_UNKNOWN_KEY", key, ("unknown key '%s' is ignored"):format(name),
        { near = diag.suggest(name, keys.names(known)) })
    elseif seen[name] then
      M.warn(ctx, "LOAD_UNKNOWN_KEY", key, ("'%s' is given twice; the first one counts"):format(name))
    end
    seen[name or key] = true
  end
end

return M
