---@meta athanore
-- What `require "athanore"` gives, for editors. Never loaded.

---@class athanore
---@field version string The daemon's version.
local athanore = {}

---A task as prompt functions and adapters see it. What is null is absent.
---@class athanore.Task
---@field id string
---@field name string
---@field queue string The queue that it is in.
---@field description? string
---@field labels string[]
---@field assignees string[]
---@field comments table[]
---@field tasks table[]

---The constructor's options. Times are seconds, fractions allowed.
---@class athanore.DispatcherOptions
---@field queue_backend athanore.QueueAdapter|athanore.QueueBackend|athanore.JsonFile Where tasks come from.
---@field command? string|string[] One executable, or a list that begins with it. A path is relative to the script.
---@field poll_interval? number Between two polls of a queue; 30.
---@field agent_timeout? number|false How long an agent may run; none.
---@field max_concurrent_agents? integer Agents at once; 3.
---@field api_host? string Where the HTTP API listens; "127.0.0.1".
---@field api_port? integer Its port, 0 for a free one; 8000.
---@field api_token? string|false What clients must send; needed beyond loopback.
---@field default_agent? athanore.AgentAdapter For routes without an agent; athanore.subprocess {}.
---@field max_retries? integer|false Retries of a failed task; 0.
---@field dead_letter_queue? string|false Where a task goes when its retries are used up.
---@field enable_queue_management? boolean Whether the API may change queues and routes.
---@field state_dir? string Where the daemon keeps its state; .athanore/NAME beside the script.
---@field history_days? number How long runs are kept; 30.
---@field on_shutdown? "cancel"|"detach"|"drain" What becomes of agents when the daemon stops; "cancel".
---@field stop_timeout? number How long the daemon may take to stop; 10.
---@field max_log? integer Bytes of output kept for one run; 256 MiB.
---@field log_level? "debug"|"info"|"warn"|"error"
---@field stall_timeout? number|false For all routes: how long an agent may be silent.
---@field retry_backoff? number|false For all routes: the wait before the first retry, doubled for each further one.
---@field success_queue? string|false For all routes: where a task goes when its agent succeeded and did not move it.
---@field require_move? boolean For all routes: an agent that did not move its task has failed.
---@field cancel_when_moved? boolean For all routes: a task that is moved by another hand ends its run.
---@field cwd? string For all routes: the agents' folder, relative to the script.
---@field env? table<string, string|number|boolean> For all routes: more environment variables.

---A route's options; what is absent is the dispatcher's.
---@class athanore.RouteOptions
---@field queue_name string The queue to watch.
---@field prompt? athanore.Prompt Required, here or as second argument of dispatcher:route.
---@field in_progress_queue? string Where a task is while its agent runs; "In Progress".
---@field command? string|string[]
---@field args? string[] Arguments behind the command, before the prompt.
---@field timeout? number|false
---@field poll_interval? number
---@field priority? number Lower is served first; routes without one come last.
---@field max_retries? integer|false
---@field dead_letter_queue? string|false
---@field agent? athanore.AgentAdapter
---@field when? fun(task: athanore.Task): any Whether the task is ready; it may wait.
---@field cwd? string
---@field env? table<string, string|number|boolean> Added to the dispatcher's.
---@field stall_timeout? number|false
---@field retry_backoff? number|false
---@field success_queue? string|false
---@field require_move? boolean
---@field cancel_when_moved? boolean
---@field max_concurrent? integer|false Agents of this route at once.

---Makes the prompt of a task; it may wait (athanore.sleep and the like), for 30 seconds at most.
---@alias athanore.Prompt fun(task_id: string, task_name: string, task: athanore.Task): string

---@class athanore.Dispatcher
local Dispatcher = {}

---Makes the dispatcher; a script has one. Mistakes are collected and reported all at once.
---@param options athanore.DispatcherOptions
---@return athanore.Dispatcher
function athanore.dispatcher(options) end

---Adds a route.
---@param options athanore.RouteOptions
---@param prompt? athanore.Prompt
function Dispatcher:route(options, prompt) end

---Says that this dispatcher is the one to run. Does not block: the daemon runs it once the script has
---ended. `return dispatcher` at the end of the script does the same.
---@param options? { debug?: boolean, log_level?: "debug"|"info"|"warn"|"error" }
function Dispatcher:run(options) end

---@class athanore.JsonFile
---@field path string
---@field user? string

---Tasks in a JSON file.
---@param path string Relative to the script.
---@param options? { user?: string } Who the daemon is on the board.
---@return athanore.JsonFile
function athanore.json_file(path, options) end

---@class athanore.SubprocessOptions
---@field prompt_via? "arg"|"stdin"|"file" How the agent gets the prompt; "arg".
---@field name? string
---@field command? fun(run: athanore.Run): string[]|athanore.Command|nil, any, string?, string?
---@field event? fun(run: table, line: string): any
---@field outcome? fun(run: table, exit: table): any
---@field before? fun(run: table)
---@field after? fun(run: table, outcome: any)

---The agent adapter that runs a command and judges it by its exit code. Its functions can be replaced.
---@param options? athanore.SubprocessOptions
---@return athanore.AgentAdapter
function athanore.subprocess(options) end

---How agents of one kind are run. All functions are called without self, and may be called by a
---daemon that was restarted while the agent ran: what they know is in their arguments.
---@class athanore.AgentAdapter
---@field command fun(run: athanore.Run): string[]|athanore.Command|nil, any, string?, string? argv, env, cwd, stdin; or one table of them; or nil and an error.
---@field name? string
---@field needs_command? boolean|function It runs route.command, or does while command is this function: a route without one is a mistake.
---@field event? fun(run: table, line: string): any What a line of output means.
---@field outcome? fun(run: table, exit: table): any How the run ended.
---@field before? fun(run: table) Before the agent is started; may wait.
---@field after? fun(run: table, outcome: any) After its end; may wait.

---@class athanore.Command
---@field argv string[]
---@field env? table<string, string|number|boolean>
---@field cwd? string
---@field stdin? string

---@class athanore.Run
---@field id string
---@field attempt integer
---@field prompt string
---@field prompt_file string A file that holds the prompt.
---@field task athanore.Task
---@field route athanore.Route

---@class athanore.Route: athanore.RouteOptions
---@field command string[]
---@field env string[] Names only.
local Route = {}

---command, args and, if it is given, the prompt, as one list.
---@param prompt? string
---@return string[]
function Route:format_command(prompt) end

---@class athanore.QueueInfo
---@field name string
---@field task_count integer

---Where tasks live. Each method returns its result, or nil and an error: a text, or what
---athanore.error makes. Methods may wait.
---@class athanore.QueueAdapter
---@field name? string For messages.
---@field identity? string|fun(self: athanore.QueueAdapter): string Tells this backend from others; what the daemon remembers belongs to it.
---@field get_ready_tasks fun(self: athanore.QueueAdapter, queues: string[], options: { limit?: integer }): athanore.Task[]?, any
---@field get_task fun(self: athanore.QueueAdapter, id: string): athanore.Task?, any
---@field move_task fun(self: athanore.QueueAdapter, id: string, target_queue: string): athanore.Task|true|nil, any
---@field add_comment fun(self: athanore.QueueAdapter, id: string, text: string): table|true|nil, any
---@field update_task fun(self: athanore.QueueAdapter, id: string, fields: table): athanore.Task|true|nil, any Absent fields are unchanged, athanore.json.null clears.
---@field create_task fun(self: athanore.QueueAdapter, queue_name: string, name: string, description?: string): athanore.Task?, any
---@field list_queues fun(self: athanore.QueueAdapter): athanore.QueueInfo[]?, any
---@field get_queue fun(self: athanore.QueueAdapter, name: string): athanore.QueueInfo?, any
---@field create_queue fun(self: athanore.QueueAdapter, name: string): athanore.QueueInfo|true|nil, any
---@field update_queue fun(self: athanore.QueueAdapter, name: string, options: { new_name: string }): athanore.QueueInfo|true|nil, any
---@field delete_queue fun(self: athanore.QueueAdapter, name: string): true?, any
---@field claim_task? fun(self: athanore.QueueAdapter, id: string, from_queue: string, to_queue: string): boolean?, any Atomic; false where somebody was faster.
---@field authenticated_user? fun(self: athanore.QueueAdapter): string?, any

---Makes the adapter when the daemon starts; cannot wait.
---@class athanore.QueueBackend
---@field create_adapter fun(self: athanore.QueueBackend): athanore.QueueAdapter?, any

---@alias athanore.ErrorCode
---| "not_found" | "conflict" | "invalid" | "unauthorized" | "forbidden"
---| "rate_limited" | "unavailable" | "timeout" | "unsupported" | "internal"

---@class athanore.Error
---@field code athanore.ErrorCode
---@field message string
---@field retry_after? number

---An error for adapters to return: `return nil, athanore.error("not_found", "no card 7")`.
---@param code athanore.ErrorCode
---@param message string
---@param options? { retry_after?: number } Seconds until another try makes sense.
---@return athanore.Error
function athanore.error(code, message, options) end

---Waits; other tasks go on meanwhile. Not while the script is loaded, nor inside a sort
---comparator, a gsub callback, a metamethod or a coroutine of the script's own.
---@param seconds number
function athanore.sleep(seconds) end

---Records in the daemon's log.
athanore.log = {}

---@param message any
---@param fields? table<string, any> At most 32.
function athanore.log.debug(message, fields) end

---@param message any
---@param fields? table<string, any>
function athanore.log.info(message, fields) end

---@param message any
---@param fields? table<string, any>
function athanore.log.warn(message, fields) end

---@param message any
---@param fields? table<string, any>
function athanore.log.error(message, fields) end

---JSON with lists, integers and null kept. Keys are written in order.
---@class athanore.json
---@field null lightuserdata JSON's null; the same as cjson.null.
---@field empty_array lightuserdata Becomes [].
athanore.json = {}

---@param value any
---@return string? text
---@return string? error
function athanore.json.encode(value) end

---@param text string
---@return any value
---@return string? error
function athanore.json.decode(text) end

---Marks a table (a new one where it is absent) as a list: it is [] while it is empty.
---@generic T: table
---@param list? T
---@return T
function athanore.json.array(list) end

return athanore
