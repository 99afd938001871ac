-- SPDX-License-Identifier: Apache-2.0
-- `falco events`: every event of the shipped captures, by number, type and time, against test/data/events.tsv (a count and a
-- checksum per capture; FALCO_TEST_UPDATE=1 writes it anew). Where the recordings that the project was measured with lie beside
-- the checkout, the same is held against what the reference printed for them.
local FORMAT = "*%evt.num %evt.type %evt.rawtime"
local EXPECTED = "test/data/events.tsv"
local REFERENCE = "../shared/golden/fields"
local TRACES = "../shared/traces"

local function checksum(tool, text)
  local path = tool.write(tool.dir() .. "/sum", text)
  return tool.run{ "sha1sum", path }.out:match("%x+")
end

local function events_of(tool, falco, file)
  local r = tool.run{ falco, "events", file, "-p", FORMAT, timeout = 120 }
  tool.check_run(r, r.code == 0 and r.err == "", "events of %s: %s", file, tool.how(r))
  return r.out
end

local function shipped(tool, falco)
  local update = os.getenv("FALCO_TEST_UPDATE") == "1"
  local want, rows = {}, { "# capture, events, sha1 of: falco events FILE -p '" .. FORMAT .. "'" }
  for _, line in ipairs(tool.lines(tool.read(EXPECTED) or "")) do
    local name, rest = line:match("^(%S+)\t(.*)$")
    if name then want[name] = rest end
  end
  for _, name in ipairs(tool.list("test/data", ".scap")) do
    local out = events_of(tool, falco, "test/data/" .. name)
    local have = ("%d\t%s"):format(#tool.lines(out), checksum(tool, out))
    rows[#rows + 1] = name .. "\t" .. have
    if not update then
      tool.check(want[name] == have, "%s: wanted %s events, got %s", name, want[name] or "unknown", have)
    end
  end
  if update then tool.write(EXPECTED, table.concat(rows, "\n") .. "\n") end
end

local function find_trace(tool, name)
  for _, sub in ipairs{ "", "/scenarios" } do
    local path = ("%s%s/%s.scap"):format(TRACES, sub, name)
    if tool.exists(path) then return path end
  end
  return nil
end

local function against_reference(tool, falco)
  local recordings = tool.list(REFERENCE, ".jsonl.gz")
  if #recordings == 0 then
    tool.skip("events against the reference (no %s)", REFERENCE)
    return
  end
  for _, name in ipairs(recordings) do
    local trace = find_trace(tool, (name:gsub("%.jsonl%.gz$", "")))
    if tool.check(trace, "%s has no capture", name) then
      local want = {}
      for _, line in ipairs(tool.lines(tool.run{ "gzip", "-dc", REFERENCE .. "/" .. name }.out)) do
        want[#want + 1] = ("%s %s %s"):format(line:match('"evt%.num":(%d+)'), line:match('"evt%.type":"([^"]*)"'),
          line:match('"evt%.rawtime":(%d+)'))
      end
      local have = tool.lines(events_of(tool, falco, trace))
      for i, line in ipairs(want) do
        if not tool.check(have[i] == line, "%s: event %d: wanted '%s', got '%s'", name, i, line, have[i]) then break end
      end
    end
  end
end

local function conditions(tool, falco)
  local file = "test/data/sensitive.scap"
  local r = tool.run{ falco, "events", file, "evt.type = openat and fd.name = /etc/shadow", "-p", "%proc.name %fd.name" }
  tool.check_run(r, r.code == 0 and r.out:find("cat /etc/shadow\n", 1, true), "events with a condition")
  for _, line in ipairs(tool.lines(r.out)) do tool.check(line:find("/etc/shadow$"), "events with a condition: '%s'", line) end

  r = tool.run{ falco, "events", file, "proc.nam = cat" }
  tool.check_run(r, r.code == 1 and r.err:find("did you mean 'proc.name'", 1, true), "events with a wrong condition: %s", tool.how(r))

  r = tool.run{ falco, "events", file, "evt.num <= 100", "--json" }
  tool.check_run(r, r.code == 0, "events --json: %s", tool.how(r))
  for _, line in ipairs(tool.lines(r.out)) do tool.check(line:find("^{.*}$"), "events --json: '%s'", line) end

  -- standard input, packed or not
  local from_file = tool.run{ falco, "events", file, "-p", FORMAT }.out
  r = tool.run{ falco, "events", "-", "-p", FORMAT, stdin = file }
  tool.check_run(r, r.out == from_file, "events of standard input differ")
  local plain = tool.write(tool.dir() .. "/plain.scap", tool.run{ "gzip", "-dc", file }.out)
  r = tool.run{ falco, "events", plain, "-p", FORMAT }
  tool.check_run(r, r.out == from_file, "events of the unpacked capture differ")

  -- concatenated captures start anew
  local other = "test/data/unix_sock.scap"
  local joined = tool.write(tool.dir() .. "/joined.scap", tool.read(file) .. tool.read(other))
  local both = tool.run{ falco, "events", joined, "-p", "*%evt.type %evt.rawtime %proc.cmdline %fd.name" }
  local one = tool.run{ falco, "events", file, "-p", "*%evt.type %evt.rawtime %proc.cmdline %fd.name" }
  local two = tool.run{ falco, "events", other, "-p", "*%evt.type %evt.rawtime %proc.cmdline %fd.name" }
  tool.check_run(both, both.code == 0 and both.out == one.out .. two.out, "two captures in one file: events differ")
end

return function(tool, falco)
  shipped(tool, falco)
  conditions(tool, falco)
  if not tool.sanitized then against_reference(tool, falco) end    -- long, and the same code
end
