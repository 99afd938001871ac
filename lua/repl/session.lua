-- SPDX-License-Identifier: Apache-2.0
-- What one REPL remembers: captures, rules, the condition at hand.
--
--   local s = session.new(config, options, out)
--   s:open(paths) -> true, or false after what is wrong with them was shown
--   s:load_rules() -> true, or false after their mistakes were shown
--   s:compile(text) -> condition of scan.lua with .fields ("proc.name", ...), or nil after its mistakes were shown
--   s:everything()                 the condition of every event that rules can see
--   s:pass("what") -> opts         for passes over the captures: progress on a terminal, Ctrl-C ends them
--   s.conditions     what of scan.lua makes conditions, capture or not
--   s.scan           scan.lua's; nil: there is no capture
--   s.names          { [macro or list or rule] = kind } of the rules
--   s.last           the condition at hand, and where its table is (find.lua)
--   s.chosen         columns that :cols asked for, or nil
local bit = require("bit")
local core = require("core")
local diag = require("diag")
local progress = require("repl.progress")
local run = require("run")
local scan = require("scan")
local show = require("repl.show")
local spell = require("rules.spell")

local M = {}

local Session = {}
Session.__index = Session

function M.new(config, options, out)
  return setmetatable({ config = config, options = options, out = out, paths = {}, names = {}, seen = {}, extra_rules = {},
    conditions = scan.conditions }, Session)
end

-- ------------------------------------------------------------------ captures

function Session:open(paths)
  for _, path in ipairs(paths) do
    if path == "-" then
      self.out:error("a capture cannot be standard input here: that is where lines come from")
      return false
    end
  end
  local made, message = scan.open{ files = paths, config = self.config }
  if not made then
    self.out:error(message)
    return false
  end
  if self.scan then self.scan:close() end
  self.scan, self.paths, self.seen, self.last = made, paths, {}, nil
  return true
end

-- A file of this session, gone when it ends: the last one, at once.
function Session:new_file()
  self:remove_file()
  self.file = os.tmpname()
  return self.file
end

function Session:remove_file()
  if self.file then os.remove(self.file) end
  self.file = nil
end

-- True, or false after saying what to do.
function Session:has_capture()
  if self.scan then return true end
  self.out:error("there is no capture; name one behind `falco repl`, or  :open FILE")
  return false
end

function Session:pass(what)
  return { progress = progress.new(self.out, what) }
end

-- Ends what pass() began: the bar goes. Says so if it was stopped, or failed; message: of the pass.
function Session:passed(opts, message)
  opts.progress:done()
  if opts.progress.stopped then self.out:note("stopped; the rest of the captures was not looked at") end
  if type(message) == "table" then return self.out:diagnostics(message) end
  if message then self.out:error(message) end
end

-- ------------------------------------------------------------------ rules

-- Files of -r, or of the configuration if they are there; and those of :load.
local function rule_paths(self)
  local named, paths, message = #self.options.rules > 0, nil, nil
  if named or #self.config.rules_files > 0 then
    paths, message = run.rules_files(self.config, self.options)
    if not paths and named then return nil, message end
  end
  local all = {}
  for _, list in ipairs{ paths or {}, self.extra_rules } do
    for _, path in ipairs(list) do all[#all + 1] = path end
  end
  return all
end

local function collect_names(self)
  self.names = {}
  if not self.rules then return end
  for _, list in ipairs(self.rules.lists) do self.names[list.name] = "list" end
  for _, macro in ipairs(self.rules.macros) do self.names[macro.name] = "macro" end
end

-- Warnings are about files; here it is about conditions.
local function show_errors(self, diags)
  if diags.errors == 0 then return end
  self.out.errors = self.out.errors + diags.errors
  self.out:say(diags:render{ color = self.out.has_colour, level = "error" })
end

function Session:load_rules()
  local paths, message = rule_paths(self)
  if not paths then
    self.out:error(message)
    return false
  end
  if #paths == 0 then
    self.rules = nil
    collect_names(self)
    return true
  end
  local loaded = run.load_rules(self.config, run.read_files(paths))
  show_errors(self, loaded.diags)
  if not loaded.result.ok then return false end
  self.rules, self.ruleset, self.rule_paths = loaded.result, loaded.ruleset, paths
  collect_names(self)
  return true
end

-- ------------------------------------------------------------------ conditions

local function each_field(operand, add)
  if operand.kind == "field" then add(operand) end
  for _, input in ipairs(operand.inputs or operand.items or {}) do each_field(input, add) end
end

-- Fields that a tree asks for, in order, each once; those that no output can have are left out.
local function fields_of(tree)
  local C, list, seen = core.C, {}, {}
  local function add(operand)
    local id, text = C.field_find(operand.name, #operand.name), spell.operand_text(operand)
    if id < 0 or seen[text] or bit.band(C.field_info(id).flags, C.FIELD_FILTER_ONLY) ~= 0 then return end
    seen[text] = true
    list[#list + 1] = text
  end
  local function walk(node)
    if node.kind == "leaf" then
      each_field(node.check.left, add)
      if node.check.right then each_field(node.check.right, add) end
    end
    for _, child in ipairs(node) do walk(child) end
  end
  walk(tree)
  return list
end

-- diags: where mistakes go. Returns nil after one.
function Session:condition(text, diags)
  local made = self.conditions:condition(text, diags, self.rules)
  if made then made.fields = fields_of(made.tree) end
  return made
end

function Session:compile(text)
  local diags = diag.new()
  local made = self:condition(text, diags)
  self.out:diagnostics(diags)
  return made
end

-- "NAME" or "'NAME'", or how a name begins -> the item of a list that is called so; or nil, and what is most like it. Capitals
-- do not matter.
function M.named(list, name)
  name = (name:match("^[\"'](.*)[\"']$") or name):lower()
  local found, several, names = nil, false, {}
  for i, item in ipairs(list) do
    local known = item.name:lower()
    if known == name then return item end
    if #name > 0 and known:sub(1, #name) == name then found, several = item, found ~= nil end
    names[i] = item.name
  end
  if found and not several then return found end
  return nil, several and found.name or diag.suggest(name, names)
end

function Session:rule(name)
  return (M.named(self.rules and self.rules.rules or {}, name))
end

-- The item, or nil after saying that there is none.
function Session:named_or_say(list, kind, name)
  local item, like = M.named(list, name)
  if item then return item end
  self.out:error(("there is no %s '%s'%s"):format(kind, show.value(name),
    like and (" (did you mean '%s'?)"):format(show.value(like)) or ""))
  return nil
end

function Session:rule_or_say(name)
  return self:named_or_say(self.rules and self.rules.rules or {}, "rule", name)
end

function Session:everything()
  local made = self:condition("evt.num > 0", diag.new())
  made.is_everything = true
  return made
end

return M
