-- SPDX-License-Identifier: Apache-2.0
local syntax = require "repl.syntax"

local function kinds(text)
  local out = {}
  for i, token in ipairs(syntax.tokens(text)) do
    out[i] = token.kind .. ":" .. token.text
  end
  return table.concat(out, " ")
end

describe("words of a condition", function()
  it("are told apart", function()
    for text, wanted in pairs{
      ["proc.name = cat"] = "field:proc.name op:= word:cat",
      ["proc.aname[2]!=x"] = "field:proc.aname[2] op:!= word:x",
      ["not (fd.name startswith /etc/)"] = "word:not (:( field:fd.name word:startswith bare:/etc/ ):)",
      ['a in ("x y", \'z\')'] = 'word:a word:in (:( string:"x y" ,:, string:\'z\' ):)',
      ['x = "open'] = 'word:x op:= open_string:"open',
      [ [[x = "a\"b" and]] ] = [[word:x op:= string:"a\"b" word:and]],
      ["fd.sip = 10.0.0.1/8"] = "field:fd.sip op:= number:10.0.0.1/8",
      [":why 3"] = "command::why number:3",
      ["proc.name = libx.so.6-2"] = "field:proc.name op:= bare:libx.so.6-2",
      [""] = "",
    } do
      assert.equal(wanted, kinds(text))
    end
  end)

  it("cover a text of anything without end or error", function()
    math.randomseed(7)
    for _ = 1, 300 do
      local bytes = {}
      for i = 1, math.random(0, 60) do bytes[i] = string.char(math.random(0, 255)) end
      local text, last = table.concat(bytes), 1
      for _, token in ipairs(syntax.tokens(text)) do
        assert.is_true(token.from >= last and token.stop > token.from and token.stop <= #text + 1)
        last = token.stop
      end
    end
  end)

  it("are bounded", function()
    assert.is_true(#syntax.tokens(("( "):rep(100000)) <= 4096)
  end)
end)

describe("a condition that must go on", function()
  it("has an open parenthesis or quote", function()
    for text, open in pairs{
      ["(a = b"] = true, ["(a = b)"] = false, ["a = b)"] = false, ['a = "b'] = true, ['a = "b)"'] = false, ['(a = ")"'] = true,
      ["a in (x,"] = true, ["a = 'b"] = true, [ [[a = "b\"]] ] = true, [""] = false,
    } do
      assert.equal(open, syntax.is_open(text), text)
    end
  end)
end)

describe("colours", function()
  it("stand at the bytes of the words", function()
    local text = "proc.name = sh and é_macro"
    local styles = syntax.styles(text, {})
    local seen = {}
    for i = 0, #text - 1 do seen[#seen + 1] = styles[i] end
    local cyan, yellow, magenta = 36, 33, 35
    for i = 1, 9 do assert.equal(cyan, seen[i]) end
    assert.equal(yellow, seen[11])
    for i = 16, 18 do assert.equal(magenta, seen[i]) end
    assert.equal(0, seen[20])
  end)

  it("are for fields that there are", function()
    assert.equal("\27[36mproc.name\27[0m", syntax.coloured("proc.name"))
    assert.equal("proc.nam", syntax.coloured("proc.nam"))
    assert.equal("\27[36mevt.arg[flags]\27[0m", syntax.coloured("evt.arg[flags]"))
    assert.equal("\27[34mmine\27[0m", syntax.coloured("mine", { mine = "macro" }))
  end)
end)
