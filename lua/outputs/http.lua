-- SPDX-License-Identifier: Apache-2.0
-- Alerts to an HTTP server (c/output/http.c), each the body of a POST.
local core = require("core")
local peer = require("outputs.peer")

local M = {}

-- Quotes around the URL that survived the YAML are no part of it.
local function unquoted(url)
  return url:match("^\"(.*)\"$") or url:match("^'(.*)'$") or url
end

local function content_type(conf)
  if not conf.json_output then return "text/plain" end
  return conf.http_output.max_batch > 1 and "application/x-ndjson" or "application/json"
end

function M.open(conf, env)
  local section, err = conf.http_output, core.err()
  if section.url == "" then return nil, "the url is not set" end
  local url, kind = unquoted(section.url), content_type(conf)
  local options = core.ffi.new("struct http_options", {
    url = url, user_agent = section.user_agent, content_type = kind, tls = peer.tls(section), echo = section.echo,
    compress = section.compress_uploads, keep_alive = section.keep_alive, timeout_ms = conf.output_timeout,
    max_timeouts = section.max_consecutive_timeouts, max_batch = section.max_batch, limits = peer.limits(),
  })
  local sender = core.C.http_sender_new(options, err)
  if sender == nil then return nil, core.message(err) end
  return peer.new(sender, env, conf)
end

return M
