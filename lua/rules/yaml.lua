-- SPDX-License-Identifier: Apache-2.0
-- YAML text -> nodes that know their place. Generic: rule files and falco.yaml both come through here.
--
--   yaml.parse(text, file, diags, code) -> { root, root, ... } one per document, or nil: then `diags` got an error (of `code`,
--   default LOAD_ERR_YAML_PARSE). An empty document is a null scalar.
--
-- node: { kind = "map" | "seq" | "scalar", file, line, column (from 1, columns in characters), offset (bytes from 0), end_offset (exclusive),
--         tag (or nil) }
--   scalar  .text, .plain (without quotes: may be a number, bool or null)
--   seq     [1..#node] nodes
--   map     [1..#node] = { key = node, value = node } in order; .keys: text of a scalar key -> its first entry
-- An alias is the very node that its anchor names: shared, not copied. Files with an alias inside its own anchor are refused.
--
--   yaml.get(map, key) -> value node | nil           also nil when `map` is no map
--   yaml.is_null(node)                               plain "", ~, null
--   yaml.bool(node) -> true | false | nil            plain true/false/yes/no/on/off/y/n as YAML 1.1 spells them
--   yaml.bool_text(text) -> the same, for the text of a scalar that may be quoted
--   yaml.int(node) -> number | nil                   plain decimal, 0x, 0o integers
--   yaml.number(node) -> number | nil                plain number of any form
--   yaml.plain(node) -> Lua value                    tables, strings, numbers, booleans, nil for null (no positions)
local bit = require "bit"
local core = require "core"
local ffi = core.ffi

local M = {}

-- Where the numbers of an event stand, and bits of one of them; see prepare().
local KIND, LINE, COLUMN, OFFSET, END_OFFSET, HAS, VALUE, VALUE_LEN, ANCHOR, TAG
local HAS_ANCHOR, HAS_TAG, NO_QUOTES

-- Text number `which` of an event: at words[which], with a NUL behind it.
local function text_at(b, i, which)
  return ffi.string(b.texts + b.words[i + which])
end

-- The node of the event whose words begin at `i`. text, plain: of scalars. There may be a million nodes: what most have goes
-- into one table of eight.
local function node_of(b, i, kind, text, plain)
  local words = b.words
  local node = { kind = kind, file = b.file, line = words[i + LINE], column = words[i + COLUMN], offset = words[i + OFFSET],
                 end_offset = words[i + END_OFFSET], text = text, plain = plain }
  if bit.band(words[i + HAS], HAS_TAG) ~= 0 then
    node.tag = text_at(b, i, TAG)
  end
  return node
end

-- Nodes that aliases may name.
local function note_anchor(b, i, node)
  if bit.band(b.words[i + HAS], HAS_ANCHOR) ~= 0 then
    b.anchors[text_at(b, i, ANCHOR)] = node
  end
end

local function close(b, i)
  local node = table.remove(b.stack)
  node.end_offset = b.words[i + END_OFFSET]
  node.open = nil
end

local function add_key(map, key)
  local entry = { key = key }
  map[#map + 1] = entry
  if key.kind == "scalar" and not map.keys[key.text] then
    map.keys[key.text] = entry
  end
end

-- Puts a finished or opened node where the innermost open collection wants it.
local function attach(b, node)
  local top = b.stack[#b.stack]
  if not top then
    b.docs[#b.docs + 1] = node
  elseif top.kind == "seq" then
    top[#top + 1] = node
  elseif #top > 0 and not top[#top].value then
    top[#top].value = node
  else
    add_key(top, node)
  end
end

local function open(b, i, kind)
  local node = node_of(b, i, kind)
  node.open = true
  if kind == "map" then
    node.keys = {}
  end
  note_anchor(b, i, node)
  attach(b, node)
  b.stack[#b.stack + 1] = node
end

local function scalar(b, i)
  local words = b.words
  local text = ffi.string(b.texts + words[i + VALUE], words[i + VALUE_LEN])
  local node = node_of(b, i, "scalar", text, bit.band(words[i + HAS], NO_QUOTES) ~= 0)
  note_anchor(b, i, node)
  attach(b, node)
end

local function alias(b, i)
  local name = text_at(b, i, VALUE)
  local place = node_of(b, i, "alias")
  local node = b.anchors[name]
  if not node then
    return b.fail(place, ("the alias '*%s' has no anchor '&%s' before it"):format(name, name))
  elseif node.open then
    return b.fail(place, ("the alias '*%s' lies inside its own anchor"):format(name))
  end
  attach(b, node)
end

local on				-- by kind of event

-- What C says of its own tables, kept where it is at hand for every node.
local function prepare()
  local C = core.C
  KIND, LINE, COLUMN, OFFSET, END_OFFSET = C.YAML_KIND, C.YAML_LINE, C.YAML_COLUMN, C.YAML_OFFSET, C.YAML_END_OFFSET
  HAS, VALUE, VALUE_LEN, ANCHOR, TAG = C.YAML_HAS, C.YAML_VALUE, C.YAML_VALUE_LEN, C.YAML_ANCHOR, C.YAML_TAG
  HAS_ANCHOR, HAS_TAG, NO_QUOTES = C.YAML_HAS_ANCHOR, C.YAML_HAS_TAG, C.YAML_HAS_NO_QUOTES
  on = {
    [C.YAML_DOCUMENT_START] = function(b) b.anchors = {} end,
    [C.YAML_DOCUMENT_END] = function() end,
    [C.YAML_ALIAS] = alias,
    [C.YAML_SCALAR] = scalar,
    [C.YAML_SEQ_START] = function(b, i) open(b, i, "seq") end,
    [C.YAML_MAP_START] = function(b, i) open(b, i, "map") end,
    [C.YAML_SEQ_END] = close,
    [C.YAML_MAP_END] = close,
  }
end

local function build(doc, b)
  if not on then
    prepare()
  end
  b.words, b.texts = core.C.yaml_words(doc), core.C.yaml_texts(doc)
  local size = core.C.YAML_WORDS
  for i = 0, (core.C.yaml_count(doc) - 1) * size, size do
    on[b.words[i + KIND]](b, i)
    if b.failed then
      return nil
    end
  end
  return b.docs
end

-- ------------------------------------------------------------------ what libyaml finds wrong, in words that help
-- { what it says (the beginning), what we say, advice }. %c: the character; %l: the line where the thing began

local NOT_UTF8 = { nil, "this is not UTF-8", "save the file as UTF-8" }
local ADVICE = {
  { "found a tab character", "a tab cannot indent", "YAML indents with blanks only" },
  { "found character that cannot start any token", "a value cannot begin with '%c'", "put the value in quotes" },
  { "mapping values are not allowed", "a ':' cannot stand here",
    "a text with ': ' in it wants quotes; or the line is indented more than the others of its item" },
  { "did not find expected '-' indicator", "the indentation of this line fits nothing above it",
    "the keys of one item are indented alike, and more than its '-'" },
  { "did not find expected key", "expected a key here", "the keys of one item are indented alike; what began in line %l ends here" },
  { "could not find expected ':'", "expected ':' and a value", "it belongs to the key in line %l" },
  { "found unexpected end of stream, while scanning a quoted scalar", "a quote is never closed", "it was opened in line %l" },
  { "did not find expected ',' or ']'", "expected ',' or ']'", "the '[' that they belong to is in line %l" },
  { "did not find expected ',' or '}'", "expected ',' or '}'", "the '{' that they belong to is in line %l" },
  { "did not find expected node content", "expected a value, not '%c'", "what it belongs to begins in line %l" },
  { "control characters are not allowed", "a control character cannot be part of YAML",
    "take it out; in double quotes it could be written like \\x1b" },
  { "invalid leading UTF-8 octet", NOT_UTF8[2], NOT_UTF8[3] },
  { "invalid trailing UTF-8 octet", NOT_UTF8[2], NOT_UTF8[3] },
  { "incomplete UTF-8 octet sequence", NOT_UTF8[2], NOT_UTF8[3] },
  { "invalid length of a UTF-8 sequence", NOT_UTF8[2], NOT_UTF8[3] },
}

local function character_at(text, line, column)
  local at = 1
  for _ = 2, line do
    at = text:match("^[^\r\n]*\r?\n?()", at)
  end
  for _ = 2, column do
    at = text:match("^[^\128-\191][\128-\191]*()", at) or at
  end
  return text:match("^[^\128-\191][\128-\191]*", at) or ""
end

-- Message and hint for what C's parser said of a place.
local function advice_on(said, text, line, column)
  if text:find("^\255\254") or text:find("^\254\255") then
    return "this is UTF-16, not UTF-8", NOT_UTF8[3]
  end
  for _, row in ipairs(ADVICE) do
    if said:sub(1, #row[1]) == row[1] then
      local char = character_at(text, line, column)
      if char == "\t" and row[2]:find("%c", 1, true) then
        return ADVICE[1][2], ADVICE[1][3]
      end
      local since = said:match("in line (%d+)$")
      return (row[2]:gsub("%%c", (char:gsub("%%", "%%%%")))), not (row[3]:find("%l", 1, true) and not since)
        and row[3]:gsub("%%l", since or "") or nil
    end
  end
  return said
end

function M.parse(text, file, diags, code)
  local err, line, column = core.err(), ffi.new("uint32_t[1]"), ffi.new("uint32_t[1]")
  code = code or "LOAD_ERR_YAML_PARSE"
  diags:source(file, text)
  local doc = core.C.yaml_parse(text, #text, err, line, column)
  if doc == nil then
    local message, hint = advice_on(core.message(err), text, line[0], column[0])
    diags:error(code, { file = file, line = line[0], column = column[0] }, "not valid YAML: " .. message, { hint = hint })
    return nil
  end
  local b = { file = file, stack = {}, docs = {}, anchors = {} }
  function b.fail(place, message)
    b.failed = true
    diags:error(code, place, message)
  end
  local docs = build(doc, b)
  core.C.yaml_doc_free(doc)
  return docs
end

-- ------------------------------------------------------------------ reading nodes

function M.get(map, key)
  local entry = map and map.kind == "map" and map.keys[key]
  return entry and entry.value or nil
end

local NULL = { [""] = true, ["~"] = true, null = true, Null = true, NULL = true }
local BOOL = {}
for text, value in pairs{ y = true, yes = true, on = true, ["true"] = true, n = false, no = false, off = false,
                          ["false"] = false } do
  BOOL[text], BOOL[text:upper()], BOOL[text:sub(1, 1):upper() .. text:sub(2)] = value, value, value
end

function M.is_null(node)
  return node.kind == "scalar" and node.plain and NULL[node.text] or false
end

function M.bool(node)
  if node.kind == "scalar" and node.plain then
    return BOOL[node.text]
  end
end

-- The same of a text that may have been quoted.
function M.bool_text(text)
  return BOOL[text]
end

function M.int(node)
  if node.kind ~= "scalar" or not node.plain then
    return nil
  end
  local text = node.text
  if text:match("^[-+]?%d+$") or text:match("^0[xX]%x+$") then
    return tonumber((text:gsub("^%+", "")))
  end
  local octal = text:match("^0o([0-7]+)$")
  return octal and tonumber(octal, 8) or nil
end

function M.number(node)
  local int = M.int(node)
  if int or node.kind ~= "scalar" or not node.plain then
    return int
  end
  return node.text:match("^[-+]?[%d.]+[eE]?[-+]?%d*$") and tonumber((node.text:gsub("^%+", ""))) or nil
end

-- Positions dropped. Nested aliases could make this huge: `budget` nodes at most, then error() is raised.
local function plain(node, left)
  left[1] = left[1] - 1
  if left[1] < 0 then
    error("too many nodes", 0)
  end
  if node.kind == "scalar" then
    if M.is_null(node) then
      return nil
    end
    local bool = M.bool(node)
    if bool ~= nil then
      return bool
    end
    return M.number(node) or node.text
  end
  local out = {}
  for i, item in ipairs(node) do
    if node.kind == "seq" then
      out[i] = plain(item, left)
    elseif item.key.kind == "scalar" and out[item.key.text] == nil then
      out[item.key.text] = plain(item.value, left)
    end
  end
  return out
end

-- nil (and a message) when the node stands for more than 200,000 nodes.
function M.plain(node)
  local ok, value = pcall(plain, node, { 200000 })
  if ok then
    return value
  end
  return nil, value
end

return M
