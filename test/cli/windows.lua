-- SPDX-License-Identifier: Apache-2.0
-- Captures around alerts: `capture` of falco.yaml, capture and capture_duration of rules.
local CAPTURE = "test/data/docker_drop.scap"

local RULES = [[
- rule: fetched
  desc: a program from the network
  condition: evt.type = execve and proc.name = wget
  output: "%proc.name %container.id %container.name"
  priority: NOTICE
  capture: true
  capture_duration: 20
- rule: other
  desc: another program
  condition: evt.type = execve and proc.name in (base64, nc)
  output: "%proc.name %container.id %container.name"
  priority: NOTICE
]]

return function(tool, falco)
  local rules = tool.write(tool.dir() .. "/windows.yaml", RULES)
  local runs = 0

  -- Replays with these settings of capture. Returns the run, its directory, and the files in it.
  local function replay(settings, capture)
    runs = runs + 1
    local dir = ("%s/windows%d"):format(tool.dir(), runs)
    os.execute("mkdir " .. dir)
    local config = tool.write(dir .. ".yaml", ("capture: {enabled: true, path_prefix: %s/f%s}\nstdout_output: {enabled: true}\n"
      .. "syslog_output: {enabled: false}\n"):format(dir, settings))
    local r = tool.run{ falco, "replay", capture or CAPTURE, "-c", config, "-r", rules }
    tool.check_run(r, r.code == 0, "replay with capture%s: %s", settings, tool.how(r))
    return r, dir, tool.list(dir, ".scap")
  end

  -- What a replay of the file alerts.
  local function alerts_of(path)
    local r = tool.run{ falco, "replay", path, "-c", tool.write(tool.dir() .. "/plain.yaml", "stdout_output: {enabled: true}\n"),
      "-r", rules }
    tool.check_run(r, r.code == 0, "replay of %s: %s", path, tool.how(r))
    return tool.alerts(r.out)
  end

  local all = alerts_of(CAPTURE)
  tool.check(#all >= 3, "%s shows only %d alerts", CAPTURE, #all)

  local r, dir, files = replay(", default_duration: 60000")
  tool.check(#files == 1, "a rule with capture: %d files", #files)
  tool.check(r.out ~= "" and #tool.alerts(r.out) == #all, "alerts with a capture: %d, not %d", #tool.alerts(r.out), #all)
  tool.check(files[1] and files[1]:find("^f_%d+_%d+%.scap$") and #files[1] == 2 + 20 + 1 + 20 + 5, "name: %s", tostring(files[1]))
  local held = files[1] and alerts_of(dir .. "/" .. files[1]) or {}
  tool.check(held[1] and held[1]:find("wget"), "the event that opened it is in it: %s", tostring(held[1]))
  for i, line in ipairs(held) do
    tool.check(line == all[#all - #held + i] or #held < #all, "alert %d of the capture: %s", i, line)
  end

  local _, _, named = replay(", mode: all_rules, default_duration: 60000")
  tool.check(#named == 2, "all_rules: %d files: one that is over soon, and one for a rule that does not ask for it", #named)
  local _, _, short = replay(", mode: all_rules, default_duration: 0")
  tool.check(#short >= 1, "no duration: %d files", #short)

  local full = replay(", mode: all_rules, default_duration: 600000, max_file_size_mb: 1")
  tool.check(not full.out:find("size limit", 1, true), "a small capture is not too large")

  local lost = tool.run{ falco, "replay", CAPTURE, "-r", rules, "-c", tool.write(tool.dir() .. "/lost.yaml",
    "capture: {enabled: true, path_prefix: /no/such/directory/f}\nstdout_output: {enabled: true}\n") }
  tool.check_run(lost, lost.err:find("/no/such/directory", 1, true) and #tool.alerts(lost.out) == #all,
    "a place that cannot be written costs no alert, and is told")
end
