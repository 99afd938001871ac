-- SPDX-License-Identifier: Apache-2.0
local core = require "core"
local format = require "format"

local ffi = core.ffi
local types = {}

setup(function()
  for i = 0, 60 do types[ffi.string(core.C.type_name(i))] = i end
end)

local keep = {}        -- texts that values point at

local function text_value(v, text)
  keep[#keep + 1] = text
  v.type, v.p, v.len = types.CHARBUF, ffi.cast("const char *", text), #text
end

local function number_value(v, n)
  v.type, v.num.u = types.UINT64, n
  for i = 0, 60 do
    if ffi.string(core.C.format_name(i)) == "DEC" then v.format = i end
  end
end

-- An alert at a fixed time whose values are texts, 64-bit numbers, or false (missing).
local function alert_of(list)
  local values = ffi.new("struct value[?]", #list)
  for i, item in ipairs(list) do
    if type(item) == "string" then text_value(values[i - 1], item) elseif item then number_value(values[i - 1],
      item) end
  end
  keep[#keep + 1] = values
  return ffi.new("struct alert", { ts = 1512419702278228646ULL, num = 54, n = #list, values = values })
end

local function plan_of(ruleset, text)
  local diag = require "diag"
  local diags = diag.new()
  local plan = require("rules").output{ text = text, ruleset = ruleset, diag = diags }
  assert.equal("", diags:render())
  return plan
end

local CONFIG = {
  json_output = false, time_format_iso_8601 = false, json_include_output_property = true,
    json_include_message_property = false,
  json_include_output_fields_property = true, json_include_tags_property = true,
}

local function with(changes)
  local config = {}
  for k, v in pairs(CONFIG) do config[k] = v end
  for k, v in pairs(changes) do config[k] = v end
  return config
end

-- The line for a rule with this output and these values.
local function line(config, output, values, extra)
  local ruleset = ffi.gc(core.C.ruleset_new(), core.C.ruleset_free)
  local formatter = format.new(config, ruleset)
  formatter.renderer.head = '{"hostname":"host"'
  local rule = {
    name = 'A "rule"', source = "syscall", tags = { "a", "b" }, priority = 5, priority_name = "Notice",
    output_plan = plan_of(ruleset, output), extra_fields = {},
  }
  for i, item in ipairs(extra or {}) do rule.extra_fields[i] = { name = item[1], plan = plan_of(ruleset,
    item[2]) } end
  local record = formatter:render(formatter:prepare(rule), alert_of(values))
  assert.equal("\n", ffi.string(record.line + record.len, 1))
  return ffi.string(record.line, record.len), record
end

local function lines_of(text, values, opts)
  local ruleset = ffi.gc(core.C.ruleset_new(), core.C.ruleset_free)
  local p, len = format.lines(plan_of(ruleset, text), ruleset, opts or {}):render(alert_of(values))
  return p and ffi.string(p, len)
end

describe("text alerts", function()
  it("begin with time and priority", function()
    local text, record = line(CONFIG, "A %proc.name did %evt.type", { "cat", "open" })
    assert.matches("^%d%d:35:02%.278228646: Notice A cat did open$", text)
    assert.equal("Notice", text:sub(record.mark_at + 1, record.mark_at + record.mark_len))
  end)

  it("have ISO times if asked", function()
    assert.equal("2017-12-04T20:35:02.278228646+0000: Notice x", (line(with{ time_format_iso_8601 = true }, "x", {})))
  end)

  it("are escaped as a JSON string, the rule's own text too", function()
    local text = line(CONFIG, 'say "%proc.name"', { "\\y\n\1z" })
    assert.equal([[say \"\\y\n\u0001z\"]], text:match("Notice (.*)"))
  end)

  it("say <NA> for what is missing", function()
    assert.matches(": Notice <NA>/<NA>$", (line(CONFIG, "%proc.name/%fd.name", { false, false })))
  end)

  it("pad and cut", function()
    assert.matches(": Notice %[cat  %]%[ope%]$", (line(CONFIG, "[%5proc.name][%3evt.type]", { "cat", "open" })))
  end)

  it("hold values of any size", function()
    local long = ("x"):rep(100000)
    assert.matches("x$", (line(CONFIG, "%proc.name", { long })))
    assert.equal(100000, select(2, line(CONFIG, "%proc.name", { long }):gsub("x", "")))
  end)
end)

describe("JSON alerts", function()
  local JSON = with{ json_output = true, time_format_iso_8601 = true }

  it("have their keys in order", function()
    assert.equal('{"hostname":"host","output":"2017-12-04T20:35:02.278228646+0000: Notice \\"cat\\" n=18446744073709551615",'
      .. '"output_fields":{"evt.num":18446744073709551615,"evt.time.iso8601":"now","fd.name":null,"proc.name":"cat"},'
      .. '"priority":"Notice","rule":"A \\"rule\\"","source":"syscall","tags":["a","b"],"time":"2017-12-04T20:35:02.278228646Z"}',
      (line(JSON, '"%proc.name" n=%evt.num', { "cat", 18446744073709551615ULL, "now", false },
        { { "fd.name", "%fd.name" } })))
  end)

  it("leave out what is switched off", function()
    local less = with{ json_output = true, json_include_output_property = false, json_include_tags_property = false,
      json_include_output_fields_property = false, json_include_message_property = true }
    assert.equal('{"hostname":"host","message":"cat","priority":"Notice","rule":"A \\"rule\\"","source":"syscall",'
      .. '"time":"2017-12-04T20:35:02.278228646Z"}', (line(less, "%proc.name", { "cat" })))
  end)

  it("have extra fields as values or as texts", function()
    local text = line(JSON, "%evt.num", { 7ULL, "now", "cat" }, { { "who", "<%proc.name> \"%evt.num\"" },
      { "proc.name", "%proc.name" } })
    assert.matches('"output_fields":{"evt.num":7,"evt.time.iso8601":"now","proc.name":"cat","who":"<cat> \\"7\\""}',
      text, 1, true)
  end)
end)

describe("lines of events", function()
  it("are left out when a value is missing, unless the format says otherwise", function()
    assert.is_nil(lines_of("%proc.name %evt.type", { false, "open" }))
    assert.equal("<NA> open\n", lines_of("*%proc.name %evt.type", { false, "open" }))
    assert.equal("cat open\n", lines_of("%proc.name %evt.type", { "cat", "open" }))
  end)

  it("can be JSON", function()
    assert.equal('{"evt.type":"open","proc.name":null}\n', lines_of("*%proc.name %evt.type", { false, "open" },
      { json = true }))
  end)

  it("do not let values command a terminal", function()
    assert.equal("\27[1m?[2J\27[0m\n", lines_of("\27[1m%proc.name\27[0m", { "\27[2J" }, { clean = true }))
  end)
end)
