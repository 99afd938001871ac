-- SPDX-License-Identifier: Apache-2.0
-- Each local channel against the real thing at its other end, and when that misbehaves: a system log, programs, unix sockets,
-- files that are rotated, a full disk, a reader that hangs, kill -9. Servers on other machines: peers.lua.
local ffi = require("ffi")

ffi.cdef "int kill(int pid, int signal);"

local CAPTURE = "test/data/websrv.scap"
local WAIT = 20
local reference                -- the alerts, as standard output has them
local rules, config

local function args_of(falco, settings, more)
  local args = { falco, "replay", CAPTURE, "-c", config, "-r", rules, timeout = 60 }
  for _, setting in ipairs(settings) do
    args[#args + 1], args[#args + 2] = "-o", setting
  end
  for key, value in pairs(more or {}) do args[key] = value end
  return args
end

local function wait_for(tool, ask)
  local deadline = tool.now() + WAIT
  repeat
    if ask() then return true end
    os.execute("sleep 0.02")
  until tool.now() > deadline
  return false
end

local function is_socket(path) return os.execute("test -S " .. path) == 0 end

local function start_peer(tool, kind, path, out, mode)
  os.remove(path)
  local job = tool.start{ "luajit", "test/peer.lua", kind, path, out, mode, timeout = 120 }
  tool.check(wait_for(tool, function() return is_socket(path) end), "test/peer.lua does not start")
  return job
end

local function stop(tool, job)
  ffi.C.kill(job.pid, 9)
  tool.wait(job)
end

-- A falco that reads a pipe: job.give(share) up to that share of the capture, job.give() the rest.
local function start_fed(tool, falco, settings)
  local fifo = tool.dir() .. "/pipe"
  os.remove(fifo)
  os.execute("mkfifo " .. fifo)
  local args = args_of(falco, settings, { stdin = fifo })
  args[3] = "-"
  local job = tool.start(args)
  local pipe, at = assert(io.open(fifo, "wbe")), 1
  pipe:setvbuf("no")
  function job.give(share)
    local upto = share and math.floor(#tool.capture * share) or #tool.capture
    pipe:write(tool.capture:sub(at, upto))
    at = upto + 1
    if not share then pipe:close() end
  end
  function job.hang_up() pipe:close() end
  return job
end

local function arrived(tool, path)
  return wait_for(tool, function() return #(tool.read(path) or "") >= #reference end) and tool.read(path)
end

-- ------------------------------------------------------------------ syslog

local function syslog(tool, falco)
  local socket, out = tool.dir() .. "/log", tool.dir() .. "/log.out"
  local function check(path, settings)
    local r = tool.run(args_of(falco, settings))
    tool.check_run(r, r.code == 0 and r.err == "", "syslog: %s", tool.how(r))
    local want = tool.lines(reference)
    tool.check(wait_for(tool, function() return #tool.lines(tool.read(path) or "") >= #want end), "syslog got less than all")
    local got = tool.lines(tool.read(path))
    local same = #got == #want
    for i, line in ipairs(got) do
      local priority, text = line:match("^<(%d+)>%a%a%a [ %d]%d %d%d:%d%d:%d%d falco: (.*)$")
      same = same and priority == "12" and text == want[i]          -- user.warning
    end
    tool.check(same, "syslog got something else: %s", got[1])
  end
  local peer = start_peer(tool, "dgram", socket, out)
  check(out, { "syslog_output.enabled=true", "syslog_output.socket=" .. socket })
  stop(tool, peer)
  os.remove(out)
  if tool.run{ "id", "-u" }.out ~= "0\n" or tool.exists("/dev/log") or is_socket("/dev/log") then
    tool.skip("/dev/log itself (not root, or somebody listens there)")
  else
    peer = start_peer(tool, "dgram", "/dev/log", out)
    check(out, { "syslog_output.enabled=true" })
    stop(tool, peer)
    os.remove("/dev/log")
  end
  local r = tool.run(args_of(falco, { "syslog_output.enabled=true", "syslog_output.socket=" .. tool.dir() .. "/none" }))
  tool.check_run(r, r.code == 0 and r.err:find("alerts were lost", 1, true) and r.seconds < 4, "without a system log: %s", tool.how(r))
end

-- ------------------------------------------------------------------ programs

local function programs(tool, falco)
  local out = tool.dir() .. "/program.out"
  local function check(what, command, keep, settings)
    os.remove(out)
    local list = { "program_output.enabled=true", "program_output.keep_alive=" .. tostring(keep), "program_output.program=" .. command }
    for _, setting in ipairs(settings or {}) do list[#list + 1] = setting end
    local r = tool.run(args_of(falco, list))
    tool.check_run(r, r.code == 0, "%s: %s", what, tool.how(r))
    return r, tool.read(out) or ""
  end
  local _, got = check("a program that is kept", "cat >>" .. out, true)
  tool.check(got == reference, "a program that is kept got something else")
  _, got = check("a program for each alert", "cat >>" .. out, false, { "rules[0].disable.rule=every event",
    "rules[1].enable.rule=a few events" })
  local few = #tool.lines(tool.run{ falco, "events", CAPTURE, "evt.num <= 100", "-p", "%evt.num" }.out)
  tool.check(few > 10 and #tool.lines(got) == few, "programs for each of %d alerts got %d", few, #tool.lines(got))
  -- it is started again, and gets those it has not read
  local r
  r, got = check("a program that dies", "for i in $(seq 2500); do IFS= read -r line && printf \"%s\\n\" \"$line\" >>" .. out .. "; done", true,
    { "outputs_queue.drain_timeout=20000" })
  tool.check(got == reference, "a program that dies every 2500 lines got something else: %d of %d lines", #tool.lines(got),
    #tool.lines(reference))
  tool.check_run(r, r.err:find("ended with exit status 0; alerts wait", 1, true), "that it ended is not told")
  r = tool.run(args_of(falco, { "program_output.enabled=true", "program_output.keep_alive=true", "program_output.program=exit 3",
    "outputs_queue.drain_timeout=500" }))
  tool.check_run(r, r.code == 1 and r.err:find("ended with exit status 3", 1, true) and r.err:find("alerts were lost", 1, true),
    "a program that will not run: %s", tool.how(r))
  r = tool.run(args_of(falco, { "program_output.enabled=true", "program_output.program=exit 3", "rules[0].disable.rule=every event",
    "rules[1].enable.rule=a few events" }))
  local said = select(2, r.err:gsub("warning: program: 'exit 3' ended with exit status 3\n", ""))
  tool.check_run(r, r.code == 1 and said == 1
    and r.err:find(("program_output: 'exit 3' failed for every alert, %d of them: it ended with exit status 3"):format(few), 1, true),
    "programs that fail: %s", tool.how(r))
  os.remove(out)
  r = tool.run(args_of(falco, { "program_output.enabled=true", ("program_output.program=test -e %s || { touch %s; false; }"):format(out, out),
    "rules[0].disable.rule=every event", "rules[1].enable.rule=a few events" }))
  tool.check_run(r, r.code == 0 and r.err:find(("failed for 1 of %d alerts"):format(few), 1, true), "a program that fails once: %s", tool.how(r))
  -- its signals are not blocked, and it inherits nothing
  check("a program that looks at itself", "exec 9>>" .. out
    .. "; ls /proc/self/fd >&9; grep SigBlk /proc/self/status >&9; cat >/dev/null", true)
  tool.check((tool.read(out) or ""):find("^0\n1\n2\n3\n9\nSigBlk:\t0+\n$"), "a program has: %s", tool.read(out))
end

-- ------------------------------------------------------------------ unix sockets

local function unix(tool, falco)
  local socket, out, spool = tool.dir() .. "/unix", tool.dir() .. "/unix.out", tool.dir() .. "/spool"
  local settings = { "unix_output.enabled=true", "unix_output.socket=" .. socket, "outputs_spool.dir=" .. spool }
  for _, kind in ipairs{ "stream", "dgram" } do
    os.remove(out)
    local peer = start_peer(tool, kind, socket, out)
    local r = tool.run(args_of(falco, { settings[1], settings[2], "unix_output.type=" .. kind }))
    tool.check_run(r, r.code == 0 and r.err == "", "a %s socket: %s", kind, tool.how(r))
    tool.check(arrived(tool, out) == reference, "a %s socket got something else", kind)
    stop(tool, peer)
  end

  -- goes away and comes back, while alerts are made
  os.remove(out)
  local peer = start_peer(tool, "stream", socket, out)
  local job = start_fed(tool, falco, settings)
  job.give(0.5)
  wait_for(tool, function() return #(tool.read(out) or "") > 1000 end)
  os.execute("sleep 0.2")
  stop(tool, peer)
  os.remove(socket)
  job.give(0.8)
  tool.check(wait_for(tool, function() return (tool.read(job.err_path) or ""):find("alerts wait on disk", 1, true) end),
    "that the reader has gone is not told:\n%s", tool.read(job.err_path))
  peer = start_peer(tool, "stream", socket, out)
  tool.check(wait_for(tool, function() return (tool.read(job.err_path) or ""):find("unix: is back", 1, true) end),
    "that the reader is back is not told:\n%s", tool.read(job.err_path))
  job.give()
  local r = tool.wait(job)
  tool.check_run(r, r.code == 0, "a reader that comes back: %s", tool.how(r))
  tool.check(arrived(tool, out) == reference, "a reader that came back got something else")
  stop(tool, peer)

  -- not there at all: all of it waits for the next run, once; and survives kill -9 while it is written
  os.remove(socket)
  os.remove(out)
  r = tool.run(args_of(falco, settings))
  tool.check_run(r, r.code == 0 and r.err:find("alerts wait on disk for the next run", 1, true), "nobody listens: %s", tool.how(r))
  job = start_fed(tool, falco, settings)
  job.give(0.9)
  wait_for(tool, function() return (tool.read(job.err_path) or ""):find("alerts wait on disk", 1, true) end)
  os.execute("sleep 0.3")
  stop(tool, job)
  job.hang_up()
  peer = start_peer(tool, "stream", socket, out)
  r = tool.run(args_of(falco, { settings[1], settings[2], settings[3], "rules[0].disable.rule=*" }))
  tool.check_run(r, r.code == 0 and r.err:find("alerts wait on disk since an earlier run", 1, true), "the next run: %s", tool.how(r))
  arrived(tool, out)
  stop(tool, peer)
  local got = tool.read(out) or ""
  tool.check(got:sub(1, #reference) == reference, "what waited on disk is something else")
  local rest = got:sub(#reference + 1)
  tool.check(#rest > 0.5 * #reference and reference:sub(1, #rest) == rest, "what was written before kill -9 is not there: %d of %d bytes",
    #rest, #reference)
  tool.check(os.execute("ls " .. spool .. "/unix/*.spool 2>/dev/null >&2") ~= 0, "files are left in the spool")

  -- somebody who takes the connection and reads nothing
  peer = start_peer(tool, "stream", socket, out, "hang")
  r = tool.run(args_of(falco, { settings[1], settings[2], settings[3], "output_timeout=300", "outputs_queue.drain_timeout=500" }))
  tool.check_run(r, r.code == 0 and r.seconds < 20, "a reader that hangs: %s", tool.how(r))
  tool.check_run(r, r.err:find("has taken nothing for 300 ms (output_timeout)", 1, true)
    and r.err:find("alerts wait on disk for the next run", 1, true), "a reader that hangs is not told")
  stop(tool, peer)
end

-- ------------------------------------------------------------------ files

local function files(tool, falco)
  local path = tool.dir() .. "/alerts"
  local settings = { "file_output.enabled=true", "file_output.keep_alive=true", "file_output.filename=" .. path }
  local job = start_fed(tool, falco, settings)
  job.give(0.5)
  tool.check(wait_for(tool, function() return #(tool.read(path) or "") > 1000 end), "no alerts in the file")
  os.rename(path, path .. ".1")
  job.give(0.7)
  os.execute("sleep 0.2")
  tool.check(not tool.exists(path), "the file was opened anew though nobody asked")
  os.execute("kill -USR1 " .. job.pid)
  tool.check(wait_for(tool, function() return tool.exists(path) end), "SIGUSR1 opens nothing anew")
  job.give()
  local r = tool.wait(job)
  tool.check_run(r, r.code == 0, "rotation: %s", tool.how(r))
  local first, second = tool.read(path .. ".1"), tool.read(path)
  tool.check(first .. second == reference and #second > 0 and first:sub(-1) == "\n", "rotation: %d and %d bytes of %d", #first, #second,
    #reference)

  if tool.run{ "id", "-u" }.out ~= "0\n" then return tool.skip("a full disk (not root)") end
  local mount = tool.dir() .. "/small"
  os.execute("mkdir " .. mount)
  if os.execute("mount -t tmpfs -o size=64k none " .. mount .. " 2>/dev/null") ~= 0 then return tool.skip("a full disk (no mount)") end
  for _, keep in ipairs{ "true", "false" } do
    r = tool.run(args_of(falco, { "file_output.enabled=true", "file_output.keep_alive=" .. keep, "file_output.filename=" .. mount .. "/alerts" }))
    tool.check_run(r, r.code == 1 and r.err:find("No space left on device", 1, true), "a full disk: %s", tool.how(r))
    local text = tool.read(mount .. "/alerts")
    tool.check(#text > 1000 and reference:sub(1, #text) == text, "a full disk has something else")
    os.remove(mount .. "/alerts")
  end
  r = tool.run(args_of(falco, { "unix_output.enabled=true", "unix_output.socket=" .. tool.dir() .. "/none", "outputs_spool.dir=" .. mount,
    "outputs_queue.drain_timeout=300" }))
  tool.check_run(r, r.err:find("outputs_spool: cannot be written: No space left on device", 1, true), "a spool on a full disk: %s", tool.how(r))
  os.execute("umount " .. mount)
end

-- ------------------------------------------------------------------ at the end

-- What throttle and scripts have to say when the last alert has passed arrives like the rest.
local function last_words(tool, falco)
  local socket, out = tool.dir() .. "/last", tool.dir() .. "/last.out"
  local script = tool.write(tool.dir() .. "/last.lua", "return { close = function() falco.emit{ rule = 'last', output = 'last words' } end }")
  local conf = tool.write(tool.dir() .. "/last.yaml", ("scripts_dir: ''\nscripts: [{path: %s}]\nthrottle: [{count: 5, within: 1h}]\n"
    .. "unix_output: {enabled: true, socket: %s}\n"):format(script, socket))
  local peer = start_peer(tool, "stream", socket, out)
  local r = tool.run{ falco, "replay", CAPTURE, "-c", conf, "-r", rules }
  tool.check_run(r, r.code == 0 and r.err == "", "last words: %s", tool.how(r))
  local function got(text) return (tool.read(out) or ""):find(text, 1, true) end
  tool.check(wait_for(tool, function() return got("last words") and got("alerts held back") end), "last words: %s", tool.read(out))
  stop(tool, peer)
end

-- ------------------------------------------------------------------ readers of standard output

local function readers(tool, falco)
  local function through(command, settings)
    local words = { "'" .. falco .. "'" }
    for i, word in ipairs(args_of(falco, settings)) do
      if i > 1 then words[#words + 1] = "'" .. word .. "'" end
    end
    return tool.run{ "bash", "-c", "set -o pipefail; " .. table.concat(words, " ") .. " | " .. command, timeout = 60 }
  end
  local r = through("(sleep 1; cat)", { "stdout_output.enabled=true", "outputs_queue.capacity=10", "outputs_queue.output_bytes=65536" })
  tool.check_run(r, r.code == 0 and r.out == reference, "a slow reader: %s", tool.how(r))
  r = through("head -n 3", { "stdout_output.enabled=true" })
  tool.check(#tool.lines(r.out) == 3 and r.err == "", "a reader that leaves: %s", r.err)
  r = through("(exec <&-; sleep 1)", { "stdout_output.enabled=true" })
  tool.check_run(r, r.code == 0 and r.err == "", "a reader that never reads: %s", tool.how(r))
  local closed = args_of(falco, { "stdout_output.enabled=true" })
  r = tool.run{ "sh", "-c", 'exec "$@" >&-', "sh", unpack(closed) }
  tool.check_run(r, r.code == 1 and r.err:find("stdout_output: Bad file descriptor", 1, true), "standard output is closed: %s", tool.how(r))
  r = tool.run(args_of(falco, { "stderr_output.enabled=true" }))
  tool.check_run(r, r.code == 0 and r.err == reference, "standard error: %s", tool.how(r))
  -- asked to end while the reader hangs: in time, and it says what is lost
  local job = tool.start{ "bash", "-c", ("exec %s replay %s -c %s -r %s -o stdout_output.enabled=true -o outputs_queue.drain_timeout=300 "
    .. "-o outputs_queue.output_bytes=65536 > >(exec sleep 30)"):format(falco, CAPTURE, config, rules), timeout = 60 }
  os.execute("sleep 1")
  ffi.C.kill(job.pid, 15)
  r = tool.wait(job)
  tool.check_run(r, r.code == 1 and r.seconds < 10 and r.err:find("lost", 1, true), "asked to end while the reader hangs: %s", tool.how(r))
end

return function(tool, falco)
  rules = tool.write(tool.dir() .. "/outputs.yaml", [[
- rule: every event
  desc: all of them
  condition: evt.num > 0
  output: "%evt.num %evt.type by %proc.cmdline of %proc.pname on %fd.name"
  priority: WARNING
  tags: [a, b]
  warn_evttypes: false
- rule: a few events
  desc: the first ones
  condition: evt.num <= 100
  output: "%evt.num"
  priority: WARNING
  enabled: false
  warn_evttypes: false
]])
  config = tool.write(tool.dir() .. "/outputs-conf.yaml", "stdout_output: {enabled: false}\nsyslog_output: {enabled: false}\n")
  tool.capture = tool.run{ "gzip", "-dc", CAPTURE }.out
  local r = tool.run(args_of(falco, { "stdout_output.enabled=true" }))
  reference = r.out
  tool.check_run(r, r.code == 0 and #tool.lines(reference) > 5000, "the reference: %s", tool.how(r))
  syslog(tool, falco)
  programs(tool, falco)
  unix(tool, falco)
  files(tool, falco)
  last_words(tool, falco)
  readers(tool, falco)
end
