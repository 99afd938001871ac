-- SPDX-License-Identifier: Apache-2.0
-- Alerts to other machines, from the configuration to what arrives there: an HTTPS server that wants a client certificate
-- (test/peers/sink), redis-server. What the senders do when a peer is down or wrong: test/test_http.c, test_redis.c, test_kafka.c.
local CAPTURE, RULES, CONF = "test/data/websrv.scap", "rules/falco_rules.yaml", "conf/falco.yaml"

local function replay(tool, falco, settings, more)
  local args = { falco, "replay", CAPTURE, "-c", CONF, "-r", RULES, timeout = 60 }
  for _, setting in ipairs(settings) do
    args[#args + 1], args[#args + 2] = "-o", setting
  end
  for key, value in pairs(more or {}) do args[key] = value end
  return tool.run(args)
end

-- A sink and the URL it listens at; sink.input takes its commands.
local function start_sink(tool, falco, name, arguments)
  local base = tool.dir() .. "/" .. name
  local program = falco:gsub("[^/]*$", "") .. "test/peers/sink"
  if not tool.exists(program) then
    tool.check(false, "%s: no such program; make test-programs", program)
    return nil
  end
  local sink = { out = base .. ".out" }
  tool.write(sink.out, "")
  sink.input = io.popen(("%s 0 %s %s >%s.port"):format(program, sink.out, arguments, base), "w")
  sink.input:setvbuf("no")
  local deadline = tool.now() + 10
  repeat sink.port = (tool.read(base .. ".port") or ""):match("^(%d+)\n") until sink.port or tool.now() > deadline
  tool.check(sink.port, "%s does not start", program)
  return sink
end

local function http(tool, falco)
  local certs = tool.dir() .. "/certs"
  if os.execute("test/peers/certs " .. certs) ~= 0 then
    tool.check(false, "test/peers/certs fails")
    return
  end
  local sink = start_sink(tool, falco, "mtls", certs .. " mtls")
  if not sink then return end
  local function settings(ca, client, patience)
    return {
      "json_output=true", "http_output.enabled=true", ("http_output.url=https://localhost:%s/alerts"):format(sink.port),
      ("http_output.ca_cert=%s/%s.pem"):format(certs, ca), "http_output.mtls=true", "http_output.compress_uploads=true",
      ("http_output.client_cert=%s/%s.pem"):format(certs, client), ("http_output.client_key=%s/%s.key"):format(certs, client),
      "outputs_queue.drain_timeout=" .. patience,
    }
  end
  local r = replay(tool, falco, settings("ca", "client", 20000))
  tool.check_run(r, r.code == 0, "replay to an HTTPS server: exit status %s", r.code)
  tool.check_run(r, #tool.alerts(r.out) > 5 and tool.read(sink.out) == table.concat(tool.alerts(r.out), "\n") .. "\n",
    "the HTTPS server did not get what standard output got")

  tool.write(sink.out, "")
  for _, row in ipairs{ { "otherca", "client", "certificate" }, { "ca", "other", "localhost" } } do
    r = replay(tool, falco, settings(row[1], row[2], 1500))
    tool.check_run(r, r.err:find(row[3], 1, true), "with the CA '%s' and the client '%s' nothing is said", row[1], row[2])
    tool.check(tool.read(sink.out) == "", "with the CA '%s' and the client '%s' alerts arrive", row[1], row[2])
  end
  sink.input:close()
end

local function mistakes(tool, falco)
  for _, row in ipairs{
    { { "http_output.enabled=true", "http_output.url=" }, "http_output: the url is not set" },
    { { "http_output.enabled=true", "http_output.url=gopher://x" }, "gopher" },
    { { "http_output.enabled=true", "http_output.url=https://x", "http_output.ca_cert=/no/such" }, "'/no/such': No such file" },
    { { "redis_output.enabled=true", "redis_output.url=x" }, "the url begins with redis://" },
    { { "kafka_output.enabled=true" }, "kafka_output: the brokers are not set" },
    { { "kafka_output.enabled=true", "kafka_output.brokers=x:1", "kafka_output.tls=true", "kafka_output.ca_cert=/no/such" },
      "/no/such" },
  } do
    local r = replay(tool, falco, row[1])
    tool.check_run(r, r.code == 1 and r.err:find(row[2], 1, true), "%s: exit status %s, not 1 and '%s'", row[1][2] or row[1][1],
      r.code, row[2])
  end
end

local function secrets(tool, falco)
  local r = tool.run{ falco, "--support", "-c", CONF, "-r", RULES, "-o", "redis_output.url=redis://u:geheim@localhost",
    "-o", "redis_output.password=geheim", "-o", "kafka_output.password=geheim",
    "-o", "http_output.url=https://u:geheim@localhost/x" }
  tool.check_run(r, r.code == 0 and not r.out:find("geheim", 1, true), "--support shows a password")
  tool.check_run(r, r.out:find("https://***@localhost/x", 1, true), "--support does not show the rest of a URL")
  r = replay(tool, falco, { "redis_output.enabled=true", "redis_output.url=redis://u:geheim@127.0.0.1:1/",
    "outputs_queue.drain_timeout=1000" })
  tool.check_run(r, r.err:find("redis://127.0.0.1:1: Connection refused", 1, true), "a Redis that is not there is not told of")
  tool.check_run(r, not r.err:find("geheim", 1, true), "a message shows a password")
end

local function redis(tool, falco)
  if os.execute("redis-server --version >/dev/null 2>&1") ~= 0 then
    tool.skip("redis_output (redis-server is not installed: make deps)")
    return
  end
  local dir = tool.dir()
  local socket = dir .. "/redis.socket"
  local server = tool.start{ "redis-server", "--port", "0", "--unixsocket", socket, "--dir", dir, "--save", "", timeout = 60 }
  local function cli(command)
    return tool.run{ "redis-cli", "-s", socket, unpack(command) }
  end
  local deadline = tool.now() + 20
  while cli{ "PING" }.out ~= "PONG\n" and tool.now() < deadline do end
  local r = replay(tool, falco, { "redis_output.enabled=true", "redis_output.url=unix://" .. socket, "redis_output.stream=alerts" })
  tool.check_run(r, r.code == 0, "replay to Redis: exit status %s", r.code)
  local got = {}
  for _, line in ipairs(tool.lines(cli{ "XRANGE", "alerts", "-", "+" }.out)) do got[#got + 1] = line end
  local want = tool.alerts(r.out)
  tool.check(#want > 5 and #got == #want * 5, "%d alerts, and %d lines of XRANGE", #want, #got)
  for i, line in ipairs(want) do
    if got[i * 5] ~= line then
      tool.check(false, "alert %d arrived as '%s', not '%s'", i, tostring(got[i * 5]), line)
      break
    end
  end
  cli{ "SHUTDOWN", "NOSAVE" }
  tool.wait(server)
end

return function(tool, falco)
  http(tool, falco)
  mistakes(tool, falco)
  secrets(tool, falco)
  redis(tool, falco)
end
