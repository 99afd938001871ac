-- SPDX-License-Identifier: Apache-2.0
-- -V: what is wrong with rules files; -L and -l: what is in them; --dump-ast and --dump-code: what became of a rule.
local describe = require("rules.describe")
local dump = require("rules.dump")
local json = require("json")
local list = require("list")
local results = require("results")
local rules = require("rules")
local run = require("run")
local console = require("console")

local M = {}

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

-- What -L or -l (`name`) asks for: a table, or nil and a message.
local function described(result, name)
  if name then return describe.rule(result, name) end
  return describe.all(result)
end

local function describe_into(root, result, options)
  if not (options.describe_all or options.describe) then return nil end
  local found, message = described(result, options.describe)
  root.falco_describe_results = found
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
  local load_results, root = json.array(), {}
  for i, file in ipairs(files) do load_results[i] = results.of(file, loaded.diags) end
  local ok, message = loaded.result.ok, nil
  if ok then message = describe_into(root, loaded.result, options) end
  if config.json_output then
    root.falco_load_results = load_results
    console.print(json.encode(root) .. "\n")
  else
    for _, result in ipairs(load_results) do console.print(verdict(result)) end
    if root.falco_describe_results then console.print("\n" .. list.describe_text(root.falco_describe_results)) end
    console.diagnostics(loaded.diags)
  end
  local status = done(message)
  return ok and status or 1
end

-- What became of one rule: --dump-ast, --dump-code.
function M.dump(config, options)
  local files, loaded = load(config, run.rules_files(config, options))
  if not files then return done(loaded) end
  console.diagnostics(loaded.diags, { level = "error" })
  if not loaded.result.ok then return 1 end
  local rule, message = describe.find(loaded.result, options.dump_ast or options.dump_code)
  if not rule then return done(message) end
  console.print(options.dump_ast and dump.tree(rule) or rules.code(loaded.result, rule))
  return done()
end

function M.describe(config, options)
  local files, loaded = load(config, run.rules_files(config, options))
  if not files then return done(loaded) end
  console.diagnostics(loaded.diags, { level = "error" })
  if not loaded.result.ok then return 1 end
  local found, message = described(loaded.result, options.describe)
  if not found then return done(message) end
  console.print(config.json_output and json.encode(found) .. "\n" or list.describe_text(found))
  return done()
end

return M
