-- SPDX-License-Identifier: Apache-2.0
-- Which system calls and tracepoints a live source has to report for a ruleset (c/engine/interest.h says how they add up).
--
--   local watch = interest.of(result, { custom_set = {}, repair = false, all = false })     base_syscalls of falco.yaml
--     .set       struct syscall_set
--     .names     sorted names of what is in it: of the event, or of a call that has none of its own
--     .left_out  sorted names of what enabled rules could match and the set lacks
--     .unknown   names of the custom set that no call has, as written
--   interest.ignored() -> sorted names of the events that are left out, whatever the rules ask for, unless `all` is on; also of
--                         those that calls of other machines have
local core = require "core"
local ffi = core.ffi
local lower = require "rules.lower"
local sorted_keys = require "sorted_keys"

local M = {}

-- The name under which conditions know a call.
local function name_of(sc)
  local code = core.C.syscall_event(sc)
  if code == 0 or core.C.event_is_generic(code) then
    return core.cstr(core.C.syscall_name(sc))
  end
  return core.cstr(core.C.event_info(code).name)
end

-- Can a condition be true for events of this call?
local function can_match(events, sc)
  local code = core.C.syscall_event(sc)
  if code == 0 then
    return false
  elseif not core.C.event_is_generic(code) then
    return events.codes == lower.ALL or events.codes[code] or false
  end
  local syscalls = lower.syscalls(events)
  return syscalls == lower.ALL or syscalls[sc] or false
end

local function names(has)
  local set = {}
  for sc = 0, core.C.syscall_count() - 1 do
    if has(sc) then
      set[name_of(sc)] = true
    end
  end
  return sorted_keys(set)
end

-- What enabled rules can match, as the rules member of a struct interest.
local function add_rules(want, rules)
  for _, rule in ipairs(rules) do
    for sc = 0, rule.enabled and core.C.syscall_count() - 1 or -1 do
      if can_match(rule.events, sc) then
        want.rules.has[sc] = true
      end
    end
  end
end

function M.of(result, base)
  local C, custom = core.C, base.custom_set or {}
  local texts, bad = ffi.new("struct str[?]", math.max(#custom, 1)), ffi.new("bool[?]", math.max(#custom, 1))
  for i, name in ipairs(custom) do
    texts[i - 1].p, texts[i - 1].len = name, #name
  end
  local want = ffi.new("struct interest", { custom = texts, ncustom = #custom, bad = bad,
    flags = (base.repair and C.INTEREST_REPAIR or 0) + (base.all and C.INTEREST_ALL or 0) })
  add_rules(want, result.rules)
  local set, unknown = ffi.new("struct syscall_set"), {}
  C.interest(want, set)
  for i, name in ipairs(custom) do
    if bad[i - 1] then
      unknown[#unknown + 1] = name
    end
  end
  return {
    set = set, unknown = unknown,
    names = names(function(sc) return set.has[sc] end),
    left_out = names(function(sc) return want.rules.has[sc] and not set.has[sc] end),
  }
end

function M.ignored()
  local set = {}
  for code = 0, core.C.event_count() - 1 do
    if core.C.event_is_left_out(code) then
      set[core.cstr(core.C.event_info(code).name)] = true
    end
  end
  return sorted_keys(set)
end

return M
