-- SPDX-License-Identifier: Apache-2.0
-- Watches a live source for events that were lost on the way from the kernel, and for silence: syscall_event_drops and
-- syscall_event_timeouts of falco.yaml.
--   local watch = drops.new(config, tell)       tell(what): raises internal.what(what)
--   watch(now_ns, losses, delivered)            now and then; false: the configuration says to stop
-- losses: struct live_losses, totals so far; delivered: how many events have come.
local console = require "console"
local internal = require "internal"

local M = {}

local SECOND = 1e9
local SILENCE = 30e6		-- ns: what Falco calls one timeout

-- Falco's names of the numbers in an alert.
local FIELDS = {
  n_evts = "events", n_drops = "lost", n_drops_buffer_total = "full", n_drops_buffer_clone_fork_exit = "forks",
  n_drops_buffer_execve_exit = "execs", n_drops_buffer_connect_exit = "connects", n_drops_buffer_open_exit = "opens",
  n_drops_buffer_dir_file_exit = "files", n_drops_buffer_other_interest_exit = "others",
  n_drops_buffer_close_exit = "closes", n_drops_buffer_proc_exit = "exits", n_drops_scratch_map = "too_big",
  n_drops_bug = "busy",
}

local function totals(losses)
  local out = {}
  for _, member in pairs(FIELDS) do out[member] = tonumber(losses[member]) end
  return out
end

local function fields_of(delta)
  local out = { ebpf_enabled = "1", n_drops_page_faults = "0" }
  for name, member in pairs(FIELDS) do out[name] = ("%d"):format(delta[member]) end
  return out
end

local actions = {}

function actions.ignore() return true end

function actions.log(message)
  console.debug(message)
  return true
end

function actions.alert(message, delta, tell)
  tell{ rule = "syscall event drop", message = message, priority = internal.DEBUG, fields = fields_of(delta) }
  return true
end

function actions.exit(message)
  console.error("Falco internal: syscall event drop. " .. message .. " Stopping, as syscall_event_drops.actions says")
  return false
end

-- Does what is configured about the events lost since the last look. false: stop.
local function react(config, delta, bucket, now, tell)
  if delta.lost == 0 or delta.lost / math.max(delta.events, 1) <= config.threshold then return true end
  if not bucket(now) then
    console.debug("events were lost again, but syscall_event_drops.rate allows no action yet")
    return true
  end
  local message = ("%d system calls dropped in last second."):format(delta.lost)
  local goes_on = true
  for _, name in ipairs(config.actions) do goes_on = actions[name](message, delta, tell) and goes_on end
  return goes_on
end

local function drop_watch(config, tell)
  local bucket = internal.bucket(config.rate, config.max_burst)
  local last, due
  return function(now, losses)
    if due and now < due then return true end
    local sum, before = totals(losses), last
    last, due = sum, now + SECOND
    if not before then return true end
    local delta = {}
    for member, value in pairs(sum) do delta[member] = value - before[member] end
    if config.simulate_drops then delta.lost = delta.lost + 1 end
    return react(config, delta, bucket, now, tell)
  end
end

local function silence_watch(config, tell)
  local seen, since = nil, nil
  return function(now, delivered)
    if delivered ~= seen then
      seen, since = delivered, now
    elseif now - since > config.max_consecutives * SILENCE then
      tell{ rule = "timeouts notification", priority = internal.DEBUG,
        message = ("%d consecutive timeouts without event."):format(config.max_consecutives),
        fields = { last_event_time = seen == 0 and "none" or ("%.0f seconds ago"):format((now - since) / SECOND) } }
      since = now
    end
  end
end

function M.new(config, tell)
  local drop_config = config.syscall_event_drops
  if drop_config.simulate_drops then
    drop_config = setmetatable({ threshold = -1 }, { __index = drop_config })
  end
  local drop, silence = drop_watch(drop_config, tell), silence_watch(config.syscall_event_timeouts, tell)
  return function(now, losses, delivered)
    silence(now, delivered)
    return drop(now, losses)
  end
end

return M
