-- SPDX-License-Identifier: Apache-2.0
-- Who alerts most: every so often one alert with the programs that were behind the others.
--
--   scripts:
--     - path: /etc/falco/scripts/top_talkers.lua
--       grant: [emit, timers]
--       args: { every: 300, top: 5, field: proc.name }
local field, top
local counts, total = {}, 0
local names, MAX_NAMES = 0, 10000

local M = {}

function M.open(args)
  field, top = args.field or "proc.name", args.top or 5
  falco.every(args.every or 300, M.report)
end

function M.write(alert)
  local name = alert:get(field)
  if name == nil then return end
  name, total = tostring(name), total + 1
  if not counts[name] then
    if names >= MAX_NAMES then name = "(others)" else names = names + 1 end
  end
  counts[name] = (counts[name] or 0) + 1
end

function M.report()
  if total == 0 then return end
  local list = {}
  for name, n in pairs(counts) do list[#list + 1] = { name = name, n = n } end
  table.sort(list, function(a, b)
    if a.n ~= b.n then return a.n > b.n end
    return a.name < b.name
  end)
  local parts, fields = {}, { total = total }
  for i = 1, math.min(top, #list) do
    parts[i] = list[i].name .. "=" .. list[i].n
    fields["top." .. i] = list[i].name
  end
  falco.emit{ rule = "Top talkers", priority = "informational", fields = fields,
    output = ("%d alerts, most of them from %s"):format(total, table.concat(parts, " ")) }
  counts, total, names = {}, 0, 0
end

M.close = function() M.report() end

return M
