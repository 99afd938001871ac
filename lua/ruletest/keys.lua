-- SPDX-License-Identifier: Apache-2.0
-- Every key of a test file, once: what it wants and what it is for. load.lua, its suggestions and docs read these rows.
--
--   keys.item, keys.test, keys.event, keys.expect, keys.user, keys.fd ...: { rows = { row, ... }, by_name = { key -> row } }
--   keys.names(map) -> { key, ... } in the order of the rows
--   row: { key, kind, doc }; kinds:
--     text       one value            whole    a whole number, 0 or more       number   a number, 0 or more
--     bool       true or false        texts    a value or a list of them       maps     a list of maps
--     count      2, ">= 2", "1..3"    fields   a map of fields to values       expects  a list of maps, or a map of rules to counts
--     any        read elsewhere       matching first or all
local M = {}

local function map(name, doc, rows)
  local m = { name = name, doc = doc, rows = {}, by_name = {} }
  for i, r in ipairs(rows) do
    m.rows[i] = { key = r[1], kind = r[2], doc = r[3] }
    m.by_name[r[1]] = m.rows[i]
  end
  M[name] = m
end

map("defaults", "what holds for the tests below it", {
  { "rules", "texts", "rules files that are loaded together, as seen from this file" },
  { "matching", "matching", "all: every rule that matches counts (the default); first: as falco does by default" },
})
map("test", "one test", {
  { "test", "text", "its name" },
  { "rules", "texts", "rules files, instead of those of the file" },
  { "matching", "matching", "all or first" },
  { "capture", "texts", "capture files that are replayed, one after the other" },
  { "processes", "maps", "processes that exist before the first event, by their fields" },
  { "users", "maps", "users of the host" },
  { "groups", "maps", "groups of the host" },
  { "containers", "maps", "what is known of containers" },
  { "interfaces", "texts", "addresses of the host" },
  { "events", "maps", "events written by hand" },
  { "expect", "expects", "what must come of it" },
  { "only", "bool", "no rule but those of expect may match" },
})
map("event", "what an event may have beside its name", {
  { "match", "texts", "the rules that match it, all of them; none: no rule does" },
  { "miss", "texts", "rules that must not match it" },
  { "times", "whole", "how often it happens" },
  { "at", "number", "when, in seconds since the start" },
})
map("expect", "what must come of it", {
  { "rule", "text", "name of the rule" },
  { "count", "count", "how many alerts: 2, \">= 2\", \"1..3\"; 0: it must not fire; default: at least one" },
  { "fields", "fields", "counts only alerts whose fields have these values" },
  { "output", "texts", "counts only alerts whose output contains these texts" },
  { "where", "text", "counts only alerts for which this condition holds, too" },
  { "event", "whole", "counts only alerts of this event: its place in events, from 1" },
})
map("user", "a user or group", {
  { "uid", "whole", "number of the user" },
  { "gid", "whole", "number of the group" },
  { "name", "text", "name" },
  { "home", "text", "home directory" },
  { "shell", "text", "login shell" },
})
map("fd", "a descriptor", {
  { "fd.num", "whole", "its number" },
  { "fd.type", "text", "file, ipv4, ipv6, unix, pipe, directory ..." },
  { "fd.name", "text", "path, or 10.0.0.1:40000->10.0.0.2:80" },
  { "fd.l4proto", "text", "tcp or udp" },
})

function M.names(m)
  local out = {}
  for i, row in ipairs(m.rows) do out[i] = row.key end
  return out
end

return M
