-- SPDX-License-Identifier: Apache-2.0
-- What a worker does between two events because somebody asked: SIGHUP, files that changed, the clock.
--   local daemon = daemon.new(work, read_config)    read_config() -> configuration or nil, diagnostics: as at the start
--   daemon:watch()      from here on changes of files are noticed: before they are read
--   daemon:start()      its thread: once rights were given up
--   daemon:wake()       does what was asked for; the engine stands between two events
--   daemon:close()      before the engine is freed
-- A reload takes rules, configuration and outputs at once or not at all: with a mistake anywhere all stays as it was.
local changes = require("changes")
local console = require("console")
local core = require("core")
local scripts = require("scripts.config")

local M = {}

local Daemon = {}
Daemon.__index = Daemon

-- reload(config) -> what changed, or nil and a message ("" when it was shown): the worker's part
function M.new(work, read_config, reload)
  return setmetatable({ work = work, read_config = read_config, reload_worker = reload, reloads = 0, failed_reloads = 0 }, Daemon)
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

-- Makes the watching fit the worker's configuration.
function Daemon:watch()
  local config = self.work.config
  if not self.files and not config.watch_config_files then return end
  if not self.files then
    local err = core.err()
    self.files = core.C.watch_new(0, err)
    if self.files == nil then
      self.files = nil
      console.warning(core.message(err))
      return
    end
  end
  self:look_at(config.watch_config_files and M.paths(config, self.work.options) or {})
  if self.started then self:start() end
end

function Daemon:start()
  local err = core.err()
  if self.files and core.C.watch_start(self.files, err) < 0 then console.warning(core.message(err)) end
  self.started = true
end

-- ------------------------------------------------------------------ reload

local WHY = { changed = "files have changed", asked = "SIGHUP" }

function Daemon:reload(why)
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
  self.reloads = self.reloads + 1
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

-- true: go on with the events.
function Daemon:wake()
  local C, bit = core.C, require("bit")
  local asked = C.sys_requests()
  if bit.band(asked, C.REQUEST_RELOAD) ~= 0 then
    self:reload("asked")
  elseif bit.band(asked, C.REQUEST_CHANGED) ~= 0 then
    self:reload("changed")
  end
  return true
end

function Daemon:close()
  if self.files then core.C.watch_free(self.files) end
  self.files = nil
end

return M
