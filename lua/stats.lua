-- SPDX-License-Identifier: Apache-2.0
-- Numbers at the end of a run.
local core = require("core")
local schema = require("schema")
local console = require("console")

local M = {}

local function short_priority(number)
  local name = schema.priorities[number + 1]:upper()
  return name == "INFORMATIONAL" and "INFO" or name
end

-- How often each rule matched, as upstream prints it. counts: by index of the rule.
function M.rules_text(rules, counts)
  local total, by_priority, by_rule = 0, {}, {}
  for i, rule in ipairs(rules) do
    local n = counts[i]
    if n > 0 then
      total = total + n
      by_priority[rule.priority] = (by_priority[rule.priority] or 0) + n
      by_rule[#by_rule + 1] = ("   %s: %d\n"):format(rule.name, n)
    end
  end
  local severities = {}
  for number = 0, #schema.priorities - 1 do
    local n = by_priority[number]
    if n then severities[#severities + 1] = ("   %s: %d\n"):format(short_priority(number), n) end
  end
  return ("Events detected: %d\nRule counts by severity:\n%sTriggered rules by rule name:\n%s"):format(
    total, table.concat(severities), table.concat(by_rule))
end

-- Counters that mean that something was not as it should be are shown in any case.
local function is_alarming(name)
  return name:find("full") or name:find("wrong") or name:find("skipped") or name:find("lost")
end

local function whole(n)
  return (tostring(n):gsub("U?LL$", ""))
end

local function engine_counters(eng, all)
  local C, ffi = core.C, core.ffi
  local value, i, lines = ffi.new("uint64_t[1]"), 0, {}
  while true do
    local name = core.cstr(C.engine_stat(eng, i, value))
    if not name then return lines end
    if all or (value[0] ~= 0 and is_alarming(name)) then lines[#lines + 1] = name .. ": " .. whole(value[0]) end
    i = i + 1
  end
end

-- Only what went over a limit; or, with `verbose`, everything. started: { cpu =, wall = } in ns, for -v.
function M.engine(eng, started, verbose)
  local C = core.C
  if verbose then
    local events = tonumber(C.engine_delivered(eng))
    local cpu = tonumber(C.sys_cpu_ns() - started.cpu) / 1e9
    local wall = tonumber(C.sys_now_ns() - started.wall) / 1e9
    console.info(("%d events in %.3f s (%.3f s of CPU time), %.0f events/s"):format(events, wall, cpu,
      events / math.max(wall, 1e-9)))
  end
  for _, line in ipairs(engine_counters(eng, verbose)) do
    local tell = verbose and console.info or console.warning
    tell(line)
  end
end

return M
