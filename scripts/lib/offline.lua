--- A job object without a host: a clock that stands until it is moved, a store in memory, a ledger
--- of effects with the states of core/work/effect.h, HTTP that a function answers. Rehearsals of
--- golden cases run a flow's own code in it (flows/rehearsal/), and so do tests of flows.
---
---     local world = offline.world{http = function(request) return {status = 200, ...} end}
---     local ended = world:play(flow, {event = {...}, settings = {...}})
---     -- ended.done, ended.held (causes), ended.waits ({name=, ms=}) or ended.error
---
--- The fakes go into neap.http, neap.store, neap.log and neap.time while `play` runs, and out
--- again: nothing else may run in that state meanwhile, so not in a host that serves.
local errors = require("neap.errors")
local json = require("neap.json")
local memory_store = require("lib.memory_store")

local offline = {}

local START_MS = 1777888980000 -- 2026-05-04T10:03:00Z

local http = require("neap.http")
local log = require("neap.log")
local store = require("neap.store")
local time = require("neap.time")

local STORE_NAMES = {"get", "put", "put_many", "delete", "range", "increment", "atomic",
    "sorter"}

local function copy(value)
    if value == nil then
        return nil
    end
    return json.decode(assert(json.encode(value)))
end

-- ---- the world -------------------------------------------------------------------------------

---@class offline.World
local World = {}
World.__index = World

--- A world; `http` answers requests: neap.http.Answer, or nil and an error.
---@param options {http: function, now_ms: integer|nil}
---@return offline.World
function offline.world(options)
    return setmetatable({
        http = options.http, now_ms = options.now_ms or START_MS, store = memory_store(),
        requests = {}, effects = {}, exceptions = {}, closed = {}, links = {}, facts = {},
        notes = {}, mail = {}, events = {}, trails = {}, accepted = {}, owners = {},
        kept = {}, answers = {},
    }, World)
end

local function send(world, request)
    world.requests[#world.requests + 1] = request
    return world.http(request)
end

local function with_fakes(world, fn)
    local kept = {request = http.request, all = http.all, now_ms = time.now_ms, store = {},
        log = {}}
    http.all = function(requests)
        local results = {}
        for i, request in ipairs(requests) do
            local answer, err = send(world, request)
            results[i] = {answer = answer, error = err}
        end
        return results
    end
    http.request = function(request)
        return send(world, request)
    end
    time.now_ms = function()
        return world.now_ms
    end
    for _, name in ipairs(STORE_NAMES) do
        kept.store[name] = store[name]
        store[name] = world.store[name]
    end
    for _, name in ipairs({"debug", "info", "warn", "error"}) do
        kept.log[name] = log[name]
        log[name] = function() end
    end
    local ok, result = pcall(fn)
    http.request, http.all, time.now_ms = kept.request, kept.all, kept.now_ms
    for _, name in ipairs(STORE_NAMES) do
        store[name] = kept.store[name]
    end
    for _, name in ipairs({"debug", "info", "warn", "error"}) do
        log[name] = kept.log[name]
    end
    return ok, result
end

-- ---- effects ---------------------------------------------------------------------------------

local function confirm(effect, result)
    effect.state, effect.result = "confirmed", copy(result)
    return copy(result)
end

-- Asks the far side; nil, err when the outcome stays open or nothing happened.
local function resolve(effect, spec, doubt)
    local answer, result, fingerprint = spec.lookup(spec.key)
    if not answer then
        return nil, result
    elseif answer == "found" then
        if spec.fingerprint and fingerprint and fingerprint ~= spec.fingerprint then
            error({held = {{cause = "fingerprint_mismatch", subject = spec.key,
                message = fingerprint .. " instead of " .. spec.fingerprint}}}, 0)
        end
        return confirm(effect, result)
    end
    if doubt and not doubt.retryable then
        effect.state = "refused"
        return nil, errors.new({kind = doubt.kind, message = doubt.message})
    end
    effect.state = "unsent"
    return nil, doubt or errors.new({kind = "network", message = "absent", retryable = true})
end

local function send_effect(world, effect, spec)
    local request = copy(effect.request)
    request.connection = spec.connection
    effect.sends = effect.sends + 1
    local answer, err = send(world, request)
    if not answer then
        effect.state = err.maybe_sent and "unknown" or "unsent"
        return nil, err
    end
    local result, problem = spec.read(answer)
    if result ~= nil then
        return confirm(effect, result)
    elseif not problem.maybe_sent then
        effect.state = "refused"
        return nil, problem
    end
    effect.state = "unknown"
    if spec.class == "lookup" then
        return resolve(effect, spec, problem)
    end
    return nil, problem
end

local function run_effect(world, spec)
    local id = table.concat({spec.connection, spec.name, spec.key}, " ")
    local effect = world.effects[id] or {state = "none", sends = 0}
    world.effects[id] = effect
    if effect.state == "confirmed" then
        return copy(effect.result)
    elseif effect.state == "unknown" and spec.class == "lookup" then
        local result, err = resolve(effect, spec)
        if result ~= nil or effect.state == "unknown" then
            return result, err
        end
    end
    if spec.unless_event and world.mail[spec.unless_event] then
        return nil, errors.new({kind = "cancelled", message = "an event came first"})
    end
    if effect.state == "none" or effect.state == "refused" then
        effect.request = copy(type(spec.request) == "function" and spec.request() or spec.request)
    end
    return send_effect(world, effect, spec)
end

-- ---- the job ---------------------------------------------------------------------------------

local Job = {}
Job.__index = Job

local function claim(job, name)
    assert(not job._names[name], "two of this run are named " .. name)
    job._names[name] = true
end

function Job:step(name, fn)
    claim(self, "step " .. name)
    local memo = self._chain.steps
    if memo[name] == nil then
        local value, err = fn()
        if value == nil and err ~= nil then
            return nil, err
        end
        memo[name] = {value = copy(value)}
    end
    return copy(memo[name].value)
end

function Job:effect(spec)
    claim(self, "effect " .. spec.name .. " " .. spec.key)
    return run_effect(self._world, spec)
end

function Job:sleep(name, ms)
    claim(self, "sleep " .. name)
    if not self._chain.slept[name] then
        self._chain.slept[name] = true
        error({waits = {name = name, ms = ms}}, 0)
    end
end

--- Raises a wait until an event of these names is in the mail.
function Job:await(spec)
    claim(self, "await " .. spec.name)
    for _, name in ipairs(spec.events) do
        if self._world.mail[name] then
            return self._world.mail[name]
        end
    end
    error({waits = {name = spec.name, ms = spec.until_ms and spec.until_ms - self._world.now_ms
        or math.maxinteger}}, 0)
end

function Job:hold(causes)
    error({held = copy(causes)}, 0)
end

-- As the host has it: nothing is shown while it is not known whether an effect happened.
function Job:overtaken(name)
    for _, effect in pairs(self._world.effects) do
        if effect.state == "unknown" then
            return nil
        end
    end
    return self._world.mail[name]
end

function Job:alias() end

function Job:link(system, id)
    self._world.links[system] = id
end

function Job:links()
    return self._world.links
end

function Job:facts(facts)
    for name, value in pairs(facts) do
        self._world.facts[name] = value
    end
end

function Job:note(kind, text)
    table.insert(self._world.notes, kind .. ": " .. text)
end

function Job:keep(name, document)
    self._world.kept[name] = copy(document)
end

function Job:trail(trail)
    table.insert(self._world.trails, trail)
end

function Job:answer(reply)
    table.insert(self._world.answers, reply)
    return true
end

function Job:emit(event)
    local id = event.source .. "\0" .. event.id
    if self._world.accepted[id] then
        return false
    end
    self._world.accepted[id] = true
    table.insert(self._world.events, copy(event))
    return true
end

function Job:open_exception(cause)
    local id = cause.cause .. " " .. cause.subject
    local open = copy(cause)
    open.opened_ms = (self._world.exceptions[id] or {}).opened_ms or self._world.now_ms
    self._world.exceptions[id] = open
end

local function shown(world, open)
    return {cause = open.cause, subject = open.subject, message = open.message or "",
        remedy = open.remedy or "", owner = open.owner or world.owners[open.cause] or "",
        waiting = open.waiting or 0, opened_ms = open.opened_ms or 0}
end

function Job:exceptions(cause)
    local list = {}
    for _, open in pairs(self._world.exceptions) do
        if cause == nil or open.cause == cause then
            list[#list + 1] = shown(self._world, open)
        end
    end
    return list
end

function Job:exception(cause, subject)
    local open = self._world.exceptions[cause .. " " .. subject]
    if not open then
        return nil
    end
    local full = shown(self._world, open)
    full.amount, full.deadline_ms, full.other_currency = open.amount, open.deadline_ms, 0
    return full
end

function Job:close_exception(cause, subject, note)
    local id = cause .. " " .. subject
    local was_open = self._world.exceptions[id] ~= nil
    self._world.exceptions[id] = nil
    if was_open then
        self._world.closed[id] = note
    end
    return was_open
end

-- ---- playing ---------------------------------------------------------------------------------

--- A chain of attempts of one job: steps and waits are remembered in it.
---@param spec {event: table, settings: table, key: string|nil, live_from_ms: integer|nil}
---@return table chain
function offline.chain(spec)
    return {spec = spec, steps = {}, slept = {}, attempt = 0}
end

local function new_job(world, chain)
    local spec = chain.spec
    local event = copy(spec.event)
    event.received_ms = event.received_ms or world.now_ms
    return setmetatable({
        id = "job", key = spec.key or event.key, flow = "flow", client = "test",
        attempt = chain.attempt, settings = spec.settings, event = event,
        live_from_ms = spec.live_from_ms or 0, _world = world, _chain = chain, _names = {},
    }, Job)
end

--- One run of a chain, to its end or next wait.
---@param flow table
---@param chain table
---@return table ended {done = true} | {held =} | {waits =} | {error =}
function World:attempt(flow, chain)
    chain.attempt = chain.attempt + 1
    local job = new_job(self, chain)
    local ok, raised = with_fakes(self, function()
        flow.run(job)
    end)
    if ok then
        return {done = true}
    elseif type(raised) == "table" and (raised.held or raised.waits) then
        return raised
    end
    return {error = raised}
end

--- Runs until the job is done, held or raises; waits are noted and passed.
---@param flow table
---@param spec table as for chain
---@return table ended
---@return {name: string, ms: integer}[] waits
function World:play(flow, spec)
    local chain, waits = offline.chain(spec), {}
    for _ = 1, 50 do
        local ended = self:attempt(flow, chain)
        if not ended.waits then
            return ended, waits
        end
        waits[#waits + 1] = ended.waits
        self.now_ms = self.now_ms + ended.waits.ms
    end
    error("the job never ends")
end

--- Calls a route's handler, as the server would.
---@param flow table
---@param name string of the route
---@param request table {body=}
---@param settings table
---@return neap.Reply
function World:call(flow, name, request, settings)
    for _, trigger in ipairs(flow.triggers) do
        if trigger.kind == "route" and trigger.name == name then
            local ok, reply = with_fakes(self, function()
                return trigger.handle({client = "test", flow = "flow", settings = settings,
                    live_from_ms = self.live_from_ms or 0}, request)
            end)
            return ok and reply or error(reply, 0)
        end
    end
    error("no route " .. name)
end

--- Runs a function with the fakes in place: for connectors.
---@param fn function
---@return any
function World:with(fn)
    local result
    local ok, raised = with_fakes(self, function()
        result = table.pack(fn())
    end)
    if not ok then
        error(raised, 0)
    end
    return table.unpack(result, 1, result.n)
end

--- The requests that were sent to a connection, or whose body holds a text.
---@param text string
---@return table[]
function World:sent(text)
    local list = {}
    for _, request in ipairs(self.requests) do
        local all = string.format("%s %s %s", request.connection, request.path,
            request.body or "")
        if all:find(text, 1, true) then
            list[#list + 1] = request
        end
    end
    return list
end

return offline
