-- SPDX-License-Identifier: Apache-2.0
-- The law of remembered captures: a condition asked again finds what a full replay finds. Random conditions and the shipped
-- rules, on every capture; read for the first time, remembered, and read again.
--   FALCO_SEED=N   repeats a run that failed     FALCO_LONG=1   ten times as many random conditions
local core = require "core"
local conditions = dofile "spec/conditions.lua"
local rules = require "rules"
local scan = require "scan"
local support = dofile "spec/support.lua"

local FIXED_SEED = 7
local LONG = os.getenv("FALCO_LONG")

local function captures()
  local out, pipe = {}, io.popen("ls test/data/*.scap")
  for path in pipe:lines() do
    out[#out + 1] = path
  end
  pipe:close()
  return out
end

local CAPTURES = captures()

-- For each rule the numbers of the events that an engine finds.
local function by_engine(text, capture)
  local result = support.good(text)
  for _, rule in ipairs(result.rules) do rule.enabled = true end
  local prog, out = rules.compile(result, { matching = "all" }), {}
  for i = 1, #result.rules do out[i] = {} end
  support.replay(capture, result.ruleset, function(evt, head)
    for k = 0, prog.match(evt) - 1 do
      local list = out[prog.hits[k]]
      list[#list + 1] = tonumber(head.num)
    end
  end)
  core.C.ruleset_free(result.ruleset)
  return out
end

local function first_difference(want, got)
  for i = 1, math.max(#want, #got) do
    if want[i] ~= got[i] then
      return want[i] and (not got[i] or want[i] < got[i]) and ("event %d is missing"):format(want[i])
        or ("event %d is too much"):format(got[i])
    end
  end
end

local function explain(s, cond, number)
  local why = require "why"
  local tree = s:why(cond, number)
  return tree and why.text(tree) or ""
end

-- Compares all rules of the text on a capture. `told` counts by way.
local function hold(text, capture, bytes, told, label)
  local want = by_engine(text, capture)
  local s = assert(scan.open{ files = { capture }, bytes = bytes })
  local result = support.good(text)
  for i, rule in ipairs(result.rules) do
    local cond = s:of_rule(result, rule)
    local hits = assert(s:find(cond))
    local what = first_difference(want[i], hits:list(math.huge))
    if what then
      error(("%s: %s, %s (%s), of rule %s\n%s\n%s"):format(label, capture, what, hits.how, rule.name, rule.condition,
        explain(s, cond, tonumber(what:match("%d+")))), 0)
    end
    assert.equal(#want[i], hits.count)
    told[hits.how] = (told[hits.how] or 0) + 1
    told.late = (told.late or 0) + hits.late
    told.found = (told.found or 0) + hits.count
  end
  s:close()
  core.C.ruleset_free(result.ruleset)
end

local function summary(told)
  return ("# %d scans read, %d from memory, %d replayed; %d events of those from memory replayed; %d events found"):format(
    told.first or 0, told.memory or 0, told.replay or 0, told.late or 0, told.found or 0)
end

local pool

local function hold_random(seed, n)
  pool = pool or conditions.pool(CAPTURES)
  local new, told = conditions.generator(pool, seed), {}
  local text = {}
  for i = 1, n do
    text[i] = support.rule("r" .. i, "'" .. new():gsub("'", "''") .. "'", "  warn_evttypes: false\n")
  end
  text = table.concat(text)
  for i, capture in ipairs(CAPTURES) do
    if i % 3 == seed % 3 or LONG then hold(text, capture, nil, told, "FALCO_SEED=" .. seed) end
  end
  print(summary(told))
  assert.is_true(told.memory > told.replay / 5 and told.found > 1000, summary(told))
end

describe("what is remembered answers as a replay does", function()
  it("on random conditions, fixed seed", function()
    hold_random(FIXED_SEED, LONG and 400 or 40)
  end)

  it("on random conditions, random seed", function()
    hold_random(tonumber(os.getenv("FALCO_SEED")) or os.time() % 1000000, LONG and 400 or 40)
  end)

  it("on single comparisons of every field", function()
    pool = pool or conditions.pool(CAPTURES)
    local _, literals = conditions.generator(pool, 3)
    local text, told = {}, {}
    for i = 1, LONG and #literals or 150 do
      text[i] = support.rule("l" .. i, "'" .. literals[i]:gsub("'", "''") .. "'", "  warn_evttypes: false\n")
    end
    text = table.concat(text)
    for i, capture in ipairs(CAPTURES) do
      if i % 5 == 1 or LONG then hold(text, capture, nil, told, "literals") end
    end
    print(summary(told))
  end)

  it("on the shipped rules", function()
    local f = assert(io.open("rules/falco_rules.yaml"))
    local text = f:read("*a")
    f:close()
    local told = {}
    for i, capture in ipairs(CAPTURES) do
      hold(text, capture, i % 5 == 0 and 65536 or nil, told, "shipped rules")
    end
    print(summary(told))
    assert.is_true(told.found > 100)
  end)

  -- Uses of fields that outputs may have, as texts; those that remember, and those of which `some` says no, left out.
  local function uses(some)
    pool = pool or conditions.pool(CAPTURES)
    local C, out = core.C, {}
    for scope, list in pairs(pool.scopes) do
      for _, use in ipairs(list) do
        if scope ~= C.SCOPE_STATEFUL and bit.band(use.info.flags, C.FIELD_FILTER_ONLY) == 0 and some(use.info) then
          out[#out + 1] = use.text
        end
      end
    end
    -- an alert shows of fields behind evt.abspath what it shows of another descriptor
    local function key(text) return (text:find("abspath", 1, true) and "1" or "0") .. text end
    table.sort(out, function(a, b) return key(a) < key(b) end)
    return out
  end

  local function is_in_memory(info)
    return bit.band(info.flags, core.C.FIELD_REPLAY) == 0
  end

  -- The texts of fields, event by event: calls see(num, texts).
  local function read_live(capture, fields, see)
    local rs = core.C.ruleset_new()
    local ids = {}
    for i, text in ipairs(fields) do
      ids[i] = assert(require("rules.ruleset").operand(rs, (require("rules.grammar").operand(text, 1))))
    end
    local output = require("rules.ruleset").output(rs, ids)
    for code = 0, core.C.event_count() - 1 do core.C.ruleset_want(rs, code, -1) end
    support.replay(capture, rs, function(evt, head)
      local values, texts = core.C.alert_fill(evt, output).values, {}
      for i = 1, #fields do texts[i] = require("values").text(values[i - 1]) end
      see(tonumber(head.num), texts)
    end)
    core.C.ruleset_free(rs)
  end

  it("in every value of every field", function()
    local fields, compared = uses(is_in_memory), 0
    for k, capture in ipairs(CAPTURES) do
      if k % 6 == 2 or LONG then
        local s = assert(scan.open{ files = { capture } })
        assert(s:find(s:condition("evt.num > 0", require("diag").new())))
        -- alone, so that one that has to be replayed does not take the others along
        local memory = {}
        for _, field in ipairs(fields) do
          local rows = assert(s:read(nil, { field, "container.id" }))     -- which makes users those of the container
          for _, row in ipairs(rows) do
            memory[row.num] = memory[row.num] or {}
            table.insert(memory[row.num], row[1])
          end
        end
        read_live(capture, fields, function(num, texts)
          for i, text in ipairs(texts) do
            if memory[num][i] ~= text then
              error(("%s, event %d: %s is %s, remembered as %s"):format(capture, num, fields[i], tostring(text),
                tostring(memory[num][i])), 0)
            end
            compared = compared + 1
          end
        end)
        s:close()
      end
    end
    print(("# %d values of %d uses of fields compared"):format(compared, #fields))
    assert.is_true(compared > 100000)
  end)

  it("in what it counts", function()
    local lists = { { "proc.name" }, { "fd.name" }, { "proc.name", "evt.type" }, { "evt.args" }, { "proc.aname[1]", "fd.type" },
                    { "container.image.repository" }, { "proc.nthreads" }, { "user.name", "proc.pname" } }
    for _, capture in ipairs{ "test/data/procs.scap", "test/data/docker_priv.scap" } do
      local s = assert(scan.open{ files = { capture } })
      for _, fields in ipairs(lists) do
        local want, n = {}, 0
        read_live(capture, fields, function(_, texts)
          for i, text in ipairs(texts) do texts[i] = tostring(text):sub(1, 4096) end
          local key = table.concat(texts, "\0")
          if not want[key] then n = n + 1 end
          want[key] = (want[key] or 0) + 1
        end)
        for _ = 1, 2 do
          local rows = assert(s:top(fields))
          assert.equal(n, rows.distinct, table.concat(fields, " "))
          for _, row in ipairs(rows) do
            local texts = {}
            for i = 1, #fields do texts[i] = tostring(row[i]) end
            assert.equal(want[table.concat(texts, "\0")], row.count, table.concat(texts, " "))
          end
        end
      end
      s:close()
    end
  end)
end)
