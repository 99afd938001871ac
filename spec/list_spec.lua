-- SPDX-License-Identifier: Apache-2.0
local core = require "core"
local list = require "list"

describe("list of fields", function()
  it("has every field that is not hidden or deprecated, once", function()
    local names = list.fields{ source = "", names_only = true, format = "text" }
    local seen = {}
    for name in names:gmatch("[^\n]+") do
      assert.is_nil(seen[name], name)
      seen[name] = true
      assert.is_true(core.C.field_find(name, #name) >= 0, name)
    end
    assert.is_true(seen["proc.name"])
    assert.is_nil(seen["evt.latency"])
  end)

  it("comes in three forms", function()
    assert.matches("\nevt.num  +%S", (list.fields{ source = "syscall", format = "text" }))
    assert.matches("\n`evt.num` | UINT64 | ", (list.fields{ source = "", format = "markdown" }), 1, true)
    assert.matches('"name": "evt.num"', (list.fields{ source = "", format = "json" }), 1, true)
    assert.matches("(Type: UINT64)", (list.fields{ source = "", format = "text", verbose = true }), 1, true)
  end)

  it("keeps within the page", function()
    for line in list.fields{ source = "", format = "text" }:gmatch("[^\n]+") do assert.is_true(#line <= 120, line) end
  end)

  it("knows which sources there are", function()
    local text, message = list.fields{ source = "k8s_audit", format = "text" }
    assert.is_nil(text)
    assert.matches("k8s_audit", message)
  end)
end)

describe("list of events", function()
  it("has events, and system calls without one of their own", function()
    local text = list.events("text")
    assert.matches("\n< openat(FD **fd**", text, 1, true)
    assert.matches("\n## Metaevents\n", text, 1, true)
    assert.matches("\n< getxattr(SYSCALLID **ID**", text, 1, true)
  end)

  it("comes in three forms", function()
    assert.matches("Yes | `<` | `openat` | FD **fd**", list.events("markdown"), 1, true)
    assert.matches('"Syscall events": [', list.events("json"), 1, true)
  end)
end)

describe("description of rules", function()
  local result = {
    rules = {
      { name = "one", desc = ("word "):rep(30), condition = "evt.num = 1", output = "x", priority_name = "Notice",
        enabled = true,
        source = "syscall", tags = { "t" } },
      { name = "two", desc = "second", condition = "evt.num = 2", output = "y", priority_name = "Error",
        enabled = false,
        source = "syscall", tags = {} },
    },
    macros = { { name = "m", condition = "evt.num = 3", used = true } },
    lists = { { name = "l", items = { "a" }, used = false } },
    required_plugin_versions = {},
  }

  it("covers everything, or one rule", function()
    local all = list.describe(result)
    assert.equal("second", all.rules[2].info.description)
    assert.is_true(all.macros[1].details.used)
    assert.same({ "a" }, all.lists[1].info.items)
    local one = list.describe(result, "two")
    assert.equal(1, #one.rules)
    assert.is_nil(one.macros)
    assert.is_nil((list.describe(result, "three")))
  end)

  it("is wrapped in two columns", function()
    for line in list.describe_text(list.describe(result)):gmatch("[^\n]+") do assert.is_true(#line <= 110, line) end
  end)
end)
