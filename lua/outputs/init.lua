-- SPDX-License-Identifier: Apache-2.0
-- Where alerts go. All of this runs in the output thread (main.lua), one alert at a time:
--
--   parcel of the queue -> record (render.lua) -> stages: each may change, send elsewhere or drop it -> line -> lanes, each with
--   what waits for one channel (lane.lua) -> channels
--
-- A record, or alert, is plain data, borrowed until the call it was given to returns:
--   rule, source, tags       of the rule
--   priority                 0-7; a stage may change it
--   ts                       ns since the epoch, uint64_t
--   extra                    nil, or a map name -> text, number or boolean that goes into output_fields; stages may set it
--   to                       nil: to all outputs; or a set { [name] = true }; stages may set it. Names are those of lanes
--   line, len                channels only: the finished text (const char *, bytes); a newline follows it at line[len]
--   mark_at, mark_len        where the name of the priority stands in a text line; mark_len 0: nothing to mark
-- and outs:field(record, name) is a field of its output_fields as text, or nil, for stages.
--
-- A stage (STAGES) is a module with
--   open(conf, env) -> stage, or nil and one line of text; false: nothing to do with this configuration
--                             conf: all of falco.yaml. env: { live = bool, lanes = names of the outputs as a set,
--                             field = function(record, name): as outs:field(),
--                             emit = function(what) that raises an alert behind this stage: what as renderer:tell() has it }
--   stage:pass(record)        -> false: it goes nowhere
--   stage:wants(add), stage:tick(now), stage:close(): as channels have them, each optional
-- A stage that raises a Lua error is a bug; one of a user's script must be caught by the stage.
--
-- A channel is a module with
--   open(conf, env) -> channel, or nil and one line of text
--                             env: { section = its own map of the configuration, live = bool, unbuffered = bool, lane = its lane }
--   channel:write(alert)      -> true      it is out of the channel's hands, and nothing more will be known of it
--                                "taken"   it is on its way, maybe behind others; lane:ack() says when it has arrived
--                                "later"   not now; the lane keeps it and asks again once the channel was ticked, or soon
--                                nil, message    for good: the channel is given up. "closed": its reader has gone
--                             It must not wait for anything that another host or program does.
--   channel:flush()           -> true, or nil, message as above: what write() has collected goes out, or as much as can
--   channel:close()           it is not used again
-- and optionally
--   channel:wants(add) -> when    called before the thread sleeps: add(fd, events) for each descriptor to watch, QUEUE_IN or
--                             QUEUE_OUT; the result is a time as of sys_now_ns(), as a number, or nil
--   channel:tick(now)         one of these descriptors is ready, or that time has come: go on with what is under way.
--                             -> nothing, or false, message: it is given up
--   channel:pending()         bytes, or alerts, that write() said true to and that are not out yet
--   channel:reopen()          -> as flush(): the file was moved away (SIGUSR1)
--   channel:verdict()         once it is closed: nil, or what there is to say about how it went, and whether a replay has failed by that
--   channel.rights            RIGHT_* that it takes to go on: others are given up once all are open. stage.rights likewise
--   channel.programs          it starts programs, which may have rights of their own
--   channel.lossy             the end of a run does not wait for it, and what it does not take then is a warning, no failure
--   channel.spools            what does not get through may be kept on disk (outputs_spool)
-- What a channel with "taken" tells its lane (env.lane), in order, from any of these functions:
--   lane:ack(n)               the n oldest alerts that are on their way have arrived
--   lane:rewind()             what is on its way was lost with its connection: write() gets it all again, oldest first
--   lane:down(message)        the far end is gone; said once until lane:up(). Alerts wait, on disk if they may
--   lane:refused(why)         the alert at hand will never get through, whoever waits: write() says true to it, and it counts as lost
--   lane:up()                 it is back
local bit = require("bit")
local console = require("console")
local core = require("core")
local lane = require("outputs.lane")
local render = require("render")
local script_config = require("scripts.config")

local M = {}

-- In the order of opening. { key of falco.yaml, module, name of the lane }
local CHANNELS = {
  { key = "file_output", module = "outputs.file", name = "file" },
  { key = "stdout_output", module = "outputs.stdout", name = "stdout" },
  { key = "http_output", module = "outputs.http", name = "http" },
  { key = "kafka_output", module = "outputs.kafka", name = "kafka" },
  { key = "redis_output", module = "outputs.redis", name = "redis" },
  { key = "stderr_output", module = "outputs.stderr", name = "stderr" },
  { key = "syslog_output", module = "outputs.syslog", name = "syslog" },
  { key = "program_output", module = "outputs.program", name = "program" },
  { key = "unix_output", module = "outputs.unix", name = "unix" },
}

-- In the order in which records pass them. { module }
local STAGES = {
  { module = "outputs.scripts" },
  { module = "outputs.throttle" },
  { module = "outputs.route" },
}

-- Whether `conf` enables a channel, or has a script that may do something with alerts; a channel that this build does not have
-- counts, since alerts were asked for.
function M.is_configured(conf)
  for key, value in pairs(conf) do
    if type(value) == "table" and value.enabled == true and key:find("_output$") then return true end
  end
  return script_config.any(conf)
end

-- What is wrong with the stages that `conf` asks for, as far as that is known without opening outputs: one line, or nil.
function M.check(conf)
  local names = {}
  for _, row in ipairs(CHANNELS) do
    if conf[row.key] and conf[row.key].enabled then names[row.name] = true end
  end
  local _, message = require("outputs.route").open(conf, { lanes = names })
  return message
end

local Outputs = {}
Outputs.__index = Outputs

local function open_lanes(self, conf, env)
  for _, row in ipairs(CHANNELS) do
    if conf[row.key] and conf[row.key].enabled then
      local made, message = lane.open(row, conf, env)
      if not made then return row.key .. ": " .. message end
      self.lanes[#self.lanes + 1] = made
      self.opened[#self.opened + 1] = made
    end
  end
  return nil
end

local function open_stages(self, conf, env)
  local names = {}
  for _, row in ipairs(self.lanes) do names[row.name] = true end
  for i, row in ipairs(STAGES) do
    local stage, message = require(row.module).open(conf, {
      live = env.live, lanes = names, emit = function(what) self:tell(what, i + 1) end,
      field = function(record, name) return self:field(record, name) end,
    })
    if stage == nil then return message end
    if stage then self.stages[#self.stages + 1] = { at = i, stage = stage } end
  end
  return nil
end

-- Opens every channel that `conf` enables. env: { unbuffered = bool, live = bool }.
-- Returns the outputs, or nil and one line of text.
function M.open(conf, env)
  local self = setmetatable({ lanes = {}, opened = {}, stages = {}, failed = {}, renderer = render.new(conf), told = render.new(conf),
    live = env.live }, Outputs)
  local message = open_lanes(self, conf, env) or open_stages(self, conf, env)
  if message then
    self:close()
    return nil, message
  end
  return self
end

-- Whether any channel is left to write to, or a stage that may do something by itself.
function Outputs:is_open()
  for _, row in ipairs(self.stages) do
    if not row.stage.only_holds_back then return true end
  end
  return #self.lanes > 0
end

-- Whether there were channels and the last one has gone.
function Outputs:is_lost()
  return self.lost == true
end

function Outputs:field(record, name)
  return (record.what and self.told or self.renderer):field(record, name)
end

-- Finished lines of others (specs, tools) may come here.
function Outputs:write(record)
  local lanes = self.lanes
  for i = #lanes, 1, -1 do
    local to = record.to
    if not to or to[lanes[i].name] then
      local ok, message = lanes[i]:write(record)
      if not ok then self:drop(i, message) end
    end
  end
end

local function pass(self, record, from)
  for _, row in ipairs(self.stages) do
    if row.at >= from and row.stage:pass(record) == false then return false end
  end
  return true
end

-- An alert's values, with its rule's plan.
function Outputs:alert(plan, alert)
  local record = self.renderer:take(plan, alert)
  if pass(self, record, 1) then self:write(self.renderer:write(record)) end
end

-- What falco says itself, or a script. from: the first stage that sees it.
function Outputs:tell(what, from)
  local record = self.told:tell(what.ts or core.C.sys_wall_ns(), what)
  if pass(self, record, from or 1) then self:write(self.told:write(record)) end
end

function Outputs:drop(i, message)
  local gone = table.remove(self.lanes, i)
  if not gone.is_closed then gone.channel:close() end
  self.lost = #self.lanes == 0
  if message == "closed" then
    if not self.live then return end      -- like any program in front of a pipe: it has done what was wanted
    message = "its reader has gone"
  end
  self.failed[#self.failed + 1] = gone.name .. "_output: " .. message
  if self.live and not self.closing then
    console.error(("%s_output: %s; it gets no more alerts"):format(gone.name, message))
  end
end

-- Lines about channels that failed; empty when readers merely went away.
function Outputs:failures()
  return self.failed
end

local function each(self, method, argument)
  for i = #self.lanes, 1, -1 do
    local ok, message = self.lanes[i][method](self.lanes[i], argument)
    if not ok then self:drop(i, message) end
  end
end

-- What it takes to go on: RIGHT_* bits, and whether programs may be started that have more.
function Outputs:rights()
  local bits, programs = 0, false
  local function add(what)
    bits, programs = bit.bor(bits, what.rights or 0), programs or what.programs == true
  end
  for _, row in ipairs(self.lanes) do add(row.channel) end
  for _, row in ipairs(self.stages) do add(row.stage) end
  return bits, programs
end

function Outputs:flush() each(self, "flush") end
function Outputs:reopen() each(self, "reopen") end

-- Whether the next alert can go to all of them.
function Outputs:has_room()
  local lanes = self.lanes
  for i = 1, #lanes do
    if not lanes[i]:has_room() then return false end
  end
  return true
end

-- Whether all has gone out that will. late: the time is over for those whose far end is gone.
function Outputs:is_drained(late)
  for _, row in ipairs(self.lanes) do
    if not row:is_drained(late) then return false end
  end
  return true
end

-- struct output_row of the i-th that was opened, or nil.
function Outputs:row(i, row)
  return self.opened[i] and self.opened[i]:row(row)
end

-- What to wait for: add() is called for each descriptor, and the earliest time is returned.
function Outputs:wants(add, now)
  local first
  local function earlier(when)
    if when and (not first or when < first) then first = when end
  end
  for _, row in ipairs(self.lanes) do earlier(row:wants(add, now)) end
  for _, row in ipairs(self.stages) do
    if row.stage.wants then earlier(row.stage:wants(add)) end
  end
  return first
end

function Outputs:tick(now)
  each(self, "tick", now)
  for _, row in ipairs(self.stages) do
    if row.stage.tick then row.stage:tick(now) end
  end
end

-- No more alerts come but those that stages raise now.
function Outputs:end_stages()
  for _, row in ipairs(self.stages) do
    if row.stage.close then row.stage:close() end
  end
  self.stages = {}
end

function Outputs:close()
  self:end_stages()
  self.closing = true
  each(self, "close")
  self.lanes = {}
  console.flush()
end

return M
