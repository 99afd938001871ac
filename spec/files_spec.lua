-- SPDX-License-Identifier: Apache-2.0
local files = require "files"

local directory

local function write(name, text)
  local f = assert(io.open(directory .. "/" .. name, "w"))
  f:write(text)
  f:close()
  return directory .. "/" .. name
end

describe("files", function()
  setup(function()
    directory = os.tmpname()
    os.remove(directory)
    assert(os.execute("mkdir -p " .. directory .. "/d/sub"))
    write("d/b", "two")
    write("d/a", "one")
    assert(os.execute(("cd '%s/d' && ln -s loop loop && ln -s nowhere dangling"):format(directory)))
  end)

  teardown(function() os.execute("rm -rf " .. directory) end)

  it("are of a kind", function()
    assert.equal("missing", files.kind(directory .. "/none"))
    assert.equal("missing", files.kind(directory .. "/d/a/below"))
    assert.equal("dir", files.kind(directory .. "/d"))
    assert.equal("file", files.kind(directory .. "/d/a"))
    assert.equal("file", files.kind("/dev/null"))
    local kind, why = files.kind(directory .. "/d/loop")
    assert.is_nil(kind)
    assert.equal("Too many levels of symbolic links", why)
  end)

  it("of a directory come in order, with those that cannot be looked at", function()
    local d = directory .. "/d"
    assert.same({ d .. "/a", d .. "/b", d .. "/loop" }, files.inside(d .. "/"))
    assert.same({ nil, "No such file or directory" }, { files.inside(directory .. "/none") })
  end)

  it("are read whole, or say why not", function()
    local long = ("x"):rep(200000)
    assert.equal("one", files.read(directory .. "/d/a"))
    assert.equal(long, files.read(write("long", long)))
    assert.equal("", files.read("/dev/null"))
    assert.same({ nil, "No such file or directory" }, { files.read(directory .. "/none") })
    assert.same({ nil, "Is a directory" }, { files.read(directory .. "/d") })
    assert.same({ nil, "Input/output error" }, { files.read("/proc/self/mem") })
  end)

  it("are bounded", function()
    assert.same({ nil, "it is larger than 64 MB" }, { files.read("/dev/zero") })
  end)
end)
