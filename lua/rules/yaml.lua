-- SPDX-License-Identifier: Apache-2.0
-- YAML text -> nodes that know their place. Generic: rule files and falco.yaml both come through here.
--
--   yaml.parse(text, file, diags, code) -> { root, root, ... } one per document, or nil: then `diags` got an error (of `code`,
--   default LOAD_ERR_YAML_PARSE). An empty document is a null scalar.
--
-- node: { kind = "map" | "seq" | "scalar", file, line, column (from 1, columns in characters), offset (bytes from 0), end_line,
--         end_column, end_offset (exclusive), tag (or nil) }
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
local core = require "core"
local ffi = core.ffi

local M = {}

local function node_of(e, kind, file)
  return {
    kind = kind, file = file, tag = e.tag.p ~= nil and core.str(e.tag) or nil,
    line = e.line, column = e.column, offset = e.offset,
    end_line = e.end_line, end_column = e.end_column, end_offset = e.end_offset,
  }
end

local function close(node, e)
  node.end_line, node.end_column, node.end_offset = e.end_line, e.end_column, e.end_offset
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

local function open(b, e, kind)
  local node = node_of(e, kind, b.file)
  node.open = true
  if kind == "map" then
    node.keys = {}
  end
  if e.anchor.p ~= nil then
    b.anchors[core.str(e.anchor)] = node
  end
  attach(b, node)
  b.stack[#b.stack + 1] = node
end

local function alias(b, e)
  local name = core.str(e.value)
  local place = node_of(e, "alias", b.file)
  local node = b.anchors[name]
  if not node then
    return b.fail(place, ("the alias '*%s' has no anchor '&%s' before it"):format(name, name))
  elseif node.open then
    return b.fail(place, ("the alias '*%s' lies inside its own anchor"):format(name))
  end
  attach(b, node)
end

-- One function per kind of event.
local function builders()
  local C = core.C
  return {
    [C.YAML_DOCUMENT_START] = function(b)
      b.anchors = {}
    end,
    [C.YAML_DOCUMENT_END] = function() end,
    [C.YAML_ALIAS] = alias,
    [C.YAML_SCALAR] = function(b, e)
      local node = node_of(e, "scalar", b.file)
      node.text, node.plain = core.str(e.value), e.plain
      if e.anchor.p ~= nil then
        b.anchors[core.str(e.anchor)] = node
      end
      attach(b, node)
    end,
    [C.YAML_SEQ_START] = function(b, e)
      open(b, e, "seq")
    end,
    [C.YAML_MAP_START] = function(b, e)
      open(b, e, "map")
    end,
    [C.YAML_SEQ_END] = function(b, e)
      close(table.remove(b.stack), e)
    end,
    [C.YAML_MAP_END] = function(b, e)
      close(table.remove(b.stack), e)
    end,
  }
end

local function build(doc, b)
  local on = builders()
  for i = 0, core.C.yaml_count(doc) - 1 do
    local e = core.C.yaml_event_at(doc, i)
    on[e.kind](b, e)
    if b.failed then
      return nil
    end
  end
  return b.docs
end

function M.parse(text, file, diags, code)
  local err, line, column = core.err(), ffi.new("uint32_t[1]"), ffi.new("uint32_t[1]")
  code = code or "LOAD_ERR_YAML_PARSE"
  diags:source(file, text)
  local doc = core.C.yaml_parse(text, #text, err, line, column)
  if doc == nil then
    diags:error(code, { file = file, line = line[0], column = column[0] }, "not valid YAML: " .. core.message(err))
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
