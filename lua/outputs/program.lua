-- SPDX-License-Identifier: Apache-2.0
-- Alerts to the standard input of a program, which the shell runs. With keep_alive it is started once and reads line after line; when
-- it ends it is started again, a while later if it does not live long, and gets what it has not read (the kernel tells how much of
-- a pipe was). Without, it is started for every alert, one after the other, and what it does with its input is its own affair.
-- SIGUSR1 ends the one that is kept, and another is started.
local bit = require("bit")
local console = require("console")
local core = require("core")
local stream = require("outputs.stream")

local M = {}

local Channel = {}
Channel.__index = Channel

local SECOND, MS, WINDOW, LONGEST = 1e9, 1e6, 4096, 60
local SAY = 60 * SECOND      -- between two words about programs that fail
local PATIENCE = SECOND      -- for a program whose input was closed, at the end

function M.open(_, env)
  local section = env.section
  if section.program == "" then return nil, "the program is not set" end
  return setmetatable({
    command = section.program, keep_alive = section.keep_alive, lane = env.lane, backoff = 1, under_way = 0, programs = true,
    status = core.ffi.new("int32_t[1]"), fd = core.ffi.new("int[1]"), runs = 0, failures = 0, say_again = 0,
  }, Channel)
end

local function now_ns() return tonumber(core.C.sys_now_ns()) end

-- 0 or -errno.
local function start(self)
  local pid = core.C.program_start(self.command, self.fd)
  if pid < 0 then return pid end
  self.pid, self.started = pid, now_ns()
  self.sink = stream.sink(self.fd[0], bit.bor(core.C.SINK_OWNS, core.C.SINK_UNREAD, core.C.SINK_COLLECT))
  local watch = core.C.program_watch(pid)
  self.watch = watch >= 0 and watch or nil
  return 0
end

local function wait_before_next(self, message)
  self.lane:down(message)
  self.again = now_ns() + self.backoff * SECOND
  self.backoff = math.min(self.backoff * 2, LONGEST)
  return "later"
end

local function arrived(self)
  local n = core.C.sink_arrived(self.sink)
  if n == 0 then return end
  self.under_way = self.under_way - n
  self.lane:ack(n)
end

local function hang_up(self)
  if self.sink then stream.free(self.sink) end
  self.sink = nil
end

local function forget(self)
  hang_up(self)
  if self.watch then core.C.file_close(self.watch) end
  self.pid, self.watch = nil, nil
end

local function how(status)
  return status < 0 and ("was killed by signal %d"):format(-status) or ("ended with exit status %d"):format(status)
end

-- One for all alerts has ended.
local function kept_ended(self, status)
  if self.sink then arrived(self) end
  local lived = now_ns() - self.started
  forget(self)
  if self.under_way > 0 then
    self.under_way = 0
    self.lane:rewind()
  end
  if self.replacing then
    self.replacing = nil
    return
  end
  if lived > 10 * SECOND then self.backoff = 1 end
  wait_before_next(self, ("'%s' %s"):format(self.command, how(status)))
end

-- How it went with those for one alert each, at the first failure and now and then.
local function note_single(self, status)
  self.runs = self.runs + 1
  if status == 0 then return end
  self.failures, self.last = self.failures + 1, how(status)
  if now_ns() < self.say_again then return end
  self.say_again = now_ns() + SAY
  local count = self.failures > 1 and (", as for %d of %d alerts so far"):format(self.failures, self.runs) or ""
  console.warning(("program: '%s' %s%s"):format(self.command, self.last, count))
end

-- One for one alert has ended: whatever it did, the alert is done with.
local function single_ended(self, status)
  forget(self)
  self.under_way = 0
  note_single(self, status)
  self.lane:ack(1)
end

local function write_kept(self, alert)
  if self.under_way >= WINDOW then return "later" end
  if not self.sink then
    if self.pid then return "later" end           -- the old one is still ending
    local code = start(self)
    if code < 0 then return wait_before_next(self, "the shell cannot be started: " .. core.cstr(core.C.sys_error_text(code))) end
  end
  local code = core.C.sink_put(self.sink, alert.line, alert.len + 1)
  if code == 0 then
    self.under_way = self.under_way + 1
    return "taken"
  end
  return "later"                                  -- full, or its end is about to be noticed
end

local function write_single(self, alert)
  if self.pid then return "later" end
  local code = start(self)
  if code < 0 then return wait_before_next(self, "the shell cannot be started: " .. core.cstr(core.C.sys_error_text(code))) end
  core.C.sink_put(self.sink, alert.line, alert.len + 1)
  self.under_way = 1
  return "taken"
end

function Channel:write(alert)
  if self.again then return "later" end
  return (self.keep_alive and write_kept or write_single)(self, alert)
end

function Channel:wants(add)
  if self.again then return self.again end
  if not self.pid then return nil end
  if self.watch then add(self.watch, core.C.QUEUE_IN) end
  if self.sink and core.C.sink_pending(self.sink) > 0 then add(core.C.sink_fd(self.sink), core.C.QUEUE_OUT) end
  if not self.watch or self.keep_alive and self.under_way > 0 then return now_ns() + 2 * MS end
end

-- Of one for one alert: what it gets is all there is.
local function feed_single(self)
  if not self.sink then return end
  local code = core.C.sink_flush(self.sink)
  if -code ~= core.C.SOCKET_EAGAIN then hang_up(self) end
end

function Channel:tick(now)
  if self.again then
    if now < self.again then return end
    self.again = nil
    self.lane:up()
    return
  end
  if not self.pid then return end
  if self.keep_alive then self:flush() else feed_single(self) end
  if core.C.program_ended(self.pid, self.status) == 1 then
    (self.keep_alive and kept_ended or single_ended)(self, self.status[0])
  elseif self.keep_alive and self.sink then
    arrived(self)
  end
end

function Channel:flush()
  if self.keep_alive then
    if self.sink then core.C.sink_flush(self.sink) end     -- a failure shows when it has ended
  elseif self.pid then
    feed_single(self)
  end
  return true
end

function Channel:reopen()
  if self.keep_alive and self.pid and self:pending() == 0 then
    arrived(self)
    self.replacing = true
    hang_up(self)
  end
  return true
end

function Channel:pending()
  return self.sink and tonumber(core.C.sink_pending(self.sink)) or 0
end

-- The end of its input tells it to end; who does not is left alone.
function Channel:close()
  hang_up(self)
  local until_ = now_ns() + PATIENCE
  while self.pid and now_ns() < until_ do
    if core.C.program_ended(self.pid, self.status) == 1 then
      if not self.keep_alive then note_single(self, self.status[0]) end
      return forget(self)
    end
    core.C.sys_sleep(5)
  end
  if self.pid then forget(self) end
end

-- A program may end as it likes for some alerts; one that fails for each of them is no output.
function Channel:verdict()
  if self.failures == 0 then return nil end
  if self.failures < self.runs then
    return ("'%s' failed for %d of %d alerts"):format(self.command, self.failures, self.runs), false
  end
  return ("'%s' failed for every alert, %d of them: it %s"):format(self.command, self.runs, self.last), true
end

return M
