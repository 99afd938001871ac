-- SPDX-License-Identifier: Apache-2.0
-- The law of the gate: it never changes a result. Gate and compiled code, compiled code alone, and a naive walk over the
-- tree report the same (rule, event) pairs, whatever the JIT compiler does.
--   FALCO_SEED=N   repeats a run that failed
local core = require "core"
local naive = dofile "spec/naive.lua"
local rules = require "rules"
local conditions = dofile "spec/conditions.lua"
local support = dofile "spec/support.lua"
local vary = dofile "test/vary.lua"

local FIXED_SEED = 20

local function captures()
  local out, pipe = {}, io.popen("ls test/data/*.scap")
  for path in pipe:lines() do
    out[#out + 1] = path
  end
  pipe:close()
  return out
end

local CAPTURES = captures()

-- ------------------------------------------------------------------ ways to find out

local function with_jit(options, run)
  jit.flush()
  if options then
    jit.on()
    jit.opt.start(unpack(options))
  else
    jit.off()
  end
  local hits = run()
  jit.on()
  jit.opt.start("hotloop=56", "hotexit=10")
  return hits
end

local NORMAL, AT_ONCE = { "hotloop=56", "hotexit=10" }, { "hotloop=1", "hotexit=1" }
local WAYS = {
  { "compiled, no gate", gate = false, jit = NORMAL },
  { "gate", jit = NORMAL },
  { "gate, no JIT", interpret = false, jit = false },
  { "gate, JIT at once", jit = AT_ONCE },
  { "gate and C interpreter", interpret = true, jit = false },
}

local function want_all(rs)
  for code = 0, core.C.event_count() - 1 do
    core.C.ruleset_want(rs, code, -1)
  end
end

-- Stateful leaves answer differently when asked twice: every way loads rules of its own. Returns, for each capture, an array
-- of evt.num * 65536 + rule, and how many pairs were judged.
local function by_naive_walk(load, first, files)
  local result, out, pairs_judged = load(), {}, 0
  want_all(result.ruleset)
  for i, capture in ipairs(files) do
    local hits = {}
    pairs_judged = pairs_judged + #result.rules * support.replay(capture, result.ruleset, function(evt, head)
      for _, index in ipairs(naive.matches(result.rules, evt, first)) do
        hits[#hits + 1] = tonumber(head.num) * 65536 + index
      end
    end)
    out[i] = hits
  end
  core.C.ruleset_free(result.ruleset)
  return out, pairs_judged
end

-- What the gate says of each rule alone: among others, one that passes hides that another one should have.
local function by_gate_alone(load, files)
  local result, out = load(), {}
  local prog = rules.compile(result, { matching = "all" })
  for i, capture in ipairs(files) do
    local hits = {}
    support.replay(capture, result.ruleset, function(evt, head)
      local found = {}
      for k = 1, prog.match(evt) do
        found[k] = prog.hits[k - 1]
      end
      for _, index in ipairs(support.let_through(result.ruleset, prog, evt, found)) do
        hits[#hits + 1] = tonumber(head.num) * 65536 + index
      end
    end)
    out[i] = hits
  end
  core.C.ruleset_free(result.ruleset)
  return out
end

local function by_program(load, first, files, way)
  return with_jit(way.jit, function()
    local result, out = load(), {}
    local prog = rules.compile(result, { matching = first and "first" or "all", gate = way.gate, interpret = way.interpret })
    for i, capture in ipairs(files) do
      local hits = {}
      support.replay(capture, result.ruleset, function(evt, head)
        for k = 0, prog.match(evt) - 1 do
          hits[#hits + 1] = tonumber(head.num) * 65536 + prog.hits[k]
        end
      end)
      out[i] = hits
    end
    core.C.ruleset_free(result.ruleset)
    return out
  end)
end

-- ------------------------------------------------------------------ comparing

local function difference(want, got)
  for i = 1, math.max(#want, #got) do
    if want[i] ~= got[i] then
      return want[i] and (not got[i] or want[i] < got[i]) and { want[i], "missing" } or { got[i], "too much" }
    end
  end
end

local function explain(load, capture, way, what)
  local rule = load().rules[what[1] % 65536]
  return ("%s: %s at event %d of %s, of rule %s\n%s\n"):format(way, what[2], math.floor(what[1] / 65536), capture, rule.name, rule.condition)
end

-- load(more) -> a fresh result of rules.load(), of the rules and of the text `more`. Returns pairs judged, pairs that matched.
local function hold(load, files, label)
  local judged, matched = 0, 0
  local function compare(want, got, way)
    for i, capture in ipairs(files) do
      local what = difference(want[i], got[i])
      if what then
        error(label .. ": " .. explain(load, capture, way, what), 0)
      end
      matched = matched + #got[i]
    end
  end
  for _, first in ipairs{ false, true } do
    local want, n = by_naive_walk(load, first, files)
    judged = judged + n
    for _, way in ipairs(WAYS) do
      compare(want, by_program(load, first, files, way), way[1] .. (first and ", first match" or ""))
    end
  end
  local function load_with_any()
    return load(support.ANY)
  end
  compare(by_naive_walk(load_with_any, false, files), by_gate_alone(load_with_any, files), "gate, each rule alone")
  return judged, matched
end

local pool

local function hold_random(seed)
  pool = pool or conditions.pool(CAPTURES)
  local new = conditions.generator(pool, seed)
  local judged, matched = 0, 0
  for _ = 1, 2 do
    local text = {}
    for i = 1, 40 do
      text[i] = support.rule("r" .. i, "'" .. new():gsub("'", "''") .. "'", "  warn_evttypes: false\n")
    end
    text = table.concat(text)
    local files = { CAPTURES[math.random(#CAPTURES)] }
    local n, m = hold(function(more) return (support.good(text .. (more or ""))) end, files, "FALCO_SEED=" .. seed)
    judged, matched = judged + n, matched + m
  end
  assert.is_true(judged >= 100000, ("only %d pairs"):format(judged))
  assert.is_true(matched > 1000, ("only %d pairs matched"):format(matched))
end

describe("gate, compiled code and naive walk agree", function()
  it("on random conditions, fixed seed", function()
    hold_random(FIXED_SEED)
  end)

  it("on random conditions, random seed", function()
    hold_random(tonumber(os.getenv("FALCO_SEED")) or os.time() % 1000000)
  end)

  it("on rules that remember something, each alone", function()
    for _, condition in ipairs{ "evt.deltatime < 300000 and proc.name in (sh, bash, cat, ls)", "util.cnt > 100 and fd.name startswith /etc",
                                "proc.name != sh and (evt.deltatime.ns > 500000 or fd.typechar = f)" } do
      local text = support.rule("r", condition, "  warn_evttypes: false\n")
      local _, matched = hold(function(more) return (support.good(text .. (more or ""))) end, { "test/data/procs.scap" }, condition)
      assert.is_true(matched > 0)
    end
  end)

  local function shipped()
    local f = assert(io.open("rules/falco_rules.yaml"))
    local text = f:read("*a")
    f:close()
    return text
  end

  local function loader(text)
    return function(more)
      local result = support.good(text .. (more or ""))
      for _, rule in ipairs(result.rules) do
        rule.enabled = true
      end
      return result
    end
  end

  it("on the shipped rules", function()
    local judged, matched = hold(loader(shipped()), CAPTURES, "shipped rules")
    assert.is_true(judged >= 100000 and matched > 100)
  end)

  it("on so many rules that their comparisons are found, not made", function()
    local text = vary.deeply(loader(shipped())(), 200)
    local judged, matched = hold(loader(text), { "test/data/sensitive.scap", "test/data/procs.scap" }, "200 rules")
    assert.is_true(judged >= 100000 and matched > 100, ("%d pairs, %d matched"):format(judged, matched))
  end)
end)
