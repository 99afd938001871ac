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

-- Where byte i comes from: the scalar, and which byte of it (nil: no particular one).
function M.origin(rope, i)
  local seg = seg_of(rope, i)
  return seg.node, seg.at and seg.at + i - seg.from
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
    M.add(rope, source.text:sub(from, last), seg.node, seg.at and seg.at + from - seg.from)
    from, seg, k = last + 1, next_seg, k + 1
  end
end

local function offset(rope, seg, i)
  return scalar.offset(seg.node, rope.texts[seg.node.file], seg.at + i - seg.from)
end

function M.place(rope, from, stop)
  local seg = seg_of(rope, from)
  if not seg then
    return nil
  end
  local node = seg.node
  if not seg.at then
    return { file = node.file, offset = node.offset, end_offset = node.end_offset }
  end
  local place = { file = node.file, offset = offset(rope, seg, from) }
  local last = stop and stop > from and seg_of(rope, stop - 1)
  if last and last.at and last.node == node then
    place.end_offset = offset(rope, last, stop - 1) + 1
  else
    place.end_offset = place.offset + 1
  end
  return place
end

return M
