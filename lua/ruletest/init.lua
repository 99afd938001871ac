-- SPDX-License-Identifier: Apache-2.0
-- `falco test PATH...`: unit tests of rules. docs/HOWTO_TEST_RULES.md is about writing them.
--
--   keys.lua       every key of a test file            load.lua      test files -> tests
--   vocabulary.lua what events by hand can say         tell.lua, read.lua      such events -> a capture in memory
--   run.lua        a test -> what failed               coverage.lua  what was ever true, what ever false
--   given.lua      are the fields that events give so? reasons.lua   why did a rule not match?
--   report.lua     pretty, TAP, JUnit                  skeleton.lua  --init RULE
--   watch.lua      --watch                             value.lua     values as texts
--
-- Exit status: 0 all is well; 1 a test failed, or coverage is too low; 2 mistakes in the test files, or nothing to test.
local console = require("console")
local core = require("core")
local coverage = require("ruletest.coverage")
local diag = require("diag")
local files = require("files")
local load = require("ruletest.load")
local report = require("ruletest.report")
local rules = require("rules")
local run = require("ruletest.run")

local M = {}

M.OK, M.FAILED, M.MISTAKES = 0, 1, 2

-- ------------------------------------------------------------------ paths

local function dir_of(path)
  return path:match("^(.*/)[^/]*$") or ""
end

-- A path that a file names, as seen from where falco runs. "x/.." goes, so that one file has one name.
function M.resolve(file, path)
  local whole, parts = path:sub(1, 1) == "/" and path or dir_of(file) .. path, {}
  for part in whole:gmatch("[^/]+") do
    if part == ".." and #parts > 0 and parts[#parts] ~= ".." then
      parts[#parts] = nil
    elseif part ~= "." then
      parts[#parts + 1] = part
    end
  end
  return (whole:sub(1, 1) == "/" and "/" or "") .. table.concat(parts, "/")
end

-- Names of test files, as they stand beside rules.
function M.is_test_name(path)
  return path:find("[_.]test%.ya?ml$") ~= nil
end

-- Paths of test files: files as they are named, of directories what is called so. Or nil and a message.
local function test_files(paths)
  local out = {}
  for _, path in ipairs(paths) do
    local kind, why = files.kind(path)
    if kind == "dir" then
      local inside
      inside, why = files.inside(path)
      if not inside then return nil, ("cannot read directory '%s': %s"):format(path, why) end
      local before = #out
      for _, file in ipairs(inside) do
        if M.is_test_name(file) then out[#out + 1] = file end
      end
      if #out == before then return nil, ("directory '%s' holds no tests: their names end in _test.yaml"):format(path) end
    elseif kind == "file" then
      out[#out + 1] = path
    else
      return nil, ("cannot read '%s': %s"):format(path, why or "there is no such file")
    end
  end
  return out
end

-- The rules file that lies beside a test file: x.yaml beside x_test.yaml.
local function rules_beside(file)
  local path = file:gsub("[_.]test(%.ya?ml)$", "%1")
  return path ~= file and files.kind(path) == "file" and path or nil
end

-- ------------------------------------------------------------------ loading

-- All that tests need to know of one another.
local function new_session(options)
  return { options = options, diags = diag.new(), groups = {}, order = {}, tests = {}, watched = {} }
end

local function read_for(session)
  return function(path)
    session.watched[#session.watched + 1] = path
    return files.read(path)
  end
end

local function rules_paths(session, test)
  local out = {}
  if #session.options.rules > 0 then
    for i, path in ipairs(session.options.rules) do out[i] = path end
  elseif test.rules then
    for i, node in ipairs(test.rules) do out[i] = M.resolve(test.file, node.text) end
  else
    out[1] = rules_beside(test.file)
  end
  return #out > 0 and require("run").rules_files({ rules_files = {} }, { rules = out }) or out
end

-- Tests that load the same rules share them. nil: there are none, or they do not load.
local function group_of(session, test)
  local paths = rules_paths(session, test)
  if #paths == 0 then
    session.diags:error(nil, test.node, ("the test '%s' names no rules"):format(test.name),
      { hint = "add  - rules: FILE  on top of the file, or run it with -r FILE" })
    return nil
  end
  local key = table.concat(paths, "\0")
  if session.groups[key] == nil then
    local group = run.group(paths, session.diags, read_for(session))
    session.groups[key] = group or false
    if group then session.order[#session.order + 1] = group end
  end
  return session.groups[key] or nil
end

local function add_file(session, path)
  local text, why = read_for(session)(path)
  if not text then
    session.diags:error(nil, { file = path }, "cannot be read: " .. why)
    return
  end
  for _, test in ipairs(load.file(path, text, session.diags)) do
    local wanted = session.options.filter
    if not wanted or test.name:find(wanted, 1, true) then
      test.group = group_of(session, test)
      if test.group then
        session.tests[#session.tests + 1] = test
        run.prepare(test.group, test)
      end
      for _, node in ipairs(test.captures) do session.watched[#session.watched + 1] = M.resolve(path, node.text) end
    end
  end
end

-- ------------------------------------------------------------------ running

local function where_in(session)
  return function(node)
    local line, column = node.line, node.column
    if not line and node.offset then line, column = session.diags:position(node.file, node.offset) end
    return ("%s:%d:%d"):format(node.file, line or 1, column or 1)
  end
end

local function run_tests(session, out)
  local totals = { passed = 0, failed = 0, ns = 0 }
  out:begin(#session.tests)
  for _, test in ipairs(session.tests) do
    local result = run.test(test.group, test, M.resolve)
    test.result = result
    totals.ns = totals.ns + result.ns
    if #result.failures == 0 then totals.passed = totals.passed + 1 else totals.failed = totals.failed + 1 end
    out:test(result, where_in(session))
    if core.C.sys_stop_signal() ~= 0 then break end
  end
  return totals
end

-- The walk must see what the engine saw: each rule as often. A rule that remembers something from event to event is asked
-- more often here than there, and one with a script alerts less often than it holds.
local function check_walk(group, test, counts)
  if test.matching ~= "all" then return end
  for index, name in ipairs(group.names) do
    local a, b = counts[index] or 0, test.result.of_rule[index] or 0
    if a ~= b and not group.stateful[index] and not group.result.rules[index].script then
      error(("test '%s': rule '%s' matches %d times, and holds %d times"):format(test.name, name, b, a))
    end
  end
end

local function cover_test(group, test, walker)
  local counts = {}
  local broken = run.replay_all(group, test, M.resolve, function(evt, head)
    for _, index in ipairs(walker(evt, head)) do counts[index] = (counts[index] or 0) + 1 end
  end)
  if not broken and not test.result.broken then check_walk(group, test, counts) end
end

local function cover_all(session)
  local cover = coverage.new()
  for _, group in ipairs(session.order) do
    local walker = cover:walker(group)
    for _, rule in ipairs(group.result.rules) do rule.enabled = true end
    group.matching = nil
    rules.compile(group.result, { gate = false })
    require("run").want_all(group.ruleset)
    for _, test in ipairs(group.tests) do
      if test.result then cover_test(group, test, walker) end
    end
  end
  return cover
end

-- Mistakes of a list of diagnostics, as report.lua wants them.
local function add_mistakes(out, diags)
  for _, d in ipairs(diags:sorted()) do
    if d.level == "error" then
      local place = d.file and (d.line and ("%s:%d:%d"):format(d.file, d.line, d.column or 1) or d.file)
      local near = d.near and (" (did you mean '%s'?)"):format(d.near) or ""
      out[#out + 1] = { place = place, message = d.message .. near }
    end
  end
end

local function show_mistakes(session, out)
  local list = {}
  for _, loaded in ipairs(session.diags.rules or {}) do
    console.diagnostics(loaded, { level = "error" })
    add_mistakes(list, loaded)
  end
  console.diagnostics(session.diags)
  add_mistakes(list, session.diags)
  out:mistakes(list)
end

-- Nothing ran for what `message` says.
local function cannot_run(out, message)
  console.error(message)
  out:mistakes{ { message = message } }
  console.flush()
  return M.MISTAKES
end

-- Shows the coverage; is there enough of it?
local function is_covered(sums, options, out, cover)
  local short = {}
  for _, limit in ipairs{ { "leaves", options.min_coverage, "--min-coverage" }, { "rules", options.min_rules, "--min-rules" } } do
    local percent = coverage.percent(sums[limit[1]])
    if limit[2] and percent < limit[2] then
      short[#short + 1] = ("%.1f %% of the %s were seen true and false; %s wants %g %%"):format(percent, limit[1], limit[3], limit[2])
    end
  end
  out:coverage(cover, options.coverage or #short > 0)
  console.flush()
  for _, message in ipairs(short) do console.error(message) end
  return #short == 0
end

-- Once through everything. Returns the exit status and the paths that it depended on.
local function once(options, paths)
  local session = new_session(options)
  local out = report.new(options.test_format or "pretty",
    { write = console.print, color = console.has_colour(1), verbose = options.verbose })
  local list, message = test_files(paths)
  if not list then return cannot_run(out, message), session.watched end
  for _, path in ipairs(list) do add_file(session, path) end
  if session.diags.errors > 0 then
    show_mistakes(session, out)
    console.flush()
    return M.MISTAKES, session.watched
  elseif #session.tests == 0 then
    message = options.filter and ("no test has '%s' in its name"):format(options.filter) or "there are no tests"
    return cannot_run(out, message), session.watched
  end
  local totals = run_tests(session, out)
  local status = totals.failed > 0 and M.FAILED or M.OK
  if not options.no_coverage and core.C.sys_stop_signal() == 0 then
    local cover = cover_all(session)
    if not is_covered(cover:summary(), options, out, cover) then status = M.FAILED end
  end
  out:finish(totals)
  console.flush()
  return status, session.watched
end

function M.run(options)
  rules.jit_options()
  if options.init then return require("ruletest.skeleton").run(options) end
  if #options.paths == 0 then
    console.error("falco test wants a file or directory with tests")
    return M.MISTAKES
  end
  if options.watch then
    return require("ruletest.watch").run(function() return once(options, options.paths) end, options.paths)
  end
  local status = once(options, options.paths)
  local failure = console.failure()
  if failure then
    console.error(failure)
    return M.MISTAKES
  end
  return status
end

return M
