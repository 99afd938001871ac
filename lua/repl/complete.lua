-- SPDX-License-Identifier: Apache-2.0
-- What Tab offers.
--
--   complete.find(session, text) -> { list = { {text =, tail =}, ... }, word = "pro" }, or nil
--     text: all that stands in front of the cursor. word: the end of it that a candidate takes the place of; tail: what
--     follows it if it is the only one (" " unless given)
--
-- Where the cursor stands in a condition is told by a small machine over its words; it needs no whole condition.
local bit = require("bit")
local commands = require("repl.commands")
local core = require("core")
local files = require("files")
local syntax = require("repl.syntax")

local M = {}

local MAX_VALUES = 2000               -- of one field that are remembered
local PATIENCE = 1.5e9                -- ns that looking for them may take
local MAX_VALUE = 200                 -- bytes; nobody completes longer ones

-- ------------------------------------------------------------------ candidates

local function matching(list, word)
  local out = {}
  for _, candidate in ipairs(list) do
    if candidate.text:sub(1, #word) == word then out[#out + 1] = candidate end
  end
  return out
end

local function by_text(list)
  table.sort(list, function(a, b) return a.text < b.text end)
  return list
end

local function of_kind(session, kind)
  local out = {}
  for name, known in pairs(session.names) do
    if known == kind then out[#out + 1] = { text = name } end
  end
  return by_text(out)
end

local fields
local function all_fields()
  if fields then return fields end
  local C = core.C
  fields = {}
  for i = 0, C.field_count() - 1 do
    local info = C.field_info(i)
    if bit.band(info.flags, C.FIELD_HIDDEN + C.FIELD_DEPRECATED) == 0 then
      fields[#fields + 1] = { text = core.cstr(info.name), tail = bit.band(info.arg, C.ARG_REQUIRED) ~= 0 and "[" or nil }
    end
  end
  return by_text(fields)
end

local function info_of(field)
  local name = field:match("^[%w_.]+") or field
  local id = core.C.field_find(name, #name)
  return id >= 0 and core.C.field_info(id) or nil
end

local function operands(session)
  local out = { { text = "not" } }
  for t = 0, core.C.TR_COUNT - 1 do out[#out + 1] = { text = core.cstr(core.C.transformer_name(t)) .. "(", tail = "" } end
  for _, macro in ipairs(of_kind(session, "macro")) do out[#out + 1] = macro end
  for _, field in ipairs(all_fields()) do out[#out + 1] = field end
  return out
end

-- ------------------------------------------------------------------ arguments of fields

-- Names of parameters, of all events or of one.
local function params(of_type)
  local C, seen, out = core.C, {}, {}
  for code = 0, C.event_count() - 1 do
    local info = C.event_info(code)
    if C.event_is_seen(code) and (not of_type or core.cstr(info.name) == of_type) then
      for i = 0, info.nparams - 1 do
        local name = core.cstr(info.params[i].name)
        if not seen[name] then
          seen[name], out[#out + 1] = true, name
        end
      end
    end
  end
  return out
end

-- Names of environment variables that processes of the captures have.
local function variables(session, field)
  if not session.scan then return {} end
  local until_ns = tonumber(core.C.sys_now_ns()) + PATIENCE
  local rows = session.scan:top({ "proc.env" }, nil, { max = MAX_VALUES,
    progress = function() return tonumber(core.C.sys_now_ns()) < until_ns end })
  local seen, out = {}, {}
  for _, row in ipairs(rows or {}) do
    for name in (row[1] or ""):gmatch("%f[%w_]([%a_][%w_]*)=") do
      if not seen[name] and #out < MAX_VALUES then
        seen[name], out[#out + 1] = true, { text = ("%s[%s]"):format(field, name) }
      end
    end
  end
  return out
end

-- Names of events that rules can see.
local function event_names()
  local C, seen, out = core.C, {}, {}
  for code = 0, C.event_count() - 1 do
    local name = core.cstr(C.event_info(code).name)
    if C.event_is_seen(code) and not seen[name] then
      seen[name], out[#out + 1] = true, name
    end
  end
  return out
end

-- Keys that a field of events takes; of evt.arg those of the event that the condition asks for.
local function event_keys(field, tokens)
  if field == "evt.type.is" then return event_names() end
  local of_type
  for i = 1, #tokens - 2 do
    if tokens[i].text == "evt.type" and tokens[i + 1].text == "=" then of_type = tokens[i + 2].text end
  end
  local names = params(of_type)
  return #names > 0 and names or params()
end

-- "evt.arg.fl": the field, if its argument may stand behind a dot; nil: no such thing.
local function dotted(word)
  local field = word:match("^(.+)%.[%w_]*$")
  local id = field and core.C.field_find(field, #field) or -1
  return id >= 0 and bit.band(core.C.field_info(id).arg, core.C.ARG_DOT) ~= 0 and field or nil
end

local function behind_dot(field, tokens)
  local out = {}
  for _, field_of in ipairs(all_fields()) do out[#out + 1] = field_of end      -- evt.type.is is one
  if not field:find("^evt%.") then return out end
  for _, name in ipairs(event_keys(field, tokens)) do out[#out + 1] = { text = ("%s.%s"):format(field, name) } end
  return by_text(out)
end

local function arguments(session, field, tokens)
  local info = info_of(field)
  if not info then return {} end
  local C, out = core.C, {}
  if bit.band(info.arg, C.ARG_KEY) ~= 0 and field:find("^evt%.") then
    for _, name in ipairs(event_keys(field, tokens)) do out[#out + 1] = { text = ("%s[%s]"):format(field, name) } end
  end
  if bit.band(info.arg, C.ARG_KEY) ~= 0 and (field == "proc.env" or field == "proc.aenv") then out = variables(session, field) end
  if bit.band(info.arg, C.ARG_INDEX) ~= 0 then
    local first = bit.band(info.flags, C.FIELD_ORDINAL) ~= 0 and 1 or 0
    for i = first, first + 7 do out[#out + 1] = { text = ("%s[%d]"):format(field, i) } end
  end
  return by_text(out)
end

-- ------------------------------------------------------------------ operators and values

local NUMBERS = { ["<"] = true, ["<="] = true, [">"] = true, [">="] = true }

local function operators(field)
  local C, out, info = core.C, {}, info_of(field)
  local is_text = not info or core.cstr(C.type_name(info.type)):find("INT") == nil
  for op = 0, C.OP_COUNT - 1 do
    local name = core.cstr(C.operator_name(op))
    local is_word = name:find("^%a") and name ~= "exists" and name ~= "in"
    if not (NUMBERS[name] and is_text) and not (is_word and not is_text) then
      out[#out + 1] = { text = name, tail = (name == "in" or name == "intersects" or name == "pmatch") and " (" or nil }
    end
  end
  return out
end

local function event_types()
  local C, seen, out = core.C, {}, {}
  local function add(name)
    if name ~= "" and not seen[name] then
      seen[name], out[#out + 1] = true, { text = name }
    end
  end
  for code = 0, C.event_count() - 1 do
    if C.event_is_seen(code) and not C.event_is_generic(code) then add(core.cstr(C.event_info(code).name)) end
  end
  for sc = 0, C.syscall_count() - 1 do add(core.cstr(C.syscall_name(sc))) end
  return by_text(out)
end

-- Values that the field has in the captures, the most frequent ones; looked for once, and not for ever.
local function seen_values(session, field)
  if not session.scan then return {} end
  if session.seen[field] then return session.seen[field] end
  local until_ns = tonumber(core.C.sys_now_ns()) + PATIENCE
  local function patient() return tonumber(core.C.sys_now_ns()) < until_ns end
  local rows, out = session.scan:top({ field }, nil, { max = MAX_VALUES, progress = patient }), {}
  for _, row in ipairs(rows or {}) do
    local value = row[1]
    if value and #value <= MAX_VALUE and not value:find("[%z\1-\31\127]") then out[#out + 1] = { text = value } end
  end
  session.seen[field] = by_text(out)
  return out
end

local function quoted(text)
  return text:find("[%s()\"',=\\]") and '"' .. text:gsub('[\\"]', "\\%0") .. '"' or text
end

local function values(session, field, word, in_list)
  local list = seen_values(session, field)
  if field == "evt.type" or field == "syscall.type" then list = event_types() end
  local info = info_of(field)
  if info and core.cstr(core.C.type_name(info.type)) == "BOOL" then list = { { text = "true" }, { text = "false" } } end
  local quote, out = word:match("^[\"']"), {}
  for _, value in ipairs(list) do
    local text = quote and quote .. value.text .. quote or quoted(value.text)
    out[#out + 1] = { text = text, tail = in_list and "" or nil }
  end
  if in_list then
    for _, name in ipairs(of_kind(session, "list")) do out[#out + 1] = { text = name.text, tail = "" } end
  end
  return out
end

-- ------------------------------------------------------------------ where the cursor is

local LIST_OPS = { ["in"] = true, intersects = true, pmatch = true, oneof = true, anyof = true, allof = true }

local transformers
local function is_transformer(word)
  if not transformers then
    transformers = {}
    for t = 0, core.C.TR_COUNT - 1 do transformers[core.cstr(core.C.transformer_name(t))] = true end
  end
  return transformers[word]
end

local STEPS = {}

function STEPS.operand(at, token)
  if token.text == "not" then return "operand" end
  if token.kind == "(" then
    at.stack[#at.stack + 1] = at.transformer and "transformer" or "group"
    at.transformer = nil
    return "operand"
  end
  if token.kind == "field" then
    at.field = token.text
    return at.stack[#at.stack] == "transformer" and "close" or "operator"
  end
  if is_transformer(token.text) then
    at.transformer = true
    return "operand"
  end
  return "logic"
end

function STEPS.close(at, token)
  if token.kind == "," then return "operand" end
  if token.kind == ")" then at.stack[#at.stack] = nil end
  return "operator"
end

function STEPS.operator(at, token)
  at.is_list = LIST_OPS[token.text]
  return token.text == "exists" and "logic" or "value"
end

function STEPS.value(at, token)
  if LIST_OPS[token.text] then return "value" end
  if token.kind ~= "(" then return "logic" end
  at.stack[#at.stack + 1] = "list"
  return "item"
end

function STEPS.item(at, token)
  if token.kind ~= ")" then return "item" end
  at.stack[#at.stack] = nil
  return "logic"
end

function STEPS.logic(at, token)
  if token.kind == ")" then
    at.stack[#at.stack] = nil
    return "logic"
  end
  return (token.text == "and" or token.text == "or") and "operand" or "logic"
end

local function cursor_in(tokens, last)
  local at = { stack = {}, state = "operand" }
  for i = 1, last do at.state = STEPS[at.state](at, tokens[i]) end
  return at
end

-- The word that the cursor stands behind, and how many tokens are before it.
local function word_at(text, tokens)
  local last = tokens[#tokens]
  if not last or last.stop <= #text or last.kind == "(" or last.kind == ")" or last.kind == "," or last.kind == "op" then
    return "", #tokens
  end
  return last.text, #tokens - 1
end

local function candidates(session, at, word, tokens)
  if at.state == "operand" then
    local field = word:match("^([%w_.]+)%[")
    if field then return arguments(session, field, tokens) end
    field = dotted(word)
    return field and behind_dot(field, tokens) or operands(session)
  end
  if at.state == "operator" then return operators(at.field) end
  if at.state == "value" and at.is_list then return { { text = "(", tail = "" } } end
  if at.state == "value" or at.state == "item" then return values(session, at.field, word, at.state == "item") end
  if at.state == "close" then return { { text = ")" } } end
  local out = { { text = "and" }, { text = "or" } }
  if #at.stack > 0 then out[3] = { text = ")" } end
  return out
end

function M.condition(session, text)
  local tokens = syntax.tokens(text)
  local word, before = word_at(text, tokens)
  local at = cursor_in(tokens, before)
  -- "proc.name=": the operator is done, a value may follow at once
  return { list = matching(candidates(session, at, word, tokens), word), word = word }
end

-- ------------------------------------------------------------------ commands

local function names_of_commands()
  local out = {}
  for i, row in ipairs(commands.rows()) do out[i] = { text = ":" .. row.name, tail = row.args and " " or "" } end
  return by_text(out)
end

local function last_word(text)
  return text:match("[^%s,]*$")
end

local WANTS = {}

function WANTS.condition(session, rest)
  return M.condition(session, rest)
end

function WANTS.field(session, rest)
  if not rest:find("%s") then return { list = matching(all_fields(), rest), word = rest } end
  return M.condition(session, rest:match("^%S+%s+(.*)$"))
end

function WANTS.columns(_, rest)
  local word = last_word(rest)
  return { list = matching(all_fields(), word), word = word }
end

function WANTS.command(_, rest)
  local out = {}
  for i, row in ipairs(commands.rows()) do out[i] = { text = row.name, tail = "" } end
  return { list = matching(by_text(out), rest), word = rest }
end

local function of_rules(session)
  local out = {}
  for i, rule in ipairs(session.rules and session.rules.rules or {}) do out[i] = { text = rule.name } end
  return by_text(out)
end

function WANTS.rule(session, rest)
  return { list = matching(of_rules(session), rest), word = rest }
end

function WANTS.macro(session, rest)
  return { list = matching(of_kind(session, "macro"), rest), word = rest }
end

function WANTS.list(session, rest)
  return { list = matching(of_kind(session, "list"), rest), word = rest }
end

function WANTS.file(_, rest)
  local word = rest:match("%S*$")
  local dir, out, C = word:match("^(.*/)") or "", {}, core.C
  local code = core.ffi.new("int[1]")
  local handle = C.sys_dir_open(dir == "" and "." or dir, code)
  if handle == nil then return nil end
  for i = 0, 9999 do
    local name = core.cstr(C.sys_dir_name(handle, i))
    if not name then break end
    local path = dir .. name
    if path:sub(1, #word) == word and not name:find("[%c%s]") then
      local is_dir = files.kind(path) == "dir"
      out[#out + 1] = { text = is_dir and path .. "/" or path, tail = is_dir and "" or nil }
    end
  end
  C.sys_dir_free(handle)
  return { list = out, word = word }
end

function WANTS.save(session, rest)
  return rest:find("%s") and WANTS.file(session, rest) or nil
end

function WANTS.diff(session, rest)
  return M.condition(session, rest:match("^.*|%s*(.*)$") or rest)
end

-- Fields in evt["..."].
function WANTS.lua(_, rest)
  local word = rest:match("%[[\"']([%w_.]*)$")
  return word and { list = matching(all_fields(), word), word = word } or nil
end

-- ------------------------------------------------------------------ all

function M.find(session, text)
  local name, rest = text:match("^%s*:(%a*)%s+(.*)$")
  if name then
    local row = commands.find(name)
    local wants = row and row.wants and WANTS[row.wants]
    return wants and wants(session, rest) or nil
  end
  local command = text:match("^%s*(:%a*)$")
  if command then return { list = matching(names_of_commands(), command), word = command } end
  if text:find("^%s*function[%s(]") or text:find("^%s*local%s") then return WANTS.lua(session, text) end
  return M.condition(session, text)
end

return M
