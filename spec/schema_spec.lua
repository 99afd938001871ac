-- SPDX-License-Identifier: Apache-2.0
local schema = require "schema"

local function walk(spec, path, see)
  see(spec, path)
  for _, row in ipairs(spec.rows or {}) do walk(row[2], path .. "." .. row[1], see) end
  for _, choice in ipairs(spec.choices or {}) do walk(choice, path, see) end
  if spec.item then walk(spec.item, path .. "[]", see) end
end

describe("schema of falco.yaml", function()
  it("documents every key", function()
    walk(schema.root, "", function(spec, path)
      assert.is_true(type(spec.doc) == "string" and #spec.doc > 0, path)
    end)
  end)

  it("has defaults that fit the type and the range", function()
    local types = { bool = "boolean", int = "number", number = "number", string = "string" }
    walk(schema.root, "", function(spec, path)
      if spec.default == nil then return end
      assert.equal(types[spec.kind], type(spec.default), path)
      assert.is_true(not spec.min or spec.default >= spec.min, path)
      assert.is_true(not spec.max or spec.default <= spec.max, path)
      if spec.enum then
        local found = false
        for _, known in ipairs(spec.enum) do found = found or known == spec.default end
        assert.is_true(found, path)
      end
    end)
  end)

  -- Keys with an effect. The others must say `missing`, or lie beside an `enabled` or below an engine.kind that does.
  local WORKS = {
    "config_files", "watch_config_files", "rules_files", "rules", "engine", "load_plugins", "plugins", "plugins_hostinfo", "time_format_iso_8601",
    "priority", "json_output", "json_include_output_property", "json_include_message_property",
    "json_include_output_fields_property", "json_include_tags_property", "buffered_outputs", "rule_matching",
    "append_output", "webserver", "metrics", "log_syslog", "route", "throttle", "scripts", "scripts_dir", "scripts_state_dir", "rule_scripts", "outputs_queue", "outputs_spool", "output_timeout",
    "stderr_output", "syslog_output", "unix_output", "program_output", "stdout_output", "file_output", "http_output", "kafka_output", "redis_output",
    "log_stderr", "log_level", "libs_logger",
    "falco_libs", "limits", "base_syscalls", "capture",
    "syscall_event_drops", "syscall_event_timeouts",
  }

  it("says of every key without effect that it has none", function()
    local works = {}
    for _, key in ipairs(WORKS) do works[key] = true end
    local function check(rows, path)
      local switch
      for _, row in ipairs(rows) do switch = switch or row[1] == "enabled" and row[2].missing end
      for _, row in ipairs(rows) do
        local key, spec = path .. row[1], row[2]
        if spec.kind == "map" and not works[key] then
          check(spec.rows, key .. ".")
        else
          assert.is_truthy(works[key] or spec.missing or spec.alias or switch, key)
          assert.is_falsy(works[key] and spec.missing and key ~= "plugins", key)
        end
      end
    end
    check(schema.root.rows, "")
  end)

  it("names aliases that exist", function()
    for _, row in ipairs(schema.root.rows) do
      if row[2].alias then assert.is_table(schema.root.by_name[row[2].alias]) end
    end
  end)

  it("knows priorities in any case", function()
    assert.equal(0, schema.priority("EMERGENCY"))
    assert.equal(6, schema.priority("info"))
    assert.equal(6, schema.priority("Informational"))
    assert.is_nil(schema.priority("urgent"))
  end)
end)
