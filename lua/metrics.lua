-- SPDX-License-Identifier: Apache-2.0
-- Numbers about the program itself: `metrics` of falco.yaml.
--   local set = metrics.gather(work, previous)     all that the configuration asks for, as of now; previous: the set before
--   metrics.prometheus(set)                        text for /metrics
--   set.fields                                     for the alert and the file: name -> number or text
-- Names and units are Falco's where it has such a number, so that dashboards go on; the others' names begin alike.
local core = require("core")
local files = require("files")
local script_counts = require("scripts.counts")
local sorted_keys = require("sorted_keys")

local M = {}

local NS = "falcosecurity_"

-- ------------------------------------------------------------------ sets

local Set = {}
Set.__index = Set

-- One sample of a family. labels: nil, or a map
function Set:sample(name, kind, help, value, labels)
  local family = self.families[name]
  if not family then
    family = { name = NS .. name, kind = kind, help = help, samples = {} }
    self.families[name] = family
    self.order[#self.order + 1] = family
  end
  family.samples[#family.samples + 1] = { value = value, labels = labels }
end

-- A fact in a label.
function Set:info(name, help, labels)
  self:sample(name .. "_info", "gauge", help, 1, labels)
end

function Set:field(name, value)
  if value ~= 0 or self.zeros then self.fields[name] = value end
end

-- ------------------------------------------------------------------ text for Prometheus

local ESCAPES = { ["\\"] = "\\\\", ['"'] = '\\"', ["\n"] = "\\n" }

local function label_name(name)
  name = name:gsub("[^%w_]", "_"):gsub("__+", "_")
  return name:find("^%a") and name or "_" .. name
end

local function labels_text(labels)
  local parts, seen = {}, {}
  for _, key in ipairs(sorted_keys(labels)) do
    local name = label_name(key)
    if not seen[name] then
      seen[name] = true
      parts[#parts + 1] = ('%s="%s"'):format(name, (labels[key]:gsub('[\\"\n]', ESCAPES)))
    end
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

local function number(value)
  if type(value) == "cdata" then return (tostring(value):gsub("U?LL$", "")) end
  if value ~= value then return "NaN" end
  if value == math.floor(value) and math.abs(value) < 2 ^ 53 then return ("%d"):format(value) end
  local short = ("%.15g"):format(value)
  return tonumber(short) == value and short or ("%.17g"):format(value)
end
M.number = number

function M.prometheus(set)
  local out = {}
  for _, family in ipairs(set.order) do
    out[#out + 1] = ("# HELP %s %s\n# TYPE %s %s\n"):format(family.name, family.help, family.name, family.kind)
    for _, sample in ipairs(family.samples) do
      out[#out + 1] = ("%s%s %s\n"):format(family.name, sample.labels and labels_text(sample.labels) or "", number(sample.value))
    end
  end
  return table.concat(out)
end

-- ------------------------------------------------------------------ about the run

local function basename(path) return path:match("[^/]*$") end

-- As Falco writes names of rules and files in fields.
function M.plain_name(name)
  return (name:gsub("[^%w_:]", "_"):gsub("__+", "_"):gsub("_$", ""))
end

local ENGINES = { modern_ebpf = "modern_bpf", replay = "savefile", nodriver = "nodriver" }

local function first_line(path)
  return (files.read(path) or ""):match("^[^\n]*")
end

local function boot_time_ns()
  local seconds = (files.read("/proc/stat") or ""):match("btime (%d+)")
  return seconds and tonumber(seconds) * 1000000000ULL or nil
end

local function cpu_count()
  local _, n = (files.read("/proc/stat") or ""):gsub("\ncpu%d+ ", "")
  return n
end

local function about_run(set, work)
  local C, now = core.C, core.C.sys_wall_ns()
  local version, kernel = core.cstr(C.falco_version()), first_line("/proc/sys/kernel/osrelease")
  local host, engine = first_line("/proc/sys/kernel/hostname"), ENGINES[work.config.engine.kind]
  local boot, seconds = boot_time_ns(), math.floor(tonumber(now - work.wall_start) / 1e9)
  local fields = set.fields
  fields["evt.time"], fields["evt.hostname"], fields["evt.source"] = now, host, "syscall"
  fields["falco.version"], fields["falco.kernel_release"], fields["scap.engine_name"] = version, kernel, engine
  fields["falco.start_ts"], fields["falco.duration_sec"], fields["falco.reload_ts"] = work.wall_start, seconds, work.reload_wall
  fields["falco.host_boot_ts"], fields["falco.host_num_cpus"] = boot, cpu_count()
  set:info("falco_version", "Version of falco.", { version = version })
  set:info("scap_engine_name", "Where events come from.", { engine_name = engine, evt_source = "syscall" })
  set:info("falco_kernel_release", "Kernel of the host.", { kernel_release = kernel })
  set:info("evt_hostname", "Name of the host.", { hostname = host })
  set:sample("falco_start_timestamp_nanoseconds", "gauge", "When falco was started.", work.wall_start)
  set:sample("falco_reload_timestamp_nanoseconds", "gauge", "When rules and configuration were last loaded.", work.reload_wall)
  set:sample("falco_duration_seconds_total", "counter", "How long falco has been running.", seconds)
  if boot then set:sample("falco_host_boot_timestamp_nanoseconds", "gauge", "When the host was started.", boot) end
  set:sample("falco_host_num_cpus_total", "gauge", "CPUs of the host.", cpu_count())
end

-- list: { { path =, sha256 = }, ... }
local function about_files(set, kind, list)
  for _, file in ipairs(list or {}) do
    local name = basename(file.path)
    set:info(("falco_sha256_%s_files"):format(kind), ("What the %s files that were loaded hold."):format(kind),
      { file_name = name, sha256 = file.sha256 })
    set.fields[("falco.sha256_%s_file.%s"):format(kind, M.plain_name(name))] = file.sha256
  end
end

local function about_events(set, work, previous)
  local events = tonumber(core.C.engine_delivered(work.eng))
  local before, seconds = previous and previous.events or 0, previous and (set.time - previous.time) / 1e9 or 0
  set.events = events
  set.fields["falco.num_evts"], set.fields["falco.num_evts_prev"] = events, before
  if before ~= 0 and seconds > 0 then
    set.fields["falco.evts_rate_sec"] = math.floor((events - before) / seconds * 10 + .5) / 10
  end
  set:sample("falco_num_evts_total", "counter", "Events that were looked at.", events)
end

local function about_reloads(set, work)
  local daemon = work.daemon
  if not daemon then return end
  set:sample("falco_reloads_total", "counter", "How often rules and configuration were loaded anew.", daemon.reloads, { result = "ok" })
  set:sample("falco_reloads_total", "counter", "", daemon.failed_reloads, { result = "failed" })
  if work.web then
    local stats = core.ffi.new("struct web_stats")
    core.C.web_stats(work.web, stats)
    set:sample("falco_webserver_requests_total", "counter", "Requests to the web server.", stats.requests)
    set:sample("falco_webserver_refused_total", "counter", "Requests that got an error for an answer.", stats.refused)
    set:sample("falco_webserver_cut_total", "counter", "Connections that took too long.", stats.cut)
  end
  set:sample("falco_syslog_lost_total", "counter", "Messages for the log that syslog did not take.", core.C.notify_syslog_lost())
end

-- ------------------------------------------------------------------ rules

local function tag_labels(rule)
  local labels = { rule_name = rule.name, priority = tostring(rule.priority), source = rule.source }
  for _, tag in ipairs(rule.tags) do labels["tag_" .. tag] = "true" end
  return labels
end

-- ns for each event that some rule looks at; nil: not known.
local function cost_of(work, index)
  local number_of = work.prog.gate_number[index]
  if not number_of then return nil end
  local cost = core.ffi.new("struct gate_cost")
  core.C.ruleset_gate_cost(work.ruleset, number_of, cost)
  local samples = tonumber(cost.samples)
  return samples > 0 and cost.ns / samples or nil
end
M.cost_of = cost_of

local function about_rules(set, work)
  local total = 0
  for i, rule in ipairs(work.result.rules) do
    local n = work.counts[i]
    total = total + n
    if n > 0 then set:sample("falco_rules_matches_total", "counter", "Alerts of each rule.", n, tag_labels(rule)) end
    set:field("falco.rules." .. M.plain_name(rule.name), n)
  end
  set.fields["falco.rules.matches_total"] = total
  for i, rule in ipairs(work.result.rules) do
    local ns = cost_of(work, i)
    if ns then
      set:sample("falco_rules_nanoseconds_per_event", "gauge",
        "What each rule alone costs for an event that some rule looks at; measured on a few of them.", ns, { rule_name = rule.name })
    end
  end
end

local function about_gate(set, work)
  local C, sum = core.C, {}
  local names = { [C.GATE_PASSES] = "passes", [C.GATE_BY_TYPE] = "type", [C.GATE_BY_PROCESS] = "process",
    [C.GATE_BY_DESCRIPTOR] = "descriptor", [C.GATE_BY_CONDITION] = "condition" }
  local stats = core.ffi.new("struct gate_stats")
  for code = 0, C.event_count() - 1 do
    C.ruleset_gate_stats(work.ruleset, code, stats)
    for verdict in pairs(names) do sum[verdict] = (sum[verdict] or 0) + tonumber(stats.verdicts[verdict]) end
  end
  for verdict = 0, C.GATE_VERDICTS - 1 do
    if verdict ~= C.GATE_BY_TYPE then
      set:sample("falco_gate_events_total", "counter", "Events of types that rules look at, by what dismissed them.", sum[verdict],
        { verdict = names[verdict] })
    end
  end
end

-- ------------------------------------------------------------------ memory and processor

local function memory(set, name, kb, help)
  if not kb then return end
  set:sample(("falco_%s_bytes"):format(name), "gauge", help, kb * 1024)
  if set.megabytes then
    set:field(("falco.%s_mb"):format(name), math.floor(kb / 1024 * 1000 + .5) / 1000)
  else
    set:field(("falco.%s_kb"):format(name), kb)
  end
end

local function percent(set, name, value, help)
  set:sample(("falco_%s_ratio"):format(name), "gauge", help, value / 100)
  set:field(("falco.%s_perc"):format(name), math.floor(value * 10 + .5) / 10)
end

local function host_cpu()
  local numbers = {}
  for n in ((files.read("/proc/stat") or ""):match("^cpu ([^\n]*)") or ""):gmatch("%d+") do numbers[#numbers + 1] = tonumber(n) end
  local total = 0
  for i = 1, 8 do total = total + (numbers[i] or 0) end
  return total > 0 and 100 * (total - (numbers[4] or 0) - (numbers[5] or 0)) / total or 0
end

local function about_resources(set, work)
  local status, rollup = files.read("/proc/self/status") or "", files.read("/proc/self/smaps_rollup") or ""
  local mem, stat = files.read("/proc/meminfo") or "", files.read("/proc/stat") or ""
  local function kb(text, key) return tonumber(text:match(key .. ":%s*(%d+)")) end
  local wall = math.max(tonumber(core.C.sys_now_ns() - work.clock_start), 1)
  percent(set, "cpu_usage", 100 * tonumber(core.C.sys_cpu_ns()) / wall, "Processor time of falco; 1 is one CPU.")
  memory(set, "memory_rss", kb(status, "VmRSS"), "Memory of falco that is resident.")
  memory(set, "memory_vsz", kb(status, "VmSize"), "Address space of falco.")
  memory(set, "memory_pss", kb(rollup, "Pss"), "Memory of falco, shared parts divided.")
  percent(set, "host_cpu_usage", host_cpu(), "Processor time of the host since its start.")
  if kb(mem, "MemTotal") then
    memory(set, "host_memory_used", kb(mem, "MemTotal") - (kb(mem, "MemFree") or 0) - (kb(mem, "Buffers") or 0) - (kb(mem, "Cached") or 0),
      "Memory of the host in use.")
  end
  local running, open = tonumber(stat:match("procs_running (%d+)")), tonumber((files.read("/proc/sys/fs/file-nr") or ""):match("%d+"))
  set:sample("falco_host_procs_running_total", "gauge", "Processes that run.", running or 0)
  set:field("falco.host_procs_running", running or 0)
  set:sample("falco_host_open_fds_total", "gauge", "Open files of the host.", open or 0)
  set:field("falco.host_open_fds", open or 0)
  local cgroup = os.getenv("FALCO_CGROUP_MEM_PATH") or "/sys/fs/cgroup/memory/memory.usage_in_bytes"
  local used = tonumber(first_line(cgroup):match("^%d+"))
  if used then memory(set, "container_memory_used", used / 1024, "Memory of falco's control group.") end
end

-- ------------------------------------------------------------------ engine and kernel

-- Counters of the engine that Falco has names for.
local STATE = {
  ["threads"] = { "n_threads", "gauge", "Threads that are known." },
  ["descriptors"] = { "n_fds", "gauge", "Descriptors that are known." },
  ["threads not kept (table full: falco_libs.thread_table_size)"] = { "n_drops_full_threadtable", "counter",
    "Threads for which there was no room." },
}

local function about_state(set, work)
  local C, value, alarming, i = core.C, core.ffi.new("uint64_t[1]"), core.ffi.new("bool[1]"), 0
  while true do
    local name = core.cstr(C.engine_stat(work.eng, i, value, alarming))
    if not name then return end
    local known = STATE[name]
    if known then
      set:sample(("scap_%s_total"):format(known[1]), known[2], known[3], value[0])
      set:field("falco." .. known[1], tonumber(value[0]))
    end
    set:sample("falco_engine_counters", "gauge", "The engine's own counters, as falco -v names them.", value[0], { name = name })
    i = i + 1
  end
end

-- Falco's names of what was lost for want of room -> members of struct live_losses.
local BUFFER = { clone_fork = "forks", execve = "execs", connect = "connects", open = "opens", dir_file = "files",
  other_interest = "others", close = "closes", proc = "exits" }

local function rate(set, previous, key, value)
  local seconds = previous and (set.time - previous.time) / 1e9 or 0
  local delta = value - (previous and previous[key] or 0)
  return seconds > 0 and math.floor(delta / seconds * 10 + .5) / 10 or 0, delta
end

local function about_kernel(set, work, previous)
  local losses = core.ffi.new("struct live_losses")
  if not core.C.engine_losses(work.eng, losses) then return end
  local events, lost, fields = tonumber(losses.events), tonumber(losses.lost), set.fields
  set:sample("scap_n_evts_total", "counter", "Events that the driver saw.", events)
  set:sample("scap_n_drops_total", "counter", "Events that were lost.", lost)
  set:sample("scap_n_drops_scratch_map_total", "counter", "Events too large for one record.", losses.too_big)
  for _, name in ipairs(sorted_keys(BUFFER)) do
    set:sample("scap_n_drops_buffer_total", "counter", "Events lost for want of room in a buffer.", losses[BUFFER[name]],
      { dir = "exit", drop = name })
    set:field(("scap.n_drops_buffer_%s_exit"):format(name), tonumber(losses[BUFFER[name]]))
  end
  set:field("scap.n_drops_buffer_total", tonumber(losses.full))
  set:field("scap.n_drops_scratch_map", tonumber(losses.too_big))
  set.kernel_events, set.kernel_lost = events, lost
  local evts_rate, evts_delta = rate(set, previous, "kernel_events", events)
  local drop_rate, drop_delta = rate(set, previous, "kernel_lost", lost)
  fields["scap.n_evts"], fields["scap.n_evts_prev"], fields["scap.evts_rate_sec"] = events, previous and previous.kernel_events or 0, evts_rate
  fields["scap.n_drops"], fields["scap.n_drops_prev"] = lost, previous and previous.kernel_lost or 0
  fields["scap.evts_drop_rate_sec"], fields["scap.n_drops_perc"] = drop_rate, evts_delta > 0 and 100 * drop_delta / evts_delta or 0
end

-- ------------------------------------------------------------------ all of it

-- work: the worker, with wall_start, clock_start, reload_wall; outs may have stats() -> { drops =, ... }
function M.gather(work, previous)
  local config = work.config.metrics
  local set = setmetatable({ families = {}, order = {}, fields = {}, zeros = config.include_empty_values,
    megabytes = config.convert_memory_to_mb, time = tonumber(core.C.sys_now_ns()) }, Set)
  about_run(set, work)
  about_files(set, "rules", work.rules_sums)
  about_files(set, "config", work.config_sums)
  about_events(set, work, previous)
  about_reloads(set, work)
  M.about_outputs(set, work)
  if config.rules_counters_enabled then
    about_rules(set, work)
    about_gate(set, work)
    script_counts.about(set)
  end
  if config.resource_utilization_enabled then about_resources(set, work) end
  if config.state_counters_enabled then about_state(set, work) end
  if config.kernel_event_counters_enabled then about_kernel(set, work, previous) end
  return set
end

-- What the queue to the outputs counts.
function M.about_outputs(set, work)
  local stats = work.outs and work.outs.stats and work.outs:stats() or { dropped = 0 }
  set.fields["falco.outputs_queue_num_drops"] = tonumber(stats.dropped)
  set:sample("falco_outputs_queue_num_drops_total", "counter", "Alerts for which the queue had no room.", stats.dropped)
  if not stats.put then return end
  set:sample("falco_outputs_queue_alerts_total", "counter", "Alerts that went to the queue.", stats.put)
  set:sample("falco_outputs_queue_depth", "gauge", "Alerts that wait.", stats.put - stats.taken)
  set:sample("falco_outputs_queue_waits_total", "counter", "How often the queue was waited for.", stats.waits)
  set:sample("falco_outputs_queue_peak", "gauge", "The most alerts that ever waited.", stats.peak)
end

-- ------------------------------------------------------------------ /rules

-- What /rules says, for json.encode().
function M.rules(work)
  local json = require("json")
  local list = json.array()
  for i, rule in ipairs(work.result.rules) do
    local ns = cost_of(work, i)
    list[i] = { name = rule.name, priority = rule.priority_name, source = rule.source, tags = json.array(rule.tags), enabled = rule.enabled,
      file = rule.file, line = rule.line, matches = work.counts[i], ns_per_event = ns and math.floor(ns * 1000 + .5) / 1000 or json.null }
  end
  return { rules = list, reloads = work.daemon and work.daemon.reloads or 0 }
end

return M
