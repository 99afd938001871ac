-- SPDX-License-Identifier: Apache-2.0
-- The way to one channel, and what waits on it.
local M = {}

local Lane = {}
Lane.__index = Lane

-- row: of init.lua. Returns the lane, or nil and one line of text.
function M.open(row, conf, env)
  local self = setmetatable({ name = row.name }, Lane)
  local channel, message = require(row.module).open(conf, {
    section = conf[row.key], live = env.live, unbuffered = env.unbuffered, lane = self,
  })
  if not channel then return nil, message end
  self.channel = channel
  return self
end

function Lane:write(alert)
  return self.channel:write(alert)
end

function Lane:flush()
  return self.channel:flush()
end

function Lane:reopen()
  if self.channel.reopen then return self.channel:reopen() end
  return true
end

function Lane:wants(add)
  return self.channel.wants and self.channel:wants(add)
end

function Lane:tick(now)
  if not self.channel.tick then return true end
  local ok, message = self.channel:tick(now)
  return ok ~= false, message
end

function Lane:close()
  local ok, message = self.channel:flush()
  self.channel:close()
  return ok, message
end

return M
