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
  it("is wrapped in two columns", function()
    local described = { rules = { { info = { name = "one", description = ("word "):rep(30) } },
      { info = { name = ("long "):rep(12), description = "second" } } } }
    local text = list.describe_text(described)
    assert.matches("^Rule +Description\n", text)
    for line in text:gmatch("[^\n]+") do assert.is_true(#line <= 110, line) end
  end)
end)

describe("support", function()
  it("has the configuration as it can be written, and nothing of our own making", function()
    local config = require("conf").load{ diag = require("diag").new() }
    config.path = "x"
    local text = list.support({ "--support" }, config, { { name = "r.yaml", text = "- list: a\n" } })
    local keys = text:match('"config":(%b{})')
    assert.matches('"json_output":false', keys, 1, true)
    for _, key in ipairs{ "given", "files", "absent", "missing", "path" } do
      assert.is_nil(keys:find('"' .. key .. '":', 1, true), key)
    end
    assert.matches('"content":"- list: a\\n"', text, 1, true)
  end)
end)
