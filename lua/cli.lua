-- SPDX-License-Identifier: Apache-2.0
-- The command line: upstream's flags, and the commands that are ours.
--
--   local options, message, hint = cli.parse({ "-r", "rules.yaml" })
--
-- On success `options` holds
--   command          nil | "replay" | "events" | "record" | "repl" | "doctor" | "test"
--   file             capture file of a command; captures: those of "repl"
--   config, rules, set, validate, describe, seconds, format, print, pidfile ...   see the table below
--   help             the help text, when it was asked for
--   notes            array of sentences about flags that were taken but do nothing here
-- On a mistake it is nil and `message` is one line, without "falco: error:".
--
--   cli.usage_status(args) -> what to exit with after one
local argparse = require("argparse")
local conf = require("conf")

local M = {}

-- Flags that upstream has or had and that this build takes without effect: why, as the end of a sentence.
local NO_EFFECT = {
  { flag = "-A", why = "rules see every event of a capture anyway" },
  { flag = "-b", why = "data buffers are printed as text" },
  { flag = "-s", arg = "FILE", why = "statistics files are not written" },
  { flag = "--enable-source", arg = "SOURCE", why = "a capture file is replayed whole" },
  { flag = "--disable-source", arg = "SOURCE", why = "a capture file is replayed whole" },
}

-- Flags of upstream that would have to do something and cannot: what to do instead.
local REFUSED = {
  { flag = "--plugin-info", arg = "NAME", why = "plugins are not loaded by this build" },
  { flag = "-t", arg = "TAG", why = "write -o 'rules[].disable.rule=*' -o rules[].enable.tag=TAG" },
  { flag = "-T", arg = "TAG", why = "write -o rules[].disable.tag=TAG" },
  { flag = "-D", arg = "TEXT", why = "write -o 'rules[].disable.rule=*TEXT*'" },
}

-- Options (by target) that a command leaves nothing to do for.
local MODES = { validate = "-V", describe_all = "-L", describe = "-l", list = "--list", list_events = "--list-events",
  list_plugins = "--list-plugins", config_schema = "--config-schema", rule_schema = "--rule-schema",
  dump_ast = "--dump-ast", dump_code = "--dump-code", support = "--support", version = "--version",
  page_size = "--page-size", ignored_events = "-i" }
local NOT_FOR_EVENTS = { rules = "-r", dry_run = "--dry-run", pidfile = "-P" }
local NOT_FOR_MEASURES = { dry_run = "--dry-run", pidfile = "-P", seconds = "-M", unbuffered = "-U" }
local NOT_FOR = { replay = {}, events = NOT_FOR_EVENTS, record = NOT_FOR_EVENTS, doctor = NOT_FOR_EVENTS,
  repl = { dry_run = "--dry-run", pidfile = "-P", seconds = "-M", unbuffered = "-U" },
  test = { dry_run = "--dry-run", pidfile = "-P", seconds = "-M", unbuffered = "-U", config = "-c", set = "-o" },
  why = NOT_FOR_MEASURES, bench = NOT_FOR_MEASURES }

local FORMATS = { "text", "markdown", "json" }

local function target_of(flag)
  return "opt_" .. flag:gsub("^%-+", ""):gsub("%-", "_")
end

local function add_rows(parser, rows)
  for _, row in ipairs(rows) do
    local add = row.arg and parser.option or parser.flag
    add(parser, row.flag):target(target_of(row.flag)):count("*"):hidden(true)
  end
end

local function lower_format(text)
  local lower = text:lower()
  for _, known in ipairs(FORMATS) do
    if lower == known then return lower end
  end
  return nil, "unknown format '" .. text .. "'; there are text, markdown and json"
end

local function seconds(text)
  local n = tonumber(text)
  if n and n >= 0 and n == math.floor(n) and n < 2 ^ 31 then return n end
  return nil, "-M wants whole seconds, not '" .. text .. "'"
end

-- Options that go with everything.
local function add_basic(parser)
  parser:flag("-h --help", "Show this help and end.")
  parser:flag("-v", "Say more."):target("verbose")
end

-- Options that go with every command that has a source of events.
local function add_common(parser)
  add_basic(parser)
  parser:option("-c", ("Configuration file (default %s)."):format(conf.default_path())):argname("<file>"):target("config")
  parser:option("-o --option",
    "Set a key of the configuration: engine.kind=replay, rules_files[0]=x.yaml, list[]=one_more; \\. is a "
    .. "dot that belongs to a name."):argname("<key=value>"):count("*"):target("set")
  parser:option("-M", "End after this many seconds (of the events' time, in a replay)."):argname("<seconds>")
    :convert(seconds)
    :target("seconds")
  parser:flag("-U --unbuffered", "Write every line at once."):target("unbuffered")
end

local function add_rules_files(parser)
  parser:option("-r", "Rules file or directory, instead of those of the configuration; may be given again.")
    :argname("<path>")
    :count("*"):target("rules")
end

-- Options of what runs rules.
local function add_rules(parser)
  add_rules_files(parser)
  parser:flag("--dry-run", "Load configuration and rules, then end."):target("dry_run")
  parser:option("-p --print", "Old form of `append_output`: text, possibly with %fields, for the end of every alert.")
    :argname("<format>")
    :target("print")
  parser:option("-P --pidfile", "Write the process id to this file."):argname("<file>"):target("pidfile")
end

-- Options without a command.
local function add_root(parser)
  parser:option("-V --validate", "Check a rules file or directory and end; may be given again."):argname("<path>")
    :count("*")
    :target("validate")
  parser:flag("-L", "List rules with their descriptions and end."):target("describe_all")
  parser:option("-l", "Describe one rule and end."):argname("<rule>"):target("describe")
  parser:option("--dump-ast", "Print what became of a rule's condition, with scopes and event types, and end.")
    :argname("<rule>"):target("dump_ast")
  parser:option("--dump-code", "Print the code that was made of a rule's condition and end."):argname("<rule>")
    :target("dump_code")
  parser:option("--list", "List fields (of one event source) and end."):argname("<source>"):args("?"):target("list")
  parser:flag("-N", "With --list: only names."):target("names_only")
  parser:flag("--list-events", "List event types and end."):target("list_events")
  parser:flag("-i", "List events that a live source leaves out by default, as they are frequent, and end."):target("ignored_events")
  parser:flag("--list-plugins", "List plugins and end."):target("list_plugins")
  parser:option("--format", "With --list and --list-events: text, markdown or json."):argname("<format>")
    :convert(lower_format)
    :target("format")
  parser:flag("--markdown", "Old form of --format markdown."):target("markdown")
  parser:flag("--config-schema", "Print the JSON schema of falco.yaml and end."):target("config_schema")
  parser:flag("--rule-schema", "Print the JSON schema of rules files and end."):target("rule_schema")
  parser:flag("--support", "Print what a problem report needs, as JSON, and end."):target("support")
  parser:flag("--version", "Print versions and end."):target("version")
  parser:flag("--page-size", "Print the size of a memory page and end."):target("page_size")
  add_rows(parser, NO_EFFECT)
  add_rows(parser, REFUSED)
end

local COMMANDS = {
  { name = "replay", doc = "Run rules over a capture file." },
  { name = "events", doc = "Print the events of a capture file, or of this host." },
  { name = "record", doc = "Write the events of this host to a capture file." },
  { name = "repl", doc = "Try conditions on captures, one line after the other." },
  { name = "test", doc = "Run unit tests of rules." },
  { name = "why", doc = "Say why a rule matches events of a capture, or does not." },
  { name = "bench", doc = "Measure what rules cost on a capture." },
  { name = "doctor", doc = "Say whether a live capture would work here, and what to change." },
}

-- By command: what it alone has, and the options of all that go with it.
local ADD, SHARED = {}, { replay = { add_common, add_rules }, events = { add_common }, record = { add_common },
  repl = { add_common, add_rules_files }, doctor = { add_common }, test = { add_basic, add_rules_files },
  why = { add_common, add_rules_files }, bench = { add_common } }

function ADD.replay(parser)
  parser:argument("file", "Capture file, or - for standard input.")
end

-- Options of what writes a capture.
local function add_write(parser)
  parser:flag("--plain", "With -w: not compressed."):target("write_plain")
  parser:flag("--only", "With -w: without the events that only update the tables of whoever reads the file.")
    :target("write_only")
end

function ADD.events(parser)
  parser:argument("file", "Capture file, or - for standard input; none with --live."):args("?")
  parser:argument("condition", "Only events that match, as in a rule."):args("?")
  parser:flag("--live", "Events of this host, as they happen."):target("live")
  parser:option("-p --print",
    "One line for each event: text with %fields; with * in front also events that lack some of them.")
    :argname("<format>"):target("event_format")
  parser:flag("--json", "One JSON object for each event."):target("event_json")
  parser:option("-w --write", "Write the events to a capture file, or to standard output (-), instead of printing them.")
    :argname("<file>"):target("write")
  add_write(parser)
end

function ADD.record(parser)
  parser:argument("condition", "Only events that match, as in a rule."):args("?")
  parser:option("-w --write", "The capture file, or - for standard output."):argname("<file>"):target("write")
  parser:option("--seconds", "End after this many seconds."):argname("<seconds>"):convert(seconds):target("seconds")
  add_write(parser)
end

function ADD.repl(parser)
  parser:argument("captures", "Capture files."):args("*")
end

function ADD.doctor(parser)
  parser:flag("--json", "One JSON object."):target("event_json")
end

local function percent(text)
  local n = tonumber(text)
  if n and n >= 0 and n <= 100 then return n end
  return nil, "'" .. text .. "' is no percentage"
end

local function test_format(text)
  local names = { "pretty", "tap", "junit" }
  for _, name in ipairs(names) do
    if text:lower() == name then return name end
  end
  return nil, "unknown format '" .. text .. "'; there are " .. table.concat(names, ", ")
end

function ADD.test(parser)
  parser:argument("paths", "Test file, or directory of files called *_test.yaml."):args("*")
  parser:option("--format", "pretty, tap or junit."):argname("<format>"):convert(test_format):target("test_format")
  parser:option("--filter", "Only tests whose names contain this."):argname("<text>"):target("filter")
  parser:flag("--coverage", "Also list what was never true or never false."):target("coverage")
  parser:flag("--no-coverage", "Do not look which parts of conditions were ever true or false."):target("no_coverage")
  parser:option("--min-coverage", "Fail unless this percentage of the leaves was seen true and false."):argname("<percent>")
    :convert(percent):target("min_coverage")
  parser:option("--min-rules", "Fail unless this percentage of the rules was seen true and false."):argname("<percent>")
    :convert(percent):target("min_rules")
  parser:flag("--watch", "Run again whenever a file changes."):target("watch")
  parser:option("--init", "Write a test of this rule (of -r) to standard output."):argname("<rule>")
    :overwrite(false):target("init")
end

local function whole(text)
  local n = tonumber(text)
  if n and n >= 1 and n == math.floor(n) and n < 2 ^ 53 then return n end
  return nil, "expected a whole number from 1 on, not '" .. text .. "'"
end

function ADD.why(parser)
  parser:argument("rule", "Name of the rule.")
  parser:argument("file", "Capture file.")
  parser:option("--event", "Number of the event (evt.num); without it those that match, or come nearest."):argname("<n>")
    :convert(whole):target("event")
  parser:option("--limit", "How many events are shown (default 3)."):argname("<n>"):convert(whole):target("limit")
  parser:flag("--json", "One JSON object."):target("as_json")
end

function ADD.bench(parser)
  parser:argument("bench_rules", "Rules file or directory.")
  parser:argument("file", "Capture file.")
  parser:option("--runs", "How often each replay is repeated (default 3); the fastest counts."):argname("<n>"):convert(whole):target("runs")
  parser:flag("--json", "One JSON object."):target("as_json")
end

local WANTS_FILE = "this command wants a capture file, or - for standard input"
local MISSING = { file = WANTS_FILE, bench_rules = "bench wants a rules file, and a capture file behind it",
  rule = "why wants the name of a rule, and a capture file behind it" }

local function set_widths(parser)
  return parser:usage_max_width(100):help_max_width(100)
end

-- The help of a command has the shared options too. The parser that parses knows those from its root; a second set of them
-- there would hide what stands in front of the command.
local function command_help(command)
  local parser = set_widths(argparse("falco " .. command.name, command.doc, "See falco(8) for everything else."))
  parser:add_help(false)
  ADD[command.name](parser)
  for _, add in ipairs(SHARED[command.name]) do add(parser) end
  return parser:get_help()
end

local function build()
  local parser = argparse("falco", "Watches what programs do and alerts when rules match.",
    "See falco(8) for everything else, and falco-scripts(7) for scripts in Lua.")
    :add_help(false):require_command(false):command_target("command")
  set_widths(parser)
  add_common(parser)
  add_rules(parser)
  add_root(parser)
  for _, command in ipairs(COMMANDS) do
    ADD[command.name](parser:command(command.name, command.doc):add_help(false))
  end
  return parser
end

local function help_of(parser, name)
  for _, command in ipairs(COMMANDS) do
    if command.name == name then return command_help(command) end
  end
  return parser:get_help()
end

-- argparse appends its suggestions on a line of their own; for a flag of one letter it would suggest all others.
local function one_line(message)
  if message:find("^unknown option '%-.'") then message = message:gsub("\n.*", "") end
  return (message:gsub("^missing argument '([%l_]+)'", MISSING)
    :gsub("\nDid you mean one of these: (.*)%?$", " (did you mean one of %1?)")
    :gsub("\nDid you mean (.*)%?$", " (did you mean %1?)"))
end

local function is_given(value)
  return value and value ~= 0 and (type(value) ~= "table" or #value > 0)
end

local function used(result, flag)
  return is_given(result[target_of(flag)])
end

-- The flag of the first option of `map` that is there.
local function first_given(result, map)
  local flags = {}
  for target, flag in pairs(map) do
    if is_given(result[target]) then flags[#flags + 1] = flag end
  end
  table.sort(flags)
  return flags[1]
end

-- Options of `events` that go only with others, or not with them.
local function check_write(result)
  if result.write then
    if result.event_format then return "-w and -p do not go together: a capture is written, nothing is printed" end
    if result.event_json then return "-w and --json do not go together: a capture is written, nothing is printed" end
    if result.write_only and not result.condition then return "--only wants a condition: without one every event is written" end
    return nil
  end
  local flag = result.write_plain and "--plain" or result.write_only and "--only"
  return flag and flag .. " goes with -w, which is not there" or nil
end

-- By command: sorts out what stands where. Returns nil, or what is wrong.
local TAKE = {}

function TAKE.events(result)
  if not result.live then return not result.file and WANTS_FILE or nil end
  if result.condition then return "--live and a capture file do not go together" end
  result.condition, result.file = result.file, nil
  return nil
end

function TAKE.record(result)
  if not result.write then return "this command wants -w FILE, the capture file to write" end
  result.live = true
  return nil
end

-- The rules of a measurement stand in front of the capture.
function TAKE.bench(result)
  result.rules = { result.bench_rules }
  return nil
end

function TAKE.test(result)
  if result.no_coverage and (result.coverage or result.min_coverage or result.min_rules) then
    return "--no-coverage goes with nothing that wants coverage"
  elseif result.init and (#result.rules == 0 or #result.paths > 0) then
    return "--init wants -r FILE, the rules file that has the rule, and no tests"
  elseif result.watch and result.test_format == "junit" then
    return "--watch and --format junit do not go together: it is one document"
  end
  return nil
end

local function check_command(result)
  if not result.command then return nil end
  local wrong = TAKE[result.command] and TAKE[result.command](result)
  if wrong then return wrong end
  if result.file == "" then return "the name of the capture file is empty; - is standard input" end
  local flag = first_given(result, MODES) or first_given(result, NOT_FOR[result.command])
  if flag then return ("%s and the command '%s' do not go together"):format(flag, result.command) end
  return NOT_FOR[result.command] == NOT_FOR_EVENTS and check_write(result) or nil
end

local function check(result)
  if result.markdown and result.format then return "--markdown and --format exclude each other" end
  for _, row in ipairs(REFUSED) do
    if used(result, row.flag) then return row.flag .. " is refused: " .. row.why end
  end
  return check_command(result)
end

local function collect_notes(result)
  local notes = {}
  for _, row in ipairs(NO_EFFECT) do
    if used(result, row.flag) then notes[#notes + 1] = row.flag .. " has no effect: " .. row.why end
  end
  if result.markdown then
    notes[#notes + 1] = "--markdown is old; use --format markdown"
    result.format = "markdown"
  end
  return notes
end

-- 1 is an answer of these: a test failed, the rule does not match.
local USAGE_STATUS = { test = 2, why = 2 }

function M.usage_status(args)
  for _, arg in ipairs(args) do
    for _, command in ipairs(COMMANDS) do
      if command.name == arg then return USAGE_STATUS[arg] or 1 end
    end
  end
  return 1
end

-- `-c` given with an empty path and the like are left to whoever opens the file.
function M.parse(args)
  local parser = build()
  local ok, result = parser:pparse(args)
  if not ok then
    -- a call for help counts even where an argument is missing
    for _, arg in ipairs(args) do
      if arg == "--help" or arg == "-h" then
        return { help = help_of(parser, args[1]), notes = {} }
      end
    end
    return nil, one_line(result)
  end
  if result.help then
    result.help = help_of(parser, result.command)
    result.notes = {}
    return result
  end
  if type(result.list) == "table" then result.list = result.list[1] or "" end
  for _, name in ipairs{ "condition", "file" } do
    if type(result[name]) == "table" then result[name] = result[name][1] end
  end
  local message = check(result)
  if message then return nil, message end
  result.notes = collect_notes(result)
  result.format = result.format or "text"
  if result.seconds == 0 then result.seconds = nil end       -- 0 is no limit
  return result
end

return M
