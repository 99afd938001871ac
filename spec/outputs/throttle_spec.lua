-- SPDX-License-Identifier: Apache-2.0
local conf = require "conf"
local core = require "core"
local diag = require "diag"
local throttle = require "outputs.throttle"

local said

local function opened(text, live)
  local diags = diag.new()
  local config = conf.load{ diag = diags, set = { "throttle=" .. text } }
  assert.equal(0, diags.errors)
  said = {}
  return throttle.open(config, { live = live, field = function(r, name) return r.values[name] end,
    emit = function(what) said[#said + 1] = what end })
end

-- An alert at so many seconds.
local function alert(rule, at, values, limit)
  return { rule = rule, source = "syscall", priority = 4, tags = { "t" }, ts = core.ffi.cast("uint64_t", at * 1e9), values = values or {},
    plan = { rule = rule, throttle = limit } }
end

local function count(stage, rule, from, to, values, limit)
  local n = 0
  for at = from, to do n = n + (stage:pass(alert(rule, at, values, limit)) and 1 or 0) end
  return n
end

describe("throttle", function()
  it("lets so many pass, and tells of the rest at the window's end", function()
    local stage = opened("[{count: 3, within: 10s}]")
    assert.equal(3, count(stage, "a", 0, 9))
    assert.same({}, said)
    assert.is_true(stage:pass(alert("a", 10)))
    assert.equal(1, #said)
    assert.equal("Falco internal: alerts held back", said[1].rule)
    assert.equal("Falco internal: alerts held back. 7 more alerts of 'a' within 10 s", said[1].message)
    assert.same({ ["throttle.rule"] = "a", ["throttle.held"] = 7, ["throttle.passed"] = 3 }, said[1].fields)
    stage:close()
    assert.equal(1, #said)
  end)

  it("counts rules and fields apart", function()
    local stage = opened("[{count: 1, within: 1h, by: [proc.name]}]")
    for _, name in ipairs{ "cat", "bash" } do
      for _, rule in ipairs{ "a", "b" } do assert.equal(1, count(stage, rule, 0, 4, { ["proc.name"] = name })) end
    end
    assert.equal(1, count(stage, "a", 5, 6))          -- without a value is a value
    stage:close()
    assert.equal(5, #said)
    assert.matches("4 more alerts of 'a' %(proc.name=cat%) within 3600 s$", said[1].message)
    assert.equal("cat", said[1].fields["proc.name"])
  end)

  it("is for alerts that match", function()
    local stage = opened("[{match: {rule: a*}, count: 1, within: 1h}, {match: {rule: '*b'}, count: 2, within: 1h}]")
    assert.equal(1, count(stage, "ab", 0, 9))
    assert.equal(2, count(stage, "bb", 0, 9))
    assert.equal(10, count(stage, "c", 0, 9))
  end)

  it("can be a rule's own, and changes with it", function()
    local stage = opened("[]")
    local limit = { count = 2, within = "1h", by = {} }
    assert.equal(2, count(stage, "a", 0, 9, nil, limit))
    assert.equal(0, count(stage, "a", 10, 12, nil, { count = 2, within = "1h", by = {} }))      -- the same, after a reload
    assert.equal(5, count(stage, "a", 13, 20, nil, { count = 5, within = "1h", by = {} }))
    assert.equal(11, said[1].fields["throttle.held"])
    assert.equal(4, count(stage, "b", 0, 3))
  end)

  it("lets pass what falco says itself", function()
    local stage = opened("[{count: 1, within: 1h}]")
    for i = 1, 5 do
      local record = alert("Falco internal: x", i)
      record.what = {}
      assert.is_true(stage:pass(record))
    end
  end)

  it("is bounded: when there are too many groups, their alerts pass", function()
    local stage = opened("[{count: 1, within: 1h, by: [n]}]")
    for i = 1, throttle.MAX_WINDOWS + 50 do assert.is_true(stage:pass(alert("a", 0, { n = tostring(i) }))) end
    assert.is_false(stage:pass(alert("a", 1, { n = "1" })))
    assert.is_true(stage:pass(alert("a", 1, { n = "new" })))
    assert.equal(51, stage.unbounded)
    assert.equal(throttle.MAX_WINDOWS, stage.entries[1].windows.open)
    assert.is_true(stage:pass(alert("a", 3601, { n = "1" })))          -- an hour later there is room
    assert.equal(1, stage.entries[1].windows.open)
  end)

  it("tells of long values cut", function()
    local stage = opened("[{count: 1, within: 1h, by: [n]}]")
    count(stage, "a", 0, 3, { n = ("x"):rep(100000) })
    stage:close()
    assert.equal(256, #said[1].fields.n)
  end)

  it("of a live source ends windows by the clock", function()
    local stage, now = opened("[{count: 1, within: 1ms}]", true), tonumber(core.C.sys_wall_ns()) / 1e9
    stage:pass(alert("a", now))
    stage:pass(alert("a", now))
    assert.is_number(stage:wants())
    core.C.sys_sleep(5)
    stage:tick()
    assert.equal(1, said[1].fields["throttle.held"])
  end)
end)
