-- SPDX-License-Identifier: Apache-2.0
-- Runs inside every sandbox before the script (c/lua_sandbox.c): makes the script's globals and takes its calls. It gets what C
-- has for it, `native`, and returns dispatch(what, text) and the globals. docs/falco-scripts.7 is what scripts see of it.
--
-- It must stay a function without upvalues: the host hands it over as bytecode. What the script can reach it can change, so
-- nothing here calls a method of a text or a function through a table that the script has: all are locals. Values of the
-- script go out copied and of known types. Whatever can take long is written in Lua, where each instruction counts, or charged.
return function(native)
  local assert, error, getmetatable, ipairs, next, pairs, pcall, rawget, select, setmetatable, tonumber, tostring, type, unpack =
    assert, error, getmetatable, ipairs, next, pairs, pcall, rawget, select, setmetatable, tonumber, tostring, type, unpack
  local create, resume, status, yield, running =
    coroutine.create, coroutine.resume, coroutine.status, coroutine.yield, coroutine.running
  local concat, raw_insert, raw_remove = table.concat, table.insert, table.remove
  local rep, sub, byte, lower, format = string.rep, string.sub, string.byte, string.lower, string.format
  local floor, max, min, huge = math.floor, math.max, math.min, math.huge
  local find, match, gsub, charge, check_stack = native.find, native.match, native.gsub, native.charge, native.check_stack
  local encode, decode, escape = native.encode, native.decode, native.escape

  local REQUESTS_MAX = 64        -- of one kind, in one call
  local PENDING_MAX = 256        -- requests whose answer is waited for
  local DEPTH_MAX = 32           -- of JSON
  local MIN_INTERVAL = 0.05      -- seconds between two runs of a timer
  local TABLES_MAX, ENTRIES_MAX = 64, 100000

  -- ---------------------------------------------------------------- the library, as far as it goes

  local function copy(from, names)
    local to = {}
    for _, name in ipairs(names) do to[name] = from[name] end
    return to
  end

  local env = copy(_G, { "assert", "error", "getmetatable", "ipairs", "next", "pairs", "pcall", "rawequal", "rawget", "rawset",
    "select", "setmetatable", "tonumber", "tostring", "type", "unpack" })
  env._G, env._VERSION = env, _VERSION
  env.math = copy(math, { "abs", "acos", "asin", "atan", "atan2", "ceil", "cos", "cosh", "deg", "exp", "floor", "fmod", "frexp", "huge",
    "ldexp", "log", "log10", "max", "min", "modf", "pi", "pow", "rad", "random", "randomseed", "sin", "sinh", "sqrt", "tan", "tanh" })
  env.bit = copy(bit, { "arshift", "band", "bnot", "bor", "bswap", "bxor", "lshift", "rol", "ror", "rshift", "tobit", "tohex" })
  env.string = copy(string, { "byte", "char", "len", "lower", "reverse", "sub", "upper" })
  env.string.find, env.string.match, env.string.gmatch, env.string.gsub = find, match, native.gmatch, gsub

  local strings = getmetatable("")
  strings.__index, strings.__metatable = env.string, false

  function env.string.rep(text, n, separator)
    assert(type(text) == "string" or type(text) == "number", "string.rep wants a text")
    n = tonumber(n) or 0
    if n < 1 then return "" end
    text, separator = tostring(text), separator and tostring(separator) or ""
    local len = (#text + #separator) * n
    if len == 0 then return "" end
    if len > 2 ^ 31 then error("string.rep: the result is too long", 2) end
    charge(len / 16)
    return rep(text, n, separator)
  end

  -- %s may call __tostring, which may call it again
  function env.string.format(...)
    check_stack()
    return format(...)
  end

  env.table = {}

  function env.table.concat(list, separator, from, to)
    local n = (tonumber(to) or (type(list) == "table" and #list or 0)) - (tonumber(from) or 1)
    charge(max(n, 0))
    return concat(list, separator, from, to)
  end

  function env.table.insert(list, ...)
    if select("#", ...) == 1 then return raw_insert(list, (...)) end
    local at, value = ...
    assert(type(list) == "table" and type(at) == "number" and select("#", ...) == 2, "table.insert wants a list, a place and a value")
    for i = #list, at, -1 do list[i + 1] = list[i] end
    list[at] = value
  end

  function env.table.remove(list, at)
    if at == nil then return raw_remove(list) end
    assert(type(list) == "table" and type(at) == "number", "table.remove wants a list and a place")
    local n, value = #list, list[at]
    if at < 1 or at > n then return nil end
    for i = at, n - 1 do list[i] = list[i + 1] end
    list[n] = nil
    return value
  end

  local function less(a, b) return a < b end

  -- Merges the sorted runs [from, middle) and [middle, stop) of `list` into `to`.
  local function merge(list, to, from, middle, stop, before)
    local a, b = from, middle
    for i = from, stop - 1 do
      if a < middle and (b >= stop or not before(list[b], list[a])) then
        to[i], a = list[a], a + 1
      else
        to[i], b = list[b], b + 1
      end
    end
  end

  -- By merging, so that a comparison that lies can do no more than give a strange order.
  local function sort(list, before)
    assert(type(list) == "table", "table.sort wants a list")
    before = before or less
    local n, width, other, source = #list, 1, {}, list
    while width < n do
      for from = 1, n, 2 * width do
        merge(source, other, from, min(from + width, n + 1), min(from + 2 * width, n + 1), before)
      end
      source, other, width = other, source, width * 2
    end
    if source ~= list then
      for i = 1, n do list[i] = source[i] end
    end
  end
  env.table.sort = sort

  -- Coroutines run on one C stack, each on top of the one that resumed it.
  env.coroutine = { create = create, status = status, yield = yield, running = running }

  function env.coroutine.resume(...)
    check_stack()
    return resume(...)
  end

  local function passed_on(ok, ...)
    if not ok then error((...), 0) end
    return ...
  end

  function env.coroutine.wrap(func)
    local co = create(func)
    return function(...)
      check_stack()
      return passed_on(resume(co, ...))
    end
  end

  -- ---------------------------------------------------------------- what the script asks for

  local now = 0                  -- seconds since the epoch, as the source of events has it
  local setup = { grant = {}, timers = 0, kv_bytes = 0 }
  local out                      -- answer of the call at hand: what the script asked for; nil: nothing yet
  local at_hand                  -- the alert that the script may decide about
  local pending, npending, last_token = {}, 0, 0

  local function granted(what)
    if not setup.grant[what] then
      error("'" .. what .. "' is not granted to this script: add it to its `grant` in falco.yaml", 3)
    end
  end

  local function answer()
    out = out or {}
    return out
  end

  -- One more request of a kind.
  local function ask(kind, request)
    local list = answer()[kind] or {}
    if #list >= REQUESTS_MAX then error("more than " .. REQUESTS_MAX .. " requests (" .. kind .. ") in one call", 3) end
    answer()[kind] = list
    list[#list + 1] = request
  end

  -- A number for the answer to come, for which done(...) is called; nil: nobody waits for it.
  local function token(done)
    if done == nil then return nil end
    if type(done) ~= "function" then error("`done` must be a function", 3) end
    if npending >= PENDING_MAX then error("more than " .. PENDING_MAX .. " requests are under way", 3) end
    last_token, npending = last_token + 1, npending + 1
    pending[last_token] = done
    return last_token
  end

  local function plain(value)
    local kind = type(value)
    return kind == "string" or kind == "number" or kind == "boolean"
  end

  local function text_of(value, what)
    if type(value) == "number" then return tostring(value) end
    if type(value) ~= "string" then error(what .. " must be a text, not a " .. type(value), 3) end
    return value
  end

  local function number_of(value, what)
    if type(value) ~= "number" or value ~= value then error(what .. " must be a number", 3) end
    return value
  end

  -- A copy of a map of texts to plain values.
  local function plain_map(map, what)
    if map == nil then return nil end
    if type(map) ~= "table" then error(what .. " must be a table", 3) end
    local to = {}
    for key, value in next, map do
      if type(key) ~= "string" or not plain(value) then error(what .. ": names are texts, values texts, numbers or booleans", 3) end
      to[key] = value
    end
    return to
  end

  local function text_list(list, what)
    if list == nil then return nil end
    if type(list) ~= "table" then error(what .. " must be a list of texts", 3) end
    local to = {}
    for i, value in ipairs(list) do to[i] = text_of(value, what) end
    return to
  end

  local PRIORITIES = { [0] = "Emergency", "Alert", "Critical", "Error", "Warning", "Notice", "Informational", "Debug" }
  local priority_of = { info = 6 }
  for number = 0, 7 do priority_of[lower(PRIORITIES[number])] = number end

  local function priority_number(priority)
    if type(priority) == "number" and PRIORITIES[priority] then return priority end
    local number = type(priority) == "string" and priority_of[lower(priority)]
    if not number then error("'" .. tostring(priority) .. "' is no priority", 3) end
    return number
  end

  -- ---------------------------------------------------------------- JSON and templates

  local put_json
  local NO_FIELDS = {}           -- an empty object; other empty tables are lists

  local function put_table(value, buf, depth)
    if depth >= DEPTH_MAX then error("falco.json: nested too deep", 0) end
    if value ~= NO_FIELDS and (#value > 0 or next(value) == nil) then
      buf[#buf + 1] = "["
      for i, item in ipairs(value) do
        if i > 1 then buf[#buf + 1] = "," end
        put_json(item, buf, depth + 1)
      end
      buf[#buf + 1] = "]"
      return
    end
    local keys = {}
    for key in next, value do
      if type(key) ~= "string" and type(key) ~= "number" then error("falco.json: a key is a " .. type(key), 0) end
      keys[#keys + 1] = tostring(key)
    end
    sort(keys)
    buf[#buf + 1] = "{"
    for i, key in ipairs(keys) do
      buf[#buf + 1] = (i > 1 and ',"' or '"') .. escape(key) .. '":'
      local item = value[key]
      if item == nil then item = value[tonumber(key)] end
      put_json(item, buf, depth + 1)
    end
    buf[#buf + 1] = "}"
  end

  put_json = function(value, buf, depth)
    local kind = type(value)
    if kind == "string" then
      buf[#buf + 1] = '"' .. escape(value) .. '"'
    elseif kind == "number" then
      buf[#buf + 1] = (value ~= value or value == huge or value == -huge) and "null" or format("%.14g", value)
    elseif kind == "boolean" or kind == "nil" then
      buf[#buf + 1] = tostring(value)
    elseif kind == "table" then
      put_table(value, buf, depth)
    else
      error("falco.json: a " .. kind .. " has no JSON form", 0)
    end
  end

  local function json(value)
    local buf = {}
    put_json(value, buf, 0)
    return concat(buf)
  end

  -- ---------------------------------------------------------------- alerts

  local alerts = {}

  local function own(alert)
    if alert ~= at_hand then error("the alert has passed: decisions are for the alert at hand", 3) end
  end

  function alerts:to(...)
    granted "route"
    own(self)
    for i = 1, select("#", ...) do ask("to", text_of((select(i, ...)), "an output")) end
  end

  function alerts:drop()
    granted "route"
    own(self)
    answer().drop = true
  end

  function alerts:set(key, value)
    granted "alter"
    own(self)
    key = text_of(key, "a field's name")
    if not plain(value) then error("a field must be a text, number or boolean, not a " .. type(value), 2) end
    local set = answer().set or {}
    answer().set = set
    set[key], self.fields[key] = value, value
  end

  -- Without an argument: the name of the priority.
  function alerts:priority(priority)
    if priority ~= nil then
      granted "alter"
      own(self)
      self.severity = priority_number(priority)
      answer().priority = self.severity
    end
    return PRIORITIES[self.severity]
  end

  function alerts:get(name)
    return self.fields[name]
  end

  function alerts:has_tag(tag)
    for _, one in ipairs(self.tags) do
      if one == tag then return true end
    end
    return false
  end

  local OF_ALERT = { rule = true, source = true, output = true, time = true, hostname = true, severity = true }

  -- "%{proc.name}", "%{rule}" ... as text; what is missing is <NA>.
  function alerts:format(template)
    return (gsub(text_of(template, "a template"), "%%{([^}]*)}", function(name)
      local value = self.fields[name]
      if value == nil and OF_ALERT[name] then value = self[name] end
      if value == nil and name == "priority" then value = PRIORITIES[self.severity] end
      if value == nil and name == "tags" then value = concat(self.tags, ",") end
      if value == nil then return "<NA>" end
      return plain(value) and tostring(value) or json(value)
    end))
  end

  function alerts:json()
    return json{ rule = self.rule, source = self.source, output = self.output, time = self.iso, hostname = self.hostname,
      priority = PRIORITIES[self.severity], tags = self.tags, output_fields = next(self.fields) ~= nil and self.fields or NO_FIELDS }
  end

  local alert_meta = { __index = alerts, __metatable = false }

  -- ---------------------------------------------------------------- tables with an end

  local ntables = 0
  local bounded = {}

  -- Entries in order of age: `order` holds keys from `first` to `last`, stale ones among them.
  local function drop_oldest(store)
    while store.first <= store.last do
      local at = store.first
      local entry = store.order[at]
      store.order[at], store.first = nil, at + 1
      if entry and store.entries[entry.key] == entry then
        store.entries[entry.key], store.n = nil, store.n - 1
        return
      end
    end
  end

  local function sweep(store)
    while store.first <= store.last do
      local entry = store.order[store.first]
      local is_current = entry and store.entries[entry.key] == entry
      if is_current and entry.till > now then return end
      if is_current then store.entries[entry.key], store.n = nil, store.n - 1 end
      store.order[store.first], store.first = nil, store.first + 1
    end
  end

  -- Entries that were deleted leave holes behind.
  local function compact(store)
    local order, n = {}, 0
    for at = store.first, store.last do
      local entry = store.order[at]
      if entry and store.entries[entry.key] == entry then
        n = n + 1
        order[n] = entry
      end
    end
    store.order, store.first, store.last = order, 1, n
  end

  local function live(store, key)
    local entry = store.entries[key]
    if entry and entry.till <= now then
      store.entries[key], store.n = nil, store.n - 1
      return nil
    end
    return entry
  end

  local stores = setmetatable({}, { __mode = "k" })

  local function store_of(self)
    return stores[self] or error("not a table of falco.table()", 3)
  end

  local function put(store, key, value)
    local entry = live(store, key)
    if value == nil then
      if entry then store.entries[key], store.n = nil, store.n - 1 end
      return
    end
    if entry then
      entry.value = value
      return
    end
    if store.n >= store.max then
      sweep(store)
      if store.n >= store.max then
        drop_oldest(store)
        store.evicted = store.evicted + 1
      end
    end
    entry = { key = key, value = value, till = now + store.seconds }
    store.entries[key], store.n, store.last = entry, store.n + 1, store.last + 1
    store.order[store.last] = entry
    if store.last - store.first > 2 * store.max then compact(store) end
  end

  function bounded:get(key)
    local entry = live(store_of(self), key)
    return entry and entry.value
  end

  -- A new entry lives for the table's time from now; one that is there keeps its end.
  function bounded:set(key, value)
    if key == nil then error("a key must not be nil", 2) end
    put(store_of(self), key, value)
  end

  function bounded:add(key, n)
    local store = store_of(self)
    if key == nil then error("a key must not be nil", 2) end
    local entry = live(store, key)
    local sum = (entry and tonumber(entry.value) or 0) + (n or 1)
    put(store, key, sum)
    return sum
  end

  function bounded:delete(key)
    put(store_of(self), key, nil)
  end

  function bounded:count()
    local store = store_of(self)
    sweep(store)
    return store.n
  end

  function bounded:evicted()
    return store_of(self).evicted
  end

  -- for key, value in t:each() do: oldest first, those added meanwhile left out
  function bounded:each()
    local store = store_of(self)
    sweep(store)
    local at, stop = store.first - 1, store.last
    return function()
      while at < stop do
        at = at + 1
        local entry = store.order[at]
        if entry and store.entries[entry.key] == entry and entry.till > now then return entry.key, entry.value end
      end
    end
  end

  function bounded:clear()
    local store = store_of(self)
    store.entries, store.order, store.n, store.first, store.last = {}, {}, 0, 1, 0
  end

  local bounded_meta = { __index = bounded, __metatable = false }

  local function new_table(opts)
    opts = opts or {}
    if type(opts) ~= "table" then error("falco.table wants { expire = seconds, max = entries }", 2) end
    local seconds, most = opts.expire or huge, opts.max or 10000
    number_of(seconds, "expire")
    number_of(most, "max")
    if most < 1 or most > ENTRIES_MAX then error("falco.table: max is 1 to " .. ENTRIES_MAX, 2) end
    if ntables >= TABLES_MAX then error("falco.table: a script can have " .. TABLES_MAX, 2) end
    ntables = ntables + 1
    local self = setmetatable({}, bounded_meta)
    stores[self] = { entries = {}, order = {}, n = 0, first = 1, last = 0, seconds = seconds, max = most, evicted = 0 }
    return self
  end

  -- ---------------------------------------------------------------- timers

  local timers, ntimers, last_timer = {}, 0, 0

  local function new_timer(seconds, func, again)
    granted "timers"
    number_of(seconds, "seconds")
    if type(func) ~= "function" then error("a timer wants a function", 3) end
    if ntimers >= setup.timers then error("more than " .. setup.timers .. " timers (limits: timers)", 3) end
    seconds = max(seconds, MIN_INTERVAL)
    last_timer, ntimers = last_timer + 1, ntimers + 1
    timers[last_timer] = { at = now + seconds, func = func, every = again and seconds or nil }
    return last_timer
  end

  local function cancel(id)
    if id ~= nil and timers[id] then timers[id], ntimers = nil, ntimers - 1 end
  end

  local function next_timer()
    local at
    for _, timer in next, timers do
      if not at or timer.at < at then at = timer.at end
    end
    return at
  end

  local function run_timers()
    local due = {}
    for id, timer in next, timers do
      if timer.at <= now then due[#due + 1] = id end
    end
    sort(due)
    for _, id in ipairs(due) do
      local timer = timers[id]
      if timer then
        if timer.every then
          timer.at = max(timer.at + timer.every, now)
        else
          cancel(id)
        end
        timer.func(now)
      end
    end
  end

  -- ---------------------------------------------------------------- key-value store

  local kv, kv_size, dirty = {}, 0, {}

  local function kv_entry(key, value)
    return value == nil and 0 or #key + #tostring(value)
  end

  local function kv_set(key, value)
    granted "kv"
    key = text_of(key, "a key")
    if value ~= nil and not plain(value) then error("kv: a value must be a text, number or boolean", 2) end
    local size = kv_size - kv_entry(key, kv[key]) + kv_entry(key, value)
    if size > setup.kv_bytes and value ~= nil then error("kv: full at " .. setup.kv_bytes .. " bytes (limits: kv_bytes)", 2) end
    kv[key], kv_size, dirty[key] = value, size, true
  end

  local function kv_changes()
    if next(dirty) == nil then return end
    local set, gone = {}, {}
    for key in next, dirty do
      if kv[key] == nil then gone[#gone + 1] = key else set[key] = kv[key] end
    end
    answer().kv, dirty = { set = set, gone = gone }, {}
  end

  -- ---------------------------------------------------------------- falco.*

  local falco = {}
  env.falco = falco

  function falco.now() return now end
  falco.json, falco.table = json, new_table

  function falco.log(level, text)
    granted "log"
    if text == nil then level, text = "info", level end
    ask("log", { level = text_of(level, "a level"), text = sub(text_of(text, "a message"), 1, 1000) })
  end

  function falco.emit(what)
    granted "emit"
    if type(what) ~= "table" then error("falco.emit wants a table", 2) end
    ask("emit", {
      rule = what.rule and text_of(what.rule, "rule"), output = text_of(what.output or "", "output"),
      priority = priority_number(what.priority or 6), source = what.source and text_of(what.source, "source"),
      tags = text_list(what.tags, "tags"), fields = plain_map(what.fields, "fields"), to = text_list(what.to, "to"),
    })
  end

  -- Of an alert: the process that made its event; a process that began later is another one with its number.
  function falco.kill(pid, opts)
    granted "kill"
    opts = opts or {}
    local before = opts.before or at_hand and at_hand.time or now
    if type(pid) == "table" then pid = pid.fields and tonumber(pid.fields["proc.pid"]) end
    if type(pid) == "string" then pid = tonumber(pid) end
    ask("kill", { pid = number_of(pid, "a process id"), signal = text_of(opts.signal or "KILL", "signal"),
                  before = number_of(before, "before"), token = token(opts.done) })
  end

  function falco.exec(opts)
    granted "exec"
    if type(opts) ~= "table" then error("falco.exec wants { program, arguments ... }", 2) end
    local argv = text_list(opts, "arguments")
    if not argv[1] then error("falco.exec: no program is named", 2) end
    ask("exec", { argv = argv, input = opts.input and text_of(opts.input, "input"),
                  seconds = opts.timeout and number_of(opts.timeout, "timeout"), token = token(opts.done) })
  end

  function falco.http(opts)
    granted "http"
    if type(opts) ~= "table" then error("falco.http wants { url = }", 2) end
    ask("http", { url = text_of(opts.url, "url"), method = opts.method and text_of(opts.method, "method"),
                  body = opts.body and text_of(opts.body, "body"), headers = plain_map(opts.headers, "headers"),
                  seconds = opts.timeout and number_of(opts.timeout, "timeout"), token = token(opts.done) })
  end

  function falco.after(seconds, func) return new_timer(seconds, func, false) end
  function falco.every(seconds, func) return new_timer(seconds, func, true) end
  falco.cancel = cancel

  falco.kv = { set = kv_set }
  function falco.kv.get(key)
    granted "kv"
    return kv[key]
  end
  function falco.kv.delete(key) kv_set(key, nil) end
  function falco.kv.add(key, n)
    granted "kv"
    local sum = (tonumber(kv[key]) or 0) + (n or 1)
    kv_set(key, sum)
    return sum
  end

  -- ---------------------------------------------------------------- events, in the worker

  local field_ids = {}
  local processes, nprocesses = {}, 0
  local evt = {}

  function evt.get(_, name)
    local id = field_ids[name]
    if not id then
      local why
      id, why = native.field(text_of(name, "a field's name"))
      if not id then error(why, 2) end
      field_ids[name] = id
    end
    return native.get(id)
  end

  -- Those of processes that are gone, or have given their number to another.
  local function bury()
    for key, process in next, processes do
      if not native.is_alive(process.pid, process.born) then processes[key], nprocesses = nil, nprocesses - 1 end
    end
  end

  -- Without room, the table of whichever comes first goes.
  local function make_room()
    bury()
    if nprocesses < setup.processes then return end
    processes[next(processes)], nprocesses = nil, nprocesses - 1
    setup.evicted = (setup.evicted or 0) + 1
  end

  -- A table for the process of the event, as long as it lives; nil when the process is not known.
  function evt.process()
    local pid, born = native.process()
    if not pid then return nil end
    local process = processes[pid]
    if process and process.born == born then return process.table end
    if not process then
      if nprocesses >= setup.processes then make_room() end
      nprocesses = nprocesses + 1
    end
    process = { pid = pid, born = born, table = {} }
    processes[pid] = process
    return process.table
  end

  local event = setmetatable({}, { __index = evt, __metatable = false, __newindex = function() error("an event cannot be changed", 2) end })

  function env.emit(what)
    what = what or {}
    if not setup.is_rule then error("emit is for scripts of rules; scripts of outputs have falco.emit", 2) end
    if type(what) ~= "table" then error("emit wants a table", 2) end
    ask("emit", {
      output = what.output and text_of(what.output, "output"), priority = what.priority and priority_number(what.priority),
      fields = plain_map(what.fields, "fields"),
    })
  end

  -- ---------------------------------------------------------------- calls

  local handlers = {}
  local HANDLERS = { "open", "match", "write", "tick", "close", "on_event" }
  local calls = {}

  function calls.setup(arg)
    setup, now = arg, arg.now or 0
    for key, value in pairs(arg.kv or {}) do kv[key], kv_size = value, kv_size + kv_entry(key, value) end
    falco.name, falco.args, falco.files, falco.live = arg.name, arg.args or {}, arg.files or {}, arg.live == true
  end

  -- What the main function returns; scripts of rules may define on_event instead.
  function calls.load(main)
    local script = main()
    if script == nil and setup.is_rule then script = { on_event = rawget(env, "on_event") } end
    if type(script) ~= "table" then error("the script must return a table of handlers: match, write, tick, open, close", 0) end
    local has = {}
    for _, name in ipairs(HANDLERS) do
      local handler = rawget(script, name)
      if handler ~= nil and type(handler) ~= "function" then error("'" .. name .. "' must be a function, not a " .. type(handler), 0) end
      handlers[name], has[name] = handler, handler ~= nil or nil
    end
    answer().has = has
  end

  function calls.open(arg)
    if handlers.open then handlers.open(arg.args or {}) end
  end

  function calls.alert(arg)
    at_hand = setmetatable(arg.alert, alert_meta)
    if (not handlers.match or handlers.match(at_hand)) and handlers.write then handlers.write(at_hand) end
  end

  function calls.tick()
    run_timers()
    if handlers.tick then handlers.tick(now) end
  end

  function calls.done(arg)
    local done = pending[arg.token]
    if not done then return end
    pending[arg.token], npending = nil, npending - 1
    done(arg.result)
  end

  function calls.close()
    if handlers.close then handlers.close() end
  end

  function calls.event()
    now = native.time()
    handlers.on_event(event)
  end

  -- A capture's clock is not known before its first alert: timers that were set earlier begin then.
  local function set_clock(at)
    if now == 0 and at > 0 then
      for _, timer in next, timers do timer.at = timer.at + at end
    end
    now = at
  end

  return function(what, arg)
    out, at_hand = nil, nil
    local call = calls[what]
    if what == "load" then
      call(arg)
    else
      if arg ~= "" then arg = decode(arg) end
      if type(arg) == "table" and arg.now then set_clock(arg.now) end
      call(arg)
    end
    at_hand = nil
    kv_changes()
    local at = next_timer()
    if out or at then
      answer().next = at
      return encode(out)
    end
  end, env
end
