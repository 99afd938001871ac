-- SPDX-License-Identifier: Apache-2.0
-- A sequence: a program writes a file, and within a minute that file is run. For a rule, whose condition says which events count:
--
--   - rule: Downloaded file run
--     desc: A file that a downloader wrote is run soon after
--     condition: >
--       (evt.type in (open, openat, openat2, creat) and evt.is_open_write=true and fd.typechar=f and proc.name in (curl, wget))
--       or (evt.type in (execve, execveat) and evt.rawres=0)
--     output: A downloaded file was run (file=%proc.exepath command=%proc.cmdline parent=%proc.pname)
--     priority: critical
--     script: /etc/falco/scripts/download_exec.lua
local written = falco.table{ expire = 60, max = 10000 }

-- A path means a file only together with the container that it is seen from.
local function key_of(evt, path)
  return (evt:get("container.id") or "") .. "\0" .. path
end

local M = {}

function M.on_event(evt)
  if evt:get("evt.is_open_write") then
    local path = evt:get("fd.name")
    if path then written:set(key_of(evt, path), { by = evt:get("proc.cmdline"), at = falco.now() }) end
    return
  end
  local path = evt:get("proc.exepath")
  local was = path and written:get(key_of(evt, path))
  if not was then return end
  written:delete(key_of(evt, path))
  emit{ fields = { ["download.by"] = was.by, ["download.ms_ago"] = math.floor((falco.now() - was.at) * 1000) } }
end

return M
