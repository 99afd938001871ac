-- SPDX-License-Identifier: Apache-2.0
-- The worker's end of the queue to the output thread (outputs/main.lua).
--   local out, message = queue.start(config, { unbuffered =, verbose =, live = })
--   out:use(prepared)                  the rules of a ruleset: { [index] = of formatter:prepare() }
--   out:alert(index, alert)            struct alert, copied; its rule's plan goes ahead of the first one
--   out:tell(what)                     what falco says itself: internal.what(); or a rule's script, with its own `ts`
--   out:watch()                        now and then
--   out:finish(stopped)                no more of it: waits for what is under way. stopped: somebody asked to end
-- then
--   out:failures()                     lines about outputs that failed, or what was lost
--   out:free()                         or out:cancel() for all of it
local buffer = require("string.buffer")
local console = require("console")
local core = require("core")
local outputs = require("outputs")

local M = {}

local TOLD = 4294967295      -- parcel.rule of what falco says itself

local Queue = {}
Queue.__index = Queue

-- Keys of a configuration that are plain data; places and the like stay here.
local function plain(config)
  local out = {}
  for key, value in pairs(config) do
    if type(value) ~= "function" and type(value) ~= "userdata" then out[key] = value end
  end
  return out
end

-- What the output thread is started with (outputs/main.lua).
function M.boot(config, options)
  return buffer.encode{ conf = plain(config), live = options.live, unbuffered = options.unbuffered, verbose = options.verbose }
end

local function start_thread(self, config, options)
  local C, err, boot = core.C, core.err(), M.boot(config, options)
  self.thread = C.output_start(self.queue, boot, #boot, err)
  if self.thread == nil then return core.message(err) end
  if C.queue_await_start(self.queue) == C.OUTPUT_OPEN then return nil end
  C.output_join(self.thread, -1)
  self.thread = nil
  return core.cstr(C.queue_reported(self.queue, 0)) or "the outputs cannot be opened"
end

-- Without an output there is no thread, and alerts are only counted.
function M.start(config, options)
  local C, err = core.C, core.err()
  local self = setmetatable({ generation = 0, sent = {}, drain_ms = config.outputs_queue.drain_timeout,
    silence = config.output_timeout * 1e6 }, Queue)
  if not outputs.is_configured(config) then return self end
  self.queue = C.queue_new(core.ffi.new("struct queue_limits", {
    bytes = config.outputs_queue.bytes, alerts = config.outputs_queue.capacity, waits = not options.live }), err)
  if self.queue == nil then return nil, core.message(err) end
  local message = start_thread(self, config, options)
  if message then
    self:free()
    return nil, message
  end
  return self
end

function Queue:is_open()
  return self.queue ~= nil
end

-- Whether there were outputs and the last one has gone.
function Queue:is_lost()
  return self.queue ~= nil and core.C.queue_state(self.queue) >= core.C.OUTPUT_LOST
end

-- From here on SIGUSR1 is for these outputs: not before, as they may yet be cancelled.
function Queue:use(prepared)
  if self.queue then core.C.queue_reopen_on_signal(self.queue) end
  self.prepared, self.sent, self.generation = prepared, {}, self.generation + 1
end

local function send_plan(self, index)
  local data = buffer.encode(self.prepared[index].described)
  if core.C.queue_data(self.queue, self.generation, index, data, #data) < 0 then return false end
  self.sent[index] = true
  return true
end

-- An alert for which there is no room is counted by C.
function Queue:alert(index, alert)
  if self.sent[index] or send_plan(self, index) then
    core.C.queue_alert(self.queue, self.generation, index, alert)
  else
    self.unsent = (self.unsent or 0) + 1
  end
end

function Queue:tell(what)
  if not self.queue then return end
  what.ts = what.ts or core.C.sys_wall_ns()
  local data = buffer.encode(what)
  if core.C.queue_data(self.queue, self.generation, TOLD, data, #data) < 0 then self.unsent = (self.unsent or 0) + 1 end
end

local GRACE = 1000           -- ms past the deadline for an output that is at it
local LOOK = 50              -- ms between looks at signals
local MS = 1000000ULL

local leaving = {}           -- those whose place was taken, and whose thread still brings out what it has

local function end_by(self)
  self.deadline = core.C.sys_now_ns() + self.drain_ms * MS
  core.C.queue_end(self.queue, self.deadline)
end

-- Has its thread ended, within so many ms, or is it past its time?
local function has_ended(self, ms)
  if self.thread and core.C.output_join(self.thread, ms) == 0 then self.thread = nil end
  if self.thread and self.deadline and core.C.sys_now_ns() > self.deadline + GRACE * MS then self.thread, self.stuck = nil, true end
  return not self.thread
end

local function leave(self)
  for _, line in ipairs(self:failures()) do console.error(line) end
  self:free()
end

local function see_off(ms)
  for i = #leaving, 1, -1 do
    if has_ended(leaving[i], ms) then leave(table.remove(leaving, i)) end
  end
end

function Queue:finish(stopped)
  if self.thread and stopped then end_by(self) elseif self.thread then core.C.queue_end(self.queue, 0) end
  while not has_ended(self, LOOK) do
    if not self.deadline and core.C.sys_stop_signal() ~= 0 then end_by(self) end
  end
  while #leaving > 0 do see_off(LOOK) end
end

-- Others take its place: what it has still goes out, for a while. The worker waits for that only a moment.
function Queue:cancel()
  if self.thread then end_by(self) end
  if has_ended(self, LOOK) then leave(self) else leaving[#leaving + 1] = self end
end

-- Now and then, while a live source runs: says once when the output thread is kept by something, a
-- disk perhaps; and sees off those that were cancelled.
function Queue:watch()
  if #leaving > 0 then see_off(0) end
  if not self.queue or self.silence == 0 then return end
  local silence = tonumber(core.C.queue_silence(self.queue))
  if silence <= self.silence then
    self.is_silent = false
  elseif not self.is_silent then
    self.is_silent = true
    console.error(("outputs have not come round for %d ms (output_timeout): a disk or a file system keeps one of them; alerts wait")
      :format(silence / 1e6))
  end
end

function Queue:stats()
  local stats = core.ffi.new("struct queue_stats")
  if self.queue then core.C.queue_stats(self.queue, stats) end
  return stats
end

-- Alerts that are in the queue and that nobody takes any more. When the last output has gone, it has been told.
function Queue:left()
  if self.thread or self:is_lost() then return 0 end
  local stats = self:stats()
  return tonumber(stats.put - stats.taken)
end

function Queue:failures()
  local list = {}
  if not self.queue then return list end
  while true do
    local line = core.cstr(core.C.queue_reported(self.queue, #list))
    if not line then break end
    list[#list + 1] = line
  end
  if self.stuck then list[#list + 1] = "an output does not come to an end; it is left behind" end
  local left = self:left()
  if left > 0 then list[#list + 1] = ("%d alerts were lost that no output had taken when the time to end was over (outputs_queue.drain_timeout)"):format(left) end
  return list
end

-- Counted losses, as warnings.
function Queue:warn()
  local stats = self:stats()
  local dropped = tonumber(stats.dropped) + (self.unsent or 0)
  if dropped > 0 then
    console.warning(("alerts dropped because outputs were too slow (outputs_queue): %d"):format(dropped))
  end
end

-- Also of one that was not finished, because something else failed at the start.
function Queue:free()
  if self.thread then self:finish(true) end
  if self.queue and not self.stuck then core.C.queue_free(self.queue) end
  self.queue = nil
end

return M
