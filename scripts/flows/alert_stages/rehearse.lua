--- Who would be told of problems, how and when: for golden cases (scripts/lib/golden.lua).
---
---     return {
---         flow = "alerts", name = "problem of the night",
---         at = "2026-05-04T21:30:00Z",
---         problems = {{cause = "unmapped_tax", subject = "uk 0.125"}},
---         expect = {told = {{kind = "first", how = "mail", to = "integration@acme.example",
---             at = "2026-05-05T07:00:00+01:00"}}},
---     }
local run = require("flows.rehearsal.run")
local time = require("neap.time")

local MINUTE_MS = 60000
local MINUTES_OF_HOUR = 60
local MAX_HOURS = 7 * 24

local TEXT = {type = "string", required = true, min_length = 1}

local function instant(help)
    return {type = "string", check = run.AT.check, help = help}
end

local PROBLEM = {type = "record", fields = {
    cause = TEXT, subject = TEXT,
    message = {type = "string", help = "default: the cause and the subject"},
    owner = {type = "string", help = "default: the manifest's owner of the cause"},
    waiting = {type = "integer", min = 0, default = 1, help = "jobs that wait for it"},
    deadline = instant("the first of what waits"),
    opens_at = instant("default: when the case begins"),
    closes_at = instant("default: it stays open"),
}}

local rehearse = {}

rehearse.CASES = {at = run.AT,
    problems = {type = "list", required = true, min = 1, items = PROBLEM},
    hours = {type = "integer", min = 1, max = MAX_HOURS, default = 24},
    digests = {type = "list", items = run.AT, default = {}}}

local function ms_of(text)
    return text and assert(time.parse_iso(text))
end

local function owner_of(problem, owners)
    return problem.owner or owners[problem.cause] or owners.default or ""
end

-- Opens and closes what is due by now.
local function turn(world, case, owners)
    for _, problem in ipairs(case.problems) do
        local id = problem.cause .. " " .. problem.subject
        local opens_ms = ms_of(problem.opens_at or case.at)
        local closes_ms = ms_of(problem.closes_at) or math.maxinteger
        local is_open = world.now_ms >= opens_ms and world.now_ms < closes_ms
        world.exceptions[id] = is_open and {cause = problem.cause, subject = problem.subject,
            message = problem.message or problem.cause .. ": " .. problem.subject,
            owner = owner_of(problem, owners), waiting = problem.waiting, opened_ms = opens_ms,
            deadline_ms = ms_of(problem.deadline)} or nil
    end
end

local function told_of(settings, alert)
    return {kind = alert.kind, owner = alert.owner, to = alert.to, text = alert.text,
        channel = alert.channel,
        how = settings.channels[alert.channel].kind, subject = alert.subject:gsub("^%[.-%] ", ""),
        at = time.format_iso(alert.at_ms, {zone = settings.zone})}
end

local function take(rehearsal, from, told)
    for i = from, #rehearsal.world.events do
        local event = rehearsal.world.events[i]
        told[#told + 1] = event.name == "alert.deliver"
            and told_of(rehearsal.settings, event.payload) or nil
    end
end

local function tick(rehearsal, name, told)
    local before = #rehearsal.world.events
    rehearsal:play_one({name = name, id = name .. rehearsal.world.now_ms})
    take(rehearsal, before + 1, told)
end

--- Of the flow; its rehearse(settings, case, client).
---@param flow table
---@return fun(settings: table, case: table, client: neap.FlowSurroundings|nil): table
function rehearse.of(flow)
    return function(settings, case, client)
        local rehearsal, told, digests = run.new(flow, settings, case, function() end), {}, {}
        local world, owners = rehearsal.world, client and client.owners or {}
        for _, text in ipairs(case.digests) do
            digests[ms_of(text) // MINUTE_MS] = true
        end
        for _ = 0, case.hours * MINUTES_OF_HOUR do
            turn(world, case, owners)
            tick(rehearsal, digests[world.now_ms // MINUTE_MS] and "schedule.digest"
                or "schedule.watch", told)
            world.now_ms = world.now_ms + MINUTE_MS
        end
        for _, problem in ipairs(case.problems) do
            world.exceptions[problem.cause .. " " .. problem.subject] = nil
        end
        return rehearsal:result(told)
    end
end

return rehearse
