-- SPDX-License-Identifier: Apache-2.0
-- Commands that count values: what is in the captures.
local find = require("repl.find")
local show = require("repl.show")
local spark = require("repl.spark")
local spell = require("rules.spell")
local tables = require("repl.table")

local SHOWN, BINS = 20, 40

-- "FIELD [CONDITION]" -> field, hits (nil: all events), ok; ok is false after a mistake was shown.
local function prepared(session, text)
  if not session:has_capture() then return nil, nil, false end
  local field, condition = text:match("^(%S+)%s*(.*)$")
  field = field:gsub("^%%", "")
  if condition == "" then return field, nil, true end
  local made = session:compile(condition)
  local hits = made and find.hits(session, made)
  return field, hits, hits ~= nil
end

local function cell(value)
  return value and show.value(value) or "<NA>"
end

-- Rows of scan:top(), or nil after saying why not.
local function counted(session, field, hits)
  local opts = session:pass("counting")
  local rows, message = session.scan:top({ field }, hits, opts)
  session:passed(opts, message)
  return rows
end

local function tail(session, rows)
  local text = ("%s of %s"):format(spark.things(rows.distinct, "different value"), spark.things(rows.events, "event"))
  if rows.left_out > 0 then
    text = ("%s; %s with still others not counted"):format(text, spark.things(rows.left_out, "event"))
  end
  return session.out:paint("dim", text)
end

local function top(session, text)
  local field, hits, ok = prepared(session, text)
  local rows = ok and counted(session, field, hits)
  if not rows then return end
  local cells, out = {}, session.out
  for i = 1, math.min(session.page or SHOWN, #rows) do
    local row = rows[i]
    cells[i] = { spark.count(row.count), ("%.1f %%"):format(row.count / rows.events * 100), spark.bar(row.count,
      rows[1].count, 20),
      cell(row[1]) }
  end
  out:text(tables.render{ heads = { "events", "share", "", field }, rows = cells, right = { true, true }, width = out.width,
    paint = out:painter{ [3] = "cyan" } } .. tail(session, rows))
end

local function uniq(session, text)
  local field, hits, ok = prepared(session, text)
  local rows = ok and counted(session, field, hits)
  if not rows then return end
  table.sort(rows, function(a, b) return (a[1] or "") < (b[1] or "") end)
  local cells, out = {}, session.out
  for i, row in ipairs(rows) do cells[i] = { spark.count(row.count), cell(row[1]) } end
  out:text(tables.render{ heads = { "events", field }, rows = cells, right = { true }, width = out.width,
    paint = out:painter() } .. tail(session, rows))
end

-- ------------------------------------------------------------------ :hist

-- Borders between large numbers stay apart: no 1.39e+04 twice.
local function number_text(n)
  return (n == math.floor(n) or math.abs(n) >= 100) and spark.count(n) or ("%.3g"):format(n)
end

local function hist_numbers(session, field, numbers)
  local rows, most, out = {}, 1, session.out
  for _, bin in ipairs(numbers.bins) do most = math.max(most, bin.count) end
  for i, bin in ipairs(numbers.bins) do
    rows[i] = { number_text(bin.from), number_text(bin.to), spark.count(bin.count), spark.bar(bin.count, most, BINS) }
  end
  out:text(tables.render{ heads = { field .. " from", "to", "events", "" }, rows = rows, right = { true, true, true },
    width = out.width, paint = out:painter{ [4] = "cyan" } }
    .. out:paint("dim", ("%s, %s missing; mean %s"):format(spark.things(numbers.count, "value"), spark.count(numbers.missing),
      number_text(numbers.sum / math.max(numbers.count, 1)))))
end

-- The values that most events have, over time.
local function hist_texts(session, field, hits)
  local rows = counted(session, field, hits)
  if not rows then return end
  local cells, out, opts = {}, session.out, session:pass("looking")
  for i = 1, math.min(SHOWN, #rows) do
    local value = rows[i][1]
    local text = value and ("%s = %s"):format(field, spell.quote(value)) or ("not %s exists"):format(field)
    local made = session:condition(text, require("diag").new())
    local found = made and session.scan:find(made, opts)
    local bars = found and spark.bars((hits and found:minus(found:minus(hits)) or found):timeline(BINS)) or ""
    cells[i] = { spark.count(rows[i].count), "|" .. bars .. "|", cell(value) }
    if opts.progress.stopped then break end
  end
  session:passed(opts)
  out:text(tables.render{ heads = { "events", "each " .. spark.duration((session.scan.seconds or 0) * 1e9 / BINS), field },
    rows = cells,
    right = { true }, width = out.width, paint = out:painter{ [2] = "cyan" } }
    .. tail(session, rows))
end

local function hist(session, text)
  local field, hits, ok = prepared(session, text)
  if not ok then return end
  local opts = session:pass("counting")
  local numbers, message = session.scan:numbers(field, hits, { bins = 16, progress = opts.progress })
  session:passed(opts, message)
  if not numbers then return end
  if numbers.count == 0 then return hist_texts(session, field, hits) end
  return hist_numbers(session, field, numbers)
end

return {
  { name = "top", args = "FIELD [CONDITION]", wants = "field", help = "the values that most events have", fn = top },
  { name = "uniq", args = "FIELD [CONDITION]", wants = "field", help = "all values, sorted", fn = uniq },
  { name = "hist", args = "FIELD [CONDITION]", wants = "field",
    help = "how numbers are spread; of texts the most frequent ones, over time", fn = hist },
}
