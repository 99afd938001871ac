-- SPDX-License-Identifier: Apache-2.0
-- Containers: their ids, and who has to ask for them before other fields tell of them too.
local CAPTURE = "test/data/docker_drop.scap"
local ID = "1abcc4c1e8e9"

-- The text alerts of one rule on the capture, without time and priority: what `output` showed.
local function shown(tool, falco, output, more)
  local dir = tool.dir()
  local conf = tool.write(dir .. "/falco.yaml", "stdout_output: {enabled: true}\n" .. (more.conf or ""))
  local rules = tool.write(dir .. "/rules.yaml", (more.rules or "") .. ([[
- rule: file
  desc: a file of the container
  condition: evt.type = openat and fd.name = /etc/passwd and proc.name = sh
  output: "shows %s"
  priority: INFO
]]):format(output))
  local r = tool.run{ falco, "replay", CAPTURE, "-c", conf, "-r", rules }
  tool.check_run(r, r.code == 0, "%s: %s", output, tool.how(r))
  return r.out:match("shows ([^\n]*)\n")
end

local function who_asks(tool, falco)
  local bare, full = ":/etc/passwd", ID .. ":/etc/passwd"
  local cases = {
    { bare, {} },
    { full, { conf = "load_plugins: [container]\n" } },
    { full, { conf = "plugins: [{name: container, library_path: libcontainer.so}]\n" } },
    { full, { rules = "- required_plugin_versions: [{name: container, version: 0.4.0}]\n" } },
  }
  for i, case in ipairs(cases) do
    local have = shown(tool, falco, "%fd.containername", case[2])
    tool.check(have == case[1], "case %d: wanted %s, got %s", i, case[1], tostring(have))
  end
  local have = shown(tool, falco, "%container.id %fd.containername", {})
  tool.check(have == ID .. " " .. full, "a rule that reads container.id: got %s", tostring(have))
end

local function suggested(tool, falco)
  local have = shown(tool, falco, "it", { conf = "append_output: [{suggested_output: true}]\n" })
  local want = "it container_id=" .. ID .. " container_name=<NA> container_image_repository=<NA> container_image_tag=<NA>"
    .. " k8s_pod_name=<NA> k8s_ns_name=<NA>"
  tool.check(have == want, "suggested_output: wanted %s, got %s", want, tostring(have))
end

local function fields(tool, falco)
  local r = tool.run{ falco, "--list" }
  local classes = {}
  for class in r.out:gmatch("Field Class: *([^\n]*)") do classes[#classes + 1] = class end
  local last = table.concat(classes, " ", math.max(1, #classes - 1))
  tool.check_run(r, last == "container k8s", "the last classes of --list are %s", last)
  tool.check_run(r, not r.out:find("k8s.deployment", 1, true), "--list shows fields that nothing fills")
end

return function(tool, falco)
  who_asks(tool, falco)
  suggested(tool, falco)
  fields(tool, falco)
end
