-- SPDX-License-Identifier: Apache-2.0
-- The output thread: takes parcels from the queue and gives them to the outputs, until the worker has ended and all has gone
-- out, or the time for that is over. Started by C (lua.c), with a Lua state of its own: nothing is shared with the worker but
-- the queue.
--   main(cdef, queue, boot)         boot: { conf =, live =, unbuffered =, verbose = }, encoded by queue.lua
--
-- What a rule's alerts look like comes as data in front of the first of them, with its generation and number; the queue keeps
-- order, so a generation's plans are forgotten as soon as a younger one comes.
local buffer = require("string.buffer")
local core = require("core")

-- Every kind of alert takes the same few paths; the rest of the time is C's.
jit.opt.start("maxtrace=2000", "maxmcode=4096")

local M = {}

-- parcel.rule of data that is not a rule's plan: queue.lua puts it there.
M.TOLD = 4294967295

local BATCH = 256            -- parcels between looks at descriptors and the clock
local ROWS = 1e9             -- ns between reports to the worker
local LOOK = 20e6            -- ns between looks at the clock when it comes to an end

local function report(q, line)
  core.C.queue_report(q, line, #line)
end

local function take_data(state, parcel)
  local data = buffer.decode(core.ffi.string(core.C.parcel_data(parcel), parcel.len))
  if parcel.rule == M.TOLD then
    state.outs:tell(data)
    return
  end
  if parcel.generation ~= state.generation then state.generation, state.plans = parcel.generation, {} end
  state.plans[parcel.rule] = state.outs.renderer:plan(data)
end

local function take(state, parcel)
  if parcel.kind == core.C.PARCEL_DATA then return take_data(state, parcel) end
  local plan = parcel.generation == state.generation and state.plans[parcel.rule]
  assert(plan, "an alert before its plan")
  state.outs:alert(plan, core.C.parcel_alert(parcel))
end

-- Up to BATCH parcels; how many there were, and whether outputs are full.
local function drain(state)
  local C, q, outs = core.C, state.q, state.outs
  for n = 0, BATCH - 1 do
    local parcel = C.queue_peek(q)
    if parcel == nil then return n, false end
    if not outs:has_room() then return n, true end
    take(state, parcel)
    C.queue_done(q)
    if outs:is_lost() then return n, false end
  end
  return BATCH, false
end

local function now_ns()
  return tonumber(core.C.sys_now_ns())
end

-- Until something can be done. full: what is in the queue has to wait.
local function sleep(state, nap, full)
  local C, fds, n, now = core.C, state.fds, 0, now_ns()
  local when = state.outs:wants(function(fd, events)
    if n < state.max_fds then
      fds[n].fd, fds[n].events = fd, events
      n = n + 1
    end
  end, now)
  if state.ending then when = math.min(when or math.huge, now + LOOK) end
  local ms = -1
  if when then ms = math.max(0, math.min(60000, math.ceil((when - now) / 1e6))) end
  C.queue_wait(state.q, fds, n, ms, nap, full)
end

local function report_rows(state)
  local i = 1
  while state.outs:row(i, state.row) do
    core.C.queue_set_output(state.q, i - 1, state.row)
    i = i + 1
  end
end

local function look_after(state)
  local now = now_ns()
  local reopens = core.C.queue_reopens(state.q)
  if reopens ~= state.reopens then
    state.reopens = reopens
    state.outs:reopen()
  end
  state.outs:tick(now)
  if now > state.rows_due then
    state.rows_due = now + ROWS
    report_rows(state)
  end
end

-- Has the worker ended? Asked before the queue is looked at, since only then an empty queue says that nothing more comes.
local function has_ended(state)
  local ended = core.C.queue_ended(state.q, state.deadline)
  if ended then state.ending = state.ending or now_ns() end
  return ended
end

-- After that: is it time to go? All has gone out that will, or the time is over. idle: the queue is empty. What stages have to say when no
-- alert comes any more has to go out, too.
local function is_over(state, idle)
  local deadline, now = tonumber(state.deadline[0]), now_ns()
  if deadline ~= 0 and now > deadline then return true end
  if not idle then return false end
  state.outs:end_stages()
  return state.outs:is_drained(now - state.ending > state.drain_ns)
end

local function run(state)
  local busy = false
  while not state.outs:is_lost() do
    local ended = has_ended(state)
    local n, full = drain(state)
    if n < BATCH then state.outs:flush() end
    if ended and is_over(state, n < BATCH and not full) then return end
    if n < BATCH then
      sleep(state, busy, full)
      busy = n > 0
    end
    look_after(state)
  end
end

local function open(q, boot)
  require("console").set_level(boot.conf.log_level, boot.conf.log_stderr, boot.verbose)
  local outs, message = require("outputs").open(boot.conf, { live = boot.live, unbuffered = boot.unbuffered })
  if not outs then
    report(q, message)
    return nil
  end
  return { q = q, outs = outs, generation = 0, plans = {}, reopens = 0, max_fds = 64, rows_due = 0,
    row = core.ffi.new("struct output_row"), deadline = core.ffi.new("uint64_t[1]"),
    drain_ns = boot.conf.outputs_queue.drain_timeout * 1e6, fds = core.ffi.new("struct queue_fd[?]", 64) }
end

-- The worker gives up its rights by itself; each thread has its own.
local function give_up_rights(outs)
  local C, err = core.C, core.err()
  local keep, programs = outs:rights()
  if C.sys_keep_rights(keep, programs and C.RIGHTS_FOR_PROGRAMS or 0, err) < 0 then
    require("console").warning("outputs: " .. core.message(err))
  end
end

setmetatable(M, { __call = function(_, cdef, queue, boot)
  core.load(cdef)
  local q = core.ffi.cast("struct queue *", queue)
  boot = buffer.decode(boot)
  local state = open(q, boot)
  if not state then return end
  if boot.live then give_up_rights(state.outs) end
  core.C.queue_set_state(q, core.C.OUTPUT_OPEN)
  run(state)
  local lost = state.outs:is_lost()
  if lost then core.C.queue_set_state(q, core.C.OUTPUT_LOST) end
  state.outs:close()
  report_rows(state)
  for _, line in ipairs(state.outs:failures()) do report(q, line) end
end })

return M
