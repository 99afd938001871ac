-- SPDX-License-Identifier: Apache-2.0
-- What scripts have done since the start, for reports: outputs' and rules', read from any thread.
--
--   counts.all()     { { name = "dedup", counts = { calls = n, errors = n, ns = n ... } }, ... } in the order of loading
--   counts.HELP      name of a count -> what it is
--   counts.about(set)          all of them to a set of metrics: set:sample(name, kind, help, value, labels), set:field(name, value)
local core = require "core"
local sorted_keys = require "sorted_keys"

local M = {}

M.HELP = {
  calls = "Calls of scripts.",
  errors = "Calls of scripts that failed.",
  ns = "Time that scripts have taken, in nanoseconds.",
  over_limit = "Calls that were ended at a limit.",
  switched_off = "Scripts switched off after failures in a row.",
  emitted = "Alerts that scripts raised.",
  dropped = "Alerts that scripts dropped.",
  kills = "Signals that scripts asked for.",
  programs = "Programs that scripts asked for.",
  http_requests = "HTTP requests that scripts asked for.",
  refused = "Signals, programs and requests that came to nothing.",
}

function M.all()
  local C = core.C
  local row, list = core.ffi.new("struct script_counts"), {}
  while C.script_counted(#list, row) do
    local counts = {}
    for what = 0, C.SCRIPT_COUNTS - 1 do counts[core.cstr(C.script_count_name(what))] = tonumber(row.n[what]) end
    list[#list + 1] = { name = core.cstr(row.name), counts = counts }
  end
  return list
end

-- falco_script_calls_total{script="dedup"}; and in the alert, sums: falco.scripts.calls
function M.about(set)
  local sums = {}
  for _, row in ipairs(M.all()) do
    for _, name in ipairs(sorted_keys(row.counts)) do
      sums[name] = (sums[name] or 0) + row.counts[name]
      set:sample(("falco_script_%s_total"):format(name), "counter", M.HELP[name], row.counts[name], { script = row.name })
    end
  end
  for _, name in ipairs(sorted_keys(sums)) do set:field("falco.scripts." .. name, sums[name]) end
end

return M
