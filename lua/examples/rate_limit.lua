-- SPDX-License-Identifier: Apache-2.0
-- No container may fill the log: so many alerts a minute for each, and a note of what was left out.
--
--   scripts:
--     - path: /etc/falco/scripts/rate_limit.lua
--       grant: [route, emit, timers]
--       args: { per_minute: 20 }
local most, counts, dropped

local M = {}

function M.open(args)
  most = args.per_minute or 20
  counts = falco.table{ expire = 60, max = 5000 }
  dropped = falco.table{ max = 5000 }
  falco.every(60, M.report)
end

function M.write(alert)
  local container = alert:get("container.id")
  if not container or container == "" or container == "host" then return end
  if counts:add(container) > most then
    dropped:add(container)
    alert:drop()
  end
end

function M.report()
  for container, n in dropped:each() do
    falco.emit{
      rule = "Alerts left out", priority = "notice", output = ("%d alerts of container %s were left out"):format(n, container),
      fields = { ["container.id"] = container, n = n },
    }
  end
  dropped:clear()
end

M.close = function() M.report() end

return M
