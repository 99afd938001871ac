-- SPDX-License-Identifier: Apache-2.0
-- A condition over the captures: how many events match, the first of them as a table, when. An empty line goes on.
local core = require("core")
local show = require("repl.show")
local spark = require("repl.spark")
local tables = require("repl.table")

local M = {}

local ALWAYS = { "evt.num", "evt.time", "proc.name", "evt.type" }
local ROWS_IN_PIPE = 100
local BINS = 60
local PAINTS = { ["evt.num"] = "dim", ["evt.time"] = "dim", ["proc.name"] = "green", ["evt.type"] = "bold" }

-- Columns of a condition: where and who, and what it asks for; if that is all, what the event says of itself.
function M.columns_for(session, made)
  if session.chosen then return session.chosen end
  local list, seen, more = {}, {}, false
  for _, name in ipairs(ALWAYS) do
    list[#list + 1], seen[name] = name, true
  end
  for _, name in ipairs(made.fields) do
    if not seen[name] then
      list[#list + 1], seen[name], more = name, true, true
    end
  end
  if not more then list[#list + 1] = "evt.args" end
  return list
end

local function page_size(session)
  local out = session.out
  out:measure()
  if session.page then return session.page end
  return out.is_interactive and math.max(5, math.min(out.rows - 6, 40)) or ROWS_IN_PIPE
end

-- ------------------------------------------------------------------ tables of events

-- Numbers stand at the right.
local function is_number(name)
  local C = core.C
  local base = name:match("^[%w_.]+") or name
  local id = C.field_find(base, #base)
  if id < 0 or base:find("time") then return false end
  local info = C.field_info(id)
  return core.cstr(C.type_name(info.type)):find("INT") ~= nil
end

-- rows: of scan:read(); heads: the fields they have.
function M.table_text(session, heads, rows)
  local out, cells, right = session.out, {}, {}
  for i, name in ipairs(heads) do right[i] = is_number(name) end
  for k, row in ipairs(rows) do
    cells[k] = {}
    for i = 1, #heads do cells[k][i] = row[i] and show.value(row[i]) or "<NA>" end
  end
  local function paint(i, text)
    local name = i == 0 and "bold" or text == "<NA>" and "dim" or PAINTS[heads[i]]
    return name and out:paint(name, text) or text
  end
  return tables.render{ heads = heads, rows = cells, right = right, width = out.width, paint = paint }
end

-- ------------------------------------------------------------------ a condition

-- "1 of 7 events matches"
function M.of(count, looked)
  return ("%s of %s %s"):format(spark.count(count), spark.things(looked, "event"), count == 1 and "matches" or "match")
end

local function summary(session, hits)
  local share = hits.looked > 0 and ("%.3g %%"):format(hits.count / hits.looked * 100) or "0 %"
  local head = ("%s (%s)"):format(M.of(hits.count, hits.looked), share)
  local per = hits.ns
  return ("%s  %s: %.0f ns/event, %.2f M events/s"):format(session.out:paint("bold", head),
    spark.duration(hits.seconds * 1e9), per, 1e3 / math.max(per, 1e-3))
end

local function when(session, hits)
  if hits.count == 0 then return end
  local bins = math.max(10, math.min((session.out.width or 80) - 20, BINS))
  local seconds = session.scan.seconds or 0
  session.out:line(("%s  each %s"):format(session.out:paint("cyan", "|" .. spark.bars(hits:timeline(bins)) .. "|"),
    spark.duration(seconds * 1e9 / bins)))
end

-- The next rows of what is at hand.
local function show_page(session, at)
  local nums = at.hits:list(at.page, at.after)
  if #nums == 0 then return end
  local opts = session:pass("reading")
  local rows, message = session.scan:read(nums, at.columns, { limit = at.page, progress = opts.progress })
  session:passed(opts, message)
  if not rows then return end
  at.shown, at.after = at.shown + #rows, nums[#rows] or at.after
  session.out:write(M.table_text(session, at.columns, rows))
end

local function say_left(session, at)
  local left = at.hits.count - at.shown
  if left <= 0 then return end
  session.out:note(("%s more%s"):format(spark.count(left), session.out.is_interactive and "; Enter shows them"
    or " are not shown; :rows N shows more"))
end

-- Hits of a condition, or nil after saying why not. What was found before Ctrl-C, or before the capture broke, counts.
function M.hits(session, made)
  if not session:has_capture() then return nil end
  local opts = session:pass("scanning")
  local hits, message = session.scan:find(made, opts)
  session:passed(opts, message)
  return hits or session.scan.partial
end

-- Shows hits as a table; they become what is at hand. made: their condition, or nil.
function M.show(session, hits, made, columns)
  local at = { hits = hits, made = made, columns = columns, shown = 0, after = 0, page = page_size(session) }
  session.last = at
  show_page(session, at)
  session.out:line(summary(session, hits))
  when(session, hits)
  say_left(session, at)
end

-- made: of session:compile(). It becomes the condition at hand.
function M.run(session, made)
  local hits = M.hits(session, made)
  if hits then M.show(session, hits, made, M.columns_for(session, made)) end
end

function M.more(session)
  local at = session.last
  if not at or at.shown >= at.hits.count then return end
  show_page(session, at)
  say_left(session, at)
end

return M
