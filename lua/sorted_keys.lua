-- SPDX-License-Identifier: Apache-2.0
-- The keys of a table, all of one type, in order: what pairs() gives has none.
return function(t)
  local keys = {}
  for key in pairs(t) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end
