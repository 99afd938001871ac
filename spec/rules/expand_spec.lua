-- SPDX-License-Identifier: Apache-2.0
local support = dofile "spec/support.lua"

local function list(name, items, more)
  return ("- list: %s\n  items: %s\n%s"):format(name, items, more or "")
end

local function macro(name, condition, more)
  return ("- macro: %s\n  condition: %s\n%s"):format(name, condition, more or "")
end

-- The condition of a rule behind `text`, as it is after all replacements.
local function expanded(text, condition)
  local result = support.good(text .. support.rule("r", condition, "  warn_evttypes: false\n"))
  return support.shape(result.rules[1].tree)
end

local function problems(text)
  local _, diags = support.load(text)
  return support.messages(diags)
end

describe("lists", function()
  it("stand for their items", function()
    assert.equal("proc.name in (a, b, c)", expanded(list("l", "[a, b]"), "proc.name in (l, c)"))
    assert.equal("proc.name in (c, a, b)", expanded(list("l", "[a, b]"), "proc.name in (c,l)"))
    assert.equal("proc.name = a", expanded(list("l", "[a]"), "proc.name=l"))
    assert.equal("proc.name in (a)", expanded(list("l", "[a]"), "proc.name in l"))
    assert.equal("fd.name pmatch (a, b)", expanded(list("l", "[a, b]"), "fd.name pmatch (l)"))
  end)

  it("are replaced between delimiters only", function()
    assert.equal("proc.name in (l2, xl, l.a)", expanded(list("l", "[a, b]"), "proc.name in (l2, xl, l.a)"))
    assert.equal("proc.name in (l, a)", expanded(list("l", "[a]"), "proc.name in ('l', l)"))
  end)

  it("may stand side by side", function()
    local text = list("l", "[a]") .. list("m", "[b, c]") .. list("e", "[]") .. list("n", "[d, l]")
    assert.equal("proc.name in (a, b, c, d, a, b, c)", expanded(text, "proc.name in (l,m, n , m)"))
    assert.equal("proc.name in (b, c, a)", expanded(text, "proc.name in (e, m, e, l, e)"))
    assert.equal('proc.name in ("x a b, c a y", z)', expanded(text, 'proc.name in ("x l m l y", z)'))
  end)

  it("get quotes around items with blanks, unless they have some", function()
    assert.equal('proc.name in ("a b", "c d", e)', expanded(list("l", [=[[a b, '"c d"', e]]=]), "proc.name in (l)"))
  end)

  it("are pasted as text: an item may be several values", function()
    assert.equal("proc.name in (a, b)", expanded(list("l", "['a,b']"), "proc.name in (l)"))
  end)

  it("may be empty, and take their comma along", function()
    assert.equal("proc.name in ()", expanded(list("l", "[]"), "proc.name in (l)"))
    assert.equal("proc.name in (a, b)", expanded(list("l", "[]"), "proc.name in (a, l, b)"))
    assert.equal("proc.name in (b)", expanded(list("l", "[]"), "proc.name in (l, b)"))
    assert.equal("proc.name in (a)", expanded(list("l", "[]"), "proc.name in (a, l)"))
    assert.equal("proc.name in ()", expanded(list("l", "[]"), "proc.name in (l, l)"))
  end)

  it("inside lists", function()
    local text = list("one", "[a, b]") .. list("two", "[one, c]") .. list("three", "[two, d]")
    assert.equal("proc.name in (a, b, c, d)", expanded(text, "proc.name in (three)"))
  end)

  it("grow by append and override, and see lists defined before that", function()
    local text = list("l", "[a]") .. list("other", "[x, y]") .. list("l", "[other, b]", "  override: {items: append}\n")
    assert.equal("proc.name in (a, x, y, b)", expanded(text, "proc.name in (l)"))
    assert.equal("proc.name in (z)", expanded(text .. list("l", "[z]"), "proc.name in (l)"))
  end)

  it("that contain themselves do not go on forever", function()
    local text = list("l", "[a]") .. list("l", "[l, b]", "  append: true\n")
    assert.equal("proc.name in (a, l, b)", expanded(text, "proc.name in (l)"))
  end)

  it("may not blow up", function()
    local out = { list("l0", "[a, b, c, d, e, f, g, h, i, j]") }
    for i = 1, 9 do
      out[#out + 1] = list("l" .. i, "[" .. ("l" .. i - 1 .. ", "):rep(9) .. "x]")
    end
    local found = problems(table.concat(out) .. support.rule("r", "proc.name in (l9)"))
    assert.truthy(found[1]:find("makes the lists longer", 1, true))
  end)

  it("may be defined in reverse by redefinition, as deep as someone likes", function()
    local out = {}
    for i = 1, 3000 do
      out[#out + 1] = list("l" .. i, "[x]")
    end
    for i = 1, 2999 do
      out[#out + 1] = list("l" .. i, "[l" .. i + 1 .. "]")
    end
    assert.truthy(problems(table.concat(out))[1]:find("lists inside one another", 1, true))
  end)

  it("name the item when the item is at fault", function()
    local found = problems(list("l", "[1, x]") .. support.rule("r", "fd.num in (l)"))
    assert.equal(1, #found)
    assert.truthy(found[1]:find("^2:14: fd.num: "))
  end)
end)

describe("macros", function()
  it("stand for their condition", function()
    assert.equal("((proc.name = a or proc.name = b) and fd.num > 3)",
      expanded(macro("m", "proc.name = a or proc.name = b"), "m and fd.num > 3"))
    assert.equal("(not proc.name = a and not proc.name = b)", expanded(macro("m", "proc.name = a or proc.name = b"), "not m"))
  end)

  it("use macros and lists before them", function()
    local text = list("l", "[a, b]") .. macro("m", "proc.name in (l)") .. macro("n", "m or proc.name = c")
    assert.equal("(proc.name in (a, b) or proc.name = c)", expanded(text, "n"))
  end)

  it("are text until they are whole: append keeps precedence", function()
    local text = macro("m", "proc.name = a and fd.num = 1") .. macro("m", "or proc.name = b", "  override: {condition: append}\n")
    assert.equal("((proc.name = a and fd.num = 1) or proc.name = b)", expanded(text, "m"))
  end)

  it("are not seen by macros before them", function()
    local found = problems(macro("m", "n") .. macro("n", "proc.name = a") .. support.rule("r", "m"))
    assert.same({ "2:14: undefined macro 'n'" }, found)
  end)

  it("are seen by macros that were redefined or appended to after them", function()
    local text = macro("m", "proc.name = a") .. macro("n", "proc.name = b") .. macro("m", "or n", "  append: true\n")
    assert.equal("(proc.name = a or proc.name = b)", expanded(text, "m"))
  end)

  it("are seen by all rules of the same and later files, not of earlier ones", function()
    support.good(support.rule("r", "m", "  warn_evttypes: false\n") .. macro("m", "proc.name = a"))
    support.good{ macro("m", "proc.name = a"), support.rule("r", "m") }
    local _, diags = support.load{ support.rule("r", "m"), macro("m", "proc.name = a") }
    assert.same({ "5:14: undefined macro 'm'" }, support.messages(diags))
    assert.truthy(diags:render():find("rules can only use macros of their own file", 1, true))
  end)

  it("are seen by a rule of an earlier file that their file changes", function()
    local rule, more = support.rule("r", "evt.type = open"), macro("m", "proc.name = a")
    for _, how in ipairs{ "append: true", "override: {condition: append}", "override: {condition: replace}" } do
      local condition = how:find("replace") and "evt.type = open and m" or "and m"
      support.good{ rule, more .. "- rule: r\n  condition: " .. condition .. "\n  " .. how .. "\n" }
    end
    -- the macros that a file brings after the change count, too; those of the next file do not
    local change = "- rule: r\n  condition: and m\n  override: {condition: append}\n"
    support.good{ rule, change .. more }
    local _, diags = support.load{ rule, change, more }
    assert.same({ "2:18: undefined macro 'm'" }, support.messages(diags))
  end)

  it("may not loop", function()
    local text = macro("m", "proc.name = a") .. macro("m", "or m", "  append: true\n") .. support.rule("r", "m")
    assert.same({ "4:17: macro 'm' comes back to itself" }, problems(text))
    text = macro("m", "proc.name = a") .. macro("n", "m") .. macro("m", "n") .. support.rule("r", "n")
    assert.same({ "4:14: macro 'm' comes back to itself" }, problems(text))
  end)

  it("may not blow up", function()
    local out = { macro("m0", "proc.name = a") }
    for i = 1, 40 do
      out[#out + 1] = macro("m" .. i, ("m%d and m%d"):format(i - 1, i - 1))
    end
    local found = problems(table.concat(out) .. support.rule("r", "m40"))
    assert.truthy(found[1]:find("more than 50000 comparisons", 1, true))
  end)

  it("may be chained, in bounds", function()
    local out = { macro("m0", "proc.name = a") }
    for i = 1, 1000 do
      out[#out + 1] = macro("m" .. i, ("m%d"):format(i - 1))
    end
    assert.equal("proc.name = a", expanded(table.concat(out), "m1000"))
    out = {}
    for i = 1, 3000 do
      out[#out + 1] = macro("m" .. i, "proc.name = a")
    end
    for i = 1, 2999 do
      out[#out + 1] = macro("m" .. i, "m" .. i + 1)
    end
    assert.truthy(problems(table.concat(out))[1]:find("macros inside one another", 1, true))
  end)

  it("suggest what was meant", function()
    local _, diags = support.load(macro("spawned_process", "proc.name = a") .. list("names", "[a]")
      .. support.rule("r", "spawned_proces") .. support.rule("s", "names"))
    local near, hint = diags.items[1].near, diags.items[1].hint
    assert.equal("spawned_process", near)
    assert.is_nil(hint)
  end)
end)
