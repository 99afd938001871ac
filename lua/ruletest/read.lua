-- SPDX-License-Identifier: Apache-2.0
-- Values of YAML nodes as events by hand want them. `self` reports: self:fail(node, message). What is wrong is reported, and nil.
--
--   read.number(self, node, name) -> number         read.text(self, node, name) -> text
--   read.words(self, node, name) -> NUL-ended words of a list, or of a text with blanks between them
--   read.into[kind](self, process, key, node, name)     a field of a process, into its member
local yaml = require("rules.yaml")

local M = {}

local LIMIT = 2 ^ 53
local MAX_WORDS = 1000000     -- of one test: aliases can make much out of little

function M.number(self, node, name)
  local n = yaml.int(node)
  if n and n > -LIMIT and n < LIMIT then return n end
  self:fail(node, ("'%s' wants a whole number"):format(name))
  return nil
end

-- Texts of the kernel end at a NUL.
local function no_nul(self, node, name)
  if not node.text:find("%z") then return node.text end
  return self:fail(node, ("'%s' cannot have a NUL in it"):format(name))
end

function M.text(self, node, name)
  if node.kind == "scalar" then return no_nul(self, node, name) end
  self:fail(node, ("'%s' wants a single value"):format(name))
  return nil
end

function M.words(self, node, name)
  local out = {}
  if node.kind == "scalar" then
    if not no_nul(self, node, name) then return nil end
    for word in node.text:gmatch("%S+") do out[#out + 1] = word .. "\0" end
    return table.concat(out)
  elseif node.kind == "seq" then
    self.words_left = (self.words_left or MAX_WORDS) - #node
    if self.words_left < 0 then return self:fail(node, ("lists of words have more than %d words"):format(MAX_WORDS)) end
    for i, item in ipairs(node) do
      if item.kind ~= "scalar" then return self:fail(item, ("'%s' wants a list of single values"):format(name)) end
      if not no_nul(self, item, name) then return nil end
      out[i] = item.text .. "\0"
    end
    return table.concat(out)
  end
  return self:fail(node, ("'%s' wants a text, or a list of words"):format(name))
end

-- ------------------------------------------------------------------ into a process, by kind (vocabulary.lua)

local INTO = {}
M.into = INTO

-- What the kernel has for these.
local MOST_PID, MOST_ID = 2 ^ 31 - 1, 2 ^ 32 - 1
local BOUNDS = { pid = { 1, MOST_PID }, tid = { 1, MOST_PID }, vpid = { 1, MOST_PID }, vtid = { 1, MOST_PID }, ptid = { 0, MOST_PID },
  sid = { 0, MOST_PID }, vpgid = { 0, MOST_PID }, pgid = { 0, MOST_PID }, uid = { 0, MOST_ID }, gid = { 0, MOST_ID },
  loginuid = { -1, MOST_ID }, tty = { 0, MOST_ID } }

function INTO.number(self, p, key, node, name)
  local n, bounds = M.number(self, node, name), BOUNDS[key]
  if n and bounds and (n < bounds[1] or n > bounds[2]) then
    return self:fail(node, ("'%s' wants a number from %.0f to %.0f"):format(name, bounds[1], bounds[2]))
  end
  p[key] = n
end

function INTO.text(self, p, key, node, name) p[key] = M.text(self, node, name) end
function INTO.words(self, p, key, node, name) p[key] = M.words(self, node, name) end

function INTO.flag(self, p, key, node, name)
  local on = yaml.bool(node)
  if on == nil then return self:fail(node, ("'%s' wants true or false"):format(name)) end
  p.exe_flags = p.exe_flags or {}
  p.exe_flags[key] = on
end

-- "nc -e /bin/sh": the name of the program and its arguments.
function INTO.command(self, p, _, node, name)
  local text = M.text(self, node, name)
  local first, rest = (text or ""):match("^(%S+)%s*(.*)$")
  if not first then return text and self:fail(node, ("'%s' is empty"):format(name)) end
  p.comm = p.comm or first:match("[^/]*$")
  p.args = M.words(self, { kind = "scalar", text = rest }, name)
end

-- An id of a container, filled up to the 64 digits that one has.
function INTO.container(self, p, _, node, name)
  local id = M.text(self, node, name)
  if id == "host" or not id then return end
  if not id:find("^%x+$") or #id > 64 then
    return self:fail(node, ("'%s' wants up to 64 hexadecimal digits, or host"):format(name))
  end
  local group = "/docker/" .. id .. ("0"):rep(64 - #id)
  p.cgroups = ("cpuset=%s\0cpu=%s\0memory=%s\0"):format(group, group, group)
end

function INTO.user(self, p, _, node, name)
  p.user = M.text(self, node, name)
end

return M
