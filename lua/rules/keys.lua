-- SPDX-License-Identifier: Apache-2.0
-- Every key of a rules file, once: its type, whether an item needs it, what `override` may do with it, what it is for.
-- The loader, its suggestions and --rule-schema read these rows.
--
--   keys.items        { item, ... } in the order in which the loader looks for them
--   keys.item.rule    an item by its name; keys.map.exception, .plugin, .alternative: maps inside items
--
-- item: { name, context (its name in validation JSON), doc, rows = { row, ... }, by_name = { key -> row } }
-- row:  { key, kind, doc, extra }; extra is merged into the row. kinds:
--   text       a single value, not empty          bool      true or false         whole     a whole number, 0 or more
--   version    1.2.3, or 2 for 0.2.0              priority  a name, in any case   texts     a list of single values
--   entry      a value, or nested lists of them   maps      a list of maps: `of` names the map
--   script     Lua: the path of a file, or text
--   throttle   a map of count, within, by
--   override   a map of keys of the item to "append" or "replace"
-- extra:
--   required   the item must have it (a rule: when it is a new one)
--   append, replace     `override` may append to it, replace it
--   default    when it is missing
--   old        what to write instead of this key
local M = { items = {}, item = {}, map = {} }

local function rows_of(rows)
  local list, by_name = {}, {}
  for i, r in ipairs(rows) do
    local row = { key = r[1], kind = r[2], doc = r[3] }
    for key, value in pairs(r[4] or {}) do
      row[key] = value
    end
    list[i], by_name[row.key] = row, row
  end
  return list, by_name
end

local function map(name, doc, rows)
  local m = { name = name, doc = doc }
  m.rows, m.by_name = rows_of(rows)
  M.map[name] = m
end

local function item(name, context_name, doc, rows)
  local it = { name = name, context = context_name, doc = doc }
  it.rows, it.by_name = rows_of(rows)
  M.items[#M.items + 1], M.item[name] = it, it
end

local APPEND = { "append", "bool", "add to the item of this name that exists", { default = false, old = "override" } }
local OVERRIDE = { "override", "override", "what this item does to the one of this name that exists" }

map("alternative", "a plugin that would do as well", {
  { "name", "text", "name of the plugin", { required = true } },
  { "version", "text", "its oldest version that will do, as 1.2.3", { required = true } },
})
map("plugin", "a plugin that these rules were written for", {
  { "name", "text", "name of the plugin", { required = true } },
  { "version", "text", "its oldest version that will do, as 1.2.3", { required = true } },
  { "alternatives", "maps", "plugins that would do as well", { of = "alternative" } },
})
map("exception", "values for which the rule does not hold", {
  { "name", "text", "name, for appending to it", { required = true } },
  { "fields", "entry", "a field, or a list of them" },
  { "comps", "entry", "an operator, or one for each field; without it: in, or =" },
  { "values", "entry", "a list of values, or of lists with a value for each field" },
})

item("required_engine_version", "required_engine_version", "the oldest engine that understands this file", {
  { "required_engine_version", "version", "as 0.31.0, or 31 for short", { required = true } },
})
item("required_plugin_versions", "required plugin versions", "plugins that these rules were written for", {
  { "required_plugin_versions", "maps", "the plugins", { required = true, of = "plugin" } },
})
item("list", "list", "values that conditions use by name", {
  { "list", "text", "name of the list", { required = true } },
  { "items", "texts", "values, or names of earlier lists", { required = true, append = true, replace = true } },
  APPEND, OVERRIDE,
})
item("macro", "macro", "a part of conditions, with a name", {
  { "macro", "text", "name of the macro", { required = true } },
  { "condition", "text", "the condition it stands for", { required = true, append = true, replace = true } },
  APPEND, OVERRIDE,
})
item("rule", "rule", "what to alert on, and how", {
  { "rule", "text", "name of the rule", { required = true } },
  { "condition", "text", "which events it matches", { required = true, append = true, replace = true } },
  { "output", "text", "text of the alert, with %fields", { required = true, append = true, replace = true } },
  { "desc", "text", "what the rule finds, for people", { required = true, append = true, replace = true } },
  { "priority", "priority", "how important its alerts are", { required = true, replace = true } },
  { "source", "text", "event source it is for", { default = "syscall" } },
  { "tags", "texts", "words to choose rules by", { append = true, replace = true } },
  { "exceptions", "maps", "when the rule does not hold", { append = true, replace = true, of = "exception" } },
  { "enabled", "bool", "whether it runs", { replace = true, default = true } },
  { "capture", "bool", "write the events around its alerts to a capture file", { replace = true, default = false } },
  { "capture_duration", "whole", "for how many milliseconds", { replace = true, default = 0 } },
  { "script", "script", "Lua that decides what it alerts on: a path that ends in .lua, or the text itself", { replace = true } },
  { "throttle", "throttle", "how many alerts pass in what time, told apart by which fields: {count: 5, within: 1m, by: [proc.name]}",
    { replace = true } },
  { "warn_evttypes", "bool", "warn when it looks at nearly every type of event", { replace = true, default = true } },
  { "skip-if-unknown-filter", "bool", "leave it out, instead of failing, when it names unknown fields",
    { replace = true, default = false } },
  OVERRIDE, APPEND,
})

-- Names of the keys for which keep(row) is true (nil: of all), in the order of the rows.
function M.names(item_or_map, keep)
  local out = {}
  for _, row in ipairs(item_or_map.rows) do
    if not keep or keep(row) then
      out[#out + 1] = row.key
    end
  end
  return out
end

return M
