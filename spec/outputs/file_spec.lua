-- SPDX-License-Identifier: Apache-2.0
local core = require "core"
local file = require "outputs.file"

local path = os.tmpname()

local function alert(text)
  return { line = core.ffi.cast("const char *", text .. "\n"), len = #text, text = text }
end

local function content()
  local f = assert(io.open(path))
  local text = f:read("*a")
  f:close()
  return text
end

local function open(keep_alive, filename)
  return file.open({ buffered_outputs = true }, { section = { filename = filename or path, keep_alive = keep_alive } })
end

describe("file output", function()
  before_each(function() assert(io.open(path, "w")):close() end)
  teardown(function() os.remove(path) end)

  it("appends lines to an open file", function()
    local channel = assert(open(true))
    local one, two = alert("one"), alert("two")
    assert.is_true(channel:write(one))
    assert.is_true(channel:write(two))
    assert.is_true(channel:flush())
    assert.equal("one\ntwo\n", content())
    channel:close()
    channel = open(true)
    channel:write(one)
    channel:close()
    assert.equal("one\ntwo\none\n", content())
  end)

  it("opens the file anew for each alert without keep_alive", function()
    local channel = assert(open(false))
    local one = alert("one")
    channel:write(one)
    os.rename(path, path .. ".1")
    channel:write(one)
    assert.equal("one\n", content())
    os.remove(path .. ".1")
  end)

  it("says what it cannot open or write", function()
    local channel, message = open(false, "/no/such/dir/alerts.txt")
    assert.is_nil(channel)
    assert.matches("^/no/such/dir/alerts.txt: ", message)
    assert.equal("the filename is not set", select(2, open(false, "")))
    channel = assert(open(false, "/dev/full"))
    local ok, why = channel:write(alert("one"))
    assert.is_nil(ok)
    assert.matches("/dev/full: No space left", why)
  end)
end)
