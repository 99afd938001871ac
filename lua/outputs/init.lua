-- SPDX-License-Identifier: Apache-2.0
-- Where alerts go. A channel is a module with
--   open(conf, env) -> channel, or nil and one line of text     env: what init.open() was given
--   channel:write(alert) -> true, or nil and one line of text; the line "closed" means that its reader has gone
--   channel:flush(), channel:close()
-- An alert is plain data, borrowed until write() returns:
--   line, len      the finished text (const char *, bytes); a newline follows it at line[len]
--   mark_at, mark_len   where the name of the priority stands in a text line; mark_len 0: nothing to mark
--   rule, priority (0-7), source, tags     of the rule
local M = {}

-- key of falco.yaml -> module, in the order of opening
local CHANNELS = {
  { key = "file_output", module = "outputs.file" },
  { key = "stdout_output", module = "outputs.stdout" },
}

-- Whether `conf` enables a channel; one that this build does not have counts, since alerts were asked for.
function M.is_configured(conf)
  for key, value in pairs(conf) do
    if type(value) == "table" and value.enabled == true and key:find("_output$") then return true end
  end
  return false
end

local Outputs = {}
Outputs.__index = Outputs

-- Opens every channel that `conf` enables. env: { unbuffered = bool }.
-- Returns the outputs, or nil and one line of text.
function M.open(conf, env)
  local self = setmetatable({ channels = {}, failed = {} }, Outputs)
  for _, row in ipairs(CHANNELS) do
    if conf[row.key].enabled then
      local channel, message = require(row.module).open(conf, env)
      if not channel then
        self:close()
        return nil, row.key .. ": " .. message
      end
      channel.name = row.key
      self.channels[#self.channels + 1] = channel
    end
  end
  return self
end

-- Whether any channel is left to write to.
function Outputs:is_open()
  return #self.channels > 0
end

-- Whether there were channels and the last one has gone.
function Outputs:is_lost()
  return self.lost == true
end

-- Hands the alert to every channel. A channel that fails is dropped and its failure kept for failures(); when none is
-- left the outputs are lost.
function Outputs:write(alert)
  local channels = self.channels
  for i = #channels, 1, -1 do
    local ok, message = channels[i]:write(alert)
    if not ok then self:drop(i, message) end
  end
end

function Outputs:drop(i, message)
  local channel = table.remove(self.channels, i)
  self.lost = #self.channels == 0
  if message ~= "closed" then self.failed[#self.failed + 1] = channel.name .. ": " .. message end
end

-- Lines about channels that failed; empty when readers merely went away.
function Outputs:failures()
  return self.failed
end

function Outputs:flush()
  for i = #self.channels, 1, -1 do
    local ok, message = self.channels[i]:flush()
    if not ok then self:drop(i, message) end
  end
end

function Outputs:close()
  self:flush()
  for _, channel in ipairs(self.channels) do channel:close() end
  self.channels = {}
end

return M
