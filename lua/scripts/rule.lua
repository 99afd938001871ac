-- SPDX-License-Identifier: Apache-2.0
-- Scripts of rules, in the worker: on_event(evt) for each event that the rule's condition matched, and alerts only for what
-- it emits.
--
--   local scripts = rule.open(rules, prepared, env, old)     index of a rule -> its script; nil: no rule has one
--     prepared: by index, of formatter:prepare(), or nil for run() without outs; old: the scripts of the rules before, whose end this is. One that is still the
--     same goes on with what it knows
--     env: { limits =, live = bool, tell = function(what), processes = how many may have a table (nil: 16384) }
--   local n = scripts[index]:run(evt, outs)      how many alerts that made; outs: of queue.lua, or nil
--   rule.close(scripts); rule.paths(rules); rule.check(rule, limits)
-- A rule whose script fails alerts as if it had none, for that event; when it was switched off, from then on: a mistake in a
-- script must not blind its rule.
local console = require "console"
local core = require "core"
local script = require "scripts.script"
local sorted_keys = require "sorted_keys"
local values = require "scripts.values"

local M = {}

local PLAIN, NONE = { true }, {}
local GRANT = { log = true }

local Rule = {}
Rule.__index = Rule

local LEVELS = { error = true, warning = true, notice = true, info = true, debug = true }

local function says(level, line) console[LEVELS[level] and level or "info"](line) end

-- emit{} without anything of its own is the rule's alert as it is.
local function emits_of(list)
  local emits = {}
  for i, what in ipairs(list) do emits[i] = next(what) ~= nil and what or true end
  return emits
end

-- { true or { output =, priority =, fields = }, ... }; true: the rule's own alert
local function emits(self, evt)
  local one = self.script
  if one.off then return PLAIN end
  local failures = one.failures
  local answer = one:event(evt)
  if one.failures > failures then return PLAIN end
  if not answer then return NONE end
  for _, line in ipairs(answer.log or {}) do
    says(line.level, ("script '%s': %s"):format(one.name, line.text))
  end
  if not answer.emit then return NONE end
  one:count("SCRIPT_EMITTED", #answer.emit)
  return emits_of(answer.emit)
end

-- The rule's alert with what the script changed of it.
local function changed(self, alert, emitted)
  local described = self.prepared.described
  local fields = self.values:fields(described.members, alert.values)
  for name, value in pairs(emitted.fields or {}) do fields[name] = value end
  return {
    ts = alert.ts, rule = described.rule, source = described.source, tags = described.tags, fields = fields, scripted = true,
    priority = emitted.priority or described.priority,
    message = emitted.output or self.values:message(described.parts, alert.values),
  }
end

function Rule:run(evt, outs)
  local list = emits(self, evt)
  if not outs then return #list end
  for _, emitted in ipairs(list) do
    local alert = core.C.alert_fill(evt, self.prepared.output)
    if emitted == true then outs:alert(self.index, alert) else outs:tell(changed(self, alert, emitted)) end
  end
  return #list
end

-- Nothing of it is run but for this: a rule without a script that works has one that is off.
local BROKEN = { off = true, free = function() end }

local function new_script(rule, env)
  return script.new({
    name = rule.name, path = rule.script.name, text = rule.script.text, grant = GRANT, args = {}, files = {}, limits = env.limits,
  }, { live = env.live, now = 0, is_rule = true, processes = env.processes, say = says, alarm = env.tell })
end

-- Why the script of a rule cannot be run, or nil.
function M.check(rule, limits)
  local made, message = new_script(rule, { limits = limits, tell = function() end })
  if made then made:free() end
  return message
end

local function open_one(rule, env)
  local made, message = new_script(rule, env)
  if made then return made end
  console.error(("rule '%s': its script is not run, and it alerts as if it had none: %s"):format(rule.name, message))
  env.tell({
    rule = "script not run", priority = 4, fields = { script = rule.name, path = rule.script.name, error = message },
    message = ("The script of the rule '%s' cannot be run: %s"):format(rule.name, (message:gsub("\n.*", ""))),
  })
  return BROKEN
end

local function face(limits)
  local out = {}
  for i, name in ipairs(sorted_keys(limits)) do out[i] = name .. "=" .. tostring(limits[name]) end
  return table.concat(out, " ")
end

-- Where in the file it stands does not make it another.
local function body(text)
  return (text:gsub("^\n+", ""))
end

-- The script of the rule of this name, if nothing about it has changed and it works; no longer among `old` then.
local function take_over(old, rule, env)
  for i, was in pairs(old) do
    local same = was.name == rule.name and was.text == body(rule.script.text) and was.path == rule.script.name
    if same and not was.script.off and was.limits == face(env.limits) and was.live == env.live then
      old[i] = nil
      return was.script
    end
  end
  return nil
end

function M.open(rules, prepared, env, old)
  local scripts
  old = old or {}
  for i, rule in ipairs(rules) do
    if rule.script and rule.enabled then
      scripts = scripts or {}
      scripts[i] = setmetatable({
        script = take_over(old, rule, env) or open_one(rule, env), index = i, prepared = prepared and prepared[i], values = values.new(true),
        name = rule.name, text = body(rule.script.text), path = rule.script.name, limits = face(env.limits), live = env.live,
      }, Rule)
    end
  end
  M.close(old)
  return scripts
end

-- Files that scripts of rules are in; nil: there are none. A script in a rules file is named after that.
function M.paths(rules)
  local paths
  for _, rule in ipairs(rules) do
    if rule.script and rule.script.name ~= rule.file then
      paths = paths or {}
      paths[#paths + 1] = rule.script.name
    end
  end
  return paths
end

function M.close(scripts)
  for _, one in pairs(scripts or {}) do one.script:free() end
end

return M
