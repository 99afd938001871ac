-- SPDX-License-Identifier: Apache-2.0
-- What a person at a terminal gets: colours where the terminal knows them, and no control characters of somebody else's making.
local CONFIG, RULES = "test/demo.yaml", "rules/falco_rules.yaml"

-- Runs words of a shell on a terminal of their own; what it showed.
local function on_terminal(tool, env, command)
  return tool.run{ "script", "-qec", command, "/dev/null", env = env }
end

local function quoted(word)
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

local function colours(tool, falco)
  local command = ("%s events test/data/fileless.scap 'evt.num < 120'"):format(falco)
  for _, case in ipairs{
    { { TERM = "xterm", NO_COLOR = "" }, true }, { { TERM = "dumb", NO_COLOR = "" }, false },
    { { TERM = "", NO_COLOR = "" }, false }, { { TERM = "xterm", NO_COLOR = "1" }, false },
  } do
    local r = on_terminal(tool, case[1], command)
    tool.check_run(r, r.code == 0 and #tool.lines(r.out) > 10, "events on a terminal: %s", tool.how(r))
    tool.check_run(r, (r.out:find("\27[", 1, true) ~= nil) == case[2], "TERM '%s', NO_COLOR '%s': colours are %s", case[1].TERM,
      case[1].NO_COLOR, case[2] and "missing" or "there")
  end
end

-- Escape sequences of 7 bits, of 8 bits in UTF-8, and as bytes that are no UTF-8.
local HOSTILE = "/tmp/\27[31mred\194\15532mgreen\15533myellow\127"

local function hostile_capture(tool)
  local capture = dofile("test/capture.lua")
  local path = tool.dir() .. "/hostile.scap"
  local out = capture.writer(path)
  out:head{ processes = { { tid = 1, comm = "init" } } }
  local open = capture.event("open", "exit")
  out:put(open, 1, open:values{ fd = 3, name = HOSTILE })
  out:close()
  return path
end

local function control_characters(tool, falco)
  local env = { TERM = "dumb" }
  local path = hostile_capture(tool)
  local rules = tool.write(tool.dir() .. "/hostile.yaml",
    "- rule: r\n  desc: d\n  condition: evt.type = open\n  output: name=%fd.name\n  priority: INFO\n")
  for _, words in ipairs{
    { "events", path }, { "events", path, "--json", "-p", "%fd.name" }, { "events", path, "-p", "%40fd.name" },
    { "replay", path, "-c", CONFIG, "-r", rules }, { "replay", path, "-c", CONFIG, "-r", rules, "-o", "json_output=true" },
    { "events", path, "fd.name = " .. HOSTILE .. " and fd.nam = x" }, { "events", HOSTILE }, { "-V", HOSTILE },
    { "-o", HOSTILE .. "=1" },
  } do
    local command = falco
    for _, word in ipairs(words) do command = command .. " " .. quoted(word) end
    local r = on_terminal(tool, env, command)
    local shown = r.out:gsub("%^D\8\8", ""):gsub("[\r\n\t]", "")      -- an end of input that `script` echoes
    tool.check_run(r, shown:find("red", 1, true), "%s: nothing is shown", command)
    tool.check_run(r, not shown:find("[%z\1-\31\127]") and not shown:find("\194[\128-\159]")
      and not shown:gsub("[\194-\244][\128-\191]+", ""):find("[\128-\255]"), "%s: a terminal gets control characters", command)
  end
end

return function(tool, falco)
  if tool.run{ "script", "--version" }.code ~= 0 then return tool.skip("terminals (no program 'script')") end
  colours(tool, falco)
  control_characters(tool, falco)
end
