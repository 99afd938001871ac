-- SPDX-License-Identifier: Apache-2.0
-- Fuzzing of what is written in Lua: texts are mutated at random, from a seed, and those that lead to something new are
-- kept to be mutated further.
--
--   local fuzz = dofile "test/fuzz/mutate.lua"
--   fuzz.run{ name =, seeds = { text, ... }, words = { token, ... }, try = function(text) return signature end }
--
-- Arguments of the script: SECONDS OUT CORPUS [SEED]. `try` raises an error for a finding; its signature says what kind of
-- thing happened: a text with a signature not met before is kept, in OUT/NAME.corpus. A finding is left in
-- OUT/NAME.found-SEED, and the process ends with status 1. Files of CORPUS are tried first.
local M = {}

local MAX_SECONDS = 20		-- of one input
local MAX_LENGTH = 20000

-- ------------------------------------------------------------------ random numbers

local state = 1

local function random(n)	-- 1 .. n
  state = (state * 48271) % 2147483647
  return state % n + 1
end
M.random = random

local function pick(list)
  return list[random(#list)]
end

-- ------------------------------------------------------------------ mutations: text, other text, words -> text

local function span(text)
  local from = random(#text + 1)
  return from, math.min(#text, from + random(random(2) == 1 and 4 or 60) - 2)
end

local MUTATIONS = {
  function(text)						-- a span goes
    local from, to = span(text)
    return text:sub(1, from - 1) .. text:sub(to + 1)
  end,
  function(text)						-- a span comes twice, or often
    local from, to = span(text)
    return text:sub(1, to) .. text:sub(from, to):rep(random(8) == 1 and 200 or 1) .. text:sub(to + 1)
  end,
  function(text)						-- a byte changes
    local at = random(math.max(#text, 1))
    return text:sub(1, at - 1) .. string.char(random(256) - 1) .. text:sub(at + 1)
  end,
  function(text)						-- a printable byte changes
    local at = random(math.max(#text, 1))
    return text:sub(1, at - 1) .. string.char(random(95) + 31) .. text:sub(at + 1)
  end,
  function(text, _, words)					-- a word comes
    local at = random(#text + 1)
    return text:sub(1, at - 1) .. pick(words) .. text:sub(at)
  end,
  function(text, _, words)					-- a word of the text becomes another
    local n, at = 0, random(40)
    return (text:gsub("[%w_.]+", function() n = n + 1 return n == at and pick(words) or nil end))
  end,
  function(text, other)						-- a span of another text comes
    local at, from, to = random(#text + 1), span(other)
    return text:sub(1, at - 1) .. other:sub(from, to) .. text:sub(at)
  end,
  function(text, other)						-- the one goes over into the other
    return text:sub(1, random(#text + 1) - 1) .. other:sub(random(#other + 1))
  end,
  function(text)						-- two lines trade places
    local lines = {}
    for line in text:gmatch("[^\n]*\n") do lines[#lines + 1] = line end
    if #lines < 2 then return text .. "\n" end
    local a, b = random(#lines), random(#lines)
    lines[a], lines[b] = lines[b], lines[a]
    return table.concat(lines)
  end,
  function(text)						-- a line moves to the right or left
    local n, at = 0, random(20)
    return (text:gsub("\n( *)", function(blanks)
      n = n + 1
      return n == at and "\n" .. (" "):rep(math.max(0, #blanks + random(5) - 3)) or nil
    end))
  end,
}

local function mutate(pool, words)
  local text = pick(pool)
  for _ = 1, random(4) do
    text = pick(MUTATIONS)(text, pick(pool), words):sub(1, MAX_LENGTH)
  end
  return text
end

-- ------------------------------------------------------------------ running

local function write(path, text)
  local f = assert(io.open(path, "wb"))
  f:write(text)
  f:close()
end

local function read_all(dir)
  local texts = {}
  local p = assert(io.popen(("ls -d %q/* 2>/dev/null"):format(dir)))
  for path in p:lines() do
    local f = assert(io.open(path, "rb"))
    texts[#texts + 1] = f:read("*a")
    f:close()
  end
  p:close()
  return texts
end
M.read_all = read_all

local function describe(err)
  if type(err) == "table" then
    err = "error object: " .. tostring(err.message or err)
  end
  return debug.traceback(tostring(err), 2)
end

local function found(job, text, why)
  local path = ("%s/%s.found-%d"):format(job.out, job.name, job.seed)
  write(path, text)
  io.stderr:write(("%s: %s\ninput left in %s\n"):format(job.name, why, path))
  os.exit(1)
end

-- Tries one text; keeps it if it is of a new kind.
local function try(job, text)
  write(("%s/%s.last"):format(job.out, job.name), text)		-- should the process die
  local started = os.clock()
  local ok, signature = xpcall(function() return job.try(text) end, describe)
  if not ok then found(job, text, signature) end
  if os.clock() - started > MAX_SECONDS then found(job, text, ("took %.1f s"):format(os.clock() - started)) end
  job.tries = job.tries + 1
  if job.met[signature] then return end
  job.met[signature] = true
  job.kinds = job.kinds + 1
  job.pool[#job.pool + 1] = text
  write(("%s/%s.corpus/%06d"):format(job.out, job.name, job.kinds), text)
end

function M.run(job)
  local seconds, corpus = assert(tonumber(arg[1]), "usage: SECONDS OUT CORPUS [SEED]"), arg[3]
  job.out, job.seed = arg[2], tonumber(arg[4]) or os.time()
  job.pool, job.met, job.tries, job.kinds = {}, {}, 0, 0
  state = job.seed % 2147483646 + 1
  assert(os.execute(("mkdir -p %q/%s.corpus"):format(job.out, job.name)) == 0)
  for _, texts in ipairs{ read_all(corpus), read_all(("%s/%s.corpus"):format(job.out, job.name)), job.seeds } do
    for _, text in ipairs(texts) do try(job, text) end
  end
  local started, tries = os.time(), job.tries
  while os.difftime(os.time(), started) < seconds do
    try(job, mutate(job.pool, job.words))
    if job.tries % 500 == 0 then collectgarbage() end
  end
  os.remove(("%s/%s.last"):format(job.out, job.name))
  print(("  %d inputs, %d a second, %d kinds, seed %d"):format(job.tries, (job.tries - tries) / math.max(seconds, 1), job.kinds,
    job.seed))
end

return M
