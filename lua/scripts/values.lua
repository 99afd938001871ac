-- SPDX-License-Identifier: Apache-2.0
-- An alert's values as scripts have them: Lua's own texts, numbers and booleans.
--
--   local values = values.new(exact)      exact: whole numbers that Lua would round are int64_t; sandboxes know none of that
--   values:fields(members, values_of_alert)      name -> value; missing ones are left out
--   values:message(parts, values_of_alert)       the text of the alert, without time and priority
--   values:iso(ns)                               "2026-01-31T12:00:00.000000000Z"
-- members and parts: of a plan (render.lua).
local buffer = require "string.buffer"
local core = require "core"
local render = require "render"

local M = {}

local SHORT = 32             -- bytes that any number takes in JSON

local Values = {}
Values.__index = Values

function M.new(exact)
  return render.scratch(setmetatable({
    exact = exact, room = core.ffi.new("char[?]", 64), out = buffer.new(), joined = buffer.new(),
  }, Values))
end

local function text_of(self, value)
  local out = self.out
  out:reset()
  local p, room = out:reserve(512)
  local n = core.C.value_text(value, p, room)
  if n > room then
    p, room = out:reserve(n)
    n = core.C.value_text(value, p, room)
  end
  out:commit(n)
  return out:get()
end

-- What is a number or boolean in JSON is one here.
local function plain(self, value)
  if value.type == 0 then return nil end
  local n = core.C.value_json(value, self.room, SHORT)
  if n <= SHORT then
    local json = core.ffi.string(self.room, n)
    if json == "true" then return true elseif json == "false" then return false end
    local number = json:find("^[-%d]") and tonumber(json)
    if number and self.exact and math.abs(number) > 2 ^ 53 and not json:find("[.e]") then return value.num.i end
    if number then return number end
  end
  return text_of(self, value)
end

function Values:message(parts, values)
  self.joined:reset()
  render.put_parts(self, self.joined, parts, values)
  return self.joined:get()
end

function Values:fields(members, values)
  local fields = {}
  for _, member in ipairs(members) do
    if member.parts then
      fields[member.name] = self:message(member.parts, values)
    else
      fields[member.name] = plain(self, values + member.at)
    end
  end
  return fields
end

function Values:iso(ns)
  return core.ffi.string(self.room, core.C.time_text(ns, core.C.TIME_ISO_Z, self.room, 64))
end

return M
