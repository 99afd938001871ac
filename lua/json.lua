-- SPDX-License-Identifier: Apache-2.0
-- Lua values as JSON text, keys sorted by their bytes. Not for alerts: format.lua writes those without tables.
--
--   json.encode({ b = 1, a = json.array() })        {"a":[],"b":1}
--   json.encode(value, 2)                           over several lines, indented by two blanks
--   json.null                                       null
--
-- A table is an array if json.array() made it or if it has an item 1; anything else is an object with string keys.
-- Integers of 64 bits come as cdata and are written whole.
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

-- How many bytes of `s` at `i` are one well-formed UTF-8 sequence; 0 if none.
local function utf8_len(s, i)
  local a, b = s:byte(i, i + 1)
  if a < 0x80 then return 1 end
  local n = (a >= 0xc2 and a <= 0xdf and 2) or (a >= 0xe0 and a <= 0xef and 3) or (a >= 0xf0 and a <= 0xf4 and 4) or 0
  if n == 0 or not b then return 0 end
  local low, high = 0x80, 0xbf
  -- overlong forms, surrogates, and what lies beyond U+10FFFF
  if a == 0xe0 then low = 0xa0 elseif a == 0xf0 then low = 0x90 end
  if a == 0xed then high = 0x9f elseif a == 0xf4 then high = 0x8f end
  if b < low or b > high then return 0 end
  for k = 2, n - 1 do
    local c = s:byte(i + k)
    if not c or c < 0x80 or c > 0xbf then return 0 end
  end
  return n
end

local function replace_invalid(s)
  if not s:find("[\128-\255]") then return s end
  local out, i = {}, 1
  while i <= #s do
    local n = utf8_len(s, i)
    out[#out + 1] = n > 0 and s:sub(i, i + n - 1) or "\239\191\189"
    i = i + math.max(n, 1)
  end
  return table.concat(out)
end

-- The text as a JSON string with its quotes.
function M.quote(s)
  return '"' .. replace_invalid(s):gsub('[%c"\\]', function(c) return c == "\127" and c or escape_control(c) end)
    .. '"'
end

local function sorted_keys(t)
  local keys = {}
  for k in pairs(t) do keys[#keys + 1] = k end
  table.sort(keys)
  return keys
end

local function number(n)
  if n == math.floor(n) and math.abs(n) < 2 ^ 53 then return ("%d"):format(n) end
  if n ~= n or n == math.huge or n == -math.huge then return "null" end
  return ("%.17g"):format(n)
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
