-- SPDX-License-Identifier: Apache-2.0
-- Commands that make something of conditions: a rule, a capture, a comparison, a bill.
local core = require("core")
local diag = require("diag")
local files = require("files")
local find = require("repl.find")
local json = require("json")
local rules = require("rules")
local run = require("run")
local scan = require("scan")
local show = require("repl.show")
local spark = require("repl.spark")
local syntax = require("repl.syntax")
local tables = require("repl.table")

-- The condition at hand, or nil after saying that there is none.
local function at_hand(session)
  local made = session.last and session.last.made
  if not made then session.out:error("there is no condition at hand; type one first") end
  return made
end

-- ------------------------------------------------------------------ :save

-- What an alert of it should say: who, and what the condition asks for.
local function output_of(made, name)
  local parts, seen = {}, {}
  local function add(field)
    if seen[field] or field:find("^evt%.num") or field:find("[\"%[]") and #field > 80 then return end
    seen[field] = true
    parts[#parts + 1] = ("%s=%%%s"):format((field:gsub("[^%w]+", "_"):gsub("_$", "")), field)
  end
  for _, field in ipairs{ "user.name", "proc.name", "proc.cmdline", "proc.pname", "container.id" } do add(field) end
  for _, field in ipairs(made.fields) do add(field) end
  return ("%s (%s)"):format((name:gsub("%%", "")), table.concat(parts, " "))      -- a "%" would begin a field
end

local function quoted(text)
  return json.encode and json.encode(text) or '"' .. text:gsub('[\\"]', "\\%0"):gsub("%c", " ") .. '"'
end

local function rule_text(made, name)
  local condition = made.text:gsub("%s*\n%s*", " "):gsub("^%s+", ""):gsub("%s+$", "")
  return table.concat{
    "- rule: ", quoted(name), "\n",
    "  desc: ", quoted("Made in falco repl: say here why this matters and to whom."), "\n",
    "  condition: >-\n    ", condition, "\n",
    "  output: ", quoted(output_of(made, name)), "\n",
    "  priority: NOTICE\n",
  }
end

-- The rules files with `text` in the place of `path`.
local function files_with(session, path, text)
  local list, is_there = {}, false
  for _, file in ipairs(run.read_files(session.rule_paths or {})) do
    if file.name == path then file, is_there = { name = path, text = text }, true end
    list[#list + 1] = file
  end
  if not is_there then list[#list + 1] = { name = path, text = text } end
  return list
end

-- Does the file load with its new rule? Says what is wrong.
local function is_good(session, path, text)
  local diags = diag.new()
  local ruleset = core.ffi.gc(core.C.ruleset_new(), core.C.ruleset_free)
  local result = rules.load{ files = files_with(session, path, text), ruleset = ruleset, diag = diags }
  if result.ok then return true end
  session.out.errors = session.out.errors + diags.errors
  session.out:say(diags:render{ color = session.out.has_colour, level = "error" })
  return false
end

local function has_rule(old, name)
  local diags = diag.new()
  local ruleset = core.ffi.gc(core.C.ruleset_new(), core.C.ruleset_free)
  local result = rules.load{ files = { { name = "file", text = old } }, ruleset = ruleset, diag = diags }
  for _, rule in ipairs(result.rules) do
    if rule.name == name then return true end
  end
  return false
end

local function append(path, text)
  local f, message = io.open(path, "ab")
  if not f then return message end
  local ok, why = f:write(text)
  local closed, why_not = f:close()
  return not (ok and closed) and (why or why_not) or nil
end

local function save(session, text)
  local made = at_hand(session)
  if not made then return end
  local name, path = text:match("^[\"'](.-)[\"']%s+(%S+)$")
  if not name then name, path = text:match("^(.-)%s+(%S+)$") end
  if not name or name == "" then return session.out:error(":save wants the name of the rule and a file") end
  if not name:find("^[^%c]+$") then return session.out:error("the name of a rule has no control characters") end
  local kind = files.kind(path)
  local old, why = "", nil
  if kind ~= "missing" then old, why = files.read(path) end
  if not old then return session.out:error(("%s: %s"):format(path, why)) end
  if old ~= "" and has_rule(old, name) then
    return session.out:error(("%s has a rule '%s' already"):format(path, show.value(name)))
  end
  local added = (old ~= "" and (old:sub(-1) == "\n" and "\n" or "\n\n") or "") .. rule_text(made, name)
  if not is_good(session, path, old .. added) then return end
  local message = append(path, added)
  if message then return session.out:error(message) end
  session.out:note(("rule '%s' is at the end of %s; :load it to use it here"):format(show.value(name), show.value(path)))
end

-- ------------------------------------------------------------------ :diff

-- "A | B", "'A' 'B'", or one, beside which the condition at hand is put.
local function two_sides(session, text)
  for _, token in ipairs(syntax.tokens(text)) do
    if token.text == "|" then return text:sub(1, token.from - 1), text:sub(token.stop) end
  end
  local a, b = text:match("^\"([^\"]+)\"%s+\"([^\"]+)\"$")
  if not a then a, b = text:match("^'([^']+)'%s+'([^']+)'$") end
  if a then return a, b end
  local made = session.last and session.last.made
  return made and made.text, text
end

local function side(session, text)
  text = text:gsub("^%s+", ""):gsub("%s+$", "")
  local rule = session:rule(text)
  if rule then return session.conditions:of_rule(session.rules, rule), rule.name end
  return session:compile(text), text
end

local function diff(session, text)
  if not session:has_capture() then return end
  local a, b = two_sides(session, text)
  if not a then return session.out:error(":diff wants two conditions with a | between them, or one when there is one at hand") end
  local first, name_a = side(session, a)
  local second, name_b = side(session, b)
  if not first or not second then return end
  local in_a, in_b = find.hits(session, first), nil
  if in_a then in_b = find.hits(session, second) end
  if not in_b then return end
  local only_a, only_b = in_a:minus(in_b), in_b:minus(in_a)
  local out = session.out
  local function one(mark, hits, name)
    out:line(("%s %s: only %s"):format(out:paint(mark == "<" and "yellow" or "cyan", mark), spark.things(hits.count, "event"),
      show.value(name)))
  end
  local page = session.page or 20
  local nums, mark = {}, {}
  for _, pair in ipairs{ { "<", only_a }, { ">", only_b } } do
    for _, num in ipairs(pair[2]:list(page)) do nums[#nums + 1], mark[num] = num, pair[1] end
  end
  table.sort(nums)
  local columns = find.columns_for(session, { fields = first.fields or second.fields or {} })
  local rows, heads = session.scan:read(nums, columns), { "" }
  for _, name in ipairs(columns) do heads[#heads + 1] = name end
  for _, row in ipairs(rows or {}) do table.insert(row, 1, mark[row.num]) end
  if rows and #rows > 0 then out:write(find.table_text(session, heads, rows)) end
  one("<", only_a, name_a)
  one(">", only_b, name_b)
  out:line(("= %s: both"):format(spark.things(in_a.count - only_a.count, "event")))
end

-- ------------------------------------------------------------------ :cost

local SAMPLE = 8          -- of so many events one is timed

-- ns that asking the clock takes.
local function clock_cost()
  local C, least = core.C, math.huge
  for _ = 1, 1000 do
    local began = C.sys_now_ns()
    least = math.min(least, tonumber(C.sys_now_ns() - began))
  end
  return least
end

-- Rules by event type: those whose condition can hold for it.
local function by_type(list)
  local known = {}
  return function(head)
    local key = head.code * 1024 + head.sc
    if not known[key] then
      local those = {}
      for _, row in ipairs(list) do
        if scan.fits(row.made.events, head) then those[#those + 1] = row end
      end
      known[key] = those
    end
    return known[key]
  end
end

-- Asks each rule of the list about every event of its types; fills in .evaluated .matched .timed .ns
local function measure(session, list, opts)
  local C, of, n, least = core.C, by_type(list), 0, clock_cost()
  opts.ruleset = session.ruleset
  return session.scan:visit(nil, function(evt, head)
    n = n + 1
    local is_timed = n % SAMPLE == 0
    for _, row in ipairs(of(head)) do
      local began = is_timed and C.sys_now_ns()
      row.matched = row.matched + row.made.match(evt)
      if is_timed then
        row.ns, row.timed = row.ns + math.max(0, tonumber(C.sys_now_ns() - began) - least), row.timed + 1
      end
      row.evaluated = row.evaluated + 1
    end
  end, opts)
end

local function chosen_rules(session, text)
  local list = {}
  for _, rule in ipairs(session.rules.rules) do
    if rule.enabled and (text == "" or rule.name:lower():find(text:lower(), 1, true)) then
      list[#list + 1] = { name = rule.name, made = session.conditions:of_rule(session.rules, rule),
        evaluated = 0, matched = 0, timed = 0, ns = 0 }
    end
  end
  return list
end

local function cost_rows(list)
  local cells, total = {}, 0
  for _, row in ipairs(list) do
    row.each = row.ns / math.max(row.timed, 1)
    row.all = row.each * row.evaluated
    total = total + row.all
  end
  table.sort(list, function(a, b) return a.all > b.all or a.all == b.all and a.name < b.name end)
  for i, row in ipairs(list) do
    cells[i] = { spark.count(row.evaluated), row.timed > 0 and ("%.0f"):format(row.each) or "", spark.duration(row.all),
      ("%.1f %%"):format(row.all / math.max(total, 1e-9) * 100), spark.count(row.matched), show.value(row.name) }
  end
  return cells
end

-- What each rule costs if it is asked about every event of its types: the gate, which asks few, is not in it.
local function cost(session, text)
  if not session:has_capture() then return end
  if not session.rules then return session.out:error("no rules are loaded; start with -r FILE, or  :load FILE") end
  local list = chosen_rules(session, text)
  if #list == 0 then return session.out:error(("no enabled rule has '%s' in its name"):format(show.value(text))) end
  local opts, out = session:pass("measuring"), session.out
  local ok, message = measure(session, list, opts)
  session:passed(opts, message)
  if not ok then return end
  out:text(tables.render{ heads = { "evaluations", "ns", "time", "share", "matches", "rule" }, rows = cost_rows(list),
    right = { true, true, true, true, true }, width = out.width, paint = out:painter() }
    .. out:paint("dim", "each rule on its own, over all events of its types; the gate asks far fewer"))
end

-- ------------------------------------------------------------------ :write

local function replay_config(session, path)
  local engine = setmetatable({ kind = "replay", replay = { capture_file = path } }, { __index = session.config.engine })
  return setmetatable({ engine = engine }, { __index = session.config })
end

-- Copies the matching events of one capture. Returns events written, or nil and a message.
local function write_one(session, made, from, to)
  local C, err = core.C, core.err()
  local eng, message = run.open_engine(replay_config(session, from), { path = to, flags = 0 })
  if not eng then return nil, message end
  C.engine_use(eng, made.ruleset)
  C.interrupts_stop(eng)
  local evt = C.engine_evt(eng)
  local head = C.evt_head(evt)
  local result
  repeat
    result = C.engine_next(eng)
    if result == C.NEXT_EVENT and scan.fits(made.events, head) and made.match(evt) > 0 then C.engine_choose(eng) end
  until result ~= C.NEXT_EVENT
  C.interrupts_stop(nil)
  local chosen, others = core.ffi.new("uint64_t[1]"), core.ffi.new("uint64_t[1]")
  C.engine_recorded(eng, chosen, others)
  message = result < 0 and core.cstr(C.engine_error(eng)) or nil
  if C.engine_record_end(eng, err) < 0 then message = message or core.message(err) end
  C.engine_use(eng, nil)
  C.engine_free(eng)
  if message then return nil, message end
  return tonumber(chosen[0])
end

local function write(session, path)
  if not session:has_capture() then return end
  local made = at_hand(session)
  if not made then return end
  core.C.interrupts_seen(true)
  for i, from in ipairs(session.paths) do
    local to = #session.paths == 1 and path or ("%s.%d"):format(path, i)
    if files.kind(to) ~= "missing" then
      return session.out:error(("%s is there already; remove it first, or choose another name"):format(to))
    end
    local n, message = write_one(session, made, from, to)
    if not n then
      return session.out:error(message .. (files.kind(to) == "missing" and "" or ("; %s ends there"):format(show.value(to))))
    end
    session.out:note(("%s: %s, and what the tables need"):format(show.value(to), spark.things(n, "event")))
    if core.C.interrupts_seen(true) then return session.out:note("stopped; the rest is not in it") end
  end
end

return {
  { name = "save", args = "NAME FILE", wants = "save",
    help = "append the condition at hand to a rules file, as a rule with an output",
    fn = save },
  { name = "diff", args = "A | B", wants = "diff",
    help = "events that one of two conditions or rules matches, and the other does not",
    more = "A and B may also stand in quotes; one alone is compared with the condition at hand.", fn = diff },
  { name = "cost", args = "[TEXT]", wants = "rule",
    help = "evaluations and ns of each rule, or of those with TEXT in their names",
    fn = cost },
  { name = "write", args = "FILE", wants = "file",
    help = "write the matching events of the condition at hand to a new capture",
    more = "Of several captures each has a file of its own: FILE.1, FILE.2 and so on.", fn = write },
}
