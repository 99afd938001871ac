-- SPDX-License-Identifier: Apache-2.0
-- Files that people name: configuration and rules.
--
--   files.kind(path)    "missing" | "dir" | "file" (whatever else can be read), or nil and why it cannot be told
--   files.inside(path)  { path, ... } of what a directory holds that is no directory, in byte order, or nil and why
--   files.all_inside(path)          the same with directories and whatever else there is
--   files.read(path)    its text, or nil and why. Bounded: nobody writes so much configuration or rules.
local core = require("core")

local M = {}

M.MAX_BYTES = 64 * 1048576
local PIECE = 65536

local function error_text(code)
  return core.ffi.string(core.C.sys_error_text(code))
end

function M.kind(path)
  local C = core.C
  local kind = C.sys_kind(path)
  if kind < 0 then return nil, error_text(kind) end
  return kind == C.SYS_MISSING and "missing" or kind == C.SYS_DIR and "dir" or "file"
end

-- What cannot be looked at is listed too: whoever opens it learns why. Dangling links are not.
local function is_file(path)
  local C = core.C
  local kind = C.sys_kind(path)
  return kind == C.SYS_FILE or kind < 0
end

-- all: directories and whatever else there is, too.
local function inside(path, all)
  local C = core.C
  local code = core.ffi.new("int[1]")
  local dir = C.sys_dir_open(path, code)
  if dir == nil then return nil, error_text(code[0]) end
  local files, i = {}, 0
  while true do
    local name = core.cstr(C.sys_dir_name(dir, i))
    if not name then break end
    local file = path:gsub("/+$", "") .. "/" .. name
    if all or is_file(file) then files[#files + 1] = file end
    i = i + 1
  end
  C.sys_dir_free(dir)
  return files
end

function M.inside(path) return inside(path, false) end
function M.all_inside(path) return inside(path, true) end

local EINTR = 4

-- A pipe may have nobody at its other end yet. A signal that does not ask to end is no reason to give up.
local function is_to_be_tried_again(code)
  return code == EINTR and core.C.sys_stop_signal() == 0
end

local function read_all(f)
  local pieces, size = {}, 0
  while true do
    local piece, why, code = f:read(PIECE)
    if not piece and not is_to_be_tried_again(code) then return not why and table.concat(pieces) or nil, why end
    size = size + #(piece or "")
    if size > M.MAX_BYTES then return nil, ("it is larger than %d MB"):format(M.MAX_BYTES / 1048576) end
    pieces[#pieces + 1] = piece
  end
end

local function open(path)
  while true do
    local f, message, code = io.open(path, "rb")
    if f or not is_to_be_tried_again(code) then return f, message end
  end
end

function M.read(path)
  local f, message = open(path)
  if not f then return nil, (message:gsub("^.*: ", "")) end      -- without the path in front
  local text, why = read_all(f)
  f:close()
  return text, why
end

return M
