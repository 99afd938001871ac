-- SPDX-License-Identifier: Apache-2.0
-- The events of a test, written by hand -> a capture in memory (c/engine/tale.h).
--
--   local told = tell.events(test, diags)      nil: there were mistakes, which are reported
--     told.tale     struct tale *, collected with the table
--     told.index(ts) -> which event of test.events it was, nil: none of them
--
-- An event names what happens and, in one map, parameters by the names of the event tables and fields by theirs:
--
--   - openat: {proc.name: cat, proc.pname: bash, name: /etc/shadow, flags: O_RDONLY}
--
-- Fields say what must be so when it happens. Those of the thread that acts make a process that exists from the start (with
-- its ancestors), unless proc.pid names one of the test's `processes`; an execve carries them as its parameters, too. Those of
-- descriptors make one, or are parameters where the event brings a path or an address. Whatever nobody mentions is what an
-- ordinary program of root's has.
local core = require("core")
local diag = require("diag")
local keys = require("ruletest.keys")
local json = require("json")
local read = require("ruletest.read")
local vocabulary = require("ruletest.vocabulary")
local yaml = require("rules.yaml")

local ffi = core.ffi

local M = {}

local START_S = 1700000000           -- when told events begin; whole seconds of the epoch
local STEP_NS = 1000000              -- from one to the next
local FIRST_PID = 1000000            -- of processes that no test numbers
local UNNAMED = "test"               -- program of a process that no test names
local MAX_PROCESSES = 100000         -- of one test
local MAX_BYTES = 256 * 1048576      -- of the events of all tests that run together

local Teller = {}
Teller.__index = Teller

function Teller:fail(node, message, more)
  self.failed = true
  self.diags:error(nil, node, message, more)
end

local function fail(self, node, message, more)
  return self:fail(node, message, more)
end

-- ------------------------------------------------------------------ processes

local function new_pid(self)
  repeat
    self.last_pid = self.last_pid + 1
  until not self.by_pid[self.last_pid]
  return self.last_pid
end

local function add_process(self, p, node)
  if #self.processes >= MAX_PROCESSES then
    return fail(self, node, ("a test has at most %d processes"):format(MAX_PROCESSES))
  end
  p.pid = p.pid or p.tid or new_pid(self)
  p.tid = p.tid or p.pid
  self.processes[#self.processes + 1] = p
  self.by_pid[p.tid] = p
  return p
end

-- What is not said of it.
local function complete(self, p)
  p.comm = p.comm or p.exe and p.exe:match("[^/]*$") or p.exepath and p.exepath:match("[^/]*$") or UNNAMED
  p.exe = p.exe or p.comm
  p.exepath = p.exepath or "/usr/bin/" .. p.comm
  p.cwd = p.cwd or "/"
  p.ptid = p.ptid or (p.pid == 1 and 0 or 1)
  if p.user and not p.uid then p.uid = self:uid_of(p.user) end
  p.uid, p.gid = p.uid or 0, p.gid or 0
  if p.user then self:add_user(p.uid, p.user) end
  p.args, p.env, p.cgroups = p.args or "", p.env or "", p.cgroups or "cpuset=/\0cpu=/\0memory=/\0"
  p.sid, p.vpgid = p.sid or p.pid, p.vpgid or p.pid
  p.vpid, p.vtid = p.vpid or p.pid, p.vtid or p.tid
  p.tty, p.loginuid = p.tty or 0, p.loginuid or -1
  local flags = 0
  for name, on in pairs(p.exe_flags or {}) do flags = flags + (on and core.C[name] or 0) end
  p.flags = flags
end

function Teller:uid_of(name)
  if name == "root" then return 0 end
  for uid, known in pairs(self.users) do
    if known.name == name then return uid end
  end
  self.last_uid = self.last_uid + 1
  return self.last_uid
end

function Teller:add_user(uid, name)
  self.users[uid] = self.users[uid] or { id = uid, gid = uid, name = name, home = uid == 0 and "/root" or "/home/" .. name,
                                         shell = "/bin/sh" }
end

-- Ancestors that were told of, level by level; returns the pid of the parent.
local function add_ancestors(self, levels, ptid, node)
  local highest = 0
  for level in pairs(levels) do highest = math.max(highest, level) end
  local parent = 1
  for level = highest, 1, -1 do
    local p = levels[level] or {}
    p.ptid = parent
    if level == 1 then p.pid = ptid end
    if not add_process(self, p, node) then return nil end
    parent = p.pid
  end
  return parent
end

-- Takes from `values` (a map node) the fields of a process into p; the rest goes to other(entry).
local function read_process(self, values, p, other)
  local levels = {}
  for _, entry in ipairs(values) do
    local name = entry.key.text or ""
    local row = vocabulary.process[name]
    local level, key, kind = vocabulary.ancestor(name)
    if row then
      read.into[row[2]](self, p, row[1], entry.value, name)
      p.said = p.said or name ~= "proc.pid" and name ~= "thread.tid" and entry
    elseif level then
      levels[level] = levels[level] or {}
      read.into[kind](self, levels[level], key, entry.value, name)
      p.said = p.said or entry
    else
      other(entry, name)
    end
  end
  return levels
end

local function settle_parents(self, p, levels, node)
  if next(levels) == nil then return end
  if p.ptid and self.by_pid[p.ptid] then
    return fail(self, node, ("process %d, its parent, is listed: say there what it is"):format(p.ptid))
  end
  p.ptid = add_ancestors(self, levels, p.ptid, node)
end

-- ------------------------------------------------------------------ descriptors

-- A descriptor of a map with fd.* keys, or nil.
local function read_fd(self, node)
  local fd = { node = node }
  for _, entry in ipairs(node) do
    local name = entry.key.text or ""
    if name == "fd.num" then
      fd.num = read.number(self, entry.value, name)
    elseif keys.fd.by_name[name] then
      fd[name] = read.text(self, entry.value, name)
    else
      fail(self, entry.key, ("unknown key '%s'"):format(name), { near = diag.suggest(name, keys.names(keys.fd)) })
    end
  end
  if not fd.num then return fail(self, node, "a descriptor needs 'fd.num'") end
  return fd
end

local function add_fd(p, fd)
  p.fds = p.fds or {}
  p.fds[fd.num] = fd
end

local function listed_process(self, node)
  local p, fds = {}, nil
  local levels = read_process(self, node, p, function(entry, name)
    if name == "fds" then
      fds = entry.value
    else
      fail(self, entry.key, ("'%s' cannot be said of a process"):format(name),
        { near = diag.suggest(name, vocabulary.field_names()) })
    end
  end)
  settle_parents(self, p, levels, node)
  if not p.pid and not p.tid then return fail(self, node, "a process that is listed needs 'proc.pid'") end
  if self.by_pid[p.tid or p.pid] then return fail(self, node, ("process %d is listed twice"):format(p.tid or p.pid)) end
  if not add_process(self, p, node) or not fds then return end
  if fds.kind ~= "seq" then return fail(self, fds, "'fds' wants a list") end
  for _, item in ipairs(fds) do
    local fd = item.kind == "map" and read_fd(self, item) or nil
    if fd then
      add_fd(p, fd)
    elseif item.kind ~= "map" then
      fail(self, item, "expected a map, like  {fd.num: 3, fd.type: file, fd.name: /etc/passwd}")
    end
  end
end

-- ------------------------------------------------------------------ one event

-- What events that make a process say of it: parameter -> member.
local IMAGE = { exe = "exe", args = "args", tid = "tid", pid = "pid", ptid = "ptid", cwd = "cwd", comm = "comm",
  cgroups = "cgroups", env = "env", tty = "tty", vpgid = "vpgid", loginuid = "loginuid", exe_ino = "exe_ino", uid = "uid",
  gid = "gid", trusted_exepath = "exepath", flags = "flags", vtid = "vtid", vpid = "vpid" }

local function carries_image(event)
  return event.by_name.comm and event.by_name.exe
end

local AT_CWD = -100

-- What a parameter is when nobody says.
local function default_of(event, param, given, p)
  local name, type = param.name, param.type
  if carries_image(event) and IMAGE[name] and not (name == "flags" and not event.by_name.trusted_exepath) then
    local value = p[IMAGE[name]]
    if event.by_name.vtid and name == "flags" then return 0 end
    return value
  elseif type == "ERRNO" then
    return 0
  elseif type == "FD" and name:find("dir") then
    return AT_CWD
  elseif type == "FD" and name == "res" then
    return given.newfd or 3
  elseif type == "FD" or type == "FD32" then
    return 3
  elseif name == "res" then
    return 0
  elseif name == "flags" and event.by_name.fd and event.by_name.mode and param.flags then
    return "O_RDONLY"
  end
  return nil
end

-- The parameter that tells which descriptor the event uses.
local function used_fd(event)
  local param = event.by_name.oldfd or event.by_name.fd
  return param and (param.index > 0 or event.by_name.oldfd) and param or nil
end

local PATHS = { "name", "path" }

-- fd.name and its like: a parameter, or a descriptor that exists before.
local function place_descriptor(self, event, given, p, fd, node)
  local name = fd["fd.name"]
  local uses, path = used_fd(event), nil
  for _, candidate in ipairs(PATHS) do path = path or event.by_name[candidate] end
  if fd.num then
    local number = uses or event.by_name.fd
    if number then given[number.name] = given[number.name] or { node = fd.num_node, number = fd.num } end
  end
  if event.by_name.tuple and name and name:find("->", 1, true) then
    given.tuple = given.tuple or { node = fd.name_node, text = name }
    return
  end
  if not uses and path then
    if name then given[path.name] = given[path.name] or { node = fd.name_node, text = name } end
    return
  end
  if not uses then
    return fail(self, node, "this event uses no descriptor that fields could tell of")
  end
  local number = given[uses.name]
  fd.num = number and (number.number or number.node and yaml.int(number.node)) or 3
  fd["fd.type"] = fd["fd.type"] or (name and name:find("->", 1, true) and "ipv4") or "file"
  if name or fd["fd.type"] ~= "file" then
    if p.fixed then
      return fail(self, node, ("process %d is listed: put the descriptor into its 'fds'"):format(p.pid))
    end
    add_fd(p, { node = node, num = fd.num, ["fd.name"] = name or "", ["fd.type"] = fd["fd.type"],
                ["fd.l4proto"] = fd["fd.l4proto"] })
  end
end

-- What is not of the process: parameters, by their own names or by fields.
local function read_rest(self, event, entry, name, given, fd)
  local value, param = entry.value, event.by_name[name] or event.by_name[name:match("^evt%.arg[.%[]([%w_]+)%]?$") or ""]
  -- what a call returns has many names; all know it as its result
  if name == "res" and not param and event.params[1] and event.params[1].type == "FD" then param = event.params[1] end
  for _, candidate in ipairs(vocabulary.params[name] or {}) do param = param or event.by_name[candidate] end
  if param then
    given[param.name] = { node = value, key = entry.key }
  elseif vocabulary.descriptor[name] then
    fd.any = entry.key
    if name == "fd.num" then
      fd.num, fd.num_node = read.number(self, value, name), value
    else
      fd[name] = read.text(self, value, name)
      if name == "fd.name" then fd.name_node = value end
    end
  elseif vocabulary.open_flags[name] and event.by_name.flags then
    if yaml.bool(value) then fd.flags = (fd.flags and fd.flags .. "|" or "") .. vocabulary.open_flags[name] end
  elseif name == "evt.failed" then
    given.failed = yaml.bool(value)
  else
    local known = {}
    for i, row in ipairs(event.params) do known[i] = row.name end
    local near = diag.suggest(name, known) or diag.suggest(name, vocabulary.field_names())
    fail(self, entry.key, name:find(".", 1, true) and ("'%s' cannot be set for this event"):format(name)
      or ("this event has no parameter '%s'"):format(name), { near = near, hint = "its parameters: " .. table.concat(known, ", ") })
  end
end

-- The socket that a call connects, or sends from, was there before.
local function add_socket(event, given, p, udp)
  local tuple, number = given.tuple, given.fd
  local text = tuple and (tuple.text or tuple.node.kind == "scalar" and tuple.node.text)
  if not text or p.fixed or not used_fd(event) then return end
  local kind = text:sub(1, 1) == "/" and "unix" or text:find("^%[") and "ipv6" or text:find(":[^>]*:[^>]*->") and "ipv6" or "ipv4"
  local nobody = kind == "ipv6" and "[::]:0->[::]:0" or kind == "ipv4" and "0.0.0.0:0->0.0.0.0:0" or ""
  add_fd(p, { node = tuple.node, num = number and (number.number or yaml.int(number.node)) or 3, ["fd.type"] = kind,
              ["fd.name"] = nobody, ["fd.l4proto"] = udp })
end

local FAILED = -13      -- EACCES: the most ordinary failure

local function set_failed(event, given)
  local param = event.params[1]
  if given.failed and param and (param.type == "ERRNO" or param.type == "FD") then
    given[param.name] = given[param.name] or { number = FAILED }
  end
  given.failed = nil
end

local function acting_process(self, p, levels, node)
  local pid = p.tid or p.pid
  local listed = pid and self.by_pid[pid]
  if listed then return listed, true end
  settle_parents(self, p, levels, node)
  return add_process(self, p, node), false
end

-- The members that an event's map gives, over those of the listed process. Another program has nothing of the one before.
local function overlaid(listed, p)
  local out = setmetatable({}, { __index = listed })
  if p.comm or p.exe or p.exepath or p.args then
    out.comm = p.comm or (p.exe or p.exepath or listed.comm or UNNAMED):match("[^/]*$")
    out.exe, out.exepath, out.args, out.exe_flags = out.comm, "/usr/bin/" .. out.comm, "", {}
  end
  for key, value in pairs(p) do out[key] = value end
  return out
end

local function read_event(self, test_event)
  local event = vocabulary.event(test_event.name)
  if not event then
    return fail(self, test_event.node, ("there is no event '%s'"):format(test_event.name),
      { near = diag.suggest(test_event.name, vocabulary.event_names()), hint = "falco --list-events shows all" })
  end
  local p, given, fd = {}, {}, {}
  local levels = read_process(self, test_event.values, p, function(entry, name)
    -- names of parameters win over nothing: fields have dots
    read_rest(self, event, entry, name, given, fd)
  end)
  local actor, is_listed = acting_process(self, p, levels, test_event.node)
  if not actor then return nil end
  if is_listed then
    if p.said and not carries_image(event) then
      fail(self, p.said.key, ("process %d is listed: say there what it is"):format(actor.pid))
    end
    actor = overlaid(actor, p)
    actor.fixed = true
  end
  if fd.flags and not given.flags then given.flags = { node = test_event.node, text = fd.flags } end
  if fd.any then place_descriptor(self, event, given, actor, fd, fd.any) end
  add_socket(event, given, actor, fd["fd.l4proto"])
  set_failed(event, given)
  return { event = event, given = given, actor = actor, node = test_event.node, times = test_event.times, at = test_event.at }
end

-- ------------------------------------------------------------------ into C

local function put_str(str, text)
  str.p, str.len = text, #text
end

local TEXTS = { "comm", "exe", "exepath", "args", "cwd", "env", "cgroups" }

local function write_process(self, p)
  local c = ffi.new("struct scap_proc")
  for _, key in ipairs{ "tid", "pid", "ptid", "sid", "vpgid", "vtid", "vpid", "uid", "gid", "tty" } do c[key] = p[key] end
  c.pgid = p.pgid or p.vpgid
  c.loginuid = p.loginuid % 2 ^ 32
  c.fdlimit, c.exe_flags, c.exe_ino = 1024, p.flags, p.exe_ino or 0
  for _, key in ipairs(TEXTS) do put_str(c[key], p[key]) end
  put_str(c.root, "/")
  if core.C.tale_proc(self.tale, c) < 0 then fail(self, self.test.node, "the processes of this test are too large") end
end

local function write_fds(self, p)
  local err = core.err()
  local numbers = {}
  for num in pairs(p.fds or {}) do numbers[#numbers + 1] = num end
  table.sort(numbers)
  for _, num in ipairs(numbers) do
    local fd = p.fds[num]
    local name, kind = fd["fd.name"] or "", fd["fd.type"] or "file"
    if core.C.tale_fd(self.tale, p.tid, num, kind, name, #name, fd["fd.l4proto"] == "udp", err) < 0 then
      fail(self, fd.node, core.message(err))
    end
  end
end

local function write_users(self)
  local ids = {}
  for id in pairs(self.users) do ids[#ids + 1] = id end
  table.sort(ids)
  for _, list in ipairs{ self.users, self.groups } do
    for _, id in ipairs(list == self.users and ids or list.order) do
      local u, c = list[id], ffi.new("struct tale_user")
      c.id, c.gid, c.is_group = u.id, u.gid or 0, list == self.groups
      for _, key in ipairs{ "name", "home", "shell" } do put_str(c[key], u[key] or "") end
      core.C.tale_user(self.tale, c)
    end
  end
end

local function put_value(self, told, param, value, err)
  local C = core.C
  if type(value) == "number" then return C.tale_number(self.tale, param.index, value, err) end
  if type(value) == "string" then return C.tale_text(self.tale, param.index, value, #value, err) end
  local node = value.node
  local n = value.number or node and not value.text and yaml.int(node)
  if value.text then return C.tale_text(self.tale, param.index, value.text, #value.text, err) end
  local takes_text = param.type:find("^CHARBUF") or param.type:find("PATH$") or param.type == "BYTEBUF"
  if takes_text and node then
    local text = param.type == "BYTEBUF" and node.kind == "seq" and read.words(self, node, param.name)
      or read.text(self, node, param.name)
    if not text then return 0 end
    return C.tale_text(self.tale, param.index, text, #text, err)
  elseif n then
    return C.tale_number(self.tale, param.index, n, err)
  end
  local text = read.text(self, node, param.name)
  if not text then return 0 end
  return C.tale_text(self.tale, param.index, text, #text, err), told
end

local function near_flag(param, value)
  local text = value.node and value.node.text or ""
  local names, known = {}, {}
  for i = 0, (param.flags and param.flags.n or 0) - 1 do
    names[#names + 1] = core.cstr(param.flags.rows[i].name)
    known[names[#names]] = true
  end
  for word in text:gmatch("[^|, ]+") do
    if not known[word] then return diag.suggest(word, names) end
  end
  return nil
end

local function write_event(self, told, ts)
  local C, err = core.C, core.err()
  local event, given = told.event, told.given
  C.tale_event(self.tale, event.code, told.actor.tid, ts)
  for _, param in ipairs(event.params) do
    local value = given[param.name]
    if not value and event.sc and param.index == 0 then value = event.sc end
    if value == nil then value = default_of(event, param, { newfd = given.newfd and yaml.int(given.newfd.node) }, told.actor) end
    if value ~= nil and put_value(self, told, param, value, err) < 0 then
      local from_test = type(value) == "table"
      fail(self, from_test and value.node or told.node, core.message(err), from_test and { near = near_flag(param, value) } or nil)
      return false
    end
  end
  if C.tale_end(self.tale, err) == 0 then return true end
  fail(self, told.node, core.message(err))
  return false
end

local CONTAINER_KEYS = { ["container.id"] = "id", ["container.name"] = "name", ["container.image"] = "image",
  ["container.image.repository"] = "imagerepo", ["container.image.tag"] = "imagetag",
  ["container.image.digest"] = "imagedigest", ["container.image.id"] = "imageid", ["container.privileged"] = "privileged" }

-- Container metadata come as an event of their own, before the others.
local function write_container(self, node, ts)
  local out, names = { type = 0 }, {}
  for name in pairs(CONTAINER_KEYS) do names[#names + 1] = name end
  for _, entry in ipairs(node) do
    local name = entry.key.text or ""
    local key = CONTAINER_KEYS[name]
    if not key then
      fail(self, entry.key, ("'%s' cannot be said of a container"):format(name), { near = diag.suggest(name, names) })
    elseif key == "privileged" then
      out.privileged = yaml.bool(entry.value) or false
    else
      out[key] = read.text(self, entry.value, name)
    end
  end
  if not out.id or not out.id:find("^%x+$") or #out.id > 64 then
    return fail(self, node, "a container needs 'container.id', up to 64 hexadecimal digits")
  end
  out.full_id = out.id .. ("0"):rep(64 - #out.id)
  out.id = out.full_id:sub(1, 12)
  local event = vocabulary.event("container")
  local told = { event = event, given = { json = { text = json.encode({ container = out }) } }, actor = { tid = -1 }, node = node }
  write_event(self, told, ts)
end

-- ------------------------------------------------------------------ all of a test

local function read_users(self, test)
  self.users[0] = { id = 0, gid = 0, name = "root", home = "/root", shell = "/bin/bash" }
  for _, what in ipairs{ "users", "groups" } do
    local id_key = what == "users" and "uid" or "gid"
    for _, node in ipairs(test[what]) do
      local u = {}
      for _, entry in ipairs(node) do
        local key = entry.key.text or ""
        local row = keys.user.by_name[key]
        if not row then
          fail(self, entry.key, ("unknown key '%s'"):format(key), { near = diag.suggest(key, keys.names(keys.user)) })
        else
          u[key] = read[row.kind == "whole" and "number" or "text"](self, entry.value, key)
        end
      end
      local id = u[id_key]
      if not id or id < 0 or id >= 2 ^ 32 then
        fail(self, node, ("'%s' is missing, or out of range"):format(id_key))
      else
        u.id, u.gid = id, u.gid or id
        if what == "groups" and not self.groups[id] then table.insert(self.groups.order, id) end
        self[what][id] = u
      end
    end
  end
end

local function write_all(self, test, events)
  for _, address in ipairs(test.interfaces) do
    local err = core.err()
    if core.C.tale_iface(self.tale, address.text, err) < 0 then fail(self, address, core.message(err)) end
  end
  for _, p in ipairs(self.processes) do complete(self, p) end
  write_users(self)
  for _, p in ipairs(self.processes) do write_process(self, p) end
  for _, p in ipairs(self.processes) do write_fds(self, p) end
  local start, at = ffi.new("uint64_t", START_S) * 1000000000ULL, 0
  for _, node in ipairs(test.containers) do write_container(self, node, start) end
  local places = {}
  for i, told in ipairs(events) do        -- places count only if all could be told
    -- nanoseconds since the start; up to 1e9 s, which a double takes exactly to a quarter of a microsecond
    if told.at then at = math.max(at, math.floor(told.at * 1e9)) end
    if told.actor.fixed and carries_image(told.event) then complete(self, told.actor) end
    for _ = 1, told.times do
      at = at + STEP_NS
      places[at] = i
      if not write_event(self, told, start + ffi.new("uint64_t", at)) then break end
    end
  end
  return function(ts)
    return places[tonumber(ts - start)]
  end
end

function M.events(test, diags)
  local tale = core.C.tale_new()
  assert(tale ~= nil, "out of memory")
  local self = setmetatable({ diags = diags, test = test, tale = ffi.gc(tale, core.C.tale_free), processes = {}, by_pid = {}, users = {},
    groups = { order = {} }, last_pid = FIRST_PID, last_uid = 1000 }, Teller)
  read_users(self, test)
  for _, node in ipairs(test.processes) do listed_process(self, node) end
  if not self.by_pid[1] then add_process(self, { pid = 1, comm = "systemd", exepath = "/usr/lib/systemd/systemd" }) end
  local events = {}
  for _, event in ipairs(test.events) do
    -- one that cannot be told is reported, and the others may have mistakes, too
    events[#events + 1] = read_event(self, event) or nil
  end
  local index = write_all(self, test, events)
  diags.told_bytes = (diags.told_bytes or 0) + tonumber(core.C.tale_size(self.tale))
  if diags.told_bytes > MAX_BYTES then
    fail(self, test.node, ("the events of these tests take more than %d MB"):format(MAX_BYTES / 1048576))
  end
  return not self.failed and { tale = self.tale, index = index } or nil
end

return M
