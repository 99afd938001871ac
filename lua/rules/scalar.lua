-- SPDX-License-Identifier: Apache-2.0
-- Where in the file each byte of a YAML scalar's value was written.
--
--   scalar.offset(node, file_text, i) -> offset in the file (from 0) of byte i (from 1) of node.text; i may be #node.text + 1
--
-- libyaml only says where a scalar starts and ends. Between those the scalar is read a second time, beside its value: both
-- are walked together, so that folding, indentation, quotes and escapes need no second implementation of YAML's rules,
-- only an alignment. Done when a message needs it, and remembered on the node.
local M = {}

local TAB, LF, CR, SPACE, QUOTE, APOSTROPHE, BACKSLASH = 9, 10, 13, 32, 34, 39, 92

-- A walk: `text` from `at` (1-based) up to before `stop`, the value from `v`, and the map value index -> text index.
local Walk = {}
Walk.__index = Walk

function Walk:byte()
  return self.at < self.stop and self.text:byte(self.at) or nil
end

-- One value byte (or n of them) written at the current place.
function Walk:put(n, width)
  for _ = 1, n or 1 do
    self.map[self.v] = self.at
    self.v = self.v + 1
  end
  self.at = self.at + (width or 1)
end

function Walk:at_break()
  local c = self:byte()
  return c == LF or c == CR
end

function Walk:skip_break()
  if self:byte() == CR and self.at + 1 < self.stop and self.text:byte(self.at + 1) == LF then
    self.at = self.at + 1
  end
  self.at = self.at + 1
end

function Walk:skip_blanks(limit)
  local left = limit or math.huge
  while left > 0 and (self:byte() == SPACE or (not limit and self:byte() == TAB)) do
    self.at, left = self.at + 1, left - 1
  end
end

-- Line breaks that the value shows as `kept` newlines, or as one blank, or not at all.
function Walk:put_breaks(breaks)
  local kept = 0
  while self.value:byte(self.v + kept) == LF do
    kept = kept + 1
  end
  kept = math.min(kept, #breaks)
  if kept == 0 and breaks[1] and self.value:byte(self.v) == SPACE then
    self.map[self.v], self.v = breaks[1], self.v + 1
  end
  for k = 1, kept do
    self.map[self.v], self.v = breaks[k], self.v + 1
  end
end

-- A run of blanks and line breaks inside a flow scalar (plain or quoted), which folds to a blank or to newlines.
function Walk:fold()
  local breaks = {}
  while self:at_break() do
    breaks[#breaks + 1] = self.at
    self:skip_break()
    self:skip_blanks()
  end
  self:put_breaks(breaks)
end

-- Blanks: kept, unless they end a line.
function Walk:blanks()
  local after = self.text:match("^[ \t]*()", self.at)
  local c = after < self.stop and self.text:byte(after)
  if c == LF or c == CR then
    self.at = after
    return self:fold()
  end
  while self.at < after do
    self:put()
  end
end

local function flow(walk, special)
  while walk.v <= #walk.value and walk:byte() do
    local c = walk:byte()
    if special[c] then
      special[c](walk)
    elseif c == SPACE or c == TAB then
      walk:blanks()
    elseif c == LF or c == CR then
      walk:fold()
    else
      walk:put()
    end
  end
end

local HEX_WIDTH = { x = 2, u = 4, U = 8 }
local NAMED = { N = 2, _ = 2, L = 3, P = 3 } -- bytes in UTF-8; the other escapes are one byte

local function utf8_bytes(code)
  return code < 0x80 and 1 or code < 0x800 and 2 or code < 0x10000 and 3 or 4
end

local function escape(walk)
  local c = walk.text:sub(walk.at + 1, walk.at + 1)
  local digits = HEX_WIDTH[c]
  if c == "\n" or c == "\r" then
    walk.at = walk.at + 1
    walk:skip_break()
    walk:skip_blanks()
  elseif digits then
    local code = tonumber(walk.text:sub(walk.at + 2, walk.at + 1 + digits), 16) or 0
    walk:put(utf8_bytes(code), 2 + digits)
  else
    walk:put(NAMED[c] or 1, 2)
  end
end

local function doubled(walk)
  walk:put(1, 2)
end

local function leading_blanks(s, at)
  return #s:match("^ *", at)
end

-- How many blanks of indentation the value has lost: seen on the first line that is not empty.
local function block_indent(walk)
  local at = walk.at
  while at < walk.stop do
    local blanks = leading_blanks(walk.text, at)
    local c = walk.text:byte(at + blanks)
    if c ~= LF and c ~= CR then
      return blanks - leading_blanks(walk.value, walk.value:match("^\n*()"))
    end
    at = walk.text:match("^\r?\n?()", at + blanks)
  end
  return 0
end

local function block_line(walk)
  while walk:byte() and not walk:at_break() and walk.v <= #walk.value do
    walk:put()
  end
end

-- Literal and folded block scalars: after each line with content, all breaks up to the next one are aligned together.
local function block(walk)
  walk.at = walk.text:match("^[^\r\n]*()", walk.at)
  walk:skip_break()
  local indent = block_indent(walk)
  local breaks = {}
  while walk.v <= #walk.value and walk:byte() do
    walk:skip_blanks(indent)
    if walk:at_break() then
      breaks[#breaks + 1] = walk.at
      walk:skip_break()
    else
      walk:put_breaks(breaks)
      block_line(walk)
      breaks = {}
      if walk:at_break() then
        breaks[1] = walk.at
        walk:skip_break()
      end
    end
  end
  walk:put_breaks(breaks)
end

-- The mark of a scalar begins at its anchor or tag, if it has any.
local function skip_properties(text, at, stop)
  while at < stop do
    local after = text:match("^[&!][^%s]*%s+()", at) or text:match("^#[^\r\n]*%s*()", at)
    if not after then
      return at
    end
    at = after
  end
  return at
end

local STYLES = {
  [QUOTE] = function(walk)
    walk.at = walk.at + 1
    flow(walk, { [BACKSLASH] = escape })
  end,
  [APOSTROPHE] = function(walk)
    walk.at = walk.at + 1
    flow(walk, { [APOSTROPHE] = doubled })
  end,
  [("|"):byte()] = block,
  [(">"):byte()] = block,
}

local function build(node, text)
  local stop = math.min(node.end_offset, #text) + 1
  local walk = setmetatable({ text = text, at = node.offset + 1, stop = stop, value = node.text, v = 1, map = {} }, Walk)
  walk.at = skip_properties(text, walk.at, stop)
  local style = not node.plain and STYLES[walk:byte()]
  if style then
    style(walk)
  else
    flow(walk, {})
  end
  walk.map[walk.v] = walk.map[walk.v] or math.min(walk.at, stop)
  return walk.map
end

function M.offset(node, text, i)
  if not text then
    return node.offset
  end
  node.places = node.places or build(node, text)
  local at = node.places[math.max(1, math.min(i, #node.text + 1))]
  return at and at - 1 or node.offset
end

return M
