-- SPDX-License-Identifier: Apache-2.0
-- Every key of falco.yaml, once: its type, its default, what it is for, and whether this build can do it. Validation,
-- defaults, warnings and `--config-schema` all read these rows.
--
-- A spec is one of
--   bool/int/number/str(default, doc, extra)     a scalar; extra: enum, min, max, check
--   list(item, doc, extra)                       item is a spec; default is an empty list
--   map(rows, doc, extra)                        rows is an array of {name, spec}; order is the order of the docs
--   open(doc, extra)                             a map with any keys, kept as it is
--   either({spec, ...}, doc)                     the first whose kind (scalar, list, map) fits
-- and extra may hold
--   missing   what this build does not do, when the value asks for it: a sentence that a warning can end with
--   asks      function(value) -> boolean: when `missing` applies (default: not empty, or not the default)
--   required  the key must be there (maps only, checked after all files are merged)
--   secret    not to be shown: true, or "url" for one that may hold a password
--   alias     the key's new name; the value goes there, with a warning
--   restart   the value, with all in it, stays what it was when the configuration is loaded anew
local M = {}

local function scalar(kind)
  return function(default, doc, extra)
    local spec = extra or {}
    spec.kind, spec.default, spec.doc = kind, default, doc
    return spec
  end
end

local bool, int, number, str = scalar("bool"), scalar("int"), scalar("number"), scalar("string")

local function list(item, doc, extra)
  local spec = extra or {}
  spec.kind, spec.item, spec.doc = "list", item, doc
  return spec
end

local function map(rows, doc, extra)
  local spec = extra or {}
  spec.kind, spec.rows, spec.doc = "map", rows, doc
  spec.by_name = {}
  for _, row in ipairs(rows) do spec.by_name[row[1]] = row[2] end
  return spec
end

local function open(doc, extra)
  local spec = extra or {}
  spec.kind, spec.doc = "open", doc
  return spec
end

local function either(choices, doc, extra)
  local spec = extra or {}
  spec.kind, spec.choices, spec.doc = "either", choices, doc
  return spec
end

local MB, LIMIT_MAX = 1048576, 4294967295      -- limits go to C in 32 bits

local function limit(default, doc)
  return int(default, doc, { min = 1, max = LIMIT_MAX })
end

-- For booleans that ask for something when they are true, whatever their default.
local function yes(value) return value end

local function enabled(default, missing)
  return bool(default, "switch this on", { missing = missing, asks = yes })
end

M.priorities = { "Emergency", "Alert", "Critical", "Error", "Warning", "Notice", "Informational", "Debug" }
M.kinds = { "modern_ebpf", "replay", "nodriver" }            -- engine.kind values that this build can open
M.log_levels = { "emergency", "alert", "critical", "error", "warning", "notice", "info", "debug" }

-- The number (0 = Emergency ... 7 = Debug) of a priority's name in any case, or nil.
function M.priority(name)
  local lower = name:lower()
  if lower == "info" then lower = "informational" end
  for i, known in ipairs(M.priorities) do
    if known:lower() == lower then return i - 1 end
  end
  return nil
end

local function check_priority(value)
  if M.priority(value) then return nil end
  return "is no priority", M.priorities
end

local UNITS = { ms = 1, s = 1000, m = 60000, h = 3600000, d = 86400000, w = 7 * 86400000, y = 365 * 86400000 }
local LONGEST = 4294967295           -- ms

-- "1h30m", larger units first, or a number of milliseconds -> milliseconds, or nil.
function M.interval(text)
  local rest, total, last = text:gsub("%s", ""), 0, math.huge
  if rest:find("^%d+$") then total, rest = tonumber(rest), "" end
  while rest ~= "" do
    local n, unit, more = rest:match("^(%d+)(%a+)(.*)$")
    local factor = UNITS[unit]
    if not factor or factor >= last then return nil end
    total, last, rest = total + tonumber(n) * factor, factor, more
  end
  return total > 0 and total <= LONGEST and total or nil
end

local function check_interval(text)
  if M.interval(text) then return nil end
  return "is no time such as 30s, 1h30m or 5000 (ms)", {}
end

local function is_enabled_plugin(plugins)
  for _, plugin in ipairs(plugins) do
    if plugin.name ~= "container" then return true end     -- container metadata is built in
  end
  return false
end

local any_scalar = str(nil, "text")
local any_number = int(nil, "a number", { min = 0 })

local select_rules = map({
  { "rule", str(nil, "name of rules; * stands for any text") },
  { "tag", str(nil, "a tag that the rules carry") },
}, "which rules")

-- What one script may take (lua/scripts). The main function, open() and close() may run ten times as long.
local function script_limits(instructions, ms)
  return map({
    { "instructions", int(instructions, "instructions of one call", { min = 1000, max = 1000000000000 }) },
    { "ms", int(ms, "milliseconds of CPU of one call", { min = 1, max = 3600000 }) },
    { "memory_bytes", int(16 * MB, "all that it holds", { min = 262144, max = 2147483647 }) },
    { "output_bytes", int(262144, "what one call may ask for", { min = 1024, max = 67108864 }) },
    { "timers", int(64, "timers at a time", { min = 0, max = 4096 }) },
    { "kv_bytes", int(65536, "names and values in its store", { min = 0, max = 16 * MB }) },
    { "errors", int(5, "failures in a row after which it is switched off", { min = 1, max = 1000000 }) },
  }, "what it may take")
end

-- A rule's script stands between two events.
M.script_limits, M.rule_script_limits = script_limits(1000000, 50), script_limits(200000, 10)

local function check_route(entry)
  if entry.drop and #entry.to > 0 then return "alerts cannot both go somewhere (to) and be dropped (drop)" end
  if not entry.drop and #entry.to == 0 then return "say where alerts go (to), or drop: true" end
end

M.alert_match = map({
  { "rule", list(any_scalar, "names of rules; * stands for any text") },
  { "tags", list(any_scalar, "tags that the rule carries, all of them") },
  { "priority", str("", "the alert is at least this important", { check = function(value)
    if value ~= "" then return check_priority(value) end
  end }) },
  { "source", str("", "event source of the rule, or internal: what falco itself has to say") },
  { "fields", open("fields of the event and values that they have: a text in which * stands for any text, or a list of such") },
}, "which alerts, all of what is given; all alerts when absent")

M.root = map({
  { "config_files", list(either({
    str(nil, "file or directory"),
    map({
      { "path", str(nil, "file or directory", { required = true }) },
      { "strategy", str("append",
        "append: lists grow, other keys are replaced; override: keys are replaced; add-only: keys that "
          .. "are there already stay", { enum = { "append", "override", "add-only" } }) },
    }, "file or directory with a way to merge"),
  }, "a file"), "more configuration files, merged in this order; files of a directory in order of their names") },
  { "watch_config_files", bool(true, "load configuration and rules anew when a file of theirs changes, comes or goes") },

  { "rules_files", list(any_scalar,
    "rules files and directories, loaded in this order; those that do not exist are left out") },
  { "rules_file", list(any_scalar, "old name of rules_files", { alias = "rules_files" }) },
  { "rule_files", list(any_scalar, "another name of rules_files", { alias = "rules_files" }) },
  { "rules", list(map({
    { "enable", select_rules },
    { "disable", select_rules },
  }, "one step"), "switch rules on and off after loading, step by step") },

  { "engine", map({
    { "kind", str("modern_ebpf", "where events come from; this build has " .. table.concat(M.kinds, ", "), { required = true,
      enum = { "kmod", "modern_ebpf", "replay", "nodriver" } }) },
    { "replay", map({
      { "capture_file", str("", "the .scap file to read") },
    }, "read a capture file") },
    { "kmod", map({
      { "buf_size_preset", int(4, "size of the ring of each CPU, 1 to 10", { min = 0, max = 10 }) },
      { "drop_failed_exit", bool(false, "leave failed system calls out") },
    }, "kernel module") },
    { "modern_ebpf", map({
      { "cpus_for_each_buffer", int(2, "how many CPUs share a ring", { min = 0, max = 65535 }) },
      { "buf_size_preset", int(4, "size of a ring: 1 is 1 MiB, and each more doubles it", { min = 1, max = 10 }) },
      { "drop_failed_exit", bool(false, "leave failed system calls out") },
      { "disable_iterators", bool(false, "read processes and descriptors at the start from /proc alone, not by BPF iterators") },
    }, "eBPF probe") },
  }, "the source of events", { restart = true }) },

  { "capture", map({
    { "enabled", bool(false, "write them") },
    { "path_prefix", str("/tmp/falco", "how names of capture files begin") },
    { "mode", str("rules", "for rules that ask for it, or for all", { enum = { "rules", "all_rules" } }) },
    { "default_duration", int(5000, "milliseconds after an alert", { min = 0 }) },
    { "max_file_size_mb", int(0, "limit of a file, 0 for none", { min = 0, max = 1048576 }) },
  }, "write the events around an alert to a capture file") },

  { "load_plugins", list(any_scalar, "names of the plugins to load; all of `plugins` when this key is absent", { restart = true }) },
  { "plugins", list(map({
    { "name", str(nil, "name of the plugin", { required = true }) },
    { "library_path", str(nil, "its shared object", { required = true }) },
    { "init_config", either({ str(nil, "text for the plugin"), open("settings for the plugin") },
      "settings for the plugin") },
    { "open_params", str("", "what its event source opens") },
  }, "a plugin"), "plugins", { missing = "plugins are not loaded", asks = is_enabled_plugin, restart = true }) },
  { "plugins_hostinfo", bool(true, "give plugins facts about the host", { restart = true }) },

  { "time_format_iso_8601", bool(false, "alert times as ISO 8601 in UTC instead of the local time of day") },
  { "buffer_format_base64", bool(false, "data buffers as base64", { missing = "buffers are printed as text" }) },
  { "priority", str("debug", "rules of lower importance are not run", { check = check_priority }) },
  { "json_output", bool(false, "alerts as one JSON object a line") },
  { "json_include_output_property", bool(true, "JSON alerts have \"output\": the text with time and priority") },
  { "json_include_message_property", bool(false, "JSON alerts have \"message\": the text alone") },
  { "json_include_output_fields_property", bool(true, "JSON alerts have \"output_fields\"") },
  { "json_include_tags_property", bool(true, "JSON alerts have \"tags\"") },
  { "buffered_outputs", bool(false, "collect output before writing it: faster, but alerts may show late") },
  { "rule_matching", str("first", "an event alerts for the first rule that matches, or for all of them",
    { enum = { "first", "all" } }) },

  { "outputs_queue", map({
    { "capacity", int(0, "alerts that may wait, 0 for as many as `bytes` hold; a replay waits for room, of a live source "
      .. "alerts are dropped and counted", { min = 0, max = LIMIT_MAX }) },
    { "bytes", int(64 * MB, "memory for alerts that wait, at least 8 MiB", { min = 8 * MB, max = 1099511627776 }) },
    { "output_bytes", int(16 * MB, "memory for alerts that wait for one output", { min = 65536, max = 1099511627776 }) },
    { "drain_timeout", int(5000, "milliseconds that alerts on their way have when the program is asked to end", { min = 0,
      max = 3600000 }) },
  }, "alerts on their way to the outputs") },
  { "append_output", list(map({
    { "match", map({
      { "source", str(nil, "event source of the rules") },
      { "tags", list(any_scalar, "tags that the rules carry, all of them") },
      { "rule", str(nil, "name of the rule") },
    }, "which rules; all when absent") },
    { "extra_output", str("", "text for the end of the rule's output, may have %fields") },
    { "extra_fields", list(either({ str(nil, "a field"), open("key: text with %fields") }, "an entry"),
      "more entries of output_fields in JSON") },
    { "suggested_output", bool(false, "add the fields that identify the container") },
  }, "one addition"), "additions to the outputs of rules") },
  { "scripts", list(map({
    { "path", str(nil, "the file", { required = true }) },
    { "name", str("", "what it is called in messages and metrics; empty: the file's name without .lua") },
    { "enabled", bool(true, "run it") },
    { "grant", list(str(nil, "a power", { enum = { "route", "alter", "emit", "log", "timers", "kv", "kill", "exec", "http", "nothing" } }),
      "what it may do; without this key: route, alter, emit, log and timers") },
    { "args", open("what its open() gets") },
    { "files", open("name: path of a file whose text it gets as falco.files.name") },
    { "limits", M.script_limits },
  }, "a script"), "Lua scripts that see every alert and may change, send elsewhere, drop or add to them, in this order: falco-scripts(7)") },
  { "scripts_dir", str("/etc/falco/scripts.d", "directory whose *.lua are scripts, too, in order of their names, behind those of `scripts`; "
    .. "an entry of `scripts` with the path of one speaks for it; empty: none") },
  { "scripts_state_dir", str("/var/lib/falco/scripts", "directory for the stores of scripts that are granted kv; made if its parent is there") },
  { "rule_scripts", map({ { "limits", M.rule_script_limits } }, "scripts of rules (the key `script` in a rules file)") },
  { "route", list(map({
    { "match", M.alert_match },
    { "to", list(any_scalar, "outputs that get the alert: stdout, stderr, file, syslog, program, unix, http, kafka, redis, as far as they are enabled") },
    { "drop", bool(false, "none gets it") },
    { "continue", bool(false, "entries behind this one may add outputs") },
  }, "one entry", { check = check_route }), "where alerts go; the first entry that matches decides, and what none matches goes to all outputs") },
  { "throttle", list(map({
    { "match", M.alert_match },
    { "count", int(1, "alerts that pass within that time", { min = 1, max = 1000000000 }) },
    { "within", str("1m", "time, as 30s or 1h30m; it begins with the first alert", { check = check_interval }) },
    { "by", list(any_scalar, "fields: alerts of one rule that differ in one of them are counted apart") },
  }, "one entry"), "hold alerts back that come too often; what was held back is told at the end of the time. The first entry that matches counts") },
  { "static_fields", open("constant fields for outputs",
    { missing = "static fields are not known to conditions and outputs" }) },

  { "outputs_spool", map({
    { "dir", str("/var/lib/falco/spool", "where alerts wait that do not get through: each output has a directory in it; empty: they "
      .. "wait in memory alone") },
    { "max_bytes", int(1024 * MB, "of one output; what does not fit, or has no room on the disk, waits in memory, and what does not fit there for room (replay), or is dropped and counted",
      { min = MB, max = 1099511627776 }) },
    { "sync_ms", int(1000, "milliseconds until what is written is taken to the disk itself, so that it survives a crash of the "
      .. "machine, too; 0: the kernel decides", { min = 0, max = 3600000 }) },
  }, "alerts that wait on disk: for unix sockets and servers that are away, and over restarts; a replay has it only if one of "
    .. "these keys is given") },

  { "stdout_output", map({ { "enabled", bool(false, "switch this on") } }, "alerts to standard output") },
  { "stderr_output", map({ { "enabled", bool(false, "switch this on") } }, "alerts to standard error") },
  { "syslog_output", map({
    { "enabled", bool(false, "switch this on") },
    { "socket", str("/dev/log", "where the system log listens") },
  }, "alerts to syslog") },
  { "unix_output", map({
    { "enabled", bool(false, "switch this on") },
    { "socket", str("", "the socket that somebody listens on") },
    { "type", str("stream", "stream: lines; dgram: a datagram for each alert", { enum = { "stream", "dgram" } }) },
  }, "alerts to a unix socket") },
  { "file_output", map({
    { "enabled", bool(false, "switch this on") },
    { "keep_alive", bool(false, "keep the file open between alerts") },
    { "filename", str("", "the file") },
  }, "alerts to a file") },
  { "http_output", map({
    { "enabled", bool(false, "switch this on") },
    { "url", str("", "where to post alerts", { secret = "url" }) },
    { "user_agent", str("falcosecurity/falco", "User-Agent header") },
    { "insecure", bool(false, "do not verify the server's certificate") },
    { "ca_cert", str("", "file with the certificate of the server's CA: the only one that is trusted then") },
    { "ca_bundle", str("", "file with certificates of CAs, in place of ca_path; ca_cert goes before it") },
    { "ca_path", str("/etc/ssl/certs", "directory with certificates of CAs") },
    { "mtls", bool(false, "show a client certificate") },
    { "client_cert", str("/etc/ssl/certs/client.crt", "client certificate") },
    { "client_key", str("/etc/ssl/certs/client.key", "its key") },
    { "echo", bool(false, "print answers of the server") },
    { "compress_uploads", bool(false, "compress what is sent, with gzip") },
    { "keep_alive", bool(false, "keep the connection while no alert waits") },
    { "max_consecutive_timeouts", int(5, "time-outs (output_timeout) in a row after which the server counts as down: until "
      .. "then an alert is sent again at once, and afterwards with pauses", { min = 0, max = 255 }) },
    { "max_batch", int(1, "alerts in one request, one a line, when several wait", { min = 1, max = 10000 }) },
  }, "alerts to an HTTP server, each a POST. They wait for as long as it is down or answers with an error; those that it "
    .. "refuses (400, 413, 422 ...) are counted and left out") },
  { "kafka_output", map({
    { "enabled", bool(false, "switch this on") },
    { "brokers", str("", "host:port of some brokers, with commas between") },
    { "topic", str("falco", "where alerts go") },
    { "key", str("", "key of the messages, which decides on their partition; the host's name when empty") },
    { "client_id", str("falco", "what brokers call this client") },
    { "acks", str("all", "who must have an alert before it counts as taken: all replicas (then nothing is stored twice), the "
      .. "leader, or none", { enum = { "all", "leader", "none" } }) },
    { "compression", str("none", "how messages are compressed", { enum = { "none", "gzip", "snappy", "lz4", "zstd" } }) },
    { "max_message_bytes", int(1000000, "larger alerts are refused; as message.max.bytes of the brokers",
      { min = 1000, max = 16000000 }) },
    { "tls", bool(false, "speak TLS") },
    { "insecure", bool(false, "do not verify certificates of brokers") },
    { "ca_cert", str("", "file with certificates of CAs, in place of ca_path") },
    { "ca_path", str("/etc/ssl/certs", "directory with certificates of CAs") },
    { "client_cert", str("", "client certificate") },
    { "client_key", str("", "its key") },
    { "sasl_mechanism", str("none", "how to log in, by SASL", { enum = { "none", "plain", "scram-sha-256", "scram-sha-512" } }) },
    { "username", str("", "who logs in") },
    { "password", str("", "with what", { secret = true }) },
  }, "alerts to a topic of Kafka") },
  { "redis_output", map({
    { "enabled", bool(false, "switch this on") },
    { "url", str("redis://127.0.0.1:6379", "redis://host:port/database, rediss:// with TLS, or unix:///path", { secret = "url" }) },
    { "stream", str("falco", "key of the stream that alerts are added to") },
    { "maxlen", int(0, "the stream is cut to about that many entries, 0: never", { min = 0, max = 9007199254740991 }) },
    { "username", str("", "who logs in; empty: the default user") },
    { "password", str("", "with what", { secret = true }) },
    { "insecure", bool(false, "do not verify the server's certificate") },
    { "ca_cert", str("", "file with certificates of CAs, in place of ca_path") },
    { "ca_path", str("/etc/ssl/certs", "directory with certificates of CAs") },
    { "client_cert", str("", "client certificate") },
    { "client_key", str("", "its key") },
  }, "alerts to a stream of Redis, entries with the fields id and alert") },
  { "program_output", map({
    { "enabled", bool(false, "switch this on") },
    { "keep_alive", bool(false, "keep the program running between alerts") },
    { "program", str("", "shell command that reads alerts") },
  }, "alerts to the standard input of a program") },
  { "grpc", map({
    { "enabled", enabled(false, "there is no gRPC server") },
    { "bind_address", str("", "where to listen") },
    { "threadiness", any_number },
    { "private_key", any_scalar }, { "cert_chain", any_scalar }, { "root_certs", any_scalar },
  }, "gRPC server of older versions") },
  { "grpc_output", map({ { "enabled", enabled(false, "no alerts go to gRPC clients") } },
    "alerts to gRPC clients of older versions") },

  { "webserver", map({
    { "enabled", bool(false, "serve them") },
    { "threadiness", int(0, "taken for Falco's sake; one thread answers, and needs no more", { min = 0 }) },
    { "listen_port", int(8765, "TCP port, 0 for any that is free", { min = 0, max = 65535 }) },
    { "listen_address", str("127.0.0.1", "address of this host to listen on; 0.0.0.0 is all of them") },
    { "k8s_healthz_endpoint", str("/healthz", "path of the health check") },
    { "prometheus_metrics_enabled", bool(false, "metrics at /metrics, if metrics.enabled too") },
    { "ssl_enabled", bool(false, "serve TLS") },
    { "ssl_certificate", str("/etc/falco/falco.pem", "file with certificate and key, as PEM") },
  }, "a web server: health check, /versions, /rules, /metrics") },

  { "log_stderr", bool(false, "all messages that log_level lets through to standard error; errors and warnings go there "
    .. "without it, too") },
  { "log_syslog", bool(false, "messages that log_level lets through to syslog, too") },
  { "log_level", str("info", "the least important messages to show; those that the program ends with are always shown",
    { enum = M.log_levels }) },
  { "libs_logger", map({
    { "enabled", bool(true, "messages of the engine: limits that it reached, what it watches, its counters (debug)") },
    { "severity", str("info", "the least important of them to show, whatever log_level says; they go where other messages go",
        { enum = { "fatal", "critical", "error", "warning", "notice", "info", "debug", "trace" } }) },
  }, "messages of the engine") },

  { "output_timeout", int(2000, "milliseconds that an output may take without getting on before that is reported; 0: for ever",
    { min = 0, max = 3600000 }) },
  { "syscall_event_timeouts", map({
    { "max_consecutives", int(1000, "empty reads of a live source before it is reported", { min = 1 }) },
  }, "a live source that gives nothing") },
  { "syscall_event_drops", map({
    { "threshold", number(.1, "share of dropped events that is ignored", { min = 0, max = 1 }) },
    { "actions", list(str(nil, "an action", { enum = { "ignore", "log", "alert", "exit" } }),
      "what to do when events are dropped") },
    { "rate", number(.03333, "actions a second", { min = 0 }) },
    { "max_burst", int(1, "actions at once", { min = 0 }) },
    { "simulate_drops", bool(false, "for tests") },
  }, "events that a live source lost") },
  { "metrics", map({
    { "enabled", bool(false, "make them") },
    { "interval", str("5000", "time between reports, as 1h, 30s or a number of milliseconds", { check = check_interval }) },
    { "output_rule", bool(false, "report as an alert") },
    { "output_file", str("", "report to a file") },
    { "rules_counters_enabled", bool(true, "alerts of each rule") },
    { "resource_utilization_enabled", bool(true, "CPU and memory") },
    { "state_counters_enabled", bool(true, "sizes of the state tables") },
    { "kernel_event_counters_enabled", bool(true, "events and drops of the driver") },
    { "kernel_event_counters_per_cpu_enabled", bool(true, "the same for each CPU; not counted here, so that nothing comes of it") },
    { "libbpf_stats_enabled", bool(true, "run times of BPF programs; nothing comes of it here") },
    { "plugins_metrics_enabled", bool(true, "metrics of plugins; nothing comes of it as long as none are loaded") },
    { "kernel_iter_event_counters_enabled", bool(true, "events from BPF iterators; nothing comes of it here") },
    { "jemalloc_stats_enabled", bool(true, "memory allocator; nothing comes of it here, there is no jemalloc") },
    { "convert_memory_to_mb", bool(true, "memory in MB, in reports; else in kB") },
    { "include_empty_values", bool(false, "zeros too, in reports") },
  }, "numbers about the program itself: in regular reports, and at /metrics of the web server") },
  { "base_syscalls", map({
    { "custom_set", list(any_scalar, "system calls to watch besides those of the rules; !name leaves one out") },
    { "repair", bool(false, "watch the fewest calls that keep the state right") },
    { "all", bool(false, "watch all calls that rules name, also very frequent ones") },
  }, "what a live source watches") },
  { "falco_libs", map({
    { "thread_table_size", limit(262144, "threads to keep in memory") },
    { "thread_table_auto_purging_interval_s", int(300, "seconds between searches for threads of a live source whose end was lost; 0: none",
      { min = 0, max = 4294967 }) },
    { "thread_table_auto_purging_thread_timeout_s", int(300, "seconds that such a thread is kept for", { min = 0, max = 4294967 }) },
    { "snaplen", int(80, "bytes of data that a live source records per event, 0 for 80",
      { min = 0, max = 65000 }) },
    { "full_capture_ports", map({
      { "first", int(0, "the lowest of the ports", { min = 0, max = 65535 }) },
      { "last", int(0, "the highest, 0 for none", { min = 0, max = 65535 }) },
    }, "sockets of which a live source records up to 16,000 bytes of data per event") },
  }, "limits of the engine", { restart = true }) },
  { "limits", map({
    { "fds_per_process", limit(4096, "descriptors of one process") },
    { "fd_bytes", limit(256 * MB, "memory for the descriptors of all processes") },
    { "string_bytes", limit(256 * MB, "memory for names, arguments, environments and control groups of all processes") },
    { "user_bytes", limit(16 * MB, "memory for users and groups") },
    { "container_bytes", limit(64 * MB, "memory for what is known of containers") },
    { "block_bytes", limit(64 * MB, "size of one block of a capture") },
    { "scratch_bytes", limit(16 * MB, "memory for the values that one event's fields put together") },
    { "scan_bytes", limit(1024 * MB, "memory of a capture that is looked at again and again; larger ones are read each time") },
  }, "what the model of the host may take; what exceeds it is not known, and counted at the end of a run",
    { restart = true }) },
}, "falco.yaml")

return M
