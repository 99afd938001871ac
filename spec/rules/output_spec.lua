-- SPDX-License-Identifier: Apache-2.0
local core = require "core"
local diag = require "diag"
local rules = require "rules"
local support = dofile "spec/support.lua"

local function compile(text)
  local diags = diag.new()
  return rules.output{ text = text, ruleset = core.C.ruleset_new(), diag = diags }, diags
end

-- Parts as text: fields in < >, widths behind a colon.
local function parts(text)
  local plan, diags = compile(text)
  assert.truthy(plan, diags:render())
  local out = {}
  for i, part in ipairs(plan.parts) do
    out[i] = type(part) == "string" and part or ("<%s%s>"):format(plan.names[part.expr], part.width and ":" .. part.width or "")
  end
  return table.concat(out), plan
end

local function problem(text)
  local plan, diags = compile(text)
  assert.is_nil(plan)
  return support.messages(diags)[1]
end

describe("output formats", function()
  it("are text and fields", function()
    assert.equal("a <proc.name> b <fd.name>", (parts "a %proc.name b %fd.name"))
    assert.equal("<proc.name><fd.name>", (parts "%proc.name%fd.name"))
    assert.equal("plain", (parts "plain"))
  end)

  it("end a field where it cannot go on", function()
    assert.equal("<proc.name>. <proc.name>, (<fd.num>)", (parts "%proc.name. %proc.name, (%fd.num)"))
    assert.equal("<proc.name>X", (parts "%proc.nameX"))
    assert.equal("<proc.pname>[2]", (parts "%proc.pname[2]"))
  end)

  it("have arguments, widths and transformers", function()
    assert.equal("<proc.aname[2]>", (parts "%proc.aname[2]"))
    assert.equal("<evt.arg.flags>", (parts "%evt.arg.flags"))
    assert.equal("<proc.name:20>x", (parts "%20proc.namex"))
    assert.equal("<tolower(proc.name)>", (parts "%tolower(proc.name)"))
    assert.equal("<toupper(tolower(proc.name)):5>.", (parts "%5toupper( tolower(proc.name) )."))
  end)

  it("list each expression once, and what JSON shows", function()
    local _, plan = parts "%proc.name %fd.name %proc.name %tolower(proc.pname)"
    assert.same({ "proc.name", "fd.name", "tolower(proc.pname)", "proc.pname" }, plan.names)
    assert.equal(4, #plan.exprs)
    assert.same({ { name = "fd.name", expr = 2 }, { name = "proc.name", expr = 1 }, { name = "proc.pname", expr = 4 } }, plan.fields)
  end)

  it("begin with a star when fields may be missing", function()
    local text, plan = parts "*%proc.name"
    assert.equal("<proc.name>", text)
    assert.is_true(plan.lenient)
    assert.is_false(select(2, parts "%proc.name").lenient)
  end)

  it("are refused at the place of the mistake", function()
    assert.equal("1:4: unknown field 'proc.nmae'", problem "a %proc.nmae b")
    assert.equal("1:3: a format cannot end with '%'", problem "a %")
    assert.equal("1:3: a format cannot end with a width", problem "a %20")
    assert.equal("1:1: expected a field after '%'", problem "% x")
    assert.equal("1:1: expected a field after '%'", problem "%%")
    assert.equal("1:10: unknown field 'proc.nmae'", (problem("%tolower(proc.nmae)"):gsub(" %(did.*", "")))
    assert.equal("1:1: the output is empty", problem "")
    assert.equal("1:1: a width of more than 65535", problem "%99999999999proc.name")
  end)

  it("show all their mistakes", function()
    local _, diags = compile "%proc.nmae %user.nme"
    assert.equal(2, diags.errors)
    assert.equal("user.name", diags.items[2].near)
  end)
end)
