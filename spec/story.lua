-- SPDX-License-Identifier: Apache-2.0
-- Captures told by name, and whether the gate sees in them what a naive walk sees.
--
--   local s = story.new{ processes = { { tid = 10, comm = "sh" } } }
--   s:probe(10)                                    an event that changes nothing, to look at the thread
--   s:event("setuid", 10, { res = 0, uid = 5 })    parameters by name; those left out are empty on the wire
--   s:probe(10)
--   s:expect("user.uid = 0", "10")                 the condition holds at the first probe, not at the second
--   s:expect{ ["user.uid = 5"] = "01", ... }
local core = require "core"
local rules = require "rules"
local naive = dofile "spec/naive.lua"
local scap = dofile "test/scap.lua"
local support = dofile "spec/support.lua"
local ffi = core.ffi

local M = {}
local story = {}
story.__index = story

-- ------------------------------------------------------------------ events by name

local widths

local function width_of(type_name)
  if not widths then
    widths = {}
    for line in io.lines("c/driver/types.def") do
      local name, width = line:match("^TYPE%(%d+, ([%w_]+), (%d+)%)")
      if name then
        widths[name] = tonumber(width)
      end
    end
  end
  return widths[type_name]
end

-- The code that drivers of today write for it: exits of system calls, and meta events.
local function code_of(name)
  local C = core.C
  for code = C.event_count() - 1, 0, -1 do
    local usable = not C.event_is_unused(code) and not (C.event_is_old(code) and C.event_is_exit(code))
    if usable and core.cstr(C.event_info(code).name) == name and C.event_is_exit(code) == C.event_is_from_syscall(code) then
      return code
    end
  end
  error("no event " .. name)
end

local LE = { [1] = string.char, [2] = scap.le16, [4] = scap.le32, [8] = scap.le64 }

local function encoded(type_name, value)
  if value == nil then
    return ""
  elseif type(value) == "number" then
    local width = width_of(type_name)
    return LE[width](width == 1 and value % 256 or value)
  end
  return (type_name:find("^CHARBUF") or type_name:find("PATH$")) and value .. "\0" or value
end

-- ------------------------------------------------------------------ telling

local function head(options)
  local out = { scap.section(), scap.machine("box") }
  out[#out + 1] = scap.interfaces(options.interfaces or { "\10\0\0\1" })
  out[#out + 1] = scap.processes(options.processes)
  return table.concat(out)
end

-- options.processes as of scap.process(), options.interfaces
function M.new(options)
  return setmetatable({ blocks = { head(options) }, ts = 1e18, probes = 0 }, story)
end

-- A later section: the host is listed anew.
function story:section(options)
  self.blocks[#self.blocks + 1] = head(options)
end

-- tid nil: an event of no thread
function story:event(name, tid, values)
  local code = code_of(name)
  local info, params, known = core.C.event_info(code), {}, 0
  for i = 0, info.nparams - 1 do
    local param = info.params[i]
    local value = values and values[core.cstr(param.name)]
    known = known + (value ~= nil and 1 or 0)
    params[i + 1] = encoded(core.cstr(core.C.type_name(param.type)), value)
  end
  for _ in pairs(values or {}) do
    known = known - 1
  end
  assert(known == 0, name .. ": a parameter of no such name")
  self.ts = self.ts + 1024
  self.blocks[#self.blocks + 1] = scap.event(code, tid or -1, self.ts, params, code == core.C.event_async_code())
end

-- Looks at a thread; fd: and at a descriptor of its.
function story:probe(tid, fd)
  self.probes = self.probes + 1
  if fd then
    self:event("fstat", tid, { res = 0, fd = fd })
  else
    self:event("setpgid", tid, { res = -1 })
  end
end

-- ------------------------------------------------------------------ looking

local PROBES = "evt.type in (setpgid, fstat)"

local function hits_of(path, text, gated)
  local result = support.good(text)
  local hits, probes, seen = {}, {}, {}
  local prog = rules.compile(result, { matching = "all", gate = gated })
  for code = 0, core.C.event_count() - 1 do
    core.C.ruleset_want(result.ruleset, code, -1)
  end
  support.replay(path, result.ruleset, function(evt, head_)
    local found = naive.matches(result.rules, evt, false)
    if gated then
      found = support.let_through(result.ruleset, prog, evt, found)
    end
    for _, index in ipairs(found) do
      hits[#hits + 1] = ("%s at %d"):format(result.rules[index].name, tonumber(head_.num))
      seen[index] = seen[index] or {}
      seen[index][tonumber(head_.num)] = true
    end
  end)
  for num in pairs(seen[1] or {}) do
    probes[#probes + 1] = num
  end
  table.sort(probes)
  core.C.ruleset_free(result.ruleset)
  return hits, probes, seen
end

local function quoted(condition)
  return "'" .. condition:gsub("'", "''") .. "'"
end

-- Rules of all probes and all events; then each condition: at probes, at all events, and negated.
local function rules_of(conditions)
  local out = { support.rule("probes", PROBES), support.ANY }
  for _, condition in ipairs(conditions) do
    out[#out + 1] = support.rule(quoted("probes: " .. condition), quoted(("%s and (%s)"):format(PROBES, condition)))
    out[#out + 1] = support.rule(quoted("all: " .. condition), quoted(condition), "  warn_evttypes: false\n")
    out[#out + 1] = support.rule(quoted("none: " .. condition), quoted(("%s and not (%s)"):format(PROBES, condition)))
  end
  return table.concat(out)
end

local function pattern(probes, seen)
  local out = {}
  for i, num in ipairs(probes) do
    out[i] = seen and seen[num] and "1" or "0"
  end
  return table.concat(out)
end

-- conditions: { [condition] = pattern over the probes }
function story:expect(conditions, wanted)
  if wanted then
    return self:expect{ [conditions] = wanted }
  end
  local path = os.tmpname()
  local f = assert(io.open(path, "wb"))
  f:write(table.concat(self.blocks))
  f:close()
  local list = {}
  for condition in pairs(conditions) do
    list[#list + 1] = condition
  end
  table.sort(list)
  local text = rules_of(list)
  local walked, probes, seen = hits_of(path, text, false)
  local gated = hits_of(path, text, true)
  os.remove(path)
  local told = {}
  for i, condition in ipairs(list) do
    told[condition] = pattern(probes, seen[3 * i])
  end
  local assert = require "luassert"
  assert.equal(self.probes, #probes)
  assert.same(conditions, told)             -- the story is what it was meant to be
  assert.same(walked, gated)
end

M.le16, M.le64 = scap.le16, scap.le64

return M
