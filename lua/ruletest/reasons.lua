-- SPDX-License-Identifier: Apache-2.0
-- Why a rule that was expected does not match an event: the comparisons that decided, with what they found.
--
--   reasons.lines(rule, evt, head) -> { line, ... }     rule: of rules.load(); evt: at hand, its engine using the rule's ruleset
local why = require("why")

local M = {}

local MAX_LINES = 5

function M.lines(rule, evt, head)
  local tree = why.explain(rule, evt, head)
  if not tree.wanted then return { ("    it does not look at events of type %s"):format(tree.type) } end
  local out = {}
  for _, node in ipairs(why.deciding(tree)) do
    if #out == MAX_LINES then
      out[#out + 1] = "    ..."
      break
    end
    out[#out + 1] = ("    %s: %s  (%s)"):format(node.value and "true" or "false", node.text,
      node.actual == nil and node.field .. " is missing" or ("%s is '%s'"):format(node.field, node.actual))
  end
  return out
end

return M
