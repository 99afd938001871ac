-- SPDX-License-Identifier: Apache-2.0
local console = require "console"
local core = require "core"
local counts = require "scripts.counts"
local stage = require "spec.scripts.stage"

local function one(text, more, opts)
  local given = { text = text, name = "t" }
  for key, value in pairs(more or {}) do given[key] = value end
  return stage.open({ given }, opts)
end

local function write_only(body)
  return "return { write = function(alert)\n" .. body .. "\nend }"
end

describe("scripts of outputs", function()
  local said
  local say = {}
  for _, level in ipairs{ "error", "warning", "notice", "info", "debug" } do say[level] = console[level] end

  before_each(function()
    said = {}
    for level in pairs(say) do console[level] = function(line) said[#said + 1] = level .. ": " .. line end end
  end)

  after_each(function()
    for level, func in pairs(say) do console[level] = func end
  end)

  it("see an alert and decide about it", function()
    local s = one([[return {
      match = function(alert) return alert:has_tag("a") and alert.rule == "r" end,
      write = function(alert)
        alert:to("file", "http_output")
        alert:set("who", alert:get("proc.name") .. "!")
        alert:set("n", 5)
        alert:priority("critical")
        falco.log("warning", alert:priority() .. " " .. alert.output)
      end }]])
    local record = s:pass{ tags = { "a" }, fields = { ["proc.name"] = "cat" } }
    assert.same({ file = true, http = true }, record.to)
    assert.same({ who = "cat!", n = 5 }, record.extra)
    assert.equal(2, record.priority)
    assert.same({ "warning: script 't': Critical text" }, said)
    local other = s:pass{ tags = { "b" } }
    assert.is_nil(other.to)
    assert.is_nil(other.extra)
    s:close()
  end)

  it("drop, and what one drops the next does not see", function()
    local s = stage.open{
      { text = write_only "if alert.severity == 7 then alert:drop() end" },
      { text = write_only "falco.emit{ output = 'seen ' .. alert.rule, rule = 'second' }" },
    }
    assert.is_nil(s:pass{ rule = "x", priority = 7 })
    assert.truthy(s:pass{ rule = "y", priority = 3 })
    assert.equal(1, #s.emitted)
    assert.equal("seen y", s.emitted[1].message)
    assert.equal("second", s.emitted[1].rule)
    assert.equal(6, s.emitted[1].priority)
    s:close()
  end)

  it("see what those before them made of the alert", function()
    local s = stage.open{
      { text = write_only "alert:set('a', 1); alert:priority('debug')" },
      { text = write_only "alert:set('b', alert:get('a') + 1); alert:set('p', alert:priority())" },
    }
    assert.same({ a = 1, b = 2, p = "Debug" }, s:pass({}).extra)
    s:close()
  end)

  it("see numbers of 64 bits as numbers", function()
    local s = one(write_only "alert:set('sum', alert:get('a') + alert:get('b'))")
    assert.equal(3e18, s:pass{ fields = { a = 1000000000000000000LL, b = 2000000000000000000ULL } }.extra.sum)
    s:close()
  end)

  it("that fail let the alert pass, are switched off after so many failures, and say so as an alert", function()
    local s = one(write_only "alert:drop(); error('broken ' .. alert.rule)", { limits = { errors = 3 } })
    for i = 1, 5 do assert.truthy(s:pass{ rule = "r" .. i }) end
    assert.equal(1, #s.emitted)
    assert.equal("Falco internal: script switched off", s.emitted[1].rule)
    assert.matches("failed 3 times in a row and is switched off.*broken r3", s.emitted[1].message)
    assert.equal("3", s.emitted[1].fields.errors)
    assert.matches("stack traceback", s.emitted[1].fields.error)
    assert.equal(3, #said)
    assert.matches("script 't': .*:2: broken r1\nstack traceback:", said[1])
    s:close()
  end)

  it("that fail now and then stay on", function()
    local s = one("local n = 0\n" .. write_only "n = n + 1; if n % 2 == 0 then error('x') end; alert:set('n', n)", { limits = { errors = 2 } })
    for i = 1, 9 do
      local record = s:pass{}
      assert.equal(i % 2 == 1 and i or nil, record.extra and record.extra.n)
    end
    assert.equal(0, #s.emitted)
    s:close()
  end)

  it("that cannot be run are left out and reported, the others run", function()
    local s = stage.open{ { text = "return {", name = "bad" }, { text = write_only "alert:set('x', 1)" }, { path = "/nonexistent.lua", name = "gone" } }
    assert.equal(1, s:pass({}).extra.x)
    assert.equal("Falco internal: script not run", s.emitted[1].rule)
    assert.matches("gone': /nonexistent.lua: there is no such file", said[1])
    assert.matches("script 'bad' is not run: .*unexpected symbol", said[2])
    s:close()
  end)

  it("whose functions nobody calls say so", function()
    local s = one("return { wrte = function() end, n = 1 }")
    assert.same({ "warning: script 't': 'wrte' is none of the functions that are called: match, write, tick, open, close"
      .. " (did you mean 'write'?)" }, said)
    s:close()
    said = {}
    s = one("return { helper = function() end, tick = function() end }")
    s:close()
    s = one("return {}")
    s:close()
    assert.same({}, said)
  end)

  it("have no powers that were not granted", function()
    local s = one(write_only "alert:drop()", { grant = { "log" } })
    assert.truthy(s:pass{})
    assert.matches("'route' is not granted to this script: add it to its `grant` in falco.yaml", said[1])
    s:close()
  end)

  it("send to no output that there is not", function()
    local s = one(write_only "alert:to('slack')")
    assert.is_nil(s:pass({}).to)
    s:pass{}
    assert.same({ "warning: script 't': no output is called 'slack'" }, said)
    s:close()
  end)

  it("have timers by the clock of the source", function()
    local s = one([[
      falco.every(10, function(now) falco.emit{ output = "tick " .. now } end)
      local id = falco.after(15, function() falco.emit{ output = "never" } end)
      falco.after(25, function(now) falco.emit{ output = "once " .. now } end)
      return { write = function() if id then falco.cancel(id); id = nil end end }]])
    for _, time in ipairs{ 1000, 1009, 1010, 1012, 1031, 1040 } do s:pass{ time = time } end
    local lines = {}
    for i, what in ipairs(s.emitted) do lines[i] = what.message end
    assert.same({ "tick 1010", "tick 1031", "once 1031", "tick 1040" }, lines)
    s:close()
  end)

  it("have a tick() and a close()", function()
    local s = one([[return {
      tick = function(now) falco.emit{ output = "tick " .. now } end, close = function() falco.emit{ output = "closed" } end,
      write = function() end }]])
    s:pass{ time = 5 }
    s:pass{ time = 5.5 }
    s:pass{ time = 6 }
    s:close()
    local lines = {}
    for i, what in ipairs(s.emitted) do lines[i] = what.message end
    assert.same({ "tick 5", "tick 6", "closed" }, lines)
  end)

  it("keep a store from one run to the next", function()
    local dir = os.tmpname()
    os.remove(dir)
    local text = write_only [[
      alert:set("n", falco.kv.add("n"))
      falco.kv.set("a text", "with\ttab\nand % and \0")
      falco.kv.set("gone", true)
      falco.kv.delete("gone")
      alert:set("same", falco.kv.get("a text") == "with\ttab\nand % and \0")
      alert:set("gone", falco.kv.get("gone") == nil)]]
    for run = 1, 3 do
      local s = one(text, { grant = { "kv", "alter" } }, { state_dir = dir .. "/deep" })
      assert.same({ n = run, same = true, gone = true }, s:pass({}).extra)
      s:close()
    end
    local file = assert(io.open(dir .. "/deep/t.kv"))
    assert.equal("falco kv 1", file:read())
    file:close()
    file = assert(io.open(dir .. "/deep/t.kv", "w"))
    file:write("rubbish")
    file:close()
    local s = one(text, { grant = { "kv", "alter" } }, { state_dir = dir .. "/deep" })
    assert.equal(1, s:pass({}).extra.n)
    assert.matches("is no store of a script; it is begun anew", said[1])
    s:close()
    os.execute("rm -r " .. dir)
  end)

  it("run programs and get what they say", function()
    local s = one(write_only [[
      falco.exec{ "/bin/cat", input = "hello", done = function(r) falco.emit{ output = r.output .. " " .. tostring(r.status) } end }
      falco.exec{ "/bin/sh", "-c", "sleep 60", timeout = 0.2, done = function(r) falco.emit{ output = r.error } end }
      falco.exec{ "/nonexistent", done = function(r) falco.emit{ output = r.error } end }]], { grant = { "exec", "emit" } })
    s:pass{}
    assert.is_true(s:settle())
    local lines = {}
    for i, what in ipairs(s.emitted) do lines[i] = what.message end
    table.sort(lines)
    assert.same({ "exec: /bin/sh took too long and was killed", "exec: /nonexistent: No such file or directory", "hello 0" }, lines)
    s:close()
  end)

  it("may run only so many programs at once", function()
    local s = one(write_only [[
      for i = 1, 9 do falco.exec{ "/bin/sleep", "60", done = function(r) if r.error then falco.emit{ output = r.error } end end } end]],
      { grant = { "exec", "emit" } })
    s:pass{}
    s.stage:tick(0)
    assert.equal("exec: 8 programs run already", s.emitted[1].message)
    s.stage.patience = 0
    local began = os.time()
    s:close()
    assert.is_true(os.time() - began < 5)
  end)

  it("kill nothing while a capture is read", function()
    local s = one(write_only [[falco.kill(4194000, { done = function(r) falco.emit{ output = r.error } end })]], { grant = { "kill", "emit" } })
    s:pass{}
    s:settle()
    assert.matches("this is a capture", s.emitted[1].message)
    s:close()
  end)

  it("signal no first process, no group and not falco", function()
    local s = one(write_only(([[
      for _, pid in ipairs{ 1, 0, -1, -%d, %d, 2.5, 1e300, -1/0 } do
        falco.kill(pid, { done = function(r) falco.emit{ output = r.error or "killed" } end })
      end]]):format(core.C.sys_pid(), core.C.sys_pid())), { grant = { "kill", "emit" } }, { live = true })
    s:pass{}
    s:settle()
    assert.equal(8, #s.emitted)
    for _, what in ipairs(s.emitted) do assert.not_equal("killed", what.message) end
    s:close()
  end)

  it("are counted", function()
    local s = one(write_only "if alert.rule == 'bad' then error('x') end; alert:drop()", { name = "counted one" })
    s:pass{}
    s:pass{ rule = "bad" }
    s:close()
    local found
    for _, row in ipairs(counts.all()) do
      if row.name == "counted one" then found = row.counts end
      for name in pairs(row.counts) do assert.is_string(counts.HELP[name], name) end
    end
    assert.is_true(found.ns > 0)
    assert.same({ 4, 1, 1, 0 }, { found.calls, found.errors, found.dropped, found.kills })
    local samples, fields = {}, {}
    counts.about{
      sample = function(_, name, _, _, value, labels) samples[name .. " " .. labels.script] = value end,
      field = function(_, name, value) fields[name] = value end,
    }
    assert.equal(4, samples["falco_script_calls_total counted one"])
    assert.is_true(fields["falco.scripts.calls"] >= 4)
  end)

  it("come from a directory, too", function()
    local dir = os.tmpname()
    os.remove(dir)
    os.execute("mkdir " .. dir)
    for name, text in pairs{ ["b.lua"] = write_only "alert:set('order', (alert:get('order') or '') .. 'b')",
        ["a.lua"] = write_only "alert:set('order', (alert:get('order') or '') .. 'a')", ["c.txt"] = "no script" } do
      local file = assert(io.open(dir .. "/" .. name, "w"))
      file:write(text)
      file:close()
    end
    local s = stage.open({ { path = dir .. "/b.lua", grant = { "log" } } }, { dir = dir })
    assert.equal("a", s:pass({}).extra.order)
    assert.equal(("notice: scripts_dir: %s/c.txt is left out: its name does not end in .lua"):format(dir), said[1])
    assert.matches("'alter' is not granted", said[2])
    s:close()
    os.execute("rm -r " .. dir)
  end)
end)
