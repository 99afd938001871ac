-- SPDX-License-Identifier: Apache-2.0
-- Sends alerts to some outputs only: `route` of falco.yaml, as a stage of the outputs (init.lua). The first entry that an alert
-- matches decides; with `continue` those behind it may add outputs. What no entry matches goes to all outputs, what a
-- script has sent somewhere goes there.
local match = require("outputs.match")
local sorted_keys = require("sorted_keys")

local M = {}

local Route = {}
Route.__index = Route

local function destination(entry, i, lanes)
  if entry.drop then return {} end
  local set = {}
  for _, name in ipairs(entry.to) do
    if not lanes[name] then
      return nil, ("route[%d].to: no output called '%s' is enabled; there is: %s"):format(i - 1, name, table.concat(sorted_keys(lanes), ", "))
    end
    set[name] = true
  end
  return set
end

function M.open(conf, env)
  if #(conf.route or {}) == 0 then return false end
  local self = setmetatable({ entries = {}, dropped = 0, only_holds_back = true }, Route)
  for i, entry in ipairs(conf.route) do
    local to, message = destination(entry, i, env.lanes)
    if not to then return nil, message end
    self.entries[i] = { holds = match.new(entry.match, env.field), to = to, goes_on = entry.continue }
  end
  return self
end

function Route:pass(record)
  if record.to then return true end
  local to, shared = nil, true
  for i = 1, #self.entries do
    local entry = self.entries[i]
    if entry.holds(record) then
      if not to then
        to = entry.to
      else
        if shared then
          local own = {}
          for name in pairs(to) do own[name] = true end
          to, shared = own, false
        end
        for name in pairs(entry.to) do to[name] = true end
      end
      if not entry.goes_on then break end
    end
  end
  if to and next(to) == nil then
    self.dropped = self.dropped + 1
    return false
  end
  record.to = to
  return true
end

return M
