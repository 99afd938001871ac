-- SPDX-License-Identifier: Apache-2.0
local conf = require "conf"
local diag = require "diag"
local route = require "outputs.route"

local LANES = { stdout = true, file = true, http = true }

local function opened(text)
  local diags = diag.new()
  local config = conf.load{ diag = diags, set = { "route=" .. text } }
  assert.equal(0, diags.errors)
  return route.open(config, { lanes = LANES, field = function(r, name) return r.values and r.values[name] end })
end

local function where(stage, rule, more)
  local record = { rule = rule, source = "syscall", priority = 4, tags = {} }
  for key, value in pairs(more or {}) do record[key] = value end
  if stage:pass(record) == false then return "nowhere" end
  if not record.to then return "all" end
  local names = {}
  for name in pairs(record.to) do names[#names + 1] = name end
  table.sort(names)
  return table.concat(names, " ")
end

describe("route", function()
  it("is no stage without entries", function()
    assert.is_false(opened("[]"))
  end)

  it("goes by the first entry that matches", function()
    local stage = opened("[{match: {rule: a*}, to: [file]}, {match: {rule: '*b'}, to: [http, stdout]}, {match: {rule: c}, drop: true}]")
    assert.equal("file", where(stage, "ab"))
    assert.equal("http stdout", where(stage, "bb"))
    assert.equal("nowhere", where(stage, "c"))
    assert.equal("all", where(stage, "d"))
    assert.equal(1, stage.dropped)
  end)

  it("goes on behind an entry that says so, and changes nobody's entry", function()
    local stage = opened("[{match: {rule: a}, to: [file], continue: true}, {match: {priority: warning}, to: [http], continue: true}, {to: [stdout]}]")
    for _ = 1, 2 do
      assert.equal("file http stdout", where(stage, "a"))
      assert.equal("http stdout", where(stage, "b"))
      assert.equal("stdout", where(stage, "b", { priority = 6 }))
    end
  end)

  it("leaves alone what a script has sent somewhere", function()
    assert.equal("stdout", where(opened("[{to: [file]}]"), "a", { to = { stdout = true } }))
  end)

  it("looks at fields", function()
    local stage = opened("[{match: {fields: {proc.name: [cat, 'py*']}}, to: file}]")
    assert.equal("file", where(stage, "a", { values = { ["proc.name"] = "python" } }))
    assert.equal("all", where(stage, "a", { values = {} }))
  end)

  it("says which outputs there are", function()
    local stage, message = opened("[{to: [stdout]}, {to: [htp]}]")
    assert.is_nil(stage)
    assert.equal("route[1].to: no output called 'htp' is enabled; there is: file, http, stdout", message)
  end)

  it("wants each entry to say one thing, at its place", function()
    for text, why in pairs{
      ["{match: {rule: x}}"] = "say where alerts go (to), or drop: true",
      ["{to: [stdout], drop: true}"] = "alerts cannot both go somewhere (to) and be dropped (drop)",
    } do
      local path = os.tmpname()
      local file = assert(io.open(path, "w"))
      file:write("route:\n  - {to: [stdout]}\n  - " .. text .. "\n")
      file:close()
      local diags = diag.new()
      conf.load{ diag = diags, path = path }
      os.remove(path)
      assert.equal(1, diags.errors)
      local said = diags:sorted()[1]
      assert.equal("'route[1]': " .. why, said.message)
      assert.equal(3, said.line)
    end
  end)
end)
