-- SPDX-License-Identifier: Apache-2.0
-- A bar for what takes long, on a terminal; and Ctrl-C, which ends it.
--
--   local p = progress.new(out, "scanning")
--   scan:find(cond, { progress = p })          called with a fraction; false: end it
--   p:done()                                   the bar goes
--   p.stopped                                  Ctrl-C came
local core = require("core")
local spark = require("repl.spark")

local M = {}

local Bar = {}
Bar.__index = Bar

local PATIENCE, PAUSE = 400e6, 100e6      -- ns before there is a bar, and between two of them
local COLUMNS = 30

function M.new(out, what)
  core.C.interrupts_seen(true)
  local now = tonumber(core.C.sys_now_ns())
  return setmetatable({ out = out, what = what or "", began = now, due = now + PATIENCE }, Bar)
end

local function draw(self, fraction, now)
  local out = self.out
  fraction = math.max(0, math.min(fraction, 1))
  local full = math.floor(fraction * COLUMNS)
  local text = ("%s %s%s %3d %%  %s"):format(self.what, ("█"):rep(full), ("░"):rep(COLUMNS - full),
    math.floor(fraction * 100),
    spark.duration(now - self.began))
  out:write("\r" .. text .. "\27[K")
  out:flush()
  self.drawn = true
end

function Bar.__call(self, fraction)
  local now = tonumber(core.C.sys_now_ns())
  if self.out.is_interactive and now >= self.due and os.getenv("TERM") ~= "dumb" then
    self.due = now + PAUSE
    draw(self, fraction, now)
  end
  self.stopped = self.stopped or core.C.interrupts_seen(false)
  return not self.stopped
end

function Bar:done()
  self.stopped = self.stopped or core.C.interrupts_seen(true)
  if self.drawn then self.out:write("\r\27[K") end
  self.drawn = false
end

return M
