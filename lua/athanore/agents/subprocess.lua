-- The default agent adapter: runs the route's command and judges it by its exit code.

-- The system takes no longer argument.
local MAX_ARGUMENT = 128 * 1024 - 1

local FUNCTIONS = { "command", "event", "outcome", "before", "after" }

-- What is wrong with a prompt as an argument, or nil.
local function objection(prompt)
  if prompt:sub(1, 1) == "-" then
    return "begins with '-', which a command takes for an option"
  elseif #prompt > MAX_ARGUMENT then
    return ("has %d bytes, and an argument may have %d"):format(#prompt, MAX_ARGUMENT)
  elseif prompt:find("\0", 1, true) then
    return "holds a NUL byte, which no argument can"
  end
end

-- How a run's command line is made, by prompt_via.
local COMMANDS = {
  arg = function(run)
    local wrong = objection(run.prompt)
    if wrong then
      return nil, ('the prompt of route \'%s\' %s: use agent = athanore.subprocess { prompt_via = "stdin" }')
        :format(run.route.queue_name, wrong)
    end
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
  local command = COMMANDS[options.prompt_via or "arg"]
  local adapter = {
    name = options.name or "subprocess",
    command = command,
    -- It runs route.command: a route without one is a mistake, unless the script replaces it.
    needs_command = command,
  }
  for _, name in ipairs(FUNCTIONS) do
    adapter[name] = options[name] or adapter[name]
  end
  return adapter
end

return subprocess
