-- SPDX-License-Identifier: Apache-2.0
-- Ends the process behind an alert of certain rules. The process id has to be among the alert's fields: put %proc.pid into the
-- output of the rule, or add it with append_output. One that is not there any more, or has passed its number on, is left alone.
--
--   scripts:
--     - path: /etc/falco/scripts/kill.lua
--       grant: [kill, emit]
--       args: { rules: [Reverse shell, Miner started], signal: KILL, spare: [sshd, systemd] }
local rules, spare, signal = {}, {}, "KILL"

local M = {}

function M.open(args)
  for _, name in ipairs(args.rules or {}) do rules[name] = true end
  for _, name in ipairs(args.spare or {}) do spare[name] = true end
  signal = args.signal or signal
end

function M.match(alert)
  return rules[alert.rule] ~= nil and not spare[alert:get("proc.name")]
end

function M.write(alert)
  local pid, rule = alert:get("proc.pid"), alert.rule
  if not pid then
    falco.emit{ rule = "Process not killed", priority = "warning",
      output = "the alert of '" .. rule .. "' has no field proc.pid" }
    return
  end
  falco.kill(pid, {
    signal = signal,
    done = function(result)
      falco.emit{
        rule = result.ok and "Process killed" or "Process not killed", priority = result.ok and "notice" or "warning",
        output = result.ok and ("process %d was sent SIG%s for '%s'"):format(pid, signal, rule) or result.error,
        fields = { ["proc.pid"] = pid, because = rule },
      }
    end,
  })
end

return M
