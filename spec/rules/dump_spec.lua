-- SPDX-License-Identifier: Apache-2.0
local dump = require "rules.dump"
local rules = require "rules"
local support = dofile "spec/support.lua"

local function load(condition, more)
  local result = support.good(support.rule("r", condition, "  warn_evttypes: false\n" .. (more or "")))
  return result, result.rules[1]
end

-- Lines of the tree with runs of blanks made one.
local function lines(condition, more)
  local _, rule = load(condition, more)
  local out = {}
  for line in dump.tree(rule):gmatch("([^\n]+)\n") do
    out[#out + 1] = line:gsub("(%S) +", "%1 ")
  end
  return out
end

describe("--dump-ast", function()
  it("shows the normal form with leaves, scopes and event types", function()
    assert.same({
      "rule 'r'",
      "  at r.yaml:1:9, Informational, enabled",
      "  events: open openat",
      "  and -> open openat",
      "    leaf 0 (event) evt.type in (open, openat) -> open openat",
      "    or",
      "      not leaf 1 (self) proc.name = a",
      "      not leaf 2 (fd) fd.name startswith /etc",
      "    leaf 3 (lineage) proc.pname exists",
    }, lines("evt.type in (open, openat) and not (proc.name = a and fd.name startswith /etc) and proc.pname exists"))
  end)

  it("names system calls without an event of their own", function()
    assert.equal("  events: getppid stat", lines("evt.type in (getppid, stat)")[3])
  end)

  it("says when a rule can never match, and when it looks at everything", function()
    assert.equal("  events: no event", lines("evt.type = open and evt.type = close")[3])
    assert.equal("  events: all", lines("proc.name = a")[3])
    assert.matches("^  events: %d+ event types$", lines("evt.type != open")[3])
    assert.equal("  at r.yaml:1:9, Informational, not enabled", lines("evt.type = open", "  enabled: false\n")[2])
  end)

  it("shows stateful leaves and no control characters", function()
    assert.equal("  leaf 0 (stateful) evt.deltatime > 1", lines("evt.deltatime > 1")[4])
    assert.equal("  leaf 0 (self) proc.name = \"a?[31mb\"", lines([["proc.name = 'a\\x1b[31mb'"]])[4])
  end)
end)

describe("--dump-code", function()
  it("shows the generated function and what its leaves are", function()
    local result, rule = load("evt.type = open and (proc.name = a or not fd.num = 1)")
    local text = rules.code(result, rule)
    assert.matches("f1 = function(e) return (C.leaf(e, 0) ~= 0 and (C.leaf(e, 1) ~= 0 or C.leaf(e, 2) == 0)) end", text, 1, true)
    assert.matches("-- 2: fd.num = 1\n", text, 1, true)
  end)

  it("shows rules that are off, too", function()
    local result, rule = load("evt.type = open", "  enabled: false\n")
    assert.matches("C.leaf(e, 0) ~= 0", rules.code(result, rule), 1, true)
  end)
end)
