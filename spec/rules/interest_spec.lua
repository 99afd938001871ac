-- SPDX-License-Identifier: Apache-2.0
local core = require "core"
local interest = require "rules.interest"
local support = dofile "spec/support.lua"

local QUIET = "  warn_evttypes: false\n"

local function watch(conditions, base)
  local text = {}
  for i, condition in ipairs(conditions) do
    text[i] = support.rule("r" .. i, condition, QUIET)
  end
  return interest.of(#text > 0 and support.good(table.concat(text)) or { rules = {} }, base or {})
end

local function set_of(list)
  local set = {}
  for _, name in ipairs(list) do
    set[name] = true
  end
  return set
end

-- What `a` has and `b` lacks.
local function difference(a, b)
  local out, has = {}, set_of(b)
  for _, name in ipairs(a) do
    if not has[name] then
      out[#out + 1] = name
    end
  end
  return out
end

local STATE = watch({}).names

describe("what a live source must report", function()
  it("is what the tables need", function()
    local has = set_of(STATE)
    for _, name in ipairs{ "clone", "execve", "close", "openat", "connect", "dup2", "chdir", "setuid", "procexit", "prctl" } do
      assert.is_true(has[name], name)
    end
    for _, name in ipairs{ "read", "write", "getppid", "stat", "unlink", "switch", "page_fault", "sendfile", "unknown" } do
      assert.is_nil(has[name], name)
    end
  end)

  it("and what rules can match", function()
    assert.same({ "unlink" }, difference(watch{ "evt.type = unlink" }.names, STATE))
    assert.same({ "getppid" }, difference(watch{ "evt.type = getppid" }.names, STATE))
    assert.same({ "rmdir", "unlink" }, difference(watch{ "evt.type = unlink", "evt.type in (rmdir, open) and fd.num = 1" }.names, STATE))
    assert.same({}, difference(watch{ "evt.type = unlink and evt.type = rmdir" }.names, STATE))
    assert.same({ "switch" }, difference(watch{ "evt.type = switch" }.names, STATE))
  end)

  it("is everything but reads and writes when a rule does not say what it looks at", function()
    local all = watch{ "proc.name = cat" }
    assert.same({ "pread", "preadv", "pwrite", "pwritev", "read", "readv", "sendfile", "write", "writev" }, all.left_out)
    assert.same({}, difference(all.left_out, difference(watch({ "proc.name = cat" }, { all = true }).names, all.names)))
    assert.is_true(#all.names > 350)
  end)

  it("leaves rules that are off alone", function()
    local result = support.good(support.rule("r", "evt.type = unlink", "  enabled: false\n"))
    assert.same(STATE, interest.of(result, {}).names)
  end)

  it("has no reads and writes unless asked, and says so", function()
    assert.same({ "read" }, watch{ "evt.type in (read, unlink)" }.left_out)
    local all = watch({ "evt.type in (read, unlink)" }, { all = true })
    assert.same({}, all.left_out)
    assert.same({ "read", "unlink" }, difference(all.names, STATE))
  end)
end)

describe("what is ignored by default", function()
  it("is reads and writes that no table learns from", function()
    assert.same({ "pread", "preadv", "pwrite", "pwritev", "read", "readv", "recv", "send", "sendfile", "write", "writev" },
      interest.ignored())
  end)

  it("is what rules ask for in vain", function()
    local ignored = set_of(interest.ignored())
    local left_out = watch{ "proc.name = cat" }.left_out
    assert.is_true(#left_out > 5)
    for _, name in ipairs(left_out) do
      assert.is_true(ignored[name], name)
    end
  end)
end)

describe("base_syscalls", function()
  it("replaces what the tables need by its custom set", function()
    assert.same({ "clone", "procexit", "unlink" }, watch({ "evt.type = unlink" }, { custom_set = { "clone" } }).names)
    assert.same({ "getppid", "procexit" }, watch({}, { custom_set = { "getppid" } }).names)
  end)

  it("takes calls away", function()
    local less = watch({ "evt.type = unlink" }, { custom_set = { "!unlink", "!close" } })
    assert.same({ "close" }, difference(STATE, less.names))
    assert.same({ "unlink" }, less.left_out)
  end)

  it("never takes the end of processes away", function()
    assert.is_true(set_of(watch({}, { custom_set = { "!procexit" } }).names).procexit)
  end)

  it("knows one name for all calls of an event", function()
    local set = watch({}, { custom_set = { "accept" } }).set
    local found = {}
    for sc = 0, core.C.syscall_count() - 1 do
      if set.has[sc] then
        found[#found + 1] = core.cstr(core.C.syscall_name(sc))
      end
    end
    assert.same({ "accept", "sched_process_exit" }, found)
    assert.same({ "pread", "procexit" }, watch({}, { custom_set = { "pread" }, all = true }).names)
  end)

  it("reports names that no call has", function()
    assert.same({ "opn", "!clse", "", "!" }, watch({}, { custom_set = { "opn", "!clse", "open", "", "!" } }).unknown)
    assert.same({}, difference(STATE, watch({}, { custom_set = { "opn" } }).names))
  end)

  it("finds the fewest calls that keep processes right", function()
    local few = watch({}, { repair = true }).names
    local has = set_of(few)
    assert.is_true(has.clone and has.execve and has.chdir and has.setuid and has.procexit)
    assert.is_nil(has.close)
    assert.is_nil(has.openat)
    assert.same({ "close", "openat" }, difference(watch({ "evt.type = openat" }, { repair = true }).names, few))
    assert.same({ "close", "connect", "getsockopt", "socket" },
      difference(watch({ "evt.type = connect" }, { repair = true }).names, few))
    assert.same({ "accept", "bind", "close", "getsockopt", "socket" },
      difference(watch({ "evt.type = accept" }, { repair = true }).names, few))
  end)

  it("repairs a custom set, too", function()
    local few = watch({}, { repair = true }).names
    assert.same({ "close", "openat" }, difference(watch({}, { repair = true, custom_set = { "openat" } }).names, few))
    assert.is_true(set_of(watch({}, { repair = true, custom_set = { "!clone" } }).names).clone)
  end)
end)
