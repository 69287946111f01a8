-- One route, one agent: what is in Todo is worked on, and moved to Done by the agent.
--
--   athanore routes.lua
local athanore = require "athanore"

local dispatcher = athanore.dispatcher {
  command = "./agent.sh",
  poll_interval = 2,
  queue_backend = athanore.json_file "board.json",
}

dispatcher:route {
  queue_name = "Todo",
  prompt = function(task_id, task_name)
    return ("Work on task %s: %s."):format(task_id, task_name)
  end,
}

return dispatcher
