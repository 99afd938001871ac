-- SPDX-License-Identifier: Apache-2.0
-- What falco has to say about itself, as alerts: they go where all alerts go.
--   outs:tell(internal.what{ rule = "syscall event drop", message = "5 ... dropped", priority = internal.DEBUG,
--                              fields = { n_drops = "5" } })
-- Names, sentences and fields of those that Falco has too are Falco's: people have filters for them.
local M = {}

local PREFIX = "Falco internal: "
M.INFORMATIONAL, M.DEBUG = 6, 7

-- As renderer:tell() wants it, plain data.
function M.what(what)
  local rule = PREFIX .. what.rule
  return { rule = rule, message = what.text or rule .. ". " .. what.message, priority = what.priority, fields = what.fields or {} }
end

-- tokens that come at `rate` a second, up to `most` of them; the first one is there at once.
function M.bucket(rate, most)
  local tokens, last = most, nil
  return function(now_ns)
    tokens = math.min(most, tokens + rate * (now_ns - (last or now_ns)) / 1e9)
    last = now_ns
    if tokens < 1 then return false end
    tokens = tokens - 1
    return true
  end
end

return M
