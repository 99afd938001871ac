-- SPDX-License-Identifier: Apache-2.0
-- Each example of lua/examples does what it says. (Against captures: test/cli/scripts.lua.)
local core = require "core"
local stage = require "spec.scripts.stage"

local function open(name, args, more, opts)
  local given = { path = "lua/examples/" .. name .. ".lua", args = args }
  for key, value in pairs(more or {}) do given[key] = value end
  return stage.open({ given }, opts)
end

local function messages(s)
  local lines = {}
  for i, what in ipairs(s.emitted) do lines[i] = what.rule .. ": " .. what.message end
  return lines
end

local function run(command)
  local pipe = io.popen(command)
  local text = pipe:read("*a")
  pipe:close()
  return text
end

local function read(path)
  local file = io.open(path)
  local text = file and file:read("*a") or ""
  if file then file:close() end
  return text
end

-- A server that keeps what is posted to /cgi-bin/hook. Returns its port, its directory and its process.
local function web_server()
  local dir = run("mktemp -d"):match("%S+")
  os.execute(("mkdir %s/cgi-bin"):format(dir))
  local file = assert(io.open(dir .. "/cgi-bin/hook", "w"))
  file:write(("#!/bin/sh\nhead -c $CONTENT_LENGTH >%s/body.part\nmv %s/body.part %s/body\nprintf 'Content-Type: text/plain\\r\\n\\r\\nok'\n")
    :format(dir, dir, dir))
  file:close()
  os.execute(("chmod 755 %s/cgi-bin/hook"):format(dir))
  for port = 18431, 18490 do
    local pid = run(("busybox httpd -f -p 127.0.0.1:%d -h %s >/dev/null 2>&1 & echo $!"):format(port, dir)):match("%d+")
    core.C.sys_sleep(100)
    if os.execute(("kill -0 %s 2>/dev/null"):format(pid)) == 0 then return port, dir, pid end
  end
  error("no port is free")
end

describe("example", function()
  it("slack posts a text by template", function()
    local port, dir, pid = web_server()
    local s = open("slack", { url = ("http://127.0.0.1:%d/cgi-bin/hook"):format(port), template = "*%{rule}* <%{proc.name}>", at_least = "error" },
      { grant = { "http", "log" } })
    s:pass{ rule = "Too low", priority = 4 }
    s:pass{ rule = "A \"rule\"", priority = 2, output = "something & more", fields = { ["proc.name"] = "cat" }, time = 1000.5 }
    assert.is_true(s:settle())
    s:close()
    local body = read(dir .. "/body")
    os.execute(("kill %s; rm -r %s"):format(pid, dir))
    assert.equal('{"attachments":[{"color":"danger","text":"something &amp; more","ts":1000}],"text":"*A \\"rule\\"* &lt;cat&gt;"}', body)
  end)

  it("dedup lets an alert through once in a window, and says how many it held", function()
    local s = open("dedup", { seconds = 60, by = { "rule", "proc.name" } })
    local seen = {}
    for _, a in ipairs{ { "a", "x", 0 }, { "a", "x", 10 }, { "a", "y", 20 }, { "b", "x", 30 }, { "a", "x", 59 }, { "a", "x", 61 }, { "a", "x", 62 } } do
      local record = s:pass{ rule = a[1], fields = { ["proc.name"] = a[2] }, time = 1000 + a[3] }
      seen[#seen + 1] = record and ("%s/%s@%d%s"):format(a[1], a[2], a[3], record.extra and "+" .. record.extra["dedup.held_back"] or "") or nil
    end
    assert.same({ "a/x@0", "a/y@20", "b/x@30", "a/x@61+2" }, seen)
    s:close()
  end)

  it("rate_limit holds each container to so many a minute", function()
    local s = open("rate_limit", { per_minute = 3 })
    local passed = { one = 0, two = 0, host = 0 }
    for i = 1, 10 do
      for name in pairs(passed) do
        if s:pass{ fields = { ["container.id"] = name }, time = 1000 + i } then passed[name] = passed[name] + 1 end
      end
    end
    assert.same({ one = 3, two = 3, host = 10 }, passed)
    assert.truthy(s:pass{ fields = { ["container.id"] = "one" }, time = 1070 })
    local lines = messages(s)
    table.sort(lines)
    assert.same({ "Alerts left out: 7 alerts of container one were left out", "Alerts left out: 7 alerts of container two were left out" }, lines)
    s:close()
  end)

  it("kill ends the process of a match, and not one that took its number", function()
    local pid = tonumber(run("sleep 100 >/dev/null 2>&1 & echo $!"))
    local s = open("kill", { rules = { "Bad" }, spare = { "sshd" } }, { grant = { "kill", "emit" } }, { live = true })
    local function alive() return os.execute(("kill -0 %d 2>/dev/null"):format(pid)) == 0 and not read(("/proc/%d/stat"):format(pid)):find("%) Z") end
    local now = tonumber(core.C.sys_wall_ns()) / 1e9 + 1
    s:pass{ rule = "Other", fields = { ["proc.pid"] = pid }, time = now }
    s:pass{ rule = "Bad", fields = { ["proc.pid"] = pid, ["proc.name"] = "sshd" }, time = now }
    s:settle()
    assert.is_true(alive())
    assert.same({}, messages(s))
    s:pass{ rule = "Bad", fields = { ["proc.pid"] = pid, ["proc.name"] = "sleep" }, time = now - 3600 }
    s:settle()
    assert.is_true(alive())
    assert.matches("Process not killed: process %d+ is gone: the one with that number began later", messages(s)[1])
    s:pass{ rule = "Bad", fields = { ["proc.pid"] = pid, ["proc.name"] = "sleep" }, time = now }
    s:settle()
    for _ = 1, 100 do
      if not alive() then break end
      core.C.sys_sleep(20)
    end
    assert.is_false(alive())
    assert.equal(("Process killed: process %d was sent SIGKILL for 'Bad'"):format(pid), messages(s)[2])
    s:pass{ rule = "Bad", time = now }
    s:settle()
    assert.matches("has no field proc.pid", messages(s)[3])
    s:close()
  end)

  it("enrich adds columns of a CSV file", function()
    local csv = stage.write('user,owner,team\nroot,"Ann ""the boss"", admin",core\nwww-data,Bob,\n\nshort\n')
    local s = open("enrich", { field = "user.name", prefix = "asset" }, { files = { table = csv } })
    assert.same({ ["asset.owner"] = 'Ann "the boss", admin', ["asset.team"] = "core" }, s:pass{ fields = { ["user.name"] = "root" } }.extra)
    assert.same({ ["asset.owner"] = "Bob", ["asset.team"] = "" }, s:pass{ fields = { ["user.name"] = "www-data" } }.extra)
    assert.is_nil(s:pass{ fields = { ["user.name"] = "short" } }.extra)
    assert.is_nil(s:pass{ fields = { ["user.name"] = "nobody" } }.extra)
    assert.is_nil(s:pass{}.extra)
    s:close()
    os.remove(csv)
  end)

  it("top_talkers reports on a timer, and at the end", function()
    local s = open("top_talkers", { every = 60, top = 2 })
    local n = 0
    for name, times in pairs{ bash = 5, cat = 3, ls = 1 } do
      for _ = 1, times do
        n = n + 1
        s:pass{ fields = { ["proc.name"] = name }, time = 1000 + n }
      end
    end
    s:pass{ time = 1070 }
    assert.same({ "Top talkers: 9 alerts, most of them from bash=5 cat=3" }, messages(s))
    assert.same({ total = 9, ["top.1"] = "bash", ["top.2"] = "cat" }, s.emitted[1].fields)
    s:pass{ fields = { ["proc.name"] = "sh" }, time = 1080 }
    s:close()
    assert.equal("Top talkers: 1 alerts, most of them from sh=1", messages(s)[2])
  end)

  it("route sends by tag", function()
    local s = open("route", { routes = { network = { "http" }, filesystem = { "file", "stdout" }, noise = {} }, urgent = { "mitre_persistence" } })
    assert.same({ http = true }, s:pass{ tags = { "host", "network" } }.to)
    assert.same({ file = true, stdout = true }, s:pass{ tags = { "filesystem", "network" } }.to)
    assert.is_nil(s:pass{ tags = { "noise" } })
    assert.is_nil(s:pass{ tags = { "process" } }.to)
    local urgent = s:pass{ tags = { "filesystem", "mitre_persistence" }, priority = 4 }
    assert.equal(2, urgent.priority)
    assert.equal(1, s:pass{ tags = { "mitre_persistence" }, priority = 1 }.priority)
    s:close()
  end)
end)
