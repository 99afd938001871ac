-- SPDX-License-Identifier: Apache-2.0
-- What scripts of outputs have asked for, done: processes signalled, programs run, HTTP servers asked. What becomes of it
-- goes back to the script's function, when it gave one. Nothing here waits.
--
--   local powers = powers.new{ live = bool, say = function(level, text) }
--   powers:take(script, answer)          the requests of an answer
--   powers:wants(add) -> when            as channels have it (outputs/init.lua)
--   powers:tick(now_ns, done)            done(script, token, result) for each request that is over
--   powers:close()
local core = require "core"

local M = {}

local PROGRAMS_MAX = 8               -- at once, of all scripts
local PROGRAM_MS, PROGRAM_MAX_MS = 10000, 600000
local OUTPUT_MAX = 65536             -- bytes of a program's output, or of an HTTP answer
local HTTP_RUNNING, HTTP_WAITING = 8, 256
local HTTP_POLL_NS = 20e6

local Powers = {}
Powers.__index = Powers

function M.new(env)
  return setmetatable({ env = env, programs = {}, requests = {}, nrequests = 0, over = {} }, Powers)
end

-- A request that is over already. Told at the next tick: the script's call is not done yet.
local function settle(self, script, token, result)
  if result.error then script:count("SCRIPT_REFUSED") end
  if token then
    self.over[#self.over + 1] = { script = script, token = token, result = result }
  elseif result.error then
    self.env.say("warning", ("script '%s': %s"):format(script.name, result.error))
  end
end

-- ------------------------------------------------------------------ kill

-- Processes of a capture ran somewhere else, or have long ended: their numbers mean others here.
local function kill(self, script, request)
  local C, err = core.C, core.err()
  local signal = C.act_signal(request.signal)
  if signal < 0 then
    return settle(self, script, request.token, { ok = false, error = ("'%s' is no signal"):format(request.signal) })
  elseif not self.env.live then
    return settle(self, script, request.token, { ok = false, error = "kill: this is a capture, and its processes are not here" })
  elseif request.pid ~= math.floor(request.pid) or math.abs(request.pid) > 2147483647 then
    return settle(self, script, request.token, { ok = false, error = ("kill: %g is no process id"):format(request.pid) })
  end
  script:count("SCRIPT_KILLS")
  local before = math.max(0, math.min(request.before, 1e10)) * 1e9
  local ok = C.act_kill(request.pid, signal, before, err) == 0
  settle(self, script, request.token, { ok = ok, error = not ok and core.message(err) or nil })
end

-- ------------------------------------------------------------------ exec

local function exec(self, script, request)
  local C, ffi, err = core.C, core.ffi, core.err()
  if #self.programs >= PROGRAMS_MAX then
    return settle(self, script, request.token, { ok = false, error = ("exec: %d programs run already"):format(PROGRAMS_MAX) })
  end
  local n = #request.argv
  local argv = ffi.new("const char *[?]", n + 1)
  for i, argument in ipairs(request.argv) do argv[i - 1] = argument end
  local ms = math.max(1, math.min((request.seconds or PROGRAM_MS / 1000) * 1000, PROGRAM_MAX_MS))
  local input = request.input or ""
  script:count("SCRIPT_RUNS")
  local program = C.act_program(argv, input, #input, ms, OUTPUT_MAX, err)
  if program == nil then
    return settle(self, script, request.token, { ok = false, error = "exec: " .. core.message(err) })
  end
  self.programs[#self.programs + 1] = { program = ffi.gc(program, C.act_program_free), script = script, token = request.token,
    name = request.argv[1] }
end

local function program_result(row, stop)
  local result = { ok = stop.status == 0, status = stop.status, cut = stop.cut }
  result.output = core.ffi.string(stop.output, stop.output_len)
  if stop.timed_out then
    result.error = ("exec: %s took too long and was killed"):format(row.name)
  elseif stop.status < 0 then
    result.error = ("exec: %s was ended by signal %d"):format(row.name, stop.signal)
  end
  return result
end

local function step_programs(self)
  local C, left, stop = core.C, {}, core.ffi.new("struct program_end")
  for _, row in ipairs(self.programs) do
    if C.act_program_step(row.program, stop) then
      settle(self, row.script, row.token, program_result(row, stop))
      C.act_program_free(core.ffi.gc(row.program, nil))
    else
      left[#left + 1] = row
    end
  end
  self.programs = left
end

-- ------------------------------------------------------------------ http

local function client_of(self)
  if not self.client then
    local err = core.err()
    local client = core.C.http_client_new(HTTP_RUNNING, HTTP_WAITING, err)
    if client == nil then return nil, core.message(err) end
    self.client = core.ffi.gc(client, core.C.http_client_free)
  end
  return self.client
end

local function headers_of(map)
  local list = {}
  for name, value in pairs(map or {}) do
    if (name .. tostring(value)):find("[%c]") or name:find("[:%s]") then return nil, ("http: '%s' is no header"):format(name) end
    list[#list + 1] = name .. ": " .. tostring(value)
  end
  return list
end

local function http(self, script, request)
  local ffi, err = core.ffi, core.err()
  local client, message = client_of(self)
  local headers
  if client then headers, message = headers_of(request.headers) end
  if not headers then return settle(self, script, request.token, { ok = false, error = message }) end
  local lines = ffi.new("const char *[?]", #headers + 1)
  for i, line in ipairs(headers) do lines[i - 1] = line end
  local what = ffi.new("struct http_request")
  what.url, what.method, what.headers, what.nheaders = request.url, request.method, lines, #headers
  if request.body then what.body, what.body_len = request.body, #request.body end
  what.timeout_ms, what.max_answer = math.max(0, math.min((request.seconds or 10) * 1000, 600000)), OUTPUT_MAX
  script:count("SCRIPT_REQUESTS")
  local id = core.C.http_client_ask(client, what, err)
  if id < 0 then
    message = core.message(err)
    message = "http: " .. (message ~= "" and message or "too many requests")
    return settle(self, script, request.token, { ok = false, error = message })
  end
  self.requests[id], self.nrequests = { script = script, token = request.token, url = request.url }, self.nrequests + 1
end

local function step_requests(self)
  if self.nrequests == 0 then return end
  local answer = core.ffi.new("struct http_answer")
  while core.C.http_client_answer(self.client, answer) do
    local row = self.requests[answer.id]
    if row then
      self.requests[answer.id], self.nrequests = nil, self.nrequests - 1
      local status = tonumber(answer.status)
      settle(self, row.script, row.token, {
        ok = status >= 200 and status < 300, status = status, cut = answer.cut,
        body = answer.body ~= nil and core.ffi.string(answer.body, answer.body_len) or "",
        error = status == 0 and ("http: %s: %s"):format(row.url, core.cstr(answer.error)) or nil,
      })
    end
  end
end

-- ------------------------------------------------------------------ all of them

local KINDS = { kill = kill, exec = exec, http = http }

function Powers:take(script, answer)
  for kind, act in pairs(KINDS) do
    for _, request in ipairs(answer[kind] or {}) do
      if script.grant[kind] then act(self, script, request) end
    end
  end
end

function Powers:wants(add)
  local C, first = core.C, nil
  local function earlier(when)
    if not first or when < first then first = when end
  end
  for _, row in ipairs(self.programs) do
    for which = 0, 2 do
      local fd = C.act_program_fd(row.program, which)
      if fd >= 0 then add(fd, which == 1 and C.QUEUE_OUT or C.QUEUE_IN) end
    end
    earlier(tonumber(C.act_program_deadline(row.program)))
  end
  if self.nrequests > 0 then earlier(tonumber(C.sys_now_ns()) + HTTP_POLL_NS) end
  if #self.over > 0 then earlier(0) end
  return first
end

function Powers:tick(done)
  if #self.programs > 0 then step_programs(self) end
  step_requests(self)
  local over = self.over
  if #over == 0 then return end
  self.over = {}
  for _, row in ipairs(over) do done(row.script, row.token, row.result) end
end

-- Whether anything is still under way.
function Powers:busy()
  return #self.programs > 0 or self.nrequests > 0 or #self.over > 0
end

function Powers:close()
  for _, row in ipairs(self.programs) do core.C.act_program_free(core.ffi.gc(row.program, nil)) end
  self.programs = {}
  if self.client then core.C.http_client_free(core.ffi.gc(self.client, nil)) end
  self.client, self.requests, self.nrequests = nil, {}, 0
end

return M
