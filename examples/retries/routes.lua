-- What happens to tasks whose agents fail: retries, with a pause that doubles, and then a queue for the dead.
--
--   athanore routes.lua
--
-- Task 1 succeeds at its second try. Task 2 never does and goes to Failed. Task 3 takes too long, each time, and is
-- left where it is: its route wants no such queue.
local athanore = require "athanore"

local dispatcher = athanore.dispatcher {
  command = "./agent.sh",
  poll_interval = 1,
  agent_timeout = 30,
  max_retries = 2,
  retry_backoff = 0.5,
  dead_letter_queue = "Failed",
  queue_backend = athanore.json_file "board.json",
}

local function prompt(task_id, task_name)
  return ("Work on task %s: %s."):format(task_id, task_name)
end

-- Leaving its task where it is would be a failure too: agents have to say that they are done.
dispatcher:route {
  queue_name = "Todo",
  require_move = true,
  prompt = prompt,
}

dispatcher:route {
  queue_name = "Slow",
  timeout = 1,
  max_retries = 1,
  dead_letter_queue = false,
  prompt = prompt,
}

return dispatcher
