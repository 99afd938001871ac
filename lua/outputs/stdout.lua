-- SPDX-License-Identifier: Apache-2.0
-- Alerts to standard output, one line each. On a terminal the priority of a text line is coloured, and what the terminal would
-- obey is taken out: control characters of 8 bits pass through JSON's escapes.
local core = require("core")
local console = require("console")
local text = require("text")

local M = {}

local Channel = {}
Channel.__index = Channel

local OUT = 1

-- by priority, 0 = Emergency
local PAINTS = { [0] = "alarm", "alarm", "alarm", "error", "yellow", "green", "cyan", "dim" }

function M.open(conf, env)
  local writer = console.writer()
  core.C.writer_set_buffered(writer, conf.buffered_outputs and not env.unbuffered)
  return setmetatable({ writer = writer, terminal = core.C.sys_isatty(OUT), colour = not conf.json_output and console.has_colour(OUT) },
    Channel)
end

local function result_of(code)
  if code == 0 then return true end
  if -code == core.C.SYS_EPIPE then return nil, "closed" end
  return nil, core.ffi.string(core.C.sys_error_text(code))
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
    return result_of(core.C.writer_put(self.writer, line, #line))
  end
  return result_of(core.C.writer_put(self.writer, alert.line, alert.len + 1))
end

function Channel:flush()
  return result_of(core.C.writer_flush(self.writer))
end

function Channel:close()
end

return M
