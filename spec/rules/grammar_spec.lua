-- SPDX-License-Identifier: Apache-2.0
local grammar = require "rules.grammar"
local spell = require "rules.spell"

local function parse(text)
  return grammar.parse{ text = text }
end

-- The AST as text, fully parenthesised.
local function shape(ast)
  if ast.kind == "check" then
    return spell.check_text(ast)
  elseif ast.kind == "macro" then
    return ast.name
  elseif ast.kind == "not" then
    return "not " .. shape(ast[1])
  end
  local parts = {}
  for i, child in ipairs(ast) do
    parts[i] = shape(child)
  end
  return "(" .. table.concat(parts, " " .. ast.kind .. " ") .. ")"
end

local function check(expected, text)
  local ast, err = parse(text)
  assert.truthy(ast, err and err.message)
  assert.equal(expected, shape(ast))
  return ast
end

local function problem(text)
  local ast, err = parse(text)
  if ast then
    return ast.err and ("%d: %s"):format(ast.err.from, ast.err.message)
  end
  return ("%d: %s"):format(err.from, err.message)
end

describe("conditions", function()
  it("bind 'and' tighter than 'or', 'not' tightest", function()
    check("(a or (b and c) or d)", "a or b and c or d")
    check("(not a and b)", "not a and b")
    check("((a or b) and not (c and d))", "(a or b) and not (c and d)")
    check("(a or (b and c))", "a or(b and c)")
    check("(a and (b or c))", "a and(b or c)")
    check("a", "(((a)))")
  end)

  it("count how often 'not' stands", function()
    check("not a", "not a")
    check("a", "not not a")
    check("not a", "not not not(a)")
    check("a", "not not(a)")
  end)

  it("go over several lines", function()
    check("(a and b)", "\n a\n\tand\r\n b \n")
  end)

  it("have checks of every class of operator", function()
    check("proc.name exists", "proc.name exists")
    check("(fd.num < 3 and fd.num >= -1)", "fd.num<3 and fd.num >= -1")
    check("fd.num > 0x1F", "fd.num > 0x1F")
    check("proc.name = a", "proc.name=a")
    check("proc.name == a", "proc.name == a")
    check("proc.name != a", "proc.name!=a")
    check("proc.name startswith /etc/*", "proc.name startswith /etc/*")
    check("proc.name in (a, b, c)", "proc.name in (a,b , c )")
    check("proc.name in ()", "proc.name in ()")
    check("proc.name in (a)", "proc.name in(a)")
    check("proc.name in (names)", "proc.name in names")
    check("fd.name pmatch (/etc, /usr)", "fd.name pmatch (/etc, /usr)")
    check("proc.args intersects (a)", "proc.args intersects (a)")
  end)

  it("have modifiers, unless these are values", function()
    check("proc.name startswith oneof (a, b)", "proc.name startswith oneof (a, b)")
    check("proc.name = anyof (x)", "proc.name = anyof x")
    check("proc.name = oneof", "proc.name = oneof")
    check("(proc.name = oneof and a)", "proc.name = oneof and a")
    check("proc.name = android", "proc.name = android")
    check("proc.name = allof (android)", "proc.name = allof android")
  end)

  it("have arguments, transformers and other fields", function()
    check("proc.aname[2] = a", "proc.aname[2] = a")
    check('proc.env["a b"] = c', 'proc.env["a b"] = c')
    check("tolower(proc.name) = a", "tolower( proc.name ) = a")
    check("tolower(toupper(proc.name)) = a", "tolower(toupper(proc.name)) = a")
    check('concat(proc.name,-,(fd.name,1)) = a', 'concat(proc.name, "-", (fd.name, 1)) = a')
    check("proc.name = val(proc.pname)", "proc.name = val(proc.pname)")
    check("proc.name = val(proc.aname[2])", "proc.name = val( proc.aname[2] )")
    check("proc.name in val(proc.args)", "proc.name in val(proc.args)")
    check("fd.num > len(proc.args)", "fd.num > len(proc.args)")
  end)

  it("have quoted values with escapes", function()
    local function value(text)
      return parse("proc.name = " .. text).values[1].text
    end
    assert.equal("a b", value '"a b"')
    assert.equal("a'b", value [["a'b"]])
    assert.equal('a"b', value [["a\"b"]])
    assert.equal("\b\f\n\r\t\\/", value [["\b\f\n\r\t\\/"]])
    assert.equal("A!", value [["\x41!"]])
    assert.equal("a\\b", value [["a\ b"]])
    assert.equal("", value "''")
    assert.equal("a\nb", value '"a\nb"')
  end)

  it("refuse bad escapes and quotes, at their place", function()
    assert.equal([[14: '\q' is no escape here]], problem [[proc.name = "\q"]])
    assert.equal([[14: '\'' is no escape here]], problem [[proc.name = "\'"]])
    assert.equal([[14: '\x' wants two hexadecimal digits]], problem [[proc.name = "\x4"]])
    assert.equal("14: a NUL cannot be part of a text", problem [[proc.name = "\x00"]])
    assert.equal("13: this double quote is never closed", problem [[proc.name = "abc]])
    assert.equal("13: this double quote is never closed", problem [[proc.name = "abc\\"]])
    assert.truthy(problem("a\0b"):find("NUL"))
  end)

  it("say what is wrong, and where", function()
    assert.equal("1: the condition is empty", problem "")
    assert.equal("1: the condition is empty", problem " \n ")
    assert.equal("7: expected a condition, not 'or'", problem "a and or b")
    assert.equal("6: expected a condition, not the end", problem "a and")
    assert.equal("3: expected 'and', 'or' or the end, not 'b'", problem "a b")
    assert.equal("1: this '(' is never closed", problem "(a and (b)")
    assert.equal("8: this ')' closes nothing", problem "a and b) or c")
    assert.equal("10: expected an operator after 'proc.name', not the end", problem "proc.name")
    assert.equal("12: expected an operator after 'proc.name', not 'and'", problem "proc.name  and a")
    assert.equal("11: 'inn' is no operator", problem "proc.name inn (a)")
    assert.equal("11: 'zzzzz' is no operator", problem "proc.name zzzzz (a)")
    assert.equal("1: 'procname' is no field: fields have a class and a dot", problem "procname = a")
    assert.equal("1: 'lower' is no transformer", problem "lower(proc.name) = a")
    assert.equal("10: expected a number after '<', not 'abc'", problem "fd.num < abc")
    assert.equal("13: expected a value after '=', not '('", problem "proc.name = (a)")
    assert.equal("13: expected a list after 'in', not the end", problem "proc.name in ")
    assert.equal("17: expected ',' or ')' in the list, not 'b'", problem "proc.name in (a b)")
    assert.equal("14: this list is never closed", problem "proc.name in (a, b")
    assert.equal("17: expected a value of the list, not ')'", problem "proc.name in (a,)")
    assert.equal("20: expected a blank after 'contains', not '\"'", problem 'proc.name  contains"a"')
    assert.equal("12: expected an argument after '['", problem "proc.aname[] = a")
    assert.equal("3: expected a blank or '(' after 'or'", problem 'a or"b"')
  end)

  it("nest exactly as deep as upstream accepts", function()
    local function nested(n, open)
      return parse(open:rep(n) .. "a" .. (")"):rep(n))
    end
    -- how a parenthesis is opened, and how many there may be around a macro's name
    for _, case in ipairs{
      { "(", 199 }, { "( ", 199 }, { "not (", 199 }, { "not(", 248 }, { "a and(", 331 }, { "a or(", 497 }, { "a and (", 199 },
      { "a or not(", 248 },
    } do
      local open, most = case[1], case[2]
      assert.truthy(nested(most, open), open)
      assert.equal(("more than %d parentheses inside one another"):format(most), select(2, nested(most + 1, open)).message)
    end
  end)

  it("do not nest or grow without end", function()
    assert.is_nil((parse(("("):rep(100000) .. "a")))
    assert.is_nil((parse(("tolower("):rep(5000) .. "proc.name" .. (")"):rep(5000) .. " = a")))
    local long = ("a and "):rep(50000) .. "a"
    assert.equal(50001, #parse(long))
  end)

  it("show the quotes that constants need", function()
    assert.equal('"a b"', spell.quote "a b")
    assert.equal('"a\\"b"', spell.quote 'a"b')
    assert.equal("/etc", spell.quote "/etc")
  end)
end)
