-- SPDX-License-Identifier: Apache-2.0
-- Fuzzes the grammar of conditions and what is made of them: no text raises an error, mistakes have a place inside the
-- text, what was parsed can be written and parsed again, and what is accepted becomes code that loads.
package.path = "lua/?.lua;lua/?/init.lua;" .. package.path
local core = require "core"
local diag = require "diag"
local fuzz = dofile "test/fuzz/mutate.lua"
local grammar = require "rules.grammar"
local rope = require "rules.rope"
local rules = require "rules"
local spell = require "rules.spell"
local words = require "rules.words"

local WORDS = { " and ", " or ", " not ", "(", ")", "[", "]", ",", "=", "!=", "<=", ">", "==", "'", '"', "\\", "\\x41", "in ", "exists",
  "val(", "oneof ", "anyof ", "allof ", "0x1f", "-1", "1.5", "evt.type", "proc.name", "fd.name", "proc.aname[2]", "proc.env[A]", "fd.ip",
  "fd.net", "fd.types", "evt.arg.flags", "evt.rawres", "evt.deltatime", "container.id", "10.0.0.0/8", "true", "openat", "<NA>", "" }

local function add_words()
  for _, op in ipairs(words.get().op_names) do WORDS[#WORDS + 1] = op .. " " end
  for name in pairs(words.get().transformers) do WORDS[#WORDS + 1] = name .. "(" end
  for i = 0, core.C.field_count() - 1, 7 do WORDS[#WORDS + 1] = core.cstr(core.C.field_info(i).name) end
end

local function node_of(text)
  return { kind = "scalar", file = "condition", text = text, offset = 0, end_offset = #text, plain = true }
end

local function quoted(text)
  return '"' .. text:gsub('[\\"]', "\\%0"):gsub("[\b\f\n\r\t]", { ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n", ["\r"] = "\\r",
    ["\t"] = "\\t" }) .. '"'
end

-- The tree as text that parses to the same tree: every value in quotes but numbers.
local function written(ast)
  if ast.kind == "check" then
    local text = spell.operand_text(ast.left) .. " " .. spell.operator_text(ast) .. " "
    if ast.right then
      return text .. (ast.right.kind == "field" and "val(" .. spell.operand_text(ast.right) .. ")" or spell.operand_text(ast.right))
    elseif ast.op_text:find("^[<>]") then
      return text .. ast.values[1].text
    end
    local values = {}
    for i, value in ipairs(ast.values or {}) do values[i] = quoted(value.text) end
    local list = ast.modifier ~= core.C.MOD_NONE or words.get().ops[ast.op_text].class == "list"
    return text .. (list and "(" .. table.concat(values, ",") .. ")" or values[1] or "")
  elseif ast.kind == "macro" then
    return ast.name
  elseif ast.kind == "not" then
    return "not (" .. written(ast[1]) .. ")"
  end
  local parts = {}
  for i, child in ipairs(ast) do parts[i] = "(" .. written(child) .. ")" end
  return table.concat(parts, " " .. ast.kind .. " ")
end

-- Arguments and operands in odd quotes are written by the code under test, and may not come back as they were.
local function is_plain(text)
  return not text:find("[%[\\'\"\128-\255%c]")
end

local function check_place(err, text)
  assert(type(err.message) == "string" and #err.message > 0, "an error without a message")
  assert(err.from >= 1 and err.from <= #text + 1 and err.stop > err.from, ("place %s to %s of %d"):format(err.from, err.stop, #text))
end

-- Deferred mistakes of checks, in order.
local function deferred(ast, text)
  if ast.kind == "check" and ast.err then check_place(ast.err, text) end
  for _, child in ipairs(ast) do deferred(child, text) end
  return ast.err
end

local function has_mistake(ast)
  if ast.err then return true end
  for _, child in ipairs(ast) do
    if has_mistake(child) then return true end
  end
end

local function check_round_trip(ast, text)
  if not is_plain(text) or has_mistake(ast) or #text > 2000 then return end
  local once = written(ast)
  local again, err = grammar.parse(rope.of(node_of(once), {}))
  assert(again or err.message:find("^more than %d+ parentheses"), "what was written does not parse: " .. once .. ": "
    .. (err and err.message or ""))
  if again then assert(written(again) == once, "not the same again: " .. once) end
end

-- Messages without what they quote.
local function shape(message)
  return (message:gsub("'[^']*'", "'"):gsub("%d+", "0"):sub(1, 80))
end

local function compile(text)
  local diags, ruleset = diag.new(), core.ffi.gc(core.C.ruleset_new(), core.C.ruleset_free)
  local prog = rules.condition{ text = text, ruleset = ruleset, diag = diags }
  assert((prog ~= nil) == (diags.errors == 0), "errors and code, or neither")
  assert(diags:render():find("%S") or diags.errors + diags.warnings == 0)
  for _, d in ipairs(diags.items) do assert(d.line and d.column, "no place: " .. d.message) end
  if prog then
    prog.dump()
    return "code"
  end
  return shape(diags.items[1].message)
end

local function try(text)
  local ast, err = grammar.parse(rope.of(node_of(text), {}))
  if not ast then
    check_place(err, text)
    return "syntax " .. shape(err.message)
  end
  deferred(ast, text)
  check_round_trip(ast, text)
  return compile(text) .. " " .. ast.kind .. " " .. (ast.op_text or ast[1] and (ast[1].op_text or ast[1].kind) or "")
end

add_words()
fuzz.run{ name = "condition", try = try, words = WORDS, seeds = {
  "evt.type = openat and fd.name startswith /etc and not proc.name in (a, 'b c', \"d\\x41\")",
  "not (proc.aname[2] = x or proc.env[PATH] exists) and fd.num >= 3", "fd.name contains oneof (a, b) or fd.net in (10.0.0.0/8)",
  "tolower(proc.name) = val(proc.pname) and len(proc.args) > 3", "macro and (other or not third)", "proc.name glob a*b and proc.exe regex '(a|b)+'",
  "evt.buffer bcontains 7f454c46 and evt.rawres < -1 and evt.arg.flags contains O_RDWR", "fd.types intersects (file, ipv4) and fd.sport in (80, 443)",
} }
