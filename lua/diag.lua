-- SPDX-License-Identifier: Apache-2.0
-- Diagnostics: mistakes of users, with a place. Collected, so that one run shows all of them.
--
--   local diags = diag.new()
--   diags:source("rules.yaml", text)                        lets messages show the line
--   diags:error("LOAD_ERR_VALIDATE", place, "unknown field 'proc.nam'", { near = "proc.name", hint = "..." })
--   diags:warning("LOAD_UNUSED_MACRO", node, "macro 'x' is not used")
--   io.stderr:write(diags:render{ color = true })
--
-- One without a place begins with "falco:", like every other message.
--
--   rules.yaml:12:18: error: unknown field 'proc.nam' (did you mean 'proc.name'?) [LOAD_ERR_VALIDATE]
--      12 |   condition: proc.nam = cat
--         |              ^~~~~~~~
--
-- A place is { file =, offset =, end_offset = } (bytes from 0, end exclusive) or { file =, line =, column = } (from 1;
-- columns count characters); YAML nodes are places. nil, or no line and offset: no position.
-- A diagnostic keeps level, code, message, file, line, column, offset, near, hint, notes ({ {place =, message =}, ... })
-- and whatever else `more` gave it. All are counted (.errors, .warnings); what one file has too many of is not kept.
local M = {}
local List = {}
List.__index = List

local MAX_WIDTH = 160 -- of a shown source line, in bytes
local MAX_MESSAGE = 400 -- bytes of a message; what it quotes may be long
local MAX_ITEMS = 1000 -- errors, and warnings, kept of one file

-- ------------------------------------------------------------------ edit distance

-- Edits (insert, delete, replace, swap of neighbours) from a to b, or nil if more than `limit`.
function M.distance(a, b, limit)
  limit = limit or math.max(#a, #b)
  if math.abs(#a - #b) > limit then
    return nil
  end
  local before, last, row = {}, {}, {}
  for j = 0, #b do
    last[j] = j
  end
  for i = 1, #a do
    row[0] = i
    local ca, least = a:byte(i), i
    for j = 1, #b do
      local cost = ca == b:byte(j) and 0 or 1
      local d = math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + cost)
      if i > 1 and j > 1 and ca == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        d = math.min(d, before[j - 2] + 1)
      end
      row[j] = d
      least = math.min(least, d)
    end
    if least > limit then
      return nil
    end
    before, last, row = last, row, before
  end
  return last[#b] <= limit and last[#b] or nil
end

-- Comparisons that suggestions may still cost; a new list of diagnostics brings new ones. A file of nothing but mistakes
-- would keep us busy for minutes otherwise.
local MAX_COMPARISONS = 200000
local comparisons = MAX_COMPARISONS

-- The candidate (array of texts, or a function that yields them) most like `word`, or nil if none is near. Of equally near
-- ones a longer form of the word is taken, else the first.
function M.suggest(word, candidates)
  local best, best_longer
  local limit = #word <= 3 and 1 or #word <= 6 and 2 or 3
  if #word > 100 or comparisons <= 0 then
    return nil
  end
  local lower = word:lower()
  local function try(candidate)
    comparisons = comparisons - 1
    if candidate == word or math.abs(#candidate - #word) > limit or comparisons < 0 then
      return
    end
    local known = candidate:lower()
    local d = known == lower and 0 or M.distance(lower, known, limit)
    local longer = known:sub(1, #lower) == lower
    if d and (not best or d < limit or longer and not best_longer) then
      best, best_longer, limit = candidate, longer, d
    end
  end
  if type(candidates) == "function" then
    for candidate in candidates do
      try(candidate)
    end
  else
    for _, candidate in ipairs(candidates) do
      try(candidate)
    end
  end
  return best
end

-- ------------------------------------------------------------------ sources

function M.new()
  comparisons = MAX_COMPARISONS
  return setmetatable({ items = {}, sources = {}, order = {}, errors = 0, warnings = 0, kept = {}, dropped = 0, said = {} }, List)
end

-- Registers the text of a file.
function List:source(file, text)
  if not self.sources[file] then
    self.order[#self.order + 1] = file
  end
  self.sources[file] = { text = text, rank = self.sources[file] and self.sources[file].rank or #self.order }
end

-- Byte offsets (from 1) at which lines begin.
local function line_starts(source)
  if not source.starts then
    local starts, text = { 1 }, source.text
    for at, after in text:gmatch("()[\r\n]()") do
      if text:byte(at) == 10 or text:byte(after) ~= 10 then
        starts[#starts + 1] = after
      end
    end
    source.starts = starts
  end
  return source.starts
end

local function line_of(source, offset)
  local starts, low = line_starts(source), 1
  local high = #starts
  while low < high do
    local mid = math.floor((low + high + 1) / 2)
    if starts[mid] <= offset + 1 then
      low = mid
    else
      high = mid - 1
    end
  end
  return low
end

local function characters(s)
  local _, continuation = s:gsub("[\128-\191]", "")
  return #s - continuation
end

local function line_text(source, line)
  local starts = line_starts(source)
  local from = starts[line]
  if not from then
    return nil
  end
  if source.shown_line ~= line then
    local text = source.text:sub(from, (starts[line + 1] or #source.text + 1) - 1)
    source.shown_line, source.shown = line, text:match("^[^\r\n]*")
  end
  return source.shown
end

-- Line and column (characters, from 1) of a byte offset in a registered file. Mistakes come mostly in order: the last
-- position is remembered, and what lies before it on its line is not counted again.
function List:position(file, offset)
  local source = self.sources[file]
  if not source then
    return nil
  end
  offset = math.max(0, math.min(offset, #source.text))
  local line = line_of(source, offset)
  local start, column = line_starts(source)[line], 1
  local last = source.last
  if last and last.line == line and last.offset <= offset then
    start, column = last.offset + 1, last.column
  end
  column = column + characters(source.text:sub(start, offset))
  source.last = { line = line, offset = offset, column = column }
  return line, column
end

-- The byte offset of a line and column, as set_place has them.
local function offset_of(source, line, column)
  local starts = line_starts(source)
  local at = starts[line]
  if not at then
    return #source.text
  end
  for _ = 2, column do
    local after = source.text:match("^[^\r\n\128-\191][\128-\191]*()", at)
    if not after then
      break
    end
    at = after
  end
  return at - 1
end

-- A place in bytes, all from 0: line, column, offset; nil when the place or its file is not known.
function List:mark(place)
  local source = place and self.sources[place.file]
  if not source or not (place.offset or place.line) then
    return nil
  end
  local offset = place.offset or offset_of(source, place.line, place.column or 1)
  offset = math.max(0, math.min(offset, #source.text))
  local line = line_of(source, offset)
  return line - 1, offset + 1 - line_starts(source)[line], offset
end

-- ------------------------------------------------------------------ collecting

local function set_place(list, d, place)
  if not place then
    return
  end
  d.file, d.offset, d.end_offset = place.file, place.offset, place.end_offset
  d.line, d.column = place.line, place.column
  if d.offset and list.sources[d.file] then
    d.line, d.column = list:position(d.file, d.offset)
  end
end

-- Is there room for one more of this level about the file of a place?
local function has_room(list, level, place)
  local key = level .. (place and place.file or "")
  list.kept[key] = (list.kept[key] or 0) + 1
  return list.kept[key] <= MAX_ITEMS
end

-- Was the same said of the same place? Aliases bring one place into many items.
local function is_repeated(list, code, place, message)
  if not place or not place.offset or #message > MAX_MESSAGE then
    return false
  end
  local key = ("%s %d %s %s"):format(code or "", place.offset, place.file, message)
  local repeated = list.said[key]
  list.said[key] = true
  return repeated
end

-- One line: names of macros can have several. And of a text that is too long both ends, at borders of characters.
local function shortened(text)
  text = text:gsub("[\r\n]+", " ")
  if #text <= MAX_MESSAGE then
    return text
  end
  local head = text:sub(1, MAX_MESSAGE - 80):gsub("[\192-\255][\128-\191]*$", "")
  return head .. "..." .. text:sub(-75):gsub("^[\128-\191]+", "")
end

-- The diagnostic, or nil if it was not kept: one of too many, or one that is there already.
function List:add(level, code, place, message, more)
  if is_repeated(self, code, place, message) then
    return
  end
  if level == "error" then
    self.errors = self.errors + 1
  else
    self.warnings = self.warnings + 1
  end
  if not has_room(self, level, place) then
    self.dropped = self.dropped + 1
    return
  end
  local d = { level = level, code = code, message = shortened(message) }
  for key, value in pairs(more or {}) do
    d[key] = (key == "near" or key == "hint") and shortened(value) or value
  end
  set_place(self, d, place)
  for _, note in ipairs(d.notes or {}) do
    note.message = shortened(note.message)
    set_place(self, note, note.place)
  end
  self.items[#self.items + 1] = d
  d.serial = #self.items
  return d
end

function List:error(code, place, message, more)
  return self:add("error", code, place, message, more)
end

function List:warning(code, place, message, more)
  return self:add("warning", code, place, message, more)
end

-- All diagnostics by file (as registered), then place, then time of arrival.
function List:sorted()
  local items = {}
  for i, d in ipairs(self.items) do
    items[i] = d
  end
  local function rank(d)
    return d.file and self.sources[d.file] and self.sources[d.file].rank or 0
  end
  table.sort(items, function(a, b)
    local ra, rb = rank(a), rank(b)
    if ra ~= rb then
      return ra < rb
    end
    if (a.line or 0) ~= (b.line or 0) then
      return (a.line or 0) < (b.line or 0)
    end
    if (a.column or 0) ~= (b.column or 0) then
      return (a.column or 0) < (b.column or 0)
    end
    return a.serial < b.serial
  end)
  return items
end

-- ------------------------------------------------------------------ printing

local PAINT = { error = "\27[1;31m", warning = "\27[1;35m", note = "\27[1;36m", bold = "\27[1m", off = "\27[0m" }
local PLAIN = setmetatable({}, {
  __index = function()
    return ""
  end,
})

-- Text of files and users goes to terminals: no escape sequences.
local clean = require("text").printable

local function is_continuation(s, i)
  local c = s:byte(i)
  return c and c >= 0x80 and c < 0xc0
end

-- The part of a long line around byte `at` (from 1): text, and how many bytes went away in front.
local function window(text, at)
  if #text <= MAX_WIDTH then
    return text, 0, ""
  end
  local from = math.max(1, at - math.floor(MAX_WIDTH / 2))
  local to = math.min(#text, from + MAX_WIDTH - 1)
  while is_continuation(text, from) do
    from = from - 1
  end
  while is_continuation(text, to + 1) do
    to = to + 1
  end
  return text:sub(from, to), from - 1, from > 1 and "..." or ""
end

-- Where in the text of a line a diagnostic points, in bytes from 1.
local function byte_of(d, source, text)
  if d.offset then
    return math.min(d.offset + 2 - line_starts(source)[d.line], #text + 1)
  end
  local at, column = 1, math.min(d.column or 1, #text + 1)
  for _ = 2, column do
    at = at + 1
    while is_continuation(text, at) do
      at = at + 1
    end
  end
  return math.min(at, #text + 1)
end

-- The source line and a caret below it.
local function excerpt(list, d, paint, out)
  local source = list.sources[d.file]
  local text = source and d.line and line_text(source, d.line)
  if not text then
    return
  end
  local at = byte_of(d, source, text)
  local span = 1
  if d.offset and d.end_offset then
    span = math.max(1, math.min(d.end_offset - d.offset, #text - at + 1))
  end
  local shown, cut, dots = window(text, at)
  local before = shown:sub(1, at - cut - 1)
  local pad = dots:gsub(".", " ") .. before:gsub("[\128-\191]", ""):gsub("[^\t]", " ")
  local width = math.max(1, characters(shown:sub(at - cut, at - cut + span - 1)))
  local number = ("%5d"):format(d.line)
  out[#out + 1] = ("%s | %s%s\n"):format(number, dots, clean(shown))
  out[#out + 1] = ("%s | %s%s^%s%s\n"):format(
    (" "):rep(#number), pad, paint[d.level or "note"], ("~"):rep(width - 1), paint.off)
end

local function head(d, paint)
  local where = "falco: "
  if d.file then
    where = clean(d.file) .. ":"
    if d.line then
      where = ("%s%d:%d:"):format(where, d.line, d.column or 1)
    end
    where = paint.bold .. where .. paint.off .. " "
  end
  local near = d.near and (" (did you mean '%s'?)"):format(clean(d.near)) or ""
  local code = d.code and (" [%s]"):format(d.code) or ""
  local level = d.level or "note"
  return ("%s%s%s:%s %s%s%s\n"):format(where, paint[level], level, paint.off, clean(d.message), near, code)
end

-- One diagnostic as text. opts.color
function List:format(d, opts)
  local paint = opts and opts.color and PAINT or PLAIN
  local out = { head(d, paint) }
  excerpt(self, d, paint, out)
  if d.hint then
    out[#out + 1] = ("      %s\n"):format(clean(d.hint))
  end
  for _, note in ipairs(d.notes or {}) do
    out[#out + 1] = head(note, paint)
    excerpt(self, note, paint, out)
  end
  return table.concat(out)
end

-- Everything as text. opts: color; level = "error": no warnings
function List:render(opts)
  local out = {}
  for _, d in ipairs(self:sorted()) do
    if not (opts and opts.level == "error" and d.level ~= "error") then
      out[#out + 1] = self:format(d, opts)
    end
  end
  if self.dropped > 0 then
    out[#out + 1] = ("%d more are not shown\n"):format(self.dropped)
  end
  return table.concat(out)
end

return M
