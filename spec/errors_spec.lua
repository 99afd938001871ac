-- SPDX-License-Identifier: Apache-2.0
-- A corpus of mistakes: what each spec/errors/NAME.yaml is told is in NAME.expected, to the letter. New ones, and texts
-- that were changed on purpose, are written by FALCO_TEST_UPDATE=1 busted spec/errors_spec.lua; read the difference.
local json = require "json"
local results = require "results"
local support = dofile "spec/support.lua"

local DIR = "spec/errors"
local UPDATE = os.getenv("FALCO_TEST_UPDATE") == "1"

local function names()
  local list = {}
  local p = assert(io.popen("ls " .. DIR))
  for file in p:lines() do
    list[#list + 1] = file:match("^(.*)%.yaml$")
  end
  p:close()
  return list
end

local function read(path)
  local f = io.open(path, "rb")
  local text = f and f:read("*a")
  if f then
    f:close()
  end
  return text
end

local function write(path, text)
  local f = assert(io.open(path, "wb"))
  f:write(text)
  f:close()
end

-- What goes without saying for each message: its place lies in the file, and the caret below what it shows.
local function check_form(name, text, diags)
  local _, breaks = text:gsub("\r\n?", "\n"):gsub("\n", "")
  for _, d in ipairs(diags.items) do
    assert.equal("r.yaml", d.file, name)
    assert.is_true(d.line >= 1 and d.line <= breaks + 1 and d.column >= 1, name .. ": place")
    assert.is_true(#d.code > 0 and #d.message > 0 and not d.message:find("\n"), name .. ": message")
    local shown = diags:format(d)
    assert.matches("\n *%d+ | [^\n]*\n +| *[\t ]*%^", shown, nil, nil, name .. ": caret")
    assert.is_nil(shown:find("[%z\1-\8\11-\31\127]"), name .. ": control characters")
  end
end

describe("mistakes in rules files", function()
  local all = names()

  it("are many", function()
    assert.is_true(#all >= 60)
  end)

  for _, name in ipairs(all) do
    it(name, function()
      local path = ("%s/%s"):format(DIR, name)
      local text = read(path .. ".yaml")
      local _, diags = support.load(text)
      assert.is_true(#diags.items > 0)
      check_form(name, text, diags)
      local got = diags:render()
      if UPDATE then
        write(path .. ".expected", got)
      end
      assert.equal(read(path .. ".expected") or "", got)
      assert.is_string(json.encode(results.of({ name = "r.yaml", text = text }, diags)))
    end)
  end
end)
