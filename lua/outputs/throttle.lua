-- SPDX-License-Identifier: Apache-2.0
-- Holds alerts back that come too often: `throttle` of falco.yaml and of rules, as a stage of the outputs (init.lua). Of alerts that
-- agree in the fields of `by`, `count` pass within a window of time, which begins with the first of them; the others are held back, and
-- at the window's end one alert tells how many they were. Time is that of the events, so that a replay says the same each time.
-- What falco itself has to say is not held back.
local core = require("core")
local match = require("outputs.match")
local schema = require("schema")

local M = {}

M.MAX_WINDOWS = 10000          -- open at once, of one entry; alerts for which there is no room pass
local MAX_VALUE = 256          -- bytes of a field that tell one group from another

local Throttle = {}
Throttle.__index = Throttle

-- The windows of one entry. They all last as long, so the oldest ends first: `queue` from `first` to `last`.
local function new_windows(limit)
  return { count = limit.count, within = schema.interval(limit.within) * 1e6, by = limit.by, of = {}, open = 0, queue = {}, first = 1, last = 0 }
end

function M.open(conf, env)
  local self = setmetatable({ env = env, entries = {}, of_rule = {}, held = 0, unbounded = 0, only_holds_back = true }, Throttle)
  for i, entry in ipairs(conf.throttle or {}) do
    self.entries[i] = { holds = match.new(entry.match, env.field), windows = new_windows(entry) }
  end
  return self          -- rules may have a throttle of their own, which come later
end

local function key_of(self, windows, record)
  local key = { record.rule }
  for i, name in ipairs(windows.by) do
    local value = self.env.field(record, name)
    key[i + 1] = value and ("%d:%s"):format(#value, value:sub(1, MAX_VALUE)) or "-"
  end
  return table.concat(key, "\0")
end

local function described(self, windows, record)
  local fields = {}
  for _, name in ipairs(windows.by) do fields[name] = (self.env.field(record, name) or ""):sub(1, MAX_VALUE) end
  return fields
end

-- Seconds as people write them.
local function seconds(ns)
  return ("%g s"):format(ns / 1e9)
end

-- Says what was held back. Raised behind this stage.
local function tell(self, windows, window)
  if window.held == 0 then return end
  local groups = {}
  for _, name in ipairs(windows.by) do groups[#groups + 1] = ("%s=%s"):format(name, window.fields[name]) end
  local fields = { ["throttle.rule"] = window.rule, ["throttle.held"] = window.held, ["throttle.passed"] = windows.count }
  for name, value in pairs(window.fields) do fields[name] = value end
  self.env.emit{ rule = "Falco internal: alerts held back", priority = window.priority, fields = fields, tags = window.tags,
    ts = window.last_ts,
    message = ("Falco internal: alerts held back. %d more alerts of '%s'%s within %s"):format(window.held, window.rule,
      #groups > 0 and " (" .. table.concat(groups, " ") .. ")" or "", seconds(windows.within)) }
end

local function end_windows(self, windows, now)
  while windows.first <= windows.last do
    local window = windows.queue[windows.first]
    if now - window.since < windows.within then return end
    windows.queue[windows.first], windows.first = nil, windows.first + 1
    windows.of[window.key], windows.open = nil, windows.open - 1
    tell(self, windows, window)
  end
end

local function open_window(self, windows, key, record, now)
  if windows.open >= M.MAX_WINDOWS then
    self.unbounded = self.unbounded + 1
    return nil
  end
  local window = { key = key, since = now, n = 0, held = 0, rule = record.rule, priority = record.priority, tags = record.tags,
    fields = described(self, windows, record) }
  windows.of[key], windows.open = window, windows.open + 1
  windows.last = windows.last + 1
  windows.queue[windows.last] = window
  return window
end

-- true: the alert passes.
local function admits(self, windows, record)
  local now = tonumber(record.ts)
  end_windows(self, windows, now)
  local key = key_of(self, windows, record)
  local window = windows.of[key] or open_window(self, windows, key, record, now)
  if not window then return true end
  window.n = window.n + 1
  if window.n <= windows.count then return true end
  window.held, window.last_ts = window.held + 1, record.ts
  self.held = self.held + 1
  return false
end

-- A rule's own windows; they begin anew when its throttle is another one.
local function windows_of_rule(self, plan)
  local limit, known = plan.throttle, self.of_rule[plan.rule]
  if not known or known.limit ~= limit then
    local face = ("%d %s %s"):format(limit.count, limit.within, table.concat(limit.by, " "))
    if not known or known.face ~= face then
      if known then end_windows(self, known.windows, math.huge) end
      known = { windows = new_windows(limit), face = face }
      self.of_rule[plan.rule] = known
    end
    known.limit = limit
  end
  return known.windows
end

function Throttle:pass(record)
  if record.what and not record.what.scripted then return true end
  local plan = record.plan
  if not record.what and plan.throttle and not admits(self, windows_of_rule(self, plan), record) then return false end
  for i = 1, #self.entries do
    local entry = self.entries[i]
    if entry.holds(record) then return admits(self, entry.windows, record) end
  end
  return true
end

local function each(self, now)
  for _, entry in ipairs(self.entries) do end_windows(self, entry.windows, now) end
  for _, known in pairs(self.of_rule) do end_windows(self, known.windows, now) end
end

-- Of a live source the clock goes on without alerts; a replay's does not.
function Throttle:wants()
  return self.env.live and self.held > 0 and tonumber(core.C.sys_now_ns()) + 1e9 or nil
end

function Throttle:tick()
  if self.env.live then each(self, tonumber(core.C.sys_wall_ns())) end
end

function Throttle:close()
  each(self, math.huge)
end

return M
