-- SPDX-License-Identifier: Apache-2.0
local diag = require "diag"
local scalar = require "rules.scalar"
local yaml = require "rules.yaml"

-- Every byte of the value must have been written where the map says, unless it was folded or escaped.
local function places(text)
  local diags = diag.new()
  local docs = yaml.parse(text, "t.yaml", diags)
  assert.equal("", diags:render())
  local node = yaml.get(docs[1], "k")
  local out = {}
  for i = 1, #node.text do
    out[i] = scalar.offset(node, text, i)
  end
  return node, out, scalar.offset(node, text, #node.text + 1)
end

local function check_words(text)
  local node, at = places(text)
  local words = 0
  for from, word in node.text:gmatch("()([%w.=]+)") do
    words = words + 1
    assert.equal(word, text:sub(at[from] + 1, at[from] + #word), "word " .. word .. " in " .. text)
  end
  for i = 2, #at do
    assert.is_true(at[i] >= at[i - 1])
  end
  assert.is_true(words > 0)
  return node, at
end

describe("places inside scalars", function()
  it("plain on one line", function()
    check_words "k: proc.name = cat and x\n"
  end)

  it("plain over several lines, with blank lines", function()
    local node = check_words "k: proc.name = cat\n  and   x\n\n\n  or y\nz: 1\n"
    assert.equal("proc.name = cat and   x\n\nor y", node.text)
  end)

  it("plain with carriage returns", function()
    check_words "k: a = b\r\n  and c\r\n\r\n  or d\r\n"
  end)

  it("single quoted, with doubled quotes and folding", function()
    local node, at = check_words "k: 'it''s a\n   b  \n\n  c'\n"
    assert.equal("it's a b\nc", node.text)
    assert.equal(6, at[3]) -- the first of the two quotes
    assert.equal(8, at[4])
  end)

  it("double quoted, with escapes, continuation lines and long characters", function()
    local text = 'k: "a\\tb \\\n   c\\u00e9\\x41 é d\\n\n  e \\U0001F600f"\n'
    local node, at = places(text)
    for _, letter in ipairs{ "a", "b", "c", "d", "e", "f" } do
      local i = node.text:find(letter, 1, true)
      assert.equal(letter, text:sub(at[i] + 1, at[i] + 1))
    end
  end)

  it("literal blocks", function()
    local node = check_words "k: |\n\n    a = b\n      c\n\n    d\nz: 1\n"
    assert.equal("\na = b\n  c\n\nd\n", node.text)
  end)

  it("literal blocks with an indentation of their own", function()
    local node = check_words "k: |2-\n    a\n   b\n"
    assert.equal("  a\n b", node.text)
  end)

  it("folded blocks: blank lines, more indented lines, comments in the header", function()
    local node = check_words "k: >  # why\n  a = b\n  and c\n\n  d\n    e f\n\n    g\n  h\n\n\n  i\nz: 1\n"
    assert.equal("a = b and c\nd\n  e f\n\n  g\nh\n\ni\n", node.text)
  end)

  it("folded blocks that keep their end", function()
    check_words "k: >+\n  a\n  b\n\n\nz: 1\n"
  end)

  it("folded blocks with carriage returns", function()
    check_words "k: >\r\n  a b\r\n  c\r\n\r\n  d\r\n"
  end)

  it("behind anchors and tags", function()
    check_words "k: &x !!str 'a b'\n"
    check_words "k: !!str &x >\n   a\n   b\n"
  end)

  it("the place after the last byte", function()
    local _, _, after = places "k: abc\nz: 1\n"
    assert.equal(6, after)
  end)

  it("aligns random scalars of every style", function()
    math.randomseed(7)
    local pieces = { "a", "bb", " ", "  ", "\n", "\n\n", "c.d", "=", "\n  ", "é" }
    for _ = 1, 400 do
      local lines = {}
      for i = 1, math.random(1, 12) do
        lines[i] = pieces[math.random(#pieces)]
      end
      local body = "w" .. table.concat(lines) .. "w"
      local head = ({ ">", "|", ">-", "|+" })[math.random(4)]
      check_words("k: " .. head .. "\n   " .. body:gsub("\n", "\n   ") .. "\nz: 1\n")
      check_words("k: '" .. body:gsub("\n", "\n   ") .. "'\nz: 1\n")
      check_words('k: "' .. body:gsub("\n", "\n   ") .. '"\nz: 1\n')
      check_words("k: " .. body:gsub("\n", "\n   ") .. "\nz: 1\n")
    end
  end)
end)
