-- SPDX-License-Identifier: Apache-2.0
-- `falco bench RULES CAPTURE`: what rules cost. The capture is replayed without rules, with all of them, and with each alone;
-- of a few runs the fastest counts.
--
-- What a rule costs is what a replay with this rule alone takes longer than one with rules that look at nothing, spread over
-- the events of the types that it looks at. What rules share (a lookup, a common comparison) counts for each, so the rules'
-- costs add up to more than all together take. What is a few microseconds in all is noise: long captures tell more.
local console = require("console")
local core = require("core")
local json = require("json")
local rules = require("rules")
local run = require("run")
local lower = require("rules.lower")

local M = {}

local RUNS = 5                 -- at least; short captures are replayed more often
local MAX_RUNS, ENOUGH_NS = 50, 3e7
local NAME_WIDTH = 48

-- ------------------------------------------------------------------ one replay

-- { ns, events (numbered), shown (got past the gate), matches } or nil, message. prog nil: no rules.
local function replay(config, path, ruleset, prog)
  local C, err = core.C, core.err()
  local eng = C.engine_new(run.limits(config), err)
  if eng == nil then return nil, core.message(err) end
  if C.engine_open_replay(eng, path, err) < 0 then
    C.engine_free(eng)
    return nil, core.message(err)
  end
  if prog then C.engine_use(eng, ruleset) end
  local evt, match, NEXT_EVENT = C.engine_evt(eng), prog and prog.match, C.NEXT_EVENT
  local started, shown, matches, code = C.sys_cpu_ns(), 0, 0, nil
  repeat
    code = C.engine_next(eng)
    if code == NEXT_EVENT then
      shown, matches = shown + 1, matches + match(evt)
    end
  until code ~= NEXT_EVENT
  local ns = tonumber(C.sys_cpu_ns() - started)
  local out = { ns = ns, events = tonumber(C.engine_delivered(eng)), shown = shown, matches = matches }
  local message = code < 0 and core.cstr(C.engine_error(eng)) or nil
  C.engine_free(eng)
  if message then return nil, message end
  return out
end
jit.off(replay)         -- as in run.loop()

-- The fastest of some; .runs of them.
local function fastest(config, path, ruleset, prog, runs)
  local best, message, spent, n = nil, nil, 0, 0
  repeat
    local one
    one, message = replay(config, path, ruleset, prog)
    if not one then return nil, message end
    if not best or one.ns < best.ns then best = one end
    spent, n = spent + one.ns, n + 1
  until n >= MAX_RUNS or n >= runs and spent >= ENOUGH_NS or core.C.sys_stop_signal() ~= 0
  best.runs = n
  return best
end

-- ------------------------------------------------------------------ the gate

-- What the gate did with events of all codes: { PASSES =, ... } as counts.
local function verdicts(ruleset)
  local C, stats = core.C, core.ffi.new("struct gate_stats")
  local out = {}
  for i = 0, C.GATE_VERDICTS - 1 do out[i] = 0 end
  for code = 0, C.event_count() - 1 do
    C.ruleset_gate_stats(ruleset, code, stats)
    for i = 0, C.GATE_VERDICTS - 1 do out[i] = out[i] + tonumber(stats.verdicts[i]) end
  end
  return out
end

local function sum(counts)
  local total = 0
  for _, n in pairs(counts) do total = total + n end
  return total
end

-- A program of these rules alone (indices; nil: of all that are enabled).
local function program(config, loaded, only)
  core.C.ruleset_want_nothing(loaded.ruleset)
  for i, rule in ipairs(loaded.result.rules) do rule.enabled = only == nil and loaded.enabled[i] or only == i end
  return rules.compile(loaded.result, { matching = config.rule_matching })
end

local function rule_row(config, path, loaded, index, idle, runs)
  local C, rule = core.C, loaded.result.rules[index]
  local prog = program(config, loaded, index)
  local alone, message = fastest(config, path, loaded.ruleset, prog, runs)
  if not alone then return nil, message end
  local seen = verdicts(loaded.ruleset)
  local times = alone.runs
  local asked = sum(seen) / times
  return { name = rule.name, events = asked, matches = alone.matches, passed = alone.shown,
           gate_rate = asked > 0 and 1 - alone.shown / asked or nil, stateful = lower.stateful(rule.tree),
           by_process = seen[C.GATE_BY_PROCESS] / times, by_descriptor = seen[C.GATE_BY_DESCRIPTOR] / times,
           by_condition = seen[C.GATE_BY_CONDITION] / times,
           ns = asked > 0 and math.max(alone.ns - idle.ns, 0) / asked or 0, total_ns = math.max(alone.ns - idle.ns, 0) }
end

-- ------------------------------------------------------------------ all

local function measure(config, path, loaded, runs)
  local base, message = fastest(config, path, nil, nil, runs)
  if not base then return nil, message end
  local prog = program(config, loaded)
  local all
  all, message = fastest(config, path, loaded.ruleset, prog, runs)
  if not all then return nil, message end
  local idle
  idle, message = fastest(config, path, loaded.ruleset, program(config, loaded, 0), runs)
  if not idle then return nil, message end
  local out = { base = base, all = all, rows = {} }
  for index in ipairs(loaded.result.rules) do
    if loaded.enabled[index] then
      local row
      row, message = rule_row(config, path, loaded, index, idle, runs)
      if not row then return nil, message end
      out.rows[#out.rows + 1] = row
    end
    if core.C.sys_stop_signal() ~= 0 then return nil, "interrupted" end
  end
  table.sort(out.rows, function(a, b)
    if a.total_ns ~= b.total_ns then return a.total_ns > b.total_ns end
    return a.name < b.name
  end)
  return out
end

local function per_event(run_)
  return run_.events > 0 and run_.ns / run_.events or 0
end

local function rate(run_)
  return run_.ns > 0 and run_.events * 1e9 / run_.ns or 0
end

local function as_text(m)
  local out = { ("%-" .. NAME_WIDTH .. "s %10s %9s %8s %9s %8s\n"):format("rule", "events", "ns/event", "gated", "evaluated",
    "matches") }
  for _, row in ipairs(m.rows) do
    local name = #row.name > NAME_WIDTH and row.name:sub(1, NAME_WIDTH - 3) .. "..." or row.name
    out[#out + 1] = ("%-" .. NAME_WIDTH .. "s %10d %9.1f %8s %9d %8d\n"):format(name, row.events, row.ns,
      row.gate_rate and ("%.1f %%"):format(100 * row.gate_rate) or "-", row.passed, row.matches)
  end
  out[#out + 1] = ("\n%d rules over %d events: %.0f ns per event, %.0f events/s; without rules %.0f ns, %.0f events/s\n"):format(
    #m.rows, m.all.events, per_event(m.all), rate(m.all), per_event(m.base), rate(m.base))
  out[#out + 1] = ("%d events (%.2f %%) got past the gate, %d alerts\n"):format(m.all.shown,
    m.all.events > 0 and 100 * m.all.shown / m.all.events or 0, m.all.matches)
  return table.concat(out)
end

local function as_json(m)
  local list = json.array()
  for i, row in ipairs(m.rows) do
    list[i] = { rule = row.name, events = row.events, ns_per_event = row.ns, gate_rate = row.gate_rate or json.null,
                evaluations = row.passed, matches = row.matches,
                dismissed = { process = row.by_process, descriptor = row.by_descriptor, condition = row.by_condition } }
  end
  return json.encode({ rules = list, events = m.all.events, events_per_second = rate(m.all), ns_per_event = per_event(m.all),
    without_rules = { events_per_second = rate(m.base), ns_per_event = per_event(m.base) }, past_the_gate = m.all.shown,
    alerts = m.all.matches }) .. "\n"
end

function M.run(config, options)
  local paths, message = run.rules_files(config, options)
  if not paths then
    console.error(message)
    return 1
  end
  local loaded = run.load_rules(config, run.read_files(paths))
  console.diagnostics(loaded.diags, { level = "error" })
  if not loaded.result.ok then return 1 end
  loaded.enabled = {}
  for i, rule in ipairs(loaded.result.rules) do loaded.enabled[i] = rule.enabled end
  rules.jit_options()
  local m
  m, message = measure(config, options.file, loaded, options.runs or RUNS)
  if not m then
    console.error(message)
    return 1
  end
  console.print((options.as_json and as_json or as_text)(m))
  message = console.failure()
  if message then console.error(message) end
  return message and 1 or 0
end

return M
