-- SPDX-License-Identifier: Apache-2.0
-- What channels that write lines to a descriptor share: a sink (c/output/sink.c), which never waits.
local core = require("core")

local M = {}

-- A result of the sink as init.lua wants it of write(); `what`: in front of messages.
function M.result(code, what)
  if code == 0 then return true end
  if -code == core.C.SOCKET_EAGAIN then return "later" end
  if -code == core.C.SYS_EPIPE then return nil, "closed" end
  return nil, what .. core.cstr(core.C.sys_error_text(code))
end

-- The same of flush(): what is not out yet is not a failure.
function M.flushed(code, what)
  if -code == core.C.SOCKET_EAGAIN then return true end
  return M.result(code, what)
end

-- Whether this is a disk without room: another time there may be some.
function M.is_full(code)
  return -code == core.C.SOCKET_ENOSPC or -code == core.C.SOCKET_EDQUOT
end

-- fd: owned from here on, if flags say so.
function M.sink(fd, flags)
  local sink = core.C.sink_new(fd, flags)
  assert(sink ~= nil, "out of memory")
  return core.ffi.gc(sink, core.C.sink_free)
end

-- With what still goes out.
function M.free(sink)
  core.C.sink_flush(sink)
  core.ffi.gc(sink, nil)
  core.C.sink_free(sink)
end

-- A channel's wants() for what its sink holds.
function M.wants(sink, add)
  if core.C.sink_pending(sink) > 0 then add(core.C.sink_fd(sink), core.C.QUEUE_OUT) end
end

return M
