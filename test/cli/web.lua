-- SPDX-License-Identifier: Apache-2.0
-- The web server as its clients meet it: good ones, bad ones, many of them; and metrics in all their forms.
local http = dofile("test/http.lua")
local prometheus = dofile("test/prometheus.lua")
local pipe

local BASE = 20000 + (tonumber(tostring(os.time()):sub(-4)) or 0) * 2
local function next_port()
  BASE = BASE + 1
  return BASE
end

local function web_config(port, more)
  return ("webserver: {enabled: true, listen_port: %d, prometheus_metrics_enabled: true%s}\nmetrics: {enabled: true, interval: 1h}\nlog_stderr: true\n"
    .. "watch_config_files: false\n"):format(port, more or "")
end

-- A falco in the middle of a capture that serves.
local function serving(tool, name, more, extra)
  local port = next_port()
  local dir = pipe.new_dir(name, web_config(port, more) .. (extra or ""))
  local job = pipe.start(dir)
  job.give(math.floor(#pipe.capture / 2))
  tool.check(pipe.said(job, "web server at") and pipe.printed(job, "first 100"), "%s: does not begin: %s", name, tool.read(job.err_path))
  return job, port, dir
end

local function value_of(families, name, label, of)
  for _, sample in ipairs(families[name] and families[name].samples or {}) do
    if not label or sample.labels[label] == of then return sample.value end
  end
end

local function scraped(tool, port)
  local r, got = http.get(port, "/metrics")
  if not tool.check(r and r.status == 200, "/metrics: %s", r and r.status or got) then return {} end
  tool.check(r.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8", "content type of /metrics: %s", r.headers["content-type"])
  local families, mistake = prometheus.parse(r.body)
  tool.check(families, "/metrics is malformed: %s", mistake)
  return families or {}
end

local function pages(tool)
  local job, port = serving(tool, "pages")
  local r = http.get(port, "/healthz")
  tool.check(r and r.status == 200 and r.body == '{"status": "ok"}' and r.headers["content-type"] == "application/json", "/healthz")
  r = http.get(port, "/versions")
  tool.check(r and r.status == 200 and r.body:find('"engine_version_semver":"0.63.0"', 1, true), "/versions: %s", r and r.body)
  r = http.get(port, "/rules")
  tool.check(r and r.status == 200 and r.body:find('"name":"every event"', 1, true) and not r.body:find('"matches":0', 1, true),
    "/rules: %s", r and r.body)
  os.execute("sleep 1.3")          -- everything given is read, and numbers that were made for /rules are old
  local first = scraped(tool, port)
  for _, name in ipairs{ "falco_version_info", "scap_engine_name_info", "falco_kernel_release_info", "evt_hostname_info",
    "falco_start_timestamp_nanoseconds", "falco_duration_seconds_total", "falco_host_boot_timestamp_nanoseconds", "falco_host_num_cpus_total",
    "falco_outputs_queue_num_drops_total", "falco_reload_timestamp_nanoseconds", "falco_sha256_rules_files_info",
    "falco_sha256_config_files_info", "falco_cpu_usage_ratio", "falco_memory_rss_bytes", "falco_memory_vsz_bytes",
    "falco_memory_pss_bytes", "falco_host_cpu_usage_ratio", "falco_host_memory_used_bytes", "falco_host_procs_running_total",
    "falco_host_open_fds_total", "scap_n_threads_total", "scap_n_fds_total", "falco_gate_events_total" } do
    tool.check(first["falcosecurity_" .. name], "/metrics lacks falcosecurity_%s", name)
  end
  local sums = first.falcosecurity_falco_sha256_rules_files_info
  local real = tool.run{ "sha256sum", tool.dir() .. "/pages/rules/a.yaml" }.out:match("^%x+")
  tool.check(sums and sums.samples[1].labels.sha256 == real and sums.samples[1].labels.file_name == "a.yaml", "sha256 of a rules file")
  local alerts = "falcosecurity_falco_rules_matches_total"
  local before = value_of(first, alerts, "rule_name", "every event")
  local printed = #tool.alerts(tool.read(job.out_path))
  tool.check(before == printed, "alerts in /metrics: %s, printed: %d", before, printed)
  tool.check(first[alerts] and first[alerts].samples[1].labels.priority == "5", "priority in /metrics")
  tool.check(value_of(first, "falcosecurity_falco_rules_nanoseconds_per_event", "rule_name", "every event"), "ns of a rule in /metrics")
  job.give(math.floor(#pipe.capture / 4))
  os.execute("sleep 1.2")          -- numbers are kept for a second
  local after = value_of(scraped(tool, port), alerts, "rule_name", "every event")
  tool.check(after and after > before, "alerts do not count on: %s, %s", before, after)
  for _, try in ipairs{ { "/", 404 }, { "/healthz/", 404 }, { "/metrics?x=1", 200 }, { "//metrics", 404 }, { "/../etc/passwd", 404 },
    { "/%2e%2e/etc/passwd", 404 } } do
    r = http.get(port, try[1])
    tool.check(not r or r.status == try[2] or r.status == 400, "%s: %s", try[1], r and r.status)
  end
  pipe.marks(pipe.finish(job, "pages"), "pages")
end

-- What no browser sends. Whatever comes back, the next good request is answered.
local HOSTILE = {
  { "no HTTP", "\0\1\2\255\r\n\r\n" },
  { "a body", "POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", 405 },
  { "a body for GET", "GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", 400 },
  { "an endless body", "GET /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\n", 400 },
  { "a length that is none", "GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400 },
  { "a method of its own", "BREW /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 405 },
  { "a long path", "GET /" .. ("a"):rep(100000) .. " HTTP/1.1\r\nHost: x\r\n\r\n", 414 },
  { "a long header", "GET /healthz HTTP/1.1\r\nHost: x\r\nX: " .. ("a"):rep(100000) .. "\r\n\r\n", 431 },
  { "many headers", "GET /healthz HTTP/1.1\r\nHost: x\r\n" .. ("A: b\r\n"):rep(20000) .. "\r\n", 431 },
  { "no host", "GET /healthz HTTP/1.1\r\n\r\n", 400 },
  { "TLS", "\22\3\1\0\200\1\0\0\196\3\3" .. ("x"):rep(195) },
  { "a proxy", "CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: x\r\n\r\n", 405 },
}

local function hostile(tool)
  local job, port = serving(tool, "hostile")
  for _, try in ipairs(HOSTILE) do
    local c = http.connect(port)
    c:send(try[2])
    local text, closed = c:receive(15)          -- those that say nothing that ends are idle for ten seconds
    c:close()
    local r = http.parse(text)
    tool.check(closed, "%s: the connection stays open", try[1])
    if try[3] then tool.check(not r or r.status == try[3], "%s: %s, not %d", try[1], r and r.status, try[3]) end
    tool.check(not r or r.status >= 400, "%s: is served: %s", try[1], text:sub(1, 100))
    local good = http.get(port, "/healthz")
    tool.check(good and good.status == 200, "after %s nobody is served", try[1])
  end
  pipe.marks(pipe.finish(job, "hostile"), "hostile")
end

-- Clients that hang, a thousand of them, and one that sends a byte now and then.
local function many(tool)
  local job, port = serving(tool, "many_clients")
  local clients = {}
  for i = 1, 1000 do
    local c = http.connect(port)
    if not c then break end
    c:send("GET /healthz HTTP/1.1\r\nHost")
    clients[i] = c
  end
  tool.check(#clients >= 256, "only %d clients connect", #clients)
  for _ = 1, 5 do
    local at = tool.now()
    local r = http.get(port, "/healthz")
    tool.check(r and r.status == 200 and tool.now() - at < 3, "while %d clients say nothing /healthz takes %.1f s: %s", #clients, tool.now() - at,
      r and r.status)
  end
  local fds = tonumber(tool.run{ "sh", "-c", ("ls /proc/%d/fd | wc -l"):format(job.pid) }.out)
  tool.check(fds < 400, "%d descriptors are open for clients", fds)
  for _, c in ipairs(clients) do c:close() end
  local good = pipe.wait_for(function()
    local r = http.get(port, "/healthz")
    return r and r.status == 200
  end)
  tool.check(good, "after a thousand clients nobody is served")
  local slow, began, ended = assert(http.connect(port)), tool.now(), nil
  slow:send("GET /heal")
  while tool.now() - began < 45 and not ended do
    slow:send("x")
    local _, closed = slow:receive(2)
    if closed then ended = tool.now() - began end
  end
  tool.check(ended, "a client that sends a byte every two seconds is served for ever")
  slow:close()
  local cut = value_of(scraped(tool, port), "falcosecurity_falco_webserver_cut_total")
  tool.check(cut and cut >= 1, "clients that took too long are not counted: %s", cut)
  pipe.marks(pipe.finish(job, "many clients"), "many clients")
end

local function certificate(tool)
  local pem = tool.dir() .. "/falco.pem"
  local r = tool.run{ "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout", pem .. ".key",
    "-out", pem .. ".crt" }
  tool.check_run(r, r.code == 0, "openssl makes no certificate")
  return tool.write(pem, tool.read(pem .. ".crt") .. tool.read(pem .. ".key")), pem .. ".crt"
end

local function tls(tool, falco)
  local pem, ca = certificate(tool)
  local job, port = serving(tool, "tls", ", ssl_enabled: true, ssl_certificate: " .. pem)
  local request = tool.write(tool.dir() .. "/request", "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
  local r = tool.run{ "openssl", "s_client", "-quiet", "-CAfile", ca, "-verify_return_error", "-verify_hostname", "localhost", "-connect",
    "127.0.0.1:" .. port, "-ign_eof", stdin = request }
  local answer = http.parse(r.out)
  tool.check_run(r, answer and answer.status == 200 and prometheus.parse(answer.body), "/metrics over TLS")
  local plain = http.get(port, "/healthz")
  tool.check(not plain or plain.status ~= 200, "plain HTTP is served where TLS is configured")
  pipe.marks(pipe.finish(job, "TLS"), "TLS")
  for what, text in pairs{ empty = "", garbage = ("-----BEGIN CERTIFICATE-----\nAAAA\n"), ["key alone"] = tool.read(pem .. ".key") } do
    tool.write(tool.dir() .. "/bad.pem", text)
    r = tool.run{ falco, "replay", "test/data/websrv.scap", "-c", tool.dir() .. "/tls/falco.yaml", "-o",
      "webserver.ssl_certificate=" .. tool.dir() .. "/bad.pem" }
    tool.check_run(r, r.code == 1 and r.err:find("a certificate and its key are wanted", 1, true), "a certificate that is %s: %s", what, tool.how(r))
  end
  r = tool.run{ falco, "replay", "test/data/websrv.scap", "-c", tool.dir() .. "/tls/falco.yaml", "-o", "webserver.ssl_certificate=/nonexistent" }
  tool.check_run(r, r.code == 1 and r.err:find("/nonexistent: No such file", 1, true), "a certificate that is not there: %s", tool.how(r))
end

local function addresses(tool, falco)
  local port = next_port()
  local taken = http.listen(port)
  local dir = pipe.new_dir("taken", web_config(port))
  local r = tool.run{ falco, "replay", "test/data/websrv.scap", "-c", dir .. "/falco.yaml" }
  tool.check_run(r, r.code == 1 and r.err:find("cannot listen on 127.0.0.1 port " .. port, 1, true), "a port that is taken: %s", tool.how(r))
  taken:close()
  r = tool.run{ falco, "replay", "test/data/websrv.scap", "-c", dir .. "/falco.yaml", "-o", "webserver.listen_address=nowhere" }
  tool.check_run(r, r.code == 1 and r.err:find("'nowhere' is no address", 1, true), "an address that is none: %s", tool.how(r))
end

-- The server itself can be changed by a reload.
local function reloaded(tool)
  local job, port, dir = serving(tool, "moved")
  local other = next_port()
  tool.write(dir .. "/falco.yaml", pipe.config_text(dir, web_config(other, ", k8s_healthz_endpoint: /alive")))
  pipe.kill(job, "HUP")
  tool.check(pipe.said(job, "webserver.k8s_healthz_endpoint"), "no reload")
  local r = http.get(other, "/alive")
  tool.check(r and r.status == 200, "the new port does not answer")
  tool.check(not http.connect(port), "the old port still listens")
  tool.check((value_of(scraped(tool, other), "falcosecurity_falco_reloads_total", "result", "ok")) == 1, "reloads are not counted")
  pipe.marks(pipe.finish(job, "moved"), "moved")
end

-- Reports as alerts and to a file.
local function reports(tool)
  local file = tool.dir() .. "/metrics.jsonl"
  local dir = pipe.new_dir("reports", ("metrics: {enabled: true, interval: 300ms, output_rule: true, output_file: %s}\njson_output: true\n"):format(file))
  local job = pipe.start(dir)
  job.give(math.floor(#pipe.capture / 2))
  tool.check(pipe.printed(job, "Falco internal: metrics snapshot"), "no report as an alert")
  pipe.wait_for(function() return (tool.read(file) or ""):find('"sample":3', 1, true) end)
  local r = pipe.finish(job, "reports")
  local line = r.out:match('[^\n]*"Falco internal: metrics snapshot"[^\n]*') or ""
  for _, field in ipairs{ '"output":"', "Falco metrics snapshot", '"source":"internal"', '"priority":"Informational"', '"evt.time":%d',
    '"falco.duration_sec":%d', '"falco.start_ts":%d', '"falco.num_evts":%d', '"falco.num_evts_prev":%d', '"falco.version":"', '"falco.kernel_release":"',
    '"falco.host_boot_ts":%d', '"falco.host_num_cpus":%d', '"falco.outputs_queue_num_drops":0', '"falco.sha256_rules_file.a_yaml":"%x+"',
    '"falco.rules.matches_total":%d', '"falco.rules.every_event":%d', '"falco.cpu_usage_perc":%d', '"falco.memory_rss_mb":%d', '"falco.n_threads":%d',
    '"scap.engine_name":"', '"evt.hostname":"', '"evt.source":"syscall"' } do
    tool.check(line:find(field), "a report lacks %s:\n%s", field, line)
  end
  local samples = tool.lines(tool.read(file) or "")
  tool.check(#samples >= 3 and samples[1]:find('^{"output_fields":{.*"sample":1}$'), "reports in a file: %s", samples[1])
end

return function(tool, falco)
  pipe = dofile("test/pipe.lua")(tool, falco)
  pages(tool)
  hostile(tool)
  tls(tool, falco)
  addresses(tool, falco)
  reloaded(tool)
  reports(tool)
  many(tool)
end
