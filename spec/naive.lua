-- SPDX-License-Identifier: Apache-2.0
-- What generated code must answer, by walking the tree as it was written.
--
--   naive.holds(tree, evt) -> bool                      tree of check.lua or of lower.lua
--   naive.matches(rules, evt, first) -> { index, ... }  of enabled rules, in order
local core = require "core"
local lower = require "rules.lower"

local M = {}

local KIND = {}

function M.holds(tree, evt)
  return KIND[tree.kind](tree, evt)
end

KIND["leaf"] = function(tree, evt)
  return (core.C.leaf(evt, tree.id) ~= 0) ~= (tree.neg or false)
end

KIND["not"] = function(tree, evt)
  return not M.holds(tree[1], evt)
end

KIND["and"] = function(tree, evt)
  for _, child in ipairs(tree) do
    if not M.holds(child, evt) then
      return false
    end
  end
  return true
end

KIND["or"] = function(tree, evt)
  for _, child in ipairs(tree) do
    if M.holds(child, evt) then
      return true
    end
  end
  return false
end

local function event_fits(events, head)
  if not lower.can_match(events, head.code) then
    return false
  elseif not core.C.event_is_generic(head.code) then
    return true
  end
  local syscalls = lower.syscalls(events)
  return syscalls == lower.ALL or syscalls[head.sc] or false
end

function M.matches(rules, evt, first)
  local head, out = core.C.evt_head(evt), {}
  for i, rule in ipairs(rules) do
    if rule.enabled and event_fits(rule.events, head) and M.holds(rule.tree, evt) then
      out[#out + 1] = i
      if first then
        break
      end
    end
  end
  return out
end

return M
