-- SPDX-License-Identifier: Apache-2.0
local results = require "results"
local support = dofile "spec/support.lua"

local RULE = [[
- rule: r
  desc: d
  condition: evt.type = openat
  output: o
  priority: info
]]

local function result(text)
  local _, diags = support.load(text)
  return results.of({ name = "r.yaml", text = text }, diags), diags
end

local function place(l)
  local p = l.position
  return ("%s %s %s:%d:%d:%d"):format(l.item_type, l.item_name, p.name, p.line, p.column, p.offset)
end

-- Locations of the only error (or warning) of a file.
local function chain(text, list)
  local entries = result(text)[list or "errors"]
  assert.equal(1, #entries)
  local out = {}
  for i, l in ipairs(entries[1].context.locations) do out[i] = place(l) end
  return out, entries[1].context.snippet, entries[1]
end

local ROOT = "rules content  r.yaml:0:0:0"

describe("validation JSON", function()
  it("of a good file", function()
    assert.same({ name = "r.yaml", successful = true, schema_valid = true, schema_warnings = {}, errors = {}, warnings = {} },
      (result(RULE)))
  end)

  it("leads from the file to the key, counting from 0", function()
    local got, snippet, entry = chain((RULE:gsub("info", "urgent")))
    assert.same({ ROOT, "rule r r.yaml:0:2:2", "rule priority  r.yaml:4:12:75" }, got)
    assert.equal("  priority: urgent\n            ^\n", snippet)
    assert.same({ "LOAD_ERR_YAML_VALIDATE", "string" }, { entry.code, type(entry.codedesc) })
    assert.same({ ROOT, "rule r r.yaml:0:2:2", "value for output r.yaml:3:10:61" }, (chain((RULE:gsub("output: o", "output: [o]")))))
    assert.same({ ROOT, "rule r r.yaml:0:2:2" }, (chain((RULE:gsub("  desc: d\n", "")))))
    assert.same({ ROOT, "list l r.yaml:0:2:2", "value for items r.yaml:1:9:19", "list item  r.yaml:1:10:20" },
      (chain("- list: l\n  items: [[a]]\n")))
    assert.same({ ROOT, "rules content item  r.yaml:0:2:2" }, (chain("- x\n")))
    assert.same({ ROOT }, (chain("a: b\n")))
  end)

  it("leads into conditions and outputs", function()
    local got, snippet = chain((RULE:gsub("openat", "openat and proc.nam = x")))
    assert.same({ ROOT, "rule r r.yaml:0:2:2", "rule condition  r.yaml:2:13:33",
      'condition expression  "evt.type = openat...":2:35:55' }, got)
    assert.equal("  condition: evt.type = openat and proc.nam = x\n                                   ^\n", snippet)
    assert.same({ ROOT, "macro m r.yaml:0:2:2", "macro condition  r.yaml:1:13:24", 'condition expression  "(fd.num = 1":1:13:24' },
      (chain("- macro: m\n  condition: (fd.num = 1\n")))
    assert.same({ ROOT, "rule r r.yaml:0:2:2", 'condition expression  "evt.type = openat...":2:35:55' },
      (chain((RULE:gsub("openat", "openat and nosuch")))))
    assert.same({ ROOT, "rule r r.yaml:0:2:2", "rule output  r.yaml:3:10:61" }, (chain((RULE:gsub("output: o", "output: o %%fd.nam")))))
  end)

  it("leads into exceptions, overrides and required plugins", function()
    local exception = RULE .. "  exceptions:\n  - name: e\n    fields: proc.name\n"
    assert.same({ ROOT, "rule r r.yaml:0:2:2", "exception e r.yaml:6:4:98", "exception values  r.yaml:8:12:140" },
      (chain(exception .. "    values: x\n")))
    assert.same({ ROOT, "rule r r.yaml:0:2:2", "exception e r.yaml:6:4:98", "exception values  r.yaml:8:12:140",
      "exception value  r.yaml:8:13:141", "value for  r.yaml:8:13:141" }, (chain(exception .. "    values: ['']\n")))
    assert.same({ ROOT, "rule r r.yaml:5:2:82", "overrides  r.yaml:5:2:82", "overrides priority r.yaml:7:13:121" },
      (chain(RULE .. "- rule: r\n  priority: error\n  override: {priority: append}\n")))
    assert.same({ ROOT, "required plugin versions  r.yaml:1:2:30", "required plugin versions entry  r.yaml:1:4:32" },
      (chain("- required_plugin_versions:\n  - name: x\n")))
  end)

  it("counts bytes", function()
    local got = chain((RULE:gsub("rule: r", "rule: ééé"):gsub("info", "ééé")))
    assert.equal("rule priority  r.yaml:4:12:80", got[3])
    got = chain("# é\n- {rule: é, desc: d, output: o, priority: nö, condition: evt.type = openat}\n")
    assert.equal("rule priority  r.yaml:1:43:48", got[3])
  end)

  it("of a file that is no YAML says nothing of its form", function()
    local got, snippet = chain("- rule: r\n\tdesc: d\n")
    assert.same({ ROOT, "value for  r.yaml:1:0:10" }, got)
    assert.equal("\tdesc: d\n^\n", snippet)
    local r = result("- rule: r\n\tdesc: d\n")
    assert.is_nil(r.schema_valid)
    assert.is_false(r.successful)
  end)

  it("has warnings, with the old field that was used", function()
    local got, _, entry = chain((RULE:gsub("openat", "openat and evt.dir = <")), "warnings")
    assert.equal('condition expression  "evt.type = openat...":2:35:55', got[4])
    assert.same({ "LOAD_DEPRECATED_ITEM", "evt.dir" }, { entry.code, entry.deprecated_field })
    _, _, entry = chain((RULE:gsub("output: o", "output: '%%evt.latency.ns'")), "warnings")
    assert.same({ "LOAD_DEPRECATED_ITEM", "evt.latency.ns" }, { entry.code, entry.deprecated_field })
  end)

  it("names what a schema would refuse", function()
    local r = result(RULE .. "  prioriti: x\n" .. "- rule: s\n  desc: d\n  output: o\n  condition: evt.type = openat\n  priority: 3\n")
    assert.is_false(r.schema_valid)
    assert.same({ "failed for <root>[0]: unknown key 'prioriti' is ignored (did you mean 'priority'?)" }, { r.schema_warnings[1] })
    assert.matches("^failed for <root>%[1%]: '3' is no priority", r.schema_warnings[2])
    assert.is_true(result((RULE:gsub("openat", "opnat"))).schema_valid)
  end)

  it("cuts long lines around the place", function()
    local _, snippet = chain((RULE:gsub("openat", "openat and proc.name in (" .. ("abcdefghi, "):rep(40) .. "x) and fd.nam = 1 and proc.args in ("
      .. ("abcdefghi, "):rep(40) .. "x)")))
    local line, caret = snippet:match("^([^\n]*)\n( *)%^\n$")
    assert.equal(161, #line)
    assert.equal(80, #caret)
    assert.equal("fd.nam", line:sub(81, 86))
    assert.matches("^%.%.%..*%.%.%.$", line)
  end)

  it("counts a mistake for the file that met it", function()
    local texts = { "- macro: m\n  condition: proc.nam = x\n", (RULE:gsub("openat", "openat and m")) }
    local _, diags = support.load(texts)
    assert.is_true(results.of({ name = "r.yaml", text = texts[1] }, diags).successful)
    local second = results.of({ name = "r2.yaml", text = texts[2] }, diags)
    assert.equal("  condition: proc.nam = x\n             ^\n", second.errors[1].context.snippet)
  end)

  it("has a sentence for every code", function()
    for _, code in ipairs{ "LOAD_ERR_FILE_READ", "LOAD_UNKNOWN_KEY", "LOAD_NO_EVTTYPE" } do
      assert.is_true(#results.code_text(code) > 5)
    end
  end)
end)
