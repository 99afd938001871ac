-- SPDX-License-Identifier: Apache-2.0
-- Runs tests: their captures and events go through an engine with the rules, as they would for falco, and what matched is
-- held against what was expected.
--
--   local group = run.group(paths, diags, read)     rules files that are loaded together; nil: they do not load (reported)
--   run.compile(group, matching)                    the program of the group's rules
--   run.prepare(group, test)                        its expectations become conditions and outputs; mistakes go to the diagnostics
--   local result = run.test(group, test, resolve)   { failures = { { node, message, lines }, ... }, alerts = n, ns = time,
--                                                     of_rule = { [index] = alerts }, broken = a source could not be read }
--
-- All tests of a group are prepared before the first of them runs: what they ask for becomes part of the ruleset.
local core = require("core")
local diag = require("diag")
local given = require("ruletest.given")
local reasons = require("ruletest.reasons")
local rules = require("rules")
local rule_scripts = require("scripts.rule")
local ruleset = require("rules.ruleset")
local schema = require("schema")
local script_config = require("scripts.config")
local tell = require("ruletest.tell")
local value = require("ruletest.value")

local M = {}

M.MAX_SHOWN = 5               -- alerts that a failure shows

-- ------------------------------------------------------------------ rules

local function names_of(result)
  local by_name, names = {}, {}
  for i, rule in ipairs(result.rules) do by_name[rule.name], names[i] = i, rule.name end
  return by_name, names
end

-- paths: of rules files; read(path) -> text or nil, why; min_priority and the like are those of falco without a configuration.
function M.group(paths, diags, read)
  local files = {}
  for i, path in ipairs(paths) do
    local text, why = read(path)
    files[i] = { name = path, text = text, error = why }
  end
  local rs = core.ffi.gc(core.C.ruleset_new(), core.C.ruleset_free)
  local loaded = diag.new()
  local result = rules.load{ files = files, ruleset = rs, diag = loaded, keep_places = true }
  if not result.ok then
    diags.rules = diags.rules or {}
    table.insert(diags.rules, loaded)
    diags.errors = diags.errors + loaded.errors
    return nil
  end
  -- as lua/run.lua has it: names of users are then those of the container
  for _, plugin in ipairs(result.required_plugin_versions or {}) do
    if plugin.name == "container" then core.C.ruleset_use_containers(rs) end
  end
  local group = { ruleset = rs, result = result, paths = paths, diags = diags, tests = {} }
  group.by_name, group.names = names_of(result)
  for _, rule in ipairs(result.rules) do rule.switched_on = rule.enabled end
  return group
end

-- Makes the group's program. Tests are of rules, whether somebody switched them on or not, except where they ask for what
-- falco would do.
function M.compile(group, matching)
  if group.matching == matching then return end
  for _, rule in ipairs(group.result.rules) do rule.enabled = matching == "all" or rule.switched_on end
  group.prog, group.matching = rules.compile(group.result, { matching = matching }), matching
end

-- ------------------------------------------------------------------ preparing

local function rule_index(group, node, name)
  local index = group.by_name[name]
  if not index then
    group.diags:error(nil, node, ("there is no rule '%s'"):format(name), { near = diag.suggest(name, group.names) })
  end
  return index
end

local function condition_of(group, test, node)
  return rules.condition{ node = node, file_text = group.diags.sources[test.file].text, ruleset = group.ruleset,
    diag = group.diags, result = group.result }
end

-- Fields of an expectation as one output: its id, for value.texts().
local function fields_of(group, test, fields)
  local exprs, good = {}, true
  for i, field in ipairs(fields) do
    local node = field.node
    local format = "%" .. node.text
    local plan = rules.output{ text = format, name = test.file .. ": fields", ruleset = group.ruleset, diag = diag.new() }
    if not plan or #plan.exprs ~= 1 or #plan.parts ~= 1 then
      group.diags:error(nil, node, ("'%s' is no field"):format(node.text), { near = value.near_field(node.text) })
      good = false
    else
      exprs[i] = plan.exprs[1]
    end
  end
  return good and ruleset.output(group.ruleset, exprs) or nil
end

local function prepare_expect(group, test, expect)
  expect.index = rule_index(group, expect.rule_node, expect.rule)
  if expect.where then expect.condition = condition_of(group, test, expect.where) end
  if #expect.fields > 0 then expect.fields_id = fields_of(group, test, expect.fields) end
end

local function rule_set(group, nodes)
  local set = {}
  for _, node in ipairs(nodes) do
    local index = rule_index(group, node, node.text)
    if index then set[index] = node end
  end
  return set
end

function M.prepare(group, test)
  for _, expect in ipairs(test.expects) do prepare_expect(group, test, expect) end
  for _, event in ipairs(test.events) do
    event.wanted = event.match and rule_set(group, event.match)
    event.unwanted = rule_set(group, event.miss)
    event.given = given.prepare(group, event)
  end
  if #test.events > 0 then test.told = tell.events(test, group.diags) end
  group.tests[#group.tests + 1] = test
end

-- ------------------------------------------------------------------ sources

local function told_source(test)
  return { name = "events", node = test.node, index = test.told.index,
           open = function(eng, err) return core.C.engine_open_tale(eng, test.told.tale, err) end }
end

-- Where a test's events come from: { open = function(engine, err) -> code, index = function(ts) | nil, name }
local function sources_of(test, resolve)
  local out = {}
  for _, node in ipairs(test.captures) do
    local path = resolve(test.file, node.text)
    out[#out + 1] = { name = node.text, node = node,
                      open = function(eng, err) return core.C.engine_open_replay(eng, path, err) end }
  end
  if test.told then out[#out + 1] = told_source(test) end
  return out
end

-- Replays a source: see(evt, head, index of the event or nil) for each event that the ruleset lets through, or for every one.
-- Returns nil, or what went wrong.
function M.replay(group, source, see, every)
  local C, err = core.C, core.err()
  local eng = C.engine_new(nil, err)
  if eng == nil then return core.message(err) end
  local message
  if source.open(eng, err) < 0 then
    message = core.message(err)
  else
    C.engine_use(eng, group.ruleset)
    local evt = C.engine_evt(eng)
    local head, code = C.evt_head(evt), nil
    local go_on = every and C.engine_step or C.engine_next
    repeat
      code = go_on(eng)
      if code == C.NEXT_EVENT then see(evt, head, source.index and source.index(head.ts)) end
    until code ~= C.NEXT_EVENT
    if code < 0 then message = core.cstr(C.engine_error(eng)) end
    C.engine_use(eng, nil)
  end
  C.engine_free(eng)
  return message
end

-- Each source of a test in turn. Returns nil, or { node, message }.
function M.replay_all(group, test, resolve, see)
  for _, source in ipairs(sources_of(test, resolve)) do
    local message = M.replay(group, source, function(evt, head, index) see(evt, head, index, source) end)
    if message then return { node = source.node, message = message } end
  end
  return nil
end

-- ------------------------------------------------------------------ what matched

-- Why an alert does not count for an expectation: a line, or nil if it does.
local function mismatch(group, expect, evt, index)
  if expect.event and expect.event ~= index then return ("it is of event %s"):format(index or "?") end
  if expect.fields_id then
    local texts = value.texts(evt, expect.fields_id)
    for i, field in ipairs(expect.fields) do
      if texts[i] ~= field.value.text then
        return ("%s is '%s', not '%s'"):format(field.node.text, texts[i], field.value.text)
      end
    end
  end
  if #expect.output > 0 then
    local text = value.message(evt, group.result.rules[expect.index].output_plan)
    for _, node in ipairs(expect.output) do
      if not text:find(node.text, 1, true) then return ("its output lacks '%s': %s"):format(node.text, text) end
    end
  end
  if expect.condition and expect.condition.match(evt) == 0 then return "its 'where' does not hold" end
  return nil
end

local function note_alert(seen, group, evt, head, index, rule, source)
  seen.total = seen.total + 1
  seen.of_rule[rule] = (seen.of_rule[rule] or 0) + 1
  local shown = seen.shown[rule] or {}
  seen.shown[rule] = shown
  if #shown < M.MAX_SHOWN then
    shown[#shown + 1] = ("event %s of %s: %s"):format(index or (tostring(head.num):gsub("ULL", "")), source.name,
      value.message(evt, group.result.rules[rule].output_plan))
  end
end

local function note_expects(group, test, rule, evt, index)
  for _, expect in ipairs(test.expects) do
    if expect.index == rule then
      local why = mismatch(group, expect, evt, index)
      if not why then
        expect.seen = expect.seen + 1
      elseif #expect.why < M.MAX_SHOWN then
        expect.why[#expect.why + 1] = why
      end
    end
  end
end

local function note_event(event, group, evt, rule)
  event.met[rule] = (event.met[rule] or 0) + 1
  event.said[rule] = event.said[rule] or value.message(evt, group.result.rules[rule].output_plan)
end

local function clear(test)
  for _, expect in ipairs(test.expects) do expect.seen, expect.why = 0, {} end
  for _, event in ipairs(test.events) do event.met, event.said = {}, {} end
end

-- ------------------------------------------------------------------ judging

local function fail(result, node, message, lines)
  result.failures[#result.failures + 1] = { node = node, message = message, lines = lines or {} }
end

local function times(n)
  return n == 0 and "none" or tostring(n)
end

local function judge_expect(group, result, seen, expect)
  if expect.seen >= expect.count.min and expect.seen <= expect.count.max then return end
  local lines = {}
  if #expect.why > 0 then
    for _, why in ipairs(expect.why) do lines[#lines + 1] = "an alert that does not count: " .. why end
  else
    for _, text in ipairs(seen.shown[expect.index] or {}) do lines[#lines + 1] = text end
  end
  local narrowed = expect.where or expect.event or #expect.fields > 0 or #expect.output > 0
  fail(result, expect.node, ("'%s': expected %s alert%s%s, got %s"):format(expect.rule, expect.count.text,
    expect.count.text == "1" and "" or "s", narrowed and " that fit" or "", times(expect.seen)), lines)
end

local function names_in_order(group, set)
  local out = {}
  for index in pairs(set) do out[#out + 1] = index end
  table.sort(out)
  for i, index in ipairs(out) do out[i] = group.names[index] end
  return out
end

-- "- rule" was expected and did not match, "+ rule" the other way round.
local function judge_event(group, result, event, number)
  local lines = {}
  for _, name in ipairs(event.wanted and names_in_order(group, event.wanted) or {}) do
    local index = group.by_name[name]
    if (event.met[index] or 0) < event.times then
      lines[#lines + 1] = "- " .. name
      for _, line in ipairs(event.reasons and event.reasons[index] or {}) do lines[#lines + 1] = line end
    end
  end
  for _, name in ipairs(names_in_order(group, event.met)) do
    local index = group.by_name[name]
    if event.wanted and not event.wanted[index] or event.unwanted[index] then
      lines[#lines + 1] = ("+ %s: %s"):format(name, event.said[index])
    end
  end
  if #lines == 0 then return end
  fail(result, event.node, ("event %d, %s: other rules matched than expected (- missing, + not wanted)"):format(number, event.name),
    lines)
end

-- For events that did not match what they should: why not, by index of the rule. Their first time counts.
local function find_reasons(group, test)
  local missing = false
  for _, event in ipairs(test.events) do
    event.reasons = nil
    for index in pairs(event.wanted or {}) do
      if (event.met[index] or 0) < event.times then
        event.reasons = event.reasons or {}
        missing = true
      end
    end
  end
  if not missing then return end
  M.replay(group, told_source(test), function(evt, head, index)
    local event = index and test.events[index]
    if event and event.reasons and next(event.reasons) == nil then
      for rule in pairs(event.wanted) do event.reasons[rule] = reasons.lines(group.result.rules[rule], evt, head) end
    end
  end, true)
end

local function judge_only(group, test, result, seen)
  if not test.only then return end
  local named = {}
  for _, expect in ipairs(test.expects) do named[expect.index] = true end
  for _, event in ipairs(test.events) do
    for index in pairs(event.wanted or {}) do named[index] = true end
  end
  for _, name in ipairs(names_in_order(group, seen.of_rule)) do
    local index = group.by_name[name]
    if not named[index] then
      fail(result, test.node, ("'%s' matched %d time%s, and nobody expects it"):format(name, seen.of_rule[index],
        seen.of_rule[index] == 1 and "" or "s"), seen.shown[index])
    end
  end
end

-- What events give must be so: nil, or { node, message }. All of them are looked at, whatever rules say.
local function check_given(group, test)
  local any = false
  for _, event in ipairs(test.events) do any = any or event.given ~= nil end
  if not any then return nil end
  local wrong
  M.replay(group, told_source(test), function(evt, _, index)
    local event = index and test.events[index]
    if event and event.given and not wrong then wrong = event.given:wrong(evt) end
  end, true)
  return wrong
end

-- resolve(file, path) -> path of a capture that a test file names.
function M.test(group, test, resolve)
  local result = { failures = {}, test = test }
  local seen = { total = 0, of_rule = {}, shown = {} }
  local started = core.C.sys_now_ns()
  clear(test)
  M.compile(group, test.matching)
  local hits, match = group.prog.hits, group.prog.match
  -- scripts of rules: each test has them anew
  local scripts = rule_scripts.open(group.result.rules, nil, { limits = script_config.default_limits(schema.rule_script_limits), tell = function() end })
  local broken = M.replay_all(group, test, resolve, function(evt, head, index, source)
    for i = 0, match(evt) - 1 do
      local rule = hits[i]
      if not scripts or not scripts[rule] or scripts[rule]:run(evt) > 0 then
        note_alert(seen, group, evt, head, index, rule, source)
        note_expects(group, test, rule, evt, index)
        if index then note_event(test.events[index], group, evt, rule) end
      end
    end
  end)
  rule_scripts.close(scripts)
  local wrong = not broken and check_given(group, test)
  result.ns, result.alerts, result.of_rule = tonumber(core.C.sys_now_ns() - started), seen.total, seen.of_rule
  if broken then
    fail(result, broken.node, broken.message)
    result.broken = true
    return result
  end
  if wrong then fail(result, wrong.node, wrong.message) end
  for _, expect in ipairs(test.expects) do judge_expect(group, result, seen, expect) end
  find_reasons(group, test)
  for i, event in ipairs(test.events) do judge_event(group, result, event, i) end
  judge_only(group, test, result, seen)
  return result
end

return M
