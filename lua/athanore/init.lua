-- The module that scripts require: what C gives, and the adapters that are written in Lua.
local core = require "athanore.core"

local M = {}

for name, value in pairs(core) do
  M[name] = value
end

M.subprocess = require "athanore.agents.subprocess"

return M
