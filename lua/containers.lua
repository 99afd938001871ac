-- SPDX-License-Identifier: Apache-2.0
-- What falco.yaml says of containers: plugins[name: container].init_config, the settings of upstream's container plugin. Here
-- containers are built in, so only what there is something to do about counts:
--   label_max_len              longer labels are left out
--   engines.NAME.enabled       docker, podman, cri, containerd: whose files and API are looked at
--   engines.NAME.sockets       docker, podman: the API, asked where files do not tell
-- with_size, hooks, the sockets of cri and containerd, and the engines that have no metadata (lxc, libvirt_lxc, bpm) are
-- accepted: nothing depends on them. A static engine is not.
local core = require("core")

local M = {}

local KEYS = { label_max_len = "number", with_size = "boolean", hooks = "table", engines = "table" }
local ENGINES = { "docker", "podman", "cri", "containerd" }
local WITHOUT_METADATA = { lxc = true, libvirt_lxc = true, bpm = true }
local HAS_API = { docker = true, podman = true }

local FLAGS = {
  docker = "RUNTIME_USE_DOCKER", podman = "RUNTIME_USE_PODMAN", cri = "RUNTIME_USE_CRI",
  containerd = "RUNTIME_USE_CONTAINERD",
}

local function flag_of(name)
  return FLAGS[name] and core.C[FLAGS[name]]
end

-- The settings, {} if there are none.
function M.settings(config)
  for _, plugin in ipairs(config.plugins or {}) do
    if plugin.name == "container" and type(plugin.init_config) == "table" then return plugin.init_config end
  end
  return {}
end

local function check_engine(name, engine)
  if type(engine) ~= "table" then return ("engines.%s is no map"):format(name) end
  if name == "static" then
    return engine.enabled and "engines.static is not supported: containers are told by their control groups" or nil
  end
  if not flag_of(name) and not WITHOUT_METADATA[name] then
    return ("there is no engine '%s' (there are: %s)"):format(name, table.concat(ENGINES, ", "))
  end
  if engine.enabled ~= nil and type(engine.enabled) ~= "boolean" then
    return ("engines.%s.enabled is neither true nor false"):format(name)
  end
  for _, path in ipairs(type(engine.sockets) == "table" and engine.sockets or {}) do
    if type(path) ~= "string" or #path >= core.C.RUNTIME_SOCKET_PATH then
      return ("engines.%s.sockets: '%s' is no path of a socket"):format(name, tostring(path))
    end
  end
  return nil
end

-- nil, or what is wrong with the settings.
function M.check(settings)
  for key, value in pairs(settings) do
    if not KEYS[key] then return ("there is no key '%s'"):format(tostring(key)) end
    if type(value) ~= KEYS[key] then return ("%s is no %s"):format(key, KEYS[key]) end
  end
  if settings.label_max_len and settings.label_max_len < 0 then return "label_max_len is negative" end
  for name, engine in pairs(settings.engines or {}) do
    local message = check_engine(tostring(name), engine)
    if message then return message end
  end
  return nil
end

local function add_sockets(options, n, name, paths)
  for _, path in ipairs(paths) do
    if n < core.C.RUNTIME_SOCKETS then
      options.sockets[n].engine = flag_of(name)
      core.ffi.copy(options.sockets[n].path, path)
      n = n + 1
    end
  end
  return n
end

-- A struct runtime_options of the configuration; nil and a message.
function M.options(config)
  local C, ffi = core.C, core.ffi
  local settings = M.settings(config)
  local message = M.check(settings)
  if message then return nil, "plugins: container: init_config: " .. message end
  local options = ffi.new("struct runtime_options")
  C.runtime_defaults(options)
  options.label_max_len = settings.label_max_len or options.label_max_len
  local defaults, n = {}, 0
  for i = 0, C.RUNTIME_SOCKETS - 1 do
    local socket = options.sockets[i]
    for name in pairs(HAS_API) do
      if socket.engine == flag_of(name) then defaults[name] = { ffi.string(socket.path) } end
    end
    socket.engine = 0
  end
  options.engines = 0
  for _, name in ipairs(ENGINES) do
    local engine = (settings.engines or {})[name] or {}
    if engine.enabled ~= false then
      options.engines = options.engines + flag_of(name)
      if HAS_API[name] then n = add_sockets(options, n, name, engine.sockets or defaults[name] or {}) end
    end
  end
  return options
end

return M
