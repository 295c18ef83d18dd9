--- Which pushes wait to be taken. They are taken one after another, in two queues that do not wait
--- for each other: one whose job stands still (given up, crashed) holds back those behind it, so
--- somebody is told.
local presence = require("flows.cloud_stages.presence")
local store = require("neap.store")
local time = require("neap.time")

local push_queue = {}

push_queue.CAUSE = "pushes_wait" -- the subject is the queue: "orders" or "stock"

local WAITING = "cloud_pushes" -- "<queue> <number>" -> {route, received_ms}
local LATE_MS = 30 * 60000 -- the first bulk of a large catalogue takes minutes
local PAGE = 500
local WORDS = {orders = "order statuses", stock = "items, levels and prices"}

local function place(queue, number)
    return string.format("%s %012d", queue, number)
end

--- A push is kept.
---@param queue string
---@param number integer
---@param route string
function push_queue.keep(queue, number, route)
    store.put(WAITING, place(queue, number), {route = route, received_ms = time.now_ms()})
end

--- It is taken, and so is over what came before it.
---@param queue string
---@param number integer
function push_queue.taken(queue, number)
    local last = place(queue, number)
    repeat
        local page = store.range(WAITING, {prefix = queue .. " ", limit = PAGE})
        local is_over = #page < PAGE
        for _, pair in ipairs(page) do
            if pair.key > last then
                return
            end
            store.delete(WAITING, pair.key)
        end
    until is_over
end

local function count_of(queue)
    local count, after = 0, nil
    repeat
        local page = store.range(WAITING, {prefix = queue .. " ", after = after, limit = PAGE})
        count, after = count + #page, #page > 0 and page[#page].key or after
    until #page < PAGE
    return count
end

--- Tells of a queue that stands still, until it moves.
---@param job neap.Job
function push_queue.watch(job)
    for queue, words in pairs(WORDS) do
        local first = store.range(WAITING, {prefix = queue .. " ", limit = 1})[1]
        local since_ms = first and math.max(first.value.received_ms, presence.here_ms())
        if since_ms and time.now_ms() - since_ms >= LATE_MS then
            job:open_exception({cause = push_queue.CAUSE, subject = queue, recheck = "proof",
                message = string.format("%d pushes of %s wait: the first is one of %s that came "
                    .. "at %s", count_of(queue), words, first.value.route,
                    time.format_iso(first.value.received_ms)),
                remedy = "See why its job does not go on (the exceptions of \"khaos_cloud:pushed "
                    .. queue .. "\"): retry it or, when Khaos can send it again, dismiss it. Those "
                    .. "behind it go then, and this closes."})
        elseif job:exception(push_queue.CAUSE, queue) then
            job:close_exception(push_queue.CAUSE, queue, "they are taken")
        end
    end
end

return push_queue
