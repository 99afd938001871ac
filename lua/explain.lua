-- SPDX-License-Identifier: Apache-2.0
-- `falco why RULE CAPTURE`: the events that a rule matches, or if there are none those that come nearest, each with the rule's
-- condition as a tree in which every comparison shows what it found (why.lua). With --event that of one event.
--
-- Exit status: 0 the rule matches (the event, or some event); 1 it does not; 2 there is no such rule or event, or it cannot be
-- told.
local console = require("console")
local core = require("core")
local diag = require("diag")
local json = require("json")
local run = require("run")
local scan = require("scan")
local why = require("why")

local M = {}

M.MATCHES, M.DOES_NOT, M.CANNOT_TELL = 0, 1, 2
M.SHOWN = 3                   -- events, unless --limit says otherwise

-- ------------------------------------------------------------------ how near

-- How many comparisons would have to answer otherwise for a tree in normal form to hold.
local function distance(tree, evt)
  if tree.kind == "leaf" then return (core.C.leaf(evt, tree.id) ~= 0) ~= tree.neg and 0 or 1 end
  local all = tree.kind == "and"
  local best = all and 0 or math.huge
  for _, child in ipairs(tree) do
    local n = distance(child, evt)
    best = all and best + n or math.min(best, n)
  end
  return best
end

-- The events of the rule's types that come nearest: { { num, distance }, ... }, nearest first, and how many of such types
-- there are.
local function nearest(s, cond, limit)
  local best, total = {}, 0
  local n, message = s:visit(nil, function(evt, head, num)
    if not scan.fits(cond.events, head) then return end
    total = total + 1
    local d = distance(cond.tree, evt)
    if #best == limit and d >= best[limit].distance then return end
    local at = #best + 1
    while at > 1 and best[at - 1].distance > d do at = at - 1 end
    table.insert(best, at, { num = num, distance = d })
    best[limit + 1] = nil
  end, { ruleset = cond.ruleset })
  if not n then return nil, message end
  return best, total
end

-- ------------------------------------------------------------------ telling

-- A tree as plain data.
local function plain(node)
  local out = { kind = node.kind, value = node.value, decides = node.decides or false }
  if node.kind == "check" then
    out.text, out.field, out.actual, out.other = node.text, node.field, node.actual or json.null, node.other
  elseif node.kind == "macro" then
    out.name = node.name
  end
  if #node > 0 then
    out.parts = json.array()
    for i, child in ipairs(node) do out.parts[i] = plain(child) end
  end
  return out
end

local function as_json(found, trees)
  local events = json.array()
  for i, tree in ipairs(trees) do
    events[i] = { num = tree.num, type = tree.type, match = tree.match, wanted = tree.wanted, tree = plain(tree),
                  distance = found.distances and found.distances[i] }
  end
  return json.encode({ rule = found.rule, matches = found.matches, of_its_types = found.total, events = events }) .. "\n"
end

local function headline(found)
  if found.matches and found.matches > 0 then
    return ("'%s' matches %d event%s\n"):format(found.rule, found.matches, found.matches == 1 and "" or "s")
  elseif found.total == 0 then
    return ("'%s' matches nothing: there is no event of a type that it looks at\n"):format(found.rule)
  elseif found.total then
    return ("'%s' matches none of the %d events of its types; the nearest lack %d comparison%s\n"):format(found.rule, found.total,
      found.distances[1], found.distances[1] == 1 and "" or "s")
  end
  return ""
end

local function as_text(found, trees)
  local out = { headline(found) }
  for i, tree in ipairs(trees) do
    out[#out + 1] = (i > 1 or out[1] ~= "") and "\n" or nil
    out[#out + 1] = why.text(tree, { colour = console.has_colour(1) })
  end
  return table.concat(out)
end

-- ------------------------------------------------------------------ finding

local function fail(message, hint)
  console.error(hint and message .. hint or message)
  return nil
end

-- The rule of that name, or nil after saying so.
local function rule_named(result, name)
  local names = {}
  for i, rule in ipairs(result.rules) do
    if rule.name == name then return rule end
    names[i] = rule.name
  end
  local near = diag.suggest(name, names)
  return fail(("there is no rule '%s'"):format(name), near and (" (did you mean '%s'?)"):format(near))
end

-- Numbers of the events to show, and what is known of all.
local function choose(s, cond, options)
  local limit = options.limit or M.SHOWN
  if options.event then return { options.event }, { rule = options.rule } end
  local hits, message = s:find(cond)
  if not hits then return nil, message end
  local found = { rule = options.rule, matches = hits.count }
  if hits.count > 0 then return hits:list(limit), found end
  local best, total = nearest(s, cond, math.max(limit, 1))
  if not best then return nil, total end
  local nums = {}
  found.total, found.distances = total, {}
  for i, near in ipairs(best) do nums[i], found.distances[i] = near.num, near.distance end
  return nums, found
end

local function trees_of(s, cond, nums)
  local trees = {}
  for i, num in ipairs(nums) do
    local tree, message = s:why(cond, num)
    if not tree then return nil, message end
    trees[i] = tree
  end
  return trees
end

local function explain(s, cond, options)
  local nums, found = choose(s, cond, options)
  if not nums then return fail(found) end
  local trees, message = trees_of(s, cond, nums)
  if not trees then return fail(message) end
  console.print((options.as_json and as_json or as_text)(found, trees))
  if options.event then return trees[1].match end
  return found.matches > 0
end

local function open(config, options)
  local paths, message = run.rules_files(config, options)
  if not paths then return fail(message) end
  local loaded = run.load_rules(config, run.read_files(paths))
  console.diagnostics(loaded.diags, { level = "error" })
  local rule = loaded.result.ok and rule_named(loaded.result, options.rule)
  if not rule then return nil end
  local s
  s, message = scan.open{ files = { options.file }, config = config }
  if not s then return fail(message) end
  return s, s:of_rule(loaded.result, rule)
end

function M.run(config, options)
  local s, cond = open(config, options)
  if not s then return M.CANNOT_TELL end
  local matches = explain(s, cond, options)
  s:close()
  if matches == nil then return M.CANNOT_TELL end
  local failure = console.failure()
  if failure then
    console.error(failure)
    return M.CANNOT_TELL
  end
  return matches and M.MATCHES or M.DOES_NOT
end

return M
