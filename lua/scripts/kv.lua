-- SPDX-License-Identifier: Apache-2.0
-- The small store of a script, kept in a file: all of it is written to a new file that takes the old one's place, so that what is
-- read is always whole. A file that cannot be read is an empty store.
--
--   local store, message = kv.open(path, max_bytes)     message: what was wrong with the file; path nil: kept in memory alone
--   store.values                                        map of texts to texts, numbers and booleans
--   store:change(set, gone)                             names and values; list of names
--   store:save() -> true, or nil and one line of text   if anything changed

local M = {}

local Store = {}
Store.__index = Store

local HEAD = "falco kv 1\n"

local function escape(s)
  return (s:gsub("[%%\t\n\r]", function(c) return ("%%%02x"):format(c:byte()) end))
end

local function unescape(s)
  return (s:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

local READ = {
  s = unescape,
  n = tonumber,
  b = function(s) return s == "true" end,
}

local function parse(text)
  if text:sub(1, #HEAD) ~= HEAD then return nil end
  local values = {}
  for kind, key, value in text:sub(#HEAD + 1):gmatch("([snb])\t([^\t\n]*)\t([^\t\n]*)\n") do
    values[unescape(key)] = READ[kind](value)
  end
  return values
end

local function reason(message)
  return (message:gsub("^.*: ", ""))
end

function M.open(path, max_bytes)
  local self = setmetatable({ path = path, values = {} }, Store)
  local file = path and io.open(path, "rb")
  if not file then return self end
  -- escapes triple a byte at worst
  local text = file:read(3 * max_bytes + 65536) or ""
  file:close()
  local values = parse(text)
  if not values then return self, ("'%s' is no store of a script; it is begun anew"):format(path) end
  self.values = values
  return self
end

function Store:change(set, gone)
  for key, value in pairs(set) do self.values[key] = value end
  for _, key in ipairs(gone) do self.values[key] = nil end
  self.changed = true
end

function Store:save()
  if not self.changed or not self.path then return true end
  local lines = { HEAD }
  for key, value in pairs(self.values) do
    local kind = type(value)
    local text = kind == "string" and escape(value) or kind == "number" and ("%.17g"):format(value) or tostring(value)
    lines[#lines + 1] = ("%s\t%s\t%s\n"):format(kind:sub(1, 1), escape(key), text)
  end
  local new = self.path .. ".new"
  local file, message = io.open(new, "wb")
  if not file then return nil, ("'%s': %s"):format(new, reason(message)) end
  local ok, why = file:write(table.concat(lines))
  local closed, late = file:close()
  if ok and closed then ok, why = os.rename(new, self.path) else ok, why = nil, why or late end
  if not ok then
    os.remove(new)
    return nil, ("'%s': %s"):format(self.path, reason(why))
  end
  self.changed = false
  return true
end

return M
