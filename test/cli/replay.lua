-- SPDX-License-Identifier: Apache-2.0
-- Alerts of the shipped rules on the shipped captures, against test/data/alerts/NAME.txt (FALCO_TEST_UPDATE=1 writes them anew), and
-- the forms that alerts can take.
local CONFIG, RULES = "test/demo.yaml", "rules/falco_rules.yaml"
local UNHEARD = { ["Container runtime socket used from inside"] = "none shows it" }
local ENV = { TZ = "UTC", FALCO_HOSTNAME = "host" }

local function replay(tool, falco, file, ...)
  return tool.run{ env = ENV, timeout = 120, falco, "replay", file, "-c", CONFIG, "-r", RULES, ... }
end

local function shipped(tool, falco)
  local update = os.getenv("FALCO_TEST_UPDATE") == "1"
  local speaking = {}
  for _, name in ipairs(tool.list("test/data", ".scap")) do
    local r = tool.run{ falco, "replay", "test/data/" .. name, "-c", CONFIG, "-r", RULES, "-o", "json_output=true",
      "-o", "json_include_output_property=false", "-o", "rule_matching=first", env = ENV, timeout = 120 }
    tool.check_run(r, r.code == 0 and r.err == "", "%s: %s", name, tool.how(r))
    local path = "test/data/alerts/" .. name:gsub("%.scap$", ".jsonl")
    if update then
      tool.write(path, (r.out:gsub("Events detected: .*$", "")))
    else
      local want, have = tool.lines(tool.read(path) or ""), tool.alerts(r.out)
      tool.check(#want == #have, "%s: wanted %d alerts, got %d", name, #want, #have)
      for i, line in ipairs(want) do
        if not tool.check(have[i] == line, "%s, alert %d:\n  wanted %s\n  got    %s", name, i, line, have[i]) then break end
      end
    end
    for rule in r.out:gmatch('"rule":"([^"]*)"') do speaking[rule] = true end
  end
  -- a rule that no capture can make speak is a rule that nobody has seen working
  for _, line in ipairs(tool.lines(tool.read(RULES))) do
    local rule = line:match("^%- rule: (.*)$")
    if UNHEARD[rule] then
      tool.skip("rule '%s' on a capture (%s)", rule, UNHEARD[rule])
    elseif rule then
      tool.check(speaking[rule], "rule '%s' speaks on no shipped capture", rule)
    end
  end
end

local function forms(tool, falco)
  local file = "test/data/fileless.scap"
  local text = replay(tool, falco, file)
  tool.check_run(text, text.code == 0 and #tool.alerts(text.out) > 3, "text alerts: %s", tool.how(text))
  for _, line in ipairs(tool.alerts(text.out)) do
    tool.check(line:find("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d+%S*: %u%l+ "), "text alert: '%s'", line)
  end
  tool.check(not text.out:find("\27"), "colours in a pipe")

  local clock = replay(tool, falco, file, "-o", "time_format_iso_8601=false")
  for _, line in ipairs(tool.alerts(clock.out)) do
    tool.check(line:find("^%d%d:%d%d:%d%d%.%d%d%d%d%d%d%d%d%d: %u%l+ "), "text alert: '%s'", line)
  end

  local json = replay(tool, falco, file, "-o", "json_output=true")
  local lines = tool.alerts(json.out)
  tool.check_run(json, #lines == #tool.alerts(text.out), "JSON and text differ in number")
  for _, line in ipairs(lines) do
    for _, key in ipairs{ "hostname", "output", "output_fields", "priority", "rule", "source", "tags", "time" } do
      tool.check(line:find('"' .. key .. '":', 1, true), "JSON alert lacks '%s': %s", key, line)
    end
  end

  local all = replay(tool, falco, file, "-o", "rule_matching=all")
  tool.check_run(all, all.code == 0 and #tool.alerts(all.out) >= #lines, "rule_matching all")

  local loud = replay(tool, falco, file, "-o", "priority=critical")
  for _, line in ipairs(tool.alerts(loud.out)) do tool.check(line:find(": Critical "), "priority critical: '%s'", line) end
  tool.check(#tool.alerts(loud.out) > 0, "priority critical: nothing left")

  -- a reader that goes away is no crash
  local gone = tool.run{ "sh", "-c", ("'%s' replay test/data/sensitive.scap -c %s -r %s | head -n 1"):format(falco, CONFIG, RULES) }
  tool.check_run(gone, gone.code == 0 and #tool.alerts(gone.out) == 1 and not gone.err:find("bug"), "a closed pipe: %s", tool.how(gone))
end

local function quiet_host(tool, falco)
  local trace = "../shared/traces/bench/mix.scap"
  if not tool.exists(trace) then
    tool.skip("shipped rules on a busy host (no %s)", trace)
    return
  end
  local r = replay(tool, falco, trace)
  tool.check_run(r, r.code == 0 and #tool.alerts(r.out) <= 3, "a busy host: %d alerts of the shipped rules", #tool.alerts(r.out))
end

return function(tool, falco)
  os.execute("mkdir -p test/data/alerts")
  shipped(tool, falco)
  forms(tool, falco)
  quiet_host(tool, falco)
end
