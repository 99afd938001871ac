-- SPDX-License-Identifier: Apache-2.0
-- Runs inside every sandbox, behind library.lua and before the script (c/lua_sandbox.c): what scripts see of alerts and
-- events, and what they can ask for. It returns dispatch(what, text) and the script's globals. docs/falco-scripts.7 is what
-- scripts see of it.
--
-- It must stay a function without upvalues, and calls nothing that the script could have replaced: see library.lua. Values of the
-- script go out copied and of known types.
return function(native)
  local error, ipairs, next, pairs, rawget, select, setmetatable, tonumber, tostring, type =
    error, ipairs, next, pairs, rawget, select, setmetatable, tonumber, tostring, type
  local concat, sub, lower, format, max, huge = table.concat, string.sub, string.lower, string.format, math.max, math.huge
  local encode, decode, escape, gsub = native.encode, native.decode, native.escape, native.gsub
  local env, sort, state = native.env, native.sort, native.state
  local fail = native.fail       -- an error at the script's line, not at ours

  local REQUESTS_MAX = 64        -- of one kind, in one call
  local PENDING_MAX = 256        -- requests whose answer is waited for
  local DEPTH_MAX = 32           -- of JSON
  local MIN_INTERVAL = 0.05      -- seconds between two runs of a timer

  -- ---------------------------------------------------------------- what the script asks for

  local now = 0                  -- seconds since the epoch, as the source of events has it
  local setup = { grant = {}, timers = 0, kv_bytes = 0 }
  local out                      -- answer of the call at hand: what the script asked for; nil: nothing yet
  local at_hand                  -- the alert that the script may decide about
  local pending, npending, last_token = {}, 0, 0

  local function granted(what)
    if not setup.grant[what] then
      fail("'" .. what .. "' is not granted to this script: add it to its `grant` in falco.yaml")
    end
  end

  local function answer()
    out = out or {}
    return out
  end

  -- One more request of a kind.
  local function ask(kind, request)
    local list = answer()[kind] or {}
    if #list >= REQUESTS_MAX then fail("more than " .. REQUESTS_MAX .. " requests (" .. kind .. ") in one call") end
    answer()[kind] = list
    list[#list + 1] = request
  end

  -- A number for the answer to come, for which done(...) is called; nil: nobody waits for it.
  local function token(done)
    if done == nil then return nil end
    if type(done) ~= "function" then fail("`done` must be a function") end
    if npending >= PENDING_MAX then fail("more than " .. PENDING_MAX .. " requests are under way") end
    last_token, npending = last_token + 1, npending + 1
    pending[last_token] = done
    return last_token
  end

  local function plain(value)
    local kind = type(value)
    return kind == "string" or kind == "number" or kind == "boolean"
  end

  local function text_of(value, what)
    if type(value) == "number" then return tostring(value) end
    if type(value) ~= "string" then fail(what .. " must be a text, not a " .. type(value)) end
    return value
  end

  local function number_of(value, what)
    if type(value) ~= "number" or value ~= value then fail(what .. " must be a number") end
    return value
  end

  -- A copy of a map of texts to plain values.
  local function plain_map(map, what)
    if map == nil then return nil end
    if type(map) ~= "table" then fail(what .. " must be a table") end
    local to = {}
    for key, value in next, map do
      if type(key) ~= "string" or not plain(value) then
        fail(what .. ": names are texts, values texts, numbers or booleans")
      end
      to[key] = value
    end
    return to
  end

  local function text_list(list, what)
    if list == nil then return nil end
    if type(list) ~= "table" then fail(what .. " must be a list of texts") end
    local to = {}
    for i, value in ipairs(list) do to[i] = text_of(value, what) end
    return to
  end

  local PRIORITIES = { [0] = "Emergency", "Alert", "Critical", "Error", "Warning", "Notice", "Informational", "Debug" }
  local priority_of = { info = 6 }
  for number = 0, 7 do priority_of[lower(PRIORITIES[number])] = number end

  local function priority_number(priority)
    if type(priority) == "number" and PRIORITIES[priority] then return priority end
    local number = type(priority) == "string" and priority_of[lower(priority)]
    if not number then fail("'" .. tostring(priority) .. "' is no priority") end
    return number
  end

  -- ---------------------------------------------------------------- JSON and templates

  local put_json
  local NO_FIELDS = {}           -- an empty object; other empty tables are lists

  local function put_table(value, buf, depth)
    if depth >= DEPTH_MAX then fail("falco.json: nested too deep") end
    if value ~= NO_FIELDS and (#value > 0 or next(value) == nil) then
      buf[#buf + 1] = "["
      for i, item in ipairs(value) do
        if i > 1 then buf[#buf + 1] = "," end
        put_json(item, buf, depth + 1)
      end
      buf[#buf + 1] = "]"
      return
    end
    local keys = {}
    for key in next, value do
      if type(key) ~= "string" and type(key) ~= "number" then fail("falco.json: a key is a " .. type(key)) end
      keys[#keys + 1] = tostring(key)
    end
    sort(keys)
    buf[#buf + 1] = "{"
    for i, key in ipairs(keys) do
      buf[#buf + 1] = (i > 1 and ',"' or '"') .. escape(key) .. '":'
      local item = value[key]
      if item == nil then item = value[tonumber(key)] end
      put_json(item, buf, depth + 1)
    end
    buf[#buf + 1] = "}"
  end

  put_json = function(value, buf, depth)
    local kind = type(value)
    if kind == "string" then
      buf[#buf + 1] = '"' .. escape(value) .. '"'
    elseif kind == "number" then
      buf[#buf + 1] = (value ~= value or value == huge or value == -huge) and "null" or format("%.14g", value)
    elseif kind == "boolean" or kind == "nil" then
      buf[#buf + 1] = tostring(value)
    elseif kind == "table" then
      put_table(value, buf, depth)
    else
      fail("falco.json: a " .. kind .. " has no JSON form")
    end
  end

  local function json(value)
    local buf = {}
    put_json(value, buf, 0)
    return concat(buf)
  end

  -- ---------------------------------------------------------------- alerts

  local alerts = {}

  local function own(alert)
    if alert ~= at_hand then fail("the alert has passed: decisions are for the alert at hand") end
  end

  function alerts:to(...)
    granted "route"
    own(self)
    for i = 1, select("#", ...) do ask("to", text_of((select(i, ...)), "an output")) end
  end

  function alerts:drop()
    granted "route"
    own(self)
    answer().drop = true
  end

  function alerts:set(key, value)
    granted "alter"
    own(self)
    key = text_of(key, "a field's name")
    if not plain(value) then fail("a field must be a text, number or boolean, not a " .. type(value)) end
    local set = answer().set or {}
    answer().set = set
    set[key], self.fields[key] = value, value
  end

  -- Without an argument: the name of the priority.
  function alerts:priority(priority)
    if priority ~= nil then
      granted "alter"
      own(self)
      self.severity = priority_number(priority)
      answer().priority = self.severity
    end
    return PRIORITIES[self.severity]
  end

  function alerts:get(name)
    return self.fields[name]
  end

  function alerts:has_tag(tag)
    for _, one in ipairs(self.tags) do
      if one == tag then return true end
    end
    return false
  end

  local OF_ALERT = { rule = true, source = true, output = true, time = true, hostname = true, severity = true }

  -- "%{proc.name}", "%{rule}" ... as text; what is missing is <NA>.
  function alerts:format(template)
    return (gsub(text_of(template, "a template"), "%%{([^}]*)}", function(name)
      local value = self.fields[name]
      if value == nil and OF_ALERT[name] then value = self[name] end
      if value == nil and name == "priority" then value = PRIORITIES[self.severity] end
      if value == nil and name == "tags" then value = concat(self.tags, ",") end
      if value == nil then return "<NA>" end
      return plain(value) and tostring(value) or json(value)
    end))
  end

  function alerts:json()
    return json{ rule = self.rule, source = self.source, output = self.output, time = self.iso, hostname = self.hostname,
      priority = PRIORITIES[self.severity], tags = self.tags,
      output_fields = next(self.fields) ~= nil and self.fields or NO_FIELDS }
  end

  local alert_meta = { __index = alerts, __metatable = false }

  -- ---------------------------------------------------------------- timers

  local timers, ntimers, last_timer = {}, 0, 0

  local function new_timer(seconds, func, again)
    granted "timers"
    number_of(seconds, "seconds")
    if type(func) ~= "function" then fail("a timer wants a function") end
    if ntimers >= setup.timers then fail("more than " .. setup.timers .. " timers (limits: timers)") end
    seconds = max(seconds, MIN_INTERVAL)
    last_timer, ntimers = last_timer + 1, ntimers + 1
    timers[last_timer] = { at = now + seconds, func = func, every = again and seconds or nil }
    return last_timer
  end

  local function cancel(id)
    if id ~= nil and timers[id] then timers[id], ntimers = nil, ntimers - 1 end
  end

  local function next_timer()
    local at
    for _, timer in next, timers do
      if not at or timer.at < at then at = timer.at end
    end
    return at
  end

  local function run_timers()
    local due = {}
    for id, timer in next, timers do
      if timer.at <= now then due[#due + 1] = id end
    end
    sort(due)
    for _, id in ipairs(due) do
      local timer = timers[id]
      if timer then
        if timer.every then
          timer.at = max(timer.at + timer.every, now)
        else
          cancel(id)
        end
        timer.func(now)
      end
    end
  end

  -- ---------------------------------------------------------------- key-value store

  local kv, kv_size, dirty = {}, 0, {}

  local function kv_entry(key, value)
    return value == nil and 0 or #key + #tostring(value)
  end

  local function kv_set(key, value)
    granted "kv"
    key = text_of(key, "a key")
    if value ~= nil and not plain(value) then fail("kv: a value must be a text, number or boolean") end
    local size = kv_size - kv_entry(key, kv[key]) + kv_entry(key, value)
    if size > setup.kv_bytes and value ~= nil then fail("kv: full at " .. setup.kv_bytes .. " bytes (limits: kv_bytes)") end
    kv[key], kv_size, dirty[key] = value, size, true
  end

  local function kv_changes()
    if next(dirty) == nil then return end
    local set, gone = {}, {}
    for key in next, dirty do
      if kv[key] == nil then gone[#gone + 1] = key else set[key] = kv[key] end
    end
    answer().kv, dirty = { set = set, gone = gone }, {}
  end

  -- ---------------------------------------------------------------- falco.*

  local falco = {}
  env.falco = falco

  function falco.now() return now end
  falco.json, falco.table = json, native.new_table

  function falco.log(level, text)
    granted "log"
    if text == nil then level, text = "info", level end
    ask("log", { level = text_of(level, "a level"), text = sub(text_of(text, "a message"), 1, 1000) })
  end

  function falco.emit(what)
    granted "emit"
    if type(what) ~= "table" then fail("falco.emit wants a table") end
    ask("emit", {
      rule = what.rule and text_of(what.rule, "rule"), output = text_of(what.output or "", "output"),
      priority = priority_number(what.priority or 6), source = what.source and text_of(what.source, "source"),
      tags = text_list(what.tags, "tags"), fields = plain_map(what.fields, "fields"), to = text_list(what.to, "to"),
    })
  end

  -- Of an alert: the process that made its event; a process that began later is another one with its number.
  function falco.kill(pid, opts)
    granted "kill"
    opts = opts or {}
    local before = opts.before or at_hand and at_hand.time or now
    if type(pid) == "table" then pid = pid.fields and tonumber(pid.fields["proc.pid"]) end
    if type(pid) == "string" then pid = tonumber(pid) end
    ask("kill", { pid = number_of(pid, "a process id"), signal = text_of(opts.signal or "KILL", "signal"),
                  before = number_of(before, "before"), token = token(opts.done) })
  end

  function falco.exec(opts)
    granted "exec"
    if type(opts) ~= "table" then fail("falco.exec wants { program, arguments ... }") end
    local argv = text_list(opts, "arguments")
    if not argv[1] then fail("falco.exec: no program is named") end
    ask("exec", { argv = argv, input = opts.input and text_of(opts.input, "input"),
                  seconds = opts.timeout and number_of(opts.timeout, "timeout"), token = token(opts.done) })
  end

  function falco.http(opts)
    granted "http"
    if type(opts) ~= "table" then fail("falco.http wants { url = }") end
    ask("http", { url = text_of(opts.url, "url"), method = opts.method and text_of(opts.method, "method"),
                  body = opts.body and text_of(opts.body, "body"), headers = plain_map(opts.headers, "headers"),
                  seconds = opts.timeout and number_of(opts.timeout, "timeout"), token = token(opts.done) })
  end

  function falco.after(seconds, func) return new_timer(seconds, func, false) end
  function falco.every(seconds, func) return new_timer(seconds, func, true) end
  falco.cancel = cancel

  falco.kv = { set = kv_set }
  function falco.kv.get(key)
    granted "kv"
    return kv[key]
  end
  function falco.kv.delete(key) kv_set(key, nil) end
  function falco.kv.add(key, n)
    granted "kv"
    local sum = (tonumber(kv[key]) or 0) + (n or 1)
    kv_set(key, sum)
    return sum
  end

  -- ---------------------------------------------------------------- events, in the worker

  local field_ids = {}
  local processes, nprocesses = {}, 0
  local line, first, last = {}, 1, 0       -- of them, by age
  local LOOKS = 8
  local evt = {}

  function evt.get(_, name)
    local id = field_ids[name]
    if not id then
      local why
      id, why = native.field(text_of(name, "a field's name"))
      if not id then fail(why) end
      field_ids[name] = id
    end
    return native.get(id)
  end

  local function forget(process)
    processes[process.pid], nprocesses = nil, nprocesses - 1
  end

  -- Among the oldest one is looked for whose process is gone; those that live go to the end of the line.
  local function make_room()
    for _ = 1, LOOKS do
      local oldest = line[first]
      line[first], first = nil, first + 1
      if not native.is_alive(oldest.pid, oldest.born) then return forget(oldest) end
      last = last + 1
      line[last] = oldest
    end
    forget(line[first])
    line[first], first = nil, first + 1
  end

  -- A table for the process of the event, as long as it lives; nil when the process is not known.
  function evt.process()
    local pid, born = native.process()
    if not pid then return nil end
    local process = processes[pid]
    if process and process.born == born then return process.table end
    if process then                        -- another one with that number
      process.born, process.table = born, {}
      return process.table
    end
    if nprocesses >= setup.processes then make_room() end
    process = { pid = pid, born = born, table = {} }
    processes[pid], nprocesses, last = process, nprocesses + 1, last + 1
    line[last] = process
    return process.table
  end

  local event = setmetatable({}, { __index = evt, __metatable = false,
    __newindex = function() fail("an event cannot be changed") end })

  function env.emit(what)
    what = what or {}
    if not setup.is_rule then fail("emit is for scripts of rules; scripts of outputs have falco.emit") end
    if type(what) ~= "table" then fail("emit wants a table") end
    ask("emit", {
      output = what.output and text_of(what.output, "output"), priority = what.priority and priority_number(what.priority),
      fields = plain_map(what.fields, "fields"),
    })
  end

  -- ---------------------------------------------------------------- calls

  local handlers = {}
  local HANDLERS = { "open", "match", "write", "tick", "close", "on_event" }
  local calls = {}

  function calls.setup(arg)
    setup, now, state.now = arg, arg.now or 0, arg.now or 0
    for key, value in pairs(arg.kv or {}) do kv[key], kv_size = value, kv_size + kv_entry(key, value) end
    falco.name, falco.args, falco.files, falco.live = arg.name, arg.args or {}, arg.files or {}, arg.live == true
  end

  -- What the main function returns; scripts of rules may define on_event instead.
  function calls.load(main)
    local script = main()
    if script == nil and setup.is_rule then script = { on_event = rawget(env, "on_event") } end
    if type(script) ~= "table" then error("the script must return a table of handlers: match, write, tick, open, close", 0) end
    local has = {}
    for _, name in ipairs(HANDLERS) do
      local handler = rawget(script, name)
      if handler ~= nil and type(handler) ~= "function" then
        error("'" .. name .. "' must be a function, not a " .. type(handler), 0)
      end
      handlers[name], has[name] = handler, handler ~= nil or nil
    end
    if not next(has) then
      for name, value in next, script do
        if type(name) == "string" and type(value) == "function" then answer().stray = name break end
      end
    end
    answer().has = has
  end

  function calls.open(arg)
    if handlers.open then handlers.open(arg.args or {}) end
  end

  function calls.alert(arg)
    at_hand = setmetatable(arg.alert, alert_meta)
    if (not handlers.match or handlers.match(at_hand)) and handlers.write then handlers.write(at_hand) end
  end

  function calls.tick()
    run_timers()
    if handlers.tick then handlers.tick(now) end
  end

  function calls.done(arg)
    local done = pending[arg.token]
    if not done then return end
    pending[arg.token], npending = nil, npending - 1
    done(arg.result)
  end

  function calls.close()
    if handlers.close then handlers.close() end
  end

  function calls.event()
    now = native.time()
    state.now = now
    handlers.on_event(event)
  end

  -- A capture's clock is not known before its first alert: timers that were set earlier begin then.
  local function set_clock(at)
    if now == 0 and at > 0 then
      for _, timer in next, timers do timer.at = timer.at + at end
    end
    now, state.now = at, at
  end

  return function(what, arg)
    out, at_hand = nil, nil
    local call = calls[what]
    if what == "load" then
      call(arg)
    else
      if arg ~= "" then arg = decode(arg) end
      if type(arg) == "table" and arg.now then set_clock(arg.now) end
      call(arg)
    end
    at_hand = nil
    kv_changes()
    local at = next_timer()
    if out or at then
      answer().next = at
      return encode(out)
    end
  end, env
end
