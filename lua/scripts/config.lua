-- SPDX-License-Identifier: Apache-2.0
-- Which scripts there are: `scripts` of falco.yaml, and the *.lua files of `scripts_dir`.
--
--   local rows, problems, left_out = config.rows(conf)
--     row: { name =, path =, text =, grant = set, args = map, files = { name = text }, limits = map, outputs = set or nil }
--     problems: lines of text; whatever is wrong with a script, the others are there
--     third: lines about what lies in scripts_dir and is left out
--   config.any(conf): is there any; config.face(conf): see there
--   config.paths(conf)          files whose change matters, and the directory; conf.script_paths: those of rules, once they are loaded
local core = require "core"
local files = require "files"
local schema = require "schema"

local M = {}

M.MAX_SCRIPTS = 64
M.MAX_TEXT = 1048576           -- bytes of a script
M.MAX_FILE = 16777216          -- bytes of a file that a script is given
M.HARMLESS = { "route", "alter", "emit", "log", "timers" }      -- granted to scripts that the configuration says nothing about

local function reason(message)
  return (message:gsub("^.*: ", ""))
end

-- The text of a file, or nil and why not.
local function read(path, max)
  local C = core.C
  local kind = C.sys_kind(path)
  if kind < 0 then return nil, core.cstr(C.sys_error_text(kind)) end
  if kind ~= C.SYS_FILE then return nil, kind == C.SYS_MISSING and "there is no such file" or "it is no file" end
  local file, message = io.open(path, "rb")
  if not file then return nil, reason(message) end
  local text = file:read(max + 1) or ""
  file:close()
  if #text > max then return nil, ("it is larger than %d bytes"):format(max) end
  return text
end
M.read = read

local function set_of(list)
  local set = {}
  for _, name in ipairs(list) do set[name] = true end
  return set
end

local function name_of(path)
  return (path:gsub("^.*/", ""):gsub("%.lua$", ""))
end

-- Limits of a script that the configuration says nothing about; spec: of a rule's, schema.rule_script_limits.
function M.default_limits(spec)
  local limits = {}
  for _, row in ipairs((spec or schema.script_limits).rows) do limits[row[1]] = row[2].default end
  return limits
end

local function row_of(entry)
  local grant = entry.grant and #entry.grant > 0 and entry.grant or M.HARMLESS
  return {
    name = entry.name and entry.name ~= "" and entry.name or name_of(entry.path), path = entry.path, grant = set_of(grant),
    args = entry.args or {}, wanted = entry.files or {}, limits = entry.limits or M.default_limits(),
  }
end

local function fill(row, problems)
  local text, message = read(row.path, M.MAX_TEXT)
  if not text then
    problems[#problems + 1] = ("script '%s': %s: %s"):format(row.name, row.path, message)
    return nil
  end
  row.text, row.files = text, {}
  for name, path in pairs(row.wanted) do
    local content, why = nil, "its path must be a text"
    if type(path) == "string" then content, why = read(path, M.MAX_FILE) end
    if not content then
      problems[#problems + 1] = ("script '%s': files: %s: %s: %s"):format(row.name, name, tostring(path), why)
      return nil
    end
    row.files[name] = content
  end
  return row
end

-- Files that begin with a dot are nobody's business, what editors and packages leave beside files is worth a word.
local function look_at(path, scripts, left_out)
  local kind, name = files.kind(path), path:gsub("^.*/", "")
  if name:find("^%.") then return end
  if kind == "dir" then
    left_out[#left_out + 1] = ("scripts_dir: %s is left out: it is a directory"):format(path)
  elseif not name:find("%.lua$") then
    left_out[#left_out + 1] = ("scripts_dir: %s is left out: its name does not end in .lua"):format(path)
  else
    scripts[#scripts + 1] = path
  end
end

-- Without a directory there are none in it.
local function of_directory(dir, problems, left_out)
  if not dir or dir == "" then return {} end
  local kind, why = files.kind(dir)
  if kind == "missing" then return {} end
  local list = nil
  if kind == "dir" then list, why = files.all_inside(dir) end
  if not list then
    problems[#problems + 1] = ("scripts_dir: %s: %s"):format(dir, why or "it is no directory")
    return {}
  end
  local scripts = {}
  for _, path in ipairs(list) do look_at(path, scripts, left_out) end
  return scripts
end

-- Entries of both, in order: those of the configuration first. An entry that names a file of the directory speaks for it.
local function entries(conf, problems, left_out)
  local list, named = {}, {}
  for _, entry in ipairs(conf.scripts or {}) do
    named[entry.path] = true
    if entry.enabled ~= false then list[#list + 1] = entry end
  end
  for _, path in ipairs(of_directory(conf.scripts_dir, problems, left_out)) do
    if not named[path] then list[#list + 1] = { path = path } end
  end
  return list
end

function M.rows(conf)
  local rows, problems, left_out, names = {}, {}, {}, {}
  for _, entry in ipairs(entries(conf, problems, left_out)) do
    local row = row_of(entry)
    if names[row.name] then
      problems[#problems + 1] = ("script '%s': %s has that name, too (give one of them a `name`)"):format(row.name,
        names[row.name])
    elseif #rows >= M.MAX_SCRIPTS then
      problems[#problems + 1] = ("script '%s': there are more than %d"):format(row.name, M.MAX_SCRIPTS)
    else
      names[row.name] = row.path
      rows[#rows + 1] = fill(row, problems)
    end
  end
  return rows, problems, left_out
end

-- Whether there is a script at all.
function M.any(conf)
  return #entries(conf, {}, {}) > 0
end

-- The texts of all scripts and of the files they are given, as one: it differs when any of them does.
function M.face(conf)
  local rows, problems = M.rows(conf)
  local out = { unpack(problems) }
  for _, row in ipairs(rows) do
    out[#out + 1] = row.path .. "\n" .. row.text
    for name, content in pairs(row.files) do out[#out + 1] = name .. "=" .. content end
  end
  table.sort(out)
  return table.concat(out, "\0")
end

function M.paths(conf)
  local paths = { conf.scripts_dir }
  for _, entry in ipairs(conf.scripts or {}) do
    paths[#paths + 1] = entry.path
    for _, path in pairs(entry.files or {}) do paths[#paths + 1] = path end
  end
  for _, path in ipairs(conf.script_paths or {}) do paths[#paths + 1] = path end
  return paths
end

return M
