-- SPDX-License-Identifier: Apache-2.0
-- What a worker does between two events because somebody asked: SIGHUP, files that changed, the clock.
--   local daemon = daemon.new(work, read_config)    read_config() -> configuration or nil, diagnostics: as at the start
--   daemon:watch()      from here on changes of files are noticed: before they are read
--   daemon:open()       what others are told: web server, metrics. -> true, or nil and a message
--   daemon:start()      threads: once rights were given up
--   daemon:wake()       does what was asked for; the engine stands between two events
--   daemon:close()      before the engine is freed
-- A reload takes rules, configuration and outputs at once or not at all: with a mistake anywhere all stays as it was.
local changes = require("changes")
local console = require("console")
local core = require("core")
local reporter = require("reporter")
local scripts = require("scripts.config")

local M = {}

local Daemon = {}
Daemon.__index = Daemon

-- reload(config) -> what changed, or nil and a message ("" when it was shown): the worker's part
function M.new(work, read_config, reload)
  work.wall_start, work.clock_start = core.C.sys_wall_ns(), core.C.sys_now_ns()
  work.reload_wall = work.wall_start
  return setmetatable({ work = work, read_config = read_config, reload_worker = reload, reloads = 0, failed_reloads = 0,
    reporter = reporter.new(work, function(what) return work.tell(what) end) }, Daemon)
end

function Daemon:open()
  return self.reporter:open()
end

-- ------------------------------------------------------------------ files

-- Everything whose change may matter. What does not exist is there too: it may come.
function M.paths(config, options)
  local paths, seen = {}, {}
  local function add(path)
    if path ~= "" and not seen[path] then
      seen[path] = true
      paths[#paths + 1] = path
    end
  end
  for _, path in ipairs(config.files) do add(path) end
  for _, entry in ipairs(config.config_files) do add(type(entry) == "table" and entry.path or entry) end
  for _, path in ipairs(#options.rules > 0 and options.rules or config.rules_files) do add(path) end
  for _, path in ipairs(scripts.paths(config)) do add(path) end
  return paths
end

function Daemon:look_at(paths)
  local err, n = core.err(), #paths
  local list = core.ffi.new("const char *[?]", math.max(n, 1))
  for i, path in ipairs(paths) do list[i - 1] = path end
  local left = core.C.watch_paths(self.files, list, n, err)
  if left < 0 then
    if not self.told then console.warning("watch_config_files: " .. core.message(err)) end
    self.told = true
  elseif left > 0 then
    console.warning(("watch_config_files: only the first %d paths are watched"):format(core.C.WATCH_MAX_PATHS))
  end
end

-- Makes the watching, of files and of the clock, fit the worker's configuration.
function Daemon:watch()
  local config, interval = self.work.config, self.reporter:interval()
  if not self.files and not config.watch_config_files and not interval then return end
  if not self.files then
    local err = core.err()
    self.files = core.C.watch_new(0, err)
    if self.files == nil then
      self.files = nil
      console.warning(core.message(err))
      return
    end
  end
  core.C.watch_tick(self.files, interval or 0)
  self:look_at(config.watch_config_files and M.paths(config, self.work.options) or {})
  if self.started then self:start() end
end

function Daemon:start()
  local err = core.err()
  if self.files and core.C.watch_start(self.files, err) < 0 then console.warning(core.message(err)) end
  if not self.started then self.reporter:start() end
  self.started = true
end

-- ------------------------------------------------------------------ reload

local WHY = { changed = "files have changed", asked = "SIGHUP" }

-- Systemd wants to hear of both ends.
function Daemon:reload(why)
  core.C.notify_service(("RELOADING=1\nMONOTONIC_USEC=%s"):format(tostring(core.C.sys_now_ns() / 1000):gsub("U?LL$", "")))
  self:load_anew(why)
  core.C.notify_service(("READY=1\nSTATUS=%d rules"):format(#self.work.result.rules))
end

function Daemon:load_anew(why)
  local config, diags = self.read_config()
  if config then
    console.diagnostics(diags, { level = "error" })
  else
    console.diagnostics(diags)
    return self:failed(why, "")
  end
  local keys, restart = changes.config(self.work.config, config)
  changes.keep(self.work.config, config, restart)
  if config.watch_config_files and self.files then self:look_at(M.paths(config, self.work.options)) end
  local rules, message = self.reload_worker(config, keys)
  if not rules then return self:failed(why, message) end
  self.reloads, self.work.reload_wall = self.reloads + 1, core.C.sys_wall_ns()
  self.reporter:adopt(keys)
  self:watch()
  console.notice(("%s: loaded anew: %s"):format(WHY[why], changes.text(rules, keys)))
  if #restart > 0 then
    console.warning(("these keys keep their old values until falco is restarted: %s"):format(table.concat(restart, ", ")))
  end
end

function Daemon:failed(why, message)
  self.failed_reloads = self.failed_reloads + 1
  if message ~= "" then console.error(message) end
  console.error(("%s: nothing was loaded anew because of mistakes; rules and configuration stay as they were"):format(WHY[why]))
  self:watch()
end

-- ------------------------------------------------------------------ what was asked for

-- While rules are loaded nobody reads events, and those of a live source pile up: they are caught up with before the next
-- time. So many times as long as the last reload took.
local REST = 5

-- true: not yet. What was asked for is asked for again by idle().
local function rests(self, asked)
  if not self.rest_until or tonumber(core.C.sys_now_ns()) >= self.rest_until then return false end
  self.later = require("bit").bor(self.later or 0, asked)
  return true
end

-- A live source has nothing now, or went on for a while.
function Daemon:idle()
  if not self.later or tonumber(core.C.sys_now_ns()) < self.rest_until then return end
  local asked = self.later
  self.later = nil
  core.C.sys_request(asked)
end

local function is_live(work)
  return work.config.engine.kind == "modern_ebpf"
end

local function reload_now(self, asked)
  local C, bit = core.C, require("bit")
  if is_live(self.work) and rests(self, asked) then return end
  local began = tonumber(C.sys_now_ns())
  self:reload(bit.band(asked, C.REQUEST_RELOAD) ~= 0 and "asked" or "changed")
  local now = tonumber(C.sys_now_ns())
  self.rest_until = now + REST * (now - began)
end

-- true: go on with the events.
function Daemon:wake()
  local C, bit = core.C, require("bit")
  local asked = C.sys_requests()
  local reload = bit.band(asked, C.REQUEST_RELOAD + C.REQUEST_CHANGED)
  if reload ~= 0 then reload_now(self, reload) end
  if bit.band(asked, C.REQUEST_SNAPSHOT) ~= 0 then self.reporter:snapshot() end
  if bit.band(asked, C.REQUEST_TICK) ~= 0 then self.reporter:tick() end
  return true
end

-- The run is about to end.
function Daemon:stopping()
  core.C.notify_service("STOPPING=1")
end

function Daemon:close()
  self.reporter:close()
  if self.files then core.C.watch_free(self.files) end
  self.files = nil
end

return M
