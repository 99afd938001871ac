-- SPDX-License-Identifier: Apache-2.0
local diag = require "diag"
local yaml = require "rules.yaml"

local function parse(text)
  local diags = diag.new()
  return yaml.parse(text, "t.yaml", diags), diags
end

local function problem(text)
  local docs, diags = parse(text)
  assert.is_nil(docs)
  local d = diags.items[1]
  return ("%d:%d: %s"):format(d.line, d.column, d.message)
end

describe("YAML nodes", function()
  it("know their kind, text and place", function()
    local docs = parse "a: [x, 'y']\nb:\n  c: 1\n"
    local root = docs[1]
    assert.equal("map", root.kind)
    local list = yaml.get(root, "a")
    assert.equal("seq", list.kind)
    assert.same({ 2, "x", true, "y", false }, { #list, list[1].text, list[1].plain, list[2].text, list[2].plain })
    assert.same({ 1, 8, 7, 10 }, { list[2].line, list[2].column, list[2].offset, list[2].end_offset })
    local c = yaml.get(yaml.get(root, "b"), "c")
    assert.same({ 3, 6, 20 }, { c.line, c.column, c.offset })
  end)

  it("count offsets in bytes and columns in characters", function()
    local docs = parse "é: ü\nx: y\n"
    local u, y = yaml.get(docs[1], "é"), yaml.get(docs[1], "x")
    assert.same({ 4, 4, 6 }, { u.column, u.offset, u.end_offset })
    assert.same({ 2, 4, 10 }, { y.line, y.column, y.offset })
  end)

  it("come after a byte order mark and with carriage returns", function()
    local docs = parse "\239\187\191a: b\r\nc: d\r\n"
    local d = yaml.get(docs[1], "c")
    assert.same({ "d", 2, 4, 12 }, { d.text, d.line, d.column, d.offset })
  end)

  it("of all documents", function()
    local docs = parse "a\n---\n---\n- b\n"
    assert.equal(3, #docs)
    assert.is_true(yaml.is_null(docs[2]))
    assert.equal("b", docs[3][1].text)
    assert.same({}, (parse ""))
  end)

  it("share what an alias names", function()
    local docs = parse "a: &x {k: v}\nb: *x\n"
    assert.equal(yaml.get(docs[1], "a"), yaml.get(docs[1], "b"))
  end)

  it("keep the first of equal keys", function()
    local docs = parse "a: 1\na: 2\n"
    assert.equal("1", yaml.get(docs[1], "a").text)
    assert.equal(2, #docs[1])
  end)
end)

describe("YAML values", function()
  local function value(text, read)
    return read(yaml.get(parse("k: " .. text .. "\n")[1], "k"))
  end

  it("are null, booleans and numbers only when plain", function()
    assert.is_true(value("~", yaml.is_null))
    assert.is_true(value("", yaml.is_null))
    assert.is_false(value("''", yaml.is_null))
    assert.is_true(value("Yes", yaml.bool))
    assert.is_false(value("off", yaml.bool))
    assert.is_nil(value("'true'", yaml.bool))
    assert.equal(31, value("0x1f", yaml.int))
    assert.equal(-5, value("-5", yaml.int))
    assert.equal(8, value("0o10", yaml.int))
    assert.is_nil(value("1.5", yaml.int))
    assert.equal(1500, value("1.5e3", yaml.number))
    assert.is_nil(value("1.5 s", yaml.number))
  end)

  it("become Lua tables", function()
    local docs = parse "a: [1, x, 'true', true, {b: ~}]\n"
    assert.same({ a = { 1, "x", "true", true, {} } }, yaml.plain(docs[1]))
  end)

  it("refuse to become huge", function()
    local lines = { "a0: &a0 [x, x, x, x, x, x, x, x, x, x]" }
    for i = 1, 9 do
      lines[i + 1] = ("a%d: &a%d [*a%d%s]"):format(i, i, i - 1, (", *a%d"):format(i - 1):rep(9))
    end
    local docs = parse(table.concat(lines, "\n") .. "\n")
    local plain, why = yaml.plain(docs[1])
    assert.is_nil(plain)
    assert.truthy(why)
  end)
end)

describe("bad YAML", function()
  it("is refused with its place", function()
    assert.truthy(problem("a: [\nb: x\n"):find("^3:1: not valid YAML"))
    assert.truthy(problem("a: b\n\tc: d\n"):find("^2:1: "))
    assert.truthy(problem("é: \1\n"):find("^1:4: "))
    assert.truthy(problem("a: \255\n"):find("^1:4: "))
  end)

  it("is refused when nested too deep", function()
    assert.truthy(problem(("["):rep(70)):find("nested too deep", 1, true))
    assert.truthy(parse(("["):rep(60) .. ("]"):rep(60)))
  end)

  it("is refused when an alias has no anchor, or lies inside of it", function()
    assert.truthy(problem("a: *b\n"):find("^1:4: the alias '%*b' has no anchor"))
    assert.truthy(problem("a: &b [*b]\n"):find("inside its own anchor", 1, true))
  end)
end)
