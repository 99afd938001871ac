-- SPDX-License-Identifier: Apache-2.0
-- Writes a C file that holds the cdef text and the bytecode of every Lua module, for c/lua.c to load.
--   luajit c/embed.lua OUT CDEF [name=]FILE...      lua/rules/init.lua is module "rules", lua/diag.lua is "diag"
local out, cdef = arg[1], arg[2]

local function read(path)
  local f = assert(io.open(path, "rb"))
  local text = f:read("*a")
  f:close()
  return text
end

local function module_of(path)
  return (path:gsub("^lua/", ""):gsub("%.lua$", ""):gsub("/init$", ""):gsub("/", "."))
end

local function bytes(text)
  local line, lines = {}, {}
  for i = 1, #text do
    line[#line + 1] = text:byte(i)
    if #line == 32 or i == #text then
      lines[#lines + 1] = table.concat(line, ",") .. ","
      line = {}
    end
  end
  return table.concat(lines, "\n")
end

local f = assert(io.open(out, "w"))
f:write('#include "c/lua.h"\n')
f:write("static const unsigned char cdef[] = {\n", bytes(read(cdef)), "0};\n")
local rows = {}
for i = 3, #arg do
  local name, path = arg[i]:match("^([%w_.]+)=(.*)$")
  path = path or arg[i]
  name = name or module_of(path)
  local code = string.dump(assert(loadstring(read(path), "@" .. path)), false)
  f:write("static const unsigned char m", i, "[] = {\n", bytes(code), "};\n")
  rows[#rows + 1] = string.format('\t{ "%s", m%d, %d },\n', name, i, #code)
end
f:write("const char *const embed_cdef = (const char *)cdef;\n")
f:write("const struct embed_module embed_modules[] = {\n", table.concat(rows), "\t{ 0, 0, 0 }\n};\n")
f:close()
