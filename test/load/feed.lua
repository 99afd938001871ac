-- SPDX-License-Identifier: Apache-2.0
-- luajit test/load/feed.lua RATE SECONDS [PREFIX]: a capture on standard output that grows as a live source would: RATE opens of
-- /load/1, /load/2, ... (or PREFIX and number) a second. At the end it says on standard error how long that took, and how far it
-- ever fell behind: that is how long its reader did not read.
local ffi = require("ffi")
local capture = dofile("test/capture.lua")

ffi.cdef [[
struct feed_time { long sec, nsec; };
int clock_gettime(int clock, struct feed_time *t);
int usleep(unsigned us);
]]

local RATE, SECONDS = tonumber(arg[1]), tonumber(arg[2])
local PREFIX = arg[3] or "/load/"
local SLICE = 0.01

local time = ffi.new("struct feed_time")
local function now()
  ffi.C.clock_gettime(1, time)
  return tonumber(time.sec) + tonumber(time.nsec) / 1e9
end

local out = capture.writer("-")
local open = capture.event("openat", "exit")
local values = open:values{ dirfd = -100, flags = 1 }
values[open.at.fd] = 3

out:head{ processes = { { tid = 100, ptid = 1, comm = "load", exepath = "/usr/bin/load", args = "", cwd = "/", uid = 0, env = "" } } }
out:flush()

local start, done, behind = now(), 0, 0
while done < RATE * SECONDS do
  local due = math.min(math.floor((now() - start) * RATE), RATE * SECONDS)
  while done < due do
    done = done + 1
    values[open.at.name] = PREFIX .. done
    out:put(open, 100, values)
  end
  out:flush()
  behind = math.max(behind, now() - start - done / RATE)
  ffi.C.usleep(SLICE * 1e6)
end
out:close()
io.stderr:write(("%.2f %.2f\n"):format(now() - start, behind))
