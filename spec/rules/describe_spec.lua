-- SPDX-License-Identifier: Apache-2.0
local describe_rules = require "rules.describe"
local json = require "json"
local support = dofile "spec/support.lua"

local TEXT = [=[
- required_engine_version: 0.31.0
- required_plugin_versions:
  - name: container
    version: 0.2.0
    alternatives: [{name: other, version: 1.2.3}]
- list: shells
  items: [bash, sh]
- list: programs
  items: [shells, "two words", vi]
- macro: opens
  condition: evt.type in (open, openat)
- macro: opened
  condition: opens and fd.num >= 0
- rule: one
  desc: first
  condition: opened and proc.name in (programs) and not fd.name startswith oneof (/etc, "/a b")
  output: o %fd.name %toupper(proc.name)
  priority: warning
  tags: [b, a]
  exceptions:
  - name: e
    fields: [proc.pname, fd.num]
    comps: [in, =]
    values: [[[x, y], 3]]
  - name: none
    fields: user.name
- rule: one
  condition: and proc.args exists
  output: and %evt.num
  override: {condition: append, output: append}
- rule: two
  desc: second
  condition: evt.type = getppid and container.id != host
  output: o
  priority: info
  enabled: false
]=]

local result = support.good(TEXT)
local all = describe_rules.all(result)

describe("a rule's description", function()
  local one, two = all.rules[1], all.rules[2]

  it("has what was written, appends included, exceptions not", function()
    assert.same({
      name = "one", description = "first", source = "syscall", priority = "Warning", enabled = true, capture = false,
      capture_duration = 0, tags = { "a", "b" }, output = "o %fd.name %toupper(proc.name) and %evt.num",
      condition = 'opened and proc.name in (programs) and not fd.name startswith oneof (/etc, "/a b") and proc.args exists',
    }, one.info)
    assert.is_false(two.info.enabled)
  end)

  it("has what became of it", function()
    local d = one.details
    assert.equal('(((evt.type in (open, openat) and fd.num >= 0) and proc.name in (bash, sh, "two words", vi)'
      .. ' and not fd.name startswith oneof (/etc, "/a b") and proc.args exists) and not (proc.pname in (x, y) and fd.num = 3))',
      d.condition_compiled)
    assert.same({ "evt.type", "fd.name", "fd.num", "proc.args", "proc.name", "proc.pname" }, d.condition_fields)
    assert.same({ "=", ">=", "exists", "in", "startswith oneof" }, d.condition_operators)
    assert.same({ "asyncevent", "open", "openat" }, d.events)
    assert.same({ "getppid" }, { two.details.events[2] })
  end)

  it("names macros and lists as they were written, and exceptions", function()
    local d = one.details
    assert.same({ "opened" }, d.macros)
    assert.same({ "programs" }, d.lists)
    assert.same({ "e", "none" }, d.exception_names)
    assert.same({ "=", "in" }, d.exception_operators)
    assert.same({ "fd.num", "proc.pname" }, d.exception_fields)
  end)

  it("names the fields of its output", function()
    assert.same({ "evt.num", "fd.name", "proc.name" }, one.details.output_fields)
    assert.equal("o %fd.name %toupper(proc.name) and %evt.num", one.details.output_compiled)
    assert.is_nil(one.details.extra_output_formatted_fields)
    local more = support.good(TEXT, { append_output = { { format = "x=%fd.num", fields = {
      { name = "proc.exe", format = "%proc.exe" }, { name = "k", format = "k %user.name" } } } } })
    local d = describe_rules.all(more).rules[1].details
    assert.same({ "evt.num", "fd.name", "fd.num", "proc.exe", "proc.name", "user.name" }, d.output_fields)
    assert.same({ k = "k %user.name" }, d.extra_output_formatted_fields)
    assert.equal("o %fd.name %toupper(proc.name) and %evt.num x=%fd.num", d.output_compiled)
  end)

  it("names the plugin that its fields come from elsewhere", function()
    assert.same({}, one.details.plugins)
    assert.same({ "container" }, two.details.plugins)
  end)
end)

describe("the description of a file", function()
  it("has macros", function()
    assert.same({ { name = "opens", condition = "evt.type in (open, openat)" }, { name = "opened", condition = "opens and fd.num >= 0" } },
      { all.macros[1].info, all.macros[2].info })
    assert.same({ used = true, macros = { "opens" }, lists = {}, condition_fields = { "evt.type", "fd.num" },
      condition_operators = { ">=", "in" }, condition_compiled = "(evt.type in (open, openat) and fd.num >= 0)",
      events = { "asyncevent", "open", "openat" }, plugins = {} }, all.macros[2].details)
  end)

  it("has lists", function()
    assert.same({ { info = { name = "shells", items = { "bash", "sh" } },
      details = { used = true, lists = {}, items_compiled = { "bash", "sh" }, plugins = {} } },
      { info = { name = "programs", items = { "two words", "vi" } },
        details = { used = true, lists = { "shells" }, items_compiled = { "bash", "sh", "two words", "vi" }, plugins = {} } } },
      all.lists)
  end)

  it("has versions", function()
    assert.equal("0.31.0", all.required_engine_version)
    assert.same({ { name = "container", version = "0.2.0", alternatives = { { name = "other", version = "1.2.3" } } } },
      all.required_plugin_versions)
    assert.equal("0.0.0", describe_rules.all(support.good("- list: l\n  items: []\n")).required_engine_version)
  end)

  it("is JSON with arrays where arrays belong, also empty ones", function()
    local text = json.encode(describe_rules.all(support.good(support.rule("r", "evt.type = open"))))
    for _, key in ipairs{ "macros", "lists", "exception_names", "exception_fields", "exception_operators", "plugins", "tags" } do
      assert.truthy(text:find(('"%s":[]'):format(key), 1, true), key)
    end
  end)
end)

describe("one rule", function()
  it("is found by name", function()
    assert.same({ rules = { all.rules[2] } }, (describe_rules.rule(result, "two")))
    local found, message = describe_rules.rule(result, "twoo")
    assert.is_nil(found)
    assert.equal("there is no rule 'twoo' in the rules files (did you mean 'two'?)", message)
  end)
end)
