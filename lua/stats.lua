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

local function whole(n)
  return (tostring(n):gsub("U?LL$", ""))
end

-- { { text =, alarming = bool }, ... }
function M.counters(eng)
  local C, ffi = core.C, core.ffi
  local value, alarming, list = ffi.new("uint64_t[1]"), ffi.new("bool[1]"), {}
  while true do
    local name = core.cstr(C.engine_stat(eng, #list, value, alarming))
    if not name then return list end
    list[#list + 1] = { text = name .. ": " .. whole(value[0]), alarming = alarming[0] }
  end
end

-- What should not be, as warnings; the rest, of interest to few, at the level of -v. started: { cpu =, wall = } in ns, for -v.
function M.engine(eng, started, verbose)
  local C = core.C
  if verbose then
    local events = tonumber(C.engine_delivered(eng))
    local cpu = tonumber(C.sys_cpu_ns() - started.cpu) / 1e9
    local wall = tonumber(C.sys_now_ns() - started.wall) / 1e9
    console.info(("%d events in %.3f s (%.3f s of CPU time), %.0f events/s"):format(events, wall, cpu,
      events / math.max(wall, 1e-9)))
  end
  for _, counter in ipairs(M.counters(eng)) do
    if counter.alarming then
      console.engine("warning", counter.text)
    else
      console.engine(verbose and "info" or "debug", counter.text)
    end
  end
end

return M
