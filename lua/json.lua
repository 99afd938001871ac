-- SPDX-License-Identifier: Apache-2.0
-- Lua values as JSON text, keys sorted by their bytes. Not for alerts: format.lua writes those without tables.
--
--   json.encode({ b = 1, a = json.array() })        {"a":[],"b":1}
--   json.encode(value, 2)                           over several lines, indented by two blanks
--   json.null                                       null
--
-- A table is an array if json.array() made it or if it has an item 1; anything else is an object with string keys.
-- Integers of 64 bits come as cdata and are written whole.
local sorted_keys = require("sorted_keys")
local text = require("text")

local M = {}

M.null = setmetatable({}, { __tostring = function() return "null" end })

local ARRAY = {}

-- Marks `t` (default: a new table) as an array, which matters when it is empty.
function M.array(t)
  return setmetatable(t or {}, ARRAY)
end

local SHORT = { ['"'] = '\\"', ["\\"] = "\\\\", ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n", ["\r"] = "\\r",
  ["\t"] = "\\t" }

local function escape_control(c)
  return SHORT[c] or ("\\u%04x"):format(c:byte())
end

-- The text as a JSON string with its quotes.
function M.quote(s)
  return '"' .. text.utf8(s):gsub('[%c"\\]', function(c) return c == "\127" and c or escape_control(c) end)
    .. '"'
end

local function number(n)
  if n == math.floor(n) and math.abs(n) < 2 ^ 53 then return ("%d"):format(n) end
  if n ~= n or n == math.huge or n == -math.huge then return "null" end
  local short = ("%.15g"):format(n)
  return tonumber(short) == n and short or ("%.17g"):format(n)
end

local encode

local function items(t, indent, depth)
  local parts, is_array = {}, getmetatable(t) == ARRAY or t[1] ~= nil
  if is_array then
    for i, v in ipairs(t) do parts[i] = encode(v, indent, depth + 1) end
  else
    for i, k in ipairs(sorted_keys(t)) do
      parts[i] = M.quote(k) .. (indent and ": " or ":") .. encode(t[k], indent, depth + 1)
    end
  end
  return parts, is_array and "[" or "{", is_array and "]" or "}"
end

function encode(value, indent, depth)
  local kind = type(value)
  if kind == "string" then return M.quote(value) end
  if kind == "number" then return number(value) end
  if kind == "boolean" then return tostring(value) end
  if kind == "nil" or value == M.null then return "null" end
  if kind == "cdata" then return (tostring(value):gsub("U?LL$", "")) end
  assert(kind == "table", kind)
  local parts, opening, closing = items(value, indent, depth)
  if #parts == 0 then return opening .. closing end
  if not indent then return opening .. table.concat(parts, ",") .. closing end
  local pad = (" "):rep(indent * (depth + 1))
  return opening .. "\n" .. pad .. table.concat(parts, ",\n" .. pad) .. "\n" .. (" "):rep(indent * depth) .. closing
end

function M.encode(value, indent)
  return encode(value, indent, 0)
end

return M
