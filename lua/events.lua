-- SPDX-License-Identifier: Apache-2.0
-- `falco events FILE [CONDITION]`: the events that rules can see, one line each.
local core = require("core")
local diag = require("diag")
local format = require("format")
local rules = require("rules")
local run = require("run")
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

-- The program that decides: the condition, or yes.
local function matcher(ruleset, options, diags)
  if options.condition then
    return rules.condition{ text = options.condition, ruleset = ruleset, diag = diags, name = "condition" }
  end
  run.want_all(ruleset)
  return { match = function() return 1 end }
end

local function print_lines(eng, prog, lines, options)
  local C = core.C
  C.sys_set_buffered(1, not options.unbuffered)
  local function show(evt)
    local line, len = lines:render(C.alert_fill(evt, lines.output))
    return not line or C.sys_write(1, line, len) == 0
  end
  if options.seconds then return run.loop_until(eng, prog, show, options.seconds) end
  return run.loop(eng, prog, show)
end

local function finish(eng, result)
  console.flush()
  local failure = console.failure() or result < 0 and core.cstr(core.C.engine_error(eng)) or nil
  if failure then console.error(failure) end
  return failure and 1 or 0
end

-- Returns the exit status.
function M.run(config, options)
  local C = core.C
  local diags = diag.new()
  local ruleset = core.ffi.gc(C.ruleset_new(), C.ruleset_free)
  local plan = rules.output{ text = chosen_format(options), ruleset = ruleset, diag = diags, name = "format" }
  local prog = matcher(ruleset, options, diags)
  if not plan or not prog then
    console.diagnostics(diags)
    return 1
  end
  config.engine.kind, config.engine.replay.capture_file = "replay", options.file
  local eng, message = run.open_engine(config)
  if not eng then
    console.error(message)
    return 1
  end
  rules.jit_options()
  local lines = format.lines(plan, ruleset, { json = options.event_json, clean = C.sys_isatty(1) })
  C.engine_use(eng, ruleset)
  C.sys_stop_on_signals(eng)
  local status = finish(eng, print_lines(eng, prog, lines, options))
  C.sys_stop_on_signals(nil)
  C.engine_use(eng, nil)
  C.engine_free(eng)
  return status
end

return M
