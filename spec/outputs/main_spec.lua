-- SPDX-License-Identifier: Apache-2.0
-- The output thread's loop, run here, with a worker that puts alerts and ends at any point of it.
local buffer = require "string.buffer"
local conf = require "conf"
local core = require "core"
local diag = require "diag"
local files = require "files"
local queue = require "queue"

local C = core.load()
local TOLD = require("outputs.main").TOLD

local function put(q, i)
  local data = buffer.encode{ ts = 1000000000ULL, rule = "told", message = "alert " .. i, priority = 5, fields = {} }
  assert.equal(0, C.queue_data(q, 0, TOLD, data, #data))
end

-- What arrives in a file of `n` alerts, when the worker puts them and ends just before or just after the k-th call of `name`.
-- Also whether that call was ever made.
local function arrives(n, name, k, after)
  local path = os.tmpname()
  local config = conf.load{ diag = diag.new() }
  config.stdout_output.enabled, config.syslog_output.enabled = false, false
  config.file_output = { enabled = true, filename = path, keep_alive = true }
  local q = C.queue_new(core.ffi.new("struct queue_limits", { bytes = 0 }), core.err())
  local calls, acted = 0, false
  local function act()
    for i = 1, n do put(q, i) end
    C.queue_end(q, 0)
    acted = true
  end
  core.C = setmetatable({}, { __index = function(_, key)
    if key == "queue_wait" then         -- nobody else runs: do not wait
      return function(queue, fds, count, _, nap, full)
        calls = calls + (name == key and 1 or 0)
        if name == key and calls == k then act() end
        C.queue_wait(queue, fds, count, 0, nap, full)
      end
    elseif key ~= name then
      return C[key]
    end
    return function(...)
      calls = calls + 1
      if calls == k and not after then act() end
      local result = C[key](...)
      if calls == k and after then act() end
      return result
    end
  end })
  -- a loop that never comes to the call must not run for ever
  local looks = 0
  debug.sethook(function()
    looks = looks + 1
    if looks > 1000 and not acted then act() end
  end, "", 1000)
  require("outputs.main")(nil, core.ffi.cast("void *", q), queue.boot(config, { live = false }))
  debug.sethook()
  core.C = C
  local reported = core.cstr(C.queue_reported(q, 0))
  C.queue_free(q)
  local text = files.read(path)
  os.remove(path)
  assert.is_nil(reported)
  return text, calls >= k
end

describe("the output thread", function()
  after_each(function()
    debug.sethook()
    core.C = C
  end)

  for _, name in ipairs{ "queue_peek", "queue_ended", "queue_wait", "queue_reopens", "sys_now_ns" } do
    for k = 1, 3 do
      for _, after in ipairs{ false, true } do
        it(("loses nothing when the worker ends %s call %d of %s"):format(after and "after" or "before", k, name), function()
          local text, was_called = arrives(3, name, k, after)
          assert.is_true(was_called)
          local got = {}
          for line in text:gmatch("[^\n]+") do got[#got + 1] = line:match("alert %d+") end
          assert.same({ "alert 1", "alert 2", "alert 3" }, got)
        end)
      end
    end
  end
end)
