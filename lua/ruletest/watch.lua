-- SPDX-License-Identifier: Apache-2.0
-- `falco test --watch`: runs the tests, and again whenever a file changes that they depend on, until Ctrl-C.
--
--   watch.run(once, paths) -> exit status     once() -> status of a run, and the files that it read; paths: also looked at
local console = require("console")
local core = require("core")

local M = {}

local STEP_MS = 100

local function paths_of(list)
  local seen, out = {}, {}
  for _, path in ipairs(list) do
    if not seen[path] then out[#out + 1] = path end
    seen[path] = true
  end
  return out
end

local function look_at(watch, list, err)
  local paths = paths_of(list)
  local strings = core.ffi.new("const char *[?]", math.max(#paths, 1), paths)
  return core.C.watch_paths(watch, strings, #paths, err)
end

-- Until something changes; false: until a signal came.
local function wait()
  local C = core.C
  while C.sys_stop_signal() == 0 do
    if C.sys_requests() % (2 * C.REQUEST_CHANGED) >= C.REQUEST_CHANGED then return true end
    C.sys_sleep(STEP_MS)
  end
  return false
end

-- What is looked at is told before each run: what changes during one makes for another.
local function rounds(watch, once, paths, err)
  local status, read = nil, {}
  local list = {}
  repeat
    if look_at(watch, list, err) < 0 then console.warning(core.message(err)) end
    status, read = once()
    list = {}
    for _, some in ipairs{ paths, read } do
      for _, path in ipairs(some) do list[#list + 1] = path end
    end
    if look_at(watch, list, err) < 0 then console.warning(core.message(err)) end
    console.flush()
    console.info("waiting for a change; Ctrl-C ends it")
  until not wait()
  return status
end

function M.run(once, paths)
  local C, err = core.C, core.err()
  local watch = C.watch_new(0, err)
  if watch == nil or C.watch_start(watch, err) < 0 then
    console.error(core.message(err))
    if watch ~= nil then C.watch_free(watch) end
    return 2
  end
  -- a signal ends the waiting, in an orderly way
  local eng = C.engine_new(nil, err)
  if eng ~= nil then C.sys_stop_on_signals(eng) end
  local status = rounds(watch, once, paths, err)
  C.watch_free(watch)
  C.sys_stop_on_signals(nil)
  if eng ~= nil then C.engine_free(eng) end
  return status
end

return M
