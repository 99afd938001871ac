-- SPDX-License-Identifier: Apache-2.0
-- Flags that print and end, and mistakes on the command line.
return function(tool, falco)
  local function run(...) return tool.run{ falco, ... } end

  for _, case in ipairs{
    { { "--help" }, "replay" },
    { { "--version" }, "%d+%.%d+" },
    { { "--list" }, "proc%.name" },
    { { "--list", "-N" }, "\nfd%.name\n" },
    { { "--list", "syscall", "--format", "markdown" }, "proc%.name" },
    { { "--list-events" }, "openat" },
    { { "-i" }, "- write\n" },
    { { "--support" }, "version" },
    { { "--config-schema" }, "rules_files" },
    { { "--rule-schema" }, "skip%-if%-unknown%-filter" },
    { { "--dump-ast", "Interactive shell in a container", "-r", "rules/falco_rules.yaml" }, "leaf %d+ %(self%)" },
    { { "--dump-code", "Interactive shell in a container", "-r", "rules/falco_rules.yaml" }, "C%.leaf%(e, %d+%)" },
    { { "-L", "-r", "rules/falco_rules.yaml", "-o", "json_output=true" }, '"condition_compiled":"' },
    { { "-l", "Interactive shell in a container", "-r", "rules/falco_rules.yaml", "-o", "json_output=true" }, '^{"rules":%[{"details":' },
    { { "-V", "rules/falco_rules.yaml", "-o", "json_output=true" }, '"schema_valid":true' },
    { { "replay", "--help" }, "[Cc]apture" },
  } do
    local r = run(unpack(case[1]))
    tool.check_run(r, r.code == 0 and r.err == "", "%s: %s", table.concat(case[1], " "), tool.how(r))
    tool.check_run(r, r.out:find(case[2]), "%s: output lacks '%s'", table.concat(case[1], " "), case[2])
    tool.check_run(r, not r.out:find("\27"), "%s: colours in a pipe", table.concat(case[1], " "))
  end

  -- every name of --list -N is one word, and known to --list
  local names = run("--list", "-N")
  local listed = run("--list").out
  for _, name in ipairs(tool.lines(names.out)) do
    if name ~= "" then tool.check(not name:find("%s") and listed:find(name, 1, true), "--list -N: '%s'", name) end
  end

  for _, case in ipairs{
    { { "--no-such-flag" }, "no%-such%-flag" },
    { { "replay" }, "file" },
    { { "--dump-ast", "Interactive shell in a contaner", "-r", "rules/falco_rules.yaml" }, "did you mean 'Interactive shell in a container'" },
    { { "--format", "xml", "--list" }, "xml" },
    { { "-c", "/nowhere/falco.yaml" }, "/nowhere/falco%.yaml" },
    { { "replay", "test/data/sensitive.scap", "-r", "/nowhere/rules.yaml" }, "/nowhere/rules%.yaml" },
  } do
    local r = run(unpack(case[1]))
    local what = table.concat(case[1], " ")
    tool.check_run(r, r.code == 1, "%s: wanted exit status 1, not %s", what, tool.how(r))
    tool.check_run(r, r.err:find(case[2]), "%s: the message lacks '%s'", what, case[2])
    tool.check_run(r, not (r.err .. r.out):find("traceback"), "%s: a traceback for a user", what)
  end
end
