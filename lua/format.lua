-- SPDX-License-Identifier: Apache-2.0
-- What alerts look like: which values C copies out of an event for a rule, and how render.lua makes a line of them.
--
--   local formatter = format.new(config, ruleset)
--   local prepared = formatter:prepare(rule)            once for each rule of rules.load()
--   prepared.output       for C.alert_fill(evt, output)
--   prepared.described    plain data for renderer:plan(), here or in another thread
--
--   local record = formatter:render(prepared, C.alert_fill(evt, prepared.output))      both ends in one
local diag = require("diag")
local buffer = require("string.buffer")
local core = require("core")
local json = require("json")
local render = require("render")
local rules = require("rules")
local sorted_keys = require("sorted_keys")
local text = require("text")

local M = {}

-- The time that a line begins with is one of its fields.
local TIME_FIELDS = { iso = "%evt.time.iso8601", clock = "%evt.time" }

-- ------------------------------------------------------------------ values of several plans in one alert

-- Expressions of one alert, each once.
local Union = {}
Union.__index = Union

local function new_union(ruleset)
  return setmetatable({ ruleset = ruleset, exprs = {}, index = {} }, Union)
end

-- Where the value of expression `id` will be in alert.values.
function Union:add(id)
  local at = self.index[id]
  if not at then
    at = #self.exprs
    self.exprs[at + 1] = id
    self.index[id] = at
  end
  return at
end

-- The parts of a plan, with indices into this alert's values: texts, and { at =, width = }.
function Union:parts(plan)
  local parts = {}
  for i, part in ipairs(plan.parts) do
    parts[i] = type(part) == "string" and part or { at = self:add(plan.exprs[part.expr]), width = part.width }
  end
  return parts
end

-- Adds the plan's fields to `map`: name -> { at = }.
function Union:fields(plan, map)
  for _, field in ipairs(plan.fields) do map[field.name] = { at = self:add(plan.exprs[field.expr]) } end
end

-- The id for alert_fill().
function Union:output()
  local list = core.ffi.new("int32_t[?]", math.max(#self.exprs, 1), self.exprs)
  local id = core.C.ruleset_output(self.ruleset, list, #self.exprs)
  assert(id >= 0, "an output of expressions that exist cannot fail")
  return id
end

local function by_name(a, b)
  return a.name < b.name
end

-- Members of an object, sorted: { name, at } values or { name, parts } texts, with what stands in front of each.
local function members_of(map)
  local members = {}
  for name, member in pairs(map) do
    member.name = name
    members[#members + 1] = member
  end
  table.sort(members, by_name)
  for i, member in ipairs(members) do
    member.head = (i > 1 and "," or "") .. json.quote(member.name) .. ":"
  end
  return members
end

-- ------------------------------------------------------------------ alerts

local Formatter = {}
Formatter.__index = Formatter

M.hostname = render.hostname

-- Fields that entries of `route` and `throttle` look at, each once.
function M.asked_fields(config)
  local list, seen = {}, {}
  local function add(name)
    if not seen[name] then list[#list + 1] = name end
    seen[name] = true
  end
  for _, entry in ipairs(config.route or {}) do
    for _, name in ipairs(sorted_keys(entry.match and entry.match.fields or {})) do add(name) end
  end
  for _, entry in ipairs(config.throttle or {}) do
    for _, name in ipairs(sorted_keys(entry.match and entry.match.fields or {})) do add(name) end
    for _, name in ipairs(entry.by) do add(name) end
  end
  return list
end

-- The plan of one field, or nil after an error went to diags.
function M.field_plan(ruleset, name, diags, where)
  return rules.output{ text = "%" .. name, ruleset = ruleset, diag = diags, name = where }
end

-- diags is for the prefix alone, whose field is ours: it stays empty.
function M.new(config, ruleset)
  local field = TIME_FIELDS[config.time_format_iso_8601 and "iso" or "clock"]
  return setmetatable({
    ruleset = ruleset, prefix = rules.output{ text = field, ruleset = ruleset, diag = diag.new() }, renderer = render.new(config),
    asked = M.asked_fields(config),
  }, Formatter)
end

-- output_fields: the message's fields, then the prefix's, then those of append_output, each over the ones before.
local function output_fields(self, union, rule)
  local map = {}
  union:fields(rule.output_plan, map)
  union:fields(self.prefix, map)
  for _, extra in ipairs(rule.extra_fields) do
    if extra.plan.text == "%" .. extra.name then      -- the field itself: its value, not its text
      union:fields(extra.plan, map)
    else
      map[extra.name] = { parts = union:parts(extra.plan) }
    end
  end
  return members_of(map)
end

-- Values that are asked for without being shown: { { name =, at = }, ... }
local function hidden_fields(self, union, rule)
  local map = {}
  for _, list in ipairs{ self.asked, rule.throttle and rule.throttle.by or {} } do
    for _, name in ipairs(list) do
      local plan = M.field_plan(self.ruleset, name, diag.new())
      if plan then union:fields(plan, map) end
    end
  end
  return members_of(map)
end

function Formatter:prepare(rule)
  local union = new_union(self.ruleset)
  local described = {
    rule = rule.name, source = rule.source, priority = rule.priority, tags = rule.tags, level = rule.priority_name,
    parts = union:parts(rule.output_plan), members = output_fields(self, union, rule),
    hidden = hidden_fields(self, union, rule), throttle = rule.throttle,
  }
  return { described = described, output = union:output() }
end

-- The record of an alert; it and its line are good until the next call.
function Formatter:render(prepared, alert)
  local renderer = self.renderer
  prepared.plan = prepared.plan or renderer:plan(prepared.described)
  return renderer:write(renderer:take(prepared.plan, alert))
end

-- ------------------------------------------------------------------ lines of `falco events`

local Lines = {}
Lines.__index = Lines

-- plan: of rules.output(). opts: json = an object of the plan's fields instead of its text; clean = control characters
-- in values become "?". A plan whose format does not begin with "*" has no line for an alert with a missing value.
function M.lines(plan, ruleset, opts)
  local union = new_union(ruleset)
  local self = render.scratch(setmetatable({
    parts = union:parts(plan), lenient = plan.lenient, clean = opts.clean, line = buffer.new(),
  }, Lines))
  if opts.json then
    local map = {}
    union:fields(plan, map)
    self.members = members_of(map)
  end
  self.output = union:output()
  return self
end

local function lacks_value(alert)
  for i = 0, alert.n - 1 do
    if alert.values[i].type == 0 then return true end
  end
  return false
end

-- The line with its newline and its length; nil: no line for this one.
function Lines:render(alert)
  if not self.lenient and lacks_value(alert) then return nil end
  local out = self.line
  out:reset()
  if self.members then
    out:put("{")
    render.put_members(self, out, self.members, alert.values)
    out:put("}")
    if self.clean then out:put(text.printable(out:get())) end      -- no colours of ours in it
  else
    render.put_parts(self, out, self.parts, alert.values)
  end
  out:put("\n")
  local p, len = out:ref()
  return core.ffi.cast("const char *", p), len
end

return M
