-- SPDX-License-Identifier: Apache-2.0
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
