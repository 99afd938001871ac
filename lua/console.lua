-- SPDX-License-Identifier: Apache-2.0
-- What people read: text to standard output (in order with the alerts, which go through the same buffer), messages to
-- standard error, and whether colours are wanted.
--
--   console.print("text\n") -> true, or false when it cannot be written any more: stop then. A terminal gets no control
--                              characters but newlines and tabs
--   console.flush() -> the same
--   console.writer() -> struct writer * of standard output
--   console.failure() -> one line on why writing failed; nil when it did not, or the reader merely went away
--   console.error("text"), .warning, .notice, .info, .debug       one line each, "falco: error: text"
--   console.engine("warning", "text")        what the engine says: libs_logger of falco.yaml
local core = require("core")
local schema = require("schema")
local text = require("text")

local M = {}

local OUT, ERR = 1, 2

M.paints = { error = "\27[1;31m", warning = "\27[1;35m", notice = "\27[36m", info = "\27[36m", debug = "\27[2m", bold = "\27[1m", dim = "\27[2m",
  green = "\27[32m", yellow = "\27[33m", cyan = "\27[36m", alarm = "\27[1;37;41m", off = "\27[0m" }

local function is_set(name)
  local value = os.getenv(name)
  return value ~= nil and value ~= ""
end

-- Colours only where a person looks: a terminal that knows them, and no NO_COLOR.
function M.has_colour(fd)
  return core.C.sys_isatty(fd) and not is_set("NO_COLOR") and is_set("TERM") and os.getenv("TERM") ~= "dumb"
end

local writer

-- What all of a Lua state writes to standard output with, so that it comes in order.
function M.writer()
  if not writer then
    local made = core.C.writer_new(OUT)
    assert(made ~= nil, "out of memory")
    writer = core.ffi.gc(made, core.C.writer_free)
  end
  return writer
end

function M.print(s)
  if core.C.sys_isatty(OUT) then s = text.printable(s) end
  return core.C.writer_put(M.writer(), s, #s) == 0
end

function M.flush()
  return core.C.writer_flush(M.writer()) == 0
end

function M.failure()
  local failed = core.C.writer_flush(M.writer())
  if failed == 0 or -failed == core.C.SYS_EPIPE then return nil end
  return "standard output: " .. core.ffi.string(core.C.sys_error_text(failed))
end

-- Importance by name, 0 = emergency ... 7 = debug; the least important that is shown.
local LEVELS = {}
for i, name in ipairs(schema.log_levels) do LEVELS[name] = i - 1 end
local shown = LEVELS.notice
local threshold = LEVELS.info          -- of the log: log_level alone

-- The same of what the engine has to say: libs_logger of falco.yaml.
local engine = { shown = shown, threshold = threshold }
local SEVERITIES = setmetatable({ fatal = LEVELS.critical, trace = LEVELS.debug }, { __index = LEVELS })
local NOTHING = -1

-- Whether messages go to syslog as well, and where that is; nil: where it always is.
local to_syslog, syslog_path = false, nil

local function write(level, message)
  local paint, off = "", ""
  if M.has_colour(ERR) then paint, off = M.paints[level], M.paints.off end
  local line = ("falco: %s%s:%s %s\n"):format(paint, level, off, text.printable(message))
  core.C.sys_write(ERR, line, #line)
end

-- must: at any level; limits: whose, nil: falco's own
local function say(level, message, must, limits)
  local importance = LEVELS[level]
  if must or (limits and limits.shown or shown) >= importance then write(level, message) end
  if to_syslog and (must or (limits and limits.threshold or threshold) >= importance) then
    local line = text.printable(message)
    core.C.notify_syslog(syslog_path, importance, line, #line)
  end
end

-- log_level, log_stderr and libs_logger of falco.yaml, -v. Without log_stderr only what is amiss comes to standard error; with -v all does.
local function shown_of(least, to_stderr, verbose)
  return verbose and LEVELS.debug or to_stderr and least or math.min(least, LEVELS.notice)
end

-- libs: libs_logger of falco.yaml; nil: the engine is as talkative as the rest.
function M.set_level(name, to_stderr, verbose, libs)
  threshold = LEVELS[name]
  shown = shown_of(threshold, to_stderr, verbose)
  engine.threshold = libs and (libs.enabled and SEVERITIES[libs.severity] or NOTHING) or threshold
  engine.shown = shown_of(engine.threshold, to_stderr, verbose)
end

-- log_syslog of falco.yaml.
function M.set_syslog(on, path)
  to_syslog, syslog_path = on, path
end

-- Shown at any level: the program ends for it, or has failed at what it was asked for.
function M.error(message) say("error", message, true) end
function M.warning(message) say("warning", message) end
function M.notice(message) say("notice", message) end
function M.info(message) say("info", message) end
function M.debug(message) say("debug", message) end

-- What the engine has to say, of this level.
function M.engine(level, message) say(level, message, false, engine) end

-- Shows what a diag list holds; opts.level "error" leaves warnings out.
function M.diagnostics(diags, opts)
  local level = opts and opts.level or shown < LEVELS.warning and "error" or nil
  local rendered = diags:render({ color = M.has_colour(ERR), level = level })
  if rendered ~= "" then core.C.sys_write(ERR, rendered, #rendered) end
  if not to_syslog then return end
  for _, item in ipairs(diags:sorted()) do
    if LEVELS[item.level] and LEVELS[item.level] <= (level == "error" and LEVELS.error or threshold) then
      local line = text.printable(("%s:%d:%d: %s: %s"):format(item.file or "", item.line or 0, item.column or 0, item.level, item.message))
      core.C.notify_syslog(syslog_path, LEVELS[item.level], line, #line)
    end
  end
end

return M
