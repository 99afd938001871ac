-- SPDX-License-Identifier: Apache-2.0
-- What people read: text to standard output (in order with the alerts, which go through the same buffer), messages to
-- standard error, and whether colours are wanted.
--
--   console.print("text\n") -> true, or false when it cannot be written any more: stop then
--   console.flush() -> the same
--   console.failure() -> one line on why writing failed; nil when it did not, or the reader merely went away
--   console.error("text"), console.warning("text"), console.info("text")       one line each, "falco: error: text"
local core = require("core")

local schema = require("schema")

local M = {}

local OUT, ERR = 1, 2

M.paints = { error = "\27[1;31m", warning = "\27[1;35m", info = "\27[36m", bold = "\27[1m", dim = "\27[2m",
  green = "\27[32m", yellow = "\27[33m", cyan = "\27[36m", alarm = "\27[1;37;41m", off = "\27[0m" }

-- Colours only where a person looks: a terminal, and no NO_COLOR (set and not empty).
function M.has_colour(fd)
  local no = os.getenv("NO_COLOR")
  return core.C.sys_isatty(fd) and (no == nil or no == "")
end

function M.print(text)
  return core.C.sys_write(OUT, text, #text) == 0
end

function M.flush()
  return core.C.sys_flush(OUT) == 0
end

function M.failure()
  local failed = core.C.sys_flush(OUT)
  if failed == 0 or -failed == core.C.SYS_EPIPE then return nil end
  return "standard output: " .. core.ffi.string(core.C.sys_error_text(failed))
end

local function say(level, text)
  local paint, off = "", ""
  if M.has_colour(ERR) then paint, off = M.paints[level], M.paints.off end
  local line = ("falco: %s%s:%s %s\n"):format(paint, level, off, text)
  core.C.sys_write(ERR, line, #line)
end

-- Importance by name, 0 = emergency ... 7 = debug; the least important that is shown.
local LEVELS = {}
for i, name in ipairs(schema.log_levels) do LEVELS[name] = i - 1 end
local shown = LEVELS.notice

-- log_level of falco.yaml. What is only of interest with -v has the level "info".
function M.set_level(name, verbose)
  shown = verbose and LEVELS.debug or math.min(LEVELS[name], LEVELS.notice)
end

function M.error(text) say("error", text) end

function M.warning(text)
  if shown >= LEVELS.warning then say("warning", text) end
end

function M.info(text)
  if shown >= LEVELS.info then say("info", text) end
end

-- Shows what a diag list holds; opts.level "error" leaves warnings out.
function M.diagnostics(diags, opts)
  local level = opts and opts.level or shown < LEVELS.warning and "error" or nil
  local text = diags:render({ color = M.has_colour(ERR), level = level })
  if text ~= "" then core.C.sys_write(ERR, text, #text) end
end

return M
