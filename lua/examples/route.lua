-- SPDX-License-Identifier: Apache-2.0
-- Where an alert goes is decided by its tags; the first that the table knows counts. What none of them knows goes to all outputs.
--
--   scripts:
--     - path: /etc/falco/scripts/route.lua
--       grant: [route, alter]
--       args:
--         routes: { network: [http], filesystem: [file], noise: [] }
--         urgent: [mitre_persistence]
local routes, urgent = {}, {}

local M = {}

function M.open(args)
  routes = args.routes or {}
  for _, tag in ipairs(args.urgent or {}) do urgent[tag] = true end
end

function M.write(alert)
  for _, tag in ipairs(alert.tags) do
    if urgent[tag] and alert.severity > 2 then alert:priority("critical") end
  end
  for _, tag in ipairs(alert.tags) do
    local outputs = routes[tag]
    if outputs then
      if #outputs == 0 then alert:drop() else alert:to(unpack(outputs)) end
      return
    end
  end
end

return M
