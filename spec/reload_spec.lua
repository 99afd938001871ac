-- SPDX-License-Identifier: Apache-2.0
local conf = require "conf"
local core = require "core"
local diag = require "diag"
local run = require "run"
local support = dofile "spec/support.lua"

local CAPTURE = "test/data/websrv.scap"
local QUIET = "  warn_evttypes: false\n"

local function text(...)
  local parts = {}
  for i = 1, select("#", ...), 2 do
    local name, condition = select(i, ...)
    parts[#parts + 1] = support.rule(name, condition, QUIET)
  end
  return { { name = "r.yaml", text = table.concat(parts) } }
end

local function new_worker(texts)
  local config = assert(conf.load{ diag = diag.new(), set = { "rule_matching=all" } })
  config.engine.kind, config.engine.replay.capture_file = "replay", CAPTURE
  local loaded = run.load_rules(config, texts)
  assert.is_true(loaded.result.ok)
  local work = run.worker(config, { rules = {} }, loaded)
  work.eng = assert(run.open_engine(config))
  core.C.engine_use(work.eng, work.ruleset)
  return work
end

-- Runs until the end or until visit(name, evt) answers false; what the alerts said.
local function go(work, visit)
  return run.loop(work.eng, work.prog, function(evt, n)
    local on = true
    for i = 0, n - 1 do
      local index = work.prog.hits[i]
      work.counts[index] = work.counts[index] + 1
      on = visit(work.result.rules[index].name, evt) ~= false and on
    end
    return on
  end)
end

local out
local function note(name, evt)
  out[#out + 1] = ("%s %d"):format(name, tonumber(core.C.evt_head(evt).num))
end

-- What one ruleset alone says of the whole capture.
local function alone(texts)
  out = {}
  local work = new_worker(texts)
  go(work, note)
  local delivered = tonumber(core.C.engine_delivered(work.eng))
  core.C.engine_free(work.eng)
  return out, delivered
end

-- These look at what the tables remember: parents, descriptors opened long before.
local OLD = text("shell", "evt.type in (execve, clone) and proc.pname exists", "file", "evt.type = close and fd.name contains /")
local NEW = text("child", "evt.type = clone and proc.aname[2] exists", "file", "evt.type = close and fd.name contains /",
  "net", "evt.type in (read, recvfrom, sendto, write) and fd.typechar in (4, 6)")

local function number(line)
  return tonumber(line:match("%d+$"))
end

describe("reload", function()
  it("changes the rules between two events and keeps everything else", function()
    local old, events = alone(OLD)
    local new = alone(NEW)
    for _, stop in ipairs{ 1, math.floor(#old / 2), #old } do
      out = {}
      local work = new_worker(OLD)
      go(work, function(name, evt)
        note(name, evt)
        return #out < stop
      end)
      local at = number(out[#out])
      local ok, diags = run.reload(work, NEW)
      assert.is_true(ok)
      assert.equal(0, diags.errors)
      assert.equal(core.C.NEXT_END, go(work, note))
      local expected = {}
      for _, line in ipairs(old) do
        if number(line) <= at then expected[#expected + 1] = line end
      end
      for _, line in ipairs(new) do
        if number(line) > at then expected[#expected + 1] = line end
      end
      assert.same(expected, out)
      assert.equal(events, tonumber(core.C.engine_delivered(work.eng)))
      core.C.engine_free(work.eng)
    end
  end)

  it("keeps the old rules when the new ones are bad", function()
    local old = alone(OLD)
    out = {}
    local work = new_worker(OLD)
    local prog = work.prog
    go(work, function(name, evt)
      note(name, evt)
      return #out < 5
    end)
    local ok, diags = run.reload(work, text("bad", "evt.type = opn", "worse", "proc.nam = x"))
    assert.is_false(ok)
    assert.equal(2, diags.errors)
    assert.matches("r.yaml:5:25: error: .*'opn'", (diags:render()))
    assert.equal(prog, work.prog)
    go(work, note)
    assert.same(old, out)
    core.C.engine_free(work.eng)
  end)

  it("goes on when the engine was stopped in between", function()
    local new = alone(NEW)
    out = {}
    local work = new_worker(OLD)
    core.C.engine_stop(work.eng)
    assert.equal(core.C.NEXT_STOPPED, go(work, note))
    assert.is_true((run.reload(work, NEW)))
    core.C.engine_resume(work.eng)
    assert.equal(core.C.NEXT_END, go(work, note))
    assert.same(new, out)
    core.C.engine_free(work.eng)
  end)

  it("counts the alerts of rules that stay on", function()
    local work = new_worker(OLD)
    local files = 0
    out = {}
    go(work, function(name) files = files + (name == "file" and 1 or 0) return files < 3 end)
    run.reload(work, NEW)
    assert.same({ 0, files, 0 }, work.counts)
    core.C.engine_free(work.eng)
  end)

  it("counts on when a rule was away for a while", function()
    local work = new_worker(OLD)
    local files = 0
    go(work, function(name) files = files + (name == "file" and 1 or 0) return files < 3 end)
    run.reload(work, text("net", "evt.type = connect"))
    assert.same({ 0 }, work.counts)
    assert.equal(files, work.past.rules.file.count)
    run.reload(work, NEW)
    assert.same({ 0, files, 0 }, work.counts)
    assert.is_nil(work.past.rules.file)
    core.C.engine_free(work.eng)
  end)

  it("can be done a hundred times", function()
    local work = new_worker(OLD)
    for i = 1, 100 do
      local seen = 0
      go(work, function() seen = seen + 1 return seen < 2 end)
      assert.is_true((run.reload(work, i % 2 == 0 and OLD or NEW)))
    end
    assert.equal(core.C.NEXT_END, go(work, function() end))
    core.C.engine_free(work.eng)
  end)
end)
