-- SPDX-License-Identifier: Apache-2.0
-- Text that knows where it came from. Conditions are pasted together from several YAML scalars (appends, exceptions,
-- items of lists), and still every message must point into the file.
--
--   local r = rope.new(texts)                  texts: file name -> text of the file
--   rope.add(r, " and not (", node)            text of our own; the node is where messages about it point
--   rope.add(r, node.text, node, 1)            text of a scalar, from its byte 1 on
--   rope.finish(r)                             now r.text is the whole, r.segs its origins
--   rope.place(r, 3, 8)                        bytes 3 to 7 as a place for diag: { file, offset, end_offset }
--   rope.copy(other, r, 3, 7)                  the same bytes, in another rope
--   rope.add_block(r, block, node, 1)          all of a finished rope, which many may share: lists are long and used often.
--                                              What it has from no node (rope.add without one) comes from this one here
local scalar = require "rules.scalar"

local M = {}

function M.new(texts)
  return { texts = texts, pieces = {}, segs = {}, len = 0 }
end

-- `at`: which byte of the node's text the piece begins with; nil for text that was not written there.
function M.add(rope, text, node, at)
  if text ~= "" then
    rope.segs[#rope.segs + 1] = { from = rope.len + 1, node = node, at = at }
    rope.pieces[#rope.pieces + 1] = text
    rope.len = rope.len + #text
  end
end

function M.add_block(rope, block, node, at)
  if block.text ~= "" then
    rope.segs[#rope.segs + 1] = { from = rope.len + 1, node = node, at = at, block = block }
    rope.pieces[#rope.pieces + 1] = block.text
    rope.len = rope.len + #block.text
  end
end

function M.finish(rope)
  rope.text = table.concat(rope.pieces)
  rope.pieces = nil
  return rope
end

-- The whole text of one scalar.
function M.of(node, texts)
  local rope = M.new(texts)
  M.add(rope, node.text, node, 1)
  return M.finish(rope)
end

local function seg_of(rope, i)
  local segs, low = rope.segs, 1
  local high = #segs
  while low < high do
    local mid = math.floor((low + high + 1) / 2)
    if segs[mid].from <= i then
      low = mid
    else
      high = mid - 1
    end
  end
  return segs[low], low
end

-- Where byte i of a segment comes from: the scalar, and which byte of it (nil: no particular one).
local function origin_in(seg, i)
  if seg.block then
    local inside = i - seg.from + 1
    local inner = seg_of(seg.block, inside)
    if inner.node then
      return inner.node, inner.at and inner.at + inside - inner.from
    end
    return seg.node, seg.at and seg.at + inside - inner.from
  end
  return seg.node, seg.at and seg.at + i - seg.from
end

-- The same for byte i of a rope.
function M.origin(rope, i)
  return origin_in(seg_of(rope, i), i)
end

-- Adds bytes `from` .. `to` of a rope, which lie in a segment that is a block.
local function copy_block(rope, source, seg, from, to)
  local block = seg.block
  if from == seg.from and to == seg.from + #block.text - 1 then
    return M.add_block(rope, block, seg.node, seg.at)
  end
  local _, k = seg_of(block, from - seg.from + 1)
  while from <= to do
    local next_inner = block.segs[k + 1]
    local last = math.min(to, next_inner and next_inner.from + seg.from - 2 or to)
    local node, at = origin_in(seg, from)
    M.add(rope, source.text:sub(from, last), node, at)
    from, k = last + 1, k + 1
  end
end

-- Adds bytes `from` .. `to` of another, finished rope.
function M.copy(rope, source, from, to)
  if from > to then
    return
  end
  local seg, k = seg_of(source, from)
  while from <= to do
    local next_seg = source.segs[k + 1]
    local last = math.min(to, next_seg and next_seg.from - 1 or to)
    if seg.block then
      copy_block(rope, source, seg, from, last)
    else
      M.add(rope, source.text:sub(from, last), seg.node, seg.at and seg.at + from - seg.from)
    end
    from, seg, k = last + 1, next_seg, k + 1
  end
end

local function offset(rope, node, at)
  return scalar.offset(node, rope.texts[node.file], at)
end

function M.place(rope, from, stop)
  if #rope.segs == 0 then
    return nil
  end
  local node, at = M.origin(rope, from)
  if not at then
    return { file = node.file, offset = node.offset, end_offset = node.end_offset }
  end
  local place = { file = node.file, offset = offset(rope, node, at) }
  local last_node, last_at
  if stop and stop > from then
    last_node, last_at = M.origin(rope, stop - 1)
  end
  if last_at and last_node == node then
    place.end_offset = offset(rope, node, last_at) + 1
  else
    place.end_offset = place.offset + 1
  end
  return place
end

return M
