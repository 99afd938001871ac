-- SPDX-License-Identifier: Apache-2.0
local cli = require "cli"

local function parse(...)
  return cli.parse({ ... })
end

describe("command line", function()
  it("takes upstream's flags", function()
    local options = parse("-c", "falco.yaml", "-r", "a.yaml", "-rb", "-o", "json_output=true", "-M", "10", "-U", "-v")
    assert.equal("falco.yaml", options.config)
    assert.same({ "a.yaml", "b" }, options.rules)
    assert.same({ "json_output=true" }, options.set)
    assert.equal(10, options.seconds)
    assert.is_true(options.unbuffered)
    assert.is_true(options.verbose)
    assert.equal("text", options.format)
    assert.same({}, options.notes)
  end)

  it("knows --list with and without a source", function()
    assert.equal("", parse("--list").list)
    assert.equal("", parse("--list", "-N").list)
    assert.equal("syscall", parse("--list=syscall").list)
    assert.is_nil(parse("-N").list)
  end)

  it("collects files to validate", function()
    assert.same({ "a", "b" }, parse("-V", "a", "--validate", "b").validate)
  end)

  it("takes a condition where a file would stand when events are live", function()
    local options = parse("events", "--live", "evt.type = open")
    assert.is_true(options.live)
    assert.is_nil(options.file)
    assert.equal("evt.type = open", options.condition)
    assert.is_nil(parse("events", "--live").condition)
    local none, message = parse("events", "--live", "x.scap", "evt.type = open")
    assert.is_nil(none)
    assert.equal("--live and a capture file do not go together", message)
    none, message = parse("events")
    assert.is_nil(none)
    assert.equal("this command wants a capture file, or - for standard input", message)
  end)

  it("records", function()
    local options = parse("record", "-w", "x.scap", "--seconds", "5", "proc.name = cat", "--only")
    assert.is_true(options.live)
    assert.same({ "x.scap", 5, "proc.name = cat", true },
      { options.write, options.seconds, options.condition, options.write_only })
    local none, message = parse("record")
    assert.is_nil(none)
    assert.equal("this command wants -w FILE, the capture file to write", message)
  end)

  it("has commands with arguments of their own", function()
    local options = parse("replay", "x.scap", "-r", "rules", "-o", "json_output=true")
    assert.equal("replay", options.command)
    assert.equal("x.scap", options.file)
    options = parse("events", "-", "evt.type = open", "-p", "%evt.num")
    assert.equal("events", options.command)
    assert.equal("-", options.file)
    assert.equal("evt.type = open", options.condition)
    assert.equal("%evt.num", options.event_format)
    assert.is_nil(options.print)
  end)

  it("writes captures only where that makes sense", function()
    local options = parse("events", "x.scap", "evt.type = open", "-w", "y.scap", "--plain", "--only")
    assert.equal("y.scap", options.write)
    assert.is_true(options.write_plain)
    assert.is_true(options.write_only)
    assert.matches("-w and -p do not go together", select(2, parse("events", "x", "-w", "y", "-p", "%evt.num")), 1, true)
    assert.matches("-w and --json do not go together", select(2, parse("events", "x", "-w", "y", "--json")), 1, true)
    assert.matches("--only wants a condition", select(2, parse("events", "x", "-w", "y", "--only")), 1, true)
    assert.matches("--plain goes with -w", select(2, parse("events", "x", "--plain")), 1, true)
  end)

  it("says what a mistake is near to", function()
    local options, message = parse("--dryrun")
    assert.is_nil(options)
    assert.equal("unknown option '--dryrun' (did you mean '--dry-run'?)", message)
    assert.equal("unknown option '-x'", select(2, parse("-x")))
    assert.equal("unknown command 'evnts' (did you mean 'events'?)", select(2, parse("evnts", "x")))
    assert.matches("wants a capture file", select(2, parse("replay")))
  end)

  it("takes shared options before and after a command", function()
    assert.same({ "a", "b" }, parse("-r", "a", "replay", "x", "-r", "b").rules)
    assert.equal("c", parse("-c", "c", "events", "x").config)
  end)

  it("wants a name of a file", function()
    for _, command in ipairs{ "replay", "events" } do
      assert.equal("the name of the capture file is empty; - is standard input", select(2, parse(command, "")))
    end
  end)

  it("checks values", function()
    assert.matches("unknown format 'xml'", select(2, parse("--format", "xml")), 1, true)
    assert.matches("whole seconds", select(2, parse("-M", "soon")))
    assert.matches("exclude each other", select(2, parse("--markdown", "--format", "text")))
    assert.equal("json", parse("--format", "JSON").format)
  end)

  it("refuses options that a command leaves nothing to do for", function()
    assert.equal("-V and the command 'replay' do not go together", select(2, parse("replay", "x", "-V", "y")))
    assert.equal("--list and the command 'replay' do not go together", select(2, parse("replay", "x", "--list")))
    assert.equal("-r and the command 'events' do not go together", select(2, parse("events", "x", "-r", "y")))
  end)

  it("takes tests of rules, their reasons and costs", function()
    local options = parse("test", "a", "b", "--format", "TAP", "--min-coverage", "90", "-r", "x.yaml")
    assert.same({ { "a", "b" }, "tap", 90, { "x.yaml" } }, { options.paths, options.test_format, options.min_coverage, options.rules })
    assert.matches("unknown format 'xml'", select(2, parse("test", "a", "--format", "xml")), 1, true)
    assert.matches("no percentage", select(2, parse("test", "a", "--min-coverage", "101")), 1, true)
    assert.matches("--init wants -r FILE", select(2, parse("test", "--init", "r")), 1, true)
    assert.matches("at most 1 time", select(2, parse("test", "-r", "r", "--init", "a", "--init", "b")), 1, true)
    assert.matches("--no-coverage", select(2, parse("test", "a", "--no-coverage", "--coverage")), 1, true)
    assert.equal("-M and the command 'test' do not go together", select(2, parse("test", "a", "-M", "3")))
    options = parse("why", "a rule", "x.scap", "--event", "7", "--json")
    assert.same({ "a rule", "x.scap", 7, true }, { options.rule, options.file, options.event, options.as_json })
    assert.matches("whole number", select(2, parse("why", "a rule", "x.scap", "--event", "0")), 1, true)
    options = parse("bench", "x.yaml", "x.scap", "--runs", "2")
    assert.same({ { "x.yaml" }, "x.scap", 2 }, { options.rules, options.file, options.runs })
  end)

  it("takes -M 0 for no limit", function()
    assert.is_nil(parse("-M", "0").seconds)
  end)

  it("never swallows a flag that does nothing", function()
    for _, flag in ipairs{ "-A", "-b" } do
      assert.matches("no effect", parse(flag).notes[1])
    end
    assert.matches("no effect", parse("-s", "file").notes[1])
    assert.matches("is refused", select(2, parse("--plugin-info", "json")))
    for flag, instead in pairs{ ["-t"] = "enable.tag", ["-T"] = "disable.tag", ["-D"] = "disable.rule" } do
      assert.matches("is refused: write .*" .. instead, select(2, parse(flag, "x")))
    end
    assert.is_true(parse("-i").ignored_events)
  end)

  it("shows help for the command at hand", function()
    assert.matches("%-%-list%-events", parse("--help").help)
    assert.matches("condition", parse("events", "--help").help)
    assert.matches("condition", parse("events", "x", "-h").help)
    for _, flag in ipairs{ "-c ", "-o ", "-M ", "-U", "-v", "-r ", "--dry-run", "-p ", "-P " } do
      assert.matches(flag, parse("replay", "--help").help, 1, true)
    end
    local events = parse("events", "--help").help
    for _, flag in ipairs{ "-c ", "-o ", "-M ", "-U", "-v", "-p ", "--json", "-w ", "--plain", "--only" } do
      assert.matches(flag, events, 1, true)
    end
    assert.is_nil(events:find("--pidfile", 1, true))
  end)
end)
