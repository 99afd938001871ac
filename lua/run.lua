-- SPDX-License-Identifier: Apache-2.0
-- The worker: rules and a source of events in, alerts out, numbers at the end.
--
--   load_rules   files -> a ruleset and its program
--   open         configuration -> an engine with its source
--   loop         engine_next(), match, and on a match: copy the values out for the output thread
--   reload       other rules between two events: the source and the tables stay as they are
--   finish       flush, statistics, what went wrong
local changes = require("changes")
local containers = require("containers")
local core = require("core")
local daemon = require("daemon")
local diag = require("diag")
local drops = require("drops")
local files = require("files")
local format = require("format")
local internal = require("internal")
local outputs = require("outputs")
local pidfile = require("pidfile")
local queue = require("queue")
local rules = require("rules")
local interest = require("rules.interest")
local rule_scripts = require("scripts.rule")
local schema = require("schema")
local script_check = require("scripts.check")
local script_config = require("scripts.config")
local sorted_keys = require("sorted_keys")
local stats = require("stats")
local console = require("console")
local windows = require("windows")

local M = {}

-- ------------------------------------------------------------------ rules

local function is_rules_name(path)
  return path:find("%.ya?ml$") ~= nil
end

-- Tests of rules (lua/ruletest) lie beside them.
local function is_test_name(path)
  return path:find("[_.]test%.ya?ml$") ~= nil
end

-- By kind of file: add what `path` stands for, or return why that is impossible. `named`: the user wrote it on the command
-- line, so that it must be there. What cannot be read is added like the rest: reading it says why, beside the mistakes of
-- the other files.
local ADD = {}

function ADD.missing(paths, path, named)
  if named then
    paths[#paths + 1] = path
  else
    console.info(("rules file '%s' does not exist and is left out"):format(path))
  end
end

function ADD.file(paths, path, named)
  if named or is_rules_name(path) then
    paths[#paths + 1] = path
  else
    console.warning(("rules file '%s' is left out: its name ends in neither .yaml nor .yml"):format(path))
  end
end

function ADD.dir(paths, path)
  local inside, why = files.inside(path)
  if not inside then return ("cannot read rules directory '%s': %s"):format(path, why) end
  for _, file in ipairs(inside) do
    if is_rules_name(file) and not is_test_name(file) then paths[#paths + 1] = file end
  end
end

local function add_rules_path(paths, path, named)
  local kind = files.kind(path)
  if kind then return ADD[kind](paths, path, named) end
  paths[#paths + 1] = path
  return nil
end

-- Paths of the rules files, directories opened up: those of -r, or else of the configuration. Or nil and a message.
function M.rules_files(config, options)
  local named = #options.rules > 0
  local paths = {}
  for _, path in ipairs(named and options.rules or config.rules_files) do
    local message = add_rules_path(paths, path, named)
    if message then return nil, message end
  end
  if #paths > 0 then return paths end
  if named or #config.rules_files > 0 then
    return nil, "there are no rules files at " .. table.concat(named and options.rules or config.rules_files, ", ")
  end
  return nil, "no rules: name a file with -r, or list some under rules_files in the configuration"
end

-- Paths -> what rules.load() wants: { {name =, text =} | {name =, error =}, ... }
function M.read_files(paths)
  local list = {}
  for i, path in ipairs(paths) do
    local text, why = files.read(path)
    list[i] = { name = path, text = text, error = why }
  end
  return list
end

-- Which files these are: { { path =, sha256 = }, ... }
local function sums_of(texts)
  local list, hex = {}, core.ffi.new("char[65]")
  for _, file in ipairs(texts) do
    if file.text then
      core.C.digest_sha256(file.text, #file.text, hex)
      list[#list + 1] = { path = file.name, sha256 = core.ffi.string(hex) }
    end
  end
  return list
end

-- "container_id=%container.id" for each field that says it is worth it.
local function suggested_output()
  local C, ffi, bit = core.C, core.ffi, require("bit")
  local words = {}
  for i = 0, C.field_count() - 1 do
    local info = C.field_info(i)
    if bit.band(info.flags, C.FIELD_SUGGESTED) ~= 0 then
      local name = ffi.string(info.name)
      words[#words + 1] = name:gsub("%.", "_") .. "=%" .. name
    end
  end
  return #words > 0 and table.concat(words, " ") or nil
end

-- An item of extra_fields: a field's name, or a map of keys to formats.
local function add_extra_fields(fields, item)
  if type(item) == "string" then
    fields[#fields + 1] = { name = item, format = "%" .. item, raw = true }
    return
  end
  for _, name in ipairs(sorted_keys(item)) do fields[#fields + 1] = { name = name, format = tostring(item[name]) } end
end

-- append_output of falco.yaml in the form that rules.load() takes.
function M.append_output(config)
  local list = {}
  for _, entry in ipairs(config.append_output) do
    local match, fields = entry.match or {}, {}
    for _, item in ipairs(entry.extra_fields or {}) do add_extra_fields(fields, item) end
    local texts = {}
    if entry.extra_output and entry.extra_output ~= "" then texts[1] = entry.extra_output end
    if entry.suggested_output then texts[#texts + 1] = suggested_output() end
    list[#list + 1] = {
      source = match.source, rule = match.rule, tags = match.tags, fields = fields,
      format = #texts > 0 and table.concat(texts, " ") or nil,
    }
  end
  return list
end

-- rules: of falco.yaml -> steps for rules.select().
local function selection(config)
  local steps = {}
  for _, item in ipairs(config.rules) do
    local what, enable = item.enable, true
    if not what or not (what.rule or what.tag) then what, enable = item.disable, false end
    if what and what.rule then steps[#steps + 1] = { enable = enable, rule = what.rule } end
    if what and what.tag then steps[#steps + 1] = { enable = enable, tag = what.tag } end
  end
  return steps
end

-- Whether the configuration or the rules name upstream's container plugin, which is built in here: only then are names of
-- users, say, looked up in the containers' own lists. (Rules that read container.* or k8s.* have the same effect.)
local function names_containers(config, result)
  for _, list in ipairs{ config.plugins or {}, result.required_plugin_versions or {} } do
    for _, plugin in ipairs(list) do
      if plugin.name == "container" then return true end
    end
  end
  for _, rule in ipairs(result.rules) do
    local text = rule.script and rule.script.text or ""
    if text:find("container.", 1, true) or text:find("k8s.", 1, true) then return true end
  end
  return false
end

-- Loads texts (as of read_files) into a fresh ruleset. Returns {ruleset =, result =, diags =}; see result.ok.
function M.load_rules(config, texts)
  local diags = diag.new()
  local ruleset = core.ffi.gc(core.C.ruleset_new(), core.C.ruleset_free)
  local result = rules.load{
    files = texts, ruleset = ruleset, diag = diags, min_priority = schema.priority(config.priority),
    append_output = M.append_output(config),
  }
  if result.ok then rules.select(result, selection(config)) end
  for _, name in ipairs(format.asked_fields(config)) do
    if not format.field_plan(ruleset, name, diags, "a field of route or throttle") then result.ok = false end
  end
  for _, rule in ipairs(result.rules) do
    for _, name in ipairs(rule.throttle and rule.throttle.by or {}) do
      if not format.field_plan(ruleset, name, diags, ("throttle of rule '%s'"):format(rule.name)) then result.ok = false end
    end
  end
  if names_containers(config, result) then core.C.ruleset_use_containers(ruleset) end
  return { ruleset = ruleset, result = result, diags = diags }
end

-- ------------------------------------------------------------------ source

local function open_replay(config, eng, err)
  local path = config.engine.replay.capture_file
  if path == "" then
    return "engine.kind is 'replay', but engine.replay.capture_file is not set; `falco replay FILE` sets it"
  end
  if core.C.engine_open_replay(eng, path, err) < 0 then return core.message(err) end
  return nil
end

-- Calls and tracepoints to report when nobody says: all of this machine but page faults, which are far too many.
local function everything()
  local set = core.ffi.new("struct syscall_set")
  for sc = 0, core.C.syscall_count() - 1 do
    local code = core.C.syscall_event(sc)
    set.has[sc] = code ~= 0 and code ~= core.C.event_page_fault_code()
  end
  return set
end

-- Bytes of a buffer between kernel and engine: upstream's presets.
local PRESETS = { 1, 2, 4, 8, 16, 32, 64, 128, 256, 512 }

-- live: { set = struct syscall_set or nil, seconds = }
local function open_live(config, eng, err, live)
  local driver = config.engine.modern_ebpf
  local metadata, message = containers.options(config)
  if not metadata then return message end
  local options = core.ffi.new("struct live_options", {
    want = live.set or everything(), ring_bytes = PRESETS[driver.buf_size_preset] * 1048576,
    cpus_per_ring = driver.cpus_for_each_buffer, drop_failed = driver.drop_failed_exit,
    snaplen = config.falco_libs.snaplen, full_port_first = config.falco_libs.full_capture_ports.first,
    full_port_last = config.falco_libs.full_capture_ports.last, no_iterators = driver.disable_iterators,
    purge_interval_s = config.falco_libs.thread_table_auto_purging_interval_s,
    purge_patience_s = config.falco_libs.thread_table_auto_purging_thread_timeout_s, seconds = live.seconds or 0,
    containers = metadata,
  })
  if core.C.engine_open_live(eng, options, err) < 0 then return core.message(err) end
  return nil
end

local function is_live(config)
  return config.engine.kind == "modern_ebpf"
end

local SOURCES = {
  replay = open_replay,
  modern_ebpf = open_live,
  nodriver = function() return nil end,
}

local function check_kind(kind)
  if SOURCES[kind] then return nil end
  return ("engine.kind is '%s', which this build does not have; it has %s"):format(kind,
    table.concat(schema.kinds, ", "))
end

-- struct engine_limits of a configuration.
function M.limits(config)
  local limits = config.limits
  return core.ffi.new("struct engine_limits", {
    max_threads = config.falco_libs.thread_table_size, max_fds = limits.fds_per_process, max_fd_bytes = limits.fd_bytes,
    max_strings = limits.string_bytes, max_user_bytes = limits.user_bytes,
    max_container_bytes = limits.container_bytes, max_block = limits.block_bytes, max_scratch = limits.scratch_bytes,
  })
end

-- An engine with its source open, or nil and a message. record: { path =, flags = RECORD_* }: what is read is also
-- written to a capture; nil: it is not. live: { set =, seconds = }, for a source that is a driver: the struct syscall_set to
-- report (nil: everything), and when to end.
function M.open_engine(config, record, live)
  local C, err = core.C, core.err()
  local message = check_kind(config.engine.kind)
  if message then return nil, message end
  local eng = C.engine_new(M.limits(config), err)
  if eng == nil then return nil, core.message(err) end
  if record then C.engine_record(eng, record.path, record.flags) end
  message = SOURCES[config.engine.kind](config, eng, err, live or {})
  if message then
    C.engine_free(eng)
    return nil, message
  end
  return eng
end

-- Once all is open that takes rights: of those that opened a live source only what looking things up in /proc takes is
-- kept. Threads that are started later have no more either. Programs that get alerts may be given rights of their own.
function M.give_up_rights(config)
  if not is_live(config) then return end
  local C, err = core.C, core.err()
  local flags = config.program_output.enabled and C.RIGHTS_FOR_PROGRAMS or 0
  if C.sys_keep_rights(C.RIGHTS_TO_LOOK_UP, flags, err) < 0 then console.warning(core.message(err)) end
end

-- ------------------------------------------------------------------ the loop

-- Lets every event through that rules can see, so that the clock of the events can be watched.
local function want_all(ruleset)
  for code = 0, core.C.event_count() - 1 do
    if core.C.event_is_seen(code) then core.C.ruleset_want(ruleset, code, -1) end
  end
end
M.want_all = want_all

-- Until the source ends or `alert` says so. alert(evt, n): the first n of prog.hits matched; false ends the loop.
-- idle(): called now and then while a live source has nothing; nil: nothing to do. Returns what engine_next() returned last.
function M.loop(eng, prog, alert, idle)
  local C = core.C
  local evt, match, NEXT_EVENT, NEXT_IDLE = C.engine_evt(eng), prog.match, C.NEXT_EVENT, C.NEXT_IDLE
  while true do
    local r = C.engine_next(eng)
    if r == NEXT_EVENT then
      local n = match(evt)
      if n > 0 and not alert(evt, n) then return C.NEXT_STOPPED end
    elseif r ~= NEXT_IDLE then
      return r
    elseif idle then
      idle()
    end
  end
end
jit.off(M.loop)         -- what it calls is not compiled either: lua/rules/emit.lua

-- The same, but ends `seconds` after the first event. Also returns when that is, to go on with: `deadline`.
function M.loop_until(eng, prog, alert, seconds, deadline)
  local C = core.C
  local evt, match, NEXT_EVENT = C.engine_evt(eng), prog.match, C.NEXT_EVENT
  local head = C.evt_head(evt)
  while true do
    local r = C.engine_next(eng)
    if r ~= NEXT_EVENT then return r, deadline end
    local now = tonumber(head.ts)           -- as a double: good to 256 ns
    deadline = deadline or now + seconds * 1e9
    if now >= deadline then return C.NEXT_END, deadline end
    local n = match(evt)
    if n > 0 and not alert(evt, n) then return C.NEXT_STOPPED, deadline end
  end
end

-- No source: wait for a signal or a request, or until `deadline` (nil: for good).
local function wait(deadline)
  local C = core.C
  while C.sys_stop_signal() == 0 and not C.sys_has_requests() do
    if deadline and tonumber(C.sys_now_ns()) >= deadline then return C.NEXT_END end
    C.sys_sleep(200)
  end
  return C.NEXT_STOPPED
end

-- What happens on a match: counted, and its values handed to the output thread. Goes on until no output is left.
local function alerter(work)
  local C = core.C
  local hits, prepared, counts = work.prog.hits, work.prepared, work.counts
  local outs, captures, listed = work.outs, work.windows, work.result.rules
  local open, scripts = outs:is_open(), work.scripts or {}
  local head = C.evt_head(C.engine_evt(work.eng))
  local function by_script(evt, index)
    local n = scripts[index]:run(evt, open and outs or nil)
    counts[index] = counts[index] + n
    if n > 0 and captures then captures:alert(listed[index], head) end
  end
  return function(evt, n)
    if captures then captures:look() end
    for i = 0, n - 1 do
      local index = hits[i]
      if scripts[index] then
        by_script(evt, index)
      else
        counts[index] = counts[index] + 1
        if captures then captures:alert(listed[index], head) end
        if open then outs:alert(index, C.alert_fill(evt, prepared[index].output)) end
      end
    end
    return not outs:is_lost()
  end
end

-- Was the engine stopped for work.wake() (if there is one) to do something in between, and not for good? A signal that
-- asks to end may come at any time.
local function goes_on(work)
  local C = core.C
  if work.outs:is_lost() or work.lost_too_much or not work.wake then return false end
  repeat
    if C.sys_stop_signal() ~= 0 or not work.wake() then return false end
    C.engine_resume(work.eng)
  until not C.sys_has_requests()
  return C.sys_stop_signal() == 0
end

-- Writes what falco has to say about itself to the outputs. Returns a function of it, as drops.lua and windows.lua want it.
local function teller(work)
  return function(what) work.outs:tell(internal.what(what)) end
end

-- Scripts of the rules that the worker has now; those of the rules before are over, or go on.
function M.open_scripts(work)
  work.scripts = rule_scripts.open(work.result.rules, work.prepared, {
    limits = work.config.rule_scripts.limits, live = is_live(work.config),
    tell = function(what) if work.tell then work.tell(what) end end,
  }, work.scripts)
end

-- What is to do now and then while a live source runs.
local function housekeeper(work)
  local C, losses, watch = core.C, core.ffi.new("struct live_losses"), drops.new(work.config, work.tell)
  return function()
    if work.outs:is_lost() then C.engine_stop(work.eng) end
    work.outs:watch()
    if work.daemon then work.daemon:idle() end
    if work.windows then work.windows:look() end
    if C.engine_losses(work.eng, losses)
      and not watch(tonumber(C.sys_now_ns()), losses, tonumber(C.engine_delivered(work.eng))) then
      work.lost_too_much = true
      C.engine_stop(work.eng)
    end
  end
end

-- What happened before a live source was asked to end, and is still on its way from the kernel: it counts, as far as it comes in
-- this time.
local LAST_NS = 200000000

local function last_events(work)
  local C = core.C
  local asked, limit = tonumber(C.sys_wall_ns()), tonumber(C.sys_now_ns()) + LAST_NS
  local alert, result = alerter(work), nil
  C.engine_resume(work.eng)
  repeat
    result = M.loop_until(work.eng, work.prog, alert, 0, asked)
  until result ~= C.NEXT_IDLE or tonumber(C.sys_now_ns()) >= limit
  return result < 0 and result or C.NEXT_STOPPED
end

-- Until the source ends. When the engine was stopped, work.wake() is asked: true goes on, with the rules that the worker
-- has by then.
local function run_loop(work, config, options)
  local C, result, deadline, keep = core.C, nil, nil, nil
  local nodriver = config.engine.kind == "nodriver"
  if nodriver then deadline = options.seconds and tonumber(C.sys_now_ns()) + options.seconds * 1e9 end
  repeat
    if work.keeper ~= work.config then work.keeper, keep = work.config, housekeeper(work) end
    if nodriver then
      result = wait(deadline)
    elseif options.seconds and not is_live(config) then
      result, deadline = M.loop_until(work.eng, work.prog, alerter(work), options.seconds, deadline)
    else
      result = M.loop(work.eng, work.prog, alerter(work), keep)
    end
  until result ~= C.NEXT_STOPPED or not goes_on(work)
  local asked = result == C.NEXT_STOPPED and C.sys_stop_signal() ~= 0 and not (work.lost_too_much or work.outs:is_lost())
  return asked and is_live(config) and last_events(work) or result
end

-- ------------------------------------------------------------------ from start to end

-- What a live source has to report for the worker's rules: a struct syscall_set. Says what does not fit.
local function watched(work)
  local watch = interest.of(work.result, work.config.base_syscalls)
  for _, name in ipairs(watch.unknown) do
    console.warning(("base_syscalls.custom_set: no system call is called '%s'"):format(name))
  end
  if #watch.left_out > 0 then
    console.warning("rules name system calls that are not watched (base_syscalls): " .. table.concat(watch.left_out, ", "))
  end
  console.engine("info", ("watching %d kinds of events: %s"):format(#watch.names, table.concat(watch.names, ", ")))
  return watch.set
end

-- Gives a worker the rules that load_rules() brought: their program, and what alerts need of each.
local function take_rules(work, loaded)
  work.ruleset, work.result = loaded.ruleset, loaded.result
  work.formatter = format.new(work.config, work.ruleset)
  work.config.script_paths = rule_scripts.paths(work.result.rules)
  work.prepared, work.counts = {}, {}
  for i, rule in ipairs(work.result.rules) do
    work.prepared[i] = work.formatter:prepare(rule)
    work.counts[i] = 0
  end
  if work.outs then work.outs:use(work.prepared) end
  work.prog = rules.compile(work.result, { matching = work.config.rule_matching })
  if work.options.seconds and not is_live(work.config) then want_all(work.ruleset) end
end

-- A worker without a source: { config, options, ruleset, result, prog, formatter, prepared, counts }.
function M.worker(config, options, loaded)
  local work = { config = config, options = options }
  take_rules(work, loaded)
  return work
end

local MOST_PAST = 10000          -- rules that are gone, and whose alerts are remembered

-- Alerts of rules that go on under the same name are counted on, also when they were away for a while. work.past: name -> the
-- rule and its number, of those that are away and had alerts.
local function carry_counts(work, old_rules, old_counts)
  local by_name, past = {}, work.past or { n = 0, rules = {} }
  work.past = past
  for i, rule in ipairs(old_rules) do by_name[rule.name] = { rule = rule, count = old_counts[i] } end
  for i, rule in ipairs(work.result.rules) do
    local was = by_name[rule.name] or past.rules[rule.name]
    work.counts[i] = was and was.count or 0
    if past.rules[rule.name] then past.rules[rule.name], past.n = nil, past.n - 1 end
    by_name[rule.name] = nil
  end
  for name, was in pairs(by_name) do
    if was.count > 0 and past.n < MOST_PAST then
      past.rules[name], past.n = { rule = { name = name, priority = was.rule.priority }, count = was.count }, past.n + 1
    end
  end
end

-- Rules and their counts, those that are gone too.
local function all_counts(work)
  local list, counts = {}, {}
  for i, rule in ipairs(work.result.rules) do list[i], counts[i] = rule, work.counts[i] end
  local gone = work.past and work.past.rules or {}
  for _, name in ipairs(sorted_keys(gone)) do 
    list[#list + 1] = gone[name].rule
    counts[#list] = gone[name].count
  end
  return list, counts
end

-- Other rules for a worker whose engine stands between two events: after engine_next() returned, and after the alerts of
-- its event. Threads, descriptors and the place in the source stay. texts: as of read_files(). config: another configuration,
-- too; nil: the worker's. Returns true and the diagnostics (warnings, perhaps); or false and the diagnostics, and then all is
-- still what it was.
function M.reload(work, texts, config)
  local loaded = M.load_rules(config or work.config, texts)
  if not loaded.result.ok then return false, loaded.diags end
  local old_rules, old_counts = work.result.rules, work.counts
  work.config = config or work.config
  take_rules(work, loaded)
  carry_counts(work, old_rules, old_counts)
  if is_live(work.config) then
    local err = core.err()
    if core.C.engine_live_want(work.eng, watched(work), err) < 0 then console.error(core.message(err)) end
  end
  core.C.engine_use(work.eng, work.ruleset)
  M.open_scripts(work)
  jit.flush()                               -- traces of the old code would only take up room
  return true, loaded.diags
end

-- Keys that the outputs are opened with, besides NAME_output, and that lines are made with.
local OUTPUT_KEYS = { "route", "throttle", "buffered_outputs", "outputs_queue", "outputs_spool", "output_timeout", "json_output", "json_include_output_property",
  "json_include_message_property", "json_include_output_fields_property", "json_include_tags_property", "time_format_iso_8601",
  "scripts", "scripts_dir", "scripts_state_dir" }

local function concerns_outputs(keys)
  for _, key in ipairs(keys) do
    if key:find("^[%w_]+_output%f[.%z]") then return true end
  end
  for _, key in ipairs(OUTPUT_KEYS) do
    if changes.touches(keys, key) then return true end
  end
  return false
end

local function new_outputs(work, config, keys)
  if script_config.face(config) == work.scripts_face and not concerns_outputs(keys) then return work.outs end
  return queue.start(config, { unbuffered = work.options.unbuffered, verbose = work.options.verbose, live = is_live(config) })
end

-- Another configuration and what it names for a worker between two events. keys: what differs. Returns what changed of the
-- rules (see changes.lua); or nil and a message ("" when it was shown already), and then all is still what it was.
local function reconfigure(work, config, keys)
  local paths, message = M.rules_files(config, work.options)
  if not paths then return nil, message end
  local outs
  outs, message = new_outputs(work, config, keys)
  if not outs then return nil, message end
  local old_outs, old_rules = work.outs, work.result.rules
  local texts = M.read_files(paths)
  local ok, diags = M.reload(work, texts, config)
  console.diagnostics(diags)
  if not ok then
    if outs ~= old_outs then outs:cancel() end
    return nil, ""
  end
  work.rules_sums, work.config_sums = sums_of(texts), sums_of(M.read_files(config.files))
  console.set_level(config.log_level, config.log_stderr, work.options.verbose, config.libs_logger)
  console.set_syslog(config.log_syslog, os.getenv("FALCO_SYSLOG_SOCKET"))
  if outs ~= old_outs then
    old_outs:cancel()
    work.outs, work.scripts_face = outs, script_config.face(config)
    outs:use(work.prepared)
  end
  if changes.touches(keys, "capture") then
    if work.windows then work.windows:close() end
    work.windows = windows.new(config.capture, work.eng, work.tell)
  end
  local rules_changed = changes.rules(old_rules, work.result.rules)
  collectgarbage()          -- what the old ruleset holds in C the collector does not see
  return rules_changed
end

-- For a dry run: nil, or "" when mistakes were shown.
local function check_rest(config, list)
  local problems, warnings = script_check.all(config, list)
  problems[#problems + 1] = outputs.check(config)
  for _, problem in ipairs(problems) do console.error(problem) end
  for _, warning in ipairs(warnings) do console.warning(warning) end
  return #problems > 0 and "" or nil
end

local function is_asked_to_end()
  return core.C.sys_stop_signal() ~= 0
end

local STOPPED = {}           -- in place of a message: it was not to begin

-- Everything that can fail before the first event: nil, or a message ("" when it was shown already), or STOPPED.
local function set_up(work, config, options)
  if not options.dry_run then work.daemon:watch() end
  local paths, message = M.rules_files(config, options)
  if not paths then return message end
  for _, path in ipairs(paths) do console.info("loading rules from " .. path) end
  local texts = M.read_files(paths)
  if is_asked_to_end() then return STOPPED end
  local loaded = M.load_rules(config, texts)
  if is_asked_to_end() then return STOPPED end
  console.diagnostics(loaded.diags)
  if not loaded.result.ok then return "" end
  work.rules_sums, work.config_sums = sums_of(texts), sums_of(M.read_files(config.files))
  if not outputs.is_configured(config) then console.warning("no output is enabled; alerts are only counted") end
  take_rules(work, loaded)
  if config.script_paths and not options.dry_run then work.daemon:watch() end
  rules.jit_options()
  message = check_kind(config.engine.kind)
  if message or options.dry_run then return message or check_rest(config, work.result.rules) end

  work.outs, message = queue.start(config, { unbuffered = options.unbuffered, verbose = options.verbose, live = is_live(config) })
  if not work.outs then return message end
  work.scripts_face = script_config.face(config)
  work.outs:use(work.prepared)
  local live = is_live(config) and { set = watched(work), seconds = options.seconds } or nil
  work.eng, message = M.open_engine(config, nil, live)
  if not work.eng then return is_asked_to_end() and STOPPED or message end
  core.C.engine_use(work.eng, work.ruleset)
  work.tell = teller(work)
  M.open_scripts(work)
  work.windows = windows.new(config.capture, work.eng, work.tell)
  local ok
  ok, message = work.daemon:open()
  if not ok then return message end
  if options.pidfile then
    work.pidfile, message = pidfile.write(options.pidfile)
    if not work.pidfile then return message end
  end
  M.give_up_rights(config)
  work.daemon:start()
  return nil
end

-- They go to standard output, as upstream has it. `falco replay` is ours and made for pipes: only people see them.
local function wants_statistics(options)
  return options.command ~= "replay" or options.verbose or core.C.sys_isatty(1)
end

local function finish(work, result, options)
  local C = core.C
  local failures = {}
  if result < 0 then failures[1] = core.cstr(C.engine_error(work.eng)) end
  if work.lost_too_much then failures[#failures + 1] = "too many events were lost" end
  if work.windows then work.windows:close() end
  local lost = work.outs:is_lost()
  work.outs:finish(C.sys_stop_signal() ~= 0 or is_live(work.config))
  if wants_statistics(options) and not (lost or work.outs.lost) then
    console.print(stats.rules_text(all_counts(work)))
  end
  for _, message in ipairs(work.outs:failures()) do failures[#failures + 1] = message end
  -- after a failure the counters would only repeat what the failure says
  if options.verbose or #failures == 0 then stats.engine(work.eng, work.started, options.verbose) end
  work.outs:warn()
  return failures
end

-- A signal that comes now asks for what is being done, and must not spoil how the program ends.
local function tear_down(work)
  core.C.sys_hold_signals()
  core.C.sys_serve_requests(false)
  work.daemon:close()
  if work.pidfile then pidfile.remove(work.pidfile) end
  if work.outs then work.outs:free() end
  if not work.eng then return end
  core.C.sys_stop_on_signals(nil)
  core.C.engine_use(work.eng, nil)
  core.C.engine_free(work.eng)
  work.eng = nil
end

-- Runs to the end of the source; returns the exit status. read_config: the configuration as it is now, see daemon.lua
function M.run(config, options, read_config)
  local work = { config = config, options = options }
  work.daemon = daemon.new(work, read_config, function(new, keys) return reconfigure(work, new, keys) end)
  work.wake = function() return work.daemon:wake() end
  local message = set_up(work, config, options)
  if message or options.dry_run then
    tear_down(work)
    if message == STOPPED then return 0 end
    if message and message ~= "" then console.error(message) end
    return message and 1 or 0
  end
  core.C.sys_stop_on_signals(work.eng)
  work.started = { cpu = core.C.sys_cpu_ns(), wall = core.C.sys_now_ns() }
  local result = run_loop(work, config, options)
  work.daemon:stopping()
  local failures = finish(work, result, options)
  for _, failure in ipairs(failures) do console.error(failure) end
  tear_down(work)
  return #failures > 0 and 1 or 0
end

return M
