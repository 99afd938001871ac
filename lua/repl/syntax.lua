-- SPDX-License-Identifier: Apache-2.0
-- Conditions while they are typed: words and where they stand, whether more must follow, colours. It never fails: what is
-- wrong with a condition the compiler says, later.
--
--   syntax.tokens(text) -> { { kind, from, stop, text }, ... }    stop exclusive; blanks are left out. kind: "word" "field"
--                          "number" "string" "open_string" "(" ")" "," "op" "command" "other"
--   syntax.is_open(text) -> true if a parenthesis or a quote is still open
--   syntax.styles(text, names) -> one SGR number for each byte; names: { [macro or list] = true }
--   syntax.coloured(text, names) -> the text between colours
local core = require("core")

local M = {}

local MAX_TOKENS = 4096

-- Fields, and words: what letters, digits, "_" and dots are made of, with an argument.
local WORD = "^[%a_][%w_.]*()"

local function string_token(text, at)
  local quote, i = text:sub(at, at), at + 1
  while i <= #text do
    local c = text:sub(i, i)
    if c == "\\" then
      i = i + 1
    elseif c == quote then
      return "string", i + 1
    end
    i = i + 1
  end
  return "open_string", #text + 1
end

local KINDS = {
  { "^[%d][%w_.:/]*()", "number" },
  { "^[<>=!]=?()", "op" },
  { "^/[^%s(),\"']*()", "bare" },
  { "^[^%s(),\"'<>=!]+()", "bare" },
}

local function word_token(text, at)
  local stop = text:match(WORD, at)
  if not stop then return nil end
  local argument = text:match("^%[[^%]%s]*%]?()", stop)
  local name = text:sub(at, stop - 1)
  if name:find(".", 1, true) then
    -- a field goes on behind its argument; a file name with a slash does not end here
    local more = text:match("^[^%s(),\"'<>=!%[]+()", stop)
    if more then return "bare", more end
    return "field", argument or stop
  end
  local more = text:match("^[^%s(),\"'<>=!%[]+()", stop)
  return more and "bare" or "word", more or stop
end

local function next_token(text, at)
  local c = text:sub(at, at)
  if c == "(" or c == ")" or c == "," then return c, at + 1 end
  if c == '"' or c == "'" then return string_token(text, at) end
  local kind, stop = word_token(text, at)
  if kind then return kind, stop end
  for _, row in ipairs(KINDS) do
    stop = text:match(row[1], at)
    if stop then return row[2], stop end
  end
  return "other", at + 1
end

function M.tokens(text)
  local tokens, at = {}, 1
  local command = text:match("^%s*:%a*()")
  if command then
    local from = text:find(":", 1, true)
    tokens[1] = { kind = "command", from = from, stop = command, text = text:sub(from, command - 1) }
    at = command
  end
  while #tokens < MAX_TOKENS do
    at = text:find("%S", at)
    if not at then break end
    local kind, stop = next_token(text, at)
    tokens[#tokens + 1] = { kind = kind, from = at, stop = stop, text = text:sub(at, stop - 1) }
    at = stop
  end
  return tokens
end

function M.is_open(text)
  local depth = 0
  for _, token in ipairs(M.tokens(text)) do
    if token.kind == "open_string" then return true end
    if token.kind == "(" then depth = depth + 1 end
    if token.kind == ")" then depth = depth - 1 end
  end
  return depth > 0
end

-- ------------------------------------------------------------------ colours

local PLAIN, BOLD, GREEN, YELLOW, BLUE, MAGENTA, CYAN = 0, 1, 32, 33, 34, 35, 36
local LOGIC = { ["and"] = MAGENTA, ["or"] = MAGENTA, ["not"] = MAGENTA, exists = YELLOW }

local operators
local function is_operator(word)
  if not operators then
    operators = {}
    for op = 0, core.C.OP_COUNT - 1 do operators[core.cstr(core.C.operator_name(op))] = true end
  end
  return operators[word]
end

-- Is the text a field, with its argument?
local is_field_cache, cached = {}, 0
function M.is_field(text)
  local known = is_field_cache[text]
  if known == nil then
    if cached > 1000 then is_field_cache, cached = {}, 0 end
    local name = text:match("^[%w_.]+") or text
    local n, a, b = core.ffi.new("uint32_t[1]"), core.ffi.new("uint32_t[1]"), core.ffi.new("int32_t[1]")
    known = core.C.field_find(name, #name) >= 0 or core.C.field_prefix(text, #text, n, a, b) == #text
    is_field_cache[text], cached = known, cached + 1
  end
  return known
end

local function style_of(token, names)
  if token.kind == "command" then return BOLD end
  if token.kind == "string" or token.kind == "open_string" then return GREEN end
  if token.kind == "op" then return YELLOW end
  if token.kind == "number" then return GREEN end
  if token.kind == "field" then return M.is_field(token.text) and CYAN or PLAIN end
  if token.kind == "word" then
    return LOGIC[token.text] or is_operator(token.text) and YELLOW or names and names[token.text] and BLUE or PLAIN
  end
  return PLAIN
end

function M.styles(text, names)
  local styles = core.ffi.new("uint8_t[?]", math.max(#text, 1))
  for _, token in ipairs(M.tokens(text)) do
    local style = style_of(token, names)
    if style ~= PLAIN then core.ffi.fill(styles + token.from - 1, token.stop - token.from, style) end
  end
  return styles
end

function M.coloured(text, names)
  local out, last = {}, 1
  for _, token in ipairs(M.tokens(text)) do
    local style = style_of(token, names)
    if style ~= PLAIN then
      out[#out + 1] = text:sub(last, token.from - 1) .. ("\27[%dm"):format(style) .. token.text .. "\27[0m"
      last = token.stop
    end
  end
  return table.concat(out) .. text:sub(last)
end

return M
