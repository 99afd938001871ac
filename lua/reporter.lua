-- SPDX-License-Identifier: Apache-2.0
-- Tells others how falco does: the web server, regular reports of metrics, the service manager.
--   local reporter = reporter.new(work, tell)    tell as in drops.lua
--   reporter:open()          what may fail -> true, or nil and a message
--   reporter:start()         threads, once rights were given up
--   reporter:snapshot()      somebody asks for pages of the web server
--   reporter:tick()          time has passed: reporter:interval() ms, or a while; nil there: no ticks are wanted
--   reporter:adopt(keys)     the worker's configuration is another one; keys that differ
--   reporter:close()
local changes = require("changes")
local console = require("console")
local core = require("core")
local json = require("json")
local list = require("list")
local metrics = require("metrics")
local schema = require("schema")

local M = {}

local Reporter = {}
Reporter.__index = Reporter

function M.new(work, tell)
  return setmetatable({ work = work, tell = tell, samples = 0 }, Reporter)
end

-- ------------------------------------------------------------------ web server

local function open_web(config)
  local conf, err = config.webserver, core.err()
  local certificate = conf.ssl_enabled and conf.ssl_certificate or nil
  local options = core.ffi.new("struct web_options", { address = conf.listen_address, healthz = conf.k8s_healthz_endpoint,
    port = conf.listen_port, certificate = certificate, metrics = config.metrics.enabled and conf.prometheus_metrics_enabled })
  local web = core.C.web_new(options, err)
  if web == nil then return nil, core.message(err) end
  local versions = json.encode(list.versions()) .. "\n"
  core.C.web_put(web, core.C.WEB_VERSIONS, versions, #versions)
  return web
end

local function put(web, page, text)
  core.C.web_put(web, page, text, #text)
end

function Reporter:snapshot()
  local web, work = self.work.web, self.work
  if not web then return end
  put(web, core.C.WEB_RULES, json.encode(metrics.rules(work)) .. "\n")
  if work.config.metrics.enabled and work.config.webserver.prometheus_metrics_enabled then
    put(web, core.C.WEB_METRICS, metrics.prometheus(metrics.gather(work)))
  end
end

function Reporter:stop_web()
  if self.work.web then core.C.web_free(self.work.web) end
  self.work.web = nil
end

function Reporter:start_web()
  local err, web = core.err(), self.work.web
  if not web then return end
  if core.C.web_start(web, err) < 0 then
    console.error(core.message(err))
    return
  end
  local conf = self.work.config.webserver
  console.info(("web server at %s://%s:%d"):format(conf.ssl_enabled and "https" or "http", conf.listen_address,
    core.C.web_port(web)))
end

-- ------------------------------------------------------------------ metrics

local function opened_file(path)
  if path == "" then return nil end
  local f, message = io.open(path, "a")
  if not f then return nil, "metrics.output_file: " .. message end
  f:setvbuf("line")
  return f
end

function Reporter:report()
  local config = self.work.config.metrics
  local set = metrics.gather(self.work, self.previous)
  self.previous, self.samples = set, self.samples + 1
  if config.output_rule then
    self.tell{ rule = "metrics snapshot", text = "Falco metrics snapshot", priority = 6, fields = set.fields }
  end
  if self.file then
    local ok, message = self.file:write(json.encode{ sample = self.samples, output_fields = set.fields }, "\n")
    if not ok and not self.file_failed then console.error("metrics.output_file: " .. tostring(message)) end
    self.file_failed = not ok
  end
end

local function is_reported(config)
  return config.metrics.enabled and (config.metrics.output_rule or config.metrics.output_file ~= "")
end

-- ------------------------------------------------------------------ time

function Reporter:interval()
  local config, watchdog = self.work.config, core.C.notify_watchdog_ms()
  local least = is_reported(config) and schema.interval(config.metrics.interval) or math.huge
  if watchdog > 0 then least = math.min(least, math.max(watchdog / 2, 1)) end
  return least < math.huge and math.min(least, 4294967295) or nil
end

-- The watchdog hears of it here, where events are worked on: of a worker that hangs it hears nothing.
function Reporter:tick()
  local now, C = tonumber(core.C.sys_now_ns()), core.C
  if C.notify_watchdog_ms() > 0 then C.notify_service("WATCHDOG=1") end
  if not is_reported(self.work.config) then return end
  local every = schema.interval(self.work.config.metrics.interval) * 1e6
  self.due = self.due or now + every
  if now + every / 10 < self.due then return end
  self.due = now + every
  self:report()
end

-- ------------------------------------------------------------------ beginning and end

function Reporter:open()
  local config, message = self.work.config, nil
  if config.webserver.enabled then
    self.work.web, message = open_web(config)
    if not self.work.web then return nil, message end
  end
  if config.metrics.enabled then
    self.file, message = opened_file(config.metrics.output_file)
    if message then return nil, message end
  end
  self.due = tonumber(core.C.sys_now_ns()) + schema.interval(config.metrics.interval) * 1e6
  return true
end

function Reporter:start()
  self:start_web()
  core.C.notify_service(("READY=1\nSTATUS=%d rules\nMAINPID=%d"):format(#self.work.result.rules, core.C.sys_pid()))
end

-- A server that cannot be had now must not undo a reload: it is said, and the old one is gone.
function Reporter:adopt(keys)
  local config = self.work.config
  if changes.touches(keys, "webserver") or changes.touches(keys, "metrics") then
    self:stop_web()
    if self.file then self.file:close() end
    self.file, self.previous = nil, nil
    local ok, message = self:open()
    if not ok then console.error(message) end
    self:start_web()
  end
  self.due = self.due or tonumber(core.C.sys_now_ns()) + schema.interval(config.metrics.interval) * 1e6
end

function Reporter:close()
  self:stop_web()
  if self.file then self.file:close() end
  self.file = nil
end

return M
