-- SPDX-License-Identifier: Apache-2.0
-- Test files as texts: what comes of them.
--
--   local s = support.session(test file, rules file)      s.errors = { "line:column: message", ... }; else
--   s.failures                                            { name of a test = { "line: message", ... }, ... }; passing ones have {}
--   s:cover() -> coverage.lua's
local coverage = require("ruletest.coverage")
local core = require("core")
local diag = require("diag")
local load = require("ruletest.load")
local rules = require("rules")
local run = require("ruletest.run")

local M = {}

M.RULE = [[
- list: shells
  items: [sh, bash]
- macro: starts
  condition: (evt.type in (execve, execveat) and evt.failed = false)
- rule: shell
  desc: d
  condition: starts and proc.name in (shells) and proc.pname = nginx
  output: shell %proc.cmdline of %proc.pname
  priority: INFO
- rule: shadow
  desc: d
  condition: evt.type in (open, openat) and fd.name = /etc/shadow and fd.num >= 0
  output: read %fd.name by %proc.name (%user.name)
  priority: INFO
]]

local Session = {}
Session.__index = Session

local function errors_of(diags)
  local out = {}
  for _, d in ipairs(diags:sorted()) do
    out[#out + 1] = ("%d:%d: %s%s"):format(d.line or 0, d.column or 0, d.message, d.near and (" (" .. d.near .. "?)") or "")
  end
  return out
end

local function lines_of(result)
  local out = {}
  for i, failure in ipairs(result.failures) do
    out[i] = ("%d: %s"):format(failure.node.line, failure.message)
    for _, line in ipairs(failure.lines) do out[i] = out[i] .. "\n" .. line end
  end
  return out
end

local function as_it_stands(_, path)
  return path
end

function M.session(text, rules_text)
  local diags = diag.new()
  local tests = load.file("t_test.yaml", text, diags)
  local self = setmetatable({ diags = diags, tests = tests, failures = {}, results = {} }, Session)
  local group = run.group({ "r.yaml" }, diags, function() return rules_text or M.RULE end)
  self.group = group
  for _, test in ipairs(group and tests or {}) do run.prepare(group, test) end
  if diags.errors > 0 then
    self.errors = errors_of(diags)
    return self
  end
  for _, test in ipairs(tests) do
    self.results[test.name] = run.test(group, test, as_it_stands)
    self.failures[test.name] = lines_of(self.results[test.name])
  end
  return self
end

-- Walks all tests; cover, and how often each rule held.
function Session:cover()
  local cover, counts = coverage.new(), {}
  local walker = cover:walker(self.group)
  rules.compile(self.group.result, { gate = false })
  require("run").want_all(self.group.ruleset)
  for _, test in ipairs(self.tests) do
    assert(run.replay_all(self.group, test, as_it_stands, function(evt, head)
      for _, index in ipairs(walker(evt, head)) do
        local name = self.group.names[index]
        counts[name] = (counts[name] or 0) + 1
      end
    end) == nil)
  end
  return cover, counts
end

-- Must have no mistakes, and all tests pass.
function M.passes(text, rules_text)
  local s = M.session(text, rules_text)
  local assert = require("luassert")
  assert.same({}, s.errors or {})
  for name, failures in pairs(s.failures) do assert.same({ name }, { name, unpack(failures) }) end
  return s
end

-- The condition holds for (only) the first of these events.
function M.first_of(condition, events)
  local rule = ("- rule: r\n  desc: d\n  condition: %q\n  output: o\n  priority: INFO\n"):format(condition)
  local lines = { "- test: t", "  events:" }
  for i, event in ipairs(events) do
    lines[#lines + 1] = "    - " .. event
    lines[#lines + 1] = "      match: " .. (i == 1 and "r" or "none")
  end
  return M.passes(table.concat(lines, "\n") .. "\n", rule)
end

M.core = core

return M
