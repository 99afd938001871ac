-- SPDX-License-Identifier: Apache-2.0
-- Alerts to a stream of Redis (c/output/redis.c), each an entry with "id" and "alert".
local core = require("core")
local peer = require("outputs.peer")

local M = {}

local PORT = "6379"

local function unescape(text)
  return (text:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

-- redis://[user[:password]@]host[:port][/database], rediss:// for TLS, unix:///path. Returns a table, or nil and what is wrong.
function M.parse_url(url)
  local path = url:match("^unix://(/.+)$")
  if path then return { path = path, database = 0 } end
  local scheme, rest = url:match("^(rediss?)://(.+)$")
  if not scheme then return nil, "the url begins with redis://, rediss:// or unix:///" end
  local login, place = rest:match("^(.*)@([^@]*)$")
  place = place or rest
  local address, database = place:match("^([^/]*)/?(%d*)$")
  if not address then return nil, "behind the host the url has at most the number of a database" end
  local host, port = address:match("^%[([%x:.]+)%]:?(%d*)$")
  if not host then host, port = address:match("^([^:]+):?(%d*)$") end
  if not host then return nil, "the url names no host" end
  local user, password = (login or ""):match("^([^:]*):?(.*)$")
  return { host = host, port = port ~= "" and port or PORT, database = tonumber(database) or 0, use_tls = scheme == "rediss",
    user = unescape(user), password = unescape(password) }
end

function M.open(conf, env)
  local section, err = conf.redis_output, core.err()
  local url, message = M.parse_url(section.url)
  if not url then return nil, message end
  if section.stream == "" then return nil, "the stream is not set" end
  local user = section.username ~= "" and section.username or url.user
  local password = section.password ~= "" and section.password or url.password
  local options = core.ffi.new("struct redis_options", {
    host = url.host, port = url.port, path = url.path, user = user, password = password, database = url.database,
    timeout_ms = conf.output_timeout, stream = section.stream, maxlen = section.maxlen, use_tls = url.use_tls or false,
    tls = peer.tls(section), limits = peer.limits(),
  })
  local sender = core.C.redis_sender_new(options, err)
  if sender == nil then return nil, core.message(err) end
  return peer.new(sender, env, conf)
end

return M
