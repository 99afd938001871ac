-- SPDX-License-Identifier: Apache-2.0
-- Condition text -> AST. LPeg knows the tokens; and, or, not and parentheses go over a stack of our own, so nesting costs
-- no recursion.
--
--   expr     = term { "or" term }            term  = factor { "and" factor }
--   factor   = { "not" } ( check | macro | "(" expr ")" )
--   check    = operand "exists" | operand op value | operand op "oneof" list | operand "in" list | operand op operand2
--   operand  = field [ "[" arg "]" ] | transformer "(" operand { "," operand } ")" [ "[" arg "]" ]
--   operand2 = "val(" field ")" | transformer(...)
--
-- AST nodes; `from`, `stop` are bytes of the text (stop exclusive), `rope` the text they count in:
--   { kind = "and" | "or", [1..n] }           { kind = "not", [1] }           { kind = "macro", name }
--   { kind = "check", left = operand, op = OP_*, op_text, op_from, op_stop, modifier = MOD_*,
--     values = { {text, from, stop, quoted}, ... } | right = operand, err = a mistake that did not stop the parser }
-- operands: { kind = "field", name, arg } | { kind = "transform", id, name, arg, inputs = { operand, ... } }
--           { kind = "text", text } and { kind = "list", items = { operand, ... } } as inputs of transformers only
--
--   grammar.parse(rope) -> ast, or nil, { message, from, stop, near, hint }
--   grammar.operand(text, at, rope) -> operand, where it stops; or nil, error
local core = require "core"
local diag = require "diag"
local lpeg = require "lpeg"
local vocab = require("rules.words").get

local P, R, S, C, Cp, Ct = lpeg.P, lpeg.R, lpeg.S, lpeg.C, lpeg.Cp, lpeg.Ct

local M = {}

-- How deep conditions may nest: as deep as Falco's parser goes, which calls itself for each level. In its calls, by how a
-- parenthesis is opened; the innermost must have room for a macro's name.
local MAX_CALLS = 999
local CALLS = { plain = 5, ["not"] = 4, ["and"] = 3, ["or"] = 2, name = 3 }
local MAX_OPERAND = 100

-- ------------------------------------------------------------------ tokens

local digit, hexdigit = R "09", R("09", "af", "AF")
local name = R("az", "AZ") * R("az", "AZ", "09", "__") ^ 0

local T = {
  blank = S " \t\b\r\n" ^ 0 * Cp(),
  name = C(name) * Cp(),
  field = C(name * (P "." * name) ^ 1) * Cp(),
  word = C(R "az" ^ 1) * Cp(),
  bare = C((1 - S "()\"' \t\n\v\f\r=,") ^ 1) * Cp(),
  arg = C((1 - S "][\"' \t\n\v\f\r") ^ 1) * Cp(),
  number = C(P "0" * S "xX" * hexdigit ^ 1 + S "+-" ^ -1 * digit ^ 1 * P "." ^ -1 * digit ^ 0 * (S "eE" * S "+-" * digit ^ 1) ^ -1)
    * Cp(),
  symbol = C(P "<=" + "<" + ">=" + ">" + "==" + "=" + "!=") * Cp(),
  -- a quote ends it unless a backslash stands right before that quote
  quoted = C(P '"' * (P '\\"' + (1 - P '"')) ^ 0 * P '"' + P "'" * (P "\\'" + (1 - P "'")) ^ 0 * P "'") * Cp(),
  not_word = P "not" * S " \t\n\v\f\r" ^ 1 * Cp(),
  junk = C((1 - S "()\"' \t\n\v\f\r") ^ 1) * Cp(),
}

-- What nearly all conditions are made of, several tokens at once. Where one of these does not match, the tokens are taken one
-- by one, and the first that does not fit is known.
local blanks = S " \t\b\r\n" ^ 0
local simple_value = Cp() * (C((1 - S "()\"' \t\n\v\f\r=,") ^ 1) + P '"' * C((1 - S '"\\') ^ 0) * P '"'
  + P "'" * C((1 - S "'\\") ^ 0) * P "'") * Cp()
local F = {
  -- values up to ")": of each where it begins, its text, and where it stops
  values = blanks * Ct(simple_value * (blanks * P "," * blanks * simple_value) ^ 0) * blanks * P ")" * Cp(),
  -- a field without an argument, an operator, and where what is behind it begins
  head = C(name * (P "." * name) ^ 1) * Cp() * -P "[" * blanks * Cp()
    * C(P "<=" + "<" + ">=" + ">" + "==" + "=" + "!=" + R "az" ^ 1) * Cp() * blanks * Cp(),
}

local KEYWORD = { ["and"] = true, ["or"] = true, ["not"] = true }

-- ------------------------------------------------------------------ the parser's state

local Parser = {}
Parser.__index = Parser

-- Raises a syntax error; M.parse catches it. more: hint, near
function Parser:fail(from, stop, message, more)
  local e = more or {}
  if from > #self.text then
    -- what is missing at the end is missing behind the last word, not in the line that a block's end begins
    from, stop = #self.text:match("^(.-)[ \t\b\r\n]*$") + 1, nil
  end
  e.message, e.from, e.stop, e.syntax = message, from, math.max(stop or from + 1, from + 1), true
  error(e, 0)
end

local QUOTE, APOSTROPHE, OPEN = 34, 39, 40
local BLANK = { [8] = true, [9] = true, [10] = true, [13] = true, [32] = true }

-- Over blanks; were there any?
function Parser:skip()
  local at = self.at
  if not BLANK[self.text:byte(at)] then
    return false
  end
  self.at = BLANK[self.text:byte(at + 1)] and T.blank:match(self.text, at) or at + 1
  return true
end

function Parser:byte()
  return self.text:byte(self.at)
end

-- Consumes one token; its text and where it began.
function Parser:take(pattern)
  local text, after = pattern:match(self.text, self.at)
  if text then
    local from = self.at
    self.at = after
    return text, from
  end
end

function Parser:take_char(char)
  if self.text:byte(self.at) == char:byte() then
    self.at = self.at + 1
    return true
  end
end

-- A mistake that does not keep the parser from going on: it stays with the check, and is reported with the others that
-- checks have. The first one counts.
function Parser:defer(check, from, stop, message, more)
  local e = more or {}
  e.message, e.from, e.stop = message, from, math.max(stop or from + 1, from + 1)
  check.err = check.err or e
end

-- What stands here, for messages: text and its end.
function Parser:here()
  local junk, after = T.junk:match(self.text, self.at)
  if junk then
    return "'" .. junk:sub(1, 60) .. "'", after
  end
  local c = self.text:sub(self.at, self.at)
  return c == "" and "the end" or "'" .. c .. "'", self.at + 1
end

-- ------------------------------------------------------------------ values

local ESCAPES = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", ["\\"] = "\\", ["/"] = "/",
                  -- once tolerated by mistake, relied upon since: the blank goes, the backslash stays
                  [" "] = "\\" }

local function unescape_hex(self, from, body, i)
  local digits = body:match("^%x%x", i + 2)
  if not digits then
    self:fail(from + i, from + i + 2, "'\\x' wants two hexadecimal digits")
  elseif digits == "00" then
    self:fail(from + i, from + i + 4, "a NUL cannot be part of a text")
  end
  return string.char(tonumber(digits, 16))
end

-- Text between the quotes of the token that began at `from`.
function Parser:unescape(token, from)
  local quote, body = token:sub(1, 1), token:sub(2, -2)
  if not body:find("\\", 1, true) then
    return body
  end
  local out, i = {}, 1
  while i <= #body do
    local at = body:find("\\", i, true) or #body + 1
    out[#out + 1] = body:sub(i, at - 1)
    i = at + 2
    if at <= #body then
      local c = body:sub(at + 1, at + 1)
      if c == "x" then
        out[#out + 1] = unescape_hex(self, from, body, at)
        i = at + 4
      elseif ESCAPES[c] or c == quote then
        out[#out + 1] = ESCAPES[c] or c
      elseif c == "" then
        out[#out + 1] = ""
      else
        self:fail(from + at, from + at + 2, ("'\\%s' is no escape here"):format(c),
          { hint = "to have a backslash, write two" })
      end
    end
  end
  return table.concat(out)
end

function Parser:quoted()
  local c = self:byte()
  if c ~= QUOTE and c ~= APOSTROPHE then
    return nil
  end
  local token, from = self:take(T.quoted)
  if token then
    return self:unescape(token, from), from
  end
  self:fail(self.at, self.at + 1, ("this %s is never closed"):format(c == QUOTE and "double quote" or "quote"))
end

-- A quoted or bare text, or nil.
function Parser:value()
  local text, from = self:quoted()
  local quoted = text ~= nil
  if not text then
    text, from = self:take(T.bare)
  end
  return text and { text = text, from = from, stop = self.at, quoted = quoted } or nil
end

-- Values without escapes, up to ")"; nil: not seen at a glance.
function Parser:simple_values()
  local text = self.text
  local flat, after = F.values:match(text, self.at)
  if not flat then
    return nil
  end
  local values = {}
  for i = 1, #flat, 3 do
    local from = flat[i]
    local c = text:byte(from)
    values[(i + 2) / 3] = { text = flat[i + 1], from = from, stop = flat[i + 2], quoted = c == QUOTE or c == APOSTROPHE }
  end
  self.at = after
  return values
end

-- "(" already taken: values up to ")".
function Parser:values(open)
  local values = self:simple_values()
  if values then
    return values
  end
  values = {}
  self:skip()
  if self:take_char(")") then
    return values
  end
  repeat
    self:skip()
    local value = self:value()
    if not value then
      local what, stop = self:here()
      self:fail(self.at, stop, ("expected a value of the list, not %s"):format(what))
    end
    values[#values + 1] = value
    self:skip()
  until not self:take_char(",")
  if not self:take_char(")") then
    local what, stop = self:here()
    if self.at > #self.text then
      self:fail(open, open + 1, "this list is never closed")
    end
    self:fail(self.at, stop, ("expected ',' or ')' in the list, not %s"):format(what),
      { hint = "values with blanks or any of ( ) = , \" ' want quotes" })
  end
  return values
end

-- ------------------------------------------------------------------ operands

function Parser:argument()
  if not self:take_char("[") then
    return nil
  end
  local open = self.at - 1
  local arg = self:quoted() or self:take(T.arg)
  if not arg then
    self:fail(self.at, nil, "expected an argument after '['")
  elseif not self:take_char("]") then
    self:fail(open, self.at, "expected ']' after the argument")
  end
  return arg
end

function Parser:field()
  local text, from = self:take(T.field)
  if text then
    local arg = self:argument()
    return { kind = "field", name = text, arg = arg, from = from, stop = self.at }
  end
end

-- name "(" when it opens a transformer (or val, if `with_val`); the name and its id.
function Parser:transformer_head(with_val)
  local text, after = T.name:match(self.text, self.at)
  if not text or self.text:sub(after, after) ~= "(" then
    return nil
  end
  local id = vocab().transformers[text]
  if id or (with_val and text == "val") then
    self.at = after + 1
    return text, id
  end
end

function Parser:number()
  local text, from = self:take(T.number)
  return text and { kind = "text", text = text, from = from, stop = self.at } or nil
end

function Parser:quoted_operand()
  local text, from = self:quoted()
  return text and { kind = "text", text = text, from = from, stop = self.at } or nil
end

local operand_list

-- One input of a transformer. `in_list`: inside "( )", where lists do not nest.
function Parser:input(depth, in_list)
  self:skip()
  if depth > MAX_OPERAND then
    self:fail(self.at, nil, "transformers nested too deep")
  end
  local from = self.at
  local operand = self:number() or self:quoted_operand()
  if not operand and not in_list and self:take_char("(") then
    operand = { kind = "list", items = operand_list(self, depth, true), from = from, stop = self.at }
  end
  operand = operand or self:transform(depth + 1) or self:field()
  if not operand then
    local what, stop = self:here()
    self:fail(from, stop, ("expected a field, a transformer, a number or a quoted text, not %s"):format(what))
  end
  return operand
end

-- Operands up to the closing parenthesis.
operand_list = function(self, depth, in_list)
  local items = {}
  local open = self.at - 1
  self:skip()
  if in_list and self:take_char(")") then
    return items
  end
  repeat
    items[#items + 1] = self:input(depth, in_list)
    self:skip()
  until not self:take_char(",")
  if not self:take_char(")") then
    local what, stop = self:here()
    if self.at > #self.text then
      self:fail(open, open + 1, "this '(' is never closed")
    end
    self:fail(self.at, stop, ("expected ',' or ')', not %s"):format(what))
  end
  return items
end

function Parser:transform(depth)
  local from = self.at
  local text, id = self:transformer_head(false)
  if not text then
    return nil
  end
  local inputs = operand_list(self, depth or 0, false)
  local arg = self:argument()
  return { kind = "transform", name = text, id = id, inputs = inputs, arg = arg, from = from, stop = self.at }
end

-- val(field) or a transformer, on the right side of an operator.
function Parser:right_operand()
  local from = self.at
  local text, id = self:transformer_head(true)
  if not text then
    return nil
  elseif id then
    self.at = from
    return self:transform()
  end
  self:skip()
  local field = self:field()
  if not field then
    local what, stop = self:here()
    self:fail(self.at, stop, ("expected a field inside val( ), not %s"):format(what))
  end
  self:skip()
  if not self:take_char(")") then
    self:fail(from, self.at, "expected ')' after the field")
  elseif self.text:sub(self.at, self.at) == "[" then
    self:fail(self.at, nil, "val( ) takes no argument")
  end
  return field
end

-- ------------------------------------------------------------------ checks

-- An unknown operator that looks like a known one is taken for it, so that the rest can be read.
function Parser:guessed_operator(word, from)
  local near = diag.suggest(word, vocab().op_names)
  if near then
    local err = { message = ("'%s' is no operator"):format(word), from = from, stop = self.at, near = near }
    return near, from, vocab().ops[near], err
  end
end

function Parser:operator(left)
  local text, from = self:take(T.symbol)
  if not text then
    text, from = self:take(T.word)
  end
  local known = text and vocab().ops[text]
  if not known then
    local word = text and not KEYWORD[text]
    if word then
      local near, at, guess, err = self:guessed_operator(text, from)
      if near then
        return near, at, guess, err
      end
    end
    self.at = from or self.at
    local what, stop = self:here()
    local field = self.text:sub(left.from, left.stop - 1)
    if word then
      self:fail(self.at, stop, ("%s is no operator"):format(what), { hint = "operators: " .. table.concat(vocab().op_names, " ") })
    end
    local negated = text == "not" and self.text:match("^[ \t]+([%a=!<>]+)", stop)
    self:fail(self.at, stop, ("expected an operator after '%s', not %s"):format(field, what),
      { hint = negated and vocab().ops[negated] and ("write: not %s %s"):format(field, negated) or ("to ask whether it is there: %s exists"):format(field) })
  end
  return text, from, known
end

-- "oneof" and its like, if a list follows; else they are a value.
function Parser:modifier()
  local before = self.at
  local text = self:take(T.word)
  local modifier = text and vocab().modifiers[text]
  if modifier and self:skip() then
    local word = T.name:match(self.text, self.at)
    if self.text:sub(self.at, self.at) == "(" or (word and not KEYWORD[word:match("^%w+")]) then
      return modifier
    end
  end
  self.at = before
end

function Parser:list_value()
  local open = self.at
  if self:take_char("(") then
    return self:values(open)
  end
  local text, from = self:take(T.name)
  return text and { { text = text, from = from, stop = self.at } } or nil
end

-- "startswith oneof /etc": a modifier's name was taken for the value, but that cannot have been meant.
function Parser:want_list(value)
  if value.quoted or not vocab().modifiers[value.text] then
    return
  end
  local at = T.blank:match(self.text, self.at)
  local word = self.text:match("^%a+", at)
  if at <= #self.text and self.text:sub(at, at) ~= ")" and not KEYWORD[word] then
    self.at = at
    local what, stop = self:here()
    self:fail(at, stop, ("expected a list after '%s', not %s"):format(value.text, what),
      { hint = ("write %s (a, b)"):format(value.text) })
  end
end

local RIGHT = {}

function RIGHT.none() end

function RIGHT.number(self, check)
  check.right = self:right_operand()
  if check.right then
    return
  end
  local text, from = self:take(T.number)
  if text then
    check.values = { { text = text, from = from, stop = self.at } }
    return
  end
  local what, stop = self:here()
  local message = ("expected a number after '%s', not %s"):format(check.op_text, what)
  local at = self.at
  check.values = { self:value() }
  if not check.values[1] then
    self:fail(at, stop, message)
  end
  self:defer(check, at, self.at, message)
end

-- A bare value that can be nothing else; nil: not seen at a glance.
function Parser:plain_value()
  local text, after = T.bare:match(self.text, self.at)
  if not text or self.text:byte(after) == OPEN or vocab().modifiers[text:match("^%l*")] then
    return nil
  end
  local from = self.at
  self.at = after
  return { text = text, from = from, stop = after, quoted = false }
end

function RIGHT.text(self, check, had_blank)
  local plain = self:plain_value()
  if plain then
    check.values = { plain }
    return
  end
  local modifier = had_blank and self:modifier()
  if modifier then
    check.modifier = modifier
    check.values = self:list_value()
    return
  end
  check.right = self:right_operand()
  if not check.right then
    local value = self:value()
    if not value then
      local what, stop = self:here()
      self:fail(self.at, stop, ("expected a value after '%s', not %s"):format(check.op_text, what),
        what == "'('" and { hint = "a list goes with 'in', or with oneof, anyof or allof before it" } or nil)
    end
    check.values = { value }
    self:want_list(value)
  end
end

function RIGHT.list(self, check)
  if self.text:sub(self.at, self.at) ~= "(" then
    check.right = self:right_operand()
  end
  check.values = not check.right and self:list_value() or nil
  if not check.right and not check.values then
    local what, stop = self:here()
    self:fail(self.at, stop, ("expected a list after '%s', not %s"):format(check.op_text, what),
      { hint = ("write %s (a, b)"):format(check.op_text) })
  end
end

function Parser:check(left, err)
  self:skip()
  local text, from, known, guessed = self:operator(left)
  local op_stop = self.at
  return self:check_behind(left, text, from, op_stop, known, self:skip(), err or guessed)
end

-- The rest of a check, its operator and blanks already taken.
function Parser:check_behind(left, text, from, op_stop, known, had_blank, err)
  local check = { kind = "check", left = left, op = known.op, op_text = text, op_from = from, op_stop = op_stop,
                  modifier = vocab().none, from = left.from, rope = self.rope, err = err }
  if known.class == "text" and text:find("%a") and not had_blank then
    local what, stop = self:here()
    self:fail(self.at, stop, ("expected a blank after '%s', not %s"):format(text, what))
  end
  RIGHT[known.class](self, check, had_blank)
  check.stop = self.at
  if known.class == "none" then
    check.stop = check.op_stop
    self.at = check.op_stop
  end
  return check
end

-- A check of a field without an argument; nil: not seen at a glance.
function Parser:simple_check()
  local from = self.at
  local field, field_stop, op_from, op, op_stop, after = F.head:match(self.text, from)
  local known = op and vocab().ops[op]
  if known then
    self.at = after
    return self:check_behind({ kind = "field", name = field, from = from, stop = field_stop }, op, op_from, op_stop, known,
      after > op_stop)
  end
end

-- "NOT x": a macro's name would have to be followed by something else.
function Parser:no_other_not(text, from)
  if text:lower() ~= "not" then return end
  local after = T.blank:match(self.text, self.at)
  local word = T.word:match(self.text, after)
  if self.text:byte(after) == OPEN or word and not KEYWORD[word] and not vocab().ops[word] then
    self:fail(from, self.at, ("expected a condition, not '%s'"):format(text), { near = "not" })
  end
end

-- A check or a macro's name.
function Parser:atom()
  local check = self:simple_check()
  if check then
    return check
  end
  local left = self:field() or self:transform()
  if left then
    return self:check(left)
  end
  local text, from = self:take(T.name)
  if not text or KEYWORD[text] then
    self.at = from or self.at
    if text == "not" then
      self:fail(#self.text + 1, nil, "expected a condition after 'not', not the end")
    end
    local what, stop = self:here()
    self:fail(self.at, stop, ("expected a condition, not %s"):format(what), { near = what:find("^'!") and "not" or nil })
  end
  self:no_other_not(text, from)
  if self.text:sub(self.at, self.at) == "(" then
    local names = {}
    for name in pairs(vocab().transformers) do
      names[#names + 1] = name
    end
    table.sort(names)
    self:fail(from, self.at, ("'%s' is no transformer"):format(text), { near = diag.suggest(text, names) })
  end
  local after = T.blank:match(self.text, self.at)
  local symbol = T.symbol:match(self.text, after)
  local word = T.word:match(self.text, after)
  if symbol or (word and not KEYWORD[word] and vocab().ops[word]) then
    local err = { message = ("'%s' is no field: fields have a class and a dot"):format(text), from = from, stop = self.at,
                  hint = "--list shows all fields" }
    return self:check({ kind = "field", name = text, from = from, stop = self.at }, err)
  end
  return { kind = "macro", name = text, from = from, stop = self.at, rope = self.rope }
end

-- ------------------------------------------------------------------ and, or, not, ( )

local function join(kind, nodes)
  if #nodes == 1 then
    return nodes[1]
  end
  nodes.kind = kind
  return nodes
end

-- An open group: finished terms of "or", factors of the current "and", and whether a "not" waits for the next factor.
local function group(at, calls)
  return { open = at, calls = calls, terms = {}, factors = {}, negate = false }
end

local function add_factor(g, node)
  if g.negate then
    node = { kind = "not", node }
    g.negate = false
  end
  g.factors[#g.factors + 1] = node
end

local function end_term(g)
  g.terms[#g.terms + 1] = join("and", g.factors)
  g.factors = {}
end

local function end_group(g)
  end_term(g)
  return join("or", g.terms)
end

-- how: see CALLS
function Parser:open_group(stack, how)
  local g = group(self.at - 1, stack[#stack].calls + CALLS[how])
  if g.calls + CALLS.name > MAX_CALLS then
    self:fail(g.open, g.open + 1, ("more than %d parentheses inside one another"):format(#stack - 1))
  end
  stack[#stack + 1] = g
end

-- Up to and including the next factor that is no parenthesis; opens groups on the way. before: the "and" or "or" in front of
-- it, if no blank is between them.
function Parser:factor(stack, before)
  local how = before
  while true do
    self:skip()
    local g = stack[#stack]
    local after_not = self:byte() == 110 and T.not_word:match(self.text, self.at)
    if after_not then
      how = nil
      g.negate = not g.negate
      self.at = after_not
    else
      if self:byte() == 110 and self.text:find("^not%(", self.at) then
        g.negate = not g.negate
        self.at, how = self.at + 3, "not"
      end
      if not self:take_char("(") then
        return add_factor(g, self:atom())
      end
      self:open_group(stack, how or "plain")
      how = nil
    end
  end
end

-- Closing parentheses after a factor.
function Parser:close(stack)
  self:skip()
  while self:take_char(")") do
    if #stack == 1 then
      self:fail(self.at - 1, self.at, "this ')' closes nothing")
    end
    local node = end_group(table.remove(stack))
    add_factor(stack[#stack], node)
    self:skip()
  end
end

-- "and", "or" or the end. true: another factor follows; and the word, if a parenthesis stands right behind it.
function Parser:connective(stack)
  if self.at > #self.text then
    local g = stack[#stack]
    if #stack > 1 then
      self:fail(g.open, g.open + 1, "this '(' is never closed")
    end
    return false
  end
  local word = self.text:match("^and%f[^%w_]", self.at) or self.text:match("^or%f[^%w_]", self.at)
  if not word then
    local what, stop = self:here()
    self:fail(self.at, stop, ("expected 'and', 'or' or the end, not %s"):format(what), self:unexpected())
  end
  local after = self.at + #word
  if after <= #self.text and not self.text:find("^[ \t\b\r\n(]", after) then
    self:fail(self.at, after, ("expected a blank or '(' after '%s'"):format(word))
  end
  if word == "or" then
    end_term(stack[#stack])
  end
  self.at = after
  return true, self.text:byte(after) == OPEN and word or nil
end

-- What other languages have in place of "and" and "or".
local OTHER = { AND = "and", And = "and", ["&&"] = "and", ["&"] = "and", OR = "or", Or = "or", ["||"] = "or", ["|"] = "or" }

-- Advice on text that cannot stand where it is.
function Parser:unexpected()
  local other = OTHER[self.text:match("^%a+", self.at) or self.text:match("^[&|]+", self.at)]
  if other then
    return { near = other }
  end
  if self.at > 1 and self.text:sub(self.at - 1, self.at - 1):find("[^ \t\b\r\n]") then
    return { hint = "values with blanks or any of ( ) = , \" ' want quotes" }
  end
end

function Parser:expression()
  local stack, more, before = { group(1, 1) }, true, nil
  while more do
    self:factor(stack, before)
    self:close(stack)
    more, before = self:connective(stack)
  end
  return end_group(stack[1])
end

-- ------------------------------------------------------------------ entries

local function run(parser, method)
  local ok, result = pcall(parser[method], parser)
  if ok then
    return result
  elseif type(result) == "table" and result.syntax then
    return nil, result
  end
  error(result, 0)
end

function M.parse(rope)
  local parser = setmetatable({ text = rope.text, at = 1, rope = rope }, Parser)
  local nul = rope.text:find("%z")
  if nul then
    return nil, { message = "a NUL cannot be part of a condition", from = nul, stop = nul + 1 }
  elseif T.blank:match(rope.text, 1) > #rope.text then
    return nil, { message = "the condition is empty", from = 1, stop = 2 }
  end
  return run(parser, "expression")
end

function Parser:only_operand()
  local operand = self:transform() or self:field()
  if not operand then
    local what, stop = self:here()
    self:fail(self.at, stop, ("expected a field or a transformer, not %s"):format(what))
  end
  return operand
end

function M.operand(text, at, rope)
  local parser = setmetatable({ text = text, at = at, rope = rope }, Parser)
  local operand, err = run(parser, "only_operand")
  if operand then
    return operand, parser.at
  end
  return nil, err
end

return M
