-- SPDX-License-Identifier: Apache-2.0
-- Holds the JSON schema of rules files against what the loader says of the same texts. The validator below knows just the
-- keywords that the schema uses, and fails on others.
local diag = require "diag"
local json = require "json"
local keys = require "rules.keys"
local schema = require "rules.schema"
local support = dofile "spec/support.lua"
local yaml = require "rules.yaml"

local root = schema.build()

local valid

-- JSON types of a YAML scalar.
local function scalar_types(node)
  if node.plain and yaml.is_null(node) then return {} end
  if node.plain and yaml.bool(node) ~= nil then return { boolean = true } end
  local n = yaml.number(node)
  if n then return { number = true, integer = n == math.floor(n) } end
  return { string = true }
end

local function types_of(node)
  if node.kind == "map" then return { object = true } end
  if node.kind == "seq" then return { array = true } end
  return scalar_types(node)
end

local function any(list, node, see)
  for _, one in ipairs(list) do
    if see(one, node) then return true end
  end
  return false
end

local KEYWORDS = {
  type = function(want, node)
    return any(type(want) == "table" and want or { want }, node, function(t, n) return types_of(n)[t] end)
  end,
  minLength = function(n, node) return not types_of(node).string or #node.text >= n end,
  enum = function(list, node) return node.kind == "scalar" and any(list, node, function(v, n) return v == n.text end) end,
  minimum = function(n, node) return not types_of(node).number or yaml.number(node) >= n end,
  items = function(item, node)
    for _, child in ipairs(node.kind == "seq" and node or {}) do
      if not valid(item, child) then return false end
    end
    return true
  end,
  properties = function(properties, node)
    for _, entry in ipairs(node.kind == "map" and node or {}) do
      local property = properties[entry.key.text]
      if property and not valid(property, entry.value) then return false end
    end
    return true
  end,
  additionalProperties = function(want, node, whole)
    assert(want == false)
    for _, entry in ipairs(node.kind == "map" and node or {}) do
      if not whole.properties[entry.key.text] then return false end
    end
    return true
  end,
  required = function(names, node)
    for _, name in ipairs(node.kind == "map" and names or {}) do
      if not node.keys[name] then return false end
    end
    return true
  end,
  minProperties = function(n, node) return node.kind ~= "map" or #node >= n end,
  anyOf = function(list, node) return any(list, node, valid) end,
  allOf = function(list, node)
    for _, one in ipairs(list) do
      if not valid(one, node) then return false end
    end
    return true
  end,
  ["$ref"] = function(ref, node) return valid(root.definitions[ref:match("^#/definitions/(%w+)$")], node) end,
}
local NOTES = { description = true, default = true, title = true, ["$schema"] = true, definitions = true }

-- "^[Ww][Aa]..$" and the patterns of versions, as Lua patterns: all that the schema has.
KEYWORDS.pattern = function(pattern, node)
  if not types_of(node).string then return true end
  if pattern:find("%(") then
    return node.text:find("^%d+%.%d+%.%d+$") ~= nil or node.text:find("^%d+%.%d+%.%d+[-+][%w.+-]+$") ~= nil
  end
  return node.text:find((pattern:gsub("%[0%-9%]", "%%d"))) ~= nil
end

function valid(spec, node)
  for keyword, value in pairs(spec) do
    if not NOTES[keyword] then
      local check = assert(KEYWORDS[keyword], keyword)
      if not check(value, node, spec) then return false end
    end
  end
  return true
end

local function accepts(text)
  local docs = assert(yaml.parse(text, "s.yaml", diag.new()))
  return valid(root, docs[1])
end

local GOOD = {
  "[]",
  "- required_engine_version: 31\n", "- required_engine_version: 0.31.0\n", "- required_engine_version: '31'\n",
  "- required_plugin_versions:\n  - {name: container, version: 0.2.0, alternatives: [{name: a, version: 1.0.0}]}\n",
  "- list: l\n  items: [a, 1, 1.5, true, 'x y']\n",
  "- list: l\n  items: []\n- list: l\n  items: [a]\n  override: {items: append}\n",
  "- macro: m\n  condition: evt.num = 1\n- macro: m\n  condition: or fd.num = 1\n  append: true\n",
  support.rule("r", "evt.type = open", "  priority: wArNing\n  tags: [a]\n"),
  support.rule("r", "evt.type = open", "  source: syscall\n  enabled: false\n  capture: true\n  capture_duration: 5\n"
    .. "  warn_evttypes: false\n  skip-if-unknown-filter: true\n"),
  support.rule("r", "evt.type = open", "  exceptions:\n  - name: e\n    fields: [proc.name, fd.name]\n    comps: [in, =]\n"
    .. "    values: [[[a, b], c]]\n  - {name: f, fields: fd.num, values: [1, 2]}\n"),
  support.rule("r", "evt.type = open") .. "- rule: r\n  enabled: false\n",
  support.rule("r", "evt.type = open") .. "- rule: r\n  desc: x\n  override: {desc: append}\n",
}

local BAD = {
  "a: b\n", "- a\n", "- list: l\n", "- list: l\n  items: a\n", "- list: l\n  items: [[a]]\n", "- macro: m\n",
  "- required_engine_version: x\n", "- required_plugin_versions: x\n", "- required_plugin_versions: [{name: container}]\n",
  "- rule: r\n", "- rule: r\n  condition: evt.type = open\n  desc: d\n  output: o\n",
  support.rule("r", "evt.type = open"):gsub("info", "urgent"),
  support.rule("r", "evt.type = open", "  enabled: perhaps\n"), support.rule("r", "evt.type = open", "  capture_duration: -1\n"),
  support.rule("r", "evt.type = open", "  tags: a\n"), support.rule("r", "evt.type = open", "  exceptions: {}\n"),
  support.rule("r", "evt.type = open", "  exceptions: [{fields: a}]\n"),
  support.rule("r", "evt.type = open") .. "- rule: r\n  priority: info\n  override: {priority: append}\n",
  support.rule("r", "evt.type = open") .. "- rule: r\n  priority: info\n  override: [priority]\n",
}

describe("schema of rules files", function()
  it("takes what the loader takes", function()
    for _, text in ipairs(GOOD) do
      local _, diags = support.load(text)
      assert.same({}, support.messages(diags), text)
      assert.is_true(accepts(text), text)
    end
    local f = assert(io.open("rules/falco_rules.yaml"))
    assert.is_true(accepts(f:read("*a")))
    f:close()
  end)

  it("refuses what the loader refuses for its form", function()
    for _, text in ipairs(BAD) do
      local _, diags = support.load(text)
      assert.is_true(diags.errors > 0, text)
      assert.is_false(accepts(text), text)
    end
  end)

  it("refuses keys that the loader does not know", function()
    for _, text in ipairs{ "- list: l\n  items: []\n  item: x\n", "- unknown: x\n",
      support.rule("r", "evt.type = open", "  exceptions: [{name: e, fields: fd.num, value: [1]}]\n") } do
      local _, diags = support.load(text)
      assert.is_true(diags.warnings > 0, text)
      assert.is_false(accepts(text), text)
    end
  end)

  it("documents every key", function()
    local function see(item)
      for _, row in ipairs(item.rows) do assert.is_true(#row.doc > 0, row.key) end
    end
    for _, item in ipairs(keys.items) do see(item) end
    for _, map in pairs(keys.map) do see(map) end
  end)

  it("is JSON", function()
    assert.truthy(schema.text():find('{\n  "$schema": "http://json-schema.org/draft-06/schema#",', 1, true))
    assert.is_string(json.encode(root))
  end)
end)
