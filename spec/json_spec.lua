-- SPDX-License-Identifier: Apache-2.0
local json = require "json"

describe("JSON", function()
  it("sorts keys", function()
    assert.equal('{"a":1,"b":true,"c":null}', json.encode{ b = true, c = json.null, a = 1 })
  end)

  it("tells arrays from objects", function()
    assert.equal('[[],{},[1,"x"]]', json.encode{ json.array(), {}, { 1, "x" } })
  end)

  it("escapes strings", function()
    assert.equal([["a\"b\\c\n\t\u0001]] .. "\127/é" .. '"', json.encode('a"b\\c\n\t\1\127/é'))
  end)

  it("replaces what is not UTF-8", function()
    local bad = "\239\191\189"
    assert.equal('"x' .. bad .. 'y"', json.encode("x\255y"))
    assert.equal('"' .. bad .. bad .. '"', json.encode("\192\128"))
    assert.equal('"' .. bad .. bad .. bad .. '"', json.encode("\237\160\128"))
  end)

  it("writes 64-bit numbers whole", function()
    assert.equal("[18446744073709551615,-9223372036854775808]", json.encode{ 18446744073709551615ULL,
      -9223372036854775807LL - 1 })
    assert.equal("[9007199254740991,0.5]", json.encode{ 2 ^ 53 - 1, .5 })
  end)

  it("indents", function()
    assert.equal('{\n  "a": [\n    1\n  ],\n  "b": {}\n}', json.encode({ a = { 1 }, b = {} }, 2))
  end)
end)
