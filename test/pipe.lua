-- SPDX-License-Identifier: Apache-2.0
-- A falco that reads a capture from a pipe, so that a test decides what happens between two events.
--   local pipe = dofile("test/pipe.lua")(tool, falco)
--   local dir = pipe.new_dir("name", "more: configuration\n")     with falco.yaml and rules/a.yaml
--   local job = pipe.start(dir, { arguments ..., env = })
--   job.give(n)         the next n bytes of the capture; nil: all the rest, and the end
--   pipe.said(job, text), pipe.printed(job, text)                 waits for it on standard error, standard output
--   pipe.finish(job, what)                                        the rest, the end, and its result: must be good
--   pipe.marks(r, what)     alerts by their mark; they must be those of a run without interruptions
local ffi = require("ffi")

ffi.cdef "void (*signal(int number, void (*handler)(int)))(int);"
ffi.C.signal(13, ffi.cast("void (*)(int)", 1))          -- SIGPIPE: a falco that has ended is told by its result

local WAIT = 20         -- seconds for something to happen

return function(tool, falco)
  local M = {}

  M.capture = tool.run{ "gzip", "-dc", "test/data/websrv.scap" }.out
  local list = {}
  for n in tool.run{ falco, "events", "test/data/websrv.scap", "evt.num > 0", "-p", "%evt.num" }.out:gmatch("%d+") do list[#list + 1] = n end
  M.numbers, M.events = table.concat(list, " "), #list

  -- A rule for all events.
  function M.rules_text(mark, more)
    return ([[
- rule: every event
  desc: all of them
  condition: evt.num > 0
  output: "%s %%evt.num"
  priority: NOTICE
  warn_evttypes: false
%s]]):format(mark, more or "")
  end

  function M.shell(...)
    local command = table.concat({ ... }, " ")
    local status = os.execute(command)
    assert(status == 0 or status == true, command)
  end

  function M.wait_for(ask)
    local deadline = tool.now() + WAIT
    repeat
      local answer = ask()
      if answer then return answer end
      os.execute("sleep 0.02")
    until tool.now() > deadline
    return nil
  end

  function M.said(job, text)
    return M.wait_for(function() return (tool.read(job.err_path) or ""):find(text, 1, true) end)
  end

  function M.printed(job, text)
    return M.wait_for(function() return (tool.read(job.out_path) or ""):find(text, 1, true) end)
  end

  function M.start(dir, args)
    local fifo = dir .. "/pipe"
    os.remove(fifo)
    M.shell("mkfifo", fifo)
    local argv = { falco, "replay", "-", "-c", dir .. "/falco.yaml", stdin = fifo, timeout = 90, env = args and args.env }
    for _, arg in ipairs(args or {}) do argv[#argv + 1] = arg end
    local job = tool.start(argv)
    local pipe, at = assert(io.open(fifo, "wbe")), 1
    pipe:setvbuf("no")
    function job.give(n)
      local piece = M.capture:sub(at, n and at + n - 1 or -1)
      at = at + #piece
      pipe:write(piece)
      if not n then pipe:close() end
    end
    return job
  end

  function M.kill(job, signal)
    M.shell("kill", "-" .. signal, job.pid)
  end

  function M.finish(job, what)
    job.give()
    local r = tool.wait(job)
    tool.check_run(r, r.code == 0, "%s: %s", what, tool.how(r))
    return r
  end

  function M.config_text(dir, more)
    return ("rules_files: [%s/rules]\nstdout_output: {enabled: true}\nrule_matching: all\n%s"):format(dir, more or "")
  end

  function M.new_dir(name, more)
    local dir = tool.dir() .. "/" .. name
    M.shell("mkdir -p", dir .. "/rules")
    tool.write(dir .. "/falco.yaml", M.config_text(dir, more))
    tool.write(dir .. "/rules/a.yaml", M.rules_text("first"))
    return dir
  end

  -- Lines "TIME: Notice MARK NUMBER" -> how many of each mark
  function M.marks(r, what)
    local of, got = {}, {}
    for _, line in ipairs(tool.alerts(r.out)) do
      local mark, n = line:match("Notice (%S+) (%d+)$")
      if mark then
        got[#got + 1] = n
        of[mark] = (of[mark] or 0) + 1
      end
    end
    tool.check(table.concat(got, " ") == M.numbers, "%s: %d alerts, and not those of %d events", what, #got, M.events)
    return of
  end

  return M
end
