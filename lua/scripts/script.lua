-- SPDX-License-Identifier: Apache-2.0
-- A user script: its sandbox, what it may do, how often it failed. What it asks for is taken from here by whoever runs it.
--
--   local script, message = script.new(row, env)
--     row: { name =, path =, text =, grant = set, args =, files = map, limits = map }        lua/scripts/config.lua
--     env: { live =, now = seconds, say = function(level, text), alarm = function(what), kv = map, is_rule = bool }
--   local answer = script:call("alert", arg)       nil: it failed, or has nothing to ask for, or is switched off
--   local answer = script:event(evt)
--   script.has.match, .write, .tick ...            which handlers there are
--   script:stray_text()                            a warning, or nil
--   script.off                                     switched off: it failed limits.errors times in a row
--   script:free()
-- A failure is said with its place and counted, and never reaches the caller; alarm() is called once, when the script is
-- switched off.
local core = require "core"
local diag = require "diag"
local sandbox = require "scripts.sandbox"
local text = require "text"

local M = {}

local Script = {}
Script.__index = Script

local HANDLERS = { "match", "write", "tick", "open", "close" }

M.PROCESSES = 16384          -- tables of evt:process()

local SHOWN = 4              -- failures in a row that are said with their traceback; then only every 1000th is said

local function one_line(message)
  return (message:gsub("\n.*", ""))
end

-- Counters of C since the last look, added to the place that reports read.
local function count(self)
  local C, stats, was = core.C, self.box:stats(), self.counted
  local over = stats.over_instructions + stats.over_time + stats.over_memory + stats.over_output
  C.script_count(self.place, C.SCRIPT_CALLS, stats.calls - was.calls)
  C.script_count(self.place, C.SCRIPT_ERRORS, stats.errors - was.errors)
  C.script_count(self.place, C.SCRIPT_NS, stats.ns - was.ns)
  C.script_count(self.place, C.SCRIPT_OVER_LIMIT, over - was.over)
  was.calls, was.errors, was.ns, was.over = stats.calls, stats.errors, stats.ns, over
end

function Script:failed(message)
  self.failures, self.in_a_row = self.failures + 1, self.in_a_row + 1
  self.last_error = message
  if self.in_a_row <= SHOWN then
    self.env.say("error", ("script '%s': %s"):format(self.name, message))
  elseif self.in_a_row % 1000 == 0 then
    self.env.say("error", ("script '%s' has failed %d times in a row: %s"):format(self.name, self.in_a_row, one_line(message)))
  end
  if self.in_a_row < self.limits.errors or self.off then return end
  self.off = true
  core.C.script_count(self.place, core.C.SCRIPT_OFF, 1)
  self.env.alarm({
    rule = "script switched off", priority = 4,
    message = ("The script '%s' failed %d times in a row and is switched off until it is loaded anew: %s"):format(self.name,
      self.in_a_row, one_line(message)),
    fields = { script = self.name, path = self.path, errors = tostring(self.failures), error = message },
  })
end

local function result(self, answer, message)
  count(self)
  if message then
    self:failed(message)
    return nil
  end
  self.in_a_row = 0
  return answer
end

function Script:call(what, arg)
  if self.off then return nil end
  return result(self, self.box:call(what, arg))
end

function Script:event(evt)
  if self.off then return nil end
  return result(self, self.box:event(evt))
end

-- One line about a function in the script's table that is never called, since its name is none of those that are; or nil.
function Script:stray_text()
  local stray = self.loaded.stray
  if not stray then return nil end
  local near = diag.suggest(stray, HANDLERS)
  return ("script '%s': '%s' is none of the functions that are called: %s%s"):format(self.name, text.printable(stray:sub(1, 60)),
    table.concat(HANDLERS, ", "), near and (" (did you mean '%s'?)"):format(near) or "")
end

function Script:free()
  if not self.box then return end
  count(self)
  self.box:free()
  self.box, self.off = nil, true
end

-- A place counted under "place", for C.SCRIPT_*.
function Script:count(what, n)
  core.C.script_count(self.place, core.C[what], n or 1)
end

local function start(self, row, env)
  local limits = self.limits
  local answer, message = self.box:call("setup", {
    grant = row.grant, name = row.name, args = row.args, files = row.files, timers = limits.timers, kv_bytes = limits.kv_bytes,
    kv = env.kv, live = env.live, now = env.now, is_rule = env.is_rule, processes = env.processes or M.PROCESSES,
  })
  if not answer then return message end
  answer, message = self.box:load(row.path, row.text)
  if not answer then return message end
  self.has, self.loaded = answer.has, answer
  if env.is_rule and not self.has.on_event then return "there is no function on_event(evt)" end
  return nil
end

function M.new(row, env)
  local limits = row.limits
  local box, message = sandbox.new({
    instructions = limits.instructions, ms = limits.ms, memory = limits.memory_bytes, output = limits.output_bytes,
  })
  if not box then return nil, message end
  local self = setmetatable({
    name = row.name, path = row.path, limits = limits, grant = row.grant, env = env, box = box, failures = 0, in_a_row = 0,
    place = core.C.script_place(row.name), counted = { calls = 0, errors = 0, ns = 0, over = 0 },
  }, Script)
  message = start(self, row, env)
  count(self)
  if message then
    self:free()
    return nil, message
  end
  return self
end

return M
