--- What each owner is told now and then: what is new, what is still open, what was closed.
local outbox = require("flows.alert_stages.outbox")
local store = require("neap.store")
local tables = require("flows.alert_stages.tables")
local time = require("neap.time")
local watch = require("flows.alert_stages.watch")
local words = require("flows.alert_stages.words")

local digest = {}

-- Of one digest: what is at stake is read from every job that waits.
local STAKES_MAX = 60
-- A comparison in Lua cannot be interrupted.
local SORTED_MAX = 500

local function list_for(lists, owner)
    lists[owner] = lists[owner] or {owner = owner, new = {}, open = {}, closed = {}}
    return lists[owner]
end

-- Few are sorted, so that the oldest come first; many stay in the order of causes and subjects.
local function by_age(list)
    if #list > SORTED_MAX then
        return
    end
    table.sort(list, function(a, b)
        if a.opened_ms ~= b.opened_ms then
            return a.opened_ms < b.opened_ms
        end
        return a.cause .. "\n" .. a.subject < b.cause .. "\n" .. b.subject
    end)
end

local function sort_out(job, known, open)
    local lists = {}
    local stakes = 0
    for _, e in ipairs(open) do
        local record = known[watch.id(e)]
        local owner = e.owner ~= "" and e.owner or job.settings.nobody
        if stakes < STAKES_MAX then
            stakes = stakes + 1
            e = job:exception(e.cause, e.subject) or e
        end
        local is_new = not record or record.state == "new" or record.state == "digest"
        table.insert(list_for(lists, owner)[is_new and "new" or "open"], e)
    end
    for _, record in pairs(known) do
        if record.state == "closed" then
            local owner = record.owner ~= "" and record.owner or job.settings.nobody
            table.insert(list_for(lists, owner).closed, record)
        end
    end
    return lists
end

local function show_closed(record)
    return {"  " .. words.line(record.message)}
end

local function compose(job, list, now_ms)
    local lines = {}
    by_age(list.new)
    by_age(list.open)
    by_age(list.closed)
    words.section(lines, "New:", list.new, now_ms)
    words.section(lines, "Still open:", list.open, now_ms)
    words.section(lines, "Closed:", list.closed, now_ms, show_closed, "")
    return words.finish(lines, list.owner, job.client, now_ms, job.settings.zone)
end

local function send(job, list, now_ms)
    local all = #list.new + #list.open
    outbox.send(job, {
        id = string.format("digest %s %s", list.owner, job.event.id), kind = "digest",
        owner = list.owner, at_ms = now_ms,
        subject = string.format("[%s] %s open, %d new, %d closed", job.client,
            words.count(all, "problem"), #list.new, #list.closed),
        text = compose(job, list, now_ms),
        data = {open = all, new = #list.new, closed = #list.closed},
    })
end

-- Told now; what is closed is forgotten.
local function settle(known, now_ms)
    for id, record in pairs(known) do
        if record.state == "closed" then
            store.delete(tables.KNOWN, id)
        elseif record.state == "digest" or record.state == "new" then
            record.state, record.told_ms = "told", now_ms
            store.put(tables.KNOWN, id, record)
        end
    end
end

---@param job neap.Job
function digest.run(job)
    watch.run(job)
    local now_ms = time.now_ms()
    local known = watch.known()
    for _, list in pairs(sort_out(job, known, job:exceptions())) do
        if #list.new + #list.closed > 0 or job.settings.remind then
            send(job, list, now_ms)
        end
    end
    settle(known, now_ms)
end

return digest
