-- SPDX-License-Identifier: Apache-2.0
local core = require "core"
local emit = require "rules.emit"
local naive = dofile "spec/naive.lua"
local rules = require "rules"
local support = dofile "spec/support.lua"

local CAPTURES = { "test/data/procs.scap", "test/data/websrv.scap", "test/data/fds_paths.scap" }

local LITERALS = {
  "evt.type = open", "evt.type in (openat, openat2, open)", "evt.type != close", "evt.type in (execve, clone, getuid)",
  "evt.type exists", "evt.num > 0", "evt.num = 0", "syscall.type = read", "syscall.type != openat", "evt.type = getuid",
  "proc.name = sh", "proc.name in (bash, sh, cat, ls)", "proc.pname exists", "proc.cmdline contains a", "fd.name startswith /etc",
  "fd.name exists", "fd.num >= 0", "fd.typechar = f", "evt.res = SUCCESS", "evt.failed = true", "user.uid = 0", "user.name exists",
  "evt.deltatime > 1000", "evt.is_open_write = true", "proc.name = val(proc.pname)", "len(proc.name) > 3", "evt.arg.flags contains O_",
  "proc.args exists", "evt.rawres >= 0", "evt.buflen > 100",
}

local function condition(depth)
  local kind = math.random(depth > 0 and 6 or 1)
  if kind <= 2 then
    return LITERALS[math.random(#LITERALS)]
  elseif kind == 3 then
    return "not (" .. condition(depth - 1) .. ")"
  end
  local parts = {}
  for i = 1, math.random(2, 4) do
    parts[i] = condition(depth - 1)
  end
  return "(" .. table.concat(parts, kind == 4 and " or " or " and ") .. ")"
end

local function random_rules(n)
  local out = {}
  for i = 1, n do
    out[i] = support.rule("r" .. i, '"' .. condition(4) .. '"', "  warn_evttypes: false\n")
  end
  return table.concat(out)
end

-- Stateful leaves answer differently when asked twice, so each program gets rules and a ruleset of its own, and the answers
-- are compared afterwards. `pick`: what runs an event and adds the hits.
local function answers(text, first, how)
  local out = {}
  local result = support.good(text)
  local prog = rules.compile(result, { matching = first and "first" or "all" })
  for _, capture in ipairs(CAPTURES) do
    support.replay(capture, result.ruleset, function(evt, head)
      local hits = {}
      if how == "naive" then
        hits = naive.matches(result.rules, evt, first)
      else
        for i = 0, prog.match(evt) - 1 do
          hits[i + 1] = prog.hits[i]
        end
      end
      if #hits > 0 then
        out[#out + 1] = tonumber(head.num) .. ":" .. table.concat(hits, ",")
      end
    end)
  end
  return table.concat(out, "\n")
end

describe("generated code", function()
  it("answers as the naive walk does, for random rules", function()
    math.randomseed(11)
    local some = 0
    for _ = 1, 3 do
      local text = random_rules(25)
      for _, first in ipairs{ false, true } do
        local expected = answers(text, first, "naive")
        assert.equal(expected, answers(text, first, "compiled"))
        some = some + #expected
      end
    end
    assert.is_true(some > 1000)
  end)

  it("answers the same with the compiler off and with one that compiles at once", function()
    math.randomseed(12)
    local text = random_rules(20)
    local expected = answers(text, false, "naive")
    jit.off()
    assert.equal(expected, answers(text, false, "compiled"))
    jit.on()
    jit.opt.start("hotloop=1", "hotexit=1")
    assert.equal(expected, answers(text, false, "compiled"))
    jit.opt.start("hotloop=56", "hotexit=10")
  end)

  it("stops at the first rule in order of definition", function()
    local text = support.rule("b", "evt.type exists", "  warn_evttypes: false\n")
      .. support.rule("a", "evt.num > 0", "  warn_evttypes: false\n")
    local result = support.good(text)
    local prog = rules.compile(result)
    local seen = {}
    support.replay(CAPTURES[1], result.ruleset, function(evt)
      assert.equal(1, prog.match(evt))
      seen[result.rules[prog.hits[0]].name] = true
    end)
    assert.same({ b = true }, seen)
  end)

  it("only wants the events that some rule can match", function()
    local result = support.good(support.rule("a", "evt.type in (openat, close)"))
    rules.compile(result)
    local names = {}
    support.replay(CAPTURES[1], result.ruleset, function(_, head)
      names[core.cstr(core.C.event_info(head.code).name)] = true
    end)
    names.container, names.async = nil, nil
    for name in pairs(names) do
      assert.is_true(name == "openat" or name == "close" or core.C.event_async_code() ~= nil, name)
    end
    assert.is_true(names.openat and names.close)
  end)

  it("holds nothing but numbers of the user's text", function()
    local result = support.good(support.rule("'quote\" ]] end'", [['proc.name = "]] .. "a]] end os.exit()" .. [["']]))
    local prog = rules.compile(result)
    assert.is_nil(prog.source():find("exit", 1, true))
    assert.is_nil(prog.source():find("quote", 1, true))
    assert.truthy(prog.dump("quote\" ]] end"):find("os.exit", 1, true))
  end)
end)

-- Trees made by hand over two real leaves: one true for every event, one false.
describe("limits of Lua", function()
  local result = support.good(support.rule("t", "evt.num > 0 or evt.num = 0", "  warn_evttypes: false\n"))
  local yes, no = result.rules[1].tree[1], result.rules[1].tree[2]

  local function run(tree)
    local prog = emit.compile({ { tree = tree, events = result.rules[1].events, hit = 1 } }, { first = true })
    local answer
    core.C.ruleset_want(result.ruleset, 3, -1)
    rules.compile(result)
    support.replay(CAPTURES[1], result.ruleset, function(evt)
      if answer == nil then
        answer = prog.match(evt) == 1
      end
    end)
    return answer, prog
  end

  -- literals whose answer the code does not decide: another check, of the same leaf
  local function opaque(leaf)
    return { kind = "leaf", id = leaf.id, neg = false, scope = leaf.scope, check = { left = { kind = "text" }, modifier = 0 } }
  end
  yes, no = opaque(yes), opaque(no)

  it("30,000 leaves in one list", function()
    local tree = { kind = "or" }
    for i = 1, 30000 do
      tree[i] = no
    end
    assert.is_false((run(tree)))
    tree[30000] = yes
    local answer, prog = run(tree)
    assert.is_true(answer)
    local count = select(2, prog.source():gsub("F%[%d+%] = ", ""))
    assert.is_true(count > 30)
  end)

  it("1,000 levels of and and or", function()
    local tree = yes
    for i = 1, 1000 do
      tree = i % 2 == 0 and { kind = "and", yes, tree } or { kind = "or", no, tree }
    end
    assert.is_true((run(tree)))
  end)

  it("1,200 rules on one event, both ways of matching", function()
    local entries = {}
    for i = 1, 1200 do
      entries[i] = { tree = i % 3 == 0 and yes or no, events = result.rules[1].events, hit = i }
    end
    for _, first in ipairs{ true, false } do
      local prog = emit.compile(entries, { first = first })
      rules.compile(result)
      local n
      support.replay(CAPTURES[1], result.ruleset, function(evt)
        n = n or prog.match(evt)
      end)
      assert.equal(first and 1 or 400, n)
      assert.equal(3, prog.hits[0])
      if not first then
        assert.equal(1200, prog.hits[399])
      end
    end
  end)
end)

describe("LuaJIT", function()
  it("settles: no flush and no new trace in the second half of a long run", function()
    local text = {}
    for i = 1, 60 do
      text[i] = support.rule("r" .. i, ('"evt.type in (open, openat, execve, connect) and proc.name = p%d and not fd.name startswith /x%d"')
        :format(i, i))
    end
    local result = support.good(table.concat(text))
    rules.jit_options()
    jit.flush()
    local prog = rules.compile(result)
    local traces, flushes, seen = 0, 0, 0
    local info = require("jit.util").funcinfo
    local function watch(what, _, func)
      if what == "start" and info(func).source:find("^=rules chunk") then
        traces = traces + 1
      elseif what == "flush" then
        flushes = flushes + 1
      end
    end
    jit.attach(watch, "trace")
    local at_half
    for round = 1, 60 do
      support.replay(CAPTURES[1], result.ruleset, function(evt)
        seen = seen + prog.match(evt)
      end)
      if round == 30 then
        at_half = traces
      end
    end
    jit.attach(watch)
    assert.equal(0, flushes)
    assert.is_true(traces - at_half <= 2, ("%d new traces"):format(traces - at_half))
    assert.equal(0, seen)
  end)
end)
