-- SPDX-License-Identifier: Apache-2.0
local complete = require "repl.complete"
local scan = require "scan"

local function session(with_capture)
  return { names = { my_macro = "macro", my_list = "list" }, seen = {}, rules = { rules = { { name = "Rule one" }, { name = "Rule two" } } },
    scan = with_capture and assert(scan.open{ files = { "test/data/websrv.scap" } }) or nil }
end

local function texts(s, text)
  local found, out = complete.find(s, text), {}
  for _, candidate in ipairs(found and found.list or {}) do out[#out + 1] = candidate.text end
  return out, found and found.word
end

local function has(list, wanted)
  for _, text in ipairs(list) do
    if text == wanted then return true end
  end
  return false
end

describe("completion", function()
  it("offers what may stand there", function()
    local s = session()
    for text, wanted in pairs{
      ["pro"] = "proc.name", ["my_"] = "my_macro", ["not pro"] = "proc.name", ["(pro"] = "proc.name", ["proc.name = x and pro"] = "proc.name",
      ["proc.name "] = "startswith", ["proc.name e"] = "endswith", ["proc.name = x "] = "and", ["(proc.name = x "] = ")",
      ["proc.name in (my"] = "my_list", ["proc.name in (a, my"] = "my_list", ["evt.type = exec"] = "execve", ["evt.type in (open, open"] = "openat",
      ["evt.arg[fl"] = "evt.arg[flags]", ["evt.arg.fl"] = "evt.arg.flags", ["evt.rawarg."] = "evt.rawarg.res", ["evt.ar"] = "evt.arg",
      ["evt.type = kill and evt.arg."] = "evt.arg.sig", ["evt.type.is.open"] = "evt.type.is.openat", ["evt.type."] = "evt.type.is",
 ["proc.aname["] = "proc.aname[1]", ["proc.name in "] = "(", ["toup"] = "toupper(",
      ["toupper(proc.na"] = "proc.name", ["toupper(proc.name) "] = "=", ["toupper(proc.name"] = "proc.name", ["proc.name exists "] = "or",
      ["my_macro "] = "and", [":ex"] = ":explain", [":explain pro"] = "proc.name", [":rule Rule t"] = "Rule two", [":macro my"] = "my_macro",
      [":top proc.na"] = "proc.name", [":top proc.name evt.ty"] = "evt.type", [":help wh"] = "why", [":cols evt.num proc.na"] = "proc.name",
      [":load test/da"] = "test/data/", [':lua evt["proc.na'] = "proc.name", [":diff evt.num = 1 | proc.na"] = "proc.name",
      ["proc.is_exe_upper_layer = "] = "true",
    } do
      assert.is_true(has(texts(s, text), wanted), text)
    end
  end)

  it("does not offer what may not", function()
    local s = session()
    assert.is_false(has(texts(s, "proc.name = x "), "proc.name"))
    assert.is_false(has(texts(s, "proc.name "), "<"))
    assert.is_false(has(texts(s, "evt.type = kill and evt.arg."), "evt.arg.flags"))
    assert.is_false(has(texts(s, "evt.num "), "startswith"))
    assert.is_true(has(texts(s, "evt.num "), "<"))
    assert.is_false(has(texts(s, "proc.name = x "), ")"))
    assert.same({}, (texts(s, ":quit ")))
    assert.same({}, (texts(s, ":nosuch x")))
  end)

  it("offers values that the capture has", function()
    local s = session(true)
    assert.same({ "curl" }, (texts(s, "proc.name = cu")))
    assert.is_true(has(texts(s, "proc.name in (sh, ba"), "bash"))
    assert.is_true(has(texts(s, "proc.env[LOG"), "proc.env[LOGNAME]"))
    local quoted, word = texts(s, 'proc.name = "cu')
    assert.same({ '"curl"' }, quoted)
    assert.equal('"cu', word)
    for _, text in ipairs(texts(s, "proc.cmdline = ")) do      -- with blanks in them: between quotes
      assert.is_true(text:find("^\"") ~= nil or not text:find(" "), text)
    end
  end)

  it("survives anything", function()
    local s = session()
    math.randomseed(11)
    local parts = { "proc.name", "=", "(", ")", ",", "in", "not", "and", '"', "'", "[", "evt.arg[", ":why", " ", "x", "\255", "toupper(", "exists" }
    for _ = 1, 500 do
      local text = {}
      for i = 1, math.random(1, 12) do text[i] = parts[math.random(#parts)] end
      local found = complete.find(s, table.concat(text, math.random(2) == 1 and " " or ""))
      assert.is_true(found == nil or type(found.list) == "table")
    end
  end)
end)
