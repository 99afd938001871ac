-- SPDX-License-Identifier: Apache-2.0
-- Alerts to a unix socket on which somebody listens: lines over a stream, or a datagram for each without its newline. When that end
-- goes away, alerts wait until it is back.
--
-- Of a stream the kernel tells whether the reader has read all (c/output/sink.c), so alerts count as arrived when it has: what a
-- reader that died had not read is sent again, whole.
local bit = require("bit")
local core = require("core")
local stream = require("outputs.stream")

local M = {}

local Channel = {}
Channel.__index = Channel

local SECOND, MS, WINDOW = 1e9, 1e6, 1024

function M.open(_, env)
  local section = env.section
  if section.socket == "" then return nil, "the socket is not set" end
  if #section.socket > 107 then return nil, section.socket .. ": longer than a unix socket's name can be (107 bytes)" end
  return setmetatable({
    path = section.socket, stream = section.type == "stream", lane = env.lane, backoff = 1, under_way = 0, spools = true,
    rights = core.C.RIGHT_DAC_OVERRIDE,
  }, Channel)
end

local function connect(self)
  if self.fd then return true end
  local fd = core.C.socket_unix(self.path, self.stream)
  if fd < 0 then return false, fd end
  self.fd = fd
  if self.stream then self.sink = stream.sink(fd, bit.bor(core.C.SINK_OWNS, core.C.SINK_UNREAD, core.C.SINK_COLLECT)) end
  self.backoff = 1
  self.lane:up()
  return true
end

local function disconnect(self)
  if self.sink then stream.free(self.sink) elseif self.fd then core.C.file_close(self.fd) end
  self.fd, self.sink, self.full = nil, nil, false
end

local function down(self, code)
  disconnect(self)
  if self.under_way > 0 then
    self.under_way = 0
    self.lane:rewind()
  end
  self.lane:down(self.path .. ": " .. core.cstr(core.C.sys_error_text(code)))
  self.again = tonumber(core.C.sys_now_ns()) + self.backoff * SECOND
  self.backoff = math.min(self.backoff * 2, 4)
  return "later"
end

local function arrived(self)
  local n = core.C.sink_arrived(self.sink)
  if n == 0 then return end
  self.under_way = self.under_way - n
  self.lane:ack(n)
end

local function write_stream(self, alert)
  if self.under_way >= WINDOW then return "later" end
  local code = core.C.sink_put(self.sink, alert.line, alert.len + 1)
  if code == 0 then
    self.under_way = self.under_way + 1
    return "taken"
  end
  if -code == core.C.SOCKET_EAGAIN then return "later" end
  return down(self, code)
end

local function write_datagram(self, alert)
  local code = core.C.socket_send(self.fd, alert.line, alert.len)
  if code == 0 then return true end
  if -code == core.C.SOCKET_EAGAIN then
    self.full = true
    return "later"
  elseif -code == core.C.SOCKET_EMSGSIZE then
    self.lane:refused(("one of %d bytes fits no datagram"):format(alert.len))
    return true
  end
  return down(self, code)
end

function Channel:write(alert)
  if self.again then return "later" end
  local ok, code = connect(self)
  if not ok then return down(self, code) end
  return (self.stream and write_stream or write_datagram)(self, alert)
end

function Channel:wants(add)
  if self.again then return self.again end
  if not self.fd then return nil end
  if self.full or self.sink and core.C.sink_pending(self.sink) > 0 then
    add(self.fd, core.C.QUEUE_OUT)
  elseif self.under_way > 0 then
    add(self.fd, 0)                       -- hanging up is always told
    return tonumber(core.C.sys_now_ns()) + MS
  end
end

function Channel:tick(now)
  if self.again then
    if now < self.again then return end
    self.again = nil
    local ok, code = connect(self)
    if not ok then down(self, code) end
    return
  end
  self.full = false
  if not self.sink then return end
  self:flush()
  if self.sink then arrived(self) end
  if self.sink and core.C.socket_gone(self.fd) then down(self, -core.C.SYS_EPIPE) end
end

function Channel:flush()
  if not self.sink then return true end
  local code = core.C.sink_flush(self.sink)
  if code ~= 0 and -code ~= core.C.SOCKET_EAGAIN then down(self, code) end
  return true
end

Channel.close = disconnect

return M
