-- SPDX-License-Identifier: Apache-2.0
-- Captures that conditions are tried on again and again: what the REPL and `falco why` stand on.
--
--   local s, message = scan.open{ files = { "a.scap", "b.scap" }, config = config }      one after the other; evt.num goes on
--                                                           also bytes =: what may be remembered, instead of limits.scan_bytes
--   local cond = s:condition("proc.name = cat", diags)      nil: diags says why. A third argument, a result of rules.load(),
--                                                           lends its macros and lists
--   local hits, message = s:find(cond, opts)                every event it holds for
--   local rows = s:read(hits, { "evt.num", "proc.name" }, { limit = 20 })
--   s:close()
--
-- Events are named by their evt.num, a Lua number. Passes over the capture take
--   opts.progress   function(fraction from 0 to 1): called now and then; false ends the pass, whose result is then `cancelled`
--   opts.slice      events from one call of it to the next; else so many that somebody who waits is heard soon
-- and return nil and a message when the capture cannot be read on (.partial then has what was found before).
--
-- scan        .files, .events (numbered so far; all of them once .complete), .complete, .seconds (from first to last event)
--   s:facts() -> { events, bytes, image_bytes, threads, views, records, extras, complete, kept, why_not, tables_changed }
-- condition   .text, .tree and .events (rules/lower.lua), .ast (rules/grammar.lua), .ruleset, .stateful (it remembers something)
--   s:of_rule(result, rule) -> condition                    of a rule of rules.load()
-- hits        .count, .looked (events that rules can see), .ns (of the pass, per event), .seconds, .cancelled, .how: "first" (the
--             capture was read), "memory" (it was remembered), "replay" (what was remembered had to be replayed, or read again)
--   hits:has(num)    hits:list(n, after) -> { num, ... }, the first n behind number `after` (0)
--   hits:minus(other) -> hits                               in these, not in the others
--   hits:timeline(bins) -> { count, ... }                   by time, from the first event of the capture to the last
-- In all that follows `which` is hits, an array of numbers in order, or nil: every event that rules can see.
--   s:read(which, fields, opts) -> rows, nil or diagnostics rows: { { num =, [i] = text or false (missing) }, ... }; opts.limit
--   s:top(fields, which, opts) -> { { count =, [i] = text or false }, ... most first; events =, distinct =, left_out = }
--             opts.max: distinct values that are counted (100000); what others have is in left_out
--   s:numbers(field, which, opts) -> { min =, max =, sum =, count =, missing =, bins = { {from, to, count}, ... } }; opts.bins
--   s:visit(which, visit, opts) -> events visited           visit(evt, head, num), with tables and all; false ends it.
--             opts.ruleset: whose expressions visit() reads
--   s:near(cond, opts) -> { count =, by_leaf = { {leaf =, count =}, ... }, events = { {num =, leaf =}, ... } }
--             events of the condition's types that fail it by one comparison: it would hold if that one answered otherwise.
--             opts.limit: events listed (20)
--   s:why(cond, num) -> tree (why.lua), or nil and a message
-- The state when an event has happened:
--   local at, message = s:at(num, opts)    at.evt, at.head, at.num, at.engine; the next s:at() or at:close() ends it
--   at:fields() -> { {name =, value =}, ... }               all that are not missing; opts.ruleset as above
--   at:params() -> { {name =, value =}, ... }               at:value("proc.name") -> text, or nil: missing; nil, message
--   at:thread(tid) -> row or nil                            at:processes() -> rows, by pid; each has .children (pids)
--   at:ancestors(tid) -> rows, from the process itself up   at:fds(tid) -> { {fd =, type =, letter =, name =, raw =, ino =} }
--   rows: tid pid ptid parent vtid vpid sid pgid uid gid loginuid tty threads fds clone_ts exec_ts (ns, as numbers) is_main
--         is_dead is_known comm exe exepath cwd container args (array) env (array) cgroups (array) cmdline
local bit = require("bit")
local core = require("core")
local diag = require("diag")
local lower = require("rules.lower")
local moment = require("moment")
local query = require("rules.query")
local rules = require("rules")
local run = require("run")
local values = require("values")
local why = require("why")
local ffi = core.ffi

local M = {}

local Scan, Hits = {}, {}
Scan.__index, Hits.__index = Scan, Hits

local FIRST_SLICE, SLICE = 4096, 262144           -- events between two words of progress: at first, and at most
local MAX_DISTINCT = 100000
local MAX_TALLIED, MISSING = 16, 4294967295
local DEFAULT_BYTES = 1073741824

-- ------------------------------------------------------------------ sets of numbers
-- { words = uint32_t[?], n = words }

local function set_has(set, num)
  local w = bit.rshift(num, 5)
  return w < set.n and bit.band(set.words[w], bit.lshift(1, num % 32)) ~= 0
end

-- The first number of the set behind `num`, or nil.
local function set_next(set, num)
  num = num + 1
  local w, i = bit.rshift(num, 5), num % 32
  while w < set.n do
    local word = bit.rshift(set.words[w], i)
    if word ~= 0 then
      while bit.band(word, 1) == 0 do
        word, i = bit.rshift(word, 1), i + 1
      end
      return w * 32 + i
    end
    w, i = w + 1, 0
  end
  return nil
end

local function set_of(numbers)
  local most = 0
  for _, num in ipairs(numbers) do most = math.max(most, num) end
  local set = { n = bit.rshift(most, 5) + 1 }
  set.words = ffi.new("uint32_t[?]", set.n)
  for _, num in ipairs(numbers) do
    local w = bit.rshift(num, 5)
    set.words[w] = bit.bor(set.words[w], bit.lshift(1, num % 32))
  end
  return set
end

-- ------------------------------------------------------------------ passes

local facts

function Scan:facts()
  facts = facts or ffi.new("struct past_facts")
  core.C.past_facts(self.past, facts)
  local out = { complete = facts.complete, kept = facts.kept, tables_changed = facts.tables_changed,
                why_not = not facts.kept and core.cstr(facts.why_not) or nil }
  for _, key in ipairs{ "events", "bytes", "image_bytes", "threads", "views", "records", "extras" } do
    out[key] = tonumber(facts[key])
  end
  out.seconds = tonumber(facts.last_ts - facts.first_ts) / 1e9
  return out
end

local function look_again(s)
  local now = s:facts()
  s.events, s.complete, s.seconds = now.events, now.complete or nil, now.seconds
end

local WAYS = { "first", "memory", "replay" }

-- Asks a query (of rules/query.lua) about all events. visit(pass): called for each one found, if the query wants that; false ends
-- the pass. done(pass, count): called at the end, whatever it was. Returns true, or false (ended early), or nil, message.
local function run_pass(s, spec, opts, visit, done)
  local C, err = core.C, core.err()
  local asked, anchors = query.new(spec)
  local pass = C.past_pass_new(s.past, asked, err)
  if pass == nil then return nil, core.message(err) end
  local count, result, message = ffi.new("struct past_count"), nil, nil
  local progress, fixed, last = opts and opts.progress, opts and opts.slice, C.sys_now_ns()
  local slice = fixed or FIRST_SLICE
  local left = slice

  -- Events differ in what they cost: slices become such that somebody who waits is heard soon.
  local function ask()
    local now = C.sys_now_ns()
    local took = tonumber(now - last)
    slice = fixed or took > 1e8 and math.max(64, math.floor(slice / 4)) or took < 3e7 and math.min(SLICE, slice * 2) or slice
    left, last = slice, now
    if not progress then return end
    C.past_pass_count(pass, count)
    if progress(count.progress) == false then result = false end
  end

  local ok, trouble = pcall(function()
    while result == nil and not message do
      local r = C.past_pass_go(pass, slice, err)
      if r == C.NEXT_EVENT then
        if visit(pass) == false then result = false end
        left = left - 1
        if left == 0 then ask() end
      elseif r == C.NEXT_END then
        result = true
      elseif r < 0 then
        message = core.message(err)
      elseif r == C.NEXT_STOPPED then
        result = false
      else
        ask()
      end
    end
    C.past_pass_count(pass, count)
    if done then done(pass, count) end
  end)
  C.past_pass_free(pass)
  anchors[1] = nil                          -- they were needed until here
  if not ok then error(trouble, 0) end
  look_again(s)
  return result, message
end

-- ------------------------------------------------------------------ conditions

M.fits, M.value_text = why.wanted, values.text

function Scan:condition(text, diags, result)
  local rs = result and result.ruleset or ffi.gc(core.C.ruleset_new(), core.C.ruleset_free)
  local prog = rules.condition{ text = text, ruleset = rs, diag = diags, name = "condition", result = result }
  if not prog then return nil end
  return { text = text, tree = prog.tree, events = prog.events, ast = prog.ast, ruleset = rs, leaves = prog.leaves,
           match = prog.match, stateful = lower.stateful(prog.tree) }
end

function Scan:of_rule(result, rule) -- luacheck: ignore self
  local diags = diag.new()
  local prog = rules.condition{ text = rule.condition, ruleset = result.ruleset, diag = diags, name = rule.name, result = result }
  if not prog then error("a rule that was loaded does not load: " .. diags:render{ level = "error" }) end
  return { text = rule.condition, rule = rule, tree = prog.tree, events = prog.events, ast = prog.ast, ruleset = result.ruleset,
           leaves = prog.leaves, match = prog.match, stateful = lower.stateful(prog.tree) }
end

-- ------------------------------------------------------------------ hits

local function new_hits(s, set, count)
  return setmetatable({ scan = s, set = set, count = count }, Hits)
end

function Hits:has(num)
  return set_has(self.set, num)
end

function Hits:list(n, after)
  local out, num = {}, after or 0
  while #out < n do
    num = set_next(self.set, num)
    if not num then break end
    out[#out + 1] = num
  end
  return out
end

local function ones(word)
  local n = 0
  while word ~= 0 do
    word, n = bit.band(word, word - 1), n + 1
  end
  return n
end

function Hits:minus(other)
  local set, count = { n = self.set.n, words = ffi.new("uint32_t[?]", self.set.n) }, 0
  for w = 0, set.n - 1 do
    local word = self.set.words[w]
    if w < other.set.n then word = bit.band(word, bit.bnot(other.set.words[w])) end
    set.words[w] = word
    count = count + ones(bit.tobit(word))
  end
  return new_hits(self.scan, set, count)
end

-- Where nothing is remembered the events are visited for their times.
local function timeline_by_visits(hits, counts, bins)
  local s = hits.scan
  local now = s:facts()
  local first, width = nil, now.seconds * 1e9 / bins + 1
  s:visit(hits, function(_, head)
    first = first or facts.first_ts + 0ULL
    local i = math.floor(tonumber(ffi.cast("int64_t", head.ts - first)) / width)
    i = math.min(math.max(i, 0), bins - 1)
    counts[i] = counts[i] + 1
  end)
end

function Hits:timeline(bins)
  local counts, out = ffi.new("uint64_t[?]", bins), {}
  if not core.C.past_times(self.scan.past, self.set.words, self.set.n, counts, bins) then
    timeline_by_visits(self, counts, bins)
  end
  for i = 1, bins do out[i] = tonumber(counts[i - 1]) end
  return out
end

-- The numbers that a pass found, copied.
local function found_by(pass)
  local n = ffi.new("uint32_t[1]")
  local words = core.C.past_pass_found(pass, n)
  local set = { n = n[0], words = ffi.new("uint32_t[?]", math.max(n[0], 1)) }
  if n[0] > 0 then ffi.copy(set.words, words, 4 * n[0]) end
  return set
end

function Scan:find(cond, opts)
  local start, hits = core.C.sys_now_ns(), nil
  local spec = { ruleset = cond.ruleset, tree = cond.tree, events = cond.events, remembers = cond.stateful }
  local ok, message = run_pass(self, spec, opts, nil, function(pass, count)
    hits = new_hits(self, found_by(pass), tonumber(count.found))
    hits.looked, hits.late, hits.how = tonumber(count.looked), tonumber(count.late), WAYS[count.way + 1]
  end)
  if not hits then return nil, message end
  hits.seconds = tonumber(core.C.sys_now_ns() - start) / 1e9
  hits.ns = hits.seconds * 1e9 / math.max(hits.looked, 1)
  hits.cancelled = ok == false or nil
  if ok == nil then
    self.partial = hits
    return nil, message
  end
  return hits
end

-- ------------------------------------------------------------------ visiting

-- visit(evt, head, num). spec: more of the query.
local function visit_events(s, which, opts, spec, visit)
  local C, n = core.C, 0
  if which and (which.set and which.count or #which) == 0 then return 0 end
  spec.only, spec.visit = which and (which.set or set_of(which)), true
  local ok, message = run_pass(s, spec, opts, function(pass)
    local evt = C.past_pass_evt(pass)
    local head = C.evt_head(evt)
    n = n + 1
    return visit(evt, head, tonumber(head.num), pass)
  end)
  if ok == nil then return nil, message end
  return n, ok == false
end

function Scan:visit(which, visit, opts)
  return visit_events(self, which, opts, { ruleset = opts and opts.ruleset, tables = true }, visit)
end

-- Calls see(values, num) with the values of the fields. Returns events visited; nil, message or diagnostics.
local function each_values(s, which, fields, opts, see)
  local rs = ffi.gc(core.C.ruleset_new(), core.C.ruleset_free)
  local output, diags = values.output(rs, fields)
  if not output then return nil, diags end
  return visit_events(s, which, opts, { ruleset = rs, output = output }, function(evt, _, num)
    return see(core.C.alert_fill(evt, output).values, num)
  end)
end

function Scan:read(which, fields, opts)
  local rows, limit = {}, opts and opts.limit or math.huge
  local n, message = each_values(self, which, fields, opts, function(found, num)
    local row = { num = num }
    for i = 1, #fields do row[i] = values.text(found[i - 1]) end
    rows[#rows + 1] = row
    return #rows < limit
  end)
  if not n then return nil, message end
  return rows
end

-- The values of a row of a tally.
local function row_values(text, n)
  local out, at = {}, 1
  for i = 1, n do
    local a, b, c, d = text:byte(at, at + 3)
    local len = a + b * 256 + c * 65536 + d * 16777216
    at = at + 4
    if len == MISSING then
      out[i] = false
    else
      out[i], at = text:sub(at, at + len - 1), at + len
    end
  end
  return out
end

-- What a tally has counted: rows as of top(), in the order in which they were met.
local function tally_rows(tally, n)
  local C, rows = core.C, {}
  local text, left_out = ffi.new("struct str"), ffi.new("uint64_t[1]")
  for i = 1, C.past_tally_rows(tally, left_out) do
    local count = tonumber(C.past_tally_row(tally, i - 1, text))
    rows[i] = row_values(ffi.string(text.p, text.len), n)
    rows[i].count, rows[i].order = count, i
  end
  rows.distinct, rows.left_out = #rows, tonumber(left_out[0])
  return rows
end

-- Counts the values of fields. Returns rows, or nil and a message or diagnostics.
local function tally(s, which, fields, opts, max)
  local C = core.C
  if #fields > MAX_TALLIED then return nil, ("more than %d fields cannot be counted together"):format(MAX_TALLIED) end
  local rs = ffi.gc(C.ruleset_new(), C.ruleset_free)
  local output, diags = values.output(rs, fields)
  if not output then return nil, diags end
  local counter, rows = ffi.gc(C.past_tally_new(max), C.past_tally_free), { events = 0, distinct = 0, left_out = 0 }
  if counter == nil then return nil, "out of memory" end
  if which and (which.set and which.count or #which) == 0 then return rows end
  local spec = { ruleset = rs, output = output, tally = counter, only = which and (which.set or set_of(which)) }
  local ok, message = run_pass(s, spec, opts, nil, function(_, count)
    rows = tally_rows(counter, #fields)
    rows.events = tonumber(count.found)
  end)
  if ok == nil then return nil, message end
  rows.cancelled = ok == false or nil
  return rows
end

function Scan:top(fields, which, opts)
  local rows, message = tally(self, which, fields, opts, opts and opts.max or MAX_DISTINCT)
  if not rows then return nil, message end
  table.sort(rows, function(a, b) return a.count > b.count or a.count == b.count and a.order < b.order end)
  return rows
end

local function bins_of(list, min, max, bins)
  local out, width = {}, (max - min) / bins
  for i = 1, bins do out[i] = { from = min + (i - 1) * width, to = min + i * width, count = 0 } end
  for value, count in pairs(list) do
    local i = width > 0 and math.min(math.floor((value - min) / width), bins - 1) + 1 or 1
    out[i].count = out[i].count + count
  end
  return out
end

function Scan:numbers(field, which, opts)
  local rows, message = tally(self, which, { field }, opts, MAX_DISTINCT)
  if not rows then return nil, message end
  local out, seen = { sum = 0, count = 0, missing = 0, left_out = rows.left_out, cancelled = rows.cancelled }, {}
  for _, row in ipairs(rows) do
    local value = tonumber(row[1] or nil)
    if not value then
      out.missing = out.missing + row.count
    else
      out.count, out.sum = out.count + row.count, out.sum + value * row.count
      out.min, out.max = math.min(out.min or value, value), math.max(out.max or value, value)
      seen[value] = (seen[value] or 0) + row.count
    end
  end
  out.bins = out.count > 0 and bins_of(seen, out.min, out.max, opts and opts.bins or 10) or {}
  return out
end

-- ------------------------------------------------------------------ why, near

local function leaves_of(tree, out)
  if tree.kind == "leaf" then
    out[#out + 1] = tree.id
  else
    for _, child in ipairs(tree) do leaves_of(child, out) end
  end
  return out
end

-- A condition that remembers something has to have been asked about all events before.
local function why_remembering(s, cond, num)
  local tree
  local spec = { ruleset = cond.ruleset, tables = true }
  local n, message = visit_events(s, nil, nil, spec, function(evt, head, at)
    if at == num then
      tree = why.explain(cond, evt, head)
    elseif why.wanted(cond.events, head) then
      cond.match(evt)
    end
    return at < num
  end)
  return tree, n and message
end

function Scan:why(cond, num)
  local tree, message
  if cond.stateful then
    tree, message = why_remembering(self, cond, num)
  else
    local n
    n, message = visit_events(self, { num }, nil, { ruleset = cond.ruleset, leaves = leaves_of(cond.tree, {}) },
      function(evt, head)
        tree = why.explain(cond, evt, head)
        return false
      end)
    message = not n and message or nil
  end
  if not tree then return nil, message or ("there is no event %d that rules can see"):format(num) end
  return tree
end

function Scan:near(cond, opts)
  local out, by_leaf = { count = 0, events = {}, by_leaf = {} }, {}
  local limit = opts and opts.limit or 20
  local spec = { ruleset = cond.ruleset, events = cond.events, leaves = leaves_of(cond.tree, {}), remembers = cond.stateful }
  local n, stopped = visit_events(self, nil, opts, spec, function(evt, _, num)
    local leaf = why.near(cond.tree, evt)
    if leaf then
      out.count = out.count + 1
      if not by_leaf[leaf] then
        by_leaf[leaf] = { leaf = leaf, text = why.leaf_text(leaf), count = 0 }
        out.by_leaf[#out.by_leaf + 1] = by_leaf[leaf]
      end
      by_leaf[leaf].count = by_leaf[leaf].count + 1
      if #out.events < limit then out.events[#out.events + 1] = { num = num, leaf = leaf, text = by_leaf[leaf].text } end
    end
  end)
  if not n then return nil, stopped end
  out.cancelled = stopped or nil
  table.sort(out.by_leaf, function(a, b) return a.count > b.count end)
  return out
end

-- ------------------------------------------------------------------ open

function M.open(opts)
  core.load()
  local s = setmetatable({ files = opts.files, events = 0 }, Scan)
  s.limits = opts.config and run.limits(opts.config) or ffi.new("struct engine_limits")
  local bytes = opts.bytes or opts.config and opts.config.limits.scan_bytes or DEFAULT_BYTES
  local paths, err = ffi.new("const char *[?]", #s.files), core.err()
  for i, path in ipairs(s.files) do paths[i - 1] = path end
  local past = core.C.past_new(paths, #s.files, s.limits, bytes, err)
  if past == nil then return nil, core.message(err) end
  s.past = ffi.gc(past, core.C.past_free)
  -- what cannot be opened is told now, not by the first condition
  if core.C.past_begin(past, err) < 0 then
    s:close()
    return nil, core.message(err)
  end
  return s
end

-- See moment.lua.
function Scan:at(num, opts)
  return moment.at(self, num, opts)
end

function Scan:close()
  if self.cursor then self.cursor:close() end
  if self.past then core.C.past_free(ffi.gc(self.past, nil)) end
  self.past = nil
end

-- What makes conditions, capture or not.
M.conditions = { condition = Scan.condition, of_rule = Scan.of_rule }

return M
