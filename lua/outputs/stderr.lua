-- SPDX-License-Identifier: Apache-2.0
-- Alerts to standard error.
local stdout = require("outputs.stdout")

local ERR = 2

return { open = function(conf, env) return stdout.open(conf, env, ERR) end }
