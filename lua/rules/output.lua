-- SPDX-License-Identifier: Apache-2.0
-- Output formats -> plans: which expressions an alert carries and how text is made of them.
--
--   "Shell in %container.name by %20user.name, parent %toupper(proc.pname)"
--
-- A "%" begins a field with its argument (the longest one that fits; the rest is text) or a transformer call; digits behind
-- the "%" are the width: padded with blanks, or cut. A leading "*" asks for text even if fields are missing.
--
--   output.compile(rs, rope) -> plan, or nil, { {message, from, stop, near, unknown}, ... }
--   plan  .parts        array of texts and { expr = index into .exprs, width = bytes or nil }
--         .exprs        expression ids; alert values come in this order
--         .names        canonical text of each expression, same indices
--         .fields       { {name =, expr = index}, ... } sorted by name: what JSON's output_fields has. Fields inside
--                       transformers are there, transformer calls are not
--         .output       id for alert_fill
--         .deprecated   { {name =, from =, stop =}, ... } fields that are
--         .lenient      the format began with "*"
--         .text         the format
local core = require "core"
local diag = require "diag"
local ffi = core.ffi
local grammar = require "rules.grammar"
local ruleset = require "rules.ruleset"
local spell = require "rules.spell"
local words = require "rules.words"

local M = {}

local MAX_WIDTH = 65535
local MAX_ERRORS = 100		-- of one format
local MAX_TOKEN = 100		-- bytes of a field that are looked at at once

local name_len, arg_at, arg_len = ffi.new("uint32_t[1]"), ffi.new("uint32_t[1]"), ffi.new("int32_t[1]")

-- All fields' names, for suggestions.
local function field_names()
  local i, n = -1, core.C.field_count()
  return function()
    i = i + 1
    return i < n and core.cstr(core.C.field_info(i).name) or nil
  end
end

-- Fields as formats have them, by ruleset and by text: the same few come again and again.
local tokens_of = setmetatable({}, { __mode = "k", __index = function(all, rs)
  all[rs] = {}
  return all[rs]
end })

-- What alone decides which field begins at byte `at`: its text with all that could belong to it. nil: not seen at a glance.
local function token_text(text, at)
  local stop = text:match("^[%a_][%w_.]*()", at)
  if stop and text:byte(stop) == 91 then
    stop = text:match("^%[[^%[%]\"'%s]*%]()", stop)
  end
  return stop and stop - at <= MAX_TOKEN and text:sub(at, stop - 1) or nil
end

-- The field that begins at byte `at`, as an operand of the grammar, or nil and an error.
local function read_field(text, at)
  local rest = text:sub(at, at + 1023)
  local length = core.C.field_prefix(rest, #rest, name_len, arg_at, arg_len)
  if length == 0 then
    local word = text:match("^[%a_][%w_.]*", at) or ""
    local stop = at + math.max(#word, 1)
    if word == "" then
      return nil, { message = "expected a field after '%'", from = at - 1, stop = stop }
    end
    word = word:gsub("%.+$", "")
    return nil, { message = ("unknown field '%s'"):format(word), from = at, stop = stop, unknown = true,
                  near = diag.suggest(word, field_names()) }
  end
  local operand = { kind = "field", name = rest:sub(1, name_len[0]), from = at, stop = at + length }
  if arg_len[0] >= 0 then
    operand.arg = rest:sub(arg_at[0] + 1, arg_at[0] + arg_len[0])
    if rest:sub(name_len[0] + 1, name_len[0] + 1) == "." then
      operand.shown = rest:sub(1, length)
    end
  end
  operand.title = operand.shown or spell.operand_text(operand)
  return operand
end

-- The same, remembered; from and stop are the caller's.
local function field_at(rs, text, at)
  local key = token_text(text, at)
  if not key then
    return read_field(text, at)
  end
  local tokens = tokens_of[rs]
  local known = tokens[key]
  if not known then
    local operand, err = read_field(text, at)
    tokens[key] = operand
    return operand, err
  end
  return { kind = "field", name = known.name, arg = known.arg, shown = known.shown, title = known.title, from = at,
           stop = at + known.stop - known.from }
end

local function is_transformer(text, at)
  local name = text:match("^(%a%w*)%(", at)
  return name and words.get().transformers[name]
end

local function is_filter_only(operand)
  return operand.kind == "field" and ruleset.has_flag(operand.name, core.C.FIELD_FILTER_ONLY)
end

-- ------------------------------------------------------------------ building a plan

local Builder = {}
Builder.__index = Builder

local function new_builder(rs, rope)
  return setmetatable({ rs = rs, rope = rope, parts = {}, exprs = {}, names = {}, index = {}, fields = {}, seen = {}, errors = {},
                        deprecated = {} },
    Builder)
end

function Builder:expr(operand)
  local id, err = ruleset.operand(self.rs, operand)
  if not id then
    self.errors[#self.errors + 1] = err
    return nil
  end
  if not self.index[id] then
    self.exprs[#self.exprs + 1] = id
    self.names[#self.exprs] = operand.title or spell.operand_text(operand)
    self.index[id] = #self.exprs
  end
  return self.index[id]
end

function Builder:note_deprecated(operand)
  if ruleset.has_flag(operand.name, core.C.FIELD_DEPRECATED) then
    self.deprecated[#self.deprecated + 1] = { name = operand.name, from = operand.from, stop = operand.stop }
  end
end

-- Plain fields, also those inside transformers.
function Builder:note_fields(operand)
  for _, input in ipairs(operand.inputs or operand.items or {}) do
    self:note_fields(input)
  end
  local name = operand.kind == "field" and (operand.title or spell.operand_text(operand))
  if name and not self.seen[name] then
    self.seen[name] = true
    self.fields[#self.fields + 1] = { name = name, expr = self:expr(operand) }
    self:note_deprecated(operand)
  end
end

function Builder:literal(text)
  if text ~= "" then
    local last = #self.parts
    if type(self.parts[last]) == "string" then
      self.parts[last] = self.parts[last] .. text
    else
      self.parts[last + 1] = text
    end
  end
end

-- What follows a "%" that stands at `at`; where to go on.
function Builder:token(text, at)
  local digits, start = text:match("^(%d*)()", at + 1)
  local width = tonumber(digits)
  if start > #text then
    local message = digits == "" and "a format cannot end with '%'" or "a format cannot end with a width"
    self.errors[#self.errors + 1] = { message = message, from = at, stop = start }
    return start
  elseif width and width > MAX_WIDTH then
    self.errors[#self.errors + 1] = { message = ("a width of more than %d"):format(MAX_WIDTH), from = at, stop = start }
    return start
  end
  local operand, err
  if is_transformer(text, start) then
    operand, err = grammar.operand(text, start, self.rope)
  else
    operand, err = field_at(self.rs, text, start)
  end
  if not operand then
    self.errors[#self.errors + 1] = err
    return err.stop
  end
  if is_filter_only(operand) then
    self.errors[#self.errors + 1] = { message = ("'%s' is for conditions only"):format(operand.name), from = operand.from,
                                      stop = operand.stop }
    return operand.stop
  end
  local index = self:expr(operand)
  if index then
    self:note_fields(operand)
    self.parts[#self.parts + 1] = { expr = index, width = width and width > 0 and width or nil }
  end
  return operand.stop
end

function Builder:run(text, at)
  while at <= #text and #self.errors < MAX_ERRORS do
    local percent = text:find("%", at, true)
    self:literal(text:sub(at, (percent or #text + 1) - 1))
    if not percent then
      break
    end
    at = self:token(text, percent)
  end
end

function M.compile(rs, rope)
  local text, b = rope.text, new_builder(rs, rope)
  if text == "" then
    return nil, { { message = "the output is empty", from = 1, stop = 2 } }
  end
  local lenient = text:sub(1, 1) == "*"
  b:run(text, lenient and 2 or 1)
  if #b.errors > 0 then
    return nil, b.errors
  end
  table.sort(b.fields, function(x, y)
    return x.name < y.name
  end)
  return { text = text, lenient = lenient, parts = b.parts, exprs = b.exprs, names = b.names, fields = b.fields, deprecated = b.deprecated,
           output = ruleset.output(rs, b.exprs) }
end

return M
