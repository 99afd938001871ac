-- SPDX-License-Identifier: Apache-2.0
-- The program: what the command line asks for, in the order in which one thing needs another.
--   main(cdef, arguments...) -> exit status
local core = require("core")
local cli = require("cli")

-- What runs before the first event runs once: compile only what is long. Loading upstream's rules takes two thirds of the
-- time that it takes with LuaJIT's defaults, thousands of rules no more than with them. rules.jit_options() follows.
jit.opt.start("hotloop=500", "hotexit=100")

-- Failures travel as `nil, message` or, once shown as diagnostics, as `nil`.
local function fail(message, status)
  local console = require("console")
  console.flush()
  if message then console.error(message) end
  return status or 1
end

-- Prints a finished text; a reader that went away wanted no more of it.
local function show(text, message)
  local console = require("console")
  if not text then return fail(message) end
  console.print(text)
  local failure = console.failure()
  return failure and fail(failure) or 0
end

-- ------------------------------------------------------------------ configuration

-- nil: there is no file. One that is there and cannot be reached must not be taken for that.
local function config_path(options)
  if options.config then return options.config end
  local path = require("conf").default_path()
  return require("files").kind(path) ~= "missing" and path or nil
end

-- What the options stand for in terms of the configuration.
local function apply(config, options, has_file)
  if options.command == "replay" then
    config.engine.kind, config.engine.replay.capture_file = "replay", options.file
    config.given.engine = true
    if not has_file and not config.given.stdout_output then config.stdout_output.enabled = true end
  end
  local words = { c = true, k = true, container = true, kubernetes = true }
  if options.print and not words[options.print] then
    config.append_output[#config.append_output + 1] = { extra_output = options.print, extra_fields = {} }
  end
end

-- The configuration as files and options have it now, or nil; and the diagnostics.
local function read_config(options)
  local path = config_path(options)
  local diags = require("diag").new()
  local config = require("conf").load{ path = path, set = options.set, diag = diags }
  if not config then return nil, diags end
  config.path = path
  apply(config, options, path ~= nil)
  return config, diags
end

-- The configuration, or nil after its mistakes were shown. quiet: no warnings.
local function load_config(options, quiet)
  local console = require("console")
  local config, diags = read_config(options)
  console.set_level(config and config.log_level or "info", config and config.log_stderr, options.verbose,
    config and config.libs_logger)
  console.set_syslog(config and config.log_syslog and not quiet, os.getenv("FALCO_SYSLOG_SOCKET"))
  console.diagnostics(diags, { level = quiet and "error" or nil })
  if not config then return nil end
  for _, absent in ipairs(quiet and not options.verbose and {} or config.absent) do
    console.info(("configuration '%s' does not exist and is left out"):format(absent))
  end
  return config
end

-- ------------------------------------------------------------------ commands

local function list_fields(options)
  return show(require("list").fields{ source = options.list, names_only = options.names_only, format = options.format,
    verbose = options.verbose })
end

local function list_events(options)
  return show(require("list").events(options.format))
end

local function list_plugins()
  return show(require("list").plugins())
end

local function ignored_events()
  return show(require("list").ignored_events())
end

local function page_size()
  return show(core.C.sys_page_size() .. "\n")
end

local function config_schema()
  return show(require("list").config_schema())
end

local function version(options)
  local config = load_config(options, true)
  if not config then return 1 end
  return show(require("list").version(config.json_output))
end

local function support(options, args)
  local run = require("run")
  local config = load_config(options)
  if not config then return 1 end
  local files = run.rules_files(config, options) or {}      -- without rules the rest is still of use
  return show(require("list").support(args, config, run.read_files(files)))
end

local function validate(options)
  local config = load_config(options, true)
  if not config then return 1 end
  return require("validate").run(config, options)
end

local function describe(options)
  local config = load_config(options)
  if not config then return 1 end
  return require("validate").describe(config, options)
end

local function dump(options)
  local config = load_config(options)
  if not config then return 1 end
  return require("validate").dump(config, options)
end

local function rule_schema()
  return show(require("rules.schema").text())
end

local function events(options)
  local config = load_config(options, true)
  if not config then return 1 end
  return require("events").run(config, options)
end

local function repl(options)
  local config = load_config(options, true)
  if not config then return 1 end
  return require("repl").run(config, options)
end

local function doctor(options)
  local config = load_config(options, true)
  if not config then return 1 end
  return require("doctor").run(config, options)
end

local function why(options)
  local config = load_config(options, true)
  if not config then return 2 end
  return require("explain").run(config, options)
end

local function bench(options)
  local config = load_config(options, true)
  if not config then return 1 end
  return require("cost").run(config, options)
end

local function test(options)
  local console = require("console")
  console.set_level("notice", true, options.verbose)
  return require("ruletest").run(options)
end

local function run(options)
  local config = load_config(options)
  if core.C.sys_stop_signal() ~= 0 then return 0 end
  if not config then return 1 end
  if not config.path and options.command ~= "replay" and not config.given.engine and #options.rules == 0 then
    return fail(("there is no configuration file %s; name one with -c, or rules with -r")
      :format(require("conf").default_path()))
  end
  return require("run").run(config, options, function() return read_config(options) end)
end

-- The first row whose option is there decides.
local MODES = {
  { "config_schema", config_schema }, { "rule_schema", rule_schema }, { "list_events", list_events }, { "version", version },
  { "page_size", page_size }, { "ignored_events", ignored_events }, { "list_plugins", list_plugins }, { "list", list_fields }, { "support", support },
}

local COMMANDS = { events = events, record = events, repl = repl, doctor = doctor, test = test, why = why, bench = bench, replay = run }

local function show_help(options)
  return show(options.help .. "\n")
end

local function what_to_do(options)
  if options.help then return show_help end
  for _, mode in ipairs(MODES) do
    if options[mode[1]] then return mode[2] end
  end
  if #options.validate > 0 then return validate end
  if options.describe_all or options.describe then return describe end
  if options.dump_ast or options.dump_code then return dump end
  return COMMANDS[options.command] or run
end

-- Signals were held back since the program began (main.c). From here on they ask a worker that is still starting for
-- something; whatever else is done they end.
local function take_signals(todo, options)
  if todo == run and not options.dry_run then core.C.sys_serve_requests(true) end
  core.C.sys_release_signals()
end

return function(cdef, ...)
  core.load(cdef)
  local args = { ... }
  local options, message = cli.parse(args)
  if not options then
    return fail(message:find("did you mean", 1, true) and message or message .. "; falco --help lists the options",
      cli.usage_status(args))
  end
  local console = require("console")
  for _, note in ipairs(options.notes) do console.warning(note) end
  local todo = what_to_do(options)
  take_signals(todo, options)
  return todo(options, args)
end
