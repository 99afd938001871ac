-- SPDX-License-Identifier: Apache-2.0
-- Numbers for people: counts, times, and a histogram in one line.
--
--   spark.bars({ 1, 0, 8 })        "▁ █"
--   spark.bar(3, 10, 20)           a bar that is 3/10 of 20 columns long
--   spark.count(1234567)           "1,234,567"
--   spark.things(1, "event")       "1 event"; "2 events"
--   spark.duration(1500)           "1.5 µs", of ns
local M = {}

local LEVELS = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" }

function M.bars(counts)
  local most, out = 1, {}
  for _, n in ipairs(counts) do most = math.max(most, n) end
  for i, n in ipairs(counts) do out[i] = n == 0 and " " or LEVELS[math.max(1, math.ceil(n / most * #LEVELS))] end
  return table.concat(out)
end

function M.bar(n, most, columns)
  if n <= 0 then return "" end
  return ("█"):rep(math.max(1, math.floor(n / most * columns + 0.5)))
end

function M.count(n)
  local s = ("%.0f"):format(n)
  local sign, digits = s:match("^(%-?)(%d+)$")
  digits = digits:reverse():gsub("(%d%d%d)", "%1,"):reverse():gsub("^,", "")
  return sign .. digits
end

function M.things(n, name)
  return ("%s %s%s"):format(M.count(n), name, n == 1 and "" or "s")
end

local UNITS = { { 1e9, "s" }, { 1e6, "ms" }, { 1e3, "µs" }, { 1, "ns" } }

function M.duration(ns)
  for _, unit in ipairs(UNITS) do
    if ns >= unit[1] then
      local n = ns / unit[1]
      return (n >= 100 and "%.0f %s" or n >= 10 and "%.1f %s" or "%.2f %s"):format(n, unit[2])
    end
  end
  return "0 ns"
end

return M
