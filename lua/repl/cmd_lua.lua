-- SPDX-License-Identifier: Apache-2.0
-- Lua at the prompt: `:lua EXPR`, and functions that are typed as they are. What is typed runs in a state of mind of its own:
-- the language and its strings, tables and mathematics, no files, no programs, nothing of ours.
--
--   evt.proc.name, evt["proc.name"], evt.type      in on_event(evt): the value of a field, nil when it is missing
--   find("CONDITION") -> { numbers of events }     count("CONDITION") -> how many
--   event(N) -> the same as evt, for one event
--
-- It must not take the session with it: it runs without the JIT compiler, so that a hook sees Ctrl-C and memory.
local core = require("core")
local diag = require("diag")
local find = require("repl.find")
local rules = require("rules")
local show = require("repl.show")
local spark = require("repl.spark")

local M = {}

local STEP = 1000                      -- instructions between two looks
local MAX_MEMORY = 256 * 1024         -- kB that Lua may have while it runs
local TOO_MUCH = "this takes more memory than Lua at the prompt may have; its variables are forgotten"
local MAX_SHOWN = 100                  -- items of a table that are printed
local MAX_LIST = 1000000               -- events that find() returns

function M.is_lua(text)
  return text:find("^%s*function[%s(]") ~= nil or text:find("^%s*local%s") ~= nil
end

local function compiled(text)
  local chunk = loadstring("return " .. text, "=lua")
  if chunk then return chunk end
  return loadstring(text, "=lua")
end

local function body(text)
  return text:match("^%s*:l[ua]*%s+(.*)$") or text
end

-- Does the text end in the middle of something?
function M.is_open(text)
  local chunk, message = compiled(body(text))
  return not chunk and message:find("near '<eof>'", 1, true) ~= nil
end

-- ------------------------------------------------------------------ values

local function quoted(s)
  return ('"%s"'):format(show.value(s):gsub('[\\"]', "\\%0"))
end

local inspect

local function inspect_table(t, depth)
  local parts, n = {}, 0
  for i = 1, math.min(#t, MAX_SHOWN) do parts[i] = inspect(rawget(t, i), depth + 1) end
  n = #parts
  for key, value in next, t do
    local in_list = type(key) == "number" and key >= 1 and key <= #t and key == math.floor(key)
    if not in_list then
      n = n + 1
      if n > MAX_SHOWN then break end
      local name = type(key) == "string" and key:find("^[%a_][%w_]*$") and key or ("[%s]"):format(inspect(key, depth + 1))
      parts[#parts + 1] = ("%s = %s"):format(name, inspect(value, depth + 1))
    end
  end
  if #t > MAX_SHOWN or n > MAX_SHOWN then parts[#parts + 1] = "..." end
  return "{ " .. table.concat(parts, ", ") .. " }"
end

function inspect(value, depth)
  local kind = type(value)
  if kind == "string" then return quoted(value) end
  if kind == "table" then return depth > 3 and "{...}" or next(value) == nil and "{}" or inspect_table(value, depth) end
  if kind == "number" or kind == "boolean" or kind == "nil" then return tostring(value) end
  return "(" .. kind .. ")"
end

-- What error() was given may be anything.
local function error_text(err)
  return type(err) == "string" and show.value(err) or ("an error that is a %s"):format(type(err))
end

-- ------------------------------------------------------------------ events

local KINDS = {}
local function converted(text, kind)
  if KINDS[kind] == nil then KINDS[kind] = kind == "BOOL" and "bool" or (kind:find("INT") or kind:find("^FD")) and "number"
    or false end
  if KINDS[kind] == "bool" then return text == "true" end
  return KINDS[kind] == "number" and tonumber(text) or text
end

local Reader = {}
Reader.__index = Reader

-- Reads fields of the event at hand; ruleset: in use while it is.
local function new_reader(ruleset)
  return setmetatable({ ruleset = ruleset, outputs = {}, kinds = {} }, Reader)
end

-- The output for a field, or false: there is none of that name.
function Reader:output(field)
  local known = self.outputs[field]
  if known == nil then
    local plan = #field <= 200 and rules.output{ text = "*%" .. field, ruleset = self.ruleset, diag = diag.new(), name = "field" }
    known = plan and #plan.parts == 1 and plan.output or false
    self.outputs[field] = known
    if known then
      self.kinds[field] = core.cstr(core.C.type_name(core.C.ruleset_expr(self.ruleset, plan.exprs[1]).type))
    end
  end
  return known
end

local room

function Reader:value(field)
  if not self.evt then error("the event is gone: its fields can be read in on_event() only", 0) end
  room = room or core.ffi.new("char[65536]")
  local value = core.C.alert_fill(self.evt, self:output(field)).values
  if value.type == 0 then return nil end
  return converted(core.ffi.string(room, math.min(core.C.value_text(value, room, 65536), 65536)), self.kinds[field])
end

local function is_prefix(name)
  for i = 0, core.C.field_count() - 1 do
    if core.cstr(core.C.field_info(i).name):sub(1, #name) == name then return true end
  end
  return false
end

-- read(field) -> value, is(field) -> there is such a field.
local function event_object(read, is, prefix)
  local parts = {}
  return setmetatable({}, {
    __newindex = function() error("events cannot be changed", 2) end, __metatable = false,
    __index = function(_, key)
      if type(key) ~= "string" and type(key) ~= "number" then return nil end
      local field = prefix .. key
      if is(field) then return read(field) end
      if prefix == "" and is("evt." .. key) then return read("evt." .. key) end
      if parts[key] == nil then
        if not is_prefix(field .. ".") and not is_prefix(field) then
          error(("there is no field '%s'"):format(show.value(field):sub(1, 100)), 2)
        end
        parts[key] = event_object(read, is, field .. ".")
      end
      return parts[key]
    end,
  })
end

-- ------------------------------------------------------------------ running

-- What runs now of the user's: is_inside while it is theirs, and not a function of ours that they called; over: why it must end.
local now = { is_inside = false, over = nil }
local call

-- The hook: whoever catches its error does not get far.
local function look()
  if core.C.interrupts_seen(false) then now.over = now.over or "stopped" end
  if collectgarbage("count") > MAX_MEMORY then now.over = now.over or TOO_MUCH end
  if now.over and now.is_inside and debug.getinfo(2, "f").func ~= call then
    debug.sethook(look, "", 1)
    error(now.over, 0)
  end
end

-- Calls a function of the user's; what pcall() says.
function call(fn, ...)
  local was = now.is_inside
  now.is_inside = true
  local results = { pcall(fn, ...) }
  now.is_inside = was
  return unpack(results, 1, table.maxn(results))
end

-- Between begin() and finish() the hook is there.
local function begin()
  now.over, now.is_inside = nil, false
  debug.sethook(look, "", STEP)
end

local function finish()
  debug.sethook()
  if now.over then collectgarbage() end
end

-- Runs a function of the user's: true and what it returns, or false and what went wrong, in one line.
local function guarded(fn, ...)
  begin()
  local results = { call(fn, ...) }
  finish()
  if now.over then return false, now.over end
  if not results[1] then return false, error_text(results[2]) end
  return true, unpack(results, 2, table.maxn(results))
end

-- A function of ours for their programs: the hook leaves it alone.
local function lent(fn)
  return function(...)
    local was = now.is_inside
    now.is_inside = false
    local results = { pcall(fn, ...) }
    now.is_inside = was
    if not results[1] then error(results[2], 0) end
    return unpack(results, 2, table.maxn(results))
  end
end

local function copy(t)
  local out = {}
  for key, value in pairs(t) do out[key] = value end
  return out
end

-- Conditions of the user's program: their mistakes are errors of it.
local function hits_of(session, text)
  if type(text) ~= "string" then error("find() and count() want a condition, as a text", 0) end
  if not session.scan then error("there is no capture", 0) end
  if session.is_visiting then error("find() and count() are not for on_event(): call them before, or in on_end()", 0) end
  local diags = diag.new()
  local made = session:condition(text, diags)
  if not made then error(diags:sorted()[1].message, 0) end
  local hits, message = session.scan:find(made, { progress = function() return not core.C.interrupts_seen(false) end })
  if not hits then error(message, 0) end
  return hits
end

local function environment(session)
  if session.lua then return session.lua end
  local env = { string = copy(string), table = copy(table), math = copy(math), bit = copy(bit) }
  for _, name in ipairs{ "assert", "error", "ipairs", "next", "pairs", "pcall", "select", "tonumber", "tostring", "type",
    "unpack" } do
    env[name] = _G[name]
  end
  env.string.dump = nil
  env._G = env
  env.print = lent(function(...)
    local parts = {}
    for i = 1, select("#", ...) do
      local value = select(i, ...)
      parts[i] = type(value) == "string" and show.value(value) or inspect(value, 0)
    end
    session.out:line(table.concat(parts, "  "))
  end)
  env.count = lent(function(text) return hits_of(session, text).count end)
  env.find = lent(function(text) return hits_of(session, text):list(MAX_LIST) end)
  env.event = lent(function(num)
    if type(num) ~= "number" or not session.scan then error("event() wants the number of an event, and a capture", 0) end
    if session.is_visiting then error("event() is not for on_event(): call it before, or in on_end()", 0) end
    local at, message = session.scan:at(num)
    if not at then error(message, 0) end
    local reader = new_reader(core.ffi.gc(core.C.ruleset_new(), core.C.ruleset_free))
    return event_object(lent(function(field)
      if session.is_visiting then error("event() is not for on_event(): call it before, or in on_end()", 0) end
      local kind = reader:output(field) and reader.kinds[field]
      local there = session.scan and session.scan:at(num)
      local text = there and there:value(field)
      return text and converted(text, kind)
    end), lent(function(field) return reader:output(field) ~= false end), "")
  end)
  session.lua = env
  return env
end

-- ------------------------------------------------------------------ on_event

-- What a program chose, in the form that find.show() takes.
local function chosen(session, nums, times, looked, seconds)
  local hits = { count = #nums, looked = looked, seconds = seconds, ns = seconds * 1e9 / math.max(looked, 1) }
  function hits.list(_, n, after)
    local out = {}
    for _, num in ipairs(nums) do
      if num > after then out[#out + 1] = num end
      if #out == n then break end
    end
    return out
  end
  function hits.timeline(_, bins)
    local out, span = {}, math.max(session.scan.seconds or 0, 1e-9)
    for i = 1, bins do out[i] = 0 end
    for _, at in ipairs(times) do
      local i = math.max(1, math.min(math.floor(at / span * bins) + 1, bins))
      out[i] = out[i] + 1
    end
    return out
  end
  return hits
end

-- Hits of what on_event() returned true for, and a message if it failed.
local function over_captures(session, on_event)
  local ruleset = core.ffi.gc(core.C.ruleset_new(), core.C.ruleset_free)
  local reader = new_reader(ruleset)
  local evt = event_object(lent(function(field) return reader:value(field) end),
    lent(function(field) return reader:output(field) ~= false end), "")
  local nums, times, first, looked, failed = {}, {}, nil, 0, nil
  local opts, began = session:pass("running"), core.C.sys_now_ns()
  opts.ruleset = ruleset
  begin()
  session.is_visiting = true
  local n, message = session.scan:visit(nil, function(raw, head, num)
    reader.evt, looked = raw, looked + 1
    local ok, chosen_one = call(on_event, evt)
    if not ok or now.over then
      failed = now.over or error_text(chosen_one)
      return false
    end
    local ts = tonumber(head.ts) / 1e9
    first = first or ts
    if chosen_one and #nums < MAX_LIST then nums[#nums + 1], times[#times + 1] = num, ts - first end
  end, opts)
  session.is_visiting = false
  finish()
  reader.evt = nil
  session:passed(opts, not n and message or nil)
  if failed and failed ~= "stopped" then session.out:error(failed) end
  return chosen(session, nums, times, looked, tonumber(core.C.sys_now_ns() - began) / 1e9)
end

-- on_event() was defined: it runs over the captures. Events for which it returns true are shown, like those of a condition.
local function run_on_event(session, env)
  if not session:has_capture() then return end
  if session.scan.complete == nil then session.scan:find(session:everything()) end
  local hits = over_captures(session, env.on_event)
  if type(env.on_end) == "function" then
    local ok, message = guarded(env.on_end)
    if not ok then session.out:error(message) end
  end
  if hits.count > 0 then return find.show(session, hits, nil, find.columns_for(session, { fields = {} })) end
  session.out:note(("%s in %s"):format(spark.things(hits.looked, "event"), spark.duration(hits.seconds * 1e9)))
end

-- ------------------------------------------------------------------ commands

-- text: Lua, as an expression or as statements.
function M.run(session, text)
  local chunk, message = compiled(text)
  if not chunk then return session.out:error(error_text(message)) end
  local env = environment(session)
  local before = env.on_event
  setfenv(chunk, env)
  jit.off(chunk, true)
  core.C.interrupts_seen(true)
  local results = { guarded(chunk) }
  if not results[1] then
    if results[2] == TOO_MUCH then session.lua = nil end      -- with all that it kept
    return session.out:error(results[2])
  end
  local parts = {}
  for i = 2, table.maxn(results) do parts[#parts + 1] = inspect(results[i], 0) end
  if #parts > 0 then session.out:text(table.concat(parts, "  ")) end
  if type(env.on_event) == "function" and env.on_event ~= before then run_on_event(session, env) end
end

M.rows = {
  { name = "lua", args = "EXPR", wants = "lua",
    help = "Lua: an expression, or statements; a line that begins with function or local is Lua too",
    more = 'Over all events runs  function on_event(evt) ... end : evt.proc.name or evt["proc.aname[2]"] is the value of a\n'
      .. 'field, or nil; events for which it returns true are shown. After the last one on_end() runs, if there is one.\n'
      .. 'find("CONDITION") is a table of numbers of events, count("CONDITION") how many, event(N) one event.',
    fn = M.run },
}

return M
