-- SPDX-License-Identifier: Apache-2.0
-- What events written by hand can say: events by their names, and which fields of a rule can be set.
--
--   vocabulary.event(name) -> { code, sc (generic events), params = { {name, type, index, flags = struct flag_table * | nil}, ... },
--                               by_name = { name -> param } } | nil
--   vocabulary.event_names() -> { name, ... } of events and system calls
--   vocabulary.process[field] = { key, kind }        a field of the thread that acts; key: its member in a process of tale.lua;
--                                                    kinds: number text words flag container user command
--   vocabulary.ancestor(field) -> level, key, kind | nil   "proc.pname", "proc.aname[2]" ...: of one of its ancestors
--   vocabulary.field_names() -> { name, ... } of all fields that can be set
local core = require("core")

local M = {}

-- ------------------------------------------------------------------ events

-- The code that a driver of today writes: exits of system calls, and events that are no system calls.
local function is_written(C, code)
  return not C.event_is_unused(code) and not (C.event_is_old(code) and C.event_is_exit(code))
    and C.event_is_exit(code) == C.event_is_from_syscall(code)
end

local codes

-- name -> { code, sc }
local function code_table()
  if codes then return codes end
  local C, generic = core.C, nil
  codes = {}
  for code = 0, C.event_count() - 1 do
    if is_written(C, code) then
      if C.event_is_generic(code) then
        generic = code
      else
        codes[core.cstr(C.event_info(code).name)] = { code = code }
      end
    end
  end
  for sc = 0, C.syscall_count() - 1 do
    local name = core.cstr(C.syscall_name(sc))
    if name ~= "" and not codes[name] then codes[name] = { code = generic, sc = sc } end
  end
  codes[""] = nil
  return codes
end

local function with_params(known)
  local C = core.C
  local info = C.event_info(known.code)
  known.params, known.by_name = {}, {}
  for i = 0, info.nparams - 1 do
    local param = info.params[i]
    local row = { name = core.cstr(param.name), type = core.cstr(C.type_name(param.type)), index = i,
                  flags = param.flags ~= nil and param.flags or nil }
    known.params[i + 1] = row
    if not known.by_name[row.name] then known.by_name[row.name] = row end
  end
  return known
end

function M.event(name)
  local known = code_table()[name]
  if known and not known.params then with_params(known) end
  return known
end

function M.event_names()
  local out = {}
  for name in pairs(code_table()) do out[#out + 1] = name end
  table.sort(out)
  return out
end

-- ------------------------------------------------------------------ fields of processes

-- Members of a process as tale.lua has it.
M.process = {
  ["proc.pid"] = { "pid", "number" }, ["thread.tid"] = { "tid", "number" }, ["proc.ppid"] = { "ptid", "number" },
  ["proc.name"] = { "comm", "text" }, ["proc.exe"] = { "exe", "text" }, ["proc.exepath"] = { "exepath", "text" },
  ["proc.args"] = { "args", "words" }, ["proc.cmdline"] = { "cmdline", "command" }, ["proc.cwd"] = { "cwd", "text" },
  ["proc.env"] = { "env", "words" }, ["proc.tty"] = { "tty", "number" }, ["proc.sid"] = { "sid", "number" },
  ["proc.vpgid"] = { "vpgid", "number" }, ["proc.pgid"] = { "pgid", "number" }, ["proc.vpid"] = { "vpid", "number" },
  ["thread.vtid"] = { "vtid", "number" }, ["proc.exe_ino"] = { "exe_ino", "number" },
  ["user.uid"] = { "uid", "number" }, ["user.name"] = { "user", "user" }, ["user.loginuid"] = { "loginuid", "number" },
  ["group.gid"] = { "gid", "number" },
  ["thread.cgroups"] = { "cgroups", "words" }, ["container.id"] = { "container", "container" },
  ["proc.is_exe_writable"] = { "EXE_WRITABLE", "flag" }, ["proc.is_exe_upper_layer"] = { "EXE_UPPER_LAYER", "flag" },
  ["proc.is_exe_lower_layer"] = { "EXE_LOWER_LAYER", "flag" }, ["proc.is_exe_from_memfd"] = { "EXE_FROM_MEMFD", "flag" },
}

-- What can be said of ancestors: proc.pNAME, proc.aNAME[level].
local OF_ANCESTORS = { name = "proc.name", exe = "proc.exe", exepath = "proc.exepath", cmdline = "proc.cmdline", args = "proc.args" }
M.MAX_LEVEL = 30

function M.ancestor(field)
  local word, level = field:match("^proc%.a(%l+)%[(%d+)%]$")
  if not word then
    word = field:match("^proc%.p(%l+)$") or field:match("^proc%.a(%l+)$")
    level = 1
  end
  local row = word and OF_ANCESTORS[word] and M.process[OF_ANCESTORS[word]]
  level = tonumber(level)
  if not row or level < 1 or level > M.MAX_LEVEL then return nil end
  return level, row[1], row[2]
end

-- ------------------------------------------------------------------ fields that stand for parameters

-- Fields of descriptors and paths, handled by tell.lua; of them what an event does with them depends on its parameters.
M.descriptor = { ["fd.num"] = true, ["fd.type"] = true, ["fd.name"] = true, ["fd.l4proto"] = true }

-- Field -> parameters that it can be, the first one that the event has.
M.params = {
  ["evt.res"] = { "res", "fd" }, ["evt.rawres"] = { "res", "fd" },
  ["fs.path.name"] = { "path", "name", "filename", "pathname" },
  ["fs.path.source"] = { "linkpath", "newpath", "oldpath" }, ["fs.path.target"] = { "target", "oldpath", "newpath" },
}

-- How an open file is meant to be used: the flags that say so.
M.open_flags = { ["evt.is_open_read"] = "O_RDONLY", ["evt.is_open_write"] = "O_WRONLY", ["evt.is_open_create"] = "O_CREAT" }

function M.field_names()
  local out = { "evt.failed", "proc.pname", "proc.pexe", "proc.pexepath", "proc.pcmdline", "proc.aname[2]", "proc.aexepath[2]" }
  for _, names in ipairs{ M.process, M.descriptor, M.params, M.open_flags } do
    for name in pairs(names) do out[#out + 1] = name end
  end
  table.sort(out)
  return out
end

return M
