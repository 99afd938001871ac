-- SPDX-License-Identifier: Apache-2.0
-- From rule files to a predicate: the pipeline, and its table of contents.
--
--   text --yaml--> nodes --load--> items --expand--> ASTs --check--> leaves --lower--> trees and event sets --emit--> code
--
--   yaml.lua     libyaml's events -> a tree of nodes that know their place     scalar.lua  places inside folded scalars
--   load.lua     nodes -> rules, macros, lists; append, override               exceptions.lua  exceptions -> condition text
--   reading.lua  values of a map's keys                                        versions.lua  what versions a file wants
--   grammar.lua  condition text -> AST                                         rope.lua    text that knows where it came from
--   words.lua    operators, transformers, modifiers                            spell.lua   AST -> text
--   expand.lua   lists and macros                                              output.lua  output formats -> plans
--   check.lua    AST -> numbered leaves of a C ruleset, with diagnostics
--   lower.lua    negation normal form; which event codes and syscalls can match
--   emit.lua     one Lua function per rule, one dispatcher
--   gate.lua     what each rule cannot do without, for the C gate
--   keys.lua     every key of a rules file                                     schema.lua  the same as a JSON schema
--   describe.lua what rules say, for -L                                        dump.lua    what became of one, for --dump-ast
--   interest.lua what a live source must report for them
--   ruleset.lua  the C ruleset: fields, transformers, leaves, outputs by name
--
-- A typical use:
--
--   local diags = diag.new()
--   local rs = core.C.ruleset_new()
--   local result = rules.load{ files = { {name = path, text = text}, ... }, ruleset = rs, diag = diags }
--   if not result.ok then io.stderr:write(diags:render()) end
--   local prog = rules.compile(result, { matching = "first" })
--   local n = prog.match(evt)             -- hits: prog.hits[0 .. n-1] index result.rules (1-based)
--
-- load(opts) -> result
--   opts.files         { {name =, text =}, ... } in load order; of one that cannot be read { name =, error = "why" }
--   opts.ruleset       struct ruleset *, filled with leaves and outputs
--   opts.diag          diag list (diag.new()); every error and warning of every file goes there
--   opts.min_priority  0-7 (7): rules of a higher number are loaded but not enabled
--   opts.append_output { {source =, rule =, tags = {..}, format = "..", fields = { {name =, format =}, ... }}, ... } all members
--                      optional; format is added to the outputs of the rules that match
--   opts.keep_places   rules remember where each comparison of theirs stood: each has .written, its tree before lowering, which
--                      goes with .ast node by node (see check.lua); takes more memory
-- result
--   .ok                no errors (warnings may be there)
--   .rules             in definition order: { index, name, desc, source, tags (sorted, unique), enabled, priority (0-7),
--                      priority_name ("Critical"), condition (text as written, appends and exceptions included), output (text),
--                      output_plan (see output.lua), extra_fields = { {name =, plan =}, ... }, capture, capture_duration,
--                      file, line, column, tree (see lower.lua), events (see lower.lua), ast (see grammar.lua),
--                      definition (see load.lua) }
--   .macros, .lists    in definition order: { name, file, line, column, used, condition (text) | items (texts), definition }
--   .required_engine_version  "0.31.0", or nil; .required_plugin_versions { {name =, version =, alternatives = {..}}, ... }
--   .leaves            leaf id -> its text, for people
-- compile(result, opts) -> prog; opts.matching "first" (default) | "all"; opts.gate false: events are chosen by type alone;
--                      opts.interpret: conditions are walked by C, no generated Lua runs; default: where there is no JIT
--   .match(evt) -> n   evt: struct evt *, as engine_next() has just returned it; .hits int32_t[]
--   .source()          the generated text; .dump(name) one rule's text, with its leaves spelled out
--   Also tells the ruleset which events the enabled rules can match (ruleset_want): call it after changing rule.enabled.
-- code(result, rule) -> the generated text of one rule, its leaves spelled out
-- condition{ text =, ruleset =, diag =, name = "condition" } -> prog | nil       one free condition; prog.match(evt) -> 0 | 1;
--                      .tree, .events, .ast, .leaves as of rules; result =: with the macros and lists of a result, in its ruleset
-- output{ text =, ruleset =, diag =, name = "output" } -> plan | nil             see output.lua
--   both: node =, file_text = instead of text and name: a YAML scalar, so that messages point into its file
-- select(result, steps)   steps: { {enable = true|false, rule = "glob" | tag = "tag"}, ... } applied in order
-- jit_options()       the LuaJIT options that generated code wants; call once per Lua state
local check = require "rules.check"
local context = require "rules.context"
local core = require "core"
local emit = require "rules.emit"
local exceptions = require "rules.exceptions"
local expand = require "rules.expand"
local gate = require "rules.gate"
local load = require "rules.load"
local lower = require "rules.lower"
local output = require "rules.output"
local reading = require "rules.reading"
local rope = require "rules.rope"
local ruleset = require "rules.ruleset"

local M = {}

local MANY_EVENTS = 100		-- event codes; a rule that matches more gets a warning

-- ------------------------------------------------------------------ one rule: its condition

-- The condition as a rope: pieces, then exceptions.
local function condition_rope(state, rule)
  local pieces = expand.rope(state, rule.cond)
  if #rule.exceptions == 0 then
    return pieces
  end
  local out = rope.new(state.texts)
  rope.add(out, "(", rule.node)
  rope.copy(out, pieces, 1, #pieces.text)
  rope.add(out, ")", rule.node)
  exceptions.write(out, rule.exceptions)
  return rope.finish(out)
end

-- Fields of exceptions must exist, also if there are no values yet, and whatever skip-if-unknown-filter says. Exceptions with
-- others do not get into the condition.
local function check_exceptions(checker, rule)
  local good = {}
  for _, ex in ipairs(rule.exceptions) do
    local before = #good
    good[before + 1] = ex
    for _, field in ipairs(ex.fields.items or { ex.fields }) do
      local err = check.operand_error(checker, field.text)
      if err then
        context.fail(ex.ctx, "LOAD_ERR_VALIDATE", field.node, err.message)
        rule.broken, good[before + 1] = true, nil
      end
    end
  end
  rule.exceptions = good
end

-- AST -> tree; nil: reported, or (with true) the rule is to be left out.
local function checked_tree(checker, ast, where, skip_unknown, own)
  local tree, errors = check.tree(checker, ast)
  if tree then
    check.warn(where, tree)
    if not checker.keep_places then
      check.settle(checker, tree)
    end
    return tree
  elseif skip_unknown and check.skip(errors, where) then
    return nil, true
  end
  check.report(errors, where, own)
  return nil
end

-- Parses, resolves, checks and lowers. ctx: the rule; where: its condition
local function lowered(state, checker, source, ctx, where, opts)
  local ast, own = expand.parse(state, source, where)
  if not ast then
    return nil
  end
  if expand.resolve(state, ast, { ctx = ctx, sees = opts.sees }) and not expand.fits(ast, ctx) then
    return nil
  end
  local tree, skipped = checked_tree(checker, ast, where, opts.skip_unknown, own)
  if not tree then
    return nil, skipped
  end
  local written
  if checker.keep_places then
    written = tree
  else
    expand.settle(ast)
  end
  tree = lower.nnf(tree)
  return { ast = ast, tree = tree, written = written, events = lower.events(tree) }
end

-- ------------------------------------------------------------------ one rule: its output

-- A node for text that is not in any file, registered so that messages can show it.
local function loose_node(diags, name, text)
  diags:source(name, text)
  local places = setmetatable({}, { __index = function(_, i) return i end })
  return { kind = "scalar", file = name, text = text, offset = 0, end_offset = #text, places = places }
end

local function includes(set, tags)
  for _, tag in ipairs(tags or {}) do
    if not set[tag] then
      return false
    end
  end
  return true
end

local function applies(entry, rule)
  return (not entry.source or entry.source == "" or entry.source == rule.source)
    and (not entry.rule or entry.rule == "" or entry.rule == rule.name) and includes(rule.tags, entry.tags)
end

local ERASED = "%container.info"

-- %container.info stands for nothing any more.
local function erase(source, ctx)
  local at, copied = source.text:find(ERASED, 1, true), 1
  if not at then
    return source
  end
  context.warn(ctx, "LOAD_DEPRECATED_ITEM", rope.place(source, at, at + #ERASED),
    ("'%s' is deprecated and has no effect"):format(ERASED), { hint = "fields of the container are added to outputs by themselves" })
  local out = rope.new(source.texts)
  while at do
    rope.copy(out, source, copied, at - 1)
    copied = at + #ERASED
    at = source.text:find(ERASED, copied, true)
  end
  rope.copy(out, source, copied, #source.text)
  return rope.finish(out)
end

local function output_rope(state, rule, opts, ctx)
  local pieces = expand.rope(state, rule.output)
  local out = rope.new(state.texts)
  rope.copy(out, pieces, 1, #pieces.text)
  for i, entry in ipairs(opts.append_output or {}) do
    if entry.format and entry.format ~= "" and applies(entry, rule) then
      local name = entry.name or ("append_output[%d]"):format(i)
      state.texts[name] = entry.format
      local node = loose_node(state.diag, name, entry.format)
      rope.add(out, " ", node)
      rope.add(out, entry.format, node, 1)
    end
  end
  return erase(rope.finish(out), ctx)
end

local function report_output(ctx, source, errors, skip_unknown)
  local first = errors[1]
  if skip_unknown and first.unknown then
    context.warn(ctx, "LOAD_UNKNOWN_FILTER", rope.place(source, first.from, first.stop),
      first.message .. "; the rule is skipped")
    return true
  end
  for _, err in ipairs(errors) do
    context.fail(ctx, "LOAD_ERR_COMPILE_OUTPUT", rope.place(source, err.from, err.stop) or ctx.node, err.message,
      { near = err.near, hint = err.hint })
  end
end

local function warn_deprecated(ctx, source, plan)
  for _, field in ipairs(plan.deprecated) do
    context.warn(ctx, "LOAD_DEPRECATED_ITEM", rope.place(source, field.from, field.stop),
      ("field '%s' is deprecated"):format(field.name), { deprecated_field = field.name })
  end
end

local function extra_fields(state, checker, rule, opts, ctx)
  local out = {}
  for _, entry in ipairs(opts.append_output or {}) do
    for _, field in ipairs(applies(entry, rule) and entry.fields or {}) do
      local name = "append_output." .. field.name
      state.texts[name] = field.format
      local source = rope.of(loose_node(state.diag, name, field.format), state.texts)
      local plan, errors = output.compile(checker.rs, source)
      if plan then
        out[#out + 1] = { name = field.name, plan = plan }
      else
        report_output(ctx, source, errors, false)
      end
    end
  end
  return out
end

-- ------------------------------------------------------------------ one rule

local function sorted(set)
  local out = {}
  for key in pairs(set) do
    out[#out + 1] = key
  end
  table.sort(out)
  return out
end

local function joined(pieces)
  local texts = {}
  for i, piece in ipairs(pieces) do
    texts[i] = piece.text
  end
  return table.concat(texts, " ")
end

local function finished(rule, condition, low, plan, extra, opts)
  local node = rule.name_node
  return {
    name = rule.name, desc = joined(rule.desc), source = rule.source, tags = sorted(rule.tags), priority = rule.priority,
    priority_name = reading.PRIORITIES[rule.priority], below_priority = rule.priority > opts.min_priority,
    enabled = rule.enabled and rule.priority <= opts.min_priority, capture = rule.capture, capture_duration = rule.capture_duration,
    script = rule.script, throttle = rule.throttle, condition = condition, output = plan.text, output_plan = plan, extra_fields = extra,
    file = node.file, line = node.line, column = node.column, tree = low.tree, events = low.events,
    ast = low.ast, written = low.written, definition = rule,
  }
end

-- The rule as the result has it, or nil: it has errors, or is left out.
local function compile_rule(state, checker, rule, opts)
  if not rule.known_source or #rule.cond == 0 then
    return nil
  end
  local ctx = rule.ctx
  check_exceptions(checker, rule)
  local source = condition_rope(state, rule)
  local where = context.new(ctx, "rule condition", "", rule.cond[1].node)
  local low, skipped = lowered(state, checker, source, ctx, where, { sees = rule.sees + 1, skip_unknown = rule.skip_unknown })
  if skipped then
    return nil
  end
  if #rule.output == 0 then
    return nil
  end
  local out_ctx = context.new(ctx, "rule output", "", rule.output[1].node)
  local out = output_rope(state, rule, opts, out_ctx)
  local plan, errors = output.compile(checker.rs, out)
  if not plan then
    report_output(out_ctx, out, errors, rule.skip_unknown)
  else
    warn_deprecated(out_ctx, out, plan)
  end
  local extra = extra_fields(state, checker, rule, opts, out_ctx)
  if not low or not plan or rule.broken then
    return nil
  end
  if rule.warn_evttypes and lower.count(low.events) > MANY_EVENTS then
    context.warn(ctx, "LOAD_NO_EVTTYPE", rule.name_node,
      ("rule '%s' looks at events of nearly every type, which is slow"):format(rule.name),
      { hint = "add a condition on evt.type, or  warn_evttypes: false" })
  end
  return finished(rule, source.text, low, plan, extra, opts)
end

-- ------------------------------------------------------------------ load

local function warn_unused(state)
  for _, kind in ipairs{ { "macros", "MACRO", "macro" }, { "lists", "LIST", "list" } } do
    for _, item in ipairs(state[kind[1]].order) do
      if not item.used and not item.broken then
        context.warn(item.ctx, "LOAD_UNUSED_" .. kind[2], item.name_node, ("%s '%s' is not used"):format(kind[3], item.name))
      end
    end
  end
end

local function described(item, more)
  local node = item.name_node or item.node
  more.name, more.file, more.line, more.column, more.used = item.name, node.file, node.line, node.column, item.used or false
  return more
end

local function item_texts(list)
  local out = {}
  for i, node in ipairs(list.items) do
    out[i] = node.text
  end
  return out
end

local function result_of(state, checker, rules)
  local result = { rules = rules, macros = {}, lists = {}, leaves = checker.leaves, state = state, ruleset = checker.rs,
                   required_engine_version = state.required_engine_version,
                   required_plugin_versions = state.required_plugin_versions }
  for i, macro in ipairs(state.macros.order) do
    result.macros[i] = described(macro, { condition = joined(macro.cond), definition = macro })
  end
  for i, list in ipairs(state.lists.order) do
    result.lists[i] = described(list, { items = item_texts(list), definition = list })
  end
  return result
end

-- Of ordinary files nearly all that is made stays, and the whole is small: the collector need not look at it often. Larger
-- ones are left to its ordinary pace, so that memory stays within bounds.
local SMALL = 1024 * 1024	-- bytes of files
local SELDOM = 400		-- percent of what there was after the last time

local function collect_seldom(files)
  local bytes = 0
  for _, file in ipairs(files) do
    bytes = bytes + #(file.text or "")
  end
  return bytes <= SMALL and collectgarbage("setpause", SELDOM) or nil
end

local function load_all(opts)
  local state, checker, rules = load.new(opts.diag), check.new(opts.ruleset), {}
  checker.keep_places = opts.keep_places
  local errors_before = opts.diag.errors
  opts = setmetatable({ min_priority = opts.min_priority or 7 }, { __index = opts })
  for _, file in ipairs(opts.files) do
    if file.text then
      load.file(state, file.name, file.text)
    else
      opts.diag:error("LOAD_ERR_FILE_READ", { file = file.name }, "cannot be read: " .. (file.error or "unknown reason"))
    end
  end
  expand.lists(state)
  expand.macros(state)
  for _, rule in ipairs(state.rules.order) do
    local done = compile_rule(state, checker, rule, opts)
    if done then
      rules[#rules + 1] = done
      done.index = #rules
    end
  end
  local result = result_of(state, checker, rules)
  result.ok = opts.diag.errors == errors_before
  if result.ok then
    warn_unused(state)
  end
  ruleset.settle(opts.ruleset)
  return result
end

function M.load(opts)
  local pause = collect_seldom(opts.files)
  local result = load_all(opts)
  if pause then
    collectgarbage("setpause", pause)
  end
  return result
end

-- ------------------------------------------------------------------ compile

-- Tells the ruleset which events can make one of the entries true. exact: by syscall alone for generic events
local function want_events(rs, entries, exact)
  local C = core.C
  local function want(code, events)
    if not C.event_is_generic(code) then
      return lower.can_match(events, code) and C.ruleset_want(rs, code, -1)
    elseif not exact and not lower.can_match(events, code) then
      return
    end
    local syscalls = lower.syscalls(events)
    if syscalls == lower.ALL then
      return C.ruleset_want(rs, code, -1)
    end
    for sc in pairs(syscalls) do
      C.ruleset_want(rs, code, sc)
    end
  end
  for code = 0, C.event_count() - 1 do
    if C.event_is_seen(code) then
      for _, entry in ipairs(entries) do
        want(code, entry.events)
      end
    end
  end
end

-- Generated text of one rule, with its leaves spelled out.
local function legend(text, leaves)
  local out, seen = {}, {}
  for id in text:gmatch("C%.leaf%(e, (%d+)%)") do
    if not seen[id] then
      seen[id] = true
      out[#out + 1] = ("-- %s: %s\n"):format(id, (leaves[tonumber(id)] or "?"):gsub("%c", "?"))
    end
  end
  return text .. table.concat(out)
end

-- Generated text of a rule of the result, enabled or not, with its leaves spelled out.
function M.code(result, rule)
  local prog = emit.compile({ { tree = rule.tree, events = rule.events, hit = 1 } }, { first = true, dispatch = false })
  return legend(prog.text_of(1), result.leaves)
end

function M.compile(result, opts)
  local entries, of_rule = {}, {}
  for i, rule in ipairs(result.rules) do
    if rule.enabled then
      entries[#entries + 1] = { tree = rule.tree, events = rule.events, hit = i, goes_on = rule.script ~= nil }
      of_rule[rule.name] = #entries
    end
  end
  local how = { first = not opts or opts.matching ~= "all" }
  if #entries == 0 or opts and opts.gate == false then
    core.C.ruleset_gate(result.ruleset, 0)
    want_events(result.ruleset, entries, false)
  else
    local interpret = opts and opts.interpret
    if interpret == nil then interpret = not jit.status() end
    how.gate_hits = gate.install(result.ruleset, entries, { programs = interpret })
    how.holds = interpret and function(entry) return gate.holds(result.ruleset, entry.program) end
  end
  local prog = emit.compile(entries, how)
  prog.gate_number = {}		-- index of a rule -> what ruleset_gate_verdict() calls it
  for _, entry in ipairs(entries) do
    prog.gate_number[entry.hit] = entry.number
  end
  function prog.dump(name)
    return of_rule[name] and legend(prog.text_of(of_rule[name]), result.leaves) or nil
  end
  return prog
end

-- ------------------------------------------------------------------ single conditions and outputs

local function loose_context(diags, state, node, type_name, file_text)
  local root = { type = type_name, name = node.file, file = node.file, node = node, state = state }
  state.diag, state.texts[node.file] = diags, file_text or node.text
  return root
end

-- opts.result: its macros and lists may be used
function M.condition(opts)
  local state = opts.result and setmetatable({ texts = setmetatable({}, { __index = opts.result.state.texts }) },
    { __index = opts.result.state }) or load.new(opts.diag)
  local node = opts.node or loose_node(opts.diag, opts.name or "condition", opts.text)
  local ctx = loose_context(opts.diag, state, node, "condition expression", opts.file_text)
  local checker = check.new(opts.ruleset)
  local low = lowered(state, checker, rope.of(node, state.texts), ctx, ctx, { sees = math.huge })
  if not low then
    return nil
  end
  local entries = { { tree = low.tree, events = low.events, hit = 1 } }
  want_events(opts.ruleset, entries, true)
  local prog = emit.compile(entries, { first = true, dispatch = false })
  prog.tree, prog.events, prog.leaves, prog.ast = low.tree, low.events, checker.leaves, low.ast
  function prog.dump()
    return legend(prog.text_of(1), checker.leaves)
  end
  return prog
end

function M.output(opts)
  local state = load.new(opts.diag)
  local node = opts.node or loose_node(opts.diag, opts.name or "output", opts.text)
  local ctx = loose_context(opts.diag, state, node, "rule output expression", opts.file_text)
  local source = rope.of(node, state.texts)
  local plan, errors = output.compile(opts.ruleset, source)
  if not plan then
    report_output(ctx, source, errors, false)
  end
  return plan
end

-- ------------------------------------------------------------------ switching rules, LuaJIT

local function glob_pattern(glob)
  return "^" .. glob:gsub("[%^%$%(%)%%%.%[%]%*%+%-%?]", "%%%0"):gsub("%%%*", ".*") .. "$"
end

local function step_matches(step, rule)
  local pattern = step.rule and (step.substring and step.rule or glob_pattern(step.rule))
  if pattern and rule.name:find(pattern, 1, step.substring) then
    return true
  end
  for _, tag in ipairs(step.tag and rule.tags or {}) do
    if tag == step.tag then
      return true
    end
  end
  return false
end

-- steps: { { enable = bool, rule = "name or glob", substring = bool, tag = "tag" }, ... }; substring: any part of the name
function M.select(result, steps)
  for _, step in ipairs(steps) do
    for _, rule in ipairs(result.rules) do
      if step_matches(step, rule) then
        rule.enabled = step.enable and not rule.below_priority
      end
    end
  end
end

function M.jit_options()
  jit.opt.start("hotloop=56", "hotexit=10", "maxtrace=8000", "maxside=4000", "maxmcode=32768", "maxrecord=20000",
    "maxirconst=4000", "maxsnap=2000")
end

return M
