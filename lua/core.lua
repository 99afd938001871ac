-- SPDX-License-Identifier: Apache-2.0
-- The C core as c/engine/ffi.h declares it. (Not called "ffi": that name is LuaJIT's own module.)
--
--   local core = require "core"
--   core.load(cdef)            the program: declarations from the binary, symbols of the program itself
--   core.C.leaf(evt, 3)        functions, and the constants of every enum: core.C.OP_EQ
--   core.ffi                   LuaJIT's ffi module
--
-- Whoever touches core.C without load() first (specs, tools) gets $FALCO_LIB or build/libfalco.so, declared by ffi.cdef
-- beside it.
local ffi = require "ffi"

local M = { ffi = ffi }

local function read(path)
  local f = assert(io.open(path, "rb"))
  local text = f:read("*a")
  f:close()
  return text
end

-- Declares everything, once; cdef nil: from the shared library, see above.
function M.load(cdef)
  if rawget(M, "C") then
    return M.C
  end
  if cdef then
    ffi.cdef(cdef)
    M.C = ffi.C
  else
    local lib = os.getenv("FALCO_LIB") or "build/libfalco.so"
    if not lib:find("/", 1, true) then
      lib = "./" .. lib
    end
    ffi.cdef(read(lib:match("^.*/") .. "ffi.cdef"))
    M.C = ffi.load(lib)
  end
  return M.C
end

setmetatable(M, {
  __index = function(t, key)
    if key == "C" then
      return t.load()
    end
  end,
})

-- Text of a struct str (by value or pointer); "" when it points nowhere.
function M.str(s)
  return s.p ~= nil and ffi.string(s.p, s.len) or ""
end

-- Text of a NUL-ended char *, or nil for NULL.
function M.cstr(p)
  return p ~= nil and ffi.string(p) or nil
end

-- A fresh struct err; core.message(err) is the line it holds.
function M.err()
  M.load()
  return ffi.new("struct err")
end

function M.message(err)
  return ffi.string(err.text)
end

return M
