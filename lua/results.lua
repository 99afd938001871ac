-- SPDX-License-Identifier: Apache-2.0
-- What was wrong with rules files, in the form of upstream's validation JSON, for programs that already read that.
--
--   results.of({ name =, text = }, diags) -> one element of falco_load_results
--   results.code_text("LOAD_ERR_VALIDATE")     what a code means, on one line
--
-- Lines, columns and offsets count from 0 there, and in bytes. The locations of a mistake lead from the file down to the
-- item, key or condition; the snippet shows its exact place.
local json = require("json")

local M = {}

local HALF = 80                    -- bytes of a snippet on either side of the place

-- One line about each code of a diagnostic, for programs that show it to people.
local CODES = {
  LOAD_ERR_FILE_READ = "The file cannot be read",
  LOAD_ERR_YAML_PARSE = "The file is not YAML",
  LOAD_ERR_YAML_VALIDATE = "The YAML does not have the form of a rules file",
  LOAD_ERR_COMPILE_CONDITION = "A condition is wrong",
  LOAD_ERR_COMPILE_OUTPUT = "An output is wrong",
  LOAD_ERR_VALIDATE = "A rule, macro, list or exception is wrong",
  LOAD_ERR_EXTENSION = "An extension item is wrong",
  LOAD_UNKNOWN_SOURCE = "No event source of that name",
  LOAD_UNSAFE_NA_CHECK = "Comparison with <NA>",
  LOAD_NO_EVTTYPE = "The condition does not narrow the event types",
  LOAD_UNKNOWN_FILTER = "Unknown field or event type in a rule that may be skipped",
  LOAD_UNUSED_MACRO = "Nothing uses the macro",
  LOAD_UNUSED_LIST = "Nothing uses the list",
  LOAD_UNKNOWN_ITEM = "Unknown kind of item",
  LOAD_DEPRECATED_ITEM = "Something old that will go away",
  LOAD_WARNING_EXTENSION = "Doubtful extension item",
  LOAD_APPEND_NO_VALUES = "An exception without values adds nothing",
  LOAD_EXCEPTION_NAME_NOT_UNIQUE = "Two exceptions of one name",
  LOAD_INVALID_MACRO_NAME = "The name does not suit a macro",
  LOAD_INVALID_LIST_NAME = "The name does not suit a list",
  LOAD_COMPILE_CONDITION = "Doubtful condition",
  LOAD_UNKNOWN_KEY = "Unknown key in an item",
}

-- Codes that a JSON schema of rules files would have found.
local OF_SCHEMA = { LOAD_ERR_YAML_VALIDATE = true, LOAD_UNKNOWN_KEY = true, LOAD_UNKNOWN_ITEM = true }
-- Codes of files whose form nobody could look at.
local WITHOUT_FORM = { LOAD_ERR_FILE_READ = true, LOAD_ERR_YAML_PARSE = true }

function M.code_text(code)
  return CODES[code] or ""
end

-- ------------------------------------------------------------------ locations

local function location_of(diags, l)
  local line, column, offset = diags:mark(l.node)
  return { item_type = l.item_type, item_name = l.item_name,
    position = { name = l.title or l.file or "", line = line or 0, column = column or 0, offset = offset or 0 } }
end

-- The chain of a diagnostic; one that has none lies in the file itself.
local function chain_of(d, file)
  if d.locations then return d.locations end
  local chain = { { item_type = "rules content", item_name = "", file = file.name } }
  if d.line then chain[2] = { item_type = "value for", item_name = "", file = file.name, node = d } end
  return chain
end

local function locations_of(diags, chain)
  local out = json.array()
  for i, l in ipairs(chain) do out[i] = location_of(diags, l) end
  return out
end

local NO_SNIPPET = "<No context available>\n"

-- The line around byte `offset` (from 0) of a text, and below it a caret.
local function snippet_at(text, offset)
  local at = math.min(offset + 1, #text)
  while at > 1 and text:find("^[\r\n]", at) do at = at - 1 end
  local from, to = at, at
  while from > 1 and at - from < HALF and not text:find("^[\r\n]", from - 1) do from = from - 1 end
  while to < #text and to - at < HALF and not text:find("^[\r\n]", to + 1) do to = to + 1 end
  local line = text:sub(from, to)
  if line:find("^[\r\n]*$") then return NO_SNIPPET end
  if at - from == HALF then line = "..." .. line:sub(4) end
  if to - at == HALF then line = line:sub(1, -4) .. "..." end
  return line .. "\n" .. (" "):rep(at - from) .. "^\n"
end

local function snippet_of(diags, d, chain)
  local place = d.line and d or chain[#chain].node
  local _, _, offset = diags:mark(place)
  local source = place and diags.sources[place.file]
  return offset and source and snippet_at(source.text, offset) or NO_SNIPPET
end

-- ------------------------------------------------------------------ results

local function message_of(d)
  local near = d.near and (" (did you mean '%s'?)"):format(d.near) or ""
  return d.message .. near .. (d.hint and "; " .. d.hint or "")
end

local function entry_of(diags, d, file)
  local chain = chain_of(d, file)
  return {
    code = d.code, codedesc = M.code_text(d.code), message = message_of(d), deprecated_field = d.deprecated_field,
    context = { locations = locations_of(diags, chain), snippet = snippet_of(diags, d, chain) },
  }
end

-- What a validator of the schema would say: where in the document, and what.
local function schema_warning(d)
  local path = { "<root>" }
  for _, l in ipairs(d.locations or {}) do
    if l.index then path[#path + 1] = ("[%d]"):format(l.index) end
    if l.item_type == "value for" and l.item_name ~= "" then path[#path + 1] = ("[%s]"):format(l.item_name) end
  end
  return ("failed for %s: %s"):format(table.concat(path), message_of(d))
end

-- A mistake counts for the file whose loading met it, even if its place is in an earlier one.
local function is_of(d, file)
  local root = d.locations and d.locations[1].file or d.file
  return root == file.name or not root
end

function M.of(file, diags)
  local errors, warnings, schema = json.array(), json.array(), json.array()
  local has_form = true
  for _, d in ipairs(diags:sorted()) do
    if is_of(d, file) then
      local into = d.level == "error" and errors or warnings
      into[#into + 1] = entry_of(diags, d, file)
      if OF_SCHEMA[d.code] then schema[#schema + 1] = schema_warning(d) end
      has_form = has_form and not WITHOUT_FORM[d.code]
    end
  end
  local result = { name = file.name, successful = #errors == 0, errors = errors, warnings = warnings }
  if has_form then result.schema_valid, result.schema_warnings = #schema == 0, schema end
  return result
end

return M
