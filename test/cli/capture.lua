-- SPDX-License-Identifier: Apache-2.0
-- `falco events -w`: a capture that is written and read again says the same, in every field. Without a condition every event is
-- there; with one, those that matched, with the values they had in the source. Readers of other projects take it too.
local scap = dofile("test/scap.lua")

local DATA = "test/data/"
local TRACES = "../shared/traces"
local SEPARATOR = "\1"

-- Arguments for fields that want one.
local ARGUMENTS = {
  ["evt.arg"] = { "[0]", "[1]", "[2]", "[3]", ".fd", ".name", ".flags", ".tuple", ".res" },
  ["evt.rawarg"] = { ".fd", ".flags" },
  ["evt.type.is"] = { ".open" },
  ["thread.cgroup"] = { ".cpu" },
  ["proc.aname"] = { "[1]", "[3]" },
  ["proc.env"] = { "[PATH]" },
  ["fd.types"] = { "[0]" },
}

-- A field with the argument fits: it prints a line.
local function is_field(tool, falco, name)
  local r = tool.run{ falco, "events", DATA .. "unix_sock.scap", "evt.num = 100", "-p", "*%" .. name }
  return r.code == 0
end

-- Every field that outputs can use, but those that are different by nature (a set of names).
local function all_fields(tool, falco, but)
  local fields = {}
  for _, line in ipairs(tool.lines(tool.run{ falco, "--list", "-v" }.out)) do
    local name, notes = line:match("^([%w_.]+)%s+%(Type: [%w_]+%)%s*(%(?[%u_,]*)")
    if name and not notes:find("FILTER_ONLY", 1, true) and not but[name] then
      if not notes:find("ARG_REQUIRED", 1, true) then fields[#fields + 1] = name end
      for _, argument in ipairs(ARGUMENTS[name] or {}) do
        if is_field(tool, falco, name .. argument) then fields[#fields + 1] = name .. argument end
      end
    end
  end
  return fields
end

local function format_of(fields)
  return "*%" .. table.concat(fields, SEPARATOR .. "%")
end

-- Which field differs first, in words.
local function difference(tool, fields, one, other)
  local function values(text)
    local list = {}
    for value in (text .. SEPARATOR):gmatch("(.-)" .. SEPARATOR) do list[#list + 1] = value end
    return list
  end
  local ones, others = tool.lines(one), tool.lines(other)
  if #ones ~= #others then return ("%d lines, %d lines"):format(#ones, #others) end
  for i, line in ipairs(ones) do
    if line ~= others[i] then
      local a, b = values(line), values(others[i])
      for k, value in ipairs(a) do
        if value ~= b[k] then
          return ("line %d: %s is '%s', then '%s'"):format(i, fields[k] or "a field", value, b[k] or "nothing")
        end
      end
    end
  end
  return "nothing"
end

-- The same events with the same values from both captures. condition: of the first one.
local function check_same(tool, falco, fields, original, copy, condition)
  local format = format_of(fields)
  local args = { falco, "events", original, "-p", format, timeout = 120 }
  if condition then table.insert(args, 4, condition) end
  local one = tool.run(args)
  local other = tool.run{ falco, "events", copy, "-p", format, timeout = 120 }
  tool.check_run(other, one.code == 0 and other.code == 0 and other.err == "", "%s: its copy: %s", original, tool.how(other))
  tool.check(one.out == other.out, "%s%s: the copy differs: %s", original, condition and " with " .. condition or "",
    one.out ~= other.out and difference(tool, fields, one.out, other.out) or "")
  return one.out
end

local function write(tool, falco, original, copy, ...)
  local r = tool.run{ falco, "events", original, "-w", copy, ... }
  return tool.check_run(r, r.code == 0 and r.out == "" and r.err == "", "%s: writing: %s", original, tool.how(r))
end

local function shipped(tool)
  local list = {}
  if tool.sanitized then return { DATA .. "unix_sock.scap", DATA .. "cri_pod.scap" } end
  for _, name in ipairs(tool.list("test/data", ".scap")) do list[#list + 1] = DATA .. name end
  return list
end

local function captures(tool)
  local list = shipped(tool)
  if tool.sanitized then return list end
  local traces = tool.list(TRACES, ".scap")
  if #traces == 0 then tool.skip("old captures, written anew (no %s)", TRACES) end
  for _, name in ipairs(traces) do list[#list + 1] = TRACES .. "/" .. name end
  return list
end

-- ------------------------------------------------------------------ what is in it

local function everything(tool, falco)
  local fields = all_fields(tool, falco, {})
  tool.check(#fields > 200, "only %d fields to compare", #fields)
  local copy = tool.dir() .. "/copy.scap"
  for _, original in ipairs(captures(tool)) do
    if write(tool, falco, original, copy) then
      tool.check(#check_same(tool, falco, fields, original, copy) > 0, "%s has no events", original)
    end
  end
end

-- Events are numbered anew: those that are neither shown nor needed are not there.
local CONDITIONS = {
  "proc.name in (bash, sh, cat)",
  "evt.type in (openat, connect, sendto, recvfrom, close) and fd.name exists",
  "evt.failed = true",
}

local function chosen(tool, falco)
  local fields = all_fields(tool, falco, { ["evt.num"] = true })
  local copy = tool.dir() .. "/chosen.scap"
  for i, original in ipairs(shipped(tool)) do
    local condition = CONDITIONS[i % #CONDITIONS + 1]
    if write(tool, falco, original, copy, condition) then check_same(tool, falco, fields, original, copy, condition) end
  end
end

-- How many event blocks have the mark "state only", and how many have not.
local function count_blocks(tool, file)
  local marked, plain = 0, 0
  for _, block in ipairs(scap.blocks(tool.read(file))) do
    if block.type == 0x217 or block.type == 0x222 then marked = marked + 1
    elseif block.event then plain = plain + 1 end
  end
  return marked, plain
end

local function marks(tool, falco)
  local original, copy = DATA .. "sensitive.scap", tool.dir() .. "/marks.scap"
  local condition = "evt.type = openat and fd.name = /etc/shadow"
  local shown = #tool.lines(tool.run{ falco, "events", original, condition }.out)

  write(tool, falco, original, copy, condition, "--plain")
  local marked, plain = count_blocks(tool, copy)
  tool.check(plain == shown and marked > plain, "%d events are shown; the capture has %d, and %d for state only", shown, plain,
    marked)

  write(tool, falco, original, copy, condition, "--plain", "--only")
  marked, plain = count_blocks(tool, copy)
  tool.check(plain == shown and marked == 0, "--only: %d events are shown; the capture has %d, and %d for state only", shown,
    plain, marked)
  check_same(tool, falco, { "evt.time", "evt.type", "evt.rawres", "fd.num", "thread.tid" }, original, copy, condition)

  write(tool, falco, original, copy, "--plain")
  marked = count_blocks(tool, copy)
  tool.check(marked == 0, "all events are wanted, but %d are for state only", marked)

  -- nothing matched: a capture that shows nothing, not a broken one
  for _, only in ipairs{ "--plain", "--only" } do
    write(tool, falco, original, copy, "proc.name = nobody_has_it", only)
    local r = tool.run{ falco, "events", copy }
    tool.check_run(r, r.code == 0 and r.out == "" and r.err == "", "a capture of nothing (%s): %s", only, tool.how(r))
  end
end

-- Sections stay sections, and begin with their own lists.
local function sections(tool, falco)
  local joined, copy = tool.dir() .. "/joined.scap", tool.dir() .. "/sections.scap"
  tool.write(joined, tool.read(DATA .. "sensitive.scap") .. tool.read(DATA .. "unix_sock.scap"))
  local fields = { "evt.type", "evt.time", "proc.cmdline", "proc.aname", "fd.name", "user.name", "proc.fdopencount" }
  write(tool, falco, joined, copy)
  check_same(tool, falco, fields, joined, copy)
  write(tool, falco, joined, copy, "evt.type = connect")
  check_same(tool, falco, fields, joined, copy, "evt.type = connect")
  write(tool, falco, joined, copy, "evt.type = connect", "--only")
  tool.check(tool.run{ falco, "events", copy, "-p", "%evt.time" }.out ==
    tool.run{ falco, "events", joined, "evt.type = connect", "-p", "%evt.time" }.out, "two sections with --only: events differ")
end

-- ------------------------------------------------------------------ where it goes

local function places(tool, falco)
  local original, dir = DATA .. "unix_sock.scap", tool.dir()
  local packed, plain = dir .. "/packed.scap", dir .. "/plain.scap"
  write(tool, falco, original, packed)
  write(tool, falco, original, plain, "--plain")
  tool.check(tool.read(packed):sub(1, 2) == "\31\139", "it is not packed")
  tool.check(tool.run{ "gzip", "-dc", packed }.out == tool.read(plain), "packed and plain differ")

  local r = tool.run{ falco, "events", original, "-w", "-" }
  tool.check_run(r, r.code == 0 and r.out == tool.read(packed), "standard output has something else than a file")
  r = tool.run{ falco, "events", "-", "-w", "-", "--plain", stdin = original }
  tool.check_run(r, r.code == 0 and r.out == tool.read(plain), "from standard input to standard output")
  r = tool.run{ "sh", "-c", ("%s events %s -w - --plain | head -c 100 | wc -c; %s events %s -M 1 -w %s/m.scap"):format(falco,
    DATA .. "srv_tty.scap", falco, original, dir) }
  tool.check_run(r, r.out:find("^%s*100%s*$") and r.err == "", "a reader that goes away")
  tool.check(tool.run{ falco, "events", dir .. "/m.scap" }.out == tool.run{ falco, "events", original, "-M", "1" }.out,
    "-M ends a written capture elsewhere")
end

local function mistakes(tool, falco)
  local original, dir = DATA .. "unix_sock.scap", tool.dir()
  local own = tool.write(dir .. "/own.scap", tool.read(original))
  local function refused(why, ...)
    local r = tool.run{ falco, "events", ... }
    tool.check_run(r, r.code == 1 and r.out == "" and r.err:find(why, 1, true) and #tool.lines(r.err) == 1,
      "%s: %s", table.concat({ ... }, " "), tool.how(r))
  end
  refused("No space left on device", original, "-w", "/dev/full")
  refused("No space left on device", original, "-w", "/dev/full", "--plain")
  refused("No space left on device", original, "evt.num = 5", "-w", "/dev/full", "--only")
  refused("Is a directory", original, "-w", dir)
  refused("No such file or directory", original, "-w", dir .. "/none/x.scap")
  refused("that is the capture being read", own, "-w", own)
  tool.check(tool.read(own) == tool.read(original), "the source was written over")
  refused("-w and -p do not go together", original, "-w", own, "-p", "%evt.num")
  refused("-w and --json do not go together", original, "-w", own, "--json")
  refused("--plain goes with -w", original, "--plain")
  refused("--only wants a condition", original, "-w", own, "--only")

  -- a source that is none leaves the file alone
  refused("no system call capture", "test/tool.lua", "-w", own)
  tool.check(tool.read(own) == tool.read(original), "a capture that could not be opened emptied the file")

  -- a source that breaks off: what came before is there
  local cut = tool.write(dir .. "/cut.scap", tool.run{ "gzip", "-dc", original }.out:sub(1, -5000))
  local r = tool.run{ falco, "events", cut, "-w", dir .. "/rest.scap" }
  tool.check_run(r, r.code == 1 and r.err:find("cut off", 1, true), "a source that is cut off: %s", tool.how(r))
  tool.check(tool.run{ falco, "events", dir .. "/rest.scap" }.out == tool.run{ falco, "events", cut }.out,
    "of a source that is cut off not all was written")
end

-- A signal ends the run, and the file is whole.
local function interrupted(tool, falco)
  local original, copy = DATA .. "unix_sock.scap", tool.dir() .. "/interrupted.scap"
  local plain = tool.write(tool.dir() .. "/plain_source.scap", tool.run{ "gzip", "-dc", original }.out)
  -- (a shell gives what it starts in the background no input of its own)
  local script = ("(cat %s; sleep 3) | { exec 3<&0; %s events - -w %s <&3 & pid=$!; sleep 1; kill -INT $pid; wait $pid; "
    .. "echo ended $?; }"):format(plain, falco, copy)
  local r = tool.run{ "sh", "-c", script }
  tool.check_run(r, r.out == "ended 0\n" and r.err == "", "interrupted: %s", tool.how(r))
  tool.check(tool.run{ falco, "events", copy }.out == tool.run{ falco, "events", original }.out,
    "an interrupted capture lacks events")
end

-- ------------------------------------------------------------------ other readers

local SYSDIG_FORMAT = "*%evt.rawtime %evt.type %thread.tid %proc.name %proc.cmdline"

-- Generic system calls that are younger than sysdig 0.29.3 make it crash, so they are left out. It shows events for state only
-- to nobody, and of the others those whose code it knows.
local function sysdig(tool, falco)
  if tool.run{ "sh", "-c", "sysdig --version" }.code ~= 0 then
    tool.skip("captures as sysdig reads them (it is not installed)")
    return
  end
  local copy = tool.dir() .. "/sysdig.scap"
  local condition = "evt.type in (read, write, close, execve, openat)"
  for _, name in ipairs(tool.list("test/data", ".scap")) do
    write(tool, falco, DATA .. name, copy, condition)
    local r = tool.run{ "sysdig", "-r", copy, "-p", SYSDIG_FORMAT, "evt.dir = <" }
    local want = tool.run{ falco, "events", DATA .. name, condition .. " and evt.dir = <", "-p", SYSDIG_FORMAT }
    local have, wanted = tool.lines(r.out), tool.lines(want.out)
    tool.check_run(r, r.code == 0 and #have == #wanted, "sysdig: %s: %s, %d events, wanted %d", name, tool.how(r), #have, #wanted)
    for i, line in ipairs(wanted) do
      -- white space at the end is as it likes
      if not tool.check((have[i] or ""):gsub("%s+$", "") == line:gsub("%s+$", ""), "sysdig: %s: wanted '%s', got '%s'", name,
        line, have[i]) then break end
    end
  end
end

return function(tool, falco)
  everything(tool, falco)
  chosen(tool, falco)
  marks(tool, falco)
  sections(tool, falco)
  places(tool, falco)
  mistakes(tool, falco)
  interrupted(tool, falco)
  if not tool.sanitized then sysdig(tool, falco) end
end
