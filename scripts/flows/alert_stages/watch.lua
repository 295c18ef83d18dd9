--- Looks at the open exceptions and decides who is told at once, and what waits for a digest.
---
--- Every exception is known by one record:
---
---     new -> told       the first of its kind: its owner is told at once (or after quiet hours)
---     new -> digest     others of that kind within the window: told by the next digest
---     told, digest -> closed     said in the next digest, then forgotten
---
--- A record is written in the slice that accepts its alert, so a crash neither loses nor doubles
--- one.
local crypto = require("neap.crypto")
local heartbeat = require("flows.alert_stages.heartbeat")
local outbox = require("flows.alert_stages.outbox")
local quiet = require("flows.alert_stages.quiet")
local store = require("neap.store")
local tables = require("flows.alert_stages.tables")
local time = require("neap.time")
local words = require("flows.alert_stages.words")

local watch = {}

local PAGE = 1000
-- Alerts about alerts wait for a digest: telling at once what cannot be told makes a circle.
local OWN_KEY = "^alert:"
local STAKE_MS = 15 * 60000 -- so long a deadline that was read is believed, while as many wait

function watch.id(e)
    return crypto.sha256(e.cause .. "\n" .. e.subject):sub(1, 40)
end

--- Everything known, by id.
---@return table<string, table>
function watch.known()
    local known, after = {}, nil
    repeat
        local page = store.range(tables.KNOWN, {after = after, limit = PAGE})
        for _, entry in ipairs(page) do
            known[entry.key] = entry.value
            after = entry.key
        end
    until #page < PAGE
    return known
end

-- The ids of what is open, in the order of causes and subjects.
local function note_opened(known, open)
    local ids = {}
    for i, e in ipairs(open) do
        local id = watch.id(e)
        local record = known[id]
        if not record or record.opened_ms ~= e.opened_ms then
            -- Opened again before its end was told: one line in the digest, not two.
            record = {cause = e.cause, subject = e.subject, opened_ms = e.opened_ms,
                owner = e.owner, state = "new", level = 0, message = e.message}
            known[id] = record
            store.put(tables.KNOWN, id, record)
        end
        record.e = e
        ids[i] = id
    end
    return ids
end

local function note_closed(known, now_ms)
    for id, record in pairs(known) do
        if not record.e and record.state ~= "closed" then
            record.state, record.closed_ms = "closed", now_ms
            store.put(tables.KNOWN, id, record)
        end
    end
end

local function keep(id, record)
    local e = record.e
    record.e = nil
    store.put(tables.KNOWN, id, record)
    record.e = e
end

-- cause -> ids that fit, the oldest first. No sort: a comparison in Lua cannot be interrupted, and
-- there may be very many.
local function by_cause(known, open_ids, fits)
    local causes = {}
    for _, id in ipairs(open_ids) do
        local record = known[id]
        if fits(record) then
            local ids = causes[record.cause] or {}
            causes[record.cause] = ids
            ids[#ids + 1] = id
            if record.opened_ms < known[ids[1]].opened_ms then
                ids[1], ids[#ids] = id, ids[1]
            end
        end
    end
    return causes
end

local function is_within_window(settings, what, cause, now_ms)
    local kind = store.get(tables.KINDS, what .. " " .. cause)
    return kind ~= nil and now_ms - kind.told_ms < settings.window_ms
end

local function full(job, e)
    return job:exception(e.cause, e.subject) or e
end

-- The first deadline of what waits. It is read from every job that does, so it is kept for a while.
local function deadline_of(job, id, record, now_ms)
    local stake = record.stake
    if not stake or stake.waiting ~= record.e.waiting or now_ms - stake.read_ms > STAKE_MS then
        record.stake = {waiting = record.e.waiting, read_ms = now_ms,
            deadline_ms = full(job, record.e).deadline_ms}
        keep(id, record)
    end
    return record.stake.deadline_ms
end

-- Quiet hours hold back a kind of which all can wait for their end. What cannot comes first.
local function must_wait(job, known, cause, ids, now_ms)
    local setting = job.settings.quiet
    if not setting or not quiet.is_quiet(setting, now_ms) or quiet.is_exempt(setting, cause) then
        return false
    end
    local first, first_ms = nil, quiet.end_ms(setting, now_ms)
    for i, id in ipairs(ids) do
        local deadline_ms = deadline_of(job, id, known[id], now_ms)
        if deadline_ms and deadline_ms <= first_ms then
            first, first_ms = i, deadline_ms
        end
    end
    if first then
        ids[1], ids[first] = ids[first], ids[1]
    end
    return first == nil
end

-- The message of one kind: the first in full, the others by name.
local function compose(job, list, owner, heading, now_ms)
    local lines = {heading, ""}
    words.section(lines, "", {full(job, list[1])}, now_ms)
    table.remove(lines, 3)
    if #list > 1 then
        local others = {}
        for i = 2, #list do
            others[i - 1] = list[i]
        end
        words.section(lines, string.format("%d more of this kind:", #others), others, now_ms,
            function(e)
                return {"  " .. words.line(e.message)}
            end)
    end
    return words.finish(lines, owner, job.client, now_ms, job.settings.zone)
end

local function data_of(list)
    local data = {cause = list[1].cause, problems = {}}
    for i, e in ipairs(list) do
        if i > 20 then
            data.more = #list - 20
            break
        end
        data.problems[i] = {subject = e.subject, message = e.message, waiting = e.waiting,
            opened_ms = e.opened_ms}
    end
    return data
end

local function tell_kind(job, known, ids, now_ms)
    local list = {}
    for i, id in ipairs(ids) do
        list[i] = known[id].e
    end
    local first = list[1]
    local owner = first.owner ~= "" and first.owner or job.settings.nobody
    outbox.send(job, {
        id = string.format("first %s %d", ids[1], first.opened_ms), kind = "first",
        owner = owner, at_ms = now_ms, data = data_of(list),
        subject = string.format("[%s] %s", job.client, first.message),
        text = compose(job, list, owner, "A new problem needs you.", now_ms),
    })
    for _, id in ipairs(ids) do
        known[id].state, known[id].told_ms = "told", now_ms
        keep(id, known[id])
    end
    store.put(tables.KINDS, "first " .. first.cause, {told_ms = now_ms})
end

local function leave_to_digest(known, ids)
    for _, id in ipairs(ids) do
        known[id].state = "digest"
        keep(id, known[id])
    end
end

local function tell_new(job, known, open_ids, now_ms)
    local own = by_cause(known, open_ids, function(record)
        return record.state == "new" and record.subject:find(OWN_KEY) ~= nil
    end)
    for _, ids in pairs(own) do
        leave_to_digest(known, ids)
    end
    local causes = by_cause(known, open_ids, function(record)
        return record.state == "new"
    end)
    for cause, ids in pairs(causes) do
        if is_within_window(job.settings, "first", cause, now_ms) then
            leave_to_digest(known, ids)
        elseif not must_wait(job, known, cause, ids, now_ms) then
            tell_kind(job, known, ids, now_ms)
        end
    end
end

local function concerns(level, cause)
    for _, name in ipairs(level.causes or {cause}) do
        if name == cause then
            return true
        end
    end
    return false
end

local function escalate_kind(job, known, ids, at, now_ms)
    local level = job.settings.escalation[at]
    local list = {}
    for i, id in ipairs(ids) do
        list[i] = known[id].e
    end
    local first = list[1]
    local heading = string.format("Open for longer than %s, and %s.", words.span(level.after_ms),
        first.owner ~= "" and first.owner .. " has not solved it" or "nobody owns it")
    outbox.send(job, {
        id = string.format("escalation %d %s %d", at, ids[1], first.opened_ms),
        kind = "escalation", owner = level.owner, at_ms = now_ms, data = data_of(list),
        subject = string.format("[%s] still open: %s", job.client, first.message),
        text = compose(job, list, level.owner, heading, now_ms),
    })
    for _, id in ipairs(ids) do
        known[id].level = at
        keep(id, known[id])
    end
    store.put(tables.KINDS, string.format("level%d %s", at, first.cause), {told_ms = now_ms})
end

local function escalate(job, known, open_ids, now_ms)
    for at, level in ipairs(job.settings.escalation) do
        local causes = by_cause(known, open_ids, function(record)
            return record.level < at and now_ms - record.opened_ms >= level.after_ms
                and concerns(level, record.cause) and not record.subject:find(OWN_KEY)
        end)
        for cause, ids in pairs(causes) do
            if not is_within_window(job.settings, "level" .. at, cause, now_ms)
                and not must_wait(job, known, cause, ids, now_ms) then
                escalate_kind(job, known, ids, at, now_ms)
            end
        end
    end
end

---@param job neap.Job
function watch.run(job)
    local now_ms = time.now_ms()
    heartbeat.check(job, now_ms)
    local known = watch.known()
    local open_ids = note_opened(known, job:exceptions())
    note_closed(known, now_ms)
    tell_new(job, known, open_ids, now_ms)
    escalate(job, known, open_ids, now_ms)
end

return watch
