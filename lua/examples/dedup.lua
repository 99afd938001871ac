-- SPDX-License-Identifier: Apache-2.0
-- The same alert once in a window of time. The next one that goes out says how many were held back.
--
--   scripts:
--     - path: /etc/falco/scripts/dedup.lua
--       grant: [route, alter]
--       args: { seconds: 60, by: [rule, proc.name, fd.name], max: 10000 }
local by, seen, held

local M = {}

function M.open(args)
  by = args.by or { "rule", "proc.cmdline", "fd.name" }
  seen = falco.table{ expire = args.seconds or 60, max = args.max or 10000 }
  held = falco.table{ expire = (args.seconds or 60) * 10, max = args.max or 10000 }
end

local function key_of(alert)
  local parts = {}
  for i, name in ipairs(by) do parts[i] = alert:format("%{" .. name .. "}") end
  return table.concat(parts, "\0")
end

function M.write(alert)
  local key = key_of(alert)
  if seen:get(key) then
    held:add(key)
    alert:drop()
    return
  end
  seen:set(key, true)
  local n = held:get(key)
  if n then
    alert:set("dedup.held_back", n)
    held:delete(key)
  end
end

return M
