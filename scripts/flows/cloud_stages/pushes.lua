--- What Khaos Control Cloud pushes. A route keeps the bytes as they came, in the slice that answers
--- 200; a job takes them, in parts, in the order in which they arrived: nothing else waits for a
--- large push, and no older snapshot overtakes a newer one. Levels and items are one queue, because
--- a level may stand under the code that an item before it has got.
---
--- What of a push cannot be read is left out, and a person told which records: Khaos does not send
--- it again. A repeat changes nothing.
local json = require("neap.json")
local presence = require("flows.cloud_stages.presence")
local push_queue = require("flows.cloud_stages.push_queue")
local store = require("neap.store")
local time = require("neap.time")
local xml = require("neap.xml")

local pushes = {}

--- A route takes so many bytes; of what is larger, up to the second figure, a person is told. In
--- XML a push takes many times its size of memory, and the one before it may not be collected yet:
--- two of 16 MiB did not fit into a client's 256 MB.
pushes.MAX_BYTES = 8 * 1024 * 1024
pushes.MAX_HEARD_BYTES = 4 * pushes.MAX_BYTES

pushes.UNREADABLE = "push_unreadable" -- cause; the subject is the route's name

local TOO_LARGE = "push_too_large" -- cause, and event; the subject is the same

local SEQUENCES = "cloud_sequences"
local PART = 100 -- entries between two memos
local RUN = 20000 -- entries of one run of the job, which has a minute of script
local SHOWN = 5 -- records that an exception names
local NAME_MAX = 200 -- characters of each
local KEY = "khaos_cloud:pushed " -- and the queue
local ORDERS, STOCK = "orders", "stock"

-- By the route's name: how it is read and taken, and the queue in which it waits.
local KINDS = {
    order_status = {how = require("flows.cloud_stages.push_orders"), queue = ORDERS,
        remedy = "See in Khaos how these orders stand, and have Khaos send their status again."},
    stock_status = {how = require("flows.cloud_stages.push_levels"), queue = STOCK,
        remedy = "Correct what is wrong in Khaos and have it upload all stock levels again. Codes "
            .. "that are named here show none until it does; where none is named, orders are "
            .. "subtracted longer. Close this when the upload has come."},
    stock = {how = require("flows.cloud_stages.push_items"), queue = STOCK,
        remedy = "Correct these items in Khaos and have it upload them again."},
    price_lists = {how = require("flows.cloud_stages.push_prices"), queue = STOCK,
        remedy = "Correct these prices in Khaos and have it upload them again."},
}

local EVENT = "push."
local LEVELS = "stock_status"

local function too_large(name, size)
    return {status = 413, headers = {["Content-Type"] = "text/plain"},
        body = "larger than this route takes\n",
        events = {{source = "khaos_cloud.push", name = TOO_LARGE, key = "khaos_cloud:" .. TOO_LARGE,
            id = tostring(store.increment(SEQUENCES, "pushes")),
            payload = {route = name, size = size}}}}
end

--- The handler of a route that takes pushes.
---@param name string of the route
---@return fun(ctx: neap.Context, request: neap.ServerRequest): neap.Reply
function pushes.route(name)
    return function(ctx, request)
        presence.heard(name, ctx.settings.khaos.push_age_ms)
        if #request.body > pushes.MAX_BYTES then
            return too_large(name, #request.body)
        end
        local number, queue = store.increment(SEQUENCES, "pushes"), KINDS[name].queue
        push_queue.keep(queue, number, name)
        return {status = 200, headers = {["Content-Type"] = "text/plain"}, body = "accepted\n",
            events = {{source = "khaos_cloud.push", name = EVENT .. name, key = KEY .. queue,
                id = tostring(number), payload = request.body}}}
    end
end

---@param event neap.Event
---@return boolean
function pushes.is_push(event)
    return event.name == TOO_LARGE
        or event.name:sub(1, #EVENT) == EVENT and KINDS[event.name:sub(#EVENT + 1)] ~= nil
end

-- Words about a record, which may hold anything.
local function name_of(odd)
    odd = xml.clean(odd):gsub("%c", " ")
    return #odd <= NAME_MAX and odd or odd:sub(1, utf8.offset(odd, 0, NAME_MAX) - 1) .. "..."
end

-- What cannot be read, and how many of these say nothing that could be taken.
local function new_finding()
    return {count = 0, lost = 0, names = {}}
end

local function add_odd(found, odd, is_lost)
    found.count = found.count + 1
    found.lost = found.lost + (is_lost and 1 or 0)
    if #found.names < SHOWN then
        found.names[#found.names + 1] = name_of(odd)
    end
end

local function take_part(job, how, entries, first)
    local found = new_finding()
    for i = first, math.min(first + PART - 1, #entries) do
        local entry = entries[i]
        if entry.odd then
            add_odd(found, entry.odd, entry.is_lost)
        end
        if not entry.is_lost then
            -- One bad record of many must not keep the others from being taken.
            local ok, problem = pcall(store.atomic, function()
                how.take(job, entry)
            end)
            if not ok then
                add_odd(found, string.format("entry %d: %s", i, tostring(problem)), true)
            end
        end
    end
    return found
end

local function take_all(job, how, entries)
    local all = new_finding()
    for first = 1, #entries, PART do
        if first > RUN and (first - 1) % RUN == 0 then
            job:sleep("before " .. first, 1)
        end
        local found = job:step("from " .. first, function()
            return take_part(job, how, entries, first)
        end)
        all.count, all.lost = all.count + found.count, all.lost + found.lost
        for _, name in ipairs(found.names) do
            all.names[#all.names + 1] = #all.names < SHOWN and name or nil
        end
    end
    return all
end

local function tell(job, name, kind, found, entries)
    local more = found.count - #found.names
    job:open_exception({cause = pushes.UNREADABLE, subject = name, recheck = "manual",
        message = string.format("Khaos pushed at %s what cannot be read: %s%s%s",
            time.format_iso(job.event.received_ms), table.concat(found.names, "; "),
            more > 0 and string.format("; and %d more", more) or "",
            entries and string.format(" (of %d records; the others were taken)", #entries) or ""),
        remedy = kind.remedy})
end

local function tell_too_large(job)
    local said = assert(json.decode(job.event.payload))
    local is_levels = said.route == LEVELS
    if is_levels then
        presence.lost(job.event.received_ms)
    end
    job:open_exception({cause = TOO_LARGE, subject = said.route, recheck = "manual",
        message = string.format("Khaos pushed %d bytes at once at %s, more than the %d that are "
            .. "taken, and repeats it for ever", said.size,
            time.format_iso(job.event.received_ms), pushes.MAX_BYTES),
        remedy = "Have Khaos push fewer at a time: nothing of it is known here. " .. (is_levels
            and "Until all levels came and this is closed, orders are subtracted longer."
            or "Then close this.")})
end

--- Takes one push.
---@param job neap.Job
function pushes.take(job)
    if job.event.name == TOO_LARGE then
        return tell_too_large(job)
    end
    local name = job.event.name:sub(#EVENT + 1)
    local kind = KINDS[name]
    if kind.how.begin then
        kind.how.begin(job)
    end
    local entries, err = kind.how.read(job.event.payload)
    job.event.payload = nil -- a large one is not kept in memory beside its entries
    local found = entries and take_all(job, kind.how, entries) or new_finding()
    if not entries then
        add_odd(found, err.message, true)
    end
    if found.count > 0 then
        tell(job, name, kind, found, entries)
    end
    if kind.how.finish then
        kind.how.finish(job, found)
    end
    push_queue.taken(kind.queue, assert(math.tointeger(tonumber(job.event.id))))
end

--- A queue that stands still is told of. And a person closed what was told of a push of levels: all
--- levels came anew since.
---@param job neap.Job
function pushes.watch(job)
    push_queue.watch(job)
    if presence.is_lost() and not job:exception(pushes.UNREADABLE, LEVELS)
        and not job:exception(TOO_LARGE, LEVELS) then
        presence.found()
    end
end

return pushes
