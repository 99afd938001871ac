-- SPDX-License-Identifier: Apache-2.0
-- The file that says which process falco is.
--   local file, message = pidfile.write(path)
--   pidfile.remove(file)        if it is still ours
-- One that is there already is a process that goes on, and then this one must not take its place, or was left behind.
local console = require("console")
local core = require("core")
local files = require("files")

local M = {}

local function first_word(path)
  return (files.read(path) or ""):match("^%s*(%S*)")
end

-- Does the process exist and run the same program? Its name is all that anyone may read of it.
local function runs_falco(pid)
  return first_word("/proc/" .. pid .. "/comm") == first_word("/proc/self/comm")
end

local function check_old(path)
  if files.kind(path) == "missing" then return nil end
  local pid = first_word(path):match("^%d+$")
  if pid and tonumber(pid) ~= core.C.sys_pid() and runs_falco(pid) then
    return ("pid file '%s': falco runs already, as process %s"):format(path, pid)
  end
  if pid and tonumber(pid) ~= core.C.sys_pid() then
    console.notice(("pid file '%s' was left behind by process %s and is replaced"):format(path, pid))
  end
  return nil
end

local function put(path, text)
  local f, message = io.open(path, "w")
  if not f then return message end
  local ok, why = f:write(text)
  local closed, late = f:close()
  return not (ok and closed) and (why or late) or nil
end

function M.write(path)
  local message = check_old(path)
  if message then return nil, message end
  local text = core.C.sys_pid() .. "\n"
  message = put(path, text)
  if message then return nil, ("cannot write the process id to '%s': %s"):format(path, (message:gsub("^.*: ", ""))) end
  return { path = path, text = text }
end

function M.remove(file)
  if files.read(file.path) == file.text then os.remove(file.path) end
end

return M
