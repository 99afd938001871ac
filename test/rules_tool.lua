-- SPDX-License-Identifier: Apache-2.0
-- What test/bench asks of rules; FALCO_LIB names the library.
--   luajit test/rules_tool.lua vary N deeply|lightly FILE...    N rules made of those of the files, as YAML
--   luajit test/rules_tool.lua gate CAPTURE FILE...             what the gate does with the events of a capture, by type
package.path = "lua/?.lua;lua/?/init.lua;" .. package.path
local core = require "core"
local diag = require "diag"
local rules = require "rules"
local run = require "run"

local function loaded(files)
  local diags = diag.new()
  local result = rules.load{ files = files, ruleset = core.C.ruleset_new(), diag = diags }
  if not result.ok then
    error(diags:render{ level = "error" }, 0)
  end
  return result
end

local function read(from)
  return run.read_files{ unpack(arg, from) }
end

local commands = {}

function commands.vary()
  local vary, n, files = dofile("test/vary.lua"), tonumber(arg[2]), read(4)
  if arg[3] == "deeply" then
    io.write(vary.deeply(loaded(files), n))
    return
  end
  for _, file in ipairs(vary.lightly(files, n)) do
    io.write(file.text, "\n")
  end
end

local function replay(path, ruleset, prog)
  local C, err = core.C, core.err()
  local eng = C.engine_new(core.ffi.new("struct engine_limits"), err)
  if eng == nil or C.engine_open_replay(eng, path, err) < 0 then
    error(core.message(err), 0)
  end
  C.engine_use(eng, ruleset)
  run.loop(eng, prog, function() return true end)
  C.engine_free(eng)
end

function commands.gate()
  local C, result = core.C, loaded(read(3))
  local prog = rules.compile(result)
  replay(arg[2], result.ruleset, prog)
  local rows, stats = {}, core.ffi.new("struct gate_stats")
  for code = 0, C.event_count() - 1 do
    C.ruleset_gate_stats(result.ruleset, code, stats)
    local row = { name = core.cstr(C.event_info(code).name), all = 0 }
    for verdict = 0, C.GATE_VERDICTS - 1 do
      row[verdict] = tonumber(stats.verdicts[verdict])
      row.all = row.all + row[verdict]
    end
    rows[#rows + 1] = row.all > 0 and row or nil
  end
  table.sort(rows, function(a, b) return a.all > b.all end)
  print(("%-16s %10s %9s %11s %10s %9s"):format("event", "wanted", "process", "descriptor", "condition", "passed"))
  for i = 1, math.min(#rows, 16) do
    local row = rows[i]
    local function share(verdict) return ("%.2f %%"):format(100 * row[verdict] / row.all) end
    print(("%-16s %10d %9s %11s %10s %9s"):format(row.name, row.all, share(C.GATE_BY_PROCESS), share(C.GATE_BY_DESCRIPTOR),
      share(C.GATE_BY_CONDITION), share(C.GATE_PASSES)))
  end
end

local command = commands[arg[1]]
if not command then
  io.stderr:write("rules_tool: vary or gate\n")
  os.exit(2)
end
command()
