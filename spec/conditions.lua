-- SPDX-License-Identifier: Apache-2.0
-- Random conditions over fields and values that really occur in captures.
--
--   local pool = conditions.pool(captures)           what the captures show; takes a while, keep it
--   local new = conditions.generator(pool, seed)     new() -> text of a condition that loads
--   math.random is used and seeded; the same seed and pool give the same conditions.
local core = require "core"
local support = dofile "spec/support.lua"
local ffi = core.ffi

local M = {}

local MAX_VALUES, MAX_TEXT = 12, 60		-- remembered of one field

-- ------------------------------------------------------------------ fields, with arguments

local KEYS = { ["proc.env"] = { "PATH", "HOME" }, ["proc.aenv"] = { "PATH" }, ["thread.cgroup"] = { "memory", "cpu" },
               ["evt.arg"] = { "flags", "res", "name", "fd", "data" }, ["evt.rawarg"] = { "flags", "res", "fd" },
               ["evt.type.is"] = { "openat" }, ["evt.abspath"] = { "src" } }

-- { text, info, values = {} }
local function add_use(uses, info, arg)
  local name = core.cstr(info.name)
  uses[#uses + 1] = { text = arg and ("%s[%s]"):format(name, arg) or name, info = info, values = {} }
end

local function list_uses()
  local C, uses = core.C, {}
  for i = 0, C.field_count() - 1 do
    local info = C.field_info(i)
    local name, dotted = core.cstr(info.name), bit.band(info.arg, C.ARG_DOT) ~= 0
    if bit.band(info.arg, C.ARG_REQUIRED) == 0 then
      add_use(uses, info)
    end
    if bit.band(info.arg, C.ARG_INDEX) ~= 0 then
      add_use(uses, info, 0)
      add_use(uses, info, 1)
    end
    for _, key in ipairs(KEYS[name] or {}) do
      add_use(uses, info, key)
      if dotted then
        uses[#uses].text = name .. "." .. key
      end
    end
  end
  return uses
end

-- ------------------------------------------------------------------ values

local buffer = ffi.new("char[256]")

local function is_usable(text)
  return #text > 0 and #text <= MAX_TEXT and not text:find('[%c"\\\128-\255]')
end

local function keep(use, value)
  local C = core.C
  if bit.band(value.flags, C.VALUE_LIST) ~= 0 then
    local items = ffi.cast("const struct value *", value.p)
    for i = 0, math.min(tonumber(value.num.n), 4) - 1 do
      keep(use, items[i])
    end
    return
  end
  local text = ffi.string(buffer, math.min(C.value_text(value, buffer, 256), 256))
  if value.type ~= 0 and #use.values < MAX_VALUES and is_usable(text) and not use.values[text] then
    use.values[#use.values + 1], use.values[text] = text, true
  end
end

local function want_all(rs)
  for code = 0, core.C.event_count() - 1 do
    core.C.ruleset_want(rs, code, -1)
  end
end

-- Fills the values of those uses that outputs may show, from every n-th event.
local function sample(uses, captures, every)
  local C, rs = core.C, core.C.ruleset_new()
  local shown, ids = {}, {}
  for _, use in ipairs(uses) do
    local id = bit.band(use.info.flags, C.FIELD_FILTER_ONLY) == 0
      and require("rules.ruleset").operand(rs, require("rules.grammar").operand(use.text, 1))
    if id then
      shown[#shown + 1], ids[#ids + 1] = use, id
    end
  end
  local output = require("rules.ruleset").output(rs, ids)
  want_all(rs)
  for _, capture in ipairs(captures) do
    local n = 0
    support.replay(capture, rs, function(evt)
      n = n + 1
      if n % every == 0 then
        local alert = C.alert_fill(evt, output)
        for i, use in ipairs(shown) do
          keep(use, alert.values[i - 1])
        end
      end
    end)
  end
  C.ruleset_free(rs)
end

-- { uses by scope, every value of all }
function M.pool(captures)
  local pool = { scopes = {}, values = {} }
  local uses = list_uses()
  sample(uses, captures, 53)
  for _, use in ipairs(uses) do
    local scope = use.info.scope
    pool.scopes[scope] = pool.scopes[scope] or {}
    table.insert(pool.scopes[scope], use)
    for _, value in ipairs(use.values) do
      pool.values[#pool.values + 1] = value
    end
  end
  return pool
end

-- ------------------------------------------------------------------ literals

local random = math.random

local function pick(list)
  return list[random(#list)]
end

local OPS = { "=", "=", "=", "!=", "!=", "<", "<=", ">", ">=", "contains", "icontains", "bcontains", "startswith", "startswith",
              "bstartswith", "endswith", "glob", "iglob", "regex", "in", "in", "in", "intersects", "pmatch" }
local MODIFIERS = { "oneof", "anyof", "allof" }
local TRANSFORMERS = { "tolower", "toupper", "b64", "basename", "len" }
local PIECE = {		-- what of a value such an operator could find
  contains = function(v) return v:sub(random(#v)) end, icontains = function(v) return v:sub(1, random(#v)):upper() end,
  startswith = function(v) return v:sub(1, random(#v)) end, endswith = function(v) return v:sub(random(#v)) end,
  glob = function(v) return v:sub(1, random(#v)) .. "*" end, iglob = function(v) return v:upper():sub(1, random(#v)) .. "*" end,
  regex = function(v) return v:sub(1, random(#v)):gsub("%W", ".") .. ".*" end,
  bcontains = function(v) return (v:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) end,
  bstartswith = function(v) return (v:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) end,
}
local LIST = { ["in"] = true, intersects = true, pmatch = true }

local function constant(pool, use, op)
  local roll = random(10)
  local value = roll <= 7 and #use.values > 0 and pick(use.values) or roll <= 9 and pick(pool.values) or tostring(random(0, 70))
  local text = PIECE[op] and random(4) > 1 and PIECE[op](value) or value
  return '"' .. text .. '"'
end

local function list(pool, use, op)
  local out = {}
  for i = 1, random(1, 5) do
    out[i] = constant(pool, use, op)
  end
  return "(" .. table.concat(out, ", ") .. ")"
end

-- Scopes by weight: what the gate remembers most often.
local function scope_of_roll()
  local C, roll = core.C, random(100)
  return roll <= 32 and C.SCOPE_SELF or roll <= 64 and C.SCOPE_FD or roll <= 78 and C.SCOPE_LINEAGE or roll <= 98 and C.SCOPE_EVENT
    or C.SCOPE_STATEFUL
end

-- May be nonsense: the rules loader decides.
local function literal(pool)
  local use = pick(pool.scopes[scope_of_roll()])
  local left = random(8) == 1 and ("%s(%s)"):format(pick(TRANSFORMERS), use.text) or use.text
  local roll, op = random(20), pick(OPS)
  if roll == 1 then
    return left .. " exists"
  elseif roll == 2 then
    local other = pick(pool.scopes[scope_of_roll()]).text
    return ("%s %s %s"):format(left, op, random(2) == 1 and "val(" .. other .. ")" or ("%s(%s)"):format(pick(TRANSFORMERS), other))
  elseif roll <= 4 then
    return ("%s %s %s %s"):format(left, op, pick(MODIFIERS), list(pool, use, op))
  end
  return ("%s %s %s"):format(left, op, LIST[op] and list(pool, use, op) or constant(pool, use, op))
end

-- Those of `texts` that load as conditions.
local function loadable(texts)
  local rules, out = {}, {}
  for i, text in ipairs(texts) do
    rules[i] = support.rule(tostring(i), "'" .. text:gsub("'", "''") .. "'", "  warn_evttypes: false\n")
  end
  local result = support.load(table.concat(rules))
  for _, rule in ipairs(result.rules) do
    out[#out + 1] = texts[tonumber(rule.name)]
  end
  core.C.ruleset_free(result.ruleset)
  return out
end

-- ------------------------------------------------------------------ trees

local EVENTS = { "evt.type in (open, openat, openat2)", "evt.type in (execve, execveat)", "evt.type in (read, write, close, fstat)",
                 "evt.type in (connect, accept, accept4, sendto, recvfrom, bind)", "evt.type != close", "evt.type = getuid",
                 "evt.type in (clone, clone3, fork, vfork)", "syscall.type exists", "evt.type in (dup, dup2, dup3, fcntl)" }

-- Whose answer depends on how often they were asked.
local STATEFUL = { "evt.deltatime > 1000", "evt.deltatime.ns < 200000", "util.cnt > 50" }

local function tree(literals, depth)
  local kind = random(depth > 0 and 6 or 1)
  if kind <= 2 then
    return pick(literals)
  elseif kind == 3 then
    return "not (" .. tree(literals, depth - 1) .. ")"
  end
  local parts = {}
  for i = 1, random(2, 4) do
    parts[i] = tree(literals, depth - 1)
  end
  return "(" .. table.concat(parts, kind == 4 and " or " or " and ") .. ")"
end

function M.generator(pool, seed)
  math.randomseed(seed)
  local texts = {}
  for i = 1, 1500 do
    texts[i] = literal(pool)
  end
  local literals = loadable(texts)
  return function()
    local condition = tree(literals, 4)
    if random(8) == 1 then
      condition = ("(%s %s %s)"):format(condition, random(2) == 1 and "or" or "and", pick(STATEFUL))
    end
    return random(2) == 1 and ("%s and %s"):format(pick(EVENTS), condition) or condition
  end, literals
end

return M
