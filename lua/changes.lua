-- SPDX-License-Identifier: Apache-2.0
-- What a reload changed, told apart from what it left alone.
--   changes.rules(old, new)      lists of rules, as rules.load() makes them -> { added =, removed =, changed = }, names in order
--   changes.config(old, new)     -> { "json_output", "engine.kind", ... } keys of falco.yaml whose values differ, in order of the
--                                schema, and those of them that only a restart changes
--   changes.keep(old, new, keys) puts the old values of these keys into the new configuration
--   changes.text(rules, keys)    one line for people
-- A rule has changed if what it does or says has: a list or macro that it uses counts, comments and order do not.
local schema = require("schema")
local spell = require("rules.spell")

local M = {}

-- ------------------------------------------------------------------ values

-- Deep and ordered: equal values have equal texts. Keys of ours are texts, or numbers in a row.
local function write(value, out)
  if type(value) ~= "table" then
    local text = tostring(value)
    out[#out + 1] = ("%s %d %s,"):format(type(value), #text, text)
    return
  end
  local keys = {}
  for key in pairs(value) do keys[#keys + 1] = key end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  out[#out + 1] = "{"
  for _, key in ipairs(keys) do
    write(key, out)
    write(value[key], out)
  end
  out[#out + 1] = "}"
end

local function text_of(value)
  local out = {}
  write(value, out)
  return table.concat(out)
end

-- ------------------------------------------------------------------ rules

local function write_tree(tree, out)
  if tree.kind == "leaf" then
    out[#out + 1] = (tree.neg and "!" or "") .. spell.check_text(tree.check)
    return
  end
  out[#out + 1] = tree.kind .. "("
  for _, child in ipairs(tree) do write_tree(child, out) end
  out[#out + 1] = ")"
end

-- What a rule does and says, as one text.
local function face(rule)
  local out = {}
  if rule.tree then write_tree(rule.tree, out) end
  local extra = {}
  for i, field in ipairs(rule.extra_fields or {}) do extra[i] = { field.name, field.plan.text } end
  write({ rule.output, rule.priority, rule.enabled, rule.tags, rule.source, rule.capture or false, rule.capture_duration or 0, extra,
    rule.throttle or false, rule.script or false }, out)
  return table.concat(out, "\n")
end

local function by_name(rules)
  local map = {}
  for _, rule in ipairs(rules) do map[rule.name] = rule end
  return map
end

function M.rules(old, new)
  local before, after = by_name(old), by_name(new)
  local out = { added = {}, removed = {}, changed = {} }
  for _, rule in ipairs(new) do
    local was = before[rule.name]
    local list = not was and out.added or face(was) ~= face(rule) and out.changed or nil
    if list then list[#list + 1] = rule.name end
  end
  for _, rule in ipairs(old) do
    if not after[rule.name] then out.removed[#out.removed + 1] = rule.name end
  end
  return out
end

-- ------------------------------------------------------------------ configuration

local function walk(rows, prefix, old, new, restart, out)
  for _, row in ipairs(rows) do
    local name, spec = row[1], row[2]
    local a, b, path = old[name], new[name], prefix .. name
    local fixed = restart or spec.restart or false
    if spec.kind == "map" and type(a) == "table" and type(b) == "table" then
      walk(spec.rows, path .. ".", a, b, fixed, out)
    elseif not spec.alias and text_of(a) ~= text_of(b) then
      out.all[#out.all + 1] = path
      if fixed then out.restart[#out.restart + 1] = path end
    end
  end
end

function M.config(old, new)
  local out = { all = {}, restart = {} }
  walk(schema.root.rows, "", old, new, false, out)
  return out.all, out.restart
end

function M.keep(old, new, keys)
  for _, key in ipairs(keys) do
    local from, to, last = old, new, nil
    for name in key:gmatch("[^.]+") do
      if last then from, to = from[last], to[last] end
      last = name
    end
    to[last] = from[last]
  end
end

-- Whether one of the keys is `name`, or lies in it.
function M.touches(keys, name)
  for _, key in ipairs(keys) do
    if key == name or key:sub(1, #name + 1) == name .. "." then return true end
  end
  return false
end

-- ------------------------------------------------------------------ text

local MANY = 20

local function listed(names)
  local shown = {}
  for i = 1, math.min(#names, MANY) do shown[i] = names[i] end
  return table.concat(shown, ", ") .. (#names > MANY and (" and %d more"):format(#names - MANY) or "")
end

function M.text(rules, keys)
  local parts = {}
  for _, what in ipairs{ { "added", rules.added }, { "removed", rules.removed }, { "changed", rules.changed } } do
    local names = what[2]
    if #names > 0 then
      parts[#parts + 1] = ("%d %s %s (%s)"):format(#names, #names == 1 and "rule" or "rules", what[1], listed(names))
    end
  end
  if #keys > 0 then parts[#parts + 1] = "configuration: " .. listed(keys) end
  return #parts > 0 and table.concat(parts, "; ") or "nothing has changed"
end

return M
