-- SPDX-License-Identifier: Apache-2.0
local core = require "core"
local diag = require "diag"
local rules = require "rules"
local scan = require "scan"
local support = dofile "spec/support.lua"

local PROCS, SENSITIVE = "test/data/procs.scap", "test/data/sensitive.scap"

local function open(...)
  return assert(scan.open{ files = { ... } })
end

local function condition(s, text)
  local diags = diag.new()
  return assert(s:condition(text, diags), diags:render{ level = "error" })
end

-- What a rule with this condition matches.
local function by_engine(path, text)
  local result = support.good(support.rule("r", "'" .. text:gsub("'", "''") .. "'", "  warn_evttypes: false\n"))
  local prog = rules.compile(result)
  local out = {}
  support.replay(path, result.ruleset, function(evt, head)
    if prog.match(evt) > 0 then out[#out + 1] = tonumber(head.num) end
  end)
  core.C.ruleset_free(result.ruleset)
  return out
end

describe("scan", function()
  it("finds what a rule finds, again and again", function()
    local s = open(PROCS)
    for _, text in ipairs{ "evt.type = execve", "proc.name = cat", "evt.type != close and fd.name startswith /etc",
                           "proc.aname = bash and evt.type = openat", "util.cnt > 100 and evt.type = openat", "evt.num < 0" } do
      local want = by_engine(PROCS, text)
      for _ = 1, 2 do
        local hits = assert(s:find(condition(s, text)))
        assert.same(want, hits:list(math.huge), text)
        assert.equal(#want, hits.count)
      end
    end
    s:close()
  end)

  it("counts events on over several files", function()
    local one, both = open(PROCS), open(PROCS, SENSITIVE)
    local text = "evt.type = execve"
    local first = one:find(condition(one, text))
    local hits = both:find(condition(both, text))
    assert.equal(first.count + #by_engine(SENSITIVE, text), hits.count)
    assert.same(first:list(math.huge), hits:list(first.count))
    local last = hits:list(math.huge)[hits.count]
    assert.is_true(last > one.events)
    assert.equal("execve", assert(both:at(last)):value("evt.type"))
    one:close()
    both:close()
  end)

  it("can be stopped, and goes on from there", function()
    local s = open(PROCS, SENSITIVE)
    local text, fractions = "evt.type = execve", {}
    local function stop_after(n)
      return { slice = 1000, progress = function(fraction)
        fractions[#fractions + 1] = fraction
        return #fractions < n
      end }
    end
    local hits = s:find(condition(s, text), stop_after(3))
    assert.is_true(hits.cancelled)
    assert.is_nil(s.complete)
    assert.is_true(hits.looked > 1000 and hits.looked < 4000)
    for i, fraction in ipairs(fractions) do
      assert.is_true(fraction >= 0 and fraction <= 1 and (i == 1 or fraction >= fractions[i - 1]))
    end
    local want = by_engine(PROCS, text)
    local all = s:find(condition(s, text))
    assert.is_nil(all.cancelled)
    assert.is_true(s.complete)
    assert.same(want, all:list(#want))
    assert.same(all:list(math.huge), s:find(condition(s, text)):list(math.huge))
    fractions = {}
    assert.is_true(s:top({ "fd.name" }, nil, stop_after(2)).cancelled)
    fractions = {}
    assert.is_true(s:near(condition(s, "proc.name = nosuch"), stop_after(2)).cancelled)
    s:close()
  end)

  it("answers from memory what once took a replay", function()
    local s = open(PROCS)
    s:find(condition(s, "evt.num > 0"))
    for _, text in ipairs{ "proc.nthreads > 1", "proc.nchilds = 0 and evt.type = clone", "proc.stdin.type = file", "proc.stdout.name exists",
                           "evt.deltatime > 1000", "evt.type = openat and evt.deltatime.ns < 100000", "util.cnt > 100",
                           "proc.aenv[HOME] contains o", "proc.aenv contains PATH", "evt.args contains bash", "evt.arg.fd contains etc", "evt.arg.pid exists", "evt.arg[0] contains e",
                           "evt.rawarg.fd > 2", "fdlist.nums exists", "fd.containername contains etc", "fs.path.name contains etc",
                           "proc.name = bash or fd.name startswith /etc", "fd.is_server = false or fd.lport > 0" } do
      local hits = assert(s:find(condition(s, text)))
      assert.equal("memory", hits.how, text)
      assert.equal(0, hits.late, text)
      assert.same(by_engine(PROCS, text), hits:list(math.huge), text)
    end
    s:close()
  end)

  it("does not ask events that lack what is compared", function()
    local query, s = require("rules.query"), open(PROCS)
    local function asked(text)
      local cond = condition(s, text)
      local q, n = query.new{ ruleset = cond.ruleset, tree = cond.tree, events = cond.events }, 0
      for i = 0, core.C.past_types() - 1 do n = n + (q.types[i] > 0 and 1 or 0) end
      return n
    end
    local all = asked("evt.num > 0")
    assert.is_true(all > 300)
    assert.is_true(asked("evt.abspath exists") < 20)
    assert.is_true(asked("evt.arg.flags contains O_CREAT") < all / 2)
    assert.is_true(asked("fd.name contains a") < all / 2)
    assert.equal(all, asked("not fd.name contains a"))
    assert.equal(all, asked("evt.args contains a"))
    s:close()
  end)

  it("subtracts hits and spreads them over time", function()
    local s = open(PROCS)
    local execs, cats = s:find(condition(s, "evt.type = execve")), s:find(condition(s, "evt.type = execve and proc.name = bash"))
    local rest = execs:minus(cats)
    assert.equal(execs.count - cats.count, rest.count)
    assert.same(s:find(condition(s, "evt.type = execve and proc.name != bash")):list(math.huge), rest:list(math.huge))
    local sum = 0
    for _, n in ipairs(execs:timeline(7)) do sum = sum + n end
    assert.equal(execs.count, sum)
    s:close()
  end)

  it("is right, if slow, when nothing may be remembered", function()
    local s = assert(scan.open{ files = { PROCS }, bytes = 1 })
    local text = "proc.name = bash"
    for _ = 1, 2 do assert.same(by_engine(PROCS, text), s:find(condition(s, text)):list(math.huge)) end
    assert.truthy(s:facts().why_not:find("limits.scan_bytes", 1, true))
    local hits, sum = s:find(condition(s, text)), 0
    for _, n in ipairs(hits:timeline(5)) do sum = sum + n end
    assert.is_true(sum > 0)
    assert.equal(hits.count, sum)
    assert.equal("bash", s:read(hits, { "proc.name" }, { limit = 1 })[1][1])
    assert.equal("bash", s:at(hits:list(1)[1]):value("proc.name"))
    s:close()
  end)

  it("reads fields, counts values", function()
    local s = open(SENSITIVE)
    local hits = s:find(condition(s, "evt.type = execve"))
    local rows = assert(s:read(hits, { "evt.num", "proc.name", "proc.aname[9]" }, { limit = 3 }))
    assert.equal(3, #rows)
    assert.equal(tostring(rows[1].num), rows[1][1])
    assert.is_false(rows[1][3])
    local top = assert(s:top({ "proc.name" }, hits))
    local sum = 0
    for i, row in ipairs(top) do
      sum = sum + row.count
      assert.is_true(i == 1 or top[i - 1].count >= row.count)
    end
    assert.equal(hits.count, sum)
    assert.equal(hits.count, top.events)
    local few = assert(s:top({ "proc.name" }, hits, { max = 1 }))
    assert.equal(1, #few)
    assert.equal(hits.count - few[1].count, few.left_out)
    local numbers = assert(s:numbers("evt.rawres", hits))
    assert.equal(hits.count, numbers.count + numbers.missing)
    local _, diags = s:read(hits, { "proc.nam" })
    assert.equal(1, diags.errors)
    s:close()
  end)

  it("goes to an event, back and forth", function()
    local s = open(SENSITIVE)
    local hits = s:find(condition(s, "evt.type = execve and proc.name = cat"))
    local num = hits:list(1)[1]
    for _, there in ipairs{ num, 5, num } do
      assert.equal(tostring(there), assert(s:at(there)):value("evt.num"))
    end
    local at = assert(s:at(num))
    local tid = tonumber(at.head.tid)
    assert.equal("cat", at:thread(tid).comm)
    local up = at:ancestors(tid)
    assert.equal("cat", up[1].comm)
    assert.equal(at:value("proc.pname"), up[2].comm)
    assert.is_true(#at:processes() > 1)
    assert.equal(tonumber(at:value("proc.fdopencount")), #at:fds(tid))
    assert.equal("res", at:params()[1].name)
    assert.is_true(#at:fields() > 100)
    assert.is_nil(at:thread(123456789))
    assert.is_nil((s:at(1e9)))
    s:close()
  end)

  it("says what cannot be opened", function()
    local s, message = scan.open{ files = { "spec/scan_spec.lua" } }
    assert.is_nil(s)
    assert.truthy(message:find("spec/scan_spec.lua", 1, true))
  end)
end)
