-- SPDX-License-Identifier: Apache-2.0
-- The channel that all senders of c/output share: alerts are handed to a thread, which keeps them until the far end has taken
-- them. channel:write() says "taken" or "later", and acknowledgements go to the lane.
--   peer.new(sender, env, conf) -> channel; sender: of *_sender_new(); conf: all of falco.yaml
--   peer.limits(), peer.tls(section)    struct sender_limits and struct tls_options as tables
local console = require("console")
local core = require("core")

local M = {}

local Channel = {}
Channel.__index = Channel

local LOOK_NS = 50e6                 -- between looks at what was acknowledged, when nothing wakes us before

-- What may be on its way to one peer. Behind it alerts wait in the lane, and on disk.
function M.limits()
  return { max_messages = 8192, max_bytes = 16 * 1048576 }
end

-- Empty texts are none.
function M.tls(section)
  local with_certificate = section.mtls ~= false
  return {
    ca_cert = section.ca_cert, ca_bundle = section.ca_bundle, ca_path = section.ca_path,
    client_cert = with_certificate and section.client_cert or nil,
    client_key = with_certificate and section.client_key or nil, insecure = section.insecure,
  }
end

function M.new(sender, env, conf)
  local C = core.C
  return setmetatable({
    sender = sender, lane = env.lane or {}, put = 0, acked = 0, spools = true, drain_ms = conf.outputs_queue.drain_timeout or 0,
    text = core.ffi.new("char[?]", C.SENDER_NOTICE_MAX), len = core.ffi.new("uint32_t[1]"),
  }, Channel)
end

function Channel:write(alert)
  local C = core.C
  local code = C.sender_put(self.sender, alert.line, alert.len)
  if code == 0 then
    self.put = self.put + 1
    return "taken"
  end
  if code ~= -C.SENDER_EMSGSIZE then return "later" end
  if self.lane.refused then self.lane:refused(("one of %d bytes is more than %s takes"):format(alert.len, self:peer())) end
  return true
end

function Channel:peer()
  return core.cstr(core.C.sender_name(self.sender))
end

local TOLD = {}

function TOLD.SENDER_DOWN(self, text)
  if self.lane.down then self.lane:down(text) else console.warning(text) end
end

function TOLD.SENDER_UP(self, text)
  if self.lane.up then self.lane:up() else console.info(text) end
end

function TOLD.SENDER_ERROR(_, text) console.warning(text) end

function TOLD.SENDER_ECHO(_, text)
  console.print(text:find("\n$") and text or text .. "\n")
end

local function hear(self)
  local C = core.C
  while true do
    local kind = C.sender_notice(self.sender, self.text, C.SENDER_NOTICE_MAX, self.len)
    if kind == C.SENDER_NONE then return end
    local text = core.ffi.string(self.text, self.len[0])
    for name, tell in pairs(TOLD) do
      if kind == C[name] then tell(self, text) end
    end
  end
end

local function acknowledge(self, settled)
  if settled > self.acked and self.lane.ack then self.lane:ack(settled - self.acked) end
  self.acked = settled
end

function Channel:wants(add)
  add(core.C.sender_fd(self.sender), core.C.QUEUE_IN)
  return self.put > self.acked and tonumber(core.C.sys_now_ns()) + LOOK_NS or nil
end

function Channel:tick()
  acknowledge(self, tonumber(core.C.sender_settled(self.sender)))
  hear(self)
end

function Channel:flush()
  return true
end

-- A lane that is told what has arrived has waited for it already, as long as there was time.
local function drain(self)
  local deadline = tonumber(core.C.sys_now_ns()) + self.drain_ms * 1e6
  while self.put > self.acked and tonumber(core.C.sys_now_ns()) < deadline do
    core.C.sys_sleep(2)
    self:tick()
  end
end

function Channel:close()
  if not self.sender then return true end
  self:tick()
  if not self.lane.ack then drain(self) end
  local stats, name = core.ffi.new("struct sender_stats"), self:peer()
  core.C.sender_close(self.sender, 0, stats)
  self.sender = nil
  acknowledge(self, tonumber(stats.settled))
  if not self.lane.ack and self.put > self.acked then
    return nil, ("%s: %d alerts were not taken"):format(name, self.put - self.acked)
  end
  return true
end

return M
