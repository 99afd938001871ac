-- SPDX-License-Identifier: Apache-2.0
local conf = require "conf"
local diag = require "diag"

local directory

local function write(name, text)
  local path = directory .. "/" .. name
  local f = assert(io.open(path, "w"))
  f:write(text)
  f:close()
  return path
end

-- The configuration and the diagnostics of a file's text.
local function load(text, set)
  local diags = diag.new()
  local config = conf.load{ path = text and write("falco.yaml", text), set = set, diag = diags }
  return config, diags
end

local function messages(diags)
  local list = {}
  for i, d in ipairs(diags:sorted()) do list[i] = ("%d:%d %s"):format(d.line or 0, d.column or 0, d.message) end
  return list
end

describe("configuration", function()
  setup(function()
    directory = os.tmpname()
    os.remove(directory)
    assert(os.execute("mkdir -p " .. directory .. "/d"))
  end)

  teardown(function()
    os.execute("rm -rf " .. directory)
  end)

  it("has every default without a file", function()
    local config = load(nil)
    assert.is_false(config.json_output)
    assert.equal("debug", config.priority)
    assert.equal(262144, config.falco_libs.thread_table_size)
    assert.same({}, config.rules_files)
    assert.is_nil(config.given.engine)
  end)

  it("reads values of every type", function()
    local config, diags = load([[
engine: {kind: replay, replay: {capture_file: "-"}}
rules_files: [a.yaml, b.yaml]
rules:
  - disable: {rule: "*"}
  - enable: {tag: net}
json_output: yes
json_include_tags_property: "off"
syscall_event_drops: {threshold: .25, actions: [log]}
falco_libs: {thread_table_size: 0x100}
append_output:
  - match: {source: syscall, tags: [a]}
    extra_output: x
    extra_fields: [evt.num, {k: "%evt.type"}]
stdout_output:
]])
    assert.equal(0, diags.errors)
    assert.equal("-", config.engine.replay.capture_file)
    assert.same({ "a.yaml", "b.yaml" }, config.rules_files)
    assert.equal("*", config.rules[1].disable.rule)
    assert.equal("net", config.rules[2].enable.tag)
    assert.is_true(config.json_output)
    assert.is_false(config.json_include_tags_property)
    assert.equal(.25, config.syscall_event_drops.threshold)
    assert.equal(256, config.falco_libs.thread_table_size)
    assert.same({ "evt.num", { k = "%evt.type" } }, config.append_output[1].extra_fields)
    assert.is_false(config.stdout_output.enabled)
    assert.is_true(config.given.engine)
  end)

  it("finds all mistakes, with their places", function()
    local config, diags = load([[
jsn_output: true
json_output: ture
engine: {knd: replay, kind: repaly}
webserver: {listen_port: 99999}
stdout_output: on
rules_files: {a: b}
outputs_queue: {capacity: -1}
]])
    assert.is_nil(config)
    assert.same({
      "1:1 unknown key 'jsn_output'",
      "2:14 'json_output' wants true or false, not 'ture'",
      "3:10 unknown key 'knd' in 'engine'",
      "3:29 'engine.kind' must be one of kmod, modern_ebpf, replay, nodriver, not 'repaly'",
      "4:26 'webserver.listen_port' must be 0 to 65535, not 99999",
      "5:16 'stdout_output' wants a map of keys, not a single value",
      "6:14 'rules_files' wants a list, not a map of keys",
      "7:27 'outputs_queue.capacity' must be 0 to 4294967295, not -1",
    }, messages(diags))
    assert.equal("json_output", diags:sorted()[1].near)
    assert.equal("kind", diags:sorted()[3].near)
    assert.equal("replay", diags:sorted()[4].near)
  end)

  it("wants keys that cannot be left out", function()
    local _, diags = load("engine: {replay: {capture_file: x}}\n")
    assert.same({ "1:9 'engine' lacks the key 'kind'" }, messages(diags))
    assert.is_table(load("engine: {replay: {capture_file: x}}\n", { "engine.kind=replay" }))
  end)

  it("takes old names, but not together with new ones", function()
    local config, diags = load("rules_file: a.yaml\n")
    assert.same({ "a.yaml" }, config.rules_files)
    assert.equal(1, diags.warnings)
    config = load("rules_file: a.yaml\nrules_files: [b.yaml]\n")
    assert.is_nil(config)
  end)

  it("warns of what is switched on but missing, and of nothing else", function()
    local config, diags = load([[
grpc_output: {enabled: true}
file_output: {enabled: false, filename: x}
plugins: [{name: container, library_path: libcontainer.so}]
static_fields: {a: b}
]])
    assert.is_table(config)
    local keys = {}
    for i, missing in ipairs(config.missing) do keys[i] = missing.key end
    assert.same({ "grpc_output.enabled", "static_fields" }, keys)
    assert.equal(2, diags.warnings)
  end)

  it("warns of every key without effect that asks for something", function()
    local asking = {
      "buffer_format_base64=true",
    }
    for _, set in ipairs(asking) do
      local config, diags = load(nil, { set })
      assert.equal(1, diags.warnings, set)
      assert.equal(set:match("^[^=]+"), config.missing[1].key)
    end
  end)

  it("does not warn of such keys when they ask for nothing", function()
    local _, diags = load([[
watch_config_files: false
log_syslog: false
libs_logger: {enabled: true, severity: info}
output_timeout: 2000
outputs_queue: {capacity: 0}
syscall_event_timeouts: {max_consecutives: 1000}
syscall_event_drops: {threshold: .1, actions: [alert, log], rate: .03333, max_burst: 1, simulate_drops: false}
base_syscalls: {custom_set: [], repair: false, all: false}
falco_libs: {snaplen: 80, thread_table_auto_purging_interval_s: 300}
webserver: {enabled: false}
]])
    assert.same({}, messages(diags))
  end)

  it("picks the plugins that load_plugins names", function()
    local plugins = "plugins: [{name: a, library_path: a.so}, {name: b, library_path: b.so}]\n"
    assert.equal(2, #load(plugins).plugins)
    assert.equal("b", load(plugins .. "load_plugins: [b]\n").plugins[1].name)
    assert.is_nil((load(plugins .. "load_plugins: [c]\n")))
  end)

  it("wants no entry for the container plugin, which is built in", function()
    assert.equal("container", load("load_plugins: [container]\n").plugins[1].name)
  end)

  describe("environment", function()
    it("fills variables in", function()
      local home = os.getenv("HOME")
      assert.equal("a" .. home .. "b", conf.expand_env("a${HOME}b"))
      assert.equal("ab", conf.expand_env("a${NO_SUCH_VARIABLE_HERE}b"))
      assert.equal("${HOME}", conf.expand_env("$${HOME}"))
      assert.equal("$HOME $ ${", conf.expand_env("$HOME $ ${"))
    end)

    it("does so in values of files", function()
      assert.same({ os.getenv("HOME") .. "/x", "${HOME}" },
        load('rules_files: ["${HOME}/x", "$${HOME}"]\n').rules_files)
    end)
  end)

  describe("included files", function()
    local function merged(strategy)
      write("one.yaml", "rules_files: [two]\njson_output: true\npriority: error\n")
      local entry = strategy and ("{path: %s/one.yaml, strategy: %s}"):format(directory, strategy) or directory
        .. "/one.yaml"
      return load(("config_files: [%s]\nrules_files: [one]\npriority: alert\n"):format(entry))
    end

    it("append by default", function()
      local config = merged()
      assert.same({ "one", "two" }, config.rules_files)
      assert.equal("error", config.priority)
      assert.is_true(config.json_output)
      assert.equal(2, #config.files)
    end)

    it("override", function()
      local config = merged("override")
      assert.same({ "two" }, config.rules_files)
      assert.equal("error", config.priority)
    end)

    it("only add", function()
      local config = merged("add-only")
      assert.same({ "one" }, config.rules_files)
      assert.equal("alert", config.priority)
      assert.is_true(config.json_output)
    end)

    it("come from directories in order, and may be absent", function()
      write("d/2.yaml", "priority: notice\nrules_files: [y]\n")
      write("d/1.yaml", "priority: error\nrules_files: [x]\n")
      local config, diags = load(("config_files: [%s/d, /no/such/file]\n"):format(directory))
      assert.same({}, messages(diags))
      assert.equal("notice", config.priority)
      assert.same({ "x", "y" }, config.rules_files)
    end)

    it("include nothing themselves", function()
      write("d/2.yaml", "config_files: [x]\n")
      local config, diags = load(("config_files: [%s/d]\n"):format(directory))
      assert.is_nil(config)
      assert.equal("1:1 'config_files' is for the main configuration file only", messages(diags)[1])
      assert.matches("2.yaml$", diags:sorted()[1].file)
    end)

    it("are not the main file", function()
      assert.is_nil((load(("config_files: [%s/falco.yaml]\n"):format(directory))))
    end)
  end)

  describe("-o", function()
    it("sets keys at any depth", function()
      local config = load("rules_files: [a, b]\n", {
        "engine.kind=replay", "engine.replay.capture_file=x.scap", "rules_files[1]=c", "rules_files[]=d",
        "rules[0].disable.rule=*", "append_output[]={extra_output: hello, suggested_output: true}",
          "json_output=true",
      })
      assert.equal("x.scap", config.engine.replay.capture_file)
      assert.same({ "a", "c", "d" }, config.rules_files)
      assert.equal("*", config.rules[1].disable.rule)
      assert.equal("hello", config.append_output[1].extra_output)
      assert.is_true(config.json_output)
    end)

    it("wins over files, also those it names itself", function()
      write("three.yaml", "priority: error\njson_output: true\n")
      local config = load("priority: alert\n", { "config_files=" .. directory .. "/three.yaml", "priority=notice" })
      assert.equal("notice", config.priority)
      assert.is_true(config.json_output)
    end)

    it("has mistakes too", function()
      local _, diags = load(nil, { "jsn_output=1", "nonsense", "a..b=1", "rules_files[7]=x",
        "rules_files[99999999999999999999]=x", "json_output.x=1" })
      local found = {}
      for i, d in ipairs(diags:sorted()) do found[i] = ("%s %d: %s"):format(d.file, d.column, d.message) end
      assert.same({
        "-o jsn_output=1 1: unknown key 'jsn_output'",
        "-o nonsense 1: -o wants key=value",
        "-o a..b=1 3: a name is missing before '.'",
        "-o rules_files[7]=x 12: there is no item 7: the list has 0",
        "-o rules_files[99999999999999999999]=x 12: there is no item 99999999999999999999",
        "-o json_output.x=1 1: 'json_output' wants true or false, not a map of keys",
      }, found)
    end)

    it("splits keys", function()
      assert.same({ "a", "b.c", 3, 0, "d[e]\\", false }, (conf.parse_key("a.b\\.c[3][0].d\\[e\\]\\\\[]")))
      assert.is_nil((conf.parse_key("a.")))
      assert.is_nil((conf.parse_key("[1]")))
      assert.is_nil((conf.parse_key("a[x]")))
      assert.is_nil((conf.parse_key([[a\b]])))
      assert.is_nil((conf.parse_key("")))
    end)
  end)

  it("is one document", function()
    local config, diags = load("priority: error\n---\njson_output: true\n")
    assert.is_nil(config)
    assert.same({ "3:1 a configuration file is one YAML document; this is a second one" }, messages(diags))
    assert.equal("error", load("---\npriority: error\n---\n").priority)
  end)

  it("has numbers that are some", function()
    for _, value in ipairs{ "nan", "inf", "-inf", "1e999" } do
      local config, diags = load(nil, { "syscall_event_drops.rate=" .. value })
      assert.is_nil(config, value)
      assert.equal(("1:26 'syscall_event_drops.rate' wants a number, not '%s'"):format(value), messages(diags)[1])
    end
  end)

  it("notes which included files do not exist, and stops at those that cannot be reached", function()
    assert.same({ "/no/such/file" }, load("config_files: [/no/such/file]\n").absent)
    local loop = directory .. "/loop"
    assert(os.execute(("ln -s '%s' '%s'"):format(loop, loop)))
    local config, diags = load(("config_files: [%s]\n"):format(loop))
    assert.is_nil(config)
    assert.equal(("1:16 cannot read configuration '%s': Too many levels of symbolic links"):format(loop),
      messages(diags)[1])
  end)

  it("reports files that cannot be read", function()
    local diags = diag.new()
    assert.is_nil(conf.load{ path = "/no/such/file.yaml", diag = diags })
    assert.equal("cannot read configuration file '/no/such/file.yaml': No such file or directory",
      diags.items[1].message)
    diags = diag.new()
    assert.is_nil(conf.load{ path = directory, diag = diags })
    assert.matches("Is a directory", diags.items[1].message)
    diags = diag.new()
    assert.is_nil(conf.load{ path = "/proc/self/mem", diag = diags })
    assert.equal("cannot read configuration file '/proc/self/mem': Input/output error", diags.items[1].message)
    local config, bad = load("a: [\n")
    assert.is_nil(config)
    assert.matches("not valid YAML", bad.items[1].message)
    assert.is_nil(bad.items[1].code)
    assert.is_nil((load("- a\n- b\n")))
    assert.is_table((load("")))
  end)

  it("accepts the configuration that comes with falco", function()
    local diags = diag.new()
    assert.is_table(conf.load{ path = "conf/falco.yaml", diag = diags })
    assert.same({}, messages(diags))
  end)
end)
