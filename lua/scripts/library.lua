-- SPDX-License-Identifier: Apache-2.0
-- Runs inside every sandbox first (c/lua_sandbox.c): makes the script's globals out of Lua's library, as far as it is
-- harmless, and tables whose entries end. What it makes it leaves in `native`, where C's own functions are: env, sort,
-- new_table, and state.now, the clock. prelude.lua comes next.
--
-- Like prelude.lua it must stay a function without upvalues: the host hands it over as bytecode. What the script can reach it
-- can change, so nothing here calls a method of a text or a function through a table that the script has: all are locals.
-- Whatever can take long is written in Lua, where each instruction counts, or charged.
return function(native)
  local assert, error, getmetatable, ipairs, select, setmetatable, tonumber, tostring, type =
    assert, error, getmetatable, ipairs, select, setmetatable, tonumber, tostring, type
  local create, resume, status, yield, running =
    coroutine.create, coroutine.resume, coroutine.status, coroutine.yield, coroutine.running
  local concat, raw_insert, raw_remove, rep, format = table.concat, table.insert, table.remove, string.rep, string.format
  local max, min, huge = math.max, math.min, math.huge
  local charge, check_stack, find, match, gsub = native.charge, native.check_stack, native.find, native.match, native.gsub

  local fail = native.fail                         -- an error at the script's line, not at ours

  local function wants(ok, what)
    if not ok then fail(what) end
  end

  local TABLES_MAX, ENTRIES_MAX = 64, 100000       -- of falco.table()

  -- ---------------------------------------------------------------- the library, as far as it goes

  local function copy(from, names)
    local to = {}
    for _, name in ipairs(names) do to[name] = from[name] end
    return to
  end

  local env = copy(_G, { "assert", "error", "getmetatable", "ipairs", "next", "pairs", "pcall", "rawequal", "rawget", "rawset",
    "select", "setmetatable", "tonumber", "tostring", "type", "unpack" })
  env._G, env._VERSION = env, _VERSION
  env.math = copy(math, { "abs", "acos", "asin", "atan", "atan2", "ceil", "cos", "cosh", "deg", "exp", "floor", "fmod",
    "frexp", "huge", "ldexp", "log", "log10", "max", "min", "modf", "pi", "pow", "rad", "random", "randomseed", "sin", "sinh",
    "sqrt", "tan", "tanh" })
  env.bit = copy(bit, { "arshift", "band", "bnot", "bor", "bswap", "bxor", "lshift", "rol", "ror", "rshift", "tobit", "tohex" })
  env.string = copy(string, { "byte", "char", "len", "lower", "reverse", "sub", "upper" })
  env.string.find, env.string.match, env.string.gmatch, env.string.gsub = find, match, native.gmatch, gsub

  local strings = getmetatable("")
  strings.__index, strings.__metatable = env.string, false

  function env.string.rep(text, n, separator)
    wants(type(text) == "string" or type(text) == "number", "string.rep wants a text")
    n = tonumber(n) or 0
    if n < 1 then return "" end
    text, separator = tostring(text), separator and tostring(separator) or ""
    local len = (#text + #separator) * n
    if len == 0 then return "" end
    if len > 2 ^ 31 then fail("string.rep: the result is too long") end
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
    wants(type(list) == "table" and type(at) == "number" and select("#", ...) == 2,
      "table.insert wants a list, a place and a value")
    for i = #list, at, -1 do list[i + 1] = list[i] end
    list[at] = value
  end

  function env.table.remove(list, at)
    if at == nil then return raw_remove(list) end
    wants(type(list) == "table" and type(at) == "number", "table.remove wants a list and a place")
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
    wants(type(list) == "table", "table.sort wants a list")
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

  local state = { now = 0 }      -- seconds since the epoch, as the source of events has it

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
      if is_current and entry.till > state.now then return end
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
    if entry and entry.till <= state.now then
      store.entries[key], store.n = nil, store.n - 1
      return nil
    end
    return entry
  end

  local stores = setmetatable({}, { __mode = "k" })

  local function store_of(self)
    return stores[self] or fail("not a table of falco.table()")
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
    entry = { key = key, value = value, till = state.now + store.seconds }
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
    if key == nil then fail("a key must not be nil") end
    put(store_of(self), key, value)
  end

  function bounded:add(key, n)
    local store = store_of(self)
    if key == nil then fail("a key must not be nil") end
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
        if entry and store.entries[entry.key] == entry and entry.till > state.now then return entry.key, entry.value end
      end
    end
  end

  function bounded:clear()
    local store = store_of(self)
    store.entries, store.order, store.n, store.first, store.last = {}, {}, 0, 1, 0
  end

  local bounded_meta = { __index = bounded, __metatable = false }

  function native.new_table(opts)
    opts = opts or {}
    if type(opts) ~= "table" then fail("falco.table wants { expire = seconds, max = entries }") end
    local seconds, most = opts.expire or huge, opts.max or 10000
    if type(seconds) ~= "number" or type(most) ~= "number" then fail("falco.table: expire and max are numbers") end
    if not (most >= 1 and most <= ENTRIES_MAX) or seconds ~= seconds then
      fail("falco.table: max is 1 to " .. ENTRIES_MAX .. ", and expire a number")
    end
    if ntables >= TABLES_MAX then fail("falco.table: a script can have " .. TABLES_MAX) end
    ntables = ntables + 1
    local self = setmetatable({}, bounded_meta)
    stores[self] = { entries = {}, order = {}, n = 0, first = 1, last = 0, seconds = seconds, max = most, evicted = 0 }
    return self
  end

  native.env, native.sort, native.state = env, sort, state
end
