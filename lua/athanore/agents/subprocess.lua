-- The default agent adapter: runs the route's command and judges it by its exit code.

-- The system takes no longer argument.
local MAX_ARGUMENT = 128 * 1024 - 1

local FUNCTIONS = { "command", "event", "outcome", "before", "after" }

local function check_prompt(route, prompt)
  local use = 'give the agent the prompt by stdin: agent = athanore.subprocess { prompt_via = "stdin" }'
  if prompt:sub(1, 1) == "-" then
    error(("the prompt of route '%s' begins with '-', which a command takes for an option; %s")
      :format(route.queue_name, use), 0)
  end
  if #prompt > MAX_ARGUMENT then
    error(("the prompt of route '%s' has %d bytes, and an argument may have %d; %s")
      :format(route.queue_name, #prompt, MAX_ARGUMENT, use), 0)
  end
  if prompt:find("\0", 1, true) then
    error(("the prompt of route '%s' holds a NUL byte, which no argument can; %s")
      :format(route.queue_name, use), 0)
  end
end

-- How a run's command line is made, by prompt_via.
local COMMANDS = {
  arg = function(run)
    check_prompt(run.route, run.prompt)
    return { argv = run.route:format_command(run.prompt) }
  end,
  stdin = function(run)
    return { argv = run.route:format_command(), stdin = run.prompt }
  end,
  file = function(run)
    return { argv = run.route:format_command(run.prompt_file) }
  end,
}

local function check_options(options)
  if type(options) ~= "table" then
    error("subprocess takes a table of options, got " .. type(options), 3)
  end
  local known = { prompt_via = "string", name = "string" }
  for _, name in ipairs(FUNCTIONS) do
    known[name] = "function"
  end
  for name, value in pairs(options) do
    if not known[name] then
      error(("unknown option '%s' of subprocess; it has prompt_via, name, %s")
        :format(tostring(name), table.concat(FUNCTIONS, ", ")), 3)
    elseif type(value) ~= known[name] then
      error(("%s of subprocess must be a %s, got %s"):format(name, known[name], type(value)), 3)
    end
  end
  if options.prompt_via and not COMMANDS[options.prompt_via] then
    error(('prompt_via must be "arg", "stdin" or "file", got "%s"'):format(options.prompt_via), 3)
  end
end

---@param options? athanore.SubprocessOptions
---@return athanore.AgentAdapter
local function subprocess(options)
  options = options or {}
  check_options(options)
  local adapter = {
    name = options.name or "subprocess",
    command = COMMANDS[options.prompt_via or "arg"],
    -- It runs route.command: a route without one is a mistake.
    needs_command = options.command == nil,
  }
  for _, name in ipairs(FUNCTIONS) do
    adapter[name] = options[name] or adapter[name]
  end
  return adapter
end

return subprocess
