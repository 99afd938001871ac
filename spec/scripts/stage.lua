-- SPDX-License-Identifier: Apache-2.0
-- For specs: scripts as the output thread runs them, without the rest of it.
--
--   local s = stage.open({ { path =, grant =, args =, files =, limits = } | { text = } ... }, { live = bool, state_dir = })
--   s:pass{ rule =, priority =, tags =, fields =, output =, time = } -> record, or nil: it was dropped
--   s.emitted          what was raised: { rule, message, priority, fields, to }
--   s:settle(seconds)  until nothing is under way
--   s:close()
local core = require "core"
local script_config = require "scripts.config"
local stage = require "outputs.scripts"

local M = {}

local Stage = {}
Stage.__index = Stage

local function write(text)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
  return path
end
M.write = write

local function entry_of(given, made)
  local entry = { name = "", grant = given.grant or {}, args = given.args or {}, files = given.files or {}, enabled = true,
    limits = script_config.default_limits() }
  for name, value in pairs(given.limits or {}) do entry.limits[name] = value end
  entry.path = given.path
  if given.text then
    entry.path = write(given.text)
    made[#made + 1] = entry.path
  end
  entry.name = given.name or ""
  return entry
end

function M.open(list, opts)
  opts = opts or {}
  local self = setmetatable({ emitted = {}, made = {} }, Stage)
  local conf = { scripts = {}, scripts_dir = opts.dir or "", scripts_state_dir = opts.state_dir or "", output_timeout = 2000 }
  for i, given in ipairs(list) do conf.scripts[i] = entry_of(given, self.made) end
  self.stage = stage.open(conf, {
    live = opts.live == true, lanes = { stdout = true, file = true, http = true },
    emit = function(what) self.emitted[#self.emitted + 1] = what end,
  })
  return self
end

function Stage:pass(a)
  local record = {
    rule = a.rule or "r", source = "syscall", tags = a.tags or {}, priority = a.priority or 4,
    ts = core.ffi.cast("uint64_t", (a.time or 1000) * 1e9), what = { message = a.output or "text", fields = a.fields or {}, scripted = true },
  }
  if self.stage:pass(record) == false then return nil end
  return record
end

function Stage:settle(seconds)
  local C = core.C
  local deadline = tonumber(C.sys_now_ns()) + (seconds or 5) * 1e9
  repeat
    self.stage:tick(tonumber(C.sys_now_ns()))
    if not self.stage.powers:busy() then return true end
    C.sys_sleep(5)
  until tonumber(C.sys_now_ns()) > deadline
  return false
end

function Stage:close()
  if self.stage then self.stage:close() end
  for _, path in ipairs(self.made) do os.remove(path) end
end

return M
