-- SPDX-License-Identifier: Apache-2.0
-- Rules files: what is wrong with one is said with its place, all of it, and in words that help.
return function(tool, falco)
  local dir = tool.dir()

  local good = tool.run{ falco, "-V", "rules/falco_rules.yaml" }
  tool.check_run(good, good.code == 0, "the shipped rules: %s", tool.how(good))
  tool.check_run(good, not (good.out .. good.err):lower():find("warning"), "the shipped rules have warnings")

  local THREE = [[
- list: shells
  items: [bash, sh]

- macro: starts
  condition: evt.type = execve

- rule: misspelled field
  desc: the field is called proc.name
  condition: starts and proc.nam in (shells)
  output: a shell (%proc.cmdline)
  priority: WARNING

- rule: unknown macro
  desc: the macro is called starts
  condition: start and proc.name = bash
  output: a shell (%proc.cmdline)
  priority: WARNING

- rule: bad output
  desc: the output names a field that is none
  condition: starts and proc.name = sh
  output: a shell (%proc.cmdlin)
  priority: WARNING
]]
  local three = tool.write(dir .. "/three.yaml", THREE)
  -- { line, column of the caret, word in the message, suggestion }
  local wanted = {
    { 9, 25, "proc.nam", "proc.name" },
    { 15, 14, "start", "starts" },
    { 22, 21, "proc.cmdlin", "proc.cmdline" },
  }
  for _, args in ipairs{
    { "-V", three },
    { "replay", "test/data/sensitive.scap", "-r", three },
  } do
    local r = tool.run{ falco, unpack(args) }
    local text = r.err .. r.out
    tool.check_run(r, r.code == 1, "three errors: wanted exit status 1, not %s", tool.how(r))
    local lines = tool.lines(text)
    for _, w in ipairs(wanted) do
      local line, column, word, suggestion = unpack(w)
      local place = ("%s:%d:%d: error"):format(three, line, column)
      local found
      for i, l in ipairs(lines) do
        if l:find(place, 1, true) and l:find(word, 1, true) then found = i end
      end
      if tool.check_run(r, found, "three errors: no message at %s about '%s'", place, word) then
        local source = tool.lines(THREE)[line]
        local shown, caret = lines[found + 1] or "", lines[found + 2] or ""
        local at = shown:find(source:gsub("^%s+", ""), 1, true)
        tool.check_run(r, at, "three errors: line %d of the file is not shown", line)
        local mark = caret:find("^", 1, true)
        local here = shown:find(word, 1, true)
        tool.check_run(r, mark and mark == here, "three errors: the caret stands at %s, the mistake at %s", mark, here)
        local near = table.concat(lines, "\n", found, math.min(found + 4, #lines))
        tool.check_run(r, near:find("did you mean", 1, true) and near:find("'" .. suggestion .. "'", 1, true),
          "three errors: '%s' is not suggested", suggestion)
      end
    end
    tool.check_run(r, not text:find("traceback"), "three errors: a traceback for a user")
    tool.check_run(r, not r.out:find("Credential"), "three errors: the replay ran all the same")
  end

  -- broken YAML has a place, too
  local broken = tool.write(dir .. "/broken.yaml", "- rule: x\n  desc: [unclosed\n  condition: evt.num > 0\n")
  local r = tool.run{ falco, "-V", broken }
  tool.check_run(r, r.code == 1, "broken YAML: wanted exit status 1, not %s", tool.how(r))
  tool.check_run(r, (r.err .. r.out):find("broken%.yaml:%d+:%d+"), "broken YAML: no place")

  -- a later file changes the shipped rules
  local change = tool.write(dir .. "/change.yaml", [[
- list: my_trusted_programs
  items: [cat]
  override: {items: append}

- rule: Private key read
  enabled: false
  override: {enabled: replace}
]])
  local function alerts(...)
    local replay = tool.run{ falco, "replay", "test/data/sensitive.scap", "-c", "test/demo.yaml", "-r", "rules/falco_rules.yaml", ... }
    tool.check_run(replay, replay.code == 0, "replay: %s", tool.how(replay))
    return replay.out
  end
  local before, after = alerts(), alerts("-r", change)
  tool.check(before:find("command=cat /etc/shadow ", 1, true), "the shipped rules see cat /etc/shadow")
  tool.check(not after:find("command=cat /etc/shadow ", 1, true), "cat was trusted, and is still reported")
  tool.check(before:find("Private key read", 1, true), "the shipped rules see a key being read")
  tool.check(not after:find("Private key read", 1, true), "a rule that was switched off alerts")
end
