-- SPDX-License-Identifier: Apache-2.0
-- Whether a field that an event by hand gives is really so when the event happens: the engine has the last word on what a
-- field is, and a test of something that cannot be would prove nothing.
--
--   local given = given.prepare(group, event)       event of load.lua; nil: it gives no field that could be compared
--   given:wrong(evt) -> { node, message } or nil
local diag = require("diag")
local rules = require("rules")
local ruleset = require("rules.ruleset")
local value = require("ruletest.value")
local vocabulary = require("ruletest.vocabulary")
local yaml = require("rules.yaml")

local M = {}

local Given = {}
Given.__index = Given

-- Not compared: what has many forms (a directory with or without its slash, an id cut short), or is a list.
local LOOSE = { ["proc.cwd"] = true, ["user.loginuid"] = true, ["user.name"] = true }

-- What the field's text must be, or nil: it cannot be said.
local function wanted(name, node)
  local row = vocabulary.process[name]
  local _, _, kind = vocabulary.ancestor(name)
  kind = row and row[2] or kind
  if node.kind ~= "scalar" or LOOSE[name] or name == "proc.aname" then return nil end
  if kind == "number" or name == "fd.num" then
    local n = yaml.int(node)
    return n and n >= 0 and ("%d"):format(n) or nil
  elseif kind == "flag" or vocabulary.open_flags[name] or name == "evt.failed" then
    local on = yaml.bool(node)
    return on ~= nil and tostring(on) or nil
  elseif kind == "text" or name == "fd.type" then
    return node.text
  elseif name == "fd.name" then
    return node.text:find("^/") and not node.text:find("/%.") and not node.text:find("/$") and node.text or nil
  end
  return nil
end

-- The expression of a field, kept for the next event that gives it; false: no output can have it.
local function expression(group, name)
  group.given_fields = group.given_fields or {}
  local known = group.given_fields[name]
  if known == nil then
    local plan = rules.output{ text = "%" .. name, name = "given", ruleset = group.ruleset, diag = diag.new() }
    known = plan and #plan.exprs == 1 and #plan.parts == 1 and plan.exprs[1] or false
    group.given_fields[name] = known
  end
  return known
end

function M.prepare(group, event)
  local self, exprs = setmetatable({ list = {} }, Given), {}
  for _, entry in ipairs(event.values) do
    local name = entry.key.kind == "scalar" and entry.key.text or ""
    local text = name:find(".", 1, true) and wanted(name, entry.value)
    local expr = text and expression(group, name)
    if expr then
      exprs[#exprs + 1] = expr
      self.list[#exprs] = { name = name, text = text, node = entry.key }
    end
  end
  if #exprs == 0 then return nil end
  self.output = ruleset.output(group.ruleset, exprs)
  return self
end

function Given:wrong(evt)
  local texts = value.texts(evt, self.output)
  for i, field in ipairs(self.list) do
    if texts[i] ~= field.text then
      return { node = field.node, message = ("'%s' is '%s' when this happens, not '%s'"):format(field.name, texts[i], field.text) }
    end
  end
  return nil
end

return M
