-- SPDX-License-Identifier: Apache-2.0
-- What falco says of itself on standard error: how much of it, and that nothing it was told to use is left out in silence.
local CAPTURE = "test/data/unix_sock.scap"
local RULE = "- rule: r\n  desc: d\n  condition: evt.type = openat and fd.name = /nowhere\n  output: o\n  priority: INFO\n"

local function levels(tool, falco, rules)
  local INFO, WARNING = "loading rules from ", "asks for something that this build does not have"
  for _, case in ipairs{
    { "", info = false, warning = true },
    { "log_stderr: true\n", info = true, warning = true },
    { "log_stderr: true\nlog_level: debug\n", info = true, warning = true },
    { "log_stderr: true\nlog_level: notice\n", info = false, warning = true },
    { "log_stderr: true\nlog_level: error\n", info = false, warning = false },
    { "log_level: critical\n", info = false, warning = false },
    { "log_level: error\n", "-v", info = true, warning = true },
  } do
    local conf = tool.write(tool.dir() .. "/level.yaml", case[1] .. "grpc: {enabled: true}\nstdout_output: {enabled: true}\n")
    local r = tool.run{ falco, "replay", CAPTURE, "-c", conf, "-r", rules, case[2] }
    tool.check_run(r, r.code == 0, "%s: %s", conf, tool.how(r))
    tool.check_run(r, (r.err:find(INFO, 1, true) ~= nil) == case.info, "%s: information %s", case[1], not case.info and "shown" or "lacking")
    tool.check_run(r, (r.err:find(WARNING, 1, true) ~= nil) == case.warning, "%s: a warning is %s", case[1],
      not case.warning and "shown" or "lacking")
    -- errors are shown at any level
    r = tool.run{ falco, "replay", "/nowhere.scap", "-c", conf, "-r", rules }
    tool.check_run(r, r.code == 1 and r.err:find("falco: error: ", 1, true), "%s: the error is lacking", case[1])
  end
end

-- What the engine says: here that a table was full, and a counter that is no cause for alarm.
local function engine_levels(tool, falco, rules)
  local FULL, COUNTER = "threads not kept (table full", "threads: "
  for _, case in ipairs{
    { "", full = true }, { "log_level: error\n", full = true }, { "libs_logger: {severity: error}\n", full = false },
    { "libs_logger: {enabled: false}\n", full = false }, { "libs_logger: {severity: debug}\n", full = true },
    { "log_stderr: true\nlibs_logger: {severity: debug}\n", full = true, counter = true },
    { "log_stderr: true\nlog_level: critical\nlibs_logger: {severity: trace}\n", full = true, counter = true },
    { "log_stderr: true\nlog_level: debug\n", full = true }, { "libs_logger: {enabled: false}\n", "-v", full = true, counter = true },
  } do
    local conf = tool.write(tool.dir() .. "/engine.yaml", case[1] .. "stdout_output: {enabled: true}\nfalco_libs: {thread_table_size: 10}\n")
    local r = tool.run{ falco, "replay", "test/data/websrv.scap", "-c", conf, "-r", rules, case[2] }
    tool.check_run(r, r.code == 0, "%s: %s", case[1], tool.how(r))
    tool.check_run(r, (r.err:find(FULL, 1, true) ~= nil) == case.full, "%s: a full table is %s", case[1], case.full and "not told" or "told")
    tool.check_run(r, (r.err:find(COUNTER, 1, true) ~= nil) == (case.counter or false), "%s: counters are %s", case[1],
      case.counter and "not told" or "told")
  end
end

-- A link that leads to itself can be reached by nobody, not even by root.
local function unreachable(tool, falco, rules)
  local loop = tool.dir() .. "/loop.yaml"
  os.execute(("ln -s loop.yaml '%s'"):format(loop))
  local function conf_of(text) return tool.write(tool.dir() .. "/conf.yaml", "stdout_output: {enabled: true}\n" .. text) end
  local WHY = "Too many levels of symbolic links"
  for _, args in ipairs{
    { "replay", CAPTURE, "-c", loop, "-r", rules },
    { "replay", CAPTURE, "-c", conf_of(("rules_files: [%s, %s]\n"):format(rules, loop)) },
    { "-V", rules, "-V", loop },
  } do
    local r = tool.run{ falco, unpack(args) }
    tool.check_run(r, r.code == 1 and r.err:find(WHY, 1, true), "%s: %s", table.concat(args, " "), tool.how(r))
    tool.check_run(r, r.err:find(loop, 1, true), "%s: nobody knows which file", table.concat(args, " "))
  end
  local conf = tool.write(tool.dir() .. "/including.yaml", ("config_files: [%s]\n"):format(loop))
  local r = tool.run{ falco, "replay", CAPTURE, "-c", conf, "-r", rules }
  tool.check_run(r, r.code == 1 and r.err:find(WHY, 1, true), "config_files: %s", tool.how(r))
end

local function missing(tool, falco, rules)
  local bad = tool.write(tool.dir() .. "/bad.yaml", (RULE:gsub("fd%.name", "fd.nam"):gsub("rule: r", "rule: bad")))
  local r = tool.run{ falco, "-V", bad, "-V", "/nowhere/x.yaml", "-V", rules }
  tool.check_run(r, r.code == 1 and r.err:find("fd.nam'", 1, true), "-V: a missing file hides the mistakes of another")
  tool.check_run(r, r.err:find("/nowhere/x.yaml: error: ", 1, true), "-V: the missing file is not named")
  tool.check_run(r, r.out:find("/nowhere/x.yaml: Invalid", 1, true), "-V: no verdict on the missing file")

  local conf = tool.write(tool.dir() .. "/absent.yaml", "config_files: [/nowhere/conf.d]\nstdout_output: {enabled: true}\n")
  r = tool.run{ falco, "replay", CAPTURE, "-c", conf, "-r", rules }
  tool.check_run(r, r.code == 0 and r.err == "", "a missing entry of config_files: %s", tool.how(r))
  r = tool.run{ falco, "replay", CAPTURE, "-c", conf, "-r", rules, "-v" }
  tool.check_run(r, r.err:find("'/nowhere/conf.d' does not exist", 1, true), "a missing entry of config_files is not told of with -v")
end

return function(tool, falco)
  local rules = tool.write(tool.dir() .. "/quiet.yaml", RULE)
  levels(tool, falco, rules)
  engine_levels(tool, falco, rules)
  unreachable(tool, falco, rules)
  missing(tool, falco, rules)
end
