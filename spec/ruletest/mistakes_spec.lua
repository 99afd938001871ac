-- SPDX-License-Identifier: Apache-2.0
-- Mistakes in test files, and test files that somebody wrote to do harm.
local support = dofile "spec/ruletest/support.lua"

local function mistake(text)
  local s = support.session(text)
  assert.truthy(s.errors, "no mistake was found in:\n" .. text)
  return s.errors
end

local function event(line)
  return mistake("- test: t\n  events:\n    - " .. line .. "\n      match: none\n")[1]
end

describe("mistakes in test files", function()
  it("have a place and a suggestion", function()
    assert.equal("3:7: there is no event 'opneat' (openat?)", event("opneat: {}"))
    assert.equal("3:16: this event has no parameter 'nmae' (name?)", event("openat: {nmae: x}"))
    assert.equal("3:16: 'proc.nam' cannot be set for this event (proc.name?)", event("openat: {proc.nam: x}"))
    assert.equal("3:23: 'flags' has no flag 'O_WRONLYY' (O_WRONLY?)", event("openat: {flags: O_WRONLYY}"))
    assert.equal("3:20: 'fd' wants a number, not 'x'", event("openat: {fd: x}"))
    assert.equal("3:26: 'proc.tty' wants a whole number", event("openat: {proc.tty: x}"))
    assert.equal("3:26: 'proc.pid' wants a number from 1 to 2147483647", event("execve: {proc.pid: 0}"))
    assert.equal("3:26: 'user.uid' wants a number from 0 to 4294967295", event("execve: {user.uid: -1}"))
    assert.equal("3:27: 'proc.name' cannot have a NUL in it", event('execve: {proc.name: "a\\0b"}'))
    assert.equal("3:28: 'proc.args' cannot have a NUL in it", event('execve: {proc.args: ["a\\0b"]}'))
    assert.equal("3:21: 99999999999 does not fit into 'uid', which has 32 bits", event("setuid: {uid: 99999999999}"))
    assert.equal("3:30: 'container.id' wants up to 64 hexadecimal digits, or host", event("execve: {container.id: web}"))
    assert.equal("3:24: 'tuple' wants both ends: 10.0.0.1:40000->10.0.0.2:80, or /run/x.sock", event('connect: {tuple: "1.2.3->4"}'))
    assert.equal("3:15: 'openat' wants a map of parameters and fields", event("openat: [x]"))
  end)

  it("are told all at once", function()
    assert.same({
      "1:3: unknown key 'tset' (test?)",
      "1:3: this item has no name: a test begins with  - test: NAME",
      "2:9: the test 'a' has neither 'capture' nor 'events'",
      "3:9: the test 'b' expects nothing",
      "8:9: two tests are called 'c'",
      "9:30: there is no rule 'shel' (shell?)",
      "10:12: there is no event 9 in this test",
      "10:43: unknown field 'proc.nam' (did you mean 'proc.name'?)",
      "11:28: 'proc.nme' is no field (proc.name?)",
      "12:26: 'count' wants a count: 2, \">= 2\", \"< 5\" or \"1..3\"",
    }, mistake([[
- tset: x
- test: a
- test: b
  events: [execve: {}]
- test: c
  events: [execve: {}]
  expect: none
- test: c
  events: [{execve: , match: shel}]
  expect: [{rule: shell, event: 9, where: proc.nam = x},
    {rule: shell, fields: {proc.nme: x}},
    {rule: shell, count: many}]
]]))
  end)

  it("are no tests", function()
    assert.same({ "1:1: a test file is a list of tests" }, mistake("a: b\n"))
    assert.same({ "1:3: expected  - test: NAME  or  - rules: FILE  here" }, mistake("- 5\n"))
    assert.truthy(mistake("- [\n")[1]:find("not valid YAML", 1, true))
    assert.truthy(mistake("- test: t\n  events: {}\n  expect: none\n")[1]:find("'events' wants a list", 1, true))
  end)

  it("include what cannot be so", function()
    local s = support.session([[
- test: t
  processes: [{proc.pid: 5, proc.name: sh}]
  events:
    - execve: {proc.pid: 5, proc.name: x, res: EPERM}
      match: none
]])
    assert.same({ "4: 'proc.name' is 'sh' when this happens, not 'x'" }, s.failures.t)
    assert.equal("4:29: process 5 is listed: say there what it is", (mistake([[
- test: t
  processes: [{proc.pid: 5}]
  events:
    - openat: {proc.pid: 5, proc.name: x}
      match: none
]])[1]))
  end)
end)

describe("hostile test files", function()
  local function ends_soon(text)
    local started = os.clock()
    local s = support.session(text)
    assert.is_true(os.clock() - started < 20)
    return s
  end

  it("with too many events", function()
    assert.same({ "3:7: a test has at most 100000 events" },
      ends_soon("- test: t\n  events:\n    - {sched_yield: {}, times: 1000000000000, match: none}\n  expect: none\n").errors)
    assert.same({ "3:32: 'times' wants a whole number" },
      ends_soon("- test: t\n  events:\n    - {sched_yield: {}, times: -1, match: none}\n  expect: none\n").errors)
    assert.same({ "3:29: 'at' wants a number from 0 to 9000000" },
      ends_soon("- test: t\n  events:\n    - {sched_yield: {}, at: 1e300, match: none}\n  expect: none\n").errors)
  end)

  it("with as many as are allowed", function()
    local s = ends_soon("- test: t\n  events:\n    - {sched_yield: {}, times: 100000, match: none}\n  expect: none\n")
    assert.same({}, s.failures.t)
  end)

  it("with aliases that make much out of little", function()
    local lines = { "- a: &a0 [x, x, x, x, x, x, x, x, x, x]" }
    for i = 1, 9 do lines[#lines + 1] = ("- a: &a%d [%s]"):format(i, ("*a%d, "):format(i - 1):rep(10):sub(1, -3)) end
    lines[#lines + 1] = "- test: t\n  events: *a9\n  expect: none"
    assert.truthy(ends_soon(table.concat(lines, "\n") .. "\n").errors)
    -- one list of events for many tests
    lines = { "- test: t0\n  events: &e", ("    - openat: {name: x}\n"):rep(500) .. "  expect: none" }
    for i = 1, 200 do lines[#lines + 1] = ("- test: t%d\n  events: *e\n  expect: none"):format(i) end
    assert.is_nil(ends_soon(table.concat(lines, "\n") .. "\n").errors)
  end)

  it("with texts that are much, often", function()
    local many = "- test: t\n  events:\n    - execve: {proc.args: &a [" .. ("x, "):rep(30000) .. "x]}\n      match: none\n"
    local lines = { many }
    for _ = 1, 100 do lines[#lines + 1] = "    - execve: {proc.args: *a}\n      match: none\n" end
    assert.truthy(ends_soon(table.concat(lines)).errors[1]:find("more than 1000000 words", 1, true))
    local s = ends_soon(('- test: t\n  events:\n    - {write: {data: "%s"}, times: 100000, match: none}\n'):format(("x"):rep(60000)))
    assert.truthy(s.errors[1]:find("more than 256 MB", 1, true))
    lines = {}
    for i = 1, 11 do lines[i] = ("- test: t%d\n  events:\n    - {sched_yield: {}, times: 100000, match: none}\n"):format(i) end
    local diags = require("diag").new()
    require("ruletest.load").file("t_test.yaml", table.concat(lines), diags)
    assert.truthy(diags:render():find("at most 1000000 events", 1, true))
  end)

  it("with texts that are too long for an event", function()
    local s = ends_soon(('- test: t\n  events:\n    - openat: {name: "%s"}\n      match: none\n'):format(("x"):rep(70000)))
    assert.truthy(s.errors[1]:find("too many for the format", 1, true))
    s = ends_soon(('- test: t\n  events:\n    - write: {data: "%s"}\n      match: none\n'):format(("x"):rep(2000000)))
    assert.truthy(s.errors[1]:find("more than 1048576 bytes", 1, true))
    s = ends_soon(('- test: t\n  events:\n    - execve: {proc.name: "%s", proc.args: "%s"}\n      match: none\n'):format(("x"):rep(60000),
      ("y "):rep(30000)))
    assert.is_table(s.failures.t or s.errors)
  end)

  it("with ancestors, processes and names that cannot be", function()
    for _, line in ipairs{ "execve: {'proc.aname[1000000]': x}", "execve: {'proc.aname[0]': x}", "execve: {'proc.aname[x]': x}",
                           "execve: {? [a, b] : c}", "{? {a: b} : c}", "execve: {container.id: '" .. ("a"):rep(65) .. "'}",
                           "connect: {tuple: '->'}", "connect: {tuple: '1.2.3.4:99999->1.2.3.4:1'}", "connect: {tuple: ':1->:2'}",
                           "bind: {addr: '[::1:80'}", "poll: {fds: x}", "openat: {fd.type: nothing, fd.name: x}",
                           "read: {fd.type: nothing, fd.name: x}", "'': {}", "container: {json: '{'}" } do
      local s = ends_soon("- test: t\n  events:\n    - " .. line .. "\n      match: none\n")
      assert.is_true(s.errors ~= nil or s.failures.t ~= nil, line)
    end
    assert.truthy(ends_soon("- test: t\n  processes: [{proc.pid: 5, proc.ppid: 5}, {proc.pid: 6, proc.ppid: 7}, {proc.pid: 7, proc.ppid: 6}]\n"
      .. "  events: [{execve: {proc.pid: 6}, match: none}, {execve: {proc.pid: 5, proc.name: sh}, match: none}]\n").failures)
    assert.truthy(ends_soon("- test: t\n  processes: [{proc.pid: -5}, {proc.pid: 99999999999999}]\n  events: [{execve: {proc.pid: -5}, match: none}]\n"))
  end)

  it("with control characters in everything that is shown", function()
    local s = ends_soon('- test: "t\\e[31m"\n  events:\n    - openat: {name: "/etc/shadow", proc.name: "a\\e[2Jb"}\n      match: none\n')
    local failures = s.failures["t\27[31m"]
    assert.truthy(failures[1]:find("by a?[2Jb", 1, true))
  end)

  it("with a capture that is none", function()
    local path = os.tmpname()
    local f = assert(io.open(path, "wb"))
    f:write("no capture")
    f:close()
    local s = ends_soon(("- test: t\n  capture: %s\n  expect: none\n"):format(path))
    os.remove(path)
    assert.equal(1, #s.failures.t)
  end)
end)
