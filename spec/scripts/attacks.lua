-- SPDX-License-Identifier: Apache-2.0
-- What a script may try against whoever runs it. Each is a script's write(alert), and says how it must end:
--   error   pattern of the error that it ends in            says    what it must log, all of it
-- Whatever it does, it is over within the budget, and `ESCAPED` is said by none. Where `body` is missing, `whole` is the whole script.
local NAMES = "os io ffi debug package require module load loadstring loadfile dofile getfenv setfenv newproxy xpcall "
  .. "collectgarbage jit print gcinfo"

local function all_nil(names)
  local tests = {}
  for name in names:gmatch("%S+") do tests[#tests + 1] = ("if %s ~= nil then falco.log('ESCAPED: %s') end"):format(name, name) end
  return table.concat(tests, "\n") .. "\nfalco.log('none')"
end

local BUDGET = "more than %d+ [mi]n?s"       -- "ms", "instructions"

return {
  -- ---------------------------------------------------------------- reach
  { name = "names that reach out", body = all_nil(NAMES), says = "none" },
  { name = "functions that libraries no longer have", body = all_nil("string.dump table.maxn table.foreach table.getn string.gfind "
      .. "coroutine.isyieldable table.unpack math.mod string.buffer"), says = "none" },
  { name = "ffi through package.loaded", body = "local p = package.loaded.ffi; falco.log('ESCAPED')", error = "global 'package'" },
  { name = "require", body = "require 'ffi'", error = "call global 'require'" },
  { name = "reading /etc/shadow", body = "io.open('/etc/shadow')", error = "index global 'io'" },
  { name = "a command", body = "os.execute('true')", error = "index global 'os'" },
  { name = "string.dump", body = "string.dump(function() end)", error = "call field 'dump'" },
  { name = "string.dump as a method", body = "local f = (''):dump(); falco.log('ESCAPED')", error = "method 'dump'" },
  { name = "load of text", body = "load('falco.log(\"ESCAPED\")')()", error = "call global 'load'" },
  { name = "bytecode as a script", whole = "\27LJ\2\10\0", at_load = true, error = "bytecode" },
  { name = "real bytecode as a script", whole = string.dump(function() return {} end), at_load = true, error = "bytecode" },
  { name = "the globals' own metatable", body = [[
      setmetatable(_G, { __index = function(_, k) return 'ESCAPED' end, __newindex = function() error('no') end })
      falco.log(tostring(os)); falco.log(tostring(alert == nil))]], says = "ESCAPED,false", own_words = true },
  { name = "the host's functions after _G was emptied", body = [[
      local log = falco.log
      local g = _G
      for k in pairs(g) do g[k] = nil end
      log('empty')]], says = "empty" },
  { name = "metatable of texts", body = [[
      local mt = getmetatable('')
      if type(mt) == 'table' then falco.log('ESCAPED') end
      mt.__index = nil]], error = "index local 'mt' %(a boolean value%)" },
  { name = "another metatable for texts", body = "setmetatable('', {})", error = "table expected" },
  { name = "texts' methods replaced", body = [[
      string.sub, string.find, string.format = nil, function() return 'ESCAPED' end, nil
      falco.log(('x'):find('x'))
      falco.log(alert:format('%{rule}'))]], says = "ESCAPED,r", own_words = true },
  { name = "metatable of alerts", body = [[
      if getmetatable(alert) then falco.log('ESCAPED') end
      setmetatable(alert, {})]], error = "protected metatable" },
  { name = "an alert's methods on something else", body = "alert.drop({})", error = "the alert has passed" },
  { name = "metatable of functions", body = "if getmetatable(function() end) then falco.log('ESCAPED') end; falco.log('none')", says = "none" },
  { name = "metatables of numbers, nil, booleans and coroutines", body = [[
      for _, v in ipairs{ 1, true, coroutine.create(function() end) } do if getmetatable(v) then falco.log('ESCAPED') end end
      if getmetatable(nil) then falco.log('ESCAPED') end
      falco.log('none')]], says = "none" },
  { name = "the environment of a function of the host", body = "getfenv(falco.log)", error = "call global 'getfenv'" },
  { name = "debug.getregistry", body = "debug.getregistry()", error = "index global 'debug'" },
  { name = "upvalues", body = "debug.getupvalue(falco.log, 1)", error = "index global 'debug'" },
  { name = "powers that were not granted", body = [[
      local tries = { function() falco.kill(1) end, function() falco.exec{ '/bin/true' } end, function() falco.http{ url = 'http://x' } end,
        function() falco.kv.set('a', 1) end, function() falco.emit{ output = 'x' } end, function() alert:drop() end,
        function() alert:to('stdout') end, function() alert:priority('debug') end, function() falco.every(1, function() end) end }
      for _, try in ipairs(tries) do
        local ok, message = pcall(try)
        if ok or not message:find('not granted') then falco.log('ESCAPED') end
      end
      falco.log('none')]], says = "none", grant = { log = true } },
  { name = "granting oneself", body = [[
      falco.grant, grant, setup = { kill = true }, { kill = true }, { grant = { kill = true } }
      falco.kill(1)]], error = "not granted", grant = { log = true } },

  -- ---------------------------------------------------------------- time
  { name = "an endless loop", body = "while true do end", error = BUDGET },
  { name = "an endless loop in match", whole = "return { match = function() while true do end end, write = function() end }", error = BUDGET },
  { name = "an endless loop in the main function", whole = "while true do end", at_load = true, error = BUDGET },
  { name = "an endless repeat without a body", body = "repeat until false", error = BUDGET },
  { name = "goto itself", body = "::a:: goto a", error = BUDGET },
  { name = "an endless for", body = "for i = 1, math.huge do end", error = BUDGET },
  { name = "an iterator without an end", body = "for _ in function() return 1 end do end", error = BUDGET },
  { name = "next() as an iterator that is never done", body = "local t = { 1 }; for k in function() return next(t) end do end", error = BUDGET },
  { name = "pcall that swallows the error", body = "while true do pcall(function() while true do end end) end", error = BUDGET },
  { name = "pcall of pcall", body = "while true do pcall(pcall, pcall, function() while true do end end) end", error = BUDGET },
  { name = "pcall as an iterator", body = "for _ in pcall, function() while true do end end do end", error = BUDGET },
  { name = "pcall in deep recursion", body = "local function f() pcall(f); pcall(f) end; while true do pcall(f) end", error = BUDGET },
  { name = "a loop in xpcall's handler", body = "xpcall(error, function() while true do end end)", error = "call global 'xpcall'" },
  { name = "a loop in __gc", body = [[
      do local t = setmetatable({}, { __gc = function() while true do end end }) end
      for i = 1, 100000 do local x = {} end
      falco.log('done')]], says = "done", limits = { instructions = 10000000 } },
  { name = "a loop in __gc of newproxy", body = "getmetatable(newproxy(true)).__gc = function() while true do end end", error = "call global 'newproxy'" },
  { name = "a loop in a comparison of sort", body = "table.sort({ 3, 2, 1 }, function() while true do end end)", error = BUDGET },
  { name = "sort with pcall for a comparison", body = [[
      local bad = setmetatable({}, { __call = function() while true do end end })
      local t = {}
      for i = 1, 2000 do t[i] = bad end
      table.sort(t, pcall)]], error = BUDGET },
  { name = "sort that never agrees", body = [[
      local t = {}
      for i = 1, 500 do t[i] = i end
      table.sort(t, function() return true end)
      table.sort(t, function() return math.random() < 0.5 end)
      falco.log(tostring(#t))]], says = "500" },
  { name = "a loop in a coroutine", body = "coroutine.wrap(function() while true do end end)()", error = BUDGET },
  { name = "loops in ever new coroutines", body = [[
      while true do
        local co = coroutine.create(function() while true do end end)
        coroutine.resume(co)
      end]], error = BUDGET },
  { name = "coroutines that resume each other by turns", body = [[
      local co = coroutine.wrap(function() while true do coroutine.yield() end end)
      while true do co() end]], error = BUDGET },
  { name = "coroutine.wrap over pcall loops", body = [[
      while true do
        pcall(coroutine.wrap(function() while true do pcall(function() while true do end end) end end))
      end]], error = BUDGET },
  { name = "yielding out of the handler", body = "coroutine.yield(1)", error = "yield" },
  { name = "yielding out of a replacement", body = "local s = ('x'):gsub('x', coroutine.yield)", error = "yield" },
  { name = "loops in metamethods", body = [[
      local t = setmetatable({}, { __index = function() while true do end end })
      local x = t.a]], error = BUDGET },
  { name = "__index that calls itself", body = [[
      local t = setmetatable({}, {}); getmetatable(t).__index = function(s, k) return s[k .. 'x'] end
      local x = t.a]], error = "limits: " },
  { name = "__index chains in a ring", body = [[
      local a, b = {}, {}
      setmetatable(a, { __index = b }); setmetatable(b, { __index = a })
      local x = a.nothing]], error = "loop" },
  { name = "__tostring of the error", body = "error(setmetatable({}, { __tostring = function() while true do end end }))", error = "the error is a table, not a text" },
  { name = "__tostring of the error that escapes", body = "error(setmetatable({}, { __tostring = function() falco.log('ESCAPED') return 'x' end }))",
    error = "the error is a table, not a text" },
  { name = "__tostring in format, into itself", body = [[
      local t = setmetatable({}, {}); getmetatable(t).__tostring = function(s) return string.format('%s', s) end
      local s = string.format('%s', t)]], error = "nested too deep" },
  { name = "an endless __concat, __eq, __lt, __call, __len", body = [[
      local function loop() while true do end end
      local t = setmetatable({}, { __concat = loop, __lt = loop, __call = loop, __unm = loop, __add = loop })
      for _, f in ipairs{ function() return t .. 'x' end, function() return t < t end, function() return t() end,
          function() return -t end, function() return t + 1 end } do pcall(f) end]], error = BUDGET },

  -- ---------------------------------------------------------------- time inside of C
  { name = "a pattern that goes back and forth", body = "local s = ('a'):rep(5000); local x = s:find(('a-'):rep(20) .. 'b')", error = BUDGET },
  { name = "a pattern of captures", body = "local s = ('a'):rep(3000); local x = s:match('(.-)(.-)(.-)(.-)b')", error = BUDGET },
  { name = "gsub with a bad pattern", body = "local s = ('a'):rep(20000); local x = s:gsub('.-.-b', '')", error = BUDGET },
  { name = "gmatch with a bad pattern", body = "local s = ('a'):rep(20000); for x in s:gmatch('(.-).-b') do end", error = BUDGET },
  { name = "a pattern bomb under pcall", body = [[
      local s = ('a'):rep(20000)
      while true do pcall(string.find, s, '.-.-.-b') end]], error = BUDGET },
  { name = "a set as long as a book", body = [[
      local s, set = ('a'):rep(100000), '[' .. ('b'):rep(100000) .. ']'
      local x = s:find(set)]], error = BUDGET },
  { name = "%b over and over", body = "local s = ('('):rep(100000); local x = s:find('%b()')", error = BUDGET },
  { name = "back references", body = "local s = ('a'):rep(100000); local x = s:find('(a*)%1b')", error = BUDGET },
  { name = "a plain search that a naive one takes for ever for", body = [[
      local s = ('a'):rep(1000000); local p = ('a'):rep(500000) .. 'b'
      falco.log(tostring(s:find(p, 1, true)))]], says = "nil", limits = { ms = 1000 } },
  { name = "a pattern of ten thousand pieces", body = "local x = ('a'):rep(10000):find(('a?'):rep(10000) .. 'b')", error = "too complex" },
  { name = "replacements in replacements", body = [[
      local function f(s) return (s:gsub('.', f)) end
      f('x')]], error = "nested too deep" },
  { name = "replacements that grow", body = [[
      local s = 'xx'
      for i = 1, 64 do s = s:gsub('x', 'xx') end]], error = "limits: " },
  { name = "malformed patterns", body = [[
      for _, p in ipairs{ '[', '[^', '[a', '[]', '[%', '%', '%f', '%fa', '%b', '%bx', '(', '(a))', '(()', '%1', '(%1)', '[a-%', ('('):rep(40), '%9' } do
        local ok, message = pcall(string.find, 'aaaa]', p)
        if ok then falco.log('ESCAPED: ' .. p .. tostring(message)) end
      end
      falco.log('none')]], says = "none" },
  { name = "table.concat over nothing, often", body = [[
      local t = {}
      for i = 1, 20000 do t[i] = '' end
      while true do table.concat(t) end]], error = BUDGET },
  { name = "inserting at the front", body = [[
      local t = {}
      while true do table.insert(t, 1, true) end]], error = BUDGET },
  { name = "string.rep of nothing", body = "falco.log(('').rep('', 1e12) .. 'x')", says = "x" },
  { name = "next() over a table that was emptied", body = [[
      local t = {}
      for i = 1, 60000 do t['k' .. i] = true end
      for i = 1, 60000 do t['k' .. i] = nil end
      while true do next(t) end]], error = BUDGET, limits = { instructions = 10000000 } },
  { name = "formats without an end", body = "while true do local s = ('%99.99f'):format(1e300) end", error = BUDGET },
  { name = "copying megabytes", body = "local s = ('x'):rep(4000000); while true do local t = s .. 'y' end", error = "limits: " },
  { name = "unpack of a huge range", body = "unpack({}, 1, 1e8)", error = "too many results" },
  { name = "select with a huge number", body = "local n = 0; while true do n = n + select('#', unpack({}, 1, 5000)) end", error = BUDGET },

  -- ---------------------------------------------------------------- memory
  { name = "string.rep of 1 GB", body = "local s = ('x'):rep(1073741824)", error = "limits: " },
  { name = "string.rep beyond all numbers", body = "local s = ('xx'):rep(1e18)", error = "too long" },
  { name = "doubling", body = "local s = 'x'; while true do s = s .. s end", error = "limits: memory" },
  { name = "a table without an end", body = "local t = {}; for i = 1, math.huge do t[i] = i end", error = "limits: memory", limits = { instructions = 1e9, ms = 2000 } },
  { name = "tables in tables", body = "local t = {}; while true do t = { t } end", error = "limits: memory", limits = { instructions = 1e9, ms = 2000 } },
  { name = "ever new texts", body = "local t = {}; for i = 1, math.huge do t[i] = 'key' .. i end", error = "limits: memory",
    limits = { instructions = 1e9, ms = 5000 } },
  { name = "swallowing lack of memory", body = [[
      local t = {}
      while true do pcall(function() for i = 1, math.huge do t[#t + 1] = ('x'):rep(1000) .. #t end end) end]],
    error = "limits: ", limits = { instructions = 1e7, ms = 2000 } },
  { name = "a bomb of coroutines", body = [[
      local all = {}
      while true do all[#all + 1] = coroutine.create(function() end) end]], error = "limits: memory", limits = { instructions = 1e9, ms = 2000 } },
  { name = "coroutines inside coroutines", body = [[
      local function deeper() return coroutine.wrap(deeper)() end
      deeper()]], error = "nested too deep" },
  { name = "coroutines inside coroutines, by resume", body = [[
      local function deeper() assert(coroutine.resume(coroutine.create(deeper))) end
      deeper()]], error = "t.lua:2: t.lua:2" },
  { name = "recursion without an end", body = "local function f() return 1 + f() end; f()", error = "stack overflow" },
  { name = "recursion under pcall", body = "local function f() local ok, m = pcall(f); error(m, 0) end; f()", error = "[%w]" },
  { name = "stack overflow, caught, again", body = [[
      local function f() return 1 + f() end
      while true do pcall(f) end]], error = BUDGET },
  { name = "many locals and a wide call", body = "local t = {}; for i = 1, 7000 do t[i] = i end; falco.log(tostring(select('#', unpack(t))))", says = "7000" },
  { name = "a script that nests without an end", whole = ("("):rep(100000), at_load = true, error = "too many" },
  { name = "a script of one huge expression", whole = "return " .. ("{"):rep(50000), at_load = true, error = "too many" },
  { name = "memory kept from call to call", whole = [[
      local keep = {}
      return { write = function() for i = 1, 2000 do keep[#keep + 1] = ('x'):rep(100) .. #keep end end }]],
    times = 100, error = "limits: memory" },

  -- ---------------------------------------------------------------- output
  { name = "ten thousand messages", body = "for i = 1, 10000 do falco.log('x') end", error = "more than 64 requests" },
  { name = "more output than there is room", body = "for i = 1, 60 do falco.emit{ output = ('x'):rep(10000) } end", error = "limits: output" },
  { name = "fields without an end", body = "for i = 1, 100000 do alert:set('k' .. i, i) end", error = "limits: " },
  { name = "a table in itself as a field", body = "local t = {}; t.t = t; alert:set('t', t)", error = "must be a text" },
  { name = "a table in itself as JSON", body = "local t = {}; t.t = t; falco.json(t)", error = "nested too deep" },
  { name = "a small table that is huge as JSON", body = "local t = { 1 }; for i = 1, 30 do t = { t, t, t, t } end; falco.json(t)", error = "limits: " },
  { name = "a function as a field", body = "falco.emit{ output = 'x', fields = { f = print or function() end } }", error = "values texts" },
  { name = "an emitted table that lies", body = [[
      local n = 0
      falco.emit(setmetatable({}, { __index = function(_, k) n = n + 1; return n % 2 == 1 and 'x' or {} end }))]], error = "must be a text" },
  { name = "numbers that are none", body = "falco.kill(0/0)", error = "must be a number" },
  { name = "keys without an end in the store", body = "for i = 1, 1e6 do falco.kv.set('key' .. i, 'v') end", error = "kv: full" },
  { name = "timers without an end", body = "for i = 1, 1e6 do falco.every(1, function() end) end", error = "timers" },
  { name = "timers that come at once", body = "falco.every(0, function() end); falco.every(-5, function() end); falco.log('set')", says = "set" },
  { name = "entries without an end in a bounded table", body = [[
      local t = falco.table{ max = 100 }
      for i = 1, 20000 do t:set(i, i) end
      falco.log(tostring(t:count()))]], says = "100", limits = { instructions = 1e7, ms = 2000 } },
  { name = "one entry of a bounded table, over and over", body = [[
      local t = falco.table{ max = 100 }
      t:set('stays', 1)
      for i = 1, 20000 do t:set('x', i); t:delete('x') end
      falco.log(tostring(t:count()))]], says = "1", limits = { instructions = 1e7, ms = 2000, memory = 1000000 } },
  { name = "an alert that is over", whole = [[
      local old
      return { write = function(alert) if old then old:drop() end; old = alert end }]], times = 2, error = "the alert has passed" },
}
