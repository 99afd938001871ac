-- SPDX-License-Identifier: Apache-2.0
-- What is wrong with scripts, before any of them counts: for a dry run. Each is loaded into a sandbox of its own, and what it asks for
-- there is not done.
--
--   local problems, warnings = check.all(conf, rules)      lines of text; rules: of a ruleset that was loaded
local config = require "scripts.config"
local rule_scripts = require "scripts.rule"
local script = require "scripts.script"

local M = {}

local function of_outputs(row, problems, warnings)
  local made, message = script.new(row, { live = false, now = 0, kv = row.grant.kv and {} or nil, say = function() end, alarm = function() end })
  if not made then
    problems[#problems + 1] = ("script '%s' cannot be run: %s"):format(row.name, message)
    return
  end
  warnings[#warnings + 1] = made:stray_text()
  made:free()
end

function M.all(conf, rules)
  local rows, problems, warnings = config.rows(conf)
  for _, row in ipairs(rows) do of_outputs(row, problems, warnings) end
  for _, rule in ipairs(rules) do
    local message = rule.script and rule_scripts.check(rule, conf.rule_scripts.limits)
    if message then problems[#problems + 1] = ("rule '%s': its script cannot be run: %s"):format(rule.name, message) end
  end
  return problems, warnings
end

return M
