-- SPDX-License-Identifier: Apache-2.0
-- Once a stream has been seen for a while, the JIT compiler makes, flushes and gives up no trace any more; matching costs no Lua
-- memory, whether an event alerts or not. (The C side: test/quiet.)
--   FALCO_UPSTREAM_RULES=DIR   where upstream's rule files lie, to be tried too
local core = require "core"
local files = require "files"
local rules = require "rules"
local run = require "run"
local support = dofile "spec/support.lua"
local vary = dofile "test/vary.lua"

local SANITIZED = (os.getenv("FALCO_LIB") or ""):find("/san/", 1, true)
local CAPTURES = { "websrv", "docker_priv", "runc_tty", "sensitive", "tracks_creds", "procs" }
local ROUNDS = SANITIZED and 2 or 20
local MIX = "../shared/traces/bench/mix.scap"

local ENTRY_BYTES = 2048		-- what watching and entering run.loop() takes, however many events come

local directory

-- Captures can be put one behind the other.
local function stream(rounds)
  local path = ("%s/%d.scap.gz"):format(directory, rounds)
  local names = "test/data/" .. table.concat(CAPTURES, ".scap test/data/") .. ".scap"
  assert(os.execute(("for i in $(seq %d); do cat %s; done >%s"):format(rounds, names, path)) == 0)
  return path
end

local function read(path)
  local f = assert(io.open(path, "rb"))
  local text = f:read("*a")
  f:close()
  return text
end

-- ------------------------------------------------------------------ watching

-- Counts what jit.attach tells, by kind. (busted looks globals up by functions of its own, which would count.)
local function watcher()
  local attach = jit.attach
  local w = { start = 0, stop = 0, abort = 0, flush = 0 }
  local function on(what)
    w[what] = (w[what] or 0) + 1
  end
  attach(on, "trace")
  function w.finish()
    attach(on)
    w.finish, w.record, w.texit = nil, nil, nil
    return w
  end
  return w
end

-- ------------------------------------------------------------------ replaying

local function engine_on(path, ruleset)
  local C, err = core.C, core.err()
  local eng = C.engine_new(core.ffi.new("struct engine_limits"), err)
  assert(eng ~= nil and C.engine_open_replay(eng, path, err) == 0, core.message(err))
  C.engine_use(eng, ruleset)
  return eng
end

-- Replays `path` twice with run.loop: the second time nothing may happen. Returns matches and events of that time.
local function settles(text, path)
  rules.jit_options()
  jit.flush()
  local result = support.good(text)
  for _, rule in ipairs(result.rules) do
    rule.enabled = true
  end
  local prog = rules.compile(result, { matching = "all" })
  local matches = 0
  local function alert(_, n)
    matches = matches + n
    return true
  end
  jit.off(alert)		-- ours, and called too seldom to be hot before the second time
  local warm = engine_on(path, result.ruleset)
  run.loop(warm, prog, alert)
  core.C.engine_free(warm)
  local eng, memory = engine_on(path, result.ruleset), collectgarbage
  memory()
  memory("stop")
  matches = 0
  local before, w = memory("count"), watcher()
  run.loop(eng, prog, alert)
  w.finish()
  local bytes = (memory("count") - before) * 1024
  memory("restart")
  local delivered = tonumber(core.C.engine_delivered(eng))
  core.C.engine_free(eng)
  if not SANITIZED then             -- too short a run to have settled: there it is for what the sanitizers find
    assert.same({ start = 0, stop = 0, abort = 0, flush = 0 }, w)
  end
  assert.is_true(bytes <= ENTRY_BYTES, ("%d bytes of Lua memory over %d events"):format(bytes, delivered))
  return matches, delivered
end

describe("LuaJIT settles, and matching costs no memory,", function()
  local shipped, path

  setup(function()
    if SANITIZED then
      print("skipped: counting traces (the sanitized run is too short)")
    end
    directory = os.tmpname()
    os.remove(directory)
    assert(os.execute("mkdir " .. directory) == 0)
    shipped, path = read("rules/falco_rules.yaml"), stream(ROUNDS)
  end)

  teardown(function()
    os.execute("rm -rf " .. directory)
    jit.opt.start("hotloop=56", "hotexit=10")
  end)

  it("with the shipped rules", function()
    local matches = settles(shipped, path)
    assert.is_true(matches > ROUNDS * 20)
  end)

  local many
  local function thousand()
    many = many or vary.deeply(support.good(shipped), SANITIZED and 100 or 1000)
    return many
  end

  it("with 1,000 rules", function()
    settles(thousand(), path)
  end)

  local function on_a_busy_host(what, texts)
    it(what .. " on a busy host", function()
      if files.kind(MIX) ~= "file" then
        print("skipped: " .. what .. " on a busy host: " .. MIX .. " is not there")
        return
      elseif not texts() then
        print("skipped: " .. what .. ": FALCO_UPSTREAM_RULES is not set")
        return
      end
      local _, n = settles(texts(), MIX)
      assert.is_true(n > 1e6)
    end)
  end

  on_a_busy_host("with the shipped rules", function() return shipped end)
  on_a_busy_host("with 1,000 rules", thousand)
  on_a_busy_host("with upstream's rules", function()
    local dir = os.getenv("FALCO_UPSTREAM_RULES")
    if not dir or dir == "" then
      return nil
    end
    local texts = {}
    for i, name in ipairs{ "falco_rules.yaml", "falco-incubating_rules.yaml", "falco-sandbox_rules.yaml" } do
      texts[i] = read(dir .. "/" .. name)
    end
    return texts
  end)
end)
