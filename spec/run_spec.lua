-- SPDX-License-Identifier: Apache-2.0
local conf = require "conf"
local diag = require "diag"
local run = require "run"

local directory

local function touch(name)
  assert(io.open(directory .. "/" .. name, "w")):close()
  return directory .. "/" .. name
end

describe("rules files", function()
  setup(function()
    directory = os.tmpname()
    os.remove(directory)
    assert(os.execute("mkdir -p " .. directory .. "/d/sub.yaml"))
    touch("d/b.yaml")
    touch("d/a.yml")
    touch("d/readme.txt")
    touch("one.rules")
  end)

  teardown(function() os.execute("rm -rf " .. directory) end)

  it("come from the command line, or else from the configuration", function()
    local config = { rules_files = { directory .. "/d/b.yaml" } }
    assert.same({ directory .. "/d/b.yaml" }, run.rules_files(config, { rules = {} }))
    assert.same({ directory .. "/d/a.yml" }, run.rules_files(config, { rules = { directory .. "/d/a.yml" } }))
  end)

  it("of a directory are its YAML files in order", function()
    assert.same({ directory .. "/d/a.yml", directory .. "/d/b.yaml" }, run.rules_files({ rules_files = {} },
      { rules = { directory .. "/d/" } }))
  end)

  it("may have any name when they are named", function()
    assert.same({ directory .. "/one.rules" }, run.rules_files({ rules_files = {} },
      { rules = { directory .. "/one.rules" } }))
  end)

  it("must be there when they are named, and need not be in the configuration", function()
    local missing = run.rules_files({ rules_files = {} }, { rules = { "/no/such.yaml" } })
    assert.same({ "/no/such.yaml" }, missing)
    local loaded = run.load_rules(conf.load{ diag = diag.new() }, run.read_files(missing))
    assert.is_false(loaded.result.ok)
    assert.equal("cannot be read: No such file or directory", loaded.diags.items[1].message)
    assert.equal(1, #run.rules_files({ rules_files = { "/no/such.yaml", directory .. "/d/b.yaml" } }, { rules = {} }))
    assert.is_nil((run.rules_files({ rules_files = { "/no/such.yaml" } }, { rules = {} })))
    assert.matches("no rules", select(2, run.rules_files({ rules_files = {} }, { rules = {} })))
  end)

  it("that are there but cannot be reached are not left out", function()
    local loop = directory .. "/loop.yaml"
    assert(os.execute(("ln -s '%s' '%s'"):format(loop, loop)))
    for _, path in ipairs{ loop, loop .. "/rules.d" } do
      assert.same({ path }, run.rules_files({ rules_files = { path } }, { rules = {} }))
      assert.equal("Too many levels of symbolic links", run.read_files{ path }[1].error)
    end
    assert.equal("Is a directory", run.read_files{ directory }[1].error)
  end)

  it("are read, or say why not", function()
    local files = run.read_files{ directory .. "/d/b.yaml", "/no/such.yaml" }
    assert.equal("", files[1].text)
    assert.is_nil(files[1].error)
    assert.equal("No such file or directory", files[2].error)
  end)
end)

describe("append_output", function()
  it("becomes formats and fields", function()
    local list = run.append_output{ append_output = {
      { match = { source = "syscall", rule = "r", tags = { "t" } }, extra_output = "x=%evt.num",
        extra_fields = { "evt.num", { b = "%evt.type", a = "1" } } },
      { suggested_output = false, extra_output = "" },
    } }
    assert.equal("syscall", list[1].source)
    assert.equal("r", list[1].rule)
    assert.same({ "t" }, list[1].tags)
    assert.equal("x=%evt.num", list[1].format)
    local fields = {}
    for i, field in ipairs(list[1].fields) do fields[i] = field.name .. " " .. field.format end
    assert.same({ "evt.num %evt.num", "a 1", "b %evt.type" }, fields)
    assert.is_nil(list[2].format)
  end)
end)

describe("limits", function()
  local core, conf, diag = require "core", require "conf", require "diag"

  local function config(set)
    return assert(conf.load{ set = set, diag = diag.new() })
  end

  it("are the engine's own when nothing is configured", function()
    local C, limits = core.C, run.limits(config())
    assert.equal(C.ENGINE_MAX_THREADS, limits.max_threads)
    assert.equal(C.ENGINE_MAX_FDS, limits.max_fds)
    assert.equal(C.ENGINE_MAX_FD_BYTES, limits.max_fd_bytes)
    assert.equal(C.ENGINE_MAX_STRINGS, limits.max_strings)
    assert.equal(C.ENGINE_MAX_USER_BYTES, limits.max_user_bytes)
    assert.equal(C.ENGINE_MAX_CONTAINER_BYTES, limits.max_container_bytes)
    assert.equal(C.ENGINE_MAX_BLOCK, limits.max_block)
    assert.equal(C.ENGINE_MAX_SCRATCH, limits.max_scratch)
  end)

  it("reach the engine whole", function()
    local limits = run.limits(config{ "limits.fd_bytes=4294967295", "falco_libs.thread_table_size=7" })
    assert.equal(4294967295, limits.max_fd_bytes)
    assert.equal(7, limits.max_threads)
  end)

  it("need not be given to an engine", function()
    local err = core.err()
    local eng = core.C.engine_new(nil, err)
    assert.is_true(eng ~= nil)
    core.C.engine_free(eng)
  end)
end)
