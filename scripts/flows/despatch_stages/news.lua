--- What is new in a snapshot of an order, whichever way it came: polled or pushed.
local crypto = require("neap.crypto")
local json = require("neap.json")
local store = require("neap.store")

local news = {}

--- reference, or "credit:<code>" -> {signature, number, snapshot}: the newest of each
news.SEEN = "despatch_seen"
--- reference -> snapshot of an order that the orders flow has not noted as posted yet
news.EARLY = "despatch_early"

-- Keeps the snapshot and completes the event; nil when it says nothing new.
local function told(snapshot, seen_as, event)
    local signature = crypto.hex_encode(crypto.sha256(json.encode(snapshot)))
    local seen = store.get(news.SEEN, seen_as) or {number = 0}
    if seen.signature == signature then
        return nil
    end
    local number = seen.number + 1
    store.put(news.SEEN, seen_as, {signature = signature, number = number, snapshot = snapshot})
    event.source, event.id = "khaos.status", seen_as .. ":" .. number
    event.payload = {reference = snapshot.reference, seen_as = seen_as, number = number}
    return event
end

--- Keeps an order's snapshot; gives the event that tells the despatch flow of it, nil when it says
--- nothing new.
---@param snapshot khaos.Snapshot with a reference
---@param key string of the order
---@param flow string|nil name of the despatch flow, when another one tells
---@return neap.NewEvent|nil
function news.of(snapshot, key, flow)
    return told(snapshot, snapshot.reference, {name = "khaos.status", key = "despatch:" .. key,
        about = key, flow = flow})
end

--- The order's newest snapshot was not told: shown again, it is news.
---@param reference string
function news.take_back(reference)
    local seen = store.get(news.SEEN, reference)
    seen.signature = nil
    store.put(news.SEEN, reference, seen)
end

--- The same of a credit note, for the returns flow; nil where there is none.
---@param snapshot khaos.Snapshot
---@param key string of the order
---@param flow string|nil name of the returns flow
---@return neap.NewEvent|nil
function news.of_credit_note(snapshot, key, flow)
    return flow and told(snapshot, "credit:" .. snapshot.order_code, {name = "khaos.credit_note",
        key = "returns:" .. key, about = key, flow = flow})
end

--- The same of a credit note that does not say whose it is: a job of its own finds that out.
---@param snapshot khaos.Snapshot
---@param flow string|nil name of the returns flow
---@return neap.NewEvent|nil
function news.of_stray_credit_note(snapshot, flow)
    return flow and told(snapshot, "credit:" .. snapshot.order_code, {name = "khaos.stray_credit",
        key = "credit:" .. snapshot.order_code, flow = flow})
end

return news
