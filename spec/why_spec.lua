-- SPDX-License-Identifier: Apache-2.0
-- The tree that says why agrees with the engine on (rule, event) pairs of the captures.
--   FALCO_LONG=1   every pair; else each event in STRIDE, and all that match
local core = require "core"
local diag = require "diag"
local rules = require "rules"
local scan = require "scan"
local support = dofile "spec/support.lua"
local why = require "why"

local STRIDE = os.getenv("FALCO_LONG") and 1 or 37

local function captures()
  local out, pipe = {}, io.popen("ls test/data/*.scap")
  for path in pipe:lines() do
    out[#out + 1] = path
  end
  pipe:close()
  return out
end

local function shipped()
  local f = assert(io.open("rules/falco_rules.yaml"))
  local text = f:read("*a")
  f:close()
  local result = support.good(text)
  for _, rule in ipairs(result.rules) do
    rule.enabled = true
  end
  return result
end

local function conds_of(result)
  local out = {}
  for i, rule in ipairs(result.rules) do
    out[i] = { ast = rule.ast, tree = rule.tree, events = rule.events }
  end
  return out
end

-- Holds for what decided: the whole follows from the deciding comparisons alone.
local function follows(node)
  local value
  if node.kind == "check" then
    return node.value
  elseif node.kind == "macro" then
    return follows(node[1])
  elseif node.kind == "not" then
    return not follows(node[1])
  end
  for _, child in ipairs(node) do
    if child.decides then
      local v = follows(child)
      if value == nil then
        value = v
      elseif node.kind == "and" then
        value = value and v
      else
        value = value or v
      end
    end
  end
  return value
end

describe("why", function()
  it("agrees with the engine on pairs of rules and events", function()
    local result = shipped()
    local prog = rules.compile(result, { matching = "all" })
    for code = 0, core.C.event_count() - 1 do
      core.C.ruleset_want(result.ruleset, code, -1)
    end
    local conds, judged, matched = conds_of(result), 0, 0
    for _, capture in ipairs(captures()) do
      local hits = {}                       -- by event: the rules that the engine matched
      support.replay(capture, result.ruleset, function(evt, head)
        local n = prog.match(evt)
        if n > 0 then
          local set = {}
          for i = 0, n - 1 do set[prog.hits[i]] = true end
          hits[tonumber(head.num)] = set
        end
      end)
      local other = shipped()
      core.C.ruleset_gate(other.ruleset, 0)
      for code = 0, core.C.event_count() - 1 do
        core.C.ruleset_want(other.ruleset, code, -1)
      end
      conds = conds_of(other)
      support.replay(capture, other.ruleset, function(evt, head)
        local num = tonumber(head.num)
        local set = hits[num]
        if num % STRIDE ~= 0 and not set then return end
        for i, cond in ipairs(conds) do
          local tree = why.explain(cond, evt, head)
          if tree.match ~= (set and set[i] or false) then
            error(("%s, event %d, rule %s: %s"):format(capture, num, other.rules[i].name, why.text(tree)), 0)
          end
          if follows(tree) ~= tree.value then
            error("does not follow from what decided: " .. why.text(tree), 0)
          end
          judged, matched = judged + 1, matched + (tree.match and 1 or 0)
        end
      end)
      core.C.ruleset_free(other.ruleset)
    end
    core.C.ruleset_free(result.ruleset)
    print(("# why: %d pairs judged, %d of them match"):format(judged, matched))
    assert.is_true(judged > 100000 and matched > 100, ("%d pairs, %d matched"):format(judged, matched))
  end)

  local s, cond, hits

  setup(function()
    s = assert(scan.open{ files = { "test/data/sensitive.scap" } })
    cond = s:condition("evt.type in (open, openat) and proc.name = cat and not fd.name startswith /usr", diag.new())
    hits = assert(s:find(cond))
  end)

  teardown(function() s:close() end)

  it("tells what was found, and what decided", function()
    local tree = assert(s:why(cond, hits:list(1)[1]))
    assert.is_true(tree.match)
    local deciding = why.deciding(tree)
    assert.equal(3, #deciding)
    assert.equal("cat", deciding[2].actual)
    assert.equal("proc.name", deciding[2].field)
    local text = why.text(tree)
    assert.truthy(text:find("=> true    proc.name = cat  # proc.name is cat", 1, true), text)
    assert.falsy(text:find("\27", 1, true))
    assert.truthy(why.text(tree, { colour = true }):find("\27", 1, true))
  end)

  it("says that no rule looks at an event of another type", function()
    local close = assert(s:find(assert(s:condition("evt.type = close", diag.new()))))
    local tree = assert(s:why(cond, close:list(1)[1]))
    assert.is_false(tree.wanted)
    assert.is_false(tree.match)
  end)

  it("finds the one comparison that is in the way", function()
    local near = assert(s:near(cond, { limit = 5 }))
    assert.is_true(near.count > 0)
    for _, event in ipairs(near.events) do
      local tree = assert(s:why(cond, event.num))
      assert.is_false(tree.match)
      assert.equal(1, #why.deciding(tree))
    end
  end)

  it("knows what a condition remembers", function()
    local remembering = s:condition("evt.type = openat and evt.deltatime > 200000", diag.new())
    local found = assert(s:find(remembering))
    assert.is_true(found.count > 1)
    local num = 0
    for _, hit in ipairs(found:list(5)) do
      for at = hit - 1, hit do
        local tree = s:why(remembering, at)
        if tree then assert.equal(found:has(at), tree.match, "event " .. at) end
      end
      num = hit
    end
    assert.is_true(num > 0)
  end)
end)
