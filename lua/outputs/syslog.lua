-- SPDX-License-Identifier: Apache-2.0
-- Alerts to the system log, as datagrams to /dev/log: <PRIORITY>TIME falco: line. The facility is "user", as upstream's; the
-- severities have the same eight names and numbers as priorities. What is too long for a datagram is cut, as all of syslog is.
local core = require("core")

local M = {}

local Channel = {}
Channel.__index = Channel

local SECOND, USER, CUT = 1e9, 8, 2048
local MONTHS = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" }

local function connect(self)
  if self.fd then return true end
  local fd = core.C.socket_unix(self.path, false)
  if fd < 0 then return false, fd end
  self.fd = fd
  self.lane:up()
  return true
end

local function disconnect(self)
  if self.fd then core.C.file_close(self.fd) end
  self.fd = nil
end

function M.open(_, env)
  return setmetatable({ path = env.section.socket, lane = env.lane, backoff = 1, lossy = true }, Channel)
end

-- The daemon may be restarting.
local function down(self, code)
  disconnect(self)
  self.lane:down(self.path .. ": " .. core.cstr(core.C.sys_error_text(code)))
  self.again = tonumber(core.C.sys_now_ns()) + self.backoff * SECOND
  self.backoff = math.min(self.backoff * 2, 8)
  return "later"
end

local function message_of(alert, len)
  local now = os.date("*t")
  return ("<%d>%s %2d %02d:%02d:%02d falco: %s"):format(USER + alert.priority, MONTHS[now.month], now.day, now.hour, now.min, now.sec,
    core.ffi.string(alert.line, len))
end

function Channel:write(alert)
  if self.again then return "later" end
  local ok, code = connect(self)
  if not ok then return down(self, code) end
  local message = message_of(alert, alert.len)
  code = core.C.socket_send(self.fd, message, #message)
  if -code == core.C.SOCKET_EMSGSIZE then
    message = message_of(alert, math.min(alert.len, CUT))
    code = core.C.socket_send(self.fd, message, #message)
  end
  if code == 0 then
    self.full, self.backoff = false, 1
    return true
  end
  if -code == core.C.SOCKET_EAGAIN then
    self.full = true
    return "later"
  end
  return down(self, code)
end

function Channel:wants(add)
  if self.again then return self.again end
  if self.full and self.fd then add(self.fd, core.C.QUEUE_OUT) end
end

function Channel:tick(now)
  if self.again and now >= self.again then
    self.again = nil
    local ok, code = connect(self)
    if not ok then down(self, code) end
  end
end

function Channel:flush() return true end
Channel.close = disconnect

return M
