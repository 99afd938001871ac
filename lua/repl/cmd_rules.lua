-- SPDX-License-Identifier: Apache-2.0
-- Commands about rules, macros, lists, and what a condition is compiled to.
local dump = require("rules.dump")
local gate = require("rules.gate")
local lower = require("rules.lower")
local rules = require("rules")
local show = require("repl.show")
local spark = require("repl.spark")
local spell = require("rules.spell")
local syntax = require("repl.syntax")
local tables = require("repl.table")

local function coloured(session, text)
  return session.out.has_colour and syntax.coloured(text, session.names) or text
end

local function no_rules(session)
  if session.rules then return false end
  session.out:error("no rules are loaded; start with -r FILE, or  :load FILE")
  return true
end

local function rules_table(session, text)
  if no_rules(session) then return end
  local rows = {}
  for _, rule in ipairs(session.rules.rules) do
    if text == "" or rule.name:lower():find(text:lower(), 1, true) then
      rows[#rows + 1] = { rule.priority_name, rule.enabled and "" or "off", rule.name }
    end
  end
  if #rows == 0 then return session.out:error(("no rule has '%s' in its name"):format(text)) end
  session.out:text(tables.render{ heads = { "priority", "", "rule" }, rows = rows, width = session.out.width })
end

local function place(item)
  return ("%s:%d"):format(show.value(item.file), item.line)
end

local function folded(text)
  return (text:gsub("%s+", " "):gsub("^ ", ""):gsub(" $", ""))
end

local function rule(session, name)
  if no_rules(session) then return end
  local item = session:named_or_say(session.rules.rules, "rule", name)
  if not item then return end
  local out = session.out
  out:text(table.concat({
    out:paint("bold", show.value(item.name)) .. "  " .. out:paint("dim", place(item)),
    "  " .. show.value(folded(item.desc)),
    ("  priority %s, %s%s"):format(item.priority_name, item.enabled and "enabled" or "not enabled",
      #item.tags > 0 and ", tags " .. show.value(table.concat(item.tags, " ")) or ""),
    "  condition: " .. coloured(session, show.value(folded(item.condition))),
    "  output: " .. show.value(folded(item.output)),
  }, "\n"))
end

local function listing(session, list, head, text_of)
  local rows = {}
  for i, item in ipairs(list) do rows[i] = { item.name, show.value(folded(text_of(item))) } end
  if #rows == 0 then return session.out:note("there are none") end
  session.out:text(tables.render{ heads = { head, "" }, rows = rows, width = session.out.width })
end

local function macro_text(item) return item.condition end
local function list_text(item) return table.concat(item.items, ", ") end

local function macro(session, name)
  if no_rules(session) then return end
  if name == "" then return listing(session, session.rules.macros, "macro", macro_text) end
  local item = session:named_or_say(session.rules.macros, "macro", name)
  if not item then return end
  session.out:text(session.out:paint("bold", item.name) .. "  " .. session.out:paint("dim", place(item)) .. "\n  "
    .. coloured(session, show.value(folded(item.condition))))
end

local function list(session, name)
  if no_rules(session) then return end
  if name == "" then return listing(session, session.rules.lists, "list", list_text) end
  local item = session:named_or_say(session.rules.lists, "list", name)
  if not item then return end
  session.out:text(session.out:paint("bold", item.name) .. "  " .. session.out:paint("dim", place(item)) .. "\n  "
    .. show.value(list_text(item)))
end

local function say_loaded(session)
  local r = session.rules
  session.out:note(("%s, %s, %s"):format(spark.things(#r.rules, "rule"), spark.things(#r.macros, "macro"),
    spark.things(#r.lists, "list")))
end

local function load(session, path)
  session.extra_rules[#session.extra_rules + 1] = path
  if session:load_rules() then
    say_loaded(session)
  else
    session.extra_rules[#session.extra_rules] = nil
    session:load_rules()
  end
end

local function reload(session)
  if not session:load_rules() then return session.out:note("the rules stay as they were") end
  if session.rules then say_loaded(session) end
end

-- What the gate asks before the whole condition, by scope.
local function gate_text(tree)
  local parts, out = { gate.parts(tree) }, {}
  for i, name in ipairs{ "process", "descriptor", "event" } do
    out[i] = parts[i] == true and ("  %s: nothing to ask\n"):format(name) or ("  %s:\n%s"):format(name,
      (dump.condition(parts[i], lower.events(parts[i]))))
  end
  return table.concat(out)
end

local function printable(text)
  return (text:gsub("[^\n\t\32-\126\128-\255]", "?"))
end

-- { [id] = text }: those of macros are the ruleset's, which the condition shares.
local function leaf_texts(tree, out)
  if tree.kind == "leaf" then out[tree.id] = spell.check_text(tree.check) end
  for _, child in ipairs(tree) do leaf_texts(child, out) end
  return out
end

local function explain(session, text)
  local made
  local known = text ~= "" and session:rule(text)
  if text == "" then
    made = session.last and session.last.made
    if not made then return session.out:error(":explain wants a condition; there was none yet") end
  elseif known then
    made = session.conditions:of_rule(session.rules, known)
  else
    made = session:compile(text)
    if not made then return end
  end
  local out = session.out
  local tree, events = dump.condition(made.tree, made.events)
  out:text(table.concat{
    out:paint("bold", "condition: "), coloured(session, show.value(folded(made.text))), "\n",
    out:paint("bold", "event types: "), events, "\n",
    out:paint("bold", "tree, with scopes"), "\n", tree,
    out:paint("bold", "parts that the gate asks first"), "\n", gate_text(made.tree),
    out:paint("bold", "generated Lua"), "\n", printable(rules.code({ leaves = leaf_texts(made.tree, {}) }, made)),
  })
end

return {
  { name = "rules", args = "[TEXT]", wants = "rule", help = "list the rules, or those with TEXT in their names",
    fn = rules_table },
  { name = "rule", args = "NAME", wants = "rule", help = "show a rule", fn = rule },
  { name = "macro", args = "[NAME]", wants = "macro", help = "show a macro, or all", fn = macro },
  { name = "list", args = "[NAME]", wants = "list", help = "show a list, or all", fn = list },
  { name = "load", args = "FILE", wants = "file", help = "load one more rules file", fn = load },
  { name = "reload", help = "read the rules files again", fn = reload },
  { name = "explain", args = "[CONDITION]", wants = "condition",
    help = "what a condition is compiled to: event types, scopes, the gate's parts, Lua", fn = explain },
}
