-- athanore examples/custom-adapter/routes.lua
-- Works on the tasks of tasks.txt, in the folder named by TASKS_DIR, else beside this script.
local athanore = require "athanore"
local text_file = require "queue"

local here = debug.getinfo(text_file, "S").source:match("^@(.*)/[^/]*$")
local folder = os.getenv("TASKS_DIR") or here

local dispatcher = athanore.dispatcher {
  command = "./agent.sh",
  poll_interval = 2,
  queue_backend = text_file(folder .. "/tasks.txt", { "Todo", "In Progress", "Done" }),
}

dispatcher:route {
  queue_name = "Todo",
  prompt = function(task_id, task_name, task)
    return ("Work on task %s: %s. %s"):format(task_id, task_name, task.description or "")
  end,
}

return dispatcher
