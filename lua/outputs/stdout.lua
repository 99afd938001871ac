-- SPDX-License-Identifier: Apache-2.0
-- Alerts to a standard stream, one line each. On a terminal the priority of a text line is coloured, and what the terminal would
-- obey is taken out: control characters of 8 bits pass through JSON's escapes. Lines are written when nothing more waits, or a
-- buffer is full; -U: each at once.
local bit = require("bit")
local core = require("core")
local console = require("console")
local stream = require("outputs.stream")
local text = require("text")

local M = {}

local Channel = {}
Channel.__index = Channel

local OUT = 1

-- by priority, 0 = Emergency
local PAINTS = { [0] = "alarm", "alarm", "alarm", "error", "yellow", "green", "cyan", "dim" }

-- of: the descriptor; 1 if there is none
function M.open(conf, env, of)
  of = of or OUT
  local C = core.C
  local fd = C.sink_standard(of)
  local flags = bit.bor(fd ~= of and C.SINK_OWNS or 0, env.unbuffered and 0 or C.SINK_COLLECT)
  return setmetatable({
    sink = stream.sink(fd, flags), terminal = C.sys_isatty(of), colour = not conf.json_output and console.has_colour(of),
  }, Channel)
end

-- A terminal is slow enough for a string.
local function for_terminal(self, alert)
  local line = text.printable(core.ffi.string(alert.line, alert.len + 1))
  if not self.colour or alert.mark_len == 0 then return line end
  local from, to = alert.mark_at, alert.mark_at + alert.mark_len      -- nothing before them changes its length
  local on, off = console.paints[PAINTS[alert.priority]], console.paints.off
  return line:sub(1, from) .. on .. line:sub(from + 1, to) .. off .. line:sub(to + 1)
end

function Channel:write(alert)
  if self.terminal then
    local line = for_terminal(self, alert)
    return stream.result(core.C.sink_put(self.sink, line, #line), "")
  end
  local code = core.C.sink_put(self.sink, alert.line, alert.len + 1)
  if code == 0 then return true end
  return stream.result(code, "")
end

function Channel:pending()
  return tonumber(core.C.sink_pending(self.sink))
end

function Channel:wants(add)
  stream.wants(self.sink, add)
end

function Channel:tick()
  local ok, message = self:flush()
  if not ok then return false, message end
end

function Channel:flush()
  return stream.flushed(core.C.sink_flush(self.sink), "")
end

function Channel:close()
  stream.free(self.sink)
end

return M
