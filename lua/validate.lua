-- SPDX-License-Identifier: Apache-2.0
-- -V: what is wrong with rules files; -L and -l: what is in them.
local json = require("json")
local list = require("list")
local run = require("run")
local console = require("console")

local M = {}

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

local function location(kind, name, file, line, column, offset)
  local position = { name = file, line = line, column = column, offset = offset }
  return { item_type = kind, item_name = name, position = position }
end

local function source_line(text, line)
  local i = 0
  for found in (text .. "\n"):gmatch("(.-)\r?\n") do
    i = i + 1
    if i == line then return found end
  end
  return ""
end

local function entry_of(d, file)
  local locations = json.array({ location("rules content", "", file.name, 0, 0, 0) })
  if d.line then
    locations[2] = location(d.item_type or "rules content item", d.item_name or "", file.name, d.line, d.column or 0,
      d.offset or 0)
  end
  local message = d.near and ("%s (did you mean '%s'?)"):format(d.message, d.near) or d.message
  return {
    code = d.code, codedesc = CODES[d.code] or "", message = message, deprecated_field = d.deprecated_field,
    context = { locations = locations, snippet = d.line and file.text and source_line(file.text, d.line) or "" },
  }
end

-- One element of falco_load_results.
local function result_of(file, diags)
  local errors, warnings = json.array(), json.array()
  for _, d in ipairs(diags:sorted()) do
    if d.file == file.name or not d.file then
      local into = d.level == "error" and errors or warnings
      into[#into + 1] = entry_of(d, file)
    end
  end
  return { name = file.name, successful = #errors == 0, schema_valid = #errors == 0, schema_warnings = json.array(),
    errors = errors, warnings = warnings }
end

local function verdict(result)
  if not result.successful then return result.name .. ": Invalid\n" end
  return result.name .. (#result.warnings > 0 and ": Ok, with warnings\n" or ": Ok\n")
end

-- Rules files and their loading, shared by all three options. nil and a message when they cannot even be found.
local function load(config, paths, paths_message)
  if not paths then return nil, paths_message end
  local files = run.read_files(paths)
  return files, run.load_rules(config, files)
end

local function describe_into(root, result, options)
  if not (options.describe_all or options.describe) then return nil end
  local described, message = list.describe(result, options.describe)
  root.falco_describe_results = described
  return message
end

-- Ends with the exit status.
local function done(message)
  local failure = message or console.failure()
  if failure then console.error(failure) end
  return failure and 1 or 0
end

function M.run(config, options)
  local files, loaded = load(config, run.rules_files(config, { rules = options.validate }))
  if not files then return done(loaded) end
  local results, root = json.array(), {}
  for i, file in ipairs(files) do results[i] = result_of(file, loaded.diags) end
  local ok, message = loaded.result.ok, nil
  if ok then message = describe_into(root, loaded.result, options) end
  if config.json_output then
    root.falco_load_results = results
    console.print(json.encode(root) .. "\n")
  else
    for _, result in ipairs(results) do console.print(verdict(result)) end
    if root.falco_describe_results then console.print("\n" .. list.describe_text(root.falco_describe_results)) end
    console.diagnostics(loaded.diags)
  end
  local status = done(message)
  return ok and status or 1
end

function M.describe(config, options)
  local files, loaded = load(config, run.rules_files(config, options))
  if not files then return done(loaded) end
  console.diagnostics(loaded.diags, { level = "error" })
  if not loaded.result.ok then return 1 end
  local described, message = list.describe(loaded.result, options.describe)
  if not described then return done(message) end
  console.print(config.json_output and json.encode(described) .. "\n" or list.describe_text(described))
  return done()
end

return M
