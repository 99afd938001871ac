-- SPDX-License-Identifier: Apache-2.0
-- Alerts to the end of a file, one line each. Without keep_alive the file is opened for every alert: whoever rotates logs may move
-- it away at any time. With it, SIGUSR1 opens it anew.
--
-- A full disk ends a replay with a failure. A live source goes on: alerts wait and are tried again every second; a line of which a
-- part was written is finished first.
local bit = require("bit")
local core = require("core")
local stream = require("outputs.stream")

local M = {}

local Channel = {}
Channel.__index = Channel

local SECOND = 1e9

-- 0 or -errno; the sink is there after 0.
local function open_file(self)
  if self.sink then return 0 end
  local fd = core.C.file_append(self.path)
  if fd < 0 then return fd end
  self.sink = stream.sink(fd, bit.bor(core.C.SINK_OWNS, self.buffered and self.keep_alive and core.C.SINK_COLLECT or 0))
  return 0
end

local function close_file(self)
  if self.sink then stream.free(self.sink) end
  self.sink = nil
end

function M.open(conf, env)
  local section = env.section
  if section.filename == "" then return nil, "the filename is not set" end
  local self = setmetatable({
    path = section.filename, keep_alive = section.keep_alive, lane = env.lane, live = env.live,
    buffered = conf.buffered_outputs and not env.unbuffered, rights = core.C.RIGHT_DAC_OVERRIDE,
  }, Channel)
  local code = open_file(self)
  if code < 0 then return nil, self.path .. ": " .. core.cstr(core.C.sys_error_text(code)) end
  if not self.keep_alive then close_file(self) end
  return self
end

-- What a failure comes to: a live source may see better times.
local function failed(self, code)
  local message = self.path .. ": " .. core.cstr(core.C.sys_error_text(code))
  if not self.live then return nil, message end
  self.lane:down(message)
  self.again = tonumber(core.C.sys_now_ns()) + SECOND
  return "later"
end

local function put(self, alert)
  local code = open_file(self)
  if code == 0 then code = core.C.sink_put(self.sink, alert.line, alert.len + 1) end
  if code == 0 and not self.keep_alive then
    code = core.C.sink_flush(self.sink)
    if core.C.sink_pending(self.sink) == 0 then
      close_file(self)
    elseif self.live then
      return true                       -- begun: the rest follows before anything else
    end
  end
  if code == 0 then return true end
  if -code == core.C.SOCKET_EAGAIN then return "later" end
  return failed(self, code)
end

function Channel:write(alert)
  if self.again then return "later" end
  return put(self, alert)
end

function Channel:pending()
  return self.sink and tonumber(core.C.sink_pending(self.sink)) or 0
end

function Channel:wants(add)
  if self.again then return self.again end
  if self.sink then stream.wants(self.sink, add) end
end

-- Tries once more after a failure.
local function retry(self)
  self.again = nil
  local code = open_file(self)
  if code == 0 then code = core.C.sink_flush(self.sink) end
  if code < 0 then return failed(self, code) end
  if not self.keep_alive then close_file(self) end
  self.lane:up()
  return true
end

function Channel:tick(now)
  if self.again then
    if now >= self.again then retry(self) end
    return
  end
  local ok, message = self:flush()
  if not ok then return false, message end
end

function Channel:flush()
  if not self.sink or self.again then return true end
  local code = core.C.sink_flush(self.sink)
  if code == 0 or -code == core.C.SOCKET_EAGAIN then return true end
  local ok, message = failed(self, code)
  if not ok then return nil, message end
  return true
end

function Channel:reopen()
  local ok, message = self:flush()
  if not ok then return nil, message end
  if self:pending() > 0 then return true end          -- a line that was begun must be finished where it is
  close_file(self)
  if not self.keep_alive then return true end
  local code = open_file(self)
  if code < 0 then ok, message = failed(self, code) end
  if not ok then return nil, message end
  return true
end

function Channel:close()
  close_file(self)
end

return M
