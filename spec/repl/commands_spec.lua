-- SPDX-License-Identifier: Apache-2.0
local commands = require "repl.commands"
local lua = require "repl.cmd_lua"

describe("commands", function()
  it("have a name, a help, and something to do", function()
    local seen = {}
    for _, row in ipairs(commands.rows()) do
      assert.is_truthy(row.name:find("^%l+$"), row.name)
      assert.is_nil(seen[row.name])
      seen[row.name] = true
      assert.is_true(#row.help > 0 and not row.help:find("%.$") and type(row.fn) == "function")
    end
  end)

  it("may be cut short", function()
    assert.equal("explain", commands.find("expl").name)
    assert.equal("rule", commands.find("rule").name)
    local row, message = commands.find("ru")
    assert.is_nil(row)
    assert.equal("':ru' could be :rules, :rule", message)
    row, message = commands.find("whi")
    assert.is_nil(row)
    assert.equal("there is no command ':whi' (did you mean ':why'?)", message)
    assert.is_nil(commands.find(""))
  end)
end)

describe("Lua at the prompt", function()
  it("is what begins like it", function()
    assert.is_true(lua.is_lua("function on_event(evt) end"))
    assert.is_true(lua.is_lua("  local x = 1"))
    assert.is_false(lua.is_lua("proc.name = function"))
    assert.is_false(lua.is_lua("functional and evt.num = 1"))
  end)

  it("goes on while it is open", function()
    assert.is_true(lua.is_open("function on_event(evt)"))
    assert.is_true(lua.is_open(":lua f("))
    assert.is_false(lua.is_open("function on_event(evt) end"))
    assert.is_false(lua.is_open(":lua )"))
    assert.is_false(lua.is_open(":lua 1 + 1"))
  end)
end)
