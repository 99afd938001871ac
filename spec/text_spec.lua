-- SPDX-License-Identifier: Apache-2.0
local text = require "text"

describe("text", function()
  it("is made well-formed UTF-8", function()
    assert.equal("plain", text.utf8("plain"))
    assert.equal("é€😀", text.utf8("é€😀"))
    assert.equal("a\239\191\189b", text.utf8("a\255b"))
    assert.equal("\239\191\189\239\191\189", text.utf8("\192\175"))                -- an overlong slash
    assert.equal("\239\191\189\239\191\189\239\191\189", text.utf8("\237\160\128"))   -- a surrogate
    assert.equal("x\239\191\189", text.utf8("x\226\130"):sub(1, 4))
  end)

  it("for terminals has nothing that they obey", function()
    assert.equal("?[31m ?]0;x?", text.printable("\27[31m \27]0;x\7"))
    assert.equal("a?b", text.printable("a\127b"))
    assert.equal("?31m", text.printable("\194\15531m"))                   -- CSI as U+009B
    assert.equal("\239\191\18931m", text.printable("\15531m"))            -- CSI as a byte
    assert.equal("tab\tline\né ü 日本", text.printable("tab\tline\né ü 日本"))
    assert.equal("??", text.printable("\0\1"))
  end)
end)
