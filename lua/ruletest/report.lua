-- SPDX-License-Identifier: Apache-2.0
-- What came of the tests, for people (pretty), for test harnesses (TAP) and for CI (JUnit's XML).
--
--   local out = report.new("tap", { write = function(text) end, color = bool, verbose = bool })
--   out:begin(number of tests)
--   out:test(result, where)      result of run.test(); where(node) -> "file:line:column"
--   out:coverage(cover, all)     what coverage.lua has; all: also what was not covered
--   out:finish(totals)           { passed, failed, ns }
--   out:mistakes(list)           instead of all this: nothing could run. { { place = "x.yaml:3:1" or nil, message = } ... };
--                                people read them elsewhere
local console = require("console")
local coverage = require("ruletest.coverage")
local text = require("text")

local M = {}

M.FORMATS = { "pretty", "tap", "junit" }

-- Names and values come from files: one line, nothing that a terminal obeys.
local function clean(s)
  return (text.printable(s):gsub("[\n\t]", " "))
end

local function seconds(ns)
  return ("%.3f"):format(ns / 1e9)
end

local PARTS = { { "rules", "rule" }, { "macros", "macro" }, { "exceptions", "exception" }, { "leaves", "leaf" } }

-- "39 of 39 rules, ..." of what was seen both true and false.
local function coverage_line(sums)
  local out = {}
  for _, part in ipairs(PARTS) do
    local sum = sums[part[1]]
    if sum.all > 0 then
      out[#out + 1] = ("%d of %d %s (%.1f %%)"):format(sum.both, sum.all, part[1], coverage.percent(sum))
    end
  end
  return "seen true and false: " .. table.concat(out, ", ")
end

local function open_end(own)
  local what = own.kind == "leaf" and ("%s  (%s)"):format(own.text, own.name) or ("%s '%s'"):format(own.kind, own.name)
  return ("%s:%d:%d: %s: %s"):format(clean(own.file), own.line, own.column, own.missing, clean(what))
end

local NAME_WIDTH = 56

-- Rules, macros and exceptions: for how many events of their types they were true and false, and their own leaves.
local function table_lines(cover)
  local out = { ("%-" .. NAME_WIDTH .. "s %8s %8s %8s"):format("", "true", "false", "leaves") }
  for _, part in ipairs(cover:parts()) do
    local name = clean(part.kind .. " " .. part.name)
    if #name > NAME_WIDTH then name = name:sub(1, NAME_WIDTH - 3) .. "..." end
    out[#out + 1] = ("%-" .. NAME_WIDTH .. "s %8d %8d %8s"):format(name, part.yes, part.no,
      part.leaves and ("%d/%d"):format(part.leaves.both, part.leaves.all) or "")
  end
  return out
end

-- ------------------------------------------------------------------ pretty

local Pretty = {}
Pretty.__index = Pretty

function Pretty:paint(name, s)
  return self.color and console.paints[name] .. s .. console.paints.off or s
end

function Pretty:begin() end

function Pretty:test(result, where)
  if #result.failures == 0 then
    if self.verbose then
      self.write(("%s  %s  (%s s)\n"):format(self:paint("green", "ok  "), clean(result.test.name), seconds(result.ns)))
    end
    return
  end
  self.write(("%s  %s\n"):format(self:paint("error", "FAIL"), clean(result.test.name)))
  for _, failure in ipairs(result.failures) do
    self.write(("      %s: %s\n"):format(self:paint("bold", clean(where(failure.node))), clean(failure.message)))
    for _, line in ipairs(failure.lines) do
      local paint = line:sub(1, 2) == "- " and "error" or line:sub(1, 2) == "+ " and "green" or "dim"
      self.write("        " .. self:paint(paint, clean(line)) .. "\n")
    end
  end
end

function Pretty:coverage(cover, all)
  if all then
    self.write("\n" .. table.concat(table_lines(cover), "\n") .. "\n")
    local last
    for _, own in ipairs(cover:open_ends()) do
      if own.file ~= last then self.write("\nnot seen both ways in " .. clean(own.file) .. "\n") end
      last = own.file
      self.write("  " .. open_end(own) .. "\n")
    end
  end
  self.write(coverage_line(cover:summary()) .. "\n")
end

function Pretty:mistakes() end

function Pretty:finish(totals)
  local line = ("%d test%s, %d failed"):format(totals.passed + totals.failed, totals.passed + totals.failed == 1 and "" or "s",
    totals.failed)
  self.write(("%s  (%s s)\n"):format(self:paint(totals.failed > 0 and "error" or "green", line), seconds(totals.ns)))
end

-- ------------------------------------------------------------------ TAP

local Tap = {}
Tap.__index = Tap

function Tap:begin(n)
  self.n = 0
  self.write(("TAP version 13\n1..%d\n"):format(n))
end

-- A "#" in a name would begin a directive.
local function tap_name(s)
  return (clean(s):gsub("[\\#]", "\\%0"))
end

function Tap:test(result, where)
  self.n = self.n + 1
  self.write(("%s %d - %s\n"):format(#result.failures == 0 and "ok" or "not ok", self.n, tap_name(result.test.name)))
  for _, failure in ipairs(result.failures) do
    self.write(("# %s: %s\n"):format(clean(where(failure.node)), clean(failure.message)))
    for _, line in ipairs(failure.lines) do self.write("#   " .. clean(line) .. "\n") end
  end
end

function Tap:coverage(cover, all)
  if all then
    for _, own in ipairs(cover:open_ends()) do self.write("# " .. open_end(own) .. "\n") end
  end
  self.write("# " .. coverage_line(cover:summary()) .. "\n")
end

-- TAP's own way to say so.
function Tap:mistakes(list)
  local first = list[1]
  self.write(("TAP version 13\nBail out! %s%s%s\n"):format(first.place and clean(first.place) .. ": " or "", clean(first.message),
    #list > 1 and (" (and %d more)"):format(#list - 1) or ""))
end

function Tap:finish() end

-- ------------------------------------------------------------------ JUnit

local Junit = {}
Junit.__index = Junit

local ENTITIES = { ["<"] = "&lt;", [">"] = "&gt;", ["&"] = "&amp;", ['"'] = "&quot;" }

-- XML knows neither control characters nor U+FFFE and U+FFFF.
local function xml(s)
  return (text.printable(s):gsub("[\n\t]", " "):gsub("\239\191[\190\191]", "?"):gsub('[<>&"]', ENTITIES))
end

function Junit:begin()
  self.lines = {}
end

function Junit:test(result, where)
  local out = self.lines
  local name, class = xml(result.test.name), xml(result.test.file)
  if #result.failures == 0 then
    out[#out + 1] = ('  <testcase name="%s" classname="%s" time="%s"/>'):format(name, class, seconds(result.ns))
    return
  end
  out[#out + 1] = ('  <testcase name="%s" classname="%s" time="%s">'):format(name, class, seconds(result.ns))
  for _, failure in ipairs(result.failures) do
    local lines = { xml(where(failure.node) .. ": " .. failure.message) }
    for _, line in ipairs(failure.lines) do lines[#lines + 1] = "  " .. xml(line) end
    out[#out + 1] = ('    <failure message="%s">%s</failure>'):format(xml(failure.message), table.concat(lines, "\n"))
  end
  out[#out + 1] = "  </testcase>"
end

function Junit:coverage(cover)
  self.properties = {}
  for _, part in ipairs(PARTS) do
    local sum = cover:summary()[part[1]]
    self.properties[#self.properties + 1] = ('    <property name="coverage.%s" value="%d/%d"/>'):format(part[1], sum.both, sum.all)
  end
end

local function suite(self, tests, failures, errors, ns)
  self.write('<?xml version="1.0" encoding="UTF-8"?>\n')
  self.write(('<testsuite name="falco test" tests="%d" failures="%d" errors="%d" time="%s">\n'):format(tests, failures, errors,
    seconds(ns)))
end

function Junit:mistakes(list)
  suite(self, 1, 0, 1, 0)
  self.write('  <testcase name="loading" classname="falco test" time="0.000">\n')
  for _, mistake in ipairs(list) do
    self.write(('    <error message="%s">%s%s</error>\n'):format(xml(mistake.message), mistake.place and xml(mistake.place) .. ": " or "",
      xml(mistake.message)))
  end
  self.write("  </testcase>\n</testsuite>\n")
end

function Junit:finish(totals)
  suite(self, totals.passed + totals.failed, totals.failed, 0, totals.ns)
  if self.properties then self.write("  <properties>\n" .. table.concat(self.properties, "\n") .. "\n  </properties>\n") end
  if #self.lines > 0 then self.write(table.concat(self.lines, "\n") .. "\n") end
  self.write("</testsuite>\n")
end

-- ------------------------------------------------------------------

local CLASSES = { pretty = Pretty, tap = Tap, junit = Junit }

function M.new(format, options)
  return setmetatable({ write = options.write, color = options.color, verbose = options.verbose }, CLASSES[format])
end

return M
