-- SPDX-License-Identifier: Apache-2.0
-- The way to one channel, and what waits on it. While the channel takes what it is given, nothing is copied. What it does not take
-- now, or has taken and not yet acknowledged, is kept in order: in memory, and from the moment its far end is gone or memory is
-- full, on disk, if the channel may (channel.spools) and there is a place (outputs_spool). What the disk has no room for waits in
-- memory, behind it; no alert is in both places. Once everything on disk has arrived, memory is used again.
--
-- Full, a lane lets a replay wait (has_room()); of a live source it drops the newest alerts, and counts them.
local console = require("console")
local core = require("core")

local M = {}

local SECOND = 1e9
local PER_TICK = 512         -- alerts that one channel gets before others have their turn
local LONGEST = 15728640     -- bytes of a line: no place has room for more
local HOLD_LOOK, HOLD_MORE = SECOND / 20, 2 * SECOND      -- between looks whether others let go of a spool; after their time is over
local NO_ROOM = "no more can wait (outputs_queue.output_bytes, outputs_spool.max_bytes)"
local RETRY = SECOND / 20    -- for channels that say "later" and not when

-- The same words for both places.
local PLACES = {}
for _, name in ipairs{ "backlog", "spool" } do
  PLACES[name] = setmetatable({}, { __index = function(place, verb)
    place[verb] = core.C[name .. "_" .. verb]
    return place[verb]
  end })
end

local Lane = {}
Lane.__index = Lane

-- row: of init.lua. Returns the lane, or nil and one line of text.
function M.open(row, conf, env)
  local self = setmetatable({
    name = row.name, live = env.live, note = core.ffi.new("struct note"), view = {}, delivered = 0, dropped = 0, damaged = 0, timeouts = 0, ahead = 0,
    timeout = conf.output_timeout * 1e6, sync_ns = conf.outputs_spool.sync_ms * 1e6, said_dropped = 0,
    backlog = core.ffi.gc(core.C.backlog_new(conf.outputs_queue.output_bytes), core.C.backlog_free),
  }, Lane)
  local channel, message = require(row.module).open(conf, {
    section = conf[row.key], live = env.live, unbuffered = env.unbuffered, lane = self,
  })
  if not channel then return nil, message end
  self.channel = channel
  -- a replay has a beginning and an end, and leaves nothing for others, unless it is told to
  if channel.spools and conf.outputs_spool.dir ~= "" and (env.live or conf.given.outputs_spool) then
    self.hold_ns = conf.outputs_queue.drain_timeout * 1e6 + HOLD_MORE
    self.spool_dir, self.spool_max = conf.outputs_spool.dir, conf.outputs_spool.max_bytes
    self:open_spool(0)
  end
  return self
end

-- ------------------------------------------------------------------ the two places

-- Two processes must not use one: then it is tried again. One that is in use at the start is so by the outputs before a reload,
-- most likely, which bring out what they have: until they let go, nothing may overtake that (hold_until).
function Lane:open_spool(now)
  local C, err = core.C, core.err()
  C.sys_make_dir(self.spool_dir)
  local spool = C.spool_open(self.spool_dir .. "/" .. self.name, self.spool_max, err)
  if spool ~= nil then
    self.spool, self.spool_due, self.hold_until = core.ffi.gc(spool, C.spool_close), nil, nil
    self:spool_notices()
    local n = tonumber(C.spool_count(spool))
    if n > 0 then
      console.notice(("%s: %d alerts wait on disk since an earlier run"):format(self.name, n))
      self.on_disk, self.ahead = true, tonumber(C.backlog_under_way(self.backlog))
    end
    return
  end
  local is_used, now_ns = core.message(err):find("in use", 1, true) ~= nil, tonumber(C.sys_now_ns())
  if now == 0 and is_used then self.hold_until = now_ns + self.hold_ns end
  if self.hold_until and (not is_used or now_ns >= self.hold_until) then self.hold_until = nil end
  if not self.spool_told and not self.hold_until then
    console.warning(("%s: outputs_spool: %s; alerts that must wait do so in memory alone"):format(self.name, core.message(err)))
    self.spool_told = true
  end
  self.spool_due = now_ns + (self.hold_until and HOLD_LOOK or SECOND)
end

function Lane:spool_notices()
  local line = core.cstr(core.C.spool_notice(self.spool))
  if not line then return end
  local stats = core.ffi.new("struct spool_stats")
  core.C.spool_stats(self.spool, stats)
  self.damaged = tonumber(stats.lost)
  console.warning(("%s: %s"):format(self.name, line))
end

-- Where the next one to be taken lies.
function Lane:place()
  local C = core.C
  if self.on_disk and (C.spool_count(self.spool) > C.spool_under_way(self.spool) or C.backlog_count(self.backlog) == 0) then
    return PLACES.spool, self.spool
  end
  return PLACES.backlog, self.backlog
end

function Lane:count()
  local C = core.C
  return tonumber(C.backlog_count(self.backlog)) + (self.on_disk and tonumber(C.spool_count(self.spool)) or 0)
end

local function under_way(self)
  local C = core.C
  return tonumber(C.backlog_under_way(self.backlog)) + (self.on_disk and tonumber(C.spool_under_way(self.spool)) or 0)
end

-- How many wait to be taken.
function Lane:pending()
  return self:count() - under_way(self)
end

-- Moves what it can from one end of memory to that of the disk; what is under way stays so. 0, or what the disk said.
local function move(self)
  local C, note, moved, result = core.C, self.note, 0, 0
  local sent = tonumber(C.backlog_under_way(self.backlog))
  C.backlog_rewind(self.backlog)
  while C.backlog_next(self.backlog, note) do
    result = C.spool_put(self.spool, note)
    if result < 0 then break end
    C.backlog_step(self.backlog)
    moved = moved + 1
  end
  C.backlog_ack(self.backlog, moved)
  for i = 1, sent do
    if i > moved then
      C.backlog_step(self.backlog)
    elseif C.spool_next(self.spool, note) == 1 then
      C.spool_step(self.spool)
    end
  end
  self.on_disk = C.spool_count(self.spool) > 0
  return result
end

-- From memory to disk. What does not fit there goes on waiting in memory, behind the rest, and is tried again later.
function Lane:spill()
  local result = move(self)
  if result < 0 then
    self:spool_failed(result)
  else
    if self.told_failed then console.notice(self.name .. ": outputs_spool: can be written again") end
    self.told_failed, self.disk_again = nil, nil
  end
end

-- Not while something from memory is under way ahead of what was on disk before (self.ahead): what arrives first is acknowledged first.
function Lane:wants_disk()
  if not self.spool or self.disk_again or self.ahead > 0 or core.C.backlog_count(self.backlog) == 0 then return false end
  return self.on_disk or self.is_down or not core.C.backlog_has_room(self.backlog)
end

-- Full, as outputs_spool.max_bytes has it, is not worth a word before alerts are dropped.
function Lane:spool_failed(result)
  self.disk_again = tonumber(core.C.sys_now_ns()) + SECOND
  if self.told_failed or -result == core.C.SOCKET_EAGAIN then return end
  console.error(("%s: outputs_spool: cannot be written: %s; alerts wait in memory"):format(self.name,
    core.cstr(core.C.sys_error_text(result))))
  self.told_failed = true
end

-- ------------------------------------------------------------------ alert <-> note

local joined = setmetatable({}, { __mode = "k" })      -- list of tags -> one text

local function tags_text(tags)
  local text = joined[tags]
  if not text then
    text = #tags > 0 and table.concat(tags, "\0") .. "\0" or ""
    joined[tags] = text
  end
  return text
end

local split = {}             -- and back: there are few different ones

local function tags_list(text)
  local tags = split[text]
  if not tags then
    tags = {}
    for tag in text:gmatch("(%Z+)%z") do tags[#tags + 1] = tag end
    split[text] = tags
  end
  return tags
end

local function fill(note, alert)
  local tags = tags_text(alert.tags)
  note.ts, note.line, note.line_len = alert.ts, alert.line, alert.len + 1
  note.mark_at, note.mark_len, note.priority = alert.mark_at, alert.mark_len, alert.priority
  note.rule, note.rule_len, note.source, note.source_len = alert.rule, #alert.rule, alert.source, #alert.source
  note.tags, note.tags_len = tags, #tags
end

local function view_of(self)
  local note, view, ffi = self.note, self.view, core.ffi
  view.ts, view.line, view.len = note.ts, note.line, note.line_len - 1
  view.mark_at, view.mark_len, view.priority = note.mark_at, note.mark_len, note.priority
  view.rule, view.source = ffi.string(note.rule, note.rule_len), ffi.string(note.source, note.source_len)
  view.tags = tags_list(ffi.string(note.tags, note.tags_len))
  return view
end

-- ------------------------------------------------------------------ in

-- why: for people; nil: there is no room.
function Lane:drop_count(n, why)
  self.dropped = self.dropped + n
  local now = tonumber(core.C.sys_now_ns())
  if now - self.said_dropped < 10 * SECOND then return end
  self.said_dropped, self.said_n = now, self.dropped
  console.error(("%s: alerts are dropped, since %s: %d so far"):format(self.name, why or NO_ROOM, self.dropped))
end

-- For a channel that says of an alert that it is out of its hands (true) when it is lost: it counts as that alone.
function Lane:refused(why)
  self.delivered = self.delivered - 1
  self:drop_count(1, why)
end

-- Whether one more alert can wait here. Always so for a live source: what does not fit is dropped.
function Lane:has_room()
  if self.live or core.C.backlog_has_room(self.backlog) then return true end
  if self:wants_disk() then self:spill() end
  return core.C.backlog_has_room(self.backlog)
end

-- 0, or why there is no place for it. Behind what waits in memory nothing is put on disk.
local function put(self, note)
  local C = core.C
  if self.on_disk and C.backlog_count(self.backlog) == 0 and not self.disk_again then
    local result = C.spool_put(self.spool, note)
    if result == 0 then return 0 end
    self:spool_failed(result)
  end
  return C.backlog_put(self.backlog, note)
end

local function keep(self, alert, taken)
  if self:wants_disk() then self:spill() end
  fill(self.note, alert)
  if put(self, self.note) < 0 then
    self:drop_count(1)
  elseif taken then
    local place, p = self:place()
    place.step(p)
  end
  return true
end

-- true; or nil and a message: the channel is given up.
function Lane:write(alert)
  if alert.len > LONGEST then
    self:drop_count(1, ("one of %d bytes is too long"):format(alert.len))
    return true
  end
  if self.hold_until or self.blocked or self:pending() > 0 or not core.C.backlog_has_room(self.backlog) then return keep(self, alert, false) end
  local result, message = self.channel:write(alert)
  if result == true then
    self.delivered = self.delivered + 1
    return true
  elseif result == "taken" then
    return keep(self, alert, true)
  elseif result == "later" then
    self.blocked = true
    return keep(self, alert, false)
  end
  return nil, message
end

-- ------------------------------------------------------------------ out

-- Offers what waits.
local function pump(self)
  for _ = 1, PER_TICK do
    local place, p = self:place()
    local more = place.next(p, self.note)
    if more == false or more == 0 then break end
    local result, message = self.channel:write(view_of(self))
    if not result then return nil, message end
    if result == "later" then
      self.blocked = true
      break
    end
    place, p = self:place()            -- the channel may have said something in between
    place.step(p)
    if result == true then self:ack(1) end
  end
  if self.on_disk then self:spool_notices() end
  return true
end

function Lane:ack(n)
  if n == 0 then return end
  local C = core.C
  local ahead = math.min(n, self.ahead)
  local on_disk = self.on_disk and math.min(n - ahead, tonumber(C.spool_under_way(self.spool))) or 0
  self.ahead = self.ahead - ahead
  if on_disk > 0 then C.spool_ack(self.spool, on_disk) end
  C.backlog_ack(self.backlog, n - on_disk)
  self.delivered, self.blocked, self.progress = self.delivered + n, false, true
  if self.on_disk and C.spool_count(self.spool) == 0 then self.on_disk = false end
end

function Lane:rewind()
  self.ahead = 0
  core.C.backlog_rewind(self.backlog)
  if self.on_disk then core.C.spool_rewind(self.spool) end
end

function Lane:down(message)
  if self.is_down then return end
  self.is_down = true
  console.warning(("%s: %s; alerts wait%s"):format(self.name, message, self.spool and " on disk" or ""))
  if self:wants_disk() then self:spill() end
end

function Lane:up()
  if not self.is_down then return end
  self.is_down, self.blocked, self.progress = false, false, true
  console.notice(("%s: is back; %d alerts have waited"):format(self.name, self:count()))
end

-- ------------------------------------------------------------------ time

local function still(self)
  return self:count() + (self.channel.pending and self.channel:pending() or 0)
end

-- output_timeout: a channel that has something to do and does not get on.
local function watch(self, now)
  if self.timeout == 0 then return end
  if self.progress or still(self) == 0 then
    self.since, self.progress, self.late = now, nil, false
  elseif not self.late and not self.is_down and now - (self.since or now) > self.timeout then
    self.late, self.timeouts = true, self.timeouts + 1
    if not self.live and not self.spool then return end      -- a replay waits for its reader, as long as it likes
    console.error(("%s: has taken nothing for %d ms (output_timeout); alerts wait"):format(self.name, self.timeout / 1e6))
  end
  self.since = self.since or now
end

local function sync(self, now)
  if not self.spool or self.sync_ns == 0 or now < (self.sync_due or 0) then return end
  self.sync_due = now + self.sync_ns
  local result = core.C.spool_sync(self.spool)
  if result < 0 then self:spool_failed(result) end
end

-- A disk that had no room is asked again.
local function try_again(self, now)
  if not self.disk_again or now < self.disk_again then return end
  self.disk_again = nil
  if self:wants_disk() then self:spill() end
end

function Lane:tick(now)
  if self.spool_due and now >= self.spool_due then self:open_spool(now) end
  local channel = self.channel
  if channel.tick then
    local ok, message = channel:tick(now)
    if ok == false then return nil, message end
  end
  self.blocked = false
  if self:pending() > 0 and not self.hold_until then
    local ok, message = pump(self)
    if not ok then return nil, message end
  end
  watch(self, now)
  sync(self, now)
  try_again(self, now)
  return true
end

-- What to wait for; see init.lua.
function Lane:wants(add, now)
  local first, any = nil, false
  local function earlier(when)
    if when and (not first or when < first) then first = when end
  end
  if self.channel.wants then
    earlier(self.channel:wants(function(fd, events)
      any = true
      add(fd, events)
    end))
  end
  if self:pending() > 0 and not self.hold_until then
    if not self.blocked then earlier(now) elseif not first and not any then earlier(now + RETRY) end
  end
  if still(self) > 0 and self.timeout > 0 and not self.late then earlier(now + self.timeout / 4) end
  if self.on_disk and self.sync_ns > 0 then earlier(self.sync_due) end
  earlier(self.spool_due)
  earlier(self.disk_again)
  return first
end

function Lane:flush()
  return self.channel:flush()
end

function Lane:reopen()
  if self.channel.reopen then return self.channel:reopen() end
  return true
end

-- Is there nothing more to do, or nothing that would help? late: the time for those that are down is over.
function Lane:is_drained(late)
  if still(self) == 0 then return true end
  if self.spool and not self.disk_again then return self.is_down or self.late end
  return self.is_down and (self.channel.lossy or late)
end

-- Returns as flush() does; what is left goes to disk, or is lost and told.
function Lane:close()
  local ok, message = self.channel:flush()
  local unwritten = self.channel.pending and self.channel:pending() or 0
  self.channel:close()
  self.is_closed = true
  self.ahead = 0
  if self.hold_until then self:open_spool(tonumber(core.C.sys_now_ns())) end
  if self.spool and core.C.backlog_count(self.backlog) > 0 then self:spill() end
  local waits = self.on_disk and tonumber(core.C.spool_count(self.spool)) or 0
  local n = self:count() - waits
  if waits > 0 then console.notice(("%s: %d alerts wait on disk for the next run"):format(self.name, waits)) end
  if n > 0 and self.channel.lossy then
    console.warning(("%s: %d alerts were lost"):format(self.name, n))
  elseif ok and (n > 0 or unwritten > 0) then
    local others = unwritten > 0 and n == 0 and ", and the end of others" or ""
    ok, message = nil, ("%d alerts were lost that %s%s"):format(n, self.told_failed and "could not be written to disk" or "it did not take",
      others)
  end
  self.dropped = self.dropped + n
  local verdict, bad = nil, false
  if self.channel.verdict then verdict, bad = self.channel:verdict() end
  if verdict and ok and bad and not self.live then
    ok, message = nil, verdict
  elseif verdict then
    console.warning(("%s: %s"):format(self.name, verdict))
  end
  -- a replay drops nothing but what neither memory nor disk had room for
  if ok and not self.live and self.spool and self.dropped - n > 0 then
    ok, message = nil, ("%d alerts were lost that could not be written to disk"):format(self.dropped)
  end
  if ok and self.dropped - n > (self.said_n or 0) then
    console.warning(("%s: alerts dropped: %d"):format(self.name, self.dropped))
  end
  if self.spool then
    core.ffi.gc(self.spool, nil)
    core.C.spool_close(self.spool)
    self.spool, self.on_disk = nil, false
  end
  return ok, message
end

-- struct output_row.
function Lane:row(row)
  row.name, row.delivered, row.waiting = self.name, self.delivered, self:count()
  row.spooled = self.on_disk and core.C.spool_count(self.spool) or 0
  row.dropped, row.timeouts, row.down = self.dropped + self.damaged, self.timeouts, self.is_down or false
  return row
end

return M
