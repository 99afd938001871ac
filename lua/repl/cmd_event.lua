-- SPDX-License-Identifier: Apache-2.0
-- Commands about one event, and the state of the host when it had happened.
local find = require("repl.find")
local show = require("repl.show")
local spark = require("repl.spark")
local tables = require("repl.table")
local why = require("why")

local NEAR_SHOWN = 40
local MAX_FIELD = 400                 -- bytes of a value that :ev shows
local MAX_FDS = 200

-- A number of an event, or nil after saying that it is none.
local function event_number(session, text)
  local n = tonumber((text:gsub(",", "")))
  if n and n >= 1 and n == math.floor(n) and n < 2 ^ 53 then return n end
  session.out:error(("'%s' is no number of an event; the first column of a table has them"):format(show.value(text)))
  return nil
end

-- ------------------------------------------------------------------ :why, :near

-- The condition of a rule, or the one at hand ("" as name); nil after saying what is missing.
local function condition_of(session, name)
  if name == "" then
    local made = session.last and session.last.made
    if not made then session.out:error("there is no condition at hand; type one first, or name a rule") end
    return made
  end
  if not session.rules then
    session.out:error("no rules are loaded; start with -r FILE, or  :load FILE")
    return nil
  end
  local rule = session:rule_or_say(name)
  return rule and session.conditions:of_rule(session.rules, rule)
end

local function explain_event(session, text)
  if not session:has_capture() then return end
  local name, number = text:match("^(.-)%s*([%d,]+)$")
  if not number then
    return session.out:error((":why wants the number of an event%s"):format(text ~= "" and " at the end" or ""))
  end
  local num = event_number(session, number)
  local made = num and condition_of(session, name)
  if not made then return end
  local tree, message = session.scan:why(made, num)
  if not tree then return session.out:error(message) end
  session.num = num
  session.out:text(why.text(tree, { colour = session.out.has_colour }))
end

local function near(session, name)
  if not session:has_capture() then return end
  local made = condition_of(session, name)
  if not made then return end
  local out, opts = session.out, session:pass("looking")
  local found, message = session.scan:near(made, { limit = session.page or NEAR_SHOWN, progress = opts.progress })
  session:passed(opts, message)
  if not found then return end
  if found.count == 0 then return out:note("no event failed it by one comparison alone") end
  local nums, wanting = {}, {}
  for i, event in ipairs(found.events) do nums[i], wanting[event.num] = event.num, event.text end
  local columns = session.chosen and { unpack(session.chosen) } or { "evt.num", "evt.time", "proc.name", "evt.type" }
  local rows = session.scan:read(nums, columns)
  for _, row in ipairs(rows or {}) do row[#columns + 1] = wanting[row.num] end
  columns[#columns + 1] = "failed"
  out:write(find.table_text(session, columns, rows or {}))
  local cells = {}
  for i, leaf in ipairs(found.by_leaf) do cells[i] = { spark.count(leaf.count), show.value(leaf.text) } end
  out:line(("%s failed by one comparison alone"):format(spark.things(found.count, "event")))
  out:write(tables.render{ heads = { "events", "comparison" }, rows = cells, right = { true }, width = out.width,
    paint = out:painter() })
end

-- ------------------------------------------------------------------ :ev

-- The state behind an event; num nil: the one that was looked at last, or the end. nil after saying why not.
local function state_at(session, num)
  if not session:has_capture() then return nil end
  num = num or session.num
  if not num and not session.scan.complete then
    local opts = session:pass("reading")
    session.scan:find(session:everything(), opts)
    session:passed(opts)
    if opts.progress.stopped then return nil end
  end
  local opts = session:pass("reading")
  local at, message = session.scan:at(num or session.scan.events, opts)
  session:passed(opts, not opts.progress.stopped and message or nil)
  if not at then return nil end
  return at
end

local function cut_value(text)
  text = show.value(text)
  return #text > MAX_FIELD and text:sub(1, MAX_FIELD):gsub("[\192-\255][\128-\191]*$", "") .. "…" or text
end

local function two_columns(session, list, indent)
  local rows, out = {}, session.out
  for i, item in ipairs(list) do rows[i] = { (" "):rep(indent) .. item.name, item.value and cut_value(item.value) or "<NA>" } end
  return tables.render{ heads = { "", "" }, rows = rows, no_head = true, width = out.width,
    paint = function(i, s) return i == 1 and out:paint("cyan", s) or s end }
end

-- Fields by class, as their names begin.
local function fields_text(session, at)
  local classes, by_class, out = {}, {}, {}
  for _, field in ipairs(at:fields()) do
    local class = field.name:match("^%w+")
    if not by_class[class] then
      by_class[class] = {}
      classes[#classes + 1] = class
    end
    table.insert(by_class[class], field)
  end
  for _, class in ipairs(classes) do
    out[#out + 1] = session.out:paint("bold", class) .. "\n" .. two_columns(session, by_class[class], 2)
  end
  return table.concat(out)
end

local function process_line(row)
  local name = row.cmdline ~= "" and row.cmdline or row.exepath
  return ("%d %s"):format(row.pid, show.value(name ~= "" and name or "?"))
end

-- From the oldest ancestor down to the process.
local function ancestors_text(session, at, tid)
  local rows, out = at:ancestors(tid), {}
  for i = #rows, 1, -1 do
    local depth = #rows - i
    local line = ("  %s%s%s"):format(("   "):rep(math.max(depth - 1, 0)), depth > 0 and "└─ " or "", process_line(rows[i]))
    if session.out.width then line = tables.cut(line, session.out.width) end
    out[#out + 1] = line
  end
  return table.concat(out, "\n") .. "\n"
end

local function fds_text(session, list)
  local rows, out = {}, session.out
  for i = 1, math.min(#list, MAX_FDS) do
    local fd = list[i]
    rows[i] = { tostring(fd.fd), fd.type or "", show.value(fd.name ~= "" and fd.name or fd.raw) }
  end
  local text = tables.render{ heads = { "fd", "type", "name" }, rows = rows, right = { true }, width = out.width,
    paint = out:painter() }
  if #list > MAX_FDS then text = text .. ("%d more\n"):format(#list - MAX_FDS) end
  return text
end

local function event(session, text)
  local num = event_number(session, text)
  local at = num and state_at(session, num)
  if not at then return end
  session.num = num
  local out = session.out
  local tid = tonumber(at.head.tid)
  local params = at:params()
  local parts = {
    out:paint("bold", ("event %d: %s of %s (%d) at %s"):format(num, at:value("evt.type") or "?",
      show.value(at:value("proc.name") or "?"), tid,
      at:value("evt.time") or "?")), "\n",
    out:paint("bold", "parameters"), "\n", #params > 0 and two_columns(session, params, 2) or "  none\n",
    out:paint("bold", "fields, those that are not missing"), "\n", fields_text(session, at),
    out:paint("bold", "process and its ancestors"), "\n", ancestors_text(session, at, tid),
    out:paint("bold", "descriptors"), "\n", fds_text(session, at:fds(tid)),
  }
  if not at.visible then table.insert(parts, 3, "rules do not see this event\n") end
  out:text(table.concat(parts))
end

-- ------------------------------------------------------------------ :ps, :fds

local function owner_of(row)
  return row.uid == 4294967295 and "?" or tostring(row.uid)
end

local function tree_rows(list)
  local by_pid, rows, is_child = {}, {}, {}
  for _, row in ipairs(list) do by_pid[row.pid] = row end
  for _, row in ipairs(list) do
    for _, pid in ipairs(row.children) do is_child[pid] = true end
  end
  local seen = {}
  -- an explicit stack: a capture may claim a chain of any length
  local stack = {}
  for i = #list, 1, -1 do
    if not is_child[list[i].pid] then stack[#stack + 1] = { list[i], 0 } end
  end
  while #stack > 0 do
    local top = table.remove(stack)
    local row, depth = top[1], top[2]
    if row and not seen[row.pid] then
      seen[row.pid] = true
      rows[#rows + 1] = { row, depth }
      table.sort(row.children)
      for i = #row.children, 1, -1 do stack[#stack + 1] = { by_pid[row.children[i]], depth + 1 } end
    end
  end
  for _, row in ipairs(list) do
    if not seen[row.pid] then rows[#rows + 1] = { row, 0 } end      -- of a ring of parents
  end
  return rows
end

local function processes(session, text)
  local num
  if text ~= "" then
    num = event_number(session, text)
    if not num then return end
  end
  local at = state_at(session, num)
  if not at then return end
  session.num = num or session.num
  local cells, out = {}, session.out
  for i, pair in ipairs(tree_rows(at:processes())) do
    local row, depth = pair[1], math.min(pair[2], 20)
    local name = row.cmdline ~= "" and row.cmdline or row.exepath
    cells[i] = { tostring(row.pid), owner_of(row), tostring(row.threads), tostring(row.fds),
      row.container ~= "" and row.container or "",
      ("  "):rep(depth) .. show.value(name ~= "" and name or "?") .. (row.is_dead and " (ended)" or "") }
  end
  out:text(tables.render{ heads = { "pid", "uid", "threads", "fds", "container", "command" }, rows = cells,
    right = { true, true, true, true }, width = out.width, paint = out:painter() }
    .. out:paint("dim", ("%s when event %d had happened"):format(#cells == 1 and "1 process" or spark.count(#cells) .. " processes", at.num)))
end

local function descriptors(session, text)
  local pid, number = text:match("^(%d+)%s*([%d,]*)$")
  if not pid then return session.out:error((":fds wants the number of a process, not '%s'"):format(show.value(text))) end
  local num
  if number ~= "" then
    num = event_number(session, number)
    if not num then return end
  end
  local at = state_at(session, num)
  if not at then return end
  local row = at:thread(tonumber(pid))
  if not row then
    return session.out:error(("there is no process %s when event %d has happened; :ps %d lists them"):format(pid, at.num, at.num))
  end
  session.num = num or session.num
  session.out:text(session.out:paint("bold", process_line(row)) .. "\n" .. fds_text(session, at:fds(tonumber(pid))))
end

return {
  { name = "why", args = "[RULE] N", wants = "rule", help = "why the condition at hand, or a rule, holds for event N or does not",
    fn = explain_event },
  { name = "near", args = "[RULE]", wants = "rule",
    help = "events that fail a rule, or the condition at hand, by one comparison alone",
    fn = near },
  { name = "ev", args = "N", help = "all about event N: parameters, fields, the process with its ancestors, descriptors",
    fn = event },
  { name = "ps", args = "[N]",
    help = "the processes when event N had happened; without N the last event that was looked at, or the end",
    fn = processes },
  { name = "fds", args = "PID [N]", help = "the descriptors of a process, at the same time", fn = descriptors },
}
