-- SPDX-License-Identifier: Apache-2.0
-- The part of a man page that a program makes: what stands between the two lines of the page that name the program.
--   local page = dofile("docs/page.lua")
--   page.put(path, maker, text, wrong)     writes that part anew; with --check on the command line, fails with `wrong` if that
--                                          would change anything
local M = {}

local function read(path)
  local f = assert(io.open(path, "rb"))
  local text = f:read("*a")
  f:close()
  return text
end

function M.put(path, maker, text, wrong)
  local page = read(path)
  local _, from = page:find(('.\\" made by %s from here\n'):format(maker), 1, true)
  local to = page:find(('.\\" made by %s up to here\n'):format(maker), 1, true)
  assert(from and to, ("%s: the lines that name %s are gone"):format(path, maker))
  local made = page:sub(1, from) .. text .. page:sub(to)
  if made == page then return end
  if arg[1] == "--check" then
    print(("%s: %s; run luajit %s"):format(path, wrong, maker))
    os.exit(1)
  end
  local f = assert(io.open(path, "wb"))
  f:write(made)
  f:close()
end

return M
