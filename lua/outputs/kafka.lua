-- SPDX-License-Identifier: Apache-2.0
-- Alerts to a topic of Kafka (c/output/kafka.c), each a message. All have one key, and so stay in order.
local core = require("core")
local peer = require("outputs.peer")

local M = {}

local ACKS = { all = "all", leader = "1", none = "0" }

local function hostname()
  local buf = core.ffi.new("char[256]")
  return core.C.sys_hostname(buf, 256) == 0 and core.ffi.string(buf) or "falco"
end

-- librdkafka does not say which file it is that it cannot read.
local function check_files(section)
  for _, key in ipairs(section.tls and { "ca_cert", "client_cert", "client_key" } or {}) do
    local path = section[key]
    local f, message = nil, nil
    if path ~= "" then f, message = io.open(path) end
    if message then return ("the %s cannot be read: %s"):format(key, message) end
    if f then f:close() end
  end
  return nil
end

local function protocol(section)
  local sasl = section.sasl_mechanism ~= "none"
  if section.tls then return sasl and "sasl_ssl" or "ssl" end
  return sasl and "sasl_plaintext" or "plaintext"
end

-- Names and values of librdkafka's settings, in one list. Empty ones are left as they are.
function M.settings(conf)
  local section, list = conf.kafka_output, {}
  local function set(name, value)
    if value ~= "" then list[#list + 1], list[#list + 2] = name, value end
  end
  set("bootstrap.servers", section.brokers)
  set("client.id", section.client_id)
  set("acks", ACKS[section.acks])
  set("enable.idempotence", section.acks == "all" and "true" or "false")
  set("message.timeout.ms", "0")                     -- alerts wait as long as it takes
  set("max.in.flight.requests.per.connection", section.acks == "all" and "5" or "1")
  set("queue.buffering.max.messages", "100000")
  set("linger.ms", "5")
  set("reconnect.backoff.max.ms", "2000")
  set("socket.timeout.ms", ("%d"):format(math.max(conf.output_timeout, 1000)))
  set("request.timeout.ms", ("%d"):format(math.max(conf.output_timeout, 1000)))
  set("compression.codec", section.compression)
  set("message.max.bytes", ("%d"):format(section.max_message_bytes))
  set("security.protocol", protocol(section))
  if section.sasl_mechanism ~= "none" then
    set("sasl.mechanisms", section.sasl_mechanism:upper())
    set("sasl.username", section.username)
    set("sasl.password", section.password)
  end
  if section.tls then
    set("enable.ssl.certificate.verification", section.insecure and "false" or "true")
    set("ssl.ca.location", section.ca_cert ~= "" and section.ca_cert or section.ca_path)
    set("ssl.certificate.location", section.client_cert)
    set("ssl.key.location", section.client_key)
  end
  return list
end

function M.open(conf, env)
  local section, err = conf.kafka_output, core.err()
  if section.brokers == "" then return nil, "the brokers are not set" end
  if section.topic == "" then return nil, "the topic is not set" end
  local unreadable = check_files(section)
  if unreadable then return nil, unreadable end
  local settings = M.settings(conf)
  local key = section.key ~= "" and section.key or hostname()
  local options = core.ffi.new("struct kafka_options", {
    brokers = section.brokers, topic = section.topic, key = key, settings = core.ffi.new("const char *[?]", #settings, settings),
    nsettings = #settings / 2, limits = peer.limits(),
  })
  local sender = core.C.kafka_sender_new(options, err)
  if sender == nil then return nil, core.message(err) end
  return peer.new(sender, env, conf)
end

return M
