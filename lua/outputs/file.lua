-- SPDX-License-Identifier: Apache-2.0
-- Alerts to the end of a file, one line each. Without keep_alive the file is opened for every alert: whoever rotates
-- logs may move it away at any time.
local core = require("core")

local M = {}

local Channel = {}
Channel.__index = Channel

-- Messages of io begin with the file's name already.
local function open_file(self)
  local f, message = io.open(self.path, "a")
  if not f then return nil, message end
  f:setvbuf(self.buffered and "full" or "line")
  return f
end

function M.open(conf, env)
  local path = conf.file_output.filename
  if path == "" then return nil, "the filename is not set" end
  local self = setmetatable({ path = path, buffered = conf.buffered_outputs and not env.unbuffered,
    rights = core.C.RIGHT_DAC_OVERRIDE }, Channel)
  local f, message = open_file(self)
  if not f then return nil, message end
  if conf.file_output.keep_alive then self.file = f else f:close() end
  return self
end

local function failed(self, message)
  return nil, self.path .. ": " .. message
end

function Channel:write(alert)
  local f, message = self.file, nil
  if not f then
    f, message = open_file(self)
    if not f then return nil, message end
  end
  local ok
  ok, message = f:write(core.ffi.string(alert.line, alert.len + 1))
  if self.file then
    if not ok then return failed(self, message) end
    return true
  end
  local closed, why = f:close()
  if not ok or not closed then return failed(self, message or why) end
  return true
end

function Channel:flush()
  if not self.file then return true end
  local ok, message = self.file:flush()
  if not ok then return failed(self, message) end
  return true
end

function Channel:close()
  if self.file then self.file:close() end
  self.file = nil
end

return M
