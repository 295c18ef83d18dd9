---@meta job
error("this file describes the job object to editors; a flow's run(job) receives it")

--- The work one event causes in one flow. `run(job)` is written straight down; it may be run again from
--- the top at any time (crash, retry, durable wait, reload), so everything with an effect goes through
--- step or effect, and between them the code is a function of event, settings and step results.
--- Every durable wait (sleep, await, hold, retry) ends the coroutine; the wake runs `run` again.
---@class neap.Job
---@field id string
---@field key string "order:204417": jobs of one key run one at a time
---@field flow string
---@field client string
---@field attempt integer 1 at first
---@field settings table the flow's settings from the manifest, checked against its schema
---@field event neap.Event
---@field live_from_ms integer nothing older than this may be posted
local job = {}

---@class neap.Event
---@field name string
---@field source string
---@field id string
---@field payload string as received, or canonical JSON when a table was given
---@field received_ms integer UTC
---@field at_ms integer|nil business time, when known

---@class neap.NewEvent
---@field source string with id: accepted once, for ever
---@field id string
---@field key string|nil default "<source>:<id>"; aliases are resolved
---@field name string
---@field payload string|table|nil
---@field flow string|nil default: the flow that says it
---@field class "queued"|"overtaking"|nil overtaking reaches the key's job at once, or stays as a tombstone
---@field idle "job"|"keep"|nil overtaking with no open job on the key: start one, or (default) keep only
---@field about string|nil the key (or an alias) of an order whose business this is too: `neap order` shows the
---   jobs of this key with it, `neap erase` erases them with it
---@field aliases string[]|nil other names of the key, from now on; one that another key has already stays with that key, and opens the exception "alias_conflict"
---@field at_ms integer|nil older than live_from: recorded, nothing is done

---@class neap.Cause
---@field cause string "unknown_stock_code"; the kind, owners are named per kind in the manifest
---@field subject string|nil "TS-RED-L": cause and subject together are one exception
---@field message string business words: "Stock code TS-RED-L does not exist in Khaos"
---@field remedy string|nil what a person does about it
---@field recheck "proof"|"reload"|"manual"|nil proof: some flow closes it when its check passes
---   (close_exception); reload: a new generation runs the waiting jobs again; default manual

--- Runs fn once per attempt chain and remembers its result (as JSON; what is returned is what was
--- remembered). An error (nil, err) is returned and not remembered. Names are unique within a run.
---@async
---@param name string
---@param fn fun(): any, neap.Error|nil
---@return any
---@return neap.Error|nil
--- Example: `local order = errors.check(job:step("fetch", function() return scayle.get_order(id) end))`
function job:step(name, fn) end

---@class neap.EffectSpec
---@field connection string
---@field name string "import_order"
---@field key string business key; (connection, name, key) is done once, for ever
---@field class "dedupes"|"lookup"|"once"
---@field request neap.http.Request|fun(): neap.http.Request without `connection`; called only when a new intent is written
---@field fingerprint string|nil compared with what lookup finds, which must then give one, and with what
---   another job did under this key; a difference holds the job
---@field read fun(answer: neap.http.Answer): any, neap.Error|nil result, or an error: with maybe_sent the
---   outcome is unknown (look up before anything else), without it was refused and nothing happened
---@field lookup (fun(key: string): "found"|"absent"|nil, any, string|nil)|nil "found", result, fingerprint;
---   "absent"; or nil, err. Required for class lookup. May wait
---@field unless_event string|nil an overtaking event of this name stops the intent: nil, err (kind cancelled)

--- Changes the outside world once: intent, send, look up when in doubt, confirm; remembered for ever.
--- Returns the result (now or of long ago) or nil, err. A retryable err is meant to be raised
--- (errors.check): the job is then retried by policy and the effect goes on where it was.
---@async
---@param spec neap.EffectSpec
---@return any
---@return neap.Error|nil
--- Example: `local posted = errors.check(job:effect{connection = "khaos", name = "import_order", ...})`
function job:effect(spec) end

--- Waits durably. Remembered: a run that passes here again does not wait again.
---@async
---@param name string unique within a run
---@param ms integer
--- Example: `job:sleep("let it settle", 5000)`
function job:sleep(name, ms) end

--- Waits durably for an overtaking event of this key.
---@async
---@param spec {name: string, events: string[], until_ms: integer|nil}
---@return neap.Event|nil event nil when until_ms passed
--- Example: `local push = job:await{name = "received", events = {"status"}, until_ms = deadline}`
function job:await(spec) end

--- Holds the job on all these causes; it runs again, from fresh steps, when the last one closes.
--- Does not return.
---@async
---@param causes neap.Cause[]
--- Example: `if #causes > 0 then job:hold(causes) end`
function job:hold(causes) end

--- The newest overtaking event of this name on the job's key, or nil. Does not consume it. Nil as well
--- while it is not known whether an effect of the key happened: drive the effect to its end first.
---@param name string
---@return neap.Event|nil
--- Example: `if job:overtaken("cancellation") then return end`
function job:overtaken(name) end

--- Another name by which later events may address this key.
---@param name string
--- Example: `job:alias("reference:" .. order_reference_key)`
function job:alias(name) end

--- Remembers the identity of this key in another system, and reads it.
---@param system string "khaos_order"
---@param id string
--- Example: `job:link("khaos_order", "SO204417")`
function job:link(system, id) end

---@return table<string, string>
--- Example: `local so = job:links().khaos_order`
function job:links() end

---@class neap.Facts
---@field title string|nil "SCAYLE order 204417"
---@field amount {minor: integer, currency: string}|nil
---@field deadlines {name: string, at_ms: integer}[]|nil shown, earliest first; holds are released by the earliest
---@field state string|nil short business state: "posted as SO204417"

--- Facts of the key that exceptions and `neap order` show; given fields replace earlier ones.
---@param facts neap.Facts
--- Example: `job:facts{title = "SCAYLE order 204417", amount = {minor = 16492, currency = "GBP"}}`
function job:facts(facts) end

--- One line on the timeline of the key. Personal data does not belong here.
---@param kind string
---@param text string
---@param data table|nil
--- Example: `job:note("map", "3 units became 2 lines")`
function job:note(kind, text, data) end

--- The penny trail of the key: how each figure came to be. Replaces the earlier one.
---@param trail {lines: string[], data: table|nil}
--- Example: `job:trail{lines = {"line 1: 2 x 14.99 = 29.98 gross"}}`
function job:trail(trail) end

--- Keeps a document that went into a decision, so that `neap replay` can make it again. The job's
--- earlier one of this name is replaced. Personal data may be in it: it goes with retention
--- (`payload_days`) and erasure.
---@param name string
---@param document table
--- Example: `job:keep("mapping", {order = order, posting = posting})`
function job:keep(name, document) end

--- Accepts an event from inside; durable with this slice.
---@param event neap.NewEvent
---@return boolean is_new false when it was accepted before
--- Example: `job:emit{source = "sweep", id = "204417", key = "order:204417", name = "order.found"}`
function job:emit(event) end

--- Gives the answer of the request that brought the event (route with answer_within_ms); false when it
--- was answered already.
---@param reply neap.Reply
---@return boolean
--- Example: `job:answer{status = 201, body = body}`
function job:answer(reply) end

--- Opens an exception that no job waits for.
---@param cause neap.Cause
--- Example: `job:open_exception{cause = "drift", subject = "TS-RED-L", message = "..."}`
function job:open_exception(cause) end

---@class neap.Exception
---@field cause string
---@field subject string
---@field message string the newest words
---@field remedy string
---@field owner string of the manifest's `owners` when its words were last renewed
---@field waiting integer jobs
---@field opened_ms integer

--- Open exceptions, of one cause or (nil) of all, by cause and subject.
---@param cause string|nil
---@return neap.Exception[]
--- Example: `for _, e in ipairs(job:exceptions("unknown_stock_code")) do ... end`
function job:exceptions(cause) end

--- One open exception with what is at stake: the money (of the first currency; how many jobs have
--- another one is `other_currency`) and the earliest deadline of the jobs that wait. Nil when it is
--- not open. Reads the facts of every job that waits.
---@param cause string
---@param subject string
---@return neap.Exception|{amount: {minor: integer, currency: string}|nil, other_currency: integer, deadline_ms: integer|nil}|nil
--- Example: `local e = job:exception("unknown_stock_code", "TS-RED-L")`
function job:exception(cause, subject) end

--- Closes by proof; what waited runs again, by deadline then arrival. False when none was open.
---@param cause string
---@param subject string
---@param note string what proved it
---@return boolean
--- Example: `job:close_exception("unknown_stock_code", "TS-RED-L", "Khaos knows it now")`
function job:close_exception(cause, subject, note) end

return job
