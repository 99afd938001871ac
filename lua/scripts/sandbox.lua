-- SPDX-License-Identifier: Apache-2.0
-- One user script in its sandbox (c/lua_sandbox.c): plain tables in, plain tables out.
--
--   local box = sandbox.new(limits)                    limits: { instructions =, ms =, memory =, output = }; nil and why not
--   local answer, message = box:load(name, text)       what the script asked for (prelude.lua), or {}; nil and the error
--   local answer, message = box:call("alert", { now =, alert = })
--   box:event(evt)                                     on_event(evt) of a rule's script
--   box:stats()                                        calls, errors, ns ...: numbers
--   box:free()
-- Only what was checked in here comes from the script: texts, numbers and booleans in tables.
local buffer = require "string.buffer"
local core = require "core"
local library = require "scripts.library"
local prelude = require "scripts.prelude"

local M = {}

local Box = {}
Box.__index = Box

M.LIMITS = { instructions = 1000000, ms = 50, memory = 16777216, output = 262144 }

local codes        -- what runs in each sandbox first, as bytecode

local function prelude_codes()
  if codes then return codes end
  local texts = { string.dump(library), string.dump(prelude) }
  codes = { texts = texts, n = #texts, strs = core.ffi.new("struct str[?]", #texts) }
  for i, text in ipairs(texts) do codes.strs[i - 1].p, codes.strs[i - 1].len = text, #text end
  return codes
end

function M.new(limits)
  local C, err, code = core.C, core.err(), prelude_codes()
  local given = core.ffi.new("struct sandbox_limits")
  for name, default in pairs(M.LIMITS) do given[name] = limits and limits[name] or default end
  local sb = C.sandbox_new(given, code.strs, code.n, err)
  if sb == nil then return nil, core.message(err) end
  return setmetatable({
    sb = core.ffi.gc(sb, C.sandbox_free), len = core.ffi.new("uint32_t[1]"), counted = core.ffi.new("struct sandbox_stats"),
  }, Box)
end

-- What C answered. A script has no say in how it is written, only in what.
local function answer_of(self, result)
  if result < 0 then return nil, core.cstr(core.C.sandbox_error(self.sb)) end
  local p = core.C.sandbox_answer(self.sb, self.len)
  if p == nil then return {} end
  return buffer.decode(core.ffi.string(p, self.len[0]))
end

function Box:load(name, text)
  return answer_of(self, core.C.sandbox_load(self.sb, name, text, #text))
end

function Box:call(what, arg)
  local text = buffer.encode(arg or {})
  return answer_of(self, core.C.sandbox_call(self.sb, what, text, #text))
end

-- Nothing is made in this state unless the script asked for something.
function Box:event(evt)
  local result = core.C.sandbox_event(self.sb, evt, "", 0)
  if result == 0 and core.C.sandbox_answer(self.sb, self.len) == nil then return nil end
  return answer_of(self, result)
end

local COUNTS = { "calls", "errors", "ns", "instructions", "over_instructions", "over_time", "over_memory", "over_output",
  "memory", "peak" }

function Box:stats()
  core.C.sandbox_stats(self.sb, self.counted)
  local counts = {}
  for _, name in ipairs(COUNTS) do counts[name] = tonumber(self.counted[name]) end
  return counts
end

function Box:free()
  core.C.sandbox_free(core.ffi.gc(self.sb, nil))
  self.sb = nil
end

return M
