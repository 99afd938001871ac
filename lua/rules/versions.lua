-- SPDX-License-Identifier: Apache-2.0
-- What versions a rules file wants: required_engine_version and required_plugin_versions.
--   versions.engine(state, ctx, map), versions.plugins(state, ctx, map)     items of a file, see load.lua; put what they want into
--   state.required_engine_version and state.required_plugin_versions
local context = require "rules.context"
local core = require "core"
local keys = require "rules.keys"
local reading = require "rules.reading"
local yaml = require "rules.yaml"

local invalid, mistake, text, KIND_NAMES = reading.invalid, reading.mistake, reading.text, reading.KIND_NAMES
local unknown_keys = context.unknown_keys

local M = {}

M.PLUGINS = { container = true } -- what of upstream's plugins is built in

local function version_numbers(version)
  local a, b, c = version:match("^(%d+)%.(%d+)%.(%d+)$")
  if not a then
    a, b, c = version:match("^(%d+)%.(%d+)%.(%d+)[-+][%w.+-]+$")
  end
  return a and { tonumber(a), tonumber(b), tonumber(c) } or nil
end

local function compare_versions(a, b)
  for i = 1, 3 do
    if a[i] ~= b[i] then
      return a[i] < b[i] and -1 or 1
    end
  end
  return 0
end

function M.engine(state, ctx, map)
  local wanted, node = text(ctx, map, "required_engine_version", { required = true })
  unknown_keys(ctx, map, keys.item.required_engine_version)
  if not wanted then
    return
  end
  local version = wanted:match("^%d+$") and ("0.%s.0"):format(wanted) or wanted
  local engine = core.cstr(core.C.upstream_versions().engine)
  local numbers, ours = version_numbers(version), version_numbers(engine)
  if not numbers then
    return invalid(ctx, node, ("'%s' is no version"):format(wanted), { hint = "versions look like 0.31.0, or 31 for short" })
  elseif numbers[1] ~= ours[1] or compare_versions(numbers, ours) > 0 then
    return mistake(ctx, node, ("these rules want engine version %s; this engine is %s"):format(version, engine),
      { hint = "use rules made for this version, or a newer falco" })
  end
  if not state.required_engine_version or compare_versions(numbers, version_numbers(state.required_engine_version)) > 0 then
    state.required_engine_version = version
  end
end

local function read_requirement(ctx, map, known)
  if map.kind ~= "map" then
    return invalid(ctx, map, ("a required plugin is a map with 'name' and 'version', not %s"):format(KIND_NAMES[map.kind]))
  end
  local name = text(ctx, map, "name", { required = true })
  local version, node = text(ctx, map, "version", { required = true })
  unknown_keys(ctx, map, known)
  if version and not version_numbers(version) then
    mistake(ctx, node, ("'%s' is no version of plugin '%s'"):format(version, name or "?"), { hint = "versions look like 1.2.3" })
  end
  return { name = name, version = version }
end

local function read_plugin(state, ctx, map)
  local first = read_requirement(ctx, map, keys.map.plugin)
  if ctx.failed or not first then
    return
  end
  ctx.name = first.name
  local wanted, names = { first }, { [first.name] = true }
  local others = yaml.get(map, "alternatives")
  if others and others.kind ~= "seq" then
    return invalid(ctx, others, ("'alternatives' wants a list, not %s"):format(KIND_NAMES[others.kind]))
  end
  for _, node in ipairs(others or {}) do
    local other = read_requirement(context.new(ctx, "required plugin versions alternative", "", node), node,
      keys.map.alternative)
    if other and other.name then
      if names[other.name] then
        mistake(ctx, node, ("plugin '%s' is named twice"):format(other.name))
      end
      names[other.name] = true
      wanted[#wanted + 1] = other
    end
  end
  if ctx.failed then
    return
  end
  local texts = {}
  for i, w in ipairs(wanted) do
    if M.PLUGINS[w.name] then
      texts = nil
      break
    end
    texts[i] = ("%s (>= %s)"):format(w.name, w.version or "?")
  end
  if texts then
    mistake(ctx, map, "these rules want a plugin that is not there: " .. table.concat(texts, " or "),
      { hint = "this build has the fields and events of 'container' built in and loads no other plugins" })
  end
  state.required_plugin_versions[#state.required_plugin_versions + 1] =
    { name = first.name, version = first.version, alternatives = { unpack(wanted, 2) } }
end

function M.plugins(state, ctx, map)
  local node = yaml.get(map, "required_plugin_versions")
  ctx.node = node
  unknown_keys(ctx, map, keys.item.required_plugin_versions)
  if node.kind ~= "seq" then
    return invalid(ctx, node, ("'required_plugin_versions' wants a list, not %s"):format(KIND_NAMES[node.kind]))
  end
  for _, entry in ipairs(node) do
    read_plugin(state, context.new(ctx, "required plugin versions entry", "", entry), entry)
  end
end

return M
