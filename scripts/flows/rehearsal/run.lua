--- Runs a flow's own code for a golden case: in memory, against far sides that a rehearsal stands
--- in for. What would reach further fails the case.
local json = require("neap.json")
local khaos_line = require("flows.khaos_line")
local offline = require("lib.offline")
local time = require("neap.time")

local run = {}

local LIVE_DAYS_MS = 100 * 24 * 3600000 -- live for so long: nothing is the predecessor's any more
local MAX_EVENTS = 100

--- Field `at` of a case.
run.AT = {type = "string", default = "2026-05-04T10:03:00Z", help = "when it happens",
    check = function(value)
        return not time.parse_iso(value)
            and "an instant expected, \"2026-05-04T10:03:00Z\"" or nil
    end}

--- Field `live_from` of a case.
run.LIVE_FROM = {type = "string", help = "since when the client is live; default: 100 days",
    check = run.AT.check}

---@class rehearsal.Run
---@field world offline.World
---@field flow table
---@field settings table
---@field held string[]
---@field live_from_ms integer
local Run = {}
Run.__index = Run

--- `answer` stands in for the far sides: nil for what it does not know.
---@param flow table
---@param settings table
---@param case table
---@param answer fun(request: table): table|nil
---@return rehearsal.Run
function run.new(flow, settings, case, answer)
    local now_ms = assert(time.parse_iso(case.at or run.AT.default))
    local world = offline.world({now_ms = now_ms, http = function(request)
        return answer(request) or error(string.format("a rehearsal has no answer to %s %s of %s",
            request.method or "POST", request.path, request.connection), 0)
    end})
    world.live_from_ms = case.live_from and time.parse_iso(case.live_from)
        or now_ms - LIVE_DAYS_MS
    return setmetatable({world = world, flow = flow, settings = settings, held = {}, seen = 0,
        live_from_ms = world.live_from_ms}, Run)
end

-- Each once: a cause that is told may hold a job too.
local function add_held(held, list)
    local known = {}
    for _, words in ipairs(held) do
        known[words] = true
    end
    for _, cause in pairs(list) do
        local words = string.format("%s:%s", cause.cause, cause.subject or "")
        held[#held + 1] = not known[words] and words or nil
        known[words] = true
    end
end

--- One event, and what it makes this flow do by itself.
---@param event table
function Run:play(event)
    self:play_one(event)
    self:play_events()
end

--- One event alone.
---@param event table
function Run:play_one(event)
    event.source, event.id = event.source or "case", event.id or event.name
    event.key = event.key or event.name
    event.payload = type(event.payload) == "string" and event.payload
        or assert(json.encode(event.payload or {}))
    self:end_of(self.world:play(self.flow, {event = event, settings = self.settings,
        live_from_ms = self.live_from_ms}))
end

--- A part of a flow that is no event of it; its settings are the flow's, unless others are given.
---@param fn fun(job: neap.Job)
---@param settings table|nil
function Run:play_as(fn, settings)
    self:end_of(self.world:play({run = fn}, {settings = settings or self.settings,
        live_from_ms = self.live_from_ms, event = {name = "case", source = "case", key = "case",
            id = "case", payload = "{}"}}))
end

function Run:end_of(ended)
    if ended.error then
        error(ended.error, 0)
    end
    add_held(self.held, ended.held or {})
end

--- The events that were made since, as far as they are this flow's.
function Run:play_events()
    while self.seen < #self.world.events do
        self.seen = self.seen + 1
        assert(self.seen <= MAX_EVENTS, "the rehearsal never ends")
        local event = self.world.events[self.seen]
        if (event.flow or self.flow.name) == self.flow.name then
            self:play(event)
        end
    end
end

--- What came of it, as golden cases expect it.
---@param told table[]
---@return {told: table[], held: string[], line: string}
function Run:result(told)
    add_held(self.held, self.world.exceptions)
    table.sort(self.held)
    return {told = told, held = self.held, line = khaos_line.kind(self.settings.khaos)}
end

return run
