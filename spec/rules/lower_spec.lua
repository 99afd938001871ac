-- SPDX-License-Identifier: Apache-2.0
local core = require "core"
local lower = require "rules.lower"
local support = dofile "spec/support.lua"

local C = core.C

local function rule(condition)
  return support.good(support.rule("r", condition, "  warn_evttypes: false\n")).rules[1]
end

-- Names of the codes that rules can see in the set, sorted; "all".
local function names(condition)
  local events = rule(condition).events
  if events.codes == lower.ALL then
    return "all"
  end
  local seen, out = {}, {}
  for code in pairs(events.codes) do
    local name = core.cstr(C.event_info(code).name)
    if C.event_is_seen(code) and not seen[name] then
      seen[name] = true
      out[#out + 1] = name
    end
  end
  table.sort(out)
  return table.concat(out, " ")
end

local function all_but(name)
  local count, has = 0, false
  for code in pairs(rule("evt.type != " .. name).events.codes) do
    count = count + 1
    has = has or core.cstr(C.event_info(code).name) == name
  end
  return count, has
end

describe("negation normal form", function()
  it("has 'not' at leaves only, and no needless levels", function()
    assert.equal("((not proc.name = a or not fd.num = 1) and fd.num = 2 and fd.num = 3)",
      support.shape(rule("not (proc.name = a and fd.num = 1) and (fd.num = 2 and not not fd.num = 3)").tree))
    assert.equal("(not proc.name = a and fd.num = 1 and not fd.num = 2)",
      support.shape(rule("not (proc.name = a or not (fd.num = 1 and not fd.num = 2))").tree))
  end)

  it("says of each leaf what its answer depends on", function()
    local tree = rule("proc.name = a and proc.pname = b and fd.name = c and evt.res = d and evt.deltatime > 1").tree
    local scopes = {}
    for i, leaf in ipairs(tree) do
      scopes[i] = leaf.scope
    end
    assert.same({ C.SCOPE_SELF, C.SCOPE_LINEAGE, C.SCOPE_FD, C.SCOPE_EVENT, C.SCOPE_STATEFUL }, scopes)
  end)

  it("shares leaves that ask the same, but none that remember", function()
    local result = support.good(support.rule("a", "proc.name = x and evt.deltatime > 1", "  warn_evttypes: false\n")
      .. support.rule("b", "proc.name = x and evt.deltatime > 1", "  warn_evttypes: false\n"))
    local a, b = result.rules[1].tree, result.rules[2].tree
    assert.equal(a[1].id, b[1].id)
    assert.are_not.equal(a[2].id, b[2].id)
  end)
end)

describe("events of a condition", function()
  it("are those it names", function()
    assert.equal("openat", names "evt.type = openat")
    assert.equal("close openat", names "evt.type in (openat, close)")
    assert.equal("openat", names "proc.name = a and evt.type = openat")
    assert.equal("close openat", names "(evt.type = openat and proc.name = a) or evt.type = close")
    assert.equal("close", names "evt.type in (openat, close) and not evt.type = openat")
    assert.equal("", names "evt.type = openat and evt.type = close")
    assert.equal("openat", names "syscall.type = openat")
  end)

  it("are all where it names none", function()
    assert.equal("all", names "proc.name = a")
    assert.equal("all", names "not proc.name = a")
    assert.equal("all", names "evt.type = openat or proc.name = a")
    assert.equal("all", names "not (evt.type = openat and proc.name = a)")
    assert.equal("all", names "evt.type startswith open")
    assert.equal("all", names "not evt.type startswith open")
    assert.equal("all", names "evt.type exists")
  end)

  it("take every code of a name, and leave every one out", function()
    local events = rule("evt.type = openat").events
    local n = 0
    for code = 0, C.event_count() - 1 do
      local is = core.cstr(C.event_info(code).name) == "openat"
      assert.equal(is or nil, events.codes[code])
      n = n + (is and 1 or 0)
    end
    assert.is_true(n >= 2)
    local count, has = all_but("openat")
    assert.equal(C.event_count() - n, count)
    assert.is_false(has)
  end)

  it("follow 'not' to the leaves", function()
    assert.equal(names "evt.type = openat", names "not evt.type != openat")
    assert.equal(names "evt.type = openat", names "not (not evt.type = openat)")
    assert.equal("openat", names "not (evt.type != openat or proc.name = a)")
    assert.equal("", names "not evt.type exists")
  end)

  it("are none or all for a number that is never 0", function()
    for _, never in ipairs{ "evt.num = 0", "evt.num < 1", "evt.num <= 0", "evt.num in (0, 0)", "not evt.num != 0", "not evt.num > 0",
                            "not evt.num >= 1", "evt.num = 0 and proc.name = a" } do
      assert.equal("", names(never), never)
    end
    for _, always in ipairs{ "evt.num != 0", "evt.num > 0", "evt.num >= 1", "not evt.num = 0", "evt.num = 1", "evt.num in (0, 1)",
                             "evt.num < 2", "evt.num > 1" } do
      assert.equal("all", names(always), always)
    end
  end)

  it("of syscalls without a code are generic ones, with their numbers", function()
    local events = rule("evt.type = getpid or evt.type = openat").events
    local generic, numbers = 0, {}
    for code in pairs(events.codes) do
      generic = generic + (C.event_is_generic(code) and 1 or 0)
    end
    for sc in pairs(lower.syscalls(events)) do
      numbers[core.cstr(C.syscall_name(sc))] = true
    end
    assert.equal(2, generic)
    assert.same({ getpid = true, openat = true }, numbers)
    events = rule("evt.type = openat").events
    for code in pairs(events.codes) do
      assert.is_false(C.event_is_generic(code))
    end
  end)

  it("always include async events", function()
    assert.is_true(lower.can_match(rule("evt.type = openat").events, C.event_async_code()))
  end)
end)

describe("what a code decides", function()
  local function code_of(name)
    for code = 0, C.event_count() - 1 do
      if C.event_is_seen(code) and core.cstr(C.event_info(code).name) == name then
        return code
      end
    end
  end

  local function special(condition, name)
    local left = lower.specialise(rule(condition).tree, code_of(name))
    return type(left) == "table" and support.shape(left) or left
  end

  it("is taken out", function()
    local condition = "(evt.type = openat and proc.name = a) or (evt.type = close and fd.num = 1 and not proc.name = b)"
    assert.equal("proc.name = a", special(condition, "openat"))
    assert.equal("(fd.num = 1 and not proc.name = b)", special(condition, "close"))
    assert.is_false(special(condition, "connect"))
    assert.is_true(special("evt.type = openat or proc.name = a", "openat"))
    assert.is_false(special("not evt.type = openat and proc.name = a", "openat"))
  end)

  it("is nothing for generic and async events", function()
    assert.equal("evt.type = getpid", special("evt.type = getpid", "syscall"))
    local tree = rule("evt.type = openat").tree
    assert.is_nil(lower.decided(tree, C.event_async_code()))
  end)

  it("is nothing where the condition remembers", function()
    assert.same({}, lower.deciders(rule("evt.type = openat and evt.deltatime > 1").tree))
    assert.equal(1, #lower.deciders(rule("evt.type = openat and fd.num > 1").tree))
  end)
end)
