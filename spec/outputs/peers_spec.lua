-- SPDX-License-Identifier: Apache-2.0
-- What becomes of the configuration before senders in C get it, and how a channel passes on what they say.
local core = require "core"
local conf = require "conf"
local diag = require "diag"
local kafka = require "outputs.kafka"
local redis = require "outputs.redis"

local function config(set)
  return assert(conf.load{ set = set, diag = diag.new() })
end

describe("redis output", function()
  it("takes URLs apart", function()
    assert.same({ host = "h", port = "6379", database = 0, use_tls = false, user = "", password = "" }, redis.parse_url("redis://h"))
    assert.same({ host = "h", port = "1", database = 3, use_tls = true, user = "u", password = "p:@/" },
      redis.parse_url("rediss://u:p:%40%2f@h:1/3"))
    assert.same({ host = "::1", port = "7", database = 0, use_tls = false, user = "", password = "p" },
      redis.parse_url("redis://:p@[::1]:7/"))
    assert.same({ path = "/run/redis.sock", database = 0 }, redis.parse_url("unix:///run/redis.sock"))
  end)

  it("says what is wrong with a URL", function()
    for url, why in pairs{ [""] = "begins with", ["http://h"] = "begins with", ["redis://"] = "begins with", ["unix://x"] = "begins with",
      ["redis://h/x"] = "number of a database", ["redis://:1"] = "names no host", ["redis://[::1"] = "names no host" } do
      local parsed, message = redis.parse_url(url)
      assert.is_nil(parsed, url)
      assert.matches(why, message, 1, true)
    end
  end)
end)

describe("kafka output", function()
  local function settings(set)
    local list, map = kafka.settings(config(set)), {}
    for i = 1, #list, 2 do map[list[i]] = list[i + 1] end
    return map
  end

  it("stores nothing twice, and speaks plainly, unless asked", function()
    local map = settings{ "kafka_output.brokers=a:1,b:2" }
    assert.equal("a:1,b:2", map["bootstrap.servers"])
    assert.equal("all", map.acks)
    assert.equal("true", map["enable.idempotence"])
    assert.equal("plaintext", map["security.protocol"])
    assert.is_nil(map["sasl.password"])
    assert.is_nil(map["ssl.ca.location"])
  end)

  it("logs in and speaks TLS", function()
    local map = settings{ "kafka_output.tls=true", "kafka_output.sasl_mechanism=plain", "kafka_output.username=u",
      "kafka_output.password=p", "kafka_output.acks=leader", "kafka_output.ca_cert=/ca" }
    assert.equal("sasl_ssl", map["security.protocol"])
    assert.equal("PLAIN", map["sasl.mechanisms"])
    assert.equal("p", map["sasl.password"])
    assert.equal("/ca", map["ssl.ca.location"])
    assert.equal("1", map.acks)
    assert.equal("false", map["enable.idempotence"])
    assert.equal("1", map["max.in.flight.requests.per.connection"])
  end)
end)

describe("a channel to a peer", function()
  local function lane()
    local seen = { acks = 0 }
    return seen, {
      ack = function(_, n) seen.acks = seen.acks + n end,
      down = function(_, message) seen.down = message end,
      up = function() seen.up = true end,
    }
  end

  local function alert(text)
    return { line = core.ffi.cast("const char *", text .. "\n"), len = #text, text = text }
  end

  it("tells its lane that nobody is there, keeps what it was given, and does not wait", function()
    local seen, to = lane()
    local all = config{ "http_output.enabled=true", "http_output.url=http://127.0.0.1:1/" }
    local channel = assert(require("outputs.http").open(all, { lane = to }))
    assert.equal("taken", channel:write(alert("one")))
    local deadline = tonumber(core.C.sys_now_ns()) + 10e9
    while not seen.down and tonumber(core.C.sys_now_ns()) < deadline do channel:tick() end
    assert.matches("^http://127.0.0.1:1: ", seen.down)
    assert.equal(0, seen.acks)
    local fds = 0
    assert.is_number(channel:wants(function() fds = fds + 1 end))
    assert.equal(1, fds)
    local n = 1
    while channel:write(alert(("x"):rep(1000000))) == "taken" do n = n + 1 end
    assert.is_true(n > 10 and n < 20)
    assert.equal("later", channel:write(alert(("x"):rep(1000000))))
    assert.is_true(channel:close())
    assert.equal(0, seen.acks)
  end)
end)
