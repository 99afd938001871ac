-- SPDX-License-Identifier: Apache-2.0
local core = require "core"
local diag = require "diag"
local rules = require "rules"
local support = dofile "spec/support.lua"

local QUIET = "  warn_evttypes: false\n"

local function by_name(result)
  local out = {}
  for _, rule in ipairs(result.rules) do
    out[rule.name] = rule
  end
  return out
end

local function errors(text, opts)
  local _, diags = support.load(text, opts)
  return support.messages(diags)
end

local function warnings(text)
  local _, diags = support.good(text)
  return support.codes(diags, "warning")
end

local BASE = [[
- rule: r
  desc: what
  condition: evt.type = openat
  output: "  out %proc.name "
  priority: warning
  tags: [b, a, b]
]]

local function override(body, keys)
  return BASE .. "- rule: r\n" .. body .. "\n  override: {" .. keys .. "}\n"
end

describe("a rule", function()
  it("has what was written, and defaults", function()
    local rule = support.good(BASE).rules[1]
    assert.same({ "r", "what", "out %proc.name", 4, "Warning", "syscall", true, false, 0 }, { rule.name, rule.desc, rule.output, rule.priority,
      rule.priority_name, rule.source, rule.enabled, rule.capture, rule.capture_duration })
    assert.same({ "a", "b" }, rule.tags)
    assert.same({ "r.yaml", 1, 9, 1 }, { rule.file, rule.line, rule.column, rule.index })
  end)

  it("takes priorities in any case, and 'info'", function()
    for text, number in pairs{ INFO = 6, informational = 6, Emergency = 0, debug = 7 } do
      assert.equal(number, support.good((BASE:gsub("warning", text))).rules[1].priority)
    end
    assert.same({ "5:13: 'wraning' is no priority" }, errors((BASE:gsub("warning", "wraning"))))
  end)

  it("below the priority asked for is loaded but off", function()
    local result = support.good(BASE, { min_priority = 3 })
    assert.is_false(result.rules[1].enabled)
    rules.select(result, { { enable = true, rule = "r" } })
    assert.is_false(result.rules[1].enabled)
  end)

  it("needs its keys", function()
    assert.same({ "1:9: rule 'r' lacks 'desc' and 'priority'" },
      errors("- rule: r\n  condition: evt.type = openat\n  output: o\n"))
    assert.same({ "3:3: 'condition' has no value" }, errors((BASE:gsub("evt.type = openat", ""))))
    assert.same({ "4:11: 'output' wants a single value, not a list" }, errors((BASE:gsub('"  out %%proc.name "', "[a]"))))
    assert.same({ "7:12: 'enabled' wants true or false, not 'maybe'" }, errors(BASE .. "  enabled: maybe\n"))
  end)

  it("of an unknown source is skipped with a warning", function()
    local result, diags = support.good((BASE:gsub("desc: what", "source: k8s_audit\n  desc: what"):gsub("evt.type = openat", "ka.verb = x")))
    assert.equal(0, #result.rules)
    assert.same({ "LOAD_UNKNOWN_SOURCE" }, support.codes(diags, "warning"))
  end)

  it("with unknown fields can ask to be skipped", function()
    local text = BASE:gsub("evt.type = openat", "proc.new = 1") .. "  skip-if-unknown-filter: true\n"
    local result, diags = support.good(text)
    assert.equal(0, #result.rules)
    assert.same({ "LOAD_UNKNOWN_FILTER" }, support.codes(diags, "warning"))
    text = BASE:gsub("%%proc.name", "%%proc.new") .. "  skip-if-unknown-filter: true\n"
    assert.equal(0, #support.good(text).rules)
    text = BASE:gsub("evt.type = openat", "fd.num > x") .. "  skip-if-unknown-filter: true\n"
    assert.equal(1, #errors(text))
  end)

  it("that looks at everything gets a warning, if it wants", function()
    local text = BASE:gsub("evt.type = openat", "proc.name = a")
    assert.same({ "LOAD_NO_EVTTYPE" }, warnings(text))
    assert.same({}, warnings(text .. QUIET))
  end)

  it("warns about keys that mean nothing, and about doubtful constants", function()
    assert.same({ "LOAD_UNKNOWN_KEY" }, warnings(BASE .. "  prioriti: x\n"))
    assert.same({ "LOAD_UNKNOWN_KEY" }, warnings(BASE .. "  desc: again\n"))
    assert.same({ "LOAD_COMPILE_CONDITION" }, warnings((BASE:gsub("openat", "openat and proc.name = proc.pname"))))
    assert.same({ "LOAD_COMPILE_CONDITION" }, warnings((BASE:gsub("openat", "openat and proc.name regex ab.*"))))
    assert.same({}, warnings((BASE:gsub("openat", "openat and proc.name regex a.*b"))))
    assert.same({ "LOAD_DEPRECATED_ITEM" }, warnings((BASE:gsub("openat", "openat and evt.dir = <"))))
  end)

  it("loses %container.info from its output", function()
    local result, diags = support.good((BASE:gsub("  out ", "  out %%container.info and ")))
    assert.equal("out  and %proc.name", result.rules[1].output)
    assert.same({ "LOAD_DEPRECATED_ITEM" }, support.codes(diags, "warning"))
  end)

  it("gets the outputs that the configuration adds", function()
    local result = support.good(BASE .. BASE:gsub("rule: r", "rule: s"):gsub("tags: .*", "tags: [c]\n"), { append_output = {
      { format = "all=%fd.num" }, { tags = { "a" }, format = "a=%fd.name" }, { rule = "s", format = "s" }, { source = "other", format = "no" },
      { fields = { { name = "n", format = "%proc.pname" } } },
    } })
    assert.equal("out %proc.name all=%fd.num a=%fd.name", result.rules[1].output)
    assert.equal("out %proc.name all=%fd.num s", result.rules[2].output)
    assert.equal("n", result.rules[1].extra_fields[1].name)
    local _, diags = support.load(BASE, { append_output = { { format = "x=%fd.nmu" } } })
    assert.same({ "1:4: unknown field 'fd.nmu'" }, support.messages(diags))
  end)
end)

describe("defining again", function()
  it("replaces the contents at the first place", function()
    local other = BASE:gsub("rule: r", "rule: s")
    local result = support.good(BASE .. other .. BASE:gsub("openat", "close"):gsub("what", "again"))
    assert.same({ "r", "s" }, { result.rules[1].name, result.rules[2].name })
    assert.same({ "again", "evt.type = close" }, { result.rules[1].desc, result.rules[1].condition })
  end)

  it("cannot change the source", function()
    assert.same({ "7:9: rule 'r' is defined again, with another source ('syscall' before)" },
      errors(BASE .. BASE:gsub("desc: what", "source: x\n  desc: what")))
  end)
end)

describe("override", function()
  it("appends", function()
    local rule = support.good(override("  condition: and proc.name = x\n  output: more\n  desc: longer\n  tags: [c]",
      "condition: append, output: append, desc: append, tags: append")).rules[1]
    assert.same({ "evt.type = openat and proc.name = x", "out %proc.name more", "what longer" }, { rule.condition, rule.output, rule.desc })
    assert.same({ "a", "b", "c" }, rule.tags)
  end)

  it("replaces", function()
    local rule = support.good(override(
      "  condition: evt.type = close\n  output: new\n  priority: error\n  enabled: false\n  tags: [z]\n  capture: true\n  capture_duration: 5",
      "condition: replace, output: replace, priority: replace, enabled: replace, tags: replace, capture: replace, capture_duration: replace"))
      .rules[1]
    assert.same({ "evt.type = close", "new", 3, false, true, 5 }, { rule.condition, rule.output, rule.priority, rule.enabled, rule.capture,
      rule.capture_duration })
    assert.same({ "z" }, rule.tags)
  end)

  it("has to fit", function()
    assert.same({ "9:14: 'priority' cannot be appended to" }, errors(override("  priority: error", "priority: append")))
    assert.same({ "9:20: 'desc' can be overridden by 'append' or 'replace' only" }, errors(override("  desc: x", "desc: add")))
    assert.same({ "9:14: 'override' wants to append 'desc', but there is no 'desc' here" },
      errors(override("  output: x", "desc: append, output: append")))
    assert.same({ "8:3: 'override' does not say what to do with 'output'" },
      errors(BASE .. "- rule: r\n  output: x\n  desc: y\n  override: {desc: replace}\n"))
    assert.same({ "1:9: there is no rule 'r' yet to append to or override" }, errors("- rule: r\n  desc: x\n  override: {desc: append}\n"))
    assert.same({ "9:3: 'append' and 'override' exclude each other" }, errors(BASE .. "- rule: r\n  desc: x\n  append: true\n  override: {desc: append}\n"))
  end)

  it("has an older form", function()
    local result, diags = support.good(BASE .. "- rule: r\n  condition: and proc.name = x\n  append: true\n")
    assert.equal("evt.type = openat and proc.name = x", result.rules[1].condition)
    assert.same({ "LOAD_DEPRECATED_ITEM" }, support.codes(diags, "warning"))
    assert.same({ "7:9: nothing to append to rule 'r': neither 'condition' nor 'exceptions'" }, errors(BASE .. "- rule: r\n  tags: [x]\n  append: true\n"))
    assert.same({ "1:9: there is no rule 'q' yet to append to or override" }, errors("- rule: q\n  condition: x\n  append: true\n"))
  end)

  it("of 'enabled' alone also has one", function()
    local result, diags = support.good(BASE .. "- rule: r\n  enabled: false\n")
    assert.is_false(result.rules[1].enabled)
    assert.same({ "LOAD_DEPRECATED_ITEM" }, support.codes(diags, "warning"))
  end)

  it("points at text that was appended", function()
    local text = BASE .. "- rule: r\n  condition: >\n    and\n    proc.nam = x\n  override: {condition: append}\n"
    assert.same({ "10:5: unknown field 'proc.nam' (did you mean 'proc.name'?)" }, errors(text))
  end)
end)

describe("exceptions", function()
  local function condition(exceptions)
    return support.good(BASE .. "  exceptions:\n" .. exceptions)
  end

  it("of several fields", function()
    local rule = condition("  - name: e\n    fields: [proc.name, fd.name, fd.num]\n    comps: [in, startswith, =]\n"
      .. "    values:\n    - [[a, b c], /etc, 3]\n    - [x, /usr, 4]\n").rules[1]
    assert.equal('(evt.type = openat) and not (( proc.name in (a, "b c") and  fd.name startswith /etc and  fd.num = 3) or '
      .. "( proc.name in (x) and  fd.name startswith /usr and  fd.num = 4))", rule.condition)
    assert.same({ "evt.type = openat", 'not proc.name in (a, "b c")', "not fd.name startswith /etc", "not fd.num = 3", "not proc.name in (x)",
      "not fd.name startswith /usr", "not fd.num = 4" }, support.literals(rule))
  end)

  it("compare with '=' when they do not say", function()
    local rule = condition("  - name: e\n    fields: [proc.name, fd.num]\n    values:\n    - [a, 3]\n").rules[1]
    assert.same({ "evt.type = openat", "not proc.name = a", "not fd.num = 3" }, support.literals(rule))
  end)

  it("of one field", function()
    local rule = condition("  - name: e\n    fields: proc.name\n    values: [a, b c]\n").rules[1]
    assert.equal('(evt.type = openat) and not (proc.name in (a, "b c"))', rule.condition)
    rule = condition("  - name: e\n    fields: fd.name\n    comps: startswith oneof\n    values: [/a, /b]\n").rules[1]
    assert.same({ "evt.type = openat", "not fd.name startswith oneof (/a, /b)" }, support.literals(rule))
    rule = condition("  - name: e\n    fields: fd.name\n    comps: pmatch\n    values: [/a, /b]\n").rules[1]
    assert.same({ "evt.type = openat", "not fd.name pmatch (/a, /b)" }, support.literals(rule))
  end)

  it("use lists", function()
    local result = support.good("- list: l\n  items: [a, b]\n" .. BASE .. "  exceptions:\n  - name: e\n    fields: proc.name\n    values: [l, c]\n")
    assert.same({ "evt.type = openat", "not proc.name in (a, b, c)" }, support.literals(result.rules[1]))
  end)

  it("without values add nothing", function()
    assert.same({ "evt.type = openat" }, support.literals(condition("  - name: e\n    fields: [proc.name]\n").rules[1]))
    assert.same({ "evt.type = openat" }, support.literals(support.good(BASE .. "  exceptions:\n").rules[1]))
  end)

  it("get more values by append, and whole new exceptions", function()
    local text = BASE .. "  exceptions:\n  - {name: e, fields: [proc.name, fd.num], values: [[a, 1]]}\n"
      .. "- rule: r\n  exceptions:\n  - {name: e, values: [[b, 2]]}\n  - {name: f, fields: proc.pname, values: [c]}\n"
      .. "  override: {exceptions: append}\n"
    assert.same({ "evt.type = openat", "not proc.name = a", "not fd.num = 1", "not proc.name = b", "not fd.num = 2", "not proc.pname in (c)" },
      support.literals(support.good(text).rules[1]))
  end)

  it("are checked", function()
    local function found(exception)
      return errors(BASE .. "  exceptions:\n  - " .. exception .. "\n")[1]
    end
    assert.equal("8:5: exception 'e' lacks 'fields'", found "{name: e}")
    assert.equal("8:5: an exception needs a 'name'", found "{fields: proc.name}")
    assert.equal("8:5: an exception is a map with 'name', 'fields', 'comps' and 'values'", found "e")
    assert.equal("8:62: exception 'e' has 2 fields, but this has 1 value", found "{name: e, fields: [proc.name, fd.num]         , values: [[a]]}")
    assert.equal("8:48: exception 'e' needs as many 'comps' as 'fields': 2", found "{name: e, fields: [proc.name, a.b], comps: [=], values: []}")
    assert.truthy(found("{name: e, fields: [proc.name], comps: [eq], values: []}"):find("'eq' is no operator", 1, true))
    assert.truthy(found("{name: e, fields: proc.name, comps: startswith, values: []}"):find("cannot compare one field with a list", 1, true))
    assert.truthy(found("{name: e, fields: proc.name, values: [[a]]}"):find("the values must be single", 1, true))
    assert.truthy(found("{name: e, fields: proc.nam, values: [a]}"):find("8:23: unknown field 'proc.nam'", 1, true))
    assert.truthy(found("{name: e, fields: [fd.num, proc.nam]}"):find("8:32: unknown field 'proc.nam'", 1, true))
    assert.truthy(found("{name: e, fields: fd.num, values: [x]}"):find("^8:40: "))
  end)

  it("warn about names used twice and appends that add nothing", function()
    assert.same({ "LOAD_EXCEPTION_NAME_NOT_UNIQUE" }, warnings(BASE
      .. "  exceptions:\n  - {name: e, fields: proc.name, values: [a]}\n  - {name: e, fields: proc.pname, values: [a]}\n"))
    assert.same({ "LOAD_APPEND_NO_VALUES" }, warnings(BASE .. "  exceptions:\n  - {name: e, fields: proc.name, values: [a]}\n"
      .. "- rule: r\n  exceptions: [{name: e}]\n  override: {exceptions: append}\n"))
  end)
end)

describe("a rules file", function()
  it("may be empty, or have several documents", function()
    assert.equal(0, #support.good("").rules)
    assert.equal(0, #support.good("# nothing\n").rules)
    assert.equal(2, #support.good(BASE .. "---\n" .. BASE:gsub("rule: r", "rule: s")).rules)
  end)

  it("is a list of maps", function()
    assert.same({ "1:1: this is a map, not a list of rules" }, errors("a: b\n"))
    assert.same({ "1:3: an item of a rules file is a map, like '- rule: name', not a single value" }, errors("- a\n"))
    local _, diags = support.good("- rul: x\n")
    assert.same({ "LOAD_UNKNOWN_ITEM" }, support.codes(diags, "warning"))
    assert.equal("rule", diags.items[1].near)
  end)

  it("that cannot be read is an error", function()
    local diags = diag.new()
    local result = rules.load{ files = { { name = "x.yaml", error = "no such file" } }, ruleset = core.C.ruleset_new(), diag = diags }
    assert.is_false(result.ok)
    assert.equal("x.yaml: error: cannot be read: no such file [LOAD_ERR_FILE_READ]\n", diags:render())
  end)

  it("can want an engine", function()
    assert.equal("0.31.0", support.good("- required_engine_version: 31\n").required_engine_version)
    assert.equal("0.57.0", support.good("- required_engine_version: 0.57.0\n- required_engine_version: 0.31.0\n").required_engine_version)
    assert.same({ "1:28: these rules want engine version 0.99.0; this engine is 0.63.0" }, errors("- required_engine_version: 0.99.0\n"))
    assert.same({ "1:28: 'new' is no version" }, errors("- required_engine_version: new\n"))
  end)

  it("can want plugins", function()
    local result = support.good("- required_plugin_versions:\n  - name: container\n    version: 0.4.0\n")
    assert.same({ { name = "container", version = "0.4.0", alternatives = {} } }, result.required_plugin_versions)
    support.good("- required_plugin_versions:\n  - name: x\n    version: 1.0.0\n    alternatives: [{name: container, version: 0.4.0}]\n")
    assert.same({ "2:5: these rules want a plugin that is not there: k8saudit (>= 0.7.0) or json (>= 0.7.0)" }, errors(
      "- required_plugin_versions:\n  - name: k8saudit\n    version: 0.7.0\n    alternatives: [{name: json, version: 0.7.0}]\n"))
    assert.same({ "3:14: 'x' is no version of plugin 'container'" }, errors("- required_plugin_versions:\n  - name: container\n    version: x\n"))
  end)

  it("has names that can be used", function()
    assert.same({ "LOAD_INVALID_MACRO_NAME", "LOAD_UNUSED_MACRO" }, (function()
      local w = warnings("- macro: a-b\n  condition: proc.name = x\n")
      table.sort(w)
      return w
    end)())
    assert.same({ "LOAD_INVALID_LIST_NAME", "LOAD_UNUSED_LIST" }, (function()
      local w = warnings("- list: a b\n  items: []\n")
      table.sort(w)
      return w
    end)())
  end)

  it("is told what it does not use", function()
    assert.same({ "LOAD_UNUSED_LIST", "LOAD_UNUSED_MACRO" }, warnings("- list: l\n  items: [a]\n- macro: m\n  condition: proc.name = x\n"))
  end)

  it("with many mistakes is told all of them, with line, caret and advice", function()
    local text = table.concat{
      "- macro: spawned\n  condition: evt.type in (execve, execvat)\n",
      "- rule: first\n  desc: d\n  condition: >\n    spawned and\n      proc.nam = cat\n\n    and spwned\n  output: \"x %proc.nmae\"\n  priority: critcal\n",
      "- rule: second\n  desc: d\n  condition: |\n    proc.name inn (a)\n      and fd.num > x\n  output: o\n  priority: info\n",
      "- rule: third\n  condition: proc.name =\n    \"a\" and\n    or\n",
    }
    local _, diags = support.load(text)
    local found = support.messages(diags)
    assert.equal(9, #found, table.concat(found, "\n"))
    local rendered = diags:render{ level = "error" }
    for _, expected in ipairs{
      "r.yaml:7:7: error: unknown field 'proc.nam' (did you mean 'proc.name'?) [LOAD_ERR_COMPILE_CONDITION]\n    7 |       proc.nam = cat\n      |       ^~~~~~~~\n",
      "r.yaml:9:9: error: undefined macro 'spwned' (did you mean 'spawned'?) [LOAD_ERR_VALIDATE]\n    9 |     and spwned\n      |         ^~~~~~\n",
      "r.yaml:10:15: error: unknown field 'proc.nmae' (did you mean 'proc.name'?) [LOAD_ERR_COMPILE_OUTPUT]\n",
      "r.yaml:11:13: error: 'critcal' is no priority (did you mean 'Critical'?) [LOAD_ERR_YAML_VALIDATE]\n",
      "r.yaml:15:15: error: 'inn' is no operator (did you mean 'in'?)",
      "r.yaml:16:20: error: expected a number after '>', not 'x'",
      "r.yaml:19:9: error: rule 'third' lacks 'output' and 'desc' and 'priority'",
      "r.yaml:22:5: error: expected a condition, not 'or'",
      "no event type 'execvat' (did you mean 'execveat'?)",
    } do
      assert.truthy(rendered:find(expected, 1, true), expected .. "\nnot in\n" .. rendered)
    end
  end)
end)

describe("a single condition", function()
  it("compiles to a program, or to errors", function()
    local diags = diag.new()
    local rs = core.C.ruleset_new()
    local prog = rules.condition{ text = "evt.type = openat and fd.num >= 0", ruleset = rs, diag = diags }
    local n, hits = 0, 0
    support.replay("test/data/procs.scap", rs, function(evt)
      n, hits = n + 1, hits + prog.match(evt)
    end)
    assert.is_true(n > 0 and hits > 0 and hits <= n)
    assert.is_nil(rules.condition{ text = "evt.typ = openat", ruleset = rs, diag = diags })
    assert.truthy(diags:render():find("condition:1:1: error: unknown field 'evt.typ'", 1, true))
  end)

  it("may use macros and lists of rules", function()
    local result = support.good("- list: l\n  items: [openat]\n- macro: m\n  condition: evt.type in (l)\n" .. support.rule("r", "m"))
    assert.truthy(rules.condition{ text = "m and proc.name in (l)", ruleset = result.ruleset, diag = diag.new(), result = result })
  end)
end)

describe("select", function()
  it("switches rules by glob, part of the name, or tag, in order", function()
    local text = BASE:gsub("rule: r", "rule: read it") .. BASE:gsub("rule: r", "rule: write it"):gsub("tags: .*", "tags: [w]\n")
    local function enabled(steps)
      local result = support.good(text)
      rules.select(result, steps)
      local rule = by_name(result)
      return { rule["read it"].enabled, rule["write it"].enabled }
    end
    assert.same({ false, false }, enabled{ { enable = false, rule = "*" } })
    assert.same({ false, true }, enabled{ { enable = false, rule = "read*" } })
    assert.same({ true, true }, enabled{ { enable = false, rule = "read" } })
    assert.same({ false, true }, enabled{ { enable = false, rule = "ead", substring = true } })
    assert.same({ false, true }, enabled{ { enable = false, rule = "*" }, { enable = true, tag = "w" } })
  end)
end)
