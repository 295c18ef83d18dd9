--- Every morning: the orders that were accepted long ago and that Khaos has not confirmed (it may
--- have one whose outcome is in doubt), one line each, with what each waits for. How long is long,
--- the orders flow says (`stuck_after_ms`).
local history = require("flows.order_history")
local json = require("neap.json")
local money = require("neap.money")
local outbox = require("flows.alert_stages.outbox")
local stock_pending = require("flows.stock_pending")
local store = require("neap.store")
local time = require("neap.time")
local words = require("flows.alert_stages.words")

local stuck = {}

local CAUSE = "stuck_order"
local PAGE = 500
local LISTED = 200

-- cause words of dead jobs: key -> message
local function given_up(job)
    local keys = {}
    for _, cause in ipairs({"gave_up", "crashed"}) do
        for _, e in ipairs(job:exceptions(cause)) do
            keys[e.subject] = e.message
        end
    end
    return keys
end

-- What the history of an order says: its money, and what it is held on now.
local function read_history(key)
    local amount, held = nil, nil
    for _, entry in ipairs(store.get(history.TABLE, key) or {}) do
        if entry.kind == "ordered" then
            amount = entry
        elseif entry.kind == "held" or entry.kind == "going" then
            held = entry.causes
        end
    end
    return amount, held
end

-- What an order that is neither held nor given up may wait for.
local function not_held(job)
    local whys = {"not held"}
    for _, cause in ipairs({"connection_down", "khaos_silent"}) do
        for _, e in ipairs(job:exceptions(cause)) do
            whys[#whys + 1] = e.message
        end
    end
    return table.concat(whys, "; ")
end

local function entry_of(key, open, dead, otherwise)
    local amount, held = read_history(key)
    return {order_id = open.order_id, accepted_ms = open.accepted_ms,
        amount = amount and money.format(amount.minor, amount.currency),
        waits_for = held and "held: " .. table.concat(held, ", ") or dead[key] or otherwise}
end

local function is_older(a, b)
    if a.open.accepted_ms ~= b.open.accepted_ms then
        return a.open.accepted_ms < b.open.accepted_ms
    end
    return a.key < b.key
end

-- Into its place of a list of at most LISTED, the oldest first. No sort: a comparison in Lua cannot
-- be interrupted, and there may be very many.
local function insert(list, pair)
    local at = #list + 1
    while at > 1 and is_older(pair, list[at - 1]) do
        at = at - 1
    end
    if at <= LISTED then
        table.insert(list, at, pair)
        list[LISTED + 1] = nil
    end
end

-- The oldest, at most LISTED, and how many there are.
local function find(job)
    local oldest, count, after = {}, 0, nil
    repeat
        local page = store.range(stock_pending.OPEN, {after = after, limit = PAGE})
        for _, pair in ipairs(page) do
            after = pair.key
            if pair.value.is_told then
                count = count + 1
                insert(oldest, {key = pair.key, open = pair.value})
            end
        end
    until #page < PAGE
    local list, dead, otherwise = {}, given_up(job), not_held(job)
    for i, pair in ipairs(oldest) do
        list[i] = entry_of(pair.key, pair.open, dead, otherwise)
    end
    return list, count
end

local function compose(job, owner, list, count, now_ms)
    local lines = {"Accepted from SCAYLE, not confirmed by Khaos; the longest waiting first:", ""}
    for _, entry in ipairs(list) do
        lines[#lines + 1] = words.line(string.format("  %s  %s%s, %s", entry.order_id,
            entry.amount and entry.amount .. ", " or "",
            "for " .. words.span(now_ms - entry.accepted_ms), entry.waits_for))
    end
    if count > #list then
        lines[#lines + 1] = string.format("and %d more", count - #list)
    end
    lines[#lines + 1] = ""
    lines[#lines + 1] = "See: neap status --stuck, neap order ORDER"
    return words.finish(lines, owner, job.client, now_ms, job.settings.zone)
end

---@param job neap.Job
function stuck.run(job)
    local now_ms = time.now_ms()
    local list, count = find(job)
    if count == 0 then
        return
    end
    local told = job:exceptions(CAUSE)[1]
    local owner = told and told.owner ~= "" and told.owner or job.settings.nobody
    outbox.send(job, {
        id = string.format("stuck %s %s", owner, job.event.id), kind = "stuck", owner = owner,
        at_ms = now_ms,
        subject = string.format("[%s] %s not confirmed by Khaos", job.client,
            words.count(count, "stuck order") .. (count == 1 and " is" or " are")),
        text = compose(job, owner, list, count, now_ms),
        data = {count = count, orders = json.array(list)},
    })
end

return stuck
