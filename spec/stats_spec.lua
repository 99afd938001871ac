-- SPDX-License-Identifier: Apache-2.0
local core = require "core"
local stats = require "stats"

describe("statistics", function()
  it("count by priority, most important first, and by rule in order", function()
    local rules = { { name = "b", priority = 6 }, { name = "a", priority = 4 }, { name = "never", priority = 0 },
      { name = "c", priority = 4 } }
    assert.equal([[
Events detected: 6
Rule counts by severity:
   WARNING: 4
   INFO: 2
Triggered rules by rule name:
   b: 2
   a: 1
   c: 3
]], stats.rules_text(rules, { 2, 1, 0, 3 }))
  end)

  it("are there for a quiet run, too", function()
    assert.equal("Events detected: 0\nRule counts by severity:\nTriggered rules by rule name:\n", stats.rules_text({},
      {}))
  end)
end)

describe("counters of an engine", function()
  local function of(limits)
    local C, err = core.C, core.err()
    local eng = C.engine_new(core.ffi.new("struct engine_limits", limits), err)
    assert(C.engine_open_replay(eng, "test/data/fileless.scap", err) == 0, core.message(err))
    while C.engine_next(eng) == C.NEXT_EVENT do end
    local counters = stats.counters(eng)
    C.engine_free(eng)
    return counters
  end

  it("alarm when something found no room, and only then", function()
    local alarms = {}
    for _, counter in ipairs(of{ max_threads = 3 }) do
      if counter.alarming then alarms[#alarms + 1] = counter.text end
    end
    assert.equal(1, #alarms)
    assert.matches("^threads not kept .*: [1-9]%d*$", alarms[1])
    local calm = of{}
    assert.matches("^events: %d+$", calm[1].text)
    for _, counter in ipairs(calm) do assert.is_false(counter.alarming, counter.text) end
  end)
end)
