-- SPDX-License-Identifier: Apache-2.0
local attacks = require "spec.scripts.attacks"
local core = require "core"
local sandbox = require "scripts.sandbox"

local GRANTS = { log = true, route = true, alter = true, emit = true, timers = true, kv = true, kill = true, exec = true, http = true }

local function new_box(limits, grant)
  local box = assert(sandbox.new(limits))
  assert(box:call("setup", { grant = grant or GRANTS, timers = 16, kv_bytes = 4096, processes = 100, name = "t", now = 1000 }))
  return box
end

local function alert()
  return { rule = "r", source = "syscall", severity = 3, output = "o", tags = { "a" }, fields = { ["proc.pid"] = 77 }, time = 1000,
    iso = "1970-01-01T00:16:40Z" }
end

local function logged(answer)
  local lines = {}
  for i, line in ipairs(answer.log or {}) do lines[i] = line.text end
  return table.concat(lines, ",")
end

-- A script whose write() is `body`, run once; what it asked for, or nil and the error.
local function run(body, limits)
  local box = new_box(limits)
  assert(box:load("t.lua", "return { write = function(alert) " .. body .. "\nend }"))
  return box:call("alert", { now = 1000, alert = alert() })
end

-- What goes wrong in functions of ours is told at the line of the script that called them.
local MISUSES = {
  "string.rep('x', 1e10)", "string.rep('x' , 1e8)", "string.rep()", "table.concat(5)", "table.concat({ {} })", "table.insert({}, 'a', 1, 2)",
  "table.insert(nil, 1)", "table.remove(5, 1)", "table.sort(5)", "table.sort({ 1, {} })", "string.format('%d', 'x')", "string.format()",
  "coroutine.resume(5)", "coroutine.wrap(5)", "coroutine.wrap(function() error('x') end)()",
  "falco.table(5)", "falco.table{ max = 0 }", "falco.table{}.get({}, 1)", "falco.table{}:set(nil, 1)",
  "falco.after('x', function() end)", "falco.after(1)", "falco.every(1, 5)", "for _ = 1, 99 do falco.after(1, function() end) end",
  "alert:set('x', {})", "alert:priority('loud')", "alert:to({})", "alert.to({}, 'x')", "alert:format({})",
  "falco.log({})", "falco.emit(5)", "falco.kill('x')", "falco.exec{}", "falco.http(5)", "falco.kv.set({}, 1)",
  "falco.kv.set('a', ('x'):rep(5000))", "falco.json(print or function() end)", "falco.kv.add('a', {})",
  "while true do falco.now() end", "while true do ('x'):rep(1000) end", "local t = {} for i = 1, 1e5 do t[i] = i % 7 end while true do table.sort(t) end",
}

describe("sandbox", function()
  it("tells mistakes at the script's own line", function()
    local wrong = {}
    for _, misuse in ipairs(MISUSES) do
      local answer, message = run("\n" .. misuse .. "\n")
      if answer or not message:find("^t.lua:2: [^\n]") or message:find("scripts/%l+%.lua:") then
        wrong[#wrong + 1] = misuse .. " -> " .. (message or "nothing")
      end
    end
    assert.same({}, wrong)
    local answer = assert(run("\nlocal ok, why = pcall(function() local s = string.rep('x', 1e10) end) falco.log(why)"))
    assert.equal("t.lua:2: string.rep: the result is too long", logged(answer))
  end)

  -- Twice what the budget says, and what a machine under load and sanitizers add.
  local SLACK = os.getenv("LD_PRELOAD") and 3 or 1

  for _, attack in ipairs(attacks) do
    it("withstands " .. attack.name, function()
      local box = new_box(attack.limits, attack.grant)
      local began = os.clock()
      local text = attack.whole or ("return { write = function(alert)\n%s\nend }"):format(attack.body)
      local answer, message = box:load("t.lua", text)
      if not attack.at_load then assert(answer, message) end
      for _ = 1, attack.times or 1 do
        if answer and not attack.at_load then answer, message = box:call("alert", { now = 1000, alert = alert() }) end
      end
      local seconds, ms = os.clock() - began, (attack.limits or {}).ms or sandbox.LIMITS.ms
      if attack.error then
        assert.is_nil(answer, "it was let through")
        assert.matches(attack.error, message)
      else
        assert(answer, message)
        assert.equal(attack.says, logged(answer))
      end
      if not attack.own_words then assert.not_matches("ESCAPED", tostring(message) .. logged(answer or {})) end
      local allowed = attack.at_load and ms * 10 or ms * (attack.times or 1)
      assert.is_true(seconds * 1000 < (2 * allowed + 100) * SLACK, ("took %.0f ms"):format(seconds * 1000))
      assert.is_true(box:stats().memory <= ((attack.limits or {}).memory or sandbox.LIMITS.memory))
      box:free()
    end)
  end

  it("goes on after each of them", function()
    local box = new_box()
    assert(box:load("t.lua", [[
      local n = 0
      return { write = function() n = n + 1; if n % 2 == 1 then while true do end end; falco.log("well " .. n) end }]]))
    for n = 1, 6 do
      local answer, message = box:call("alert", { now = 1000, alert = alert() })
      if n % 2 == 1 then
        assert.matches("more than", message)
      else
        assert.equal("well " .. n, logged(answer))
      end
    end
    local stats = box:stats()
    assert.equal(3, stats.errors)
    assert.equal(3, stats.over_instructions + stats.over_time)
    assert.equal(8, stats.calls)
  end)

  it("says where in the script an error is, and how it came there", function()
    local _, message = run("local function inner() error('so it is') end\nlocal function outer() inner() end\nouter()")
    assert.matches("^t.lua:1: so it is\nstack traceback:", message)
    assert.matches("t.lua:2: in function 'outer'", message)
    assert.matches("t.lua:3: in function", message)
    local _, syntax = new_box():load("t.lua", "return {\n  write = \n}")
    assert.matches("^t.lua:3: unexpected symbol near '}'", syntax)
    local _, wrong = new_box():load("t.lua", "return 1")
    assert.matches("must return a table", wrong)
    local _, kind = new_box():load("t.lua", "return { write = 1 }")
    assert.matches("'write' must be a function, not a number", kind)
  end)

  it("counts time of the CPU, not of the wall", function()
    local _, message = run("while true do end", { instructions = 2 ^ 50, ms = 20 })
    assert.matches("t.lua:1: more than 20 ms in one call %(limits: ms%)", message)
  end)

  it("runs out of memory anywhere, and says so", function()
    local made, worked = 0, 0
    for memory = 1000, 200000, 611 do
      local box, message = sandbox.new{ memory = memory }
      if not box then
        assert.matches("cannot be made: .", message)
      else
        made = made + 1
        local ok = box:call("setup", { grant = GRANTS, timers = 4, kv_bytes = 10, name = "t", now = 1, kv = { a = ("x"):rep(1000) } })
          and box:load("t.lua", "local t = {} return { write = function(alert) t[#t + 1] = alert:json() .. #t; falco.emit{ output = 'x' } end }")
        for _ = 1, 20 do
          ok = ok and box:call("alert", { now = 1, alert = alert() })
          if not ok then assert.matches(".", core.cstr(core.C.sandbox_error(box.sb))) end
        end
        if ok then worked = worked + 1 end
        assert.is_true(box:stats().memory <= memory)
        box:free()
      end
    end
    assert.is_true(made > 100 and worked > 50 and worked < made, made .. " " .. worked)
  end)

  it("keeps sandboxes apart", function()
    local one, two = new_box(), new_box()
    assert(one:load("a.lua", "leak = 1; string.x = 1; return { write = function() end }"))
    local answer = assert(two:load("b.lua", "return { write = function() falco.log(tostring(leak) .. tostring(string.x)) end }"))
    answer = assert(two:call("alert", { now = 1, alert = alert() }))
    assert.equal("nilnil", logged(answer))
  end)
end)

describe("patterns in the sandbox", function()
  -- Lua's own say what is right; the sandbox's must say the same.
  local SUBJECTS = { "", "a", "hello world", "key = value, other=thing", "((a)(b))x", "THE (quick) fox", "  trim me  ", "a.b-c%d", "\0z\0",
    "f1 f22 f333", "aaa]bbb^ccc", "x\ny\nz" }
  local PATTERNS = { "", "a", ".", ".-", ".*", "a*", "a+", "a-", "a?", "^a", "a$", "^$", "%a+", "%d+", "%s*", "^%s*(.-)%s*$", "(%w+)%s*=%s*(%w+)",
    "%b()", "%f[%w]%w+", "[%w_]+", "[^,]+", "[]]", "[^]]+", "[a-c]+", "[%a-z]", "()", "(a)()", "(.)%1", "%.", "%-", "%%", "[+-]", "%z", "%x+",
    "%u", "%P", "f(%d)", "(%d)(%d?)", "%w-$", "[a-]+", "[-a]+", ".-b", "^(%w)(%w*)", "%f[%z]" }

  local function all(...) return { n = select("#", ...), ... } end

  it("find and match what Lua's own find and match", function()
    local box = new_box({ instructions = 1e8, ms = 5000, output = 1e7 })
    assert(box:load("t.lua", [[
      local cases
      return {
        open = function(args) cases = args end,
        write = function()
          local out = {}
          local function put(...)
            local parts = { select("#", ...) }
            for i = 1, select("#", ...) do parts[i + 1] = tostring((select(i, ...))) end
            out[#out + 1] = table.concat(parts, "|")
          end
          for _, case in ipairs(cases) do
            local s, p = case[1], case[2]
            put(s:find(p)); put(s:match(p)); put(s:find(p, 3)); put(s:match(p, -3)); put(s:find(p, 1, true))
            put(s:gsub(p, "<%0>")); put(s:gsub(p, "<%1>", 2)); put(s:gsub(p, string.upper)); put(s:gsub(p, { a = "X", hello = false }))
            for a, b in s:gmatch(p) do put(a, b) end
          end
          falco.emit{ output = table.concat(out, "\1") }
        end }]]))
    local cases, want = {}, {}
    local function put(...)
      local values = all(...)
      local parts = { values.n }
      for i = 1, values.n do parts[i + 1] = tostring(values[i]) end
      want[#want + 1] = table.concat(parts, "|")
    end
    for _, s in ipairs(SUBJECTS) do
      for _, p in ipairs(PATTERNS) do
        cases[#cases + 1] = { s, p }
        put(s:find(p)) put(s:match(p)) put(s:find(p, 3)) put(s:match(p, -3)) put(s:find(p, 1, true))
        put(s:gsub(p, "<%0>")) put(s:gsub(p, "<%1>", 2)) put(s:gsub(p, string.upper)) put(s:gsub(p, { a = "X", hello = false }))
        for a, b in s:gmatch(p) do put(a, b) end
      end
    end
    assert(box:call("open", { args = cases }))
    local answer = assert(box:call("alert", { now = 1, alert = alert() }))
    local got = {}
    for line in (answer.emit[1].output .. "\1"):gmatch("(.-)\1") do got[#got + 1] = line end
    assert.equal(#want, #got)
    for i = 1, #want do assert.equal(want[i], got[i]) end
    assert.is_true(#want > 5000)
  end)

  it("do so for random patterns, malformed ones among them", function()
    local box = new_box({ instructions = 1e8, ms = 5000, output = 1e7 })
    assert(box:load("t.lua", [[
      local cases
      return {
        open = function(args) cases = args end,
        write = function()
          local out = {}
          for i, case in ipairs(cases) do
            local parts = { pcall(string.find, case[1], case[2]) }
            if parts[1] then
              for k = 1, #parts do parts[k] = tostring(parts[k]) end
              out[i] = table.concat(parts, "|")
            else
              out[i] = "malformed"
            end
          end
          falco.emit{ output = table.concat(out, "\1") }
        end }]]))
    local function pick(alphabet, most)
      local n, out = math.random(0, most), {}
      for i = 1, n do
        local at = math.random(#alphabet)
        out[i] = alphabet:sub(at, at)
      end
      return table.concat(out)
    end
    local cases, want = {}, {}
    math.randomseed(4711)
    for i = 1, 8000 do
      local text, pattern = pick("aab1 ]-", 10), pick("aab%%%[]()^$*+-?.wdfb1", 8)
      local parts = { pcall(string.find, text, pattern) }
      cases[i] = { text, pattern }
      if parts[1] then
        for k = 1, #parts do parts[k] = tostring(parts[k]) end
        want[i] = table.concat(parts, "|")
      else
        want[i] = "malformed"
      end
    end
    assert(box:call("open", { args = cases }))
    local answer = assert(box:call("alert", { now = 1, alert = alert() }))
    local i, malformed = 0, 0
    for line in (answer.emit[1].output .. "\1"):gmatch("(.-)\1") do
      i = i + 1
      if want[i] == "malformed" then malformed = malformed + 1 end
      assert.equal(want[i], line, ("'%s':find('%s')"):format(cases[i][1], cases[i][2]))
    end
    assert.equal(8000, i)
    assert.is_true(malformed > 500 and malformed < 7000, malformed)
  end)
end)
