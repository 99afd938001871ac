-- SPDX-License-Identifier: Apache-2.0
-- Rows of text as an aligned table. Columns are as wide as what stands in them, in columns of a terminal: a name of Chinese
-- characters takes two for each.
--
--   table.render{ heads = { "evt.num", ... }, rows = { { "1", ... }, ... }, right = { [1] = true }, width = 80,
--                 paint = function }
--
-- width: what does not fit is cut, the widest columns first; nil: only what is longer than anybody wants to look at is cut.
-- The last column is never padded. paint(i, text): the text of column i in colours; i = 0: a head.
local core = require("core")

local M = {}

local GAP = "  "
local LONG = 120          -- columns of a cell, when there is no terminal to fit into
local LEAST = 8           -- that cutting leaves a column

local taken = nil

function M.columns(s)
  if not s:find("[\128-\255]") then return #s end
  return core.C.text_columns(s, #s)
end

-- s with at most so many columns; one that was cut ends with "…".
function M.cut(s, columns)
  local n = M.columns(s)
  if n <= columns then return s, n end
  taken = taken or core.ffi.new("uint32_t[1]")
  local bytes = core.C.text_fit(s, #s, columns - 1, taken)
  return s:sub(1, bytes) .. "…", taken[0] + 1
end

local function natural(opts)
  local widths = {}
  for i, head in ipairs(opts.heads) do widths[i] = M.columns(head) end
  for _, row in ipairs(opts.rows) do
    for i = 1, #opts.heads do widths[i] = math.max(widths[i], M.columns(row[i])) end
  end
  return widths
end

local function total(widths)
  local sum = #GAP * (#widths - 1)
  for _, width in ipairs(widths) do sum = sum + width end
  return sum
end

-- Takes from the widest until all fit, or there is nothing to take.
local function squeeze(widths, width)
  local over = total(widths) - width
  while over > 0 do
    local widest, second = 1, LEAST
    for i, w in ipairs(widths) do
      if w > widths[widest] then widest = i end
    end
    for i, w in ipairs(widths) do
      if i ~= widest and w < widths[widest] then second = math.max(second, w) end
    end
    if widths[widest] <= LEAST then return end
    local take = math.max(1, math.min(over, widths[widest] - second))
    widths[widest] = math.max(LEAST, widths[widest] - take)
    over = total(widths) - width
  end
end

local function fitted(opts)
  local widths = natural(opts)
  if opts.width then
    squeeze(widths, opts.width)
  else
    for i = 1, #widths - 1 do widths[i] = math.min(widths[i], LONG) end
  end
  return widths
end

local function line(opts, cells, widths, is_head)
  local out = {}
  for i, width in ipairs(widths) do
    local cell, columns = M.cut(cells[i], width)
    local pad = (" "):rep(width - columns)
    if opts.paint then cell = opts.paint(is_head and 0 or i, cell) end
    if opts.right and opts.right[i] then
      cell = pad .. cell
    elseif i < #widths then
      cell = cell .. pad
    end
    out[i] = cell
  end
  return (table.concat(out, GAP):gsub(" +$", "")) .. "\n"
end

function M.render(opts)
  local widths, out = fitted(opts), {}
  if not opts.no_head then out[1] = line(opts, opts.heads, widths, true) end
  for _, row in ipairs(opts.rows) do out[#out + 1] = line(opts, row, widths, false) end
  return table.concat(out)
end

return M
