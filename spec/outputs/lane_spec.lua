-- SPDX-License-Identifier: Apache-2.0
-- What waits in front of a channel, with a channel that does what the test says.
local conf = require "conf"
local core = require "core"
local diag = require "diag"
local lane = require "outputs.lane"

local MODULE = "outputs.test_channel"
local dir

core.load()

local function alert(i)
  local text = ("alert %d\n"):format(i)
  return { line = core.ffi.cast("const char *", text), len = #text - 1, text = text, mark_at = 0, mark_len = 5, rule = "rule " .. i % 3,
    source = "syscall", tags = { "a", "b" .. i % 2 }, priority = i % 8, ts = i }
end

-- A lane whose channel answers what `answers` says: a function of the alert's text, or a word. got: what it was given.
local function open(opts)
  local channel = { got = {}, answer = opts.answer or true, spools = opts.spools, lossy = opts.lossy }
  function channel:write(a)
    self.got[#self.got + 1] = core.ffi.string(a.line, a.len)
    self.last = { rule = a.rule, source = a.source, tags = a.tags, priority = a.priority, ts = tonumber(a.ts), mark_len = a.mark_len }
    local answer = self.answer
    if type(answer) == "function" then return answer(self) end
    if answer == "broken" then return nil, "it is broken" end
    return answer
  end
  function channel.flush() return true end
  function channel:close() self.closed = true end
  package.loaded[MODULE] = { open = function(_, env)
    channel.lane = env.lane
    return channel
  end }
  local config = conf.load{ diag = diag.new() }
  config.outputs_spool = { dir = opts.spools and dir or "", max_bytes = opts.max or 1048576, sync_ms = 0 }
  config.outputs_queue.output_bytes = opts.memory or 1048576
  config.test_output, config.given.outputs_spool = {}, opts.spools
  return assert(lane.open({ key = "test_output", module = MODULE, name = "test" }, config, { live = opts.live ~= false })), channel
end

local function give(row, from, to)
  for i = from, to do
    local a = alert(i)
    assert.is_true(row:write(a))
  end
end

local function now() return tonumber(core.C.sys_now_ns()) end

-- An alert with a line of so many bytes.
local function long_alert(len)
  local text = ("x"):rep(len)
  local a = alert(1)
  a.line, a.len, a.text = core.ffi.cast("const char *", text), len - 1, text
  return a
end

-- Texts "alert FROM" ... "alert TO".
local function texts(from, to)
  local list = {}
  for i = from, to do list[#list + 1] = "alert " .. i end
  return list
end

describe("a lane", function()
  local shown

  before_each(function()
    dir = os.tmpname()
    os.remove(dir)
    shown = {}
    for _, level in ipairs{ "error", "warning", "notice" } do
      stub(require("console"), level).invokes(function(message) shown[#shown + 1] = message end)
    end
  end)

  after_each(function()
    for _, level in ipairs{ "error", "warning", "notice" } do require("console")[level]:revert() end
    package.loaded[MODULE] = nil
    os.execute("rm -rf " .. dir)
  end)

  it("keeps nothing of what is taken at once", function()
    local row, channel = open{}
    give(row, 1, 5)
    assert.same(texts(1, 5), channel.got)
    assert.equal(0, row:count())
    assert.equal(5, row.delivered)
  end)

  it("keeps order when the channel says later", function()
    local row, channel = open{ answer = "later" }
    give(row, 1, 3)
    assert.equal(3, row:count())
    assert.same({ "alert 1" }, channel.got)          -- the others wait behind it
    channel.answer, channel.got = true, {}
    assert.is_true(row:tick(now()))
    assert.same(texts(1, 3), channel.got)
    assert.same({ rule = "rule 0", source = "syscall", tags = { "a", "b1" }, priority = 3, ts = 3, mark_len = 5 }, channel.last)
    give(row, 4, 4)
    assert.equal("alert 4", channel.got[4])
    assert.equal(0, row:count())
  end)

  it("keeps what is under way until it has arrived, and gives it again after a loss", function()
    local row, channel = open{ answer = "taken" }
    give(row, 1, 4)
    assert.same(texts(1, 4), channel.got)
    row:ack(1)
    assert.equal(3, row:count())
    channel.got = {}
    row:rewind()
    row:tick(now())
    assert.same(texts(2, 4), channel.got)
    row:ack(3)
    assert.equal(0, row:count())
    assert.equal(4, row.delivered)
  end)

  it("drops the newest of a live source when memory is full, and says so once", function()
    local row, channel = open{ answer = "later", memory = 65536 }
    give(row, 1, 5000)
    assert.is_true(row:has_room())
    assert.is_true(row.dropped > 1000)
    assert.equal(1, #shown)
    assert.matches("alerts are dropped", shown[1])
    local kept = row:count()
    assert.equal(5000, kept + row.dropped)
    channel.answer, channel.got = true, {}
    while row:count() > 0 do row:tick(now()) end
    assert.same(texts(1, kept), channel.got)
  end)

  it("lets a replay wait instead", function()
    local row = open{ answer = "later", memory = 65536, live = false }
    local n = 0
    while row:has_room() do
      n = n + 1
      give(row, n, n)
    end
    assert.is_true(n > 100 and n < 5000)
    assert.equal(0, row.dropped)
  end)

  it("goes to disk when the far end is gone, and back", function()
    local row, channel = open{ answer = "taken", spools = true }
    give(row, 1, 3)                                   -- under way
    channel.answer = function(self)
      self.lane:rewind()
      self.lane:down("nobody is there")
      return "later"
    end
    give(row, 4, 6)
    assert.is_true(row.on_disk)
    assert.equal("test: nobody is there; alerts wait on disk", shown[1])
    assert.equal(6, row:count())
    channel.answer, channel.got = "taken", {}
    row:up()
    row:tick(now())
    assert.same(texts(1, 6), channel.got)
    give(row, 7, 8)
    assert.same(texts(1, 8), channel.got)
    row:ack(8)
    assert.is_false(row.on_disk)
    assert.equal(2, #shown)
    give(row, 9, 9)
    assert.equal("alert 9", channel.got[9])
    row:ack(1)
    assert.is_true(row:close())
  end)

  it("goes to disk when memory is full, what is under way first", function()
    local row, channel = open{ answer = "taken", spools = true, memory = 65536, max = 8388608 }
    give(row, 1, 100)
    channel.answer = "later"
    give(row, 101, 3000)
    assert.is_true(row.on_disk)
    row:ack(100)
    assert.equal(2900, row:count())
    channel.answer, channel.got = true, {}
    while row:count() > 0 do row:tick(now()) end
    assert.same(texts(101, 3000), channel.got)
    assert.equal(0, row.dropped)
    assert.is_true(row:close())
  end)

  -- answer(): -errno for the next alert that goes to disk; nil: it is taken
  local function with_disk(answer, run)
    local real = core.C
    core.C = setmetatable({ spool_put = function(...)
      local code = answer()
      if code then return code end
      return real.spool_put(...)
    end }, { __index = real })
    local ok, err = pcall(run)
    core.C = real
    assert(ok, err)
  end

  it("uses memory when the disk has no room, behind what is there, and the disk again later", function()
    local n, full_at = 0, 20
    with_disk(function()
      n = n + 1
      return full_at and n > full_at and -core.C.SOCKET_ENOSPC or nil
    end, function()
      for _, live in ipairs{ true, false } do
        local row, channel = open{ answer = "taken", spools = true, live = live }
        n, full_at, shown = 0, 20, {}
        give(row, 1, 3)                               -- under way
        channel.answer = function(self)
          if not self.lane.is_down then
            self.lane:rewind()
            self.lane:down("nobody is there")
          end
          return "later"
        end
        give(row, 4, 60)
        assert.equal(60, row:count())
        assert.equal(20, tonumber(core.C.spool_count(row.spool)))
        assert.equal(0, row.dropped)
        assert.equal("test: outputs_spool: cannot be written: No space left on device; alerts wait in memory", shown[2])
        local at = now()
        full_at = 41
        row:tick(at + 1.1e9)
        assert.equal(40, tonumber(core.C.spool_count(row.spool)))
        full_at = nil
        row:tick(at + 9e9)
        give(row, 61, 70)
        assert.equal(70, tonumber(core.C.spool_count(row.spool)))
        assert.same({ "test: nobody is there; alerts wait on disk", shown[2], "test: outputs_spool: can be written again" }, shown)
        full_at = 0
        give(row, 71, 80)
        channel.answer, channel.got = "taken", {}
        row:up()
        row:tick(now())
        give(row, 81, 90)
        assert.same(texts(1, 90), channel.got)
        row:ack(75)
        row:rewind()                                  -- what is under way lies in memory
        channel.got = {}
        row:tick(now())
        assert.same(texts(76, 90), channel.got)
        row:ack(15)
        assert.equal(0, row:count())
        assert.is_false(row.on_disk)
        assert.is_true(row:close())
        assert.equal(0, row.dropped)
      end
    end)
  end)

  it("counts as lost, and tells now and then, what will never get through", function()
    local row, channel = open{ answer = function(self)
      self.lane:refused("it is too long")
      return true
    end }
    give(row, 1, 100)
    channel.answer = "later"
    give(row, 101, 101)
    channel.answer = function(self)
      self.lane:refused("it is too long")
      return true
    end
    row:tick(now())
    assert.equal(101, row.dropped)
    assert.equal(0, row.delivered)
    assert.same({ "test: alerts are dropped, since it is too long: 1 so far" }, shown)
    assert.is_true(row:write(long_alert(16 * 1048576)))
    assert.equal(102, row.dropped)
  end)

  it("lets a replay wait when neither has room", function()
    with_disk(function() return -core.C.SOCKET_ENOSPC end, function()
      local row, channel = open{ answer = "later", spools = true, live = false, memory = 65536 }
      row:down("nobody is there")
      local i = 0
      while row:has_room() do
        i = i + 1
        give(row, i, i)
      end
      assert.is_true(i > 100)
      assert.equal(i, row:count())
      channel.answer = true
      row:up()
      while row:count() > 0 do row:tick(now()) end
      assert.is_true(row:has_room())
      assert.same(texts(1, i), { unpack(channel.got, #channel.got - i + 1) })
      assert.is_true(row:close())
    end)
  end)

  -- Five alerts on disk, and that in use by others; and a lane that came later.
  local function behind_others()
    local row = open{ answer = "later", spools = true }
    give(row, 1, 5)
    assert.is_true(row:close())
    local others = assert(core.C.spool_open(dir .. "/test", 1048576, core.err()))
    return others, open{ answer = "taken", spools = true }
  end

  it("overtakes nobody who still uses the disk", function()
    local others, row, channel = behind_others()
    give(row, 6, 7)
    row:tick(now() + 1e8)
    give(row, 8, 8)
    assert.same({}, channel.got)
    core.C.spool_close(others)
    row:tick(now() + 2e8)
    give(row, 9, 9)
    assert.same(texts(1, 9), channel.got)
    row:ack(9)
    assert.equal(0, row:count())
    assert.is_true(row:close())
    others, row, channel = behind_others()
    give(row, 6, 7)
    core.C.spool_close(others)
    assert.is_true(row:close())                       -- the next run finds all of them
    row, channel = open{ answer = "taken", spools = true }
    row:tick(now())
    assert.same(texts(1, 7), channel.got)
    row:ack(7)
    assert.is_true(row:close())
  end)

  it("keeps the order of what arrives when the disk of others comes late", function()
    local others, row, channel = behind_others()
    row.hold_until = now()                            -- they have had their time
    row:tick(now() + 1e8)
    give(row, 6, 7)
    assert.same(texts(6, 7), channel.got)
    core.C.spool_close(others)
    row:tick(now() + 2.2e9)
    give(row, 8, 8)
    assert.same({ "alert 6", "alert 7", "alert 1", "alert 2", "alert 3", "alert 4", "alert 5", "alert 8" }, channel.got)
    row:ack(3)                                        -- 6, 7 and 1
    assert.equal(4, tonumber(core.C.spool_count(row.spool)))
    row:ack(5)
    assert.equal(0, row:count())
    assert.is_true(row:close())
  end)

  it("leaves what is left to the next run", function()
    local row, channel = open{ answer = "later", spools = true }
    give(row, 1, 50)
    assert.is_true(row:close())
    assert.is_true(channel.closed)
    row, channel = open{ spools = true }
    assert.equal(50, row:count())
    give(row, 51, 51)
    row:tick(now())
    assert.same(texts(1, 51), channel.got)
    assert.is_true(row:close())
    row = open{ spools = true }
    assert.equal(0, row:count())
    assert.is_true(row:close())
  end)

  it("says what is lost when it ends", function()
    local row = open{ answer = "later" }
    give(row, 1, 7)
    local ok, message = row:close()
    assert.is_nil(ok)
    assert.matches("^7 alerts were lost", message)
    row = open{ answer = "later", lossy = true }
    give(row, 1, 7)
    assert.is_true(row:close())
    assert.same({ "test: 7 alerts were lost" }, shown)
  end)

  it("is a failure of a replay to lose what the disk refused", function()
    local function run(live)
      local row = open{ answer = "later", spools = true, live = live }
      row:down("it is away")
      give(row, 1, 2)
      row:drop_count(5)
      return row:close()
    end
    assert.is_true((run(true)))
    local ok, message = run(false)
    assert.is_nil(ok)
    assert.matches("^5 alerts were lost", message)
  end)

  it("tells of a channel that does not get on, once", function()
    local row = open{ answer = "later" }
    give(row, 1, 1)
    local at = now()
    row:tick(at)
    row:tick(at + 1.9e9)
    assert.same({}, shown)
    row:tick(at + 2.1e9)
    row:tick(at + 9e9)
    assert.same({ "test: has taken nothing for 2000 ms (output_timeout); alerts wait" }, shown)
    assert.equal(1, row.timeouts)
  end)

  it("passes on that its channel is given up", function()
    local row, channel = open{ answer = "broken" }
    local ok, message = row:write(alert(1))
    assert.is_nil(ok)
    assert.equal("it is broken", message)
    channel.answer = "later"
    row:write(alert(2))
    channel.answer = "broken"
    ok, message = row:tick(now())
    assert.is_nil(ok)
    assert.equal("it is broken", message)
  end)
end)
