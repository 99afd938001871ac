#!/usr/bin/env luajit
-- SPDX-License-Identifier: Apache-2.0
-- The sessions of docs/REPL.md, made by running them: in blocks that begin with  ```console repl ARGUMENTS  the lines that begin
-- with "falco> " or "   ... " are typed, everything else is what came of it.
--   luajit docs/repl_session.lua FALCO            writes the answers anew
--   luajit docs/repl_session.lua FALCO --check    fails if that would change anything but how long things took
local PAGE = "docs/REPL.md"
local falco, is_check = arg[1] or "build/falco", arg[2] == "--check"

local function read(path)
  local f = assert(io.open(path, "rb"))
  local text = f:read("*a")
  f:close()
  return text
end

-- { { "line", ... }, ... }: what is typed until the next prompt.
local function typed(block)
  local inputs = {}
  for line in block:gmatch("[^\n]*") do
    local first, more = line:match("^falco> ?(.*)$"), line:match("^   %.%.%. ?(.*)$")
    if first then inputs[#inputs + 1] = { first } end
    if more then table.insert(inputs[#inputs], more) end
  end
  return inputs
end

local MARK = "end of answer %d"

local function answers(arguments, inputs)
  local script, out = os.tmpname(), {}
  local f = assert(io.open(script, "w"))
  for i, lines in ipairs(inputs) do f:write(table.concat(lines, "\n"), "\n", (":lua '" .. MARK .. "'\n"):format(i)) end
  f:close()
  local p = io.popen(("env HOME=/nonexistent TZ=UTC LC_ALL=C.UTF-8 %s repl %s <%s 2>&1"):format(falco, arguments, script))
  local text, at = p:read("*a"), 1
  p:close()
  os.remove(script)
  for i = 1, #inputs do
    local mark = ('"' .. MARK .. '"\n'):format(i)
    local from, to = text:find(mark, at, true)
    assert(from, "no answer to: " .. table.concat(inputs[i], " "))
    out[i], at = text:sub(at, from - 1), to + 1
  end
  return out
end

local function made(arguments, block)
  local inputs, out = typed(block), {}
  for i, answer in ipairs(answers(arguments, inputs)) do
    out[#out + 1] = "falco> " .. inputs[i][1] .. "\n"
    for k = 2, #inputs[i] do out[#out + 1] = "   ... " .. inputs[i][k] .. "\n" end
    out[#out + 1] = answer
  end
  return table.concat(out)
end

-- Without what differs from run to run.
local function timeless(text)
  return (text:gsub("[%d.]+ [nm\194\181]*s: %d+ ns/event, [%d.]+ M events/s", "TIME"):gsub("( in )[%d.]+ [nm\194\181]*s", "%1TIME"):gsub("\n[ \t]+", "\n"))
end

local page = read(PAGE)
local anew = page:gsub("(```console repl ([^\n]*)\n)(.-)(\n```)", function(head, arguments, block, tail)
  return head .. made(arguments, block):gsub("\n$", "") .. tail
end)
if is_check then
  if timeless(anew) ~= timeless(page) then
    print(PAGE .. " is not what its sessions give now: run luajit docs/repl_session.lua")
    local other = os.tmpname()
    local f = assert(io.open(other, "w"))
    f:write(anew)
    f:close()
    os.execute(("diff %s %s | head -40; rm -f %s"):format(PAGE, other, other))
    os.exit(1)
  end
elseif anew ~= page then
  local f = assert(io.open(PAGE, "wb"))
  f:write(anew)
  f:close()
end
