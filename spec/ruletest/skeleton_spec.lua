-- SPDX-License-Identifier: Apache-2.0
-- A skeleton of each rule that ships loads, and passes as it is.
local diag = require("diag")
local files = require("files")
local load = require("ruletest.load")
local run = require("ruletest.run")
local skeleton = require("ruletest.skeleton")

local RULES = "rules/falco_rules.yaml"

describe("skeletons of tests", function()
  it("pass as they are, for every rule that ships; many are hits at once", function()
    local group = assert(run.group({ RULES }, diag.new(), files.read))
    local hits = 0
    for _, rule in ipairs(group.result.rules) do
      local text = skeleton.text(group, rule, RULES)
      local diags = diag.new()
      group.diags = diags
      local tests = load.file("x_test.yaml", text, diags)
      assert.equal("", diags:render(), text)
      assert.equal(1, #tests, text)
      run.prepare(group, tests[1])
      assert.equal("", diags:render(), text)
      local result = run.test(group, tests[1], function(_, path) return path end)
      assert.same({}, result.failures, text)
      if result.alerts > 0 then hits = hits + 1 end
    end
    assert.is_true(hits >= 15, ("only %d skeletons hit"):format(hits))
  end)
end)
