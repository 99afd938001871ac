-- SPDX-License-Identifier: Apache-2.0
-- Rules files made to hurt: whatever they hold, loading them ends soon, takes bounded memory and says something sensible.
local core = require "core"
local diag = require "diag"
local json = require "json"
local results = require "results"
local rules = require "rules"
local support = dofile "spec/support.lua"

-- CPU seconds for each; the sanitized build is several times slower.
local LIMIT = os.getenv("LD_PRELOAD") and 60 or 8
local MEGABYTES = 600

-- VmRSS: MB at hand; VmHWM: at most since the process started, or since forget_peak().
local function memory(which)
  for line in io.lines("/proc/self/status") do
    local kb = line:match("^" .. which .. ":%s*(%d+)")
    if kb then
      return kb / 1024
    end
  end
end

local function forget_peak()
  local f = io.open("/proc/self/clear_refs", "w")
  if f then
    f:write("5")
    f:close()
  end
end

-- What other specs left behind is not ours.
collectgarbage()
collectgarbage()
forget_peak()
local AT_START = memory("VmRSS")

-- Loads, renders as text and as JSON. Errors as "line:column: message".
local function load(text)
  collectgarbage()
  local started, diags = os.clock(), diag.new()
  local ruleset = core.ffi.gc(core.C.ruleset_new(), core.C.ruleset_free)
  local result = rules.load{ files = { { name = "r.yaml", text = text } }, ruleset = ruleset, diag = diags }
  local shown = diags:render()
  local encoded = json.encode(results.of({ name = "r.yaml", text = text }, diags))
  local seconds = os.clock() - started
  assert.is_true(seconds < LIMIT, ("%.1f s"):format(seconds))
  assert.is_true(#shown < 3e6 and #encoded < 3e6, "long messages")
  return support.messages(diags), result, diags, shown
end

local function rule(condition, more)
  return support.rule("r", condition, more)
end

local function counted(n, form, separator)
  local parts = {}
  for i = 1, n do
    parts[i] = form:gsub("#", i)
  end
  return table.concat(parts, separator or "")
end

local E = "evt.type = openat and "

describe("hostile conditions", function()
  it("of ten thousand terms load", function()
    local errors, result = load(rule(E .. "(" .. counted(10000, "proc.name = p#", " or ") .. ")"))
    assert.same({}, errors)
    assert.truthy(rules.compile(result).match)
  end)

  it("of ten thousand terms have carets, too", function()
    local text = rule(E .. "(" .. counted(9999, "proc.name = p#", " or ") .. " or proc.nam = last)")
    local column = text:match("\n  condition: (.*)\n"):find("proc.nam =", 1, true) + 13
    local errors, _, _, shown = load(text)
    assert.equal(1, #errors)
    assert.matches(("^5:%d: unknown field 'proc.nam'"):format(column), errors[1])
    assert.matches("proc.nam = last)\n", shown, 1, true)
  end)

  it("of a megabyte load", function()
    local values = counted(72000, "value#______", ", ")
    assert.is_true(#values > 1e6)
    assert.same({}, (load(rule(E .. "proc.name in (" .. values .. ")"))))
    local errors = load(rule(E .. "proc.name in (" .. values .. ") and fd.nam = x"))
    assert.equal(1, #errors)
    assert.matches("^5:%d+: unknown field 'fd.nam'", errors[1])
    assert.matches("warning", (select(4, load(rule(counted(40000, "proc.name = abcdefghijklmn#", " or "))))))
  end)

  it("nest as deep as upstream has it, and not without end", function()
    for _, depth in ipairs{ 100, 199 } do
      assert.same({}, (load(rule(("("):rep(depth) .. "evt.type = openat" .. (")"):rep(depth)))))
    end
    for _, depth in ipairs{ 500, 5000, 300000 } do
      assert.same({ "5:213: more than 199 parentheses inside one another" },
        (load(rule(("("):rep(depth) .. "evt.type = openat" .. (")"):rep(depth)))))
    end
    assert.same({}, (load(rule(("not "):rep(100000) .. "evt.type = openat"))))
    assert.equal(1, #load(rule(E .. ("tolower("):rep(5000) .. "proc.name" .. (")"):rep(5000) .. " = a")))
    assert.equal(1, #load(rule(E .. "concat(" .. ("("):rep(50000) .. " = a")))
  end)

  it("hold expensive patterns", function()
    assert.equal(1, #load(rule(E .. "proc.name regex \"(a{1,1000}){1,1000}\"")))
    assert.same({}, (load(rule(E .. "proc.name regex \"" .. ("a|"):rep(100000) .. "b\""))))
    assert.same({}, (load(rule(E .. "proc.name glob \"" .. ("*a"):rep(50000) .. "\""))))
    assert.is_true(#load(rule(E .. "proc.name regex \"" .. ("(a*)*"):rep(1000) .. "(\"")) == 1)
  end)

  it("are one long word, or one long quote", function()
    local errors, _, _, shown = load(rule(E .. ("x"):rep(1000000)))
    assert.equal(1, #errors)
    assert.is_true(#errors[1] < 600 and #shown < 2000)
    assert.equal(1, #load(rule(E .. "proc.name = '" .. ("\\a"):rep(100000))))
    assert.equal(1, #load(rule(E .. ("proc.name = \\\""):rep(50000))))
  end)
end)

describe("hostile lists and macros", function()
  it("grow no further than a limit", function()
    local lists = "- list: l0\n  items: [a, b, c, d, e, f, g, h, i, j]\n"
    for i = 1, 20 do
      lists = lists .. ("- list: l%d\n  items: [%s]\n"):format(i, ("l%d, "):rep(10, ""):format((i - 1), (i - 1), (i - 1), (i - 1), (i - 1),
        (i - 1), (i - 1), (i - 1), (i - 1), (i - 1)):sub(1, -3))
    end
    local errors = load(lists .. rule(E .. "proc.name in (l20)"))
    assert.matches("makes the lists longer than 500000 items", errors[1])
    local macros = "- macro: m0\n  condition: evt.type = openat\n"
    for i = 1, 20 do
      macros = macros .. ("- macro: m%d\n  condition: %s\n"):format(i, counted(10, "m" .. (i - 1), " or "))
    end
    assert.matches("has more than 50000 comparisons", load(macros .. rule("m20"))[1])
  end)

  it("are pasted into conditions no further than a limit", function()
    -- the items of a list may be names of lists that come later in the file: they are replaced in turn
    local lists = "- list: a\n  items: [" .. counted(100, "b", ", ") .. "]\n- list: b\n  items: [" .. counted(100, "c", ", ")
      .. "]\n- list: c\n  items: [" .. counted(10000, "d", ", ") .. "]\n"
    assert.matches("with its lists the condition is longer than %d+ bytes", load(lists .. rule(E .. "proc.name in (a)"))[1])
    local wide = "- list: w\n  items: [" .. counted(20000, "word#", ", ") .. "]\n"
    local text = {}
    for i = 1, 400 do
      text[i] = support.rule("r" .. i, E .. "proc.name in (w)")
    end
    assert.matches("lists make the conditions longer than %d+ bytes in all", load(wide .. table.concat(text))[1])
  end)

  it("are named by the thousand in one condition", function()
    local use = rule(E .. "proc.name in (" .. counted(20000, "l#", ", ") .. ")")
    assert.same({}, (load(counted(20000, "- list: l#\n  items: [x#]\n", "") .. use)))
    -- each brings a name that is replaced in its turn
    local last = "- list: z\n  items: [q]\n"
    assert.matches("name too many lists", load(counted(20000, "- list: l#\n  items: [a z b]\n", "") .. last .. use)[1])
  end)

  it("refer to themselves in a circle of thousands", function()
    local text = counted(3000, "- macro: m#\n  condition: evt.type = open\n")
    for i = 1, 3000 do
      text = text .. ("- macro: m%d\n  condition: m%d or evt.type = open\n"):format(i, i % 3000 + 1)
    end
    local errors = load(text .. rule("m1"))
    assert.is_true(#errors >= 1)
  end)

  it("are many and all wrong", function()
    local errors, _, diags, shown = load(counted(5000, "- macro: m#\n  condition: n#\n"))
    assert.equal(1000, #errors)
    assert.equal(5000, diags.errors)
    assert.matches("\n4000 more are not shown\n$", shown)
    assert.equal(1000, #load(counted(3000, "- rule: r#\n  condition: and evt.type = x\n  override: {condition: append}\n")))
    assert.equal(1000, #load(counted(2000, "- rule: r#\n  desc: d\n  output: o\n  priority: info\n  condition: evt.typ = open\n")))
  end)
end)

describe("hostile YAML", function()
  it("nests without end", function()
    assert.equal(1, #load(("["):rep(200000)))
    assert.equal(1, #load(("{a: "):rep(200000)))
    assert.equal(1, #load(("- "):rep(500000)))
  end)

  it("multiplies by aliases", function()
    local text = "- list: a\n  items: &a0 [" .. ("x, "):rep(9) .. "x]\n"
    for i = 1, 20 do
      text = text .. ("- list: l%d\n  items: &a%d [%s]\n"):format(i, i, (("*a%d, "):format(i - 1)):rep(9) .. "x")
    end
    local errors = load(text)
    assert.is_true(#errors > 0 and #errors <= 1000)
    local bomb = "- rule: r\n  desc: d\n  output: o\n  priority: info\n  condition: evt.type = open\n  exceptions:\n    - name: e\n"
      .. "      fields: [proc.name, fd.name]\n      values: &v0 [[a, b], [a, b], [a, b], [a, b], [a, b], [a, b], [a, b], [a, b]]\n"
    for i = 1, 12 do
      bomb = bomb .. ("    - name: e%d\n      fields: [proc.name, fd.name]\n      values: &v%d [%s]\n"):format(i, i,
        (("*v%d, "):format(i - 1)):rep(7) .. "*v0")
    end
    assert.is_true(#load(bomb) > 0)
  end)

  it("is long", function()
    assert.same({ "1:1: this is a map, not a list of rules" }, (load(counted(30000, "k#: 1\n"))))
    assert.equal(1000, #load(("- 1\n"):rep(100000)))
    assert.matches("too many YAML nodes", load(("- 1\n"):rep(1100000))[1])
    assert.equal(1, #load("- rule: " .. ("x"):rep(1000000) .. "\n"))
    local errors = load("- rule: r\n  desc: d\n  priority: info\n  condition: evt.type = open\n  output: '" .. ("%proc.nam "):rep(100000)
      .. "'\n")
    assert.equal(100, #errors)
    assert.same({}, (load(rule("evt.type = open", "  exceptions:\n  - name: e\n    fields: [proc.name, fd.name]\n    values:\n"
      .. counted(5000, "      - [a#, b#]\n")))))
  end)

  it("is not text", function()
    local seed = 1
    local bytes = {}
    for i = 1, 100000 do
      seed = (seed * 16807) % 2147483647
      bytes[i] = string.char(seed % 256)
    end
    assert.equal(1, #load(table.concat(bytes)))
    assert.equal(1, #load(("\255"):rep(1000)))
    assert.equal(1, #load("- rule: \0\n"))
    assert.equal(1, #load(("\r"):rep(100000) .. "x"))
    assert.same({}, (load(("\n"):rep(1000000))))
    assert.same({}, (load("")))
  end)
end)

describe("all of that", function()
  it("takes bounded memory", function()
    local more = memory("VmHWM") - AT_START
    assert.is_true(os.getenv("LD_PRELOAD") ~= nil or more < MEGABYTES, ("%d MB more"):format(more))
  end)
end)
