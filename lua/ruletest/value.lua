-- SPDX-License-Identifier: Apache-2.0
-- Values of the event at hand as Lua texts: for tests, where nobody counts nanoseconds.
--
--   value.texts(evt, output id) -> { text, ... } of the output's expressions
--   value.message(evt, plan) -> the text of an output plan (rules/output.lua)
--   value.near_field("proc.nam") -> "proc.name"
local core = require("core")
local diag = require("diag")
local text = require("text")

local M = {}

local ROOM = 65536
local buf

local function text_of(v)
  buf = buf or core.ffi.new("char[?]", ROOM)
  local n = core.C.value_text(v, buf, ROOM)
  return core.ffi.string(buf, math.min(n, ROOM))
end

function M.texts(evt, id)
  local alert, out = core.C.alert_fill(evt, id), {}
  for i = 0, alert.n - 1 do out[i + 1] = text_of(alert.values + i) end
  return out
end

function M.message(evt, plan)
  local texts, out = M.texts(evt, plan.output), {}
  for i, part in ipairs(plan.parts) do
    if type(part) == "string" then
      out[i] = part
    else
      local s = texts[part.expr]
      out[i] = part.width and (s .. (" "):rep(part.width - #s)):sub(1, part.width) or s
    end
  end
  return (text.printable(table.concat(out)):gsub("[\t\n]", " "))
end

function M.near_field(word)
  local names = {}
  for i = 0, core.C.field_count() - 1 do names[i + 1] = core.cstr(core.C.field_info(i).name) end
  return diag.suggest(word, names)
end

return M
