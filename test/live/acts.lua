-- SPDX-License-Identifier: Apache-2.0
-- What falco says of test/acts while they happen, and what it says of their recording.
--
-- With the shipped rules, and with upstream's if FALCO_UPSTREAM_RULES names a directory that has them. FALCO_ACTS="NAME ...":
-- these acts only.
local acts = dofile("test/acts/list.lua")

local OURS = "rules/falco_rules.yaml"

-- The rules that spoke, by act: { [act] = { [rule] = count } }
local function by_act(alerts)
  local map = {}
  for _, alert in ipairs(alerts) do
    local rules = map[alert.act] or {}
    map[alert.act] = rules
    rules[alert.rule] = (rules[alert.rule] or 0) + 1
  end
  return map
end

local function names(map)
  local list = {}
  for name in pairs(map or {}) do list[#list + 1] = name end
  table.sort(list)
  return #list > 0 and table.concat(list, "; ") or "nothing"
end

local function size_of(path)
  local f = io.open(path, "rb")
  local size = f and f:seek("end") or 0
  if f then f:close() end
  return size
end

-- Lines of alerts as often as they come: { [line] = count }
local function counted(alerts)
  local map = {}
  for _, alert in ipairs(alerts) do map[alert.line] = (map[alert.line] or 0) + 1 end
  return map
end

-- A recording of every call, and what was said of those that the rules need.
local function compare(tool, watch, set, capture)
  local r = tool.run{ watch.falco, "-c", watch.config{ rules = set.rules, all_rules = set.all_rules }, "-o",
    "engine.replay.capture_file=" .. capture, timeout = 600 }
  tool.check_run(r, r.code == 0, "%s, replayed: %s", set.name, tool.how(r))
  local live, replayed = counted(set.alerts), counted(watch.alerts(r.out))
  for line, n in pairs(live) do
    tool.check(replayed[line] == n, "%s: %d times live, %d times replayed:\n  %s", set.name, n, replayed[line] or 0, line)
  end
  for line, n in pairs(replayed) do
    tool.check(live[line], "%s: never live, %d times replayed:\n  %s", set.name, n, line)
  end
end

return function(tool, watch)
  local upstream = os.getenv("FALCO_UPSTREAM_RULES")
  local chosen = {}
  for name in (os.getenv("FALCO_ACTS") or "--all"):gmatch("%S+") do chosen[#chosen + 1] = name end

  -- Each set of rules: what it is called, its files, and what list.lua promises of it.
  local sets = { { name = "shipped rules", rules = { OURS }, promise = "ours", exact = true } }
  if upstream then
    local files = {}
    for i, file in ipairs(tool.list(upstream, "_rules.yaml")) do files[i] = upstream .. "/" .. file end
    tool.check(#files > 0, "FALCO_UPSTREAM_RULES=%s holds no *_rules.yaml", upstream)
    sets[2] = { name = "upstream's rules", rules = files, promise = "upstream", all_rules = true }
  else
    tool.skip("upstream's rules over the acts (FALCO_UPSTREAM_RULES names no directory)")
  end

  local capture = tool.dir() .. "/acts.scap"
  local recorder = watch.start{ "record", "-w", capture }
  for _, set in ipairs(sets) do
    set.job = watch.start{ "-c", watch.config{ rules = set.rules, live = true, all_rules = set.all_rules }, "-U" }
  end
  for _, set in ipairs(sets) do
    if not tool.check(watch.wait_until_seen(set.job), "%s: nothing is seen", set.name) then
      tool.check_run(watch.stop(set.job), false, "%s", set.name)
      return
    end
  end
  -- the recorder does not tell when it sees, but its file grows then
  local deadline = tool.now() + 900
  while size_of(capture) == 0 and tool.now() < deadline do watch.sleep(0.2) end
  watch.sleep(1)

  local performed = tool.run{ "test/acts/run", timeout = 1200, unpack(chosen) }
  local failed = performed.out:match("FAILED: .*") or performed.err
  tool.check(performed.code == 0, "test/acts/run %s: %s: %s", table.concat(chosen, " "), tool.how(performed), failed)
  local skipped = {}
  for name, why in performed.out:gmatch("skipped: (%S+) (%b())") do
    tool.skip("%s %s", name, why)
    skipped[name] = true
  end
  local done = {}
  for _, act in ipairs(acts) do
    if performed.out:find("\n" .. act.name .. " ", 1, true) or performed.out:find("^" .. act.name .. " ") then
      done[#done + 1] = act
    end
  end
  for _, set in ipairs(sets) do watch.settle(set.job) end
  watch.sleep(2)                                     -- nobody asks the recorder
  for _, set in ipairs(sets) do
    set.result = watch.stop(set.job)
    tool.check_run(set.result, set.result.code == 0, "%s, live: %s", set.name, tool.how(set.result))
    set.alerts = watch.alerts(set.result.out)
  end
  local recorded = watch.stop(recorder)
  tool.check_run(recorded, recorded.code == 0, "recording: %s", tool.how(recorded))

  for _, set in ipairs(sets) do
    local spoke = by_act(set.alerts)
    for _, act in ipairs(done) do
      local said = spoke[act.name] or {}
      local wanted = {}
      for _, rule in ipairs(act[set.promise] or {}) do
        wanted[rule] = true
        tool.check(said[rule], "%s, %s: '%s' did not speak, but %s", act.name, set.name, rule, names(said))
      end
      for rule in pairs(set.exact and said or {}) do
        tool.check(wanted[rule], "%s, %s: '%s' spoke, and should not", act.name, set.name, rule)
      end
    end
  end

  for _, set in ipairs(sets) do
    compare(tool, watch, set, capture)
    print(("%s: %d alerts of %d acts"):format(set.name, #set.alerts, #done))
  end
end
