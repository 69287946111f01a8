-- A queue adapter of your own: a text file with lines "id | queue | name | description".
local athanore = require "athanore"

local function text_file(path, queues)
  local function load()
    local file <close> = assert(io.open(path))
    local tasks = athanore.json.array()
    for line in file:lines() do
      local id, queue, name, description = line:match("^(%S+) | (.-) | (.-) | (.*)$")
      tasks[#tasks + 1] = id and { id = id, queue = queue, name = name, description = description }
    end
    return tasks
  end

  -- Written beside it and renamed: a reader never sees half a file.
  local function save(tasks)
    local file <close> = assert(io.open(path .. ".new", "w"))
    for _, task in ipairs(tasks) do
      local line = table.concat({ task.id, task.queue, task.name, task.description }, " | ")
      assert(file:write(line:gsub("[\r\n]+", " ") .. "\n"))
    end
    assert(file:close())
    assert(os.rename(path .. ".new", path))
  end

  local function find(tasks, id)
    for _, task in ipairs(tasks) do if task.id == id then return task end end
    return nil, athanore.error("not_found", ("there is no task '%s'"):format(id))
  end

  local function change(id, fields)
    local tasks = load()
    local task, err = find(tasks, id)
    if not task then return nil, err end
    for _, key in ipairs { "queue", "name", "description" } do
      local value = fields[key]
      task[key] = value == athanore.json.null and "" or value or task[key]
    end
    save(tasks)
    return task
  end

  local M = { name = "text_file", identity = "text_file:" .. path }

  function M.get_ready_tasks(_, wanted)
    local watched, ready = {}, athanore.json.array()
    for _, name in ipairs(wanted) do watched[name] = true end
    for _, task in ipairs(load()) do ready[#ready + 1] = watched[task.queue] and task or nil end
    return ready
  end

  function M.get_task(_, id) return find(load(), id) end
  function M.move_task(_, id, target) return change(id, { queue = target }) end
  function M.update_task(_, id, fields) return change(id, fields) end
  function M.add_comment(_, id, text) athanore.log.info(text, { task_id = id }) end

  function M.create_task(_, queue, name, description)
    local tasks, id = load(), 1
    while find(tasks, tostring(id)) do id = id + 1 end
    tasks[#tasks + 1] = { id = tostring(id), queue = queue, name = name, description = description or "" }
    save(tasks)
    return tasks[#tasks]
  end

  function M.get_queue(_, name) return { name = name, task_count = #M:get_ready_tasks { name } } end

  function M.list_queues()
    local list = athanore.json.array()
    for i, name in ipairs(queues) do list[i] = M:get_queue(name) end
    return list
  end

  function M.create_queue() return nil, athanore.error("unsupported", "name the queues in routes.lua") end
  M.update_queue, M.delete_queue = M.create_queue, M.create_queue
  return M
end

return text_file
