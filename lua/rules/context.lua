-- SPDX-License-Identifier: Apache-2.0
-- Where in a rules file the loader is, for messages and for the validation JSON: a chain from the file down to a key.
--
--   local ctx = context.new(parent, "rule", "My rule", node)       type names are those of upstream's validation JSON
--   context.fail(ctx, "LOAD_ERR_VALIDATE", node, "message", { near =, hint = })      an error of the rules
--   context.warn(...)                                               likewise; the item is kept
--
-- A root has no parent: { type = "rules content", name = "", file = path, state = loader state }.
local M = {}

function M.new(parent, type_name, name, node)
  return { type = type_name, name = name or "", node = node, parent = parent, state = parent.state }
end

local function location(ctx)
  local node = ctx.node
  return { item_type = ctx.type, item_name = ctx.name or "", name = ctx.file or node.file,
           line = node and node.line or 0, column = node and node.column or 0, offset = node and node.offset or 0 }
end

-- From the file down to the context: { {item_type, item_name, name (file), line, column, offset}, ... }
function M.locations(ctx)
  local out = {}
  while ctx do
    table.insert(out, 1, location(ctx))
    ctx = ctx.parent
  end
  return out
end

local function report(level, ctx, code, place, message, more)
  more = more or {}
  more.item_type, more.item_name, more.locations = ctx.type, ctx.name, M.locations(ctx)
  return ctx.state.diag[level](ctx.state.diag, code, place or ctx.node, message, more)
end

function M.fail(ctx, code, place, message, more)
  ctx.failed = true
  return report("error", ctx, code, place, message, more)
end

function M.warn(ctx, code, place, message, more)
  return report("warning", ctx, code, place, message, more)
end

return M
