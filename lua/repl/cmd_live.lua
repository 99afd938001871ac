-- SPDX-License-Identifier: Apache-2.0
-- :live, a condition on this host as it happens. What is seen is also recorded, up to a bound, and is the capture to look at when
-- Ctrl-C has ended it.
local core = require("core")
local find = require("repl.find")
local rules = require("rules")
local run = require("run")
local scan = require("scan")
local show = require("repl.show")
local spark = require("repl.spark")
local tables = require("repl.table")

local MAX_RECORDED = 64 * 1048576      -- bytes of the capture
local WIDEST = 40                      -- columns of a cell, but the last

local function live_config(session)
  local engine = setmetatable({ kind = "modern_ebpf" }, { __index = session.config.engine })
  return setmetatable({ engine = engine }, { __index = session.config })
end

-- "10 CONDITION" -> seconds, condition.
local function split(text)
  local seconds, rest = text:match("^(%d+)%s*(.*)$")
  if seconds then return tonumber(seconds), rest end
  return nil, text
end

-- Prints rows as they come: columns grow, what was printed stays.
local function new_printer(session, heads)
  local out, widths = session.out, {}
  local function line(cells, paint)
    local parts = {}
    for i, cell in ipairs(cells) do
      local last = i == #cells
      local limit = last and (out.width or 200) or WIDEST
      local text, columns = tables.cut(cell, limit)
      widths[i] = math.max(widths[i] or 0, columns)
      parts[i] = (paint and out:paint(paint, text) or text) .. (last and "" or (" "):rep(widths[i] - columns))
    end
    out:line(table.concat(parts, "  "))
  end
  for i, name in ipairs(heads) do widths[i] = #name end
  widths[1], widths[2] = 9, 18
  line(heads, "bold")
  return line
end

local function fill_row(evt, output, n)
  local values, row = core.C.alert_fill(evt, output).values, {}
  for i = 1, n do
    local text = scan.value_text(values[i - 1])
    row[i] = text and show.value(text) or "<NA>"
  end
  return row
end

-- Watches until Ctrl-C, or so many seconds. Returns events looked at and matched, or nil and a message.
local function watch(session, eng, made, plan, path)
  local C, err = core.C, core.err()
  local evt = C.engine_evt(eng)
  local head, printer = C.evt_head(evt), new_printer(session, plan.names)
  local everything = core.ffi.gc(C.ruleset_new(), C.ruleset_free)
  run.want_all(everything)
  C.engine_use(eng, everything)
  C.interrupts_stop(eng)
  local matched, result, is_open = 0, nil, false
  while true do
    result = C.engine_next(eng)
    if result == C.NEXT_IDLE then
      session.out:flush()
    elseif result ~= C.NEXT_EVENT then
      break
    else
      if not is_open then
        -- from the first event on all are recorded, whatever the condition wants
        is_open = C.engine_window_open(eng, path, MAX_RECORDED, err) == 0
        if not is_open then return nil, core.message(err) end
        C.engine_window_until(eng, 0xffffffffffffffffULL)
        C.engine_use(eng, made.ruleset)
      end
      if scan.fits(made.events, head) and made.match(evt) > 0 then
        matched = matched + 1
        printer(fill_row(evt, plan.output, #plan.names))
      end
    end
  end
  C.interrupts_stop(nil)
  C.engine_window_close(eng)
  if result < 0 then return nil, core.cstr(C.engine_error(eng)) end
  return tonumber(C.engine_delivered(eng)), matched, is_open
end

-- The capture of what was watched takes the place of those that are open.
local function look_back(session, path, is_open)
  if not is_open then return session.out:note("nothing happened") end
  if session:open({ path }) then
    session.out:note("what was watched is open as a capture now, its events numbered from 1")
  end
end

local function live(session, text)
  local out = session.out
  local seconds, condition = split(text)
  local made = condition ~= "" and session:compile(condition) or nil
  if condition ~= "" and not made then return end
  made = made or session.last and session.last.made
  if not made then return out:error(":live wants a condition; there is none at hand") end
  local diags = require("diag").new()
  local plan = rules.output{ text = "*%" .. table.concat(find.columns_for(session, made), " %"), ruleset = made.ruleset,
    diag = diags,
    name = "columns" }
  if not plan then return out:diagnostics(diags) end
  local eng, message = run.open_engine(live_config(session), nil, { seconds = seconds })
  if not eng then return out:error(("this host cannot be watched: %s; falco doctor says what is missing"):format(message)) end
  core.C.interrupts_seen(true)
  local path = session:new_file()
  out:note(("watching %s"):format(seconds and ("for %d s"):format(seconds) or "until Ctrl-C"))
  out:flush()
  local looked, matched, is_open = watch(session, eng, made, plan, path)
  core.C.engine_use(eng, nil)
  core.C.engine_free(eng)
  core.C.interrupts_seen(true)
  if not looked then return out:error(matched) end
  out:line(find.of(matched, looked))
  look_back(session, path, is_open)
end

return {
  { name = "live", args = "[SECONDS] [CONDITION]", wants = "condition",
    help = "watch this host, as root, until Ctrl-C; the events are the capture to look at from then on", fn = live },
}
