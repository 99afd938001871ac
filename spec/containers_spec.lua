-- SPDX-License-Identifier: Apache-2.0
local conf = require "conf"
local containers = require "containers"
local core = require "core"
local diag = require "diag"

local file

local function config_of(init_config)
  local f = assert(io.open(file, "w"))
  f:write("plugins:\n  - name: container\n    library_path: libcontainer.so\n    init_config: ", init_config, "\n")
  f:close()
  local diags = diag.new()
  local config = conf.load{ path = file, diag = diags }
  assert.equal(0, diags.errors or 0)
  return config
end

local function paths(options)
  local list = {}
  for i = 0, core.C.RUNTIME_SOCKETS - 1 do
    local socket = options.sockets[i]
    if socket.engine ~= 0 then list[#list + 1] = tonumber(socket.engine) .. core.ffi.string(socket.path) end
  end
  table.sort(list)
  return table.concat(list, " ")
end

describe("settings of the container plugin", function()
  setup(function()
    core.load()
    file = os.tmpname()
  end)

  teardown(function() os.remove(file) end)

  it("have defaults without a configuration", function()
    local options = assert(containers.options({ plugins = {} }))
    assert.equal(100, options.label_max_len)
    assert.equal(core.C.RUNTIME_USE_ALL, options.engines)
    assert.equal("1/var/run/docker.sock 2/run/podman/podman.sock", paths(options))
  end)

  it("say which engines, which sockets, and how long labels may be", function()
    local options = assert(containers.options(config_of([[

      label_max_len: 7
      with_size: true
      hooks: [create, start]
      engines:
        docker: { enabled: true, sockets: [/a.sock, /b.sock] }
        podman: { enabled: false, sockets: [/c.sock] }
        cri: { enabled: true, sockets: [/run/crio/crio.sock] }
        lxc: { enabled: true }]])))
    assert.equal(7, options.label_max_len)
    assert.equal(core.C.RUNTIME_USE_ALL - core.C.RUNTIME_USE_PODMAN, options.engines)
    assert.equal("1/a.sock 1/b.sock", paths(options))
  end)

  it("are refused with a reason when they cannot be", function()
    local function refused(init_config)
      local options, message = containers.options(config_of(init_config))
      assert.is_nil(options)
      return message
    end
    assert.matches("there is no key 'labels'", refused("{ labels: 5 }"))
    assert.matches("label_max_len is negative", refused("{ label_max_len: -1 }"))
    assert.matches("there is no engine 'dokcer'", refused("{ engines: { dokcer: { enabled: true } } }"))
    assert.matches("static is not supported", refused("{ engines: { static: { enabled: true, container_id: x } } }"))
    assert.matches("is no path of a socket", refused("{ engines: { docker: { sockets: [" .. ("x"):rep(200) .. "] } } }"))
  end)
end)
