-- A pipeline of three stages: Todo → Development → Review → Done, each served by an agent of its own.
--
--   athanore routes.lua
--
-- The later the stage, the lower its number and the sooner it is served: a task flows all the way through
-- before the next one is begun. What fails for good goes to Failed.
local athanore = require "athanore"

local dispatcher = athanore.dispatcher {
  command = "./agent.sh",
  poll_interval = 1,
  agent_timeout = 60,
  max_concurrent_agents = 2,
  max_retries = 2,
  dead_letter_queue = "Failed",
  queue_backend = athanore.json_file "board.json",
}

-- agent.sh is given its role and the next queue, and the prompt behind them.
dispatcher:route {
  queue_name = "Review",
  in_progress_queue = "Reviewing",
  priority = 1,
  args = { "reviewer", "Done" },
  prompt = function(task_id, task_name)
    return ("Review task %s: %s."):format(task_id, task_name)
  end,
}

dispatcher:route {
  queue_name = "Development",
  in_progress_queue = "Developing",
  priority = 2,
  args = { "developer", "Review" },
  prompt = function(task_id, task_name)
    return ("Implement task %s: %s."):format(task_id, task_name)
  end,
}

dispatcher:route {
  queue_name = "Todo",
  in_progress_queue = "Planning",
  priority = 3,
  args = { "planner", "Development" },
  prompt = function(task_id, task_name)
    return ("Plan task %s: %s."):format(task_id, task_name)
  end,
}

return dispatcher
