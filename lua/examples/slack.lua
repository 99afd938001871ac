-- SPDX-License-Identifier: Apache-2.0
-- Alerts to a Slack channel, in words of your own.
--
--   scripts:
--     - path: /etc/falco/scripts/slack.lua
--       grant: [http, log]
--       args:
--         url: https://hooks.slack.com/services/T000/B000/XXXX
--         template: "*%{rule}* on %{hostname}: `%{proc.cmdline}` by %{user.name}"
--         at_least: warning
local LEVELS = { emergency = 0, alert = 1, critical = 2, error = 3, warning = 4, notice = 5, informational = 6, debug = 7 }
local COLOURS = { [0] = "danger", "danger", "danger", "danger", "warning", "good", "good", "good" }

local url, template, least

-- Slack reads these three as its own.
local function for_slack(text)
  return (text:gsub("[&<>]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" }))
end

local M = {}

function M.open(args)
  url = assert(args.url, "args.url is missing: the webhook's address")
  template = args.template or "*%{rule}*: %{output}"
  least = assert(LEVELS[args.at_least or "debug"], "args.at_least is no priority")
end

function M.match(alert)
  return alert.severity <= least
end

function M.write(alert)
  falco.http{
    url = url, headers = { ["Content-Type"] = "application/json" }, timeout = 5,
    body = falco.json{
      text = for_slack(alert:format(template)),
      attachments = { { color = COLOURS[alert.severity], text = for_slack(alert.output), ts = math.floor(alert.time) } },
    },
    done = function(answer)
      if not answer.ok then falco.log("warning", "Slack did not take it: " .. (answer.error or "status " .. answer.status)) end
    end,
  }
end

return M
