-- SPDX-License-Identifier: Apache-2.0
local support = dofile "spec/ruletest/support.lua"

describe("tests of rules", function()
  it("hold what matched against what was expected", function()
    local s = support.session([[
- test: good
  events:
    - execve: {proc.name: sh, proc.pname: nginx}
      match: shell
    - execve: {proc.name: sh, proc.pname: bash}
      match: none
- test: bad
  events:
    - execve: {proc.name: sh, proc.pname: nginx}
      match: shadow
    - openat: {name: /etc/shadow}
      miss: shadow
]])
    assert.is_nil(s.errors)
    assert.same({
      good = {},
      bad = {
        "9: event 1, execve: other rules matched than expected (- missing, + not wanted)\n- shadow\n"
          .. "    it does not look at events of type execve\n+ shell: shell sh of nginx",
        "11: event 2, openat: other rules matched than expected (- missing, + not wanted)\n+ shadow: read /etc/shadow by test (root)",
      },
    }, s.failures)
  end)

  it("say what was in the way", function()
    local s = support.session([[
- test: t
  events:
    - execve: {proc.name: sh, proc.pname: bash}
      match: shell
    - execve: {proc.name: sh, proc.pname: nginx, evt.failed: true}
      match: shell
]])
    assert.same({
      "3: event 1, execve: other rules matched than expected (- missing, + not wanted)\n- shell\n"
        .. "    false: proc.pname = nginx  (proc.pname is 'bash')",
      "5: event 2, execve: other rules matched than expected (- missing, + not wanted)\n- shell\n"
        .. "    false: evt.failed = false  (evt.failed is 'true')",
    }, s.failures.t)
  end)

  it("count alerts, all or those that fit", function()
    local events = [[
  events:
    - openat: {name: /etc/shadow, proc.name: cat}
      times: 3
    - openat: {name: /etc/shadow, proc.name: head, user.name: eve}
]]
    support.passes("- test: t\n" .. events .. [[
  expect:
    - {rule: shadow, count: 4}
    - {rule: shadow, count: ">= 4"}
    - {rule: shadow, count: "2..4"}
    - {rule: shadow, count: "< 5"}
    - {rule: shadow, count: 3, fields: {proc.name: cat}}
    - {rule: shadow, count: 1, fields: {proc.name: head, user.name: eve}}
    - {rule: shadow, count: 1, output: by head (eve)}
    - {rule: shadow, count: 1, where: user.name = eve and proc.pid > 0}
    - {rule: shadow, count: 3, event: 1}
    - {rule: shell, count: 0}
    - shadow
]])
    local s = support.session("- test: t\n" .. events .. [[
  expect:
    - {rule: shadow, count: 5}
    - {rule: shadow, count: 1, fields: {proc.name: tail}}
    - {rule: shell}
]])
    assert.equal("7: 'shadow': expected 5 alerts, got 4\nevent 1 of events: read /etc/shadow by cat (root)",
      s.failures.t[1]:match("^[^\n]*\n[^\n]*"))
    assert.equal("8: 'shadow': expected 1 alert that fit, got none\nan alert that does not count: proc.name is 'cat', not 'tail'",
      s.failures.t[2]:match("^[^\n]*\n[^\n]*"))
    assert.equal("9: 'shell': expected >= 1 alerts, got none", s.failures.t[3])
  end)

  it("can want silence", function()
    local s = support.session([[
- test: t
  events: [openat: {name: /etc/shadow}]
  expect: none
- test: u
  events:
    - openat: {name: /etc/shadow}
    - execve: {proc.name: sh, proc.pname: nginx}
  expect: {shell: 1}
  only: true
]])
    assert.equal("1: 'shadow' matched 1 time, and nobody expects it", s.failures.t[1]:match("^[^\n]*"))
    assert.equal("4: 'shadow' matched 1 time, and nobody expects it", s.failures.u[1]:match("^[^\n]*"))
  end)

  it("replay captures", function()
    local s = support.session([[
- test: t
  capture: [test/data/websrv.scap, test/data/sensitive.scap]
  expect: {shadow: ">= 2", shell: 0}
- test: missing
  capture: test/data/none.scap
  expect: none
]])
    assert.same({}, s.failures.t)
    assert.truthy(s.failures.missing[1]:find("none.scap", 1, true))
  end)

  it("let the first rule speak when asked to", function()
    local two = "- rule: %s\n  desc: d\n  condition: evt.type = openat\n  output: o\n  priority: INFO\n"
    local rules = two:format("a") .. two:format("b") .. "  enabled: false\n"
    support.passes([[
- test: all
  events: [openat: {name: /x}]
  expect: {a: 1, b: 1}
- test: first
  matching: first
  events: [openat: {name: /x}]
  expect: {a: 1, b: 0}
]], rules)
  end)

  it("see all of a leaf, however rules would have short-circuited", function()
    local s = support.session([[
- test: t
  events:
    - execve: {proc.name: ls, proc.pname: nginx}
    - execve: {proc.name: sh, proc.pname: bash}
    - openat: {name: /etc/passwd}
  expect: none
]])
    local cover = s:cover()
    local open = {}
    for _, own in ipairs(cover:open_ends()) do
      open[#open + 1] = ("%d:%d %s %s %s"):format(own.line, own.column, own.kind, own.missing, own.text)
    end
    assert.same({ "4:50 leaf never false evt.failed = false", "5:9 rule never true ", "10:9 rule never true ",
      "12:45 leaf never true fd.name = /etc/shadow", "12:71 leaf never false fd.num >= 0" }, open)
  end)

  it("see exceptions, each by itself", function()
    local rules = [=[
- rule: r
  desc: d
  condition: evt.type = openat and fd.name startswith /etc/
  output: o
  priority: INFO
  exceptions:
    - {name: by_name, fields: proc.name, values: [cat, head]}
    - {name: both, fields: [proc.name, fd.name], comps: [=, endswith], values: [[tail, hosts]]}
    - {name: empty, fields: proc.name}
]=]
    local s = support.passes([[
- test: t
  events:
    - openat: {proc.name: cat, name: /etc/x}
      match: none
    - openat: {proc.name: tail, name: /etc/x}
      match: r
]], rules)
    local cover, counts = s:cover()
    local open = {}
    for _, own in ipairs(cover:open_ends()) do open[#open + 1] = ("%s %s %s %s"):format(own.kind, own.name, own.missing, own.text) end
    table.sort(open)
    assert.same({ "exception r: both never true ", "leaf rule r never false evt.type = openat", "leaf rule r never false fd.name startswith /etc/",
      "leaf rule r never true fd.name endswith hosts" }, open)
    assert.same({ both = 1, all = 2, yes = 1, no = 2 }, cover:summary().exceptions)
    assert.same({ r = 1 }, counts)
  end)

  it("walk to the matches of the engine, on captures", function()
    local f = assert(io.open("rules/falco_rules.yaml"))
    local text = f:read("*a")
    f:close()
    local total = 0
    for _, name in ipairs{ "websrv", "fswrite", "docker_drop", "kernel", "net_tools" } do
      local s = support.session(("- test: t\n  capture: test/data/%s.scap\n  expect: none\n"):format(name), text)
      assert.is_nil(s.errors)
      local _, counts = s:cover()
      local seen = {}
      for index, n in pairs(s.results.t.of_rule) do
        seen[s.group.names[index]] = n
        total = total + n
      end
      assert.same(seen, counts)
    end
    assert.is_true(total > 30)
  end)
end)
