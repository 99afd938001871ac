-- SPDX-License-Identifier: Apache-2.0
local conf = require "conf"
local console = require "console"
local core = require "core"
local diag = require "diag"
local rule_scripts = require "scripts.rule"
local run = require "run"
local script_config = require "scripts.config"
local support = dofile "spec/support.lua"

local CAPTURE = "test/data/websrv.scap"

local function rule(name, condition, script)
  return support.rule(name, condition, "  warn_evttypes: false\n  script: |\n    " .. script:gsub("\n", "\n    ") .. "\n")
end

local COUNT = rule("count", "evt.type = close", [[
local n = 0
function on_event(evt)
  n = n + 1
  emit{ fields = { n = n } }
end]])

local function files(text)
  return { { name = "r.yaml", text = text } }
end

local function new_worker(text, matching)
  local config = assert(conf.load{ diag = diag.new(), set = { "rule_matching=" .. (matching or "all") } })
  config.engine.kind, config.engine.replay.capture_file = "replay", CAPTURE
  local loaded = run.load_rules(config, files(text))
  assert.is_true(loaded.result.ok)
  local work = run.worker(config, { rules = {} }, loaded)
  work.eng = assert(run.open_engine(config))
  core.C.engine_use(work.eng, work.ruleset)
  run.open_scripts(work)
  return work
end

-- Runs until `stop` alerts; what scripts emitted: { n = ... } fields, or true.
local function go(work, stop)
  local told = {}
  local outs = {
    alert = function(_, index) told[#told + 1] = work.result.rules[index].name end,
    tell = function(_, what) told[#told + 1] = what end,
  }
  run.loop(work.eng, work.prog, function(evt, n)
    for i = 0, n - 1 do
      local index = work.prog.hits[i]
      if work.scripts and work.scripts[index] then
        work.scripts[index]:run(evt, outs)
      else
        outs:alert(index)
      end
    end
    return #told < (stop or math.huge)
  end)
  return told
end

describe("scripts of rules", function()
  local warning, error_of, said = console.warning, console.error, nil

  before_each(function()
    said = {}
    console.error = function(line) said[#said + 1] = line end
  end)

  after_each(function()
    console.warning, console.error = warning, error_of
  end)

  it("go on with what they know when the rules are loaded anew, unless they have changed", function()
    local work = new_worker(COUNT)
    local told = go(work, 10)
    assert.equal(10, told[10].fields.n)
    assert.is_true(run.reload(work, files(support.rule("another", "evt.type = connect") .. COUNT)))
    core.C.engine_resume(work.eng)
    told = go(work, 1)
    while type(told[1]) ~= "table" do told = go(work, 1) end
    assert.equal(11, told[1].fields.n)
    assert.is_true(run.reload(work, files((COUNT:gsub("local n = 0", "local n = 100")))))
    core.C.engine_resume(work.eng)
    assert.equal(101, go(work, 1)[1].fields.n)
    core.C.engine_free(work.eng)
  end)

  it("do not keep an event from the rules behind them", function()
    for _, matching in ipairs{ "first", "all" } do
      local work = new_worker(rule("quiet", "evt.type = close", "function on_event(evt) end") .. support.rule("behind", "evt.type = close")
        .. support.rule("last", "evt.type = close"), matching)
      local told = go(work, 4)
      assert.same(matching == "first" and { "behind", "behind", "behind", "behind" } or { "behind", "last", "behind", "last" }, told)
      core.C.engine_free(work.eng)
    end
  end)

  it("read fields of all kinds", function()
    local work = new_worker(rule("fields", "evt.type = connect and fd.l4proto = tcp", [[
return { on_event = function(evt)
  local list = evt:get("proc.aname[1]")
  emit{ output = type(evt:get("proc.pid")) .. " " .. type(evt:get("proc.name")) .. " " .. type(evt:get("evt.is_open_write"))
    .. " " .. tostring(evt:get("container.image.tag")) .. " " .. type(list) .. " " .. type(evt:get("evt.time")) .. " " .. evt:get("evt.type"),
    priority = "critical" }
end }]]))
    local what = go(work, 1)[1]
    assert.equal("number string boolean  string string connect", what.message)
    assert.equal(2, what.priority)
    assert.equal("fields", what.rule)
    core.C.engine_free(work.eng)
  end)

  it("may not keep the event", function()
    local work = new_worker(rule("keeps", "evt.type = close", [[
local kept = falco.table{}
local get
return { on_event = function(evt)
  get = get or coroutine.wrap(function() while true do coroutine.yield(evt:get("evt.num")) end end)
  emit{ fields = { num = get() } }
end }]]))
    local told = go(work, 3)
    assert.is_true(told[1].fields.num < told[2].fields.num and told[2].fields.num < told[3].fields.num)
    core.C.engine_free(work.eng)
  end)

  it("read so many different fields and no more", function()
    local work = new_worker(rule("many", "evt.type = close", [[
function on_event(evt)
  for i = 1, 300 do evt:get("proc.aname[" .. i .. "]") end
  emit{}
end]]))
    assert.equal("many", go(work, 1)[1])
    assert.matches("a script can read 256 different fields", said[1])
    core.C.engine_free(work.eng)
  end)

  it("keep tables of so many processes", function()
    local work = new_worker(rule("tables", "evt.type in (close, openat, read)", [[
local tables = setmetatable({}, { __mode = "k" })
function on_event(evt)
  local p = evt:process()
  p.n = (p.n or 0) + 1
  p.pid = p.pid or evt:get("proc.pid")
  if p.pid ~= evt:get("proc.pid") then emit{ output = "mixed up" } end
  if p.n == 20 then emit{ fields = { pid = p.pid } } end
end]]))
    local told = go(work)
    assert.is_true(#told >= 2)
    local pids = {}
    for _, what in ipairs(told) do
      assert.is_number(what.fields.pid)
      assert.is_nil(pids[what.fields.pid])
      pids[what.fields.pid] = true
    end
    core.C.engine_free(work.eng)
  end)

  it("forget processes that are gone first, when there are too many", function()
    local text = rule("few", "evt.type in (close, openat, read, execve)", [[
local most, n, kept = 0, 0, {}
function on_event(evt)
  local p = evt:process()
  local pid = evt:get("proc.pid")
  if p.pid and p.pid ~= pid then emit{ output = "mixed up" } end
  if not p.pid then n = n + 1 end
  p.pid = pid
  if evt:get("evt.num") > 100 then emit{ fields = { made = n } } end
end]])
    local made = {}
    for i, processes in ipairs{ 2, 1000 } do
      local work = new_worker(text)
      rule_scripts.close(work.scripts)
      work.scripts = rule_scripts.open(work.result.rules, work.prepared, { limits = script_config.default_limits(),
        tell = function() end, processes = processes })
      local told = go(work)
      for _, what in ipairs(told) do assert.is_number(what.fields.made, what.message) end
      made[i] = told[#told].fields.made
      core.C.engine_free(work.eng)
    end
    assert.is_true(made[2] > 2 and made[1] > made[2], made[1] .. " " .. made[2])
  end)

  it("that do not end are ended, and the rule alerts as if it had none", function()
    local work = new_worker(rule("loop", "evt.type = close", "function on_event(evt) while true do end end"))
    local told = go(work, 20)
    for i = 1, 20 do assert.equal("loop", told[i]) end
    assert.equal(4, #said)
    assert.is_true(work.scripts[1].script.off)
    assert.equal(script_config.default_limits().errors, work.scripts[1].script.failures)
    core.C.engine_free(work.eng)
  end)

  it("cost little beside the event", function()
    local work = new_worker(rule("cost", "evt.type in (read, write, openat, close)", [[
local n = 0
function on_event(evt)
  n = n + 1
  if evt:get("proc.name") == "nobody" then emit{} end
end]]))
    go(work)
    local stats = work.scripts[1].script.box:stats()
    assert.is_true(stats.calls > 1000)
    -- generous: a machine under load, and sanitizers
    assert.is_true(stats.ns / stats.calls < 100000, ("%.0f ns"):format(stats.ns / stats.calls))
    core.C.engine_free(work.eng)
  end)
end)
