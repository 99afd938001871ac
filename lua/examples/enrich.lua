-- SPDX-License-Identifier: Apache-2.0
-- Adds what a table knows to each alert: a CSV file whose first line names the columns, and whose first column is looked up.
--
--   scripts:
--     - path: /etc/falco/scripts/enrich.lua
--       grant: [alter]
--       files: { table: /etc/falco/assets.csv }        user,owner,team
--       args: { field: user.name, prefix: asset }
local field, prefix
local columns, rows = {}, {}

-- The cells of a line; quotes may hold commas, and "" is a quote.
local function cells_of(line)
  local cells, at = {}, 1
  while at <= #line + 1 do
    local cell, next_at
    if line:sub(at, at) == '"' then
      local text, stop = "", at
      repeat
        local from = stop + 1
        stop = line:find('"', from, true) or #line + 1
        text = text .. line:sub(from, stop - 1)
        local more = line:sub(stop + 1, stop + 1) == '"'
        if more then text, stop = text .. '"', stop + 1 end
      until not more
      cell, next_at = text, stop + 2
    else
      local stop = line:find(",", at, true) or #line + 1
      cell, next_at = line:sub(at, stop - 1), stop + 1
    end
    cells[#cells + 1] = cell
    at = next_at
  end
  return cells
end

local M = {}

function M.open(args)
  field, prefix = args.field or "user.name", args.prefix or "csv"
  local text = assert(falco.files.table, "files.table is missing: the path of the CSV file")
  for line in text:gmatch("[^\r\n]+") do
    local cells = cells_of(line)
    if #columns == 0 then
      columns = cells
    else
      rows[cells[1]] = cells
    end
  end
end

function M.write(alert)
  local value = alert:get(field)
  local cells = value ~= nil and rows[tostring(value)]
  if not cells then return end
  for i = 2, #columns do
    if cells[i] then alert:set(prefix .. "." .. columns[i], cells[i]) end
  end
end

return M
