-- SPDX-License-Identifier: Apache-2.0
-- Bytes that somebody else wrote, made fit for those who read them.
--
--   text.utf8(s)        what is no well-formed UTF-8 becomes U+FFFD
--   text.printable(s)   the same, and what a terminal would obey becomes "?": control characters of 7 and of 8 bits;
--                       newlines and tabs stay
local M = {}

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

function M.utf8(s)
  if not s:find("[\128-\255]") then return s end
  local out, i = {}, 1
  while i <= #s do
    local n = utf8_len(s, i)
    out[#out + 1] = n > 0 and s:sub(i, i + n - 1) or "\239\191\189"
    i = i + math.max(n, 1)
  end
  return table.concat(out)
end

function M.printable(s)
  if not s:find("[%z\1-\8\11-\31\127-\255]") then return s end
  return (M.utf8(s):gsub("[%z\1-\8\11-\31\127]", "?"):gsub("\194[\128-\159]", "?"))
end

return M
