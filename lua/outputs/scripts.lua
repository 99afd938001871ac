-- SPDX-License-Identifier: Apache-2.0
-- Scripts of users, as a stage of the outputs (init.lua): each sees every alert in turn, with what those before it have made
-- of it. An alert whose script fails goes on as if there were no script.
local console = require "console"
local core = require "core"
local kv = require "scripts.kv"
local powers = require "scripts.powers"
local render = require "render"
local script = require "scripts.script"
local script_config = require "scripts.config"
local text = require "text"
local values = require "scripts.values"

local M = {}

local SAVE_NS = 1e8            -- between two writings of a store
local TICK_S = 1               -- between two calls of a script's tick()

local Stage = {}
Stage.__index = Stage

-- ------------------------------------------------------------------ what scripts see of an alert

local function fields_of(self, record)
  local fields
  if record.what then
    fields = {}
    -- whole numbers of 64 bits are nothing that a sandbox knows
    for name, value in pairs(record.what.fields) do fields[name] = type(value) == "cdata" and tonumber(value) or value end
  else
    fields = self.values:fields(record.plan.members, record.alert.values)
  end
  for name, value in pairs(record.extra or {}) do fields[name] = value end
  return fields
end

local function describe(self, record)
  return {
    rule = record.rule, source = record.source, tags = record.tags, severity = record.priority,
    output = record.what and record.what.message or self.values:message(record.plan.parts, record.alert.values),
    fields = fields_of(self, record), time = tonumber(record.ts) / 1e9, iso = self.values:iso(record.ts),
    hostname = self.hostname,
  }
end

-- ------------------------------------------------------------------ what scripts ask for

local LEVELS = { error = true, warning = true, notice = true, info = true, debug = true }

local function say(level, line)
  console[LEVELS[level] and level or "info"](line)
end

local function log(row, answer)
  for _, line in ipairs(answer.log or {}) do say(line.level, ("script '%s': %s"):format(row.script.name, line.text)) end
end

-- Raised behind all scripts, so that none can feed itself.
local function emit(self, row, answer)
  for _, what in ipairs(answer.emit or {}) do
    row.script:count("SCRIPT_EMITTED")
    self.env.emit({
      rule = what.rule or row.script.name, message = what.output, priority = what.priority, source = what.source or "script",
      tags = what.tags or {}, fields = what.fields or {}, ts = core.ffi.cast("uint64_t", self.now * 1e9), scripted = true,
      to = what.to and self:lanes(row, what.to) or nil,
    })
  end
end

local function store(row, answer)
  if answer.kv and row.store then row.store:change(answer.kv.set, answer.kv.gone) end
end

-- Everything of an answer but decisions about the alert at hand.
local function carry_out(self, row, answer)
  if not answer then return end
  row.next = answer.next
  log(row, answer)
  emit(self, row, answer)
  store(row, answer)
  self.powers:take(row.script, answer)
end

-- Names of outputs as a set: "file", or "file_output" as the configuration calls it.
function Stage:lanes(row, names)
  local set = {}
  for _, name in ipairs(names) do
    local short = name:gsub("_output$", "")
    if self.env.lanes[short] then
      set[short] = true
    elseif not row.told[name] then
      row.told[name] = true
      console.warning(("script '%s': no output is called '%s'"):format(row.script.name, text.printable(name)))
    end
  end
  return set
end

-- Decisions about the alert: false, it is dropped.
local function decide(self, row, record, seen, answer)
  if answer.drop then
    row.script:count("SCRIPT_DROPPED")
    return false
  end
  if answer.priority then record.priority, seen.severity = answer.priority, answer.priority end
  if answer.set then
    record.extra = record.extra or {}
    for name, value in pairs(answer.set) do record.extra[name], seen.fields[name] = value, value end
  end
  if answer.to then
    local set = self:lanes(row, answer.to)
    if next(set) then record.to = set end      -- to nowhere known: where it would have gone
  end
  return true
end

-- ------------------------------------------------------------------ running them

local function call(self, row, what, arg)
  arg.now = self.now
  local answer = row.script:call(what, arg)
  carry_out(self, row, answer)
  return answer
end

-- Timers and tick() whose time has come.
local function run_due(self, row)
  local due = row.next and row.next <= self.now
  if row.script.has.tick and (row.tick_at or 0) <= self.now then
    due, row.tick_at = true, self.now + TICK_S
  end
  if due then
    row.next = nil
    call(self, row, "tick", {})
  end
end

-- Of a live source it is the clock's time, of a capture that of its latest alert.
local function set_clock(self, ts)
  if self.env.live then
    self.now = tonumber(core.C.sys_wall_ns()) / 1e9
  elseif ts then
    self.now = math.max(self.now, tonumber(ts) / 1e9)
  end
end

function Stage:pass(record)
  set_clock(self, (not record.what or record.what.scripted) and record.ts or nil)
  local seen
  for _, row in ipairs(self.rows) do
    local one = row.script
    if not one.off then
      run_due(self, row)
      if one.has.write or one.has.match then
        seen = seen or describe(self, record)
        local answer = call(self, row, "alert", { alert = seen })
        if answer and not decide(self, row, record, seen, answer) then return false end
      end
    end
  end
  return true
end

function Stage:wants(add)
  local C = core.C
  local first = self.powers:wants(add)
  local function earlier(when)
    if not first or when < first then first = when end
  end
  local mono, wall = tonumber(C.sys_now_ns()), self.env.live and tonumber(C.sys_wall_ns()) / 1e9 or self.now
  for _, row in ipairs(self.rows) do
    if self.env.live and not row.script.off then
      if row.next then earlier(mono + (row.next - wall) * 1e9) end
      if row.script.has.tick then earlier(mono + ((row.tick_at or wall) - wall) * 1e9) end
    end
    if row.store and row.store.changed then earlier(row.save_at) end
  end
  return first
end

local function save(row, now)
  if not row.store or not row.store.changed or row.save_at > now then return end
  row.save_at = now + SAVE_NS
  local ok, message = row.store:save()
  if ok then
    row.save_failed = false
  elseif not row.save_failed then
    row.save_failed = true
    console.error(("script '%s': its store cannot be kept: %s"):format(row.script.name, message))
  end
end

function Stage:tick(now)
  set_clock(self)
  self.powers:tick(function(of, token, result)
    for _, row in ipairs(self.rows) do
      if row.script == of then call(self, row, "done", { token = token, result = result }) end
    end
  end)
  for _, row in ipairs(self.rows) do
    if self.env.live and not row.script.off then run_due(self, row) end
    save(row, now)
  end
end

-- What was asked for last is given a moment.
local function finish_requests(self)
  local C = core.C
  local deadline = tonumber(C.sys_now_ns()) + self.patience * 1e6
  while self.powers:busy() and tonumber(C.sys_now_ns()) < deadline do
    self:tick(tonumber(C.sys_now_ns()))
    if self.powers:busy() then C.sys_sleep(5) end
  end
end

function Stage:close()
  for _, row in ipairs(self.rows) do
    if row.script.has.close then call(self, row, "close", {}) end
  end
  finish_requests(self)
  self.powers:close()
  for _, row in ipairs(self.rows) do
    save(row, math.huge)
    row.script:free()
  end
  self.rows = {}
end

-- ------------------------------------------------------------------ opening

local function open_store(row, conf)
  if not row.grant.kv then return nil end
  local C, dir = core.C, conf.scripts_state_dir
  if dir ~= "" and C.sys_make_dir(dir) < 0 then
    console.warning(("script '%s': its store is kept in memory alone: '%s' cannot be made"):format(row.name, dir))
    dir = ""
  end
  local path = dir ~= "" and ("%s/%s.kv"):format(dir, (row.name:gsub("[^%w_.-]", "_"))) or nil
  local made, message = kv.open(path, row.limits.kv_bytes)
  if message then console.warning(("script '%s': %s"):format(row.name, message)) end
  return made
end

-- What there is to say about a script, as an alert of falco's own.
local function alarm(self, what)
  what.rule = "Falco internal: " .. what.rule
  what.message = what.rule .. ". " .. what.message
  self.env.emit(what)
end

local function open_script(self, row, conf)
  local opened = { told = {}, save_at = 0, store = open_store(row, conf) }
  local made, message = script.new(row, {
    live = self.env.live, now = self.now, kv = opened.store and opened.store.values,
    say = say, alarm = function(what) alarm(self, what) end,
  })
  if not made then
    console.error(("script '%s' is not run: %s"):format(row.name, message))
    alarm(self, { rule = "script not run", priority = 4, fields = { script = row.name, path = row.path, error = message },
      message = ("The script '%s' cannot be run: %s"):format(row.name, (message:gsub("\n.*", ""))) })
    return false
  end
  opened.script = made
  self.rows[#self.rows + 1] = opened
  self.programs = self.programs or row.grant.exec == true
  if row.grant.kill then self.rights = core.C.RIGHT_KILL end
  carry_out(self, opened, made.loaded)
  local stray = made:stray_text()
  if stray then console.warning(stray) end
  if made.has.open then call(self, opened, "open", { args = row.args }) end
  return true
end

-- env: of init.lua. false: there are no scripts. A script that cannot be run is said and left out.
function M.open(conf, env)
  local rows, problems, left_out = script_config.rows(conf)
  for _, problem in ipairs(problems) do console.error(problem) end
  for _, line in ipairs(left_out) do console.notice(line) end
  if #rows == 0 then return false end
  local self = setmetatable({
    env = env, rows = {}, now = env.live and tonumber(core.C.sys_wall_ns()) / 1e9 or 0, patience = conf.output_timeout,
    hostname = render.hostname(), values = values.new(),
  }, Stage)
  self.powers = powers.new{ live = env.live, say = say }
  core.C.act_boot_time()
  for _, row in ipairs(rows) do open_script(self, row, conf) end
  if #self.rows == 0 then return false end
  return self
end

return M
