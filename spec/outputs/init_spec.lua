-- SPDX-License-Identifier: Apache-2.0
local core = require "core"

-- Both channels replaced by ones that write to a table.
local function fake(name, log, fails)
  package.loaded["outputs." .. name] = {
    open = function()
      if fails == "open" then return nil, "no room" end
      return {
        write = function(_, alert)
          if fails then return nil, fails end
          log[#log + 1] = name .. " " .. core.ffi.string(alert.line, alert.len)
          return true
        end,
        flush = function() return true end,
        close = function() log[#log + 1] = name .. " closed" end,
      }
    end,
  }
end

local TEXT = "hello\n"
local ALERT = { line = core.ffi.cast("const char *", TEXT), len = #TEXT - 1, mark_at = 0, mark_len = 0, tags = {}, rule = "r", source = "syscall",
  priority = 5, ts = 1 }

-- A whole configuration in which only these are switched on.
local function config(enabled)
  local conf = require("conf").load{ diag = require("diag").new() }
  conf.outputs_spool.dir = ""
  for key, section in pairs(enabled) do conf[key] = section end
  return conf
end

local BOTH = { stdout_output = { enabled = true }, file_output = { enabled = true } }

describe("outputs", function()
  local outputs, log

  before_each(function()
    package.loaded.outputs = nil
    outputs = require "outputs"
    log = {}
  end)

  after_each(function()
    package.loaded["outputs.stdout"], package.loaded["outputs.file"] = nil, nil
  end)

  it("writes to every channel that is enabled", function()
    fake("stdout", log)
    fake("file", log)
    local outs = assert(outputs.open(config(BOTH), {}))
    outs:write(ALERT)
    outs:close()
    table.sort(log)
    assert.same({ "file closed", "file hello", "stdout closed", "stdout hello" }, log)
  end)

  it("of a live source says at once that a reader has gone, and that this is a failure", function()
    local said = {}
    stub(require("console"), "error").invokes(function(message) said[#said + 1] = message end)
    fake("stdout", log, "closed")
    local live = assert(outputs.open(config{ stdout_output = { enabled = true } }, { live = true }))
    live:write(ALERT)
    local replay = assert(outputs.open(config{ stdout_output = { enabled = true } }, {}))
    replay:write(ALERT)
    require("console").error:revert()
    assert.is_true(live:is_lost())
    assert.is_true(replay:is_lost())
    assert.same({ "stdout_output: its reader has gone; it gets no more alerts" }, said)
    assert.same({ "stdout_output: its reader has gone" }, live:failures())
    assert.same({}, replay:failures())
  end)

  it("leaves out what is not", function()
    fake("file", log)
    local outs = outputs.open(config({ stdout_output = { enabled = false }, file_output = { enabled = true } }), {})
    outs:write(ALERT)
    assert.same({ "file hello" }, log)
  end)

  it("says which channel cannot be opened", function()
    fake("stdout", log)
    fake("file", log, "open")
    local outs, message = outputs.open(config(BOTH), {})
    assert.is_nil(outs)
    assert.equal("file_output: no room", message)
  end)

  it("goes on without a channel that fails, and remembers why", function()
    fake("stdout", log)
    fake("file", log, "disk full")
    local outs = outputs.open(config(BOTH), {})
    outs:write(ALERT)
    outs:write(ALERT)
    assert.same({ "stdout hello", "file closed", "stdout hello" }, log)
    assert.same({ "file_output: disk full" }, outs:failures())
    assert.is_false(outs:is_lost())
  end)

  it("is lost when the last reader has gone, without a failure", function()
    fake("stdout", log, "closed")
    local outs = outputs.open(config({ stdout_output = { enabled = true }, file_output = { enabled = false } }), {})
    assert.is_true(outs:is_open())
    outs:write(ALERT)
    assert.is_true(outs:is_lost())
    assert.same({}, outs:failures())
  end)

  it("is not lost when there never was a channel", function()
    local outs = outputs.open(config({ stdout_output = { enabled = false }, file_output = { enabled = false } }), {})
    assert.is_false(outs:is_open())
    assert.is_false(outs:is_lost())
  end)
end)
