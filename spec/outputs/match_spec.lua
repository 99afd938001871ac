-- SPDX-License-Identifier: Apache-2.0
local match = require "outputs.match"

local function record(more)
  local r = { rule = "Shell in container", source = "syscall", priority = 4, tags = { "shell", "network" }, values = { ["proc.name"] = "bash" } }
  for key, value in pairs(more or {}) do r[key] = value end
  return r
end

local function field(r, name) return r.values[name] end

local function holds(conf, more)
  return match.new(conf, field)(record(more))
end

describe("globs", function()
  it("stand for any text", function()
    for _, case in ipairs{ { "a", "a", true }, { "a", "ab", false }, { "*", "", true }, { "*", "x", true }, { "a*", "abc", true }, { "*c", "abc", true },
      { "a*c", "abc", true }, { "a*c", "ac", true }, { "aa*aa", "aaa", false }, { "aa*aa", "aaaa", true }, { "*b*", "abc", true }, { "a*b*c", "a1b2c", true },
      { "a*b*c", "acb", false }, { "a**c", "abc", true }, { "*a*b*", "ba", false }, { "%d*", "%d1", true }, { "%d*", "11", false }, { "", "", true },
      { "", "x", false }, { "a*bc*c", "abcc", true }, { "a*bc*c", "abc", false } } do
      assert.equal(case[3], match.glob(case[1])(case[2]), case[1] .. " " .. case[2])
    end
  end)

  it("take no longer for texts that nearly match", function()
    local test, long = match.glob(("*a"):rep(200) .. "*b"), ("a"):rep(100000)
    local began = os.clock()
    for _ = 1, 100 do assert.is_false(test(long)) end
    assert.is_true(os.clock() - began < 2)
  end)
end)

describe("matches", function()
  it("are everything when nothing is given", function()
    assert.is_true(holds(nil))
    assert.is_true(holds{ rule = {}, tags = {}, priority = "", source = "", fields = {} })
  end)

  it("want all that is given", function()
    local all = { rule = { "Shell*" }, tags = { "shell" }, priority = "warning", source = "syscall", fields = { ["proc.name"] = "ba*" } }
    assert.is_true(holds(all))
    for _, less in ipairs{ { rule = "Other" }, { tags = { "network" } }, { priority = 5 }, { source = "x" }, { values = { ["proc.name"] = "cat" } },
      { values = {} } } do
      assert.is_false(holds(all, less))
    end
  end)

  it("want one of several names or values, and all of several tags", function()
    assert.is_true(holds{ rule = { "x", "Shell in container" } })
    assert.is_true(holds{ fields = { ["proc.name"] = { "zsh", "bash" } } })
    assert.is_true(holds{ tags = { "shell", "network" } })
    assert.is_false(holds{ tags = { "shell", "x" } })
  end)

  it("take more important alerts, too", function()
    assert.is_true(holds({ priority = "Notice" }, { priority = 0 }))
    assert.is_false(holds({ priority = "error" }, { priority = 4 }))
  end)

  it("compare numbers of fields as texts", function()
    assert.is_true(holds({ fields = { n = 5 } }, { values = { n = "5" } }))
  end)
end)
