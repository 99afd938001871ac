-- SPDX-License-Identifier: Apache-2.0
local changes = require "changes"
local conf = require "conf"
local diag = require "diag"
local support = dofile "spec/support.lua"

local LISTS = "- list: shells\n  items: [%s]\n- macro: is_shell\n  condition: proc.name in (shells)\n"

local function rules(shells, ...)
  local parts = { LISTS:format(shells) }
  for i = 1, select("#", ...), 2 do
    local name, condition = select(i, ...)
    parts[#parts + 1] = support.rule(name, condition)
  end
  return support.good(table.concat(parts)).rules
end

local SHELL, OTHER = "evt.type = execve and is_shell", "evt.type = execve and proc.name = x"

local function config(set)
  return assert(conf.load{ diag = diag.new(), set = set or {} })
end

describe("changes of rules", function()
  it("are none if only the order or comments differ", function()
    local old, new = rules("bash, sh", "a", SHELL, "b", OTHER), rules("bash, sh", "b", OTHER .. "  # why", "a", SHELL)
    assert.same({ added = {}, removed = {}, changed = {} }, changes.rules(old, new))
  end)

  it("come through lists and macros", function()
    local old, new = rules("bash, sh", "a", SHELL, "b", OTHER), rules("bash, zsh", "a", SHELL, "b", OTHER)
    assert.same({ added = {}, removed = {}, changed = { "a" } }, changes.rules(old, new))
  end)

  it("tell what came and what went", function()
    local old, new = rules("sh", "a", SHELL, "b", OTHER), rules("sh", "c", SHELL, "b", OTHER .. " and evt.dir = <")
    assert.same({ added = { "c" }, removed = { "a" }, changed = { "b" } }, changes.rules(old, new))
  end)

  it("are seen in output, priority, tags and whether a rule is on", function()
    local base = rules("sh", "a", OTHER)
    for _, change in ipairs{ { "output", "other" }, { "priority", 1 }, { "tags", { "t" } }, { "enabled", false } } do
      local new = rules("sh", "a", OTHER)
      new[1][change[1]] = change[2]
      assert.same({ "a" }, changes.rules(base, new).changed)
    end
  end)
end)

describe("changes of the configuration", function()
  it("are named by key, and which want a restart", function()
    local all, restart = changes.config(config(), config{ "json_output=true", "engine.kind=modern_ebpf", "engine.modern_ebpf.buf_size_preset=5", "rules[]={disable: {rule: a}}",
      "limits.fd_bytes=5" })
    assert.same({ "rules", "engine.modern_ebpf.buf_size_preset", "json_output", "limits.fd_bytes" }, all)
    assert.same({ "engine.modern_ebpf.buf_size_preset", "limits.fd_bytes" }, restart)
  end)

  it("are none between equal files", function()
    assert.same({}, (changes.config(config{ "append_output={extra_output: x}" }, config{ "append_output={extra_output: x}" })))
  end)

  it("can be taken back", function()
    local old, new = config(), config{ "engine.kind=modern_ebpf", "engine.modern_ebpf.buf_size_preset=5", "json_output=true" }
    changes.keep(old, new, { "engine.modern_ebpf.buf_size_preset" })
    assert.equal(4, new.engine.modern_ebpf.buf_size_preset)
    assert.is_true(new.json_output)
  end)

  it("touch a key or what is in it", function()
    assert.is_true(changes.touches({ "a", "file_output.filename" }, "file_output"))
    assert.is_false(changes.touches({ "file_outputs" }, "file_output"))
  end)

  it("are told in one line, however many", function()
    local many = {}
    for i = 1, 30 do many[i] = "r" .. i end
    assert.equal("nothing has changed", changes.text({ added = {}, removed = {}, changed = {} }, {}))
    assert.equal("1 rule added (x); configuration: json_output", changes.text({ added = { "x" }, removed = {}, changed = {} }, { "json_output" }))
    assert.matches("^30 rules removed %(r1, .*, r20 and 10 more%)$", changes.text({ added = {}, removed = many, changed = {} }, {}))
  end)
end)
