-- SPDX-License-Identifier: Apache-2.0
local drops = require "drops"

local SECOND = 1e9

local function config(more)
  local c = { threshold = 0.1, actions = { "alert" }, rate = 0.03333, max_burst = 1, simulate_drops = false }
  for key, value in pairs(more or {}) do c[key] = value end
  return { syscall_event_drops = c, syscall_event_timeouts = { max_consecutives = 10 } }
end

local function losses(events, lost)
  return { events = events, lost = lost, full = lost, forks = 1, execs = 0, exits = 0, opens = lost - 1, closes = 0, connects = 0,
           files = 0, others = 0, too_big = 0, busy = 0 }
end

describe("a watch over lost events", function()
  local told

  local function watch(more)
    told = {}
    return drops.new(config(more), function(what) told[#told + 1] = what end)
  end

  it("says how many were lost in the last second, by Falco's names", function()
    local look = watch()
    look(1 * SECOND, losses(1000, 10), 1)
    look(2.5 * SECOND, losses(2000, 510), 2)
    assert.equal(1, #told)
    assert.equal("syscall event drop", told[1].rule)
    assert.equal("500 system calls dropped in last second.", told[1].message)
    assert.equal("1000", told[1].fields.n_evts)
    assert.equal("500", told[1].fields.n_drops)
    assert.equal("500", told[1].fields.n_drops_buffer_open_exit)
    assert.equal("0", told[1].fields.n_drops_buffer_clone_fork_exit)
  end)

  it("keeps quiet about a share below the threshold", function()
    local look = watch()
    look(1 * SECOND, losses(1000, 10), 1)
    look(3 * SECOND, losses(2000, 110), 2)
    assert.equal(0, #told)
  end)

  it("does not look twice in a second", function()
    local look = watch()
    look(1 * SECOND, losses(0, 1), 1)
    look(1.5 * SECOND, losses(1000, 900), 2)
    assert.equal(0, #told)
  end)

  it("acts no more often than the rate allows", function()
    local look = watch()
    for second = 1, 100 do look(second * 1.1 * SECOND, losses(second * 1000, second * 500), second) end
    assert.equal(4, #told)          -- one at once, then one in thirty seconds
  end)

  it("ends the run if that is asked for", function()
    local look = watch{ actions = { "alert", "exit" } }
    assert.is_true(look(1 * SECOND, losses(1000, 1), 1))
    assert.is_false(look(3 * SECOND, losses(2000, 900), 2))
    assert.equal(1, #told)
  end)

  it("can pretend", function()
    local look = watch{ simulate_drops = true }
    look(1 * SECOND, losses(1000, 1), 1)
    look(3 * SECOND, losses(2000, 1), 2)
    assert.equal("1 system calls dropped in last second.", told[1].message)
  end)

  it("tells of silence, and again after as long", function()
    local look = watch()
    for i = 0, 100 do look(i * 0.01 * SECOND, losses(1, 1), 7) end
    assert.equal(3, #told)
    assert.equal("timeouts notification", told[1].rule)
    assert.equal("10 consecutive timeouts without event.", told[1].message)
  end)
end)
