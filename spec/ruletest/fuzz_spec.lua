-- SPDX-License-Identifier: Apache-2.0
-- Test files that were damaged at random: diagnostics or tests come of them, and nothing else.
local diag = require("diag")
local files = require("files")
local load = require("ruletest.load")
local run = require("ruletest.run")

local ROUNDS = tonumber(os.getenv("FALCO_FUZZ_ROUNDS")) or 1500

local STATE = [[
- test: state
  users: [{uid: 33, name: www}]
  groups: [{gid: 33, name: web}]
  interfaces: 10.0.0.1
  containers: [{container.id: abc123, container.name: web}]
  processes:
    - {proc.pid: 10, proc.name: nginx, user.uid: 33, fds: [{fd.num: 5, fd.type: ipv4, fd.name: "10.0.0.9:555->10.0.0.1:80"}]}
    - {proc.pid: 11, proc.ppid: 10, proc.name: sh, proc.args: [a, b]}
  events:
    - execve: {proc.pid: 11, proc.name: nc, proc.args: -l}
      match: none
    - {sched_yield: {}, at: 1.5, times: 3}
  expect: [{rule: Mining program started, count: 0, fields: {proc.name: x}, where: proc.name = x, output: y, event: 1}]
]]

local WORDS = { "*a", "&a ", "{", "}", "[", "]", ": ", "- ", "'", '"', "\n", "  ", "null", "-1", "99999999999999999999", "1e308", "0x", "~",
  "|", "\\", "proc.pid", "fd.name", "match", "times", "\0", "\255", "proc.aname[2]", "true", "none", ">= 0" }

-- Single tests of the files of rules/tests.
local function seeds()
  local out = { STATE, STATE, STATE, STATE }
  for _, name in ipairs{ "containers", "programs", "files", "privileges", "trusted" } do
    local text = assert(files.read(("rules/tests/%s_test.yaml"):format(name)))
    for item in (text .. "\n- "):gmatch("(%- test.-)\n%f[%-]") do out[#out + 1] = item end
  end
  return out
end

local DAMAGE = {
  function(t, at) return t:sub(1, at - 1) .. WORDS[math.random(#WORDS)] .. t:sub(at) end,
  function(t, at) return t:sub(1, at - 1) .. t:sub(at + math.random(6)) end,
  function(t, at) return t:sub(1, at - 1) .. string.char(math.random(0, 255)) .. t:sub(at + 1) end,
  function(t, at)
    local from = math.random(#t)
    return t:sub(1, at) .. t:sub(from, from + math.random(40)) .. t:sub(at + 1)
  end,
}

describe("damaged test files", function()
  it("bring diagnostics or run", function()
    math.randomseed(20)
    local group = assert(run.group({ "rules/falco_rules.yaml" }, diag.new(), files.read))
    local list, mistakes, ran = seeds(), 0, 0
    for _ = 1, ROUNDS do
      local text = list[math.random(#list)]
      for _ = 1, math.random(4) do
        if #text > 0 then text = DAMAGE[math.random(#DAMAGE)](text, math.random(#text)) end
      end
      local ok, message = xpcall(function()
        local diags = diag.new()
        group.diags = diags
        local tests = load.file("x_test.yaml", text, diags)
        for _, test in ipairs(tests) do run.prepare(group, test) end
        mistakes = mistakes + (diags:render() ~= "" and 1 or 0)
        for _, test in ipairs(diags.errors == 0 and tests or {}) do
          run.test(group, test, function(_, path) return path end)
          ran = ran + 1
        end
      end, debug.traceback)
      assert.is_true(ok, ok or (message .. "\n" .. text))
    end
    assert.is_true(mistakes > ROUNDS / 4 and ran > ROUNDS / 100, ("%d mistakes, %d ran"):format(mistakes, ran))
  end)
end)
