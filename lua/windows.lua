-- SPDX-License-Identifier: Apache-2.0
-- Captures around alerts: `capture` of falco.yaml, capture and capture_duration of rules.
--   local windows = windows.new(config.capture, eng, tell)    nil: not enabled. tell as in drops.lua
--   windows:alert(rule, head)       a rule has matched the event at hand: opens a file, or keeps it open longer
--   windows:look()                  now and then: says what became of the file
--   windows:close()
local console = require "console"
local core = require "core"
local internal = require "internal"

local M = {}

local MB, MS = 1048576, 1000000ULL

local Windows = {}
Windows.__index = Windows

function M.new(config, eng, tell)
  if not config.enabled then return nil end
  return setmetatable({
    config = config, eng = eng, tell = tell, all = config.mode == "all_rules", bytes = core.ffi.new("uint64_t[1]"),
  }, Windows)
end

-- PREFIX_TIME_NUMBER.scap, digits enough for names to sort as time does.
local function name_of(prefix, head)
  local function digits(n)
    local text = tostring(n):gsub("U?LL$", "")
    return ("0"):rep(20 - #text) .. text
  end
  return ("%s_%s_%s.scap"):format(prefix, digits(head.ts), digits(head.num))
end

function Windows:open(head)
  local err, path = core.err(), name_of(self.config.path_prefix, head)
  if core.C.engine_window_open(self.eng, path, self.config.max_file_size_mb * MB, err) < 0 then
    console.error("capture: " .. core.message(err))
    return
  end
  self.path = path
  console.info("capturing events to " .. path)
end

function Windows:alert(rule, head)
  if not self.path then
    if not (self.all or rule.capture) then return end
    self:open(head)
  end
  local duration = rule.capture_duration > 0 and rule.capture_duration or self.config.default_duration
  core.C.engine_window_until(self.eng, head.ts + duration * MS)
end

local function size(bytes)
  return ("%.1f MB"):format(tonumber(bytes) / MB)
end

function Windows:look()
  if not self.path then return end
  local C = core.C
  local state = C.engine_window(self.eng, self.bytes)
  if state == C.WINDOW_OPEN then return end
  local path = self.path
  self.path = nil
  if state == C.WINDOW_FAILED then
    console.error(core.cstr(C.engine_window_error(self.eng)))
    return
  end
  console.info(("captured %s in %s"):format(size(self.bytes[0]), path))
  if state == C.WINDOW_FULL then
    self.tell{ rule = "capture size limit reached", priority = internal.INFORMATIONAL,
      message = ("Configured limit: %d MB."):format(self.config.max_file_size_mb),
      fields = { max_file_size_mb = self.config.max_file_size_mb, written_bytes = tonumber(self.bytes[0]) } }
  end
end

function Windows:close()
  core.C.engine_window_close(self.eng)
  self:look()
end

return M
