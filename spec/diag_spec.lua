-- SPDX-License-Identifier: Apache-2.0
local diag = require "diag"

describe("edit distance", function()
  it("counts inserts, deletes, replacements and swaps", function()
    assert.equal(0, diag.distance("abc", "abc"))
    assert.equal(1, diag.distance("abc", "ab"))
    assert.equal(1, diag.distance("abc", "acb"))
    assert.equal(2, diag.distance("abc", "xbcy"))
    assert.equal(3, diag.distance("", "abc"))
  end)

  it("gives up beyond the limit", function()
    assert.is_nil(diag.distance("abcdef", "ghijkl", 3))
    assert.is_nil(diag.distance("a", "abcdef", 3))
  end)

  it("suggests the nearest candidate, or none", function()
    assert.equal("proc.name", diag.suggest("proc.nam", { "proc.pname", "proc.name", "fd.name" }))
    assert.equal("Critical", diag.suggest("critcal", { "Error", "Critical" }))
    assert.is_nil(diag.suggest("zzz", { "proc.name" }))
    assert.is_nil(diag.suggest(("x"):rep(5000), { "proc.name" }))
  end)
end)

describe("diagnostics", function()
  it("show the line, a caret under the word, and what was meant", function()
    local d = diag.new()
    d:source("r.yaml", "a: 1\n\tcondition: proc.nam = x\n")
    d:error("LOAD_ERR_VALIDATE", { file = "r.yaml", offset = 17, end_offset = 25 }, "unknown field 'proc.nam'",
      { near = "proc.name", hint = "see --list" })
    assert.equal(table.concat{
      "r.yaml:2:13: error: unknown field 'proc.nam' (did you mean 'proc.name'?) [LOAD_ERR_VALIDATE]\n",
      "    2 | \tcondition: proc.nam = x\n",
      "      | \t           ^~~~~~~~\n",
      "      see --list\n",
    }, d:render())
  end)

  it("count columns in characters", function()
    local d = diag.new()
    d:source("r.yaml", "é: ü = x\n")
    local e = d:error(nil, { file = "r.yaml", offset = 9, end_offset = 10 }, "no")
    assert.equal(8, e.column)
    assert.truthy(d:render():find("\n      |        ^\n", 1, true))
  end)

  it("come sorted by place, and are counted", function()
    local d = diag.new()
    d:source("a", "1\n2\n3\n")
    d:error("X", { file = "a", line = 3, column = 1 }, "third")
    d:warning("Y", { file = "a", line = 1, column = 1 }, "first")
    assert.equal(1, d.errors)
    assert.equal(1, d.warnings)
    local text = d:render()
    assert.is_true(text:find("first") < text:find("third"))
    assert.is_nil(d:render{ level = "error" }:find("first"))
  end)

  it("cut long lines around the caret", function()
    local d = diag.new()
    d:source("a", ("x"):rep(5000) .. "HERE" .. ("y"):rep(5000))
    d:error("X", { file = "a", offset = 5000, end_offset = 5004 }, "far")
    local line, caret = d:render():match("\n    1 | ([^\n]*)\n      | ([^\n]*)\n")
    assert.is_true(#line < 200)
    assert.equal("HERE", line:sub(caret:find("%^"), caret:find("%^") + 3))
  end)

  it("let no control characters through to the terminal", function()
    local d = diag.new()
    d:source("a", "x\27[31m\n")
    d:error("X", { file = "a", line = 1, column = 1 }, "bad \27]0;name\7")
    assert.is_nil(d:render():find("[\27\7]"))
  end)

  it("paint only when asked", function()
    local d = diag.new()
    d:error("X", nil, "no place")
    assert.equal("falco: error: no place [X]\n", d:render())
    assert.truthy(d:render{ color = true }:find("\27[", 1, true))
  end)
end)
