-- SPDX-License-Identifier: Apache-2.0
-- A strict reader of Prometheus' text format 0.0.4: every family has one HELP and one TYPE in front of all its samples, names and
-- labels are well formed, no sample comes twice, counters are not negative.
--   local families, mistake = prometheus.parse(text)
-- families[name] = { type =, help =, samples = { { labels = {}, value = number } } }
local NAME, LABEL = "^[%a_:][%w_:]*$", "^[%a_][%w_]*$"
local TYPES = { counter = true, gauge = true, untyped = true }

local function labels_of(text)
  local labels, at = {}, 1
  while at <= #text do
    local name, from = text:match('^([^=]+)="()', at)
    if not name or not name:find(LABEL) then return nil, "label name in " .. text end
    if labels[name] then return nil, "label twice in " .. text end
    local value, i = {}, from
    while true do
      local c = text:sub(i, i)
      if c == "" or c == "\n" then return nil, "label value in " .. text end
      if c == '"' then break end
      if c == "\\" then
        i = i + 1
        c = ({ ["\\"] = "\\", ['"'] = '"', n = "\n" })[text:sub(i, i)]
        if not c then return nil, "escape in " .. text end
      end
      value[#value + 1] = c
      i = i + 1
    end
    labels[name] = table.concat(value)
    at = i + 1
    if at <= #text then
      if text:sub(at, at) ~= "," then return nil, "no comma in " .. text end
      at = at + 1
    end
  end
  return labels
end

local function sample_of(line)
  local name, rest = line:match("^([^ {]+)(.*)$")
  if not name then return nil, "no sample: " .. line end
  local inside, value = rest:match("^{(.*)} (%S+)$")
  if not inside then inside, value = "", rest:match("^ (%S+)$") end
  if not value or not (value == "NaN" or tonumber(value)) then return nil, "no value: " .. line end
  local labels, mistake = labels_of(inside)
  if not labels then return nil, mistake end
  return name, { labels = labels, value = tonumber(value), key = name .. inside }
end

local M = {}

function M.parse(text)
  local families, current, seen = {}, nil, {}
  if text:sub(-1) ~= "\n" then return nil, "the last line has no end" end
  for line in text:gmatch("([^\n]*)\n") do
    local name, help = line:match("^# HELP (%S+) (.*)$")
    if name then
      if not name:find(NAME) or families[name] then return nil, "HELP again, or no name: " .. line end
      if help == "" then return nil, "HELP says nothing: " .. line end
      current = { name = name, help = help, samples = {} }
      families[name] = current
    elseif line:find("^# TYPE ") then
      local of, kind = line:match("^# TYPE (%S+) (%S+)$")
      if not current or of ~= current.name or current.type or not TYPES[kind] then return nil, "TYPE: " .. line end
      current.type = kind
    else
      local of, sample = sample_of(line)
      if not of then return nil, sample end
      if not current or of ~= current.name or not current.type then return nil, "sample outside of its family: " .. line end
      if seen[sample.key] then return nil, "sample twice: " .. line end
      if current.type == "counter" and not (sample.value >= 0) then return nil, "counter below 0: " .. line end
      seen[sample.key] = true
      current.samples[#current.samples + 1] = sample
    end
  end
  for name, family in pairs(families) do
    if #family.samples == 0 then return nil, "no samples: " .. name end
  end
  return families
end

return M
