-- SPDX-License-Identifier: Apache-2.0
-- What several specs need: loading rules from a text, replaying a capture.
local core = require "core"
local diag = require "diag"
local rules = require "rules"
local spell = require "rules.spell"

local M = {}

-- Loads rule files from texts; result, diagnostics.
function M.load(texts, opts)
  local files = {}
  for i, text in ipairs(type(texts) == "table" and texts or { texts }) do
    files[i] = { name = i == 1 and "r.yaml" or ("r%d.yaml"):format(i), text = text }
  end
  local diags = diag.new()
  local given = { files = files, ruleset = core.C.ruleset_new(), diag = diags }
  for key, value in pairs(opts or {}) do
    given[key] = value
  end
  return rules.load(given), diags
end

-- Must load without errors.
function M.good(texts, opts)
  local result, diags = M.load(texts, opts)
  if not result.ok then
    error("rules do not load:\n" .. diags:render{ level = "error" }, 2)
  end
  return result, diags
end

-- "line:column: message" of every diagnostic of a level ("error" unless given), in the order of the text.
function M.messages(diags, level)
  local out = {}
  for _, d in ipairs(diags:sorted()) do
    if d.level == (level or "error") then
      out[#out + 1] = ("%d:%d: %s"):format(d.line or 0, d.column or 0, d.message)
    end
  end
  return out
end

-- codes of a level, sorted by place
function M.codes(diags, level)
  local out = {}
  for _, d in ipairs(diags:sorted()) do
    if d.level == level then
      out[#out + 1] = d.code
    end
  end
  return out
end

-- A rule with this condition.
function M.rule(name, condition, more)
  return ("- rule: %s\n  desc: d\n  output: o\n  priority: info\n  condition: %s\n%s"):format(name, condition, more or "")
end

-- A rule that holds for all events, so that no event is dismissed.
M.ANY = M.rule("any event", "evt.num > 0", "  warn_evttypes: false\n")

-- Those of `hits` (rules that hold for the event) that the gate would let through if theirs were the only rule. Asks it about
-- all rules, so that it has something to remember. prog: of rules.compile()
function M.let_through(rs, prog, evt, hits)
  local C, passes, out = core.C, {}, {}
  for index, number in pairs(prog.gate_number) do
    passes[index] = C.ruleset_gate_verdict(rs, evt, number) == C.GATE_PASSES
  end
  for _, index in ipairs(hits) do
    if passes[index] then
      out[#out + 1] = index
    end
  end
  return out
end

-- Leaf texts of a rule's tree in order, negated ones with "not ".
function M.literals(rule)
  local out = {}
  local function walk(tree)
    if tree.kind == "leaf" then
      out[#out + 1] = (tree.neg and "not " or "") .. spell.check_text(tree.check)
    else
      for _, child in ipairs(tree) do
        walk(child)
      end
    end
  end
  walk(rule.tree)
  return out
end

-- The tree as text with parentheses.
function M.shape(tree)
  if tree.kind == "leaf" then
    return (tree.neg and "not " or "") .. spell.check_text(tree.check)
  end
  local parts = {}
  for i, child in ipairs(tree) do
    parts[i] = M.shape(child)
  end
  return "(" .. table.concat(parts, " " .. tree.kind .. " ") .. ")"
end

-- Calls visit(evt, head) for each event that the ruleset wants.
function M.replay(path, rs, visit)
  local err = core.err()
  local engine = core.C.engine_new(core.ffi.new("struct engine_limits"), err)
  assert(engine ~= nil, core.message(err))
  assert(core.C.engine_open_replay(engine, path, err) == 0, core.message(err))
  core.C.engine_use(engine, rs)
  local evt = core.C.engine_evt(engine)
  local n = 0
  while core.C.engine_next(engine) == core.C.NEXT_EVENT do
    n = n + 1
    visit(evt, core.C.evt_head(evt))
  end
  core.C.engine_free(engine)
  return n
end

return M
