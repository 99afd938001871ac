-- SPDX-License-Identifier: Apache-2.0
-- `falco events FILE [CONDITION]`: the events that rules can see, one line each, or with -w a capture of them. With --live
-- those of this host as they happen; `falco record` is that with -w.
local core = require("core")
local diag = require("diag")
local format = require("format")
local rules = require("rules")
local run = require("run")
local stats = require("stats")
local console = require("console")

local M = {}

local DEFAULT = "*%evt.num %evt.time %evt.cpu %proc.name (%thread.tid) %evt.dir %evt.type %evt.args"

-- The same with a colour around each column.
local COLUMNS = {
  { "%evt.num", "dim" }, { "%evt.time", "dim" }, { "%evt.cpu", "dim" }, { "%proc.name", "green" },
  { "(%thread.tid)", "dim" }, { "%evt.dir", "dim" }, { "%evt.type", "bold" }, { "%evt.args" },
}

local function painted()
  local columns = {}
  for i, column in ipairs(COLUMNS) do
    local paint = column[2] and console.paints[column[2]]
    columns[i] = paint and paint .. column[1] .. console.paints.off or column[1]
  end
  return "*" .. table.concat(columns, " ")
end

local function chosen_format(options)
  if options.event_format then return options.event_format end
  return not options.event_json and console.has_colour(1) and painted() or DEFAULT
end

-- The program that decides: the condition, or yes. all: it is to be asked about every event that rules can see.
local function matcher(ruleset, options, diags, all)
  if all then run.want_all(ruleset) end
  if options.condition then
    return rules.condition{ text = options.condition, ruleset = ruleset, diag = diags, name = "condition" }
  end
  return { match = function() return 1 end }
end

local function loop(eng, prog, see, options)
  if options.live then return run.loop(eng, prog, see, console.flush) end
  if options.seconds then return run.loop_until(eng, prog, see, options.seconds) end
  return run.loop(eng, prog, see)
end

-- Does the job on an open source; a signal ends it in an orderly way. Returns what it returns.
local function drive(eng, ruleset, job)
  local C = core.C
  rules.jit_options()
  C.engine_use(eng, ruleset)
  C.sys_stop_on_signals(eng)
  local result = job()
  C.sys_stop_on_signals(nil)
  C.engine_use(eng, nil)
  return result
end

local function fail(message)
  console.flush()
  console.error(message)
  return 1
end

-- Done with an engine; message: nil, or what went wrong. Returns the exit status.
local function finish(eng, message)
  if not message then stats.engine(eng) end
  core.C.engine_free(eng)
  return message and fail(message) or 0
end

-- ------------------------------------------------------------------ printing

local function print_lines(eng, prog, lines, options)
  local C, writer = core.C, console.writer()
  C.writer_set_buffered(writer, not options.unbuffered)
  local function show(evt)
    local line, len = lines:render(C.alert_fill(evt, lines.output))
    return not line or C.writer_put(writer, line, len) == 0
  end
  return loop(eng, prog, show, options)
end

local function print_events(config, options)
  local C = core.C
  local diags = diag.new()
  local ruleset = core.ffi.gc(C.ruleset_new(), C.ruleset_free)
  local plan = rules.output{ text = chosen_format(options), ruleset = ruleset, diag = diags, name = "format" }
  local prog = matcher(ruleset, options, diags, options.seconds and not options.live or not options.condition)
  if not plan or not prog then
    console.diagnostics(diags)
    return 1
  end
  local eng, message = run.open_engine(config, nil, { seconds = options.seconds })
  if not eng then return fail(message) end
  run.give_up_rights(config)
  local lines = format.lines(plan, ruleset, { json = options.event_json, clean = C.sys_isatty(1) })
  local result = drive(eng, ruleset, function() return print_lines(eng, prog, lines, options) end)
  console.flush()
  message = console.failure() or result < 0 and core.cstr(C.engine_error(eng)) or nil
  return finish(eng, message)
end

-- ------------------------------------------------------------------ writing a capture

local function record_flags(options)
  local C, flags = core.C, 0
  if options.write_plain then flags = flags + C.RECORD_PLAIN end
  if not options.condition then flags = flags + C.RECORD_ALL end
  if options.write_only then flags = flags + C.RECORD_ONLY end
  return flags
end

-- A reader of our standard output that went away wanted no more of it.
local function is_lost_pipe(code, options)
  return code == -core.C.SYS_EPIPE and options.write == "-"
end

-- The last word on the file: nil, or what went wrong.
local function finish_record(eng, options, result)
  local C, ffi = core.C, core.ffi
  local chosen, others, err = ffi.new("uint64_t[1]"), ffi.new("uint64_t[1]"), core.err()
  C.engine_recorded(eng, chosen, others)
  local closed = C.engine_record_end(eng, err)
  if result < 0 then return not is_lost_pipe(result, options) and core.cstr(C.engine_error(eng)) or nil end
  if closed < 0 then return not is_lost_pipe(closed, options) and core.message(err) or nil end
  console.info(("%d events written, and %d for state only"):format(tonumber(chosen[0]), tonumber(others[0])))
  return nil
end

local function write_events(config, options)
  local C = core.C
  local diags = diag.new()
  local ruleset = core.ffi.gc(C.ruleset_new(), C.ruleset_free)
  local prog = matcher(ruleset, options, diags, options.seconds and not options.live)
  if not prog then
    console.diagnostics(diags)
    return 1
  end
  local eng, message = run.open_engine(config, { path = options.write, flags = record_flags(options) },
    { seconds = options.seconds })
  if not eng then return fail(message) end
  run.give_up_rights(config)
  local function choose()
    C.engine_choose(eng)
    return true
  end
  message = drive(eng, ruleset, function()
    return finish_record(eng, options, loop(eng, prog, choose, options))
  end)
  return finish(eng, message)
end

-- Returns the exit status.
function M.run(config, options)
  if options.live then
    config.engine.kind = "modern_ebpf"
  else
    config.engine.kind, config.engine.replay.capture_file = "replay", options.file
  end
  return (options.write and write_events or print_events)(config, options)
end

return M
