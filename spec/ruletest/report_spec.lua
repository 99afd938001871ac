-- SPDX-License-Identifier: Apache-2.0
local report = require("ruletest.report")

local function told(format, results)
  local out = {}
  local r = report.new(format, { write = function(text) out[#out + 1] = text end, color = false, verbose = true })
  r:begin(#results)
  for _, result in ipairs(results) do r:test(result, function(node) return "x_test.yaml:" .. node .. ":1" end) end
  r:finish{ passed = 1, failed = 1, ns = 2e9 }
  return table.concat(out)
end

local RESULTS = {
  { test = { name = "good #1", file = "x_test.yaml" }, failures = {}, ns = 1e9 },
  { test = { name = "bad <&\"\1>", file = "x_test.yaml" }, failures = { { node = 7, message = "a < b\27[31m", lines = { "- one", "+ two" } } }, ns = 1e9 },
}

describe("reports of tests", function()
  it("for people", function()
    assert.equal("ok    good #1  (1.000 s)\nFAIL  bad <&\"?>\n      x_test.yaml:7:1: a < b?[31m\n        - one\n        + two\n2 tests, 1 failed  (2.000 s)\n",
      told("pretty", RESULTS))
  end)

  it("as TAP", function()
    assert.equal("TAP version 13\n1..2\nok 1 - good \\#1\nnot ok 2 - bad <&\"?>\n# x_test.yaml:7:1: a < b?[31m\n#   - one\n#   + two\n", told("tap", RESULTS))
  end)

  it("as XML", function()
    assert.equal([[
<?xml version="1.0" encoding="UTF-8"?>
<testsuite name="falco test" tests="2" failures="1" errors="0" time="2.000">
  <testcase name="good #1" classname="x_test.yaml" time="1.000"/>
  <testcase name="bad &lt;&amp;&quot;?&gt;" classname="x_test.yaml" time="1.000">
    <failure message="a &lt; b?[31m">x_test.yaml:7:1: a &lt; b?[31m
  - one
  + two</failure>
  </testcase>
</testsuite>
]], told("junit", RESULTS))
  end)

  it("of mistakes, when nothing could run", function()
    local list = { { place = "x_test.yaml:3:1", message = "unknown key '<'" }, { message = "no" } }
    local function mistakes(format)
      local out = {}
      report.new(format, { write = function(text) out[#out + 1] = text end }):mistakes(list)
      return table.concat(out)
    end
    assert.equal("", mistakes("pretty"))
    assert.equal("TAP version 13\nBail out! x_test.yaml:3:1: unknown key '<' (and 1 more)\n", mistakes("tap"))
    assert.equal([[
<?xml version="1.0" encoding="UTF-8"?>
<testsuite name="falco test" tests="1" failures="0" errors="1" time="0.000">
  <testcase name="loading" classname="falco test" time="0.000">
    <error message="unknown key '&lt;'">x_test.yaml:3:1: unknown key '&lt;'</error>
    <error message="no">no</error>
  </testcase>
</testsuite>
]], mistakes("junit"))
  end)
end)
