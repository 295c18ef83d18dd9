--- What is new in a snapshot of an order, whichever way it came: polled or pushed.
local crypto = require("neap.crypto")
local json = require("neap.json")
local store = require("neap.store")

local news = {}

--- reference -> {signature, number, snapshot}: the newest of each order
news.SEEN = "despatch_seen"
--- reference -> snapshot of an order that the orders flow has not noted as posted yet
news.EARLY = "despatch_early"

--- Keeps a snapshot; gives the event that tells the despatch flow of it, nil when it says nothing
--- new.
---@param snapshot khaos.Snapshot with a reference
---@param key string of the order
---@param flow string|nil name of the despatch flow, when another one tells
---@return neap.NewEvent|nil
function news.of(snapshot, key, flow)
    local reference = snapshot.reference
    local signature = crypto.hex_encode(crypto.sha256(json.encode(snapshot)))
    local seen = store.get(news.SEEN, reference) or {number = 0}
    if seen.signature == signature then
        return nil
    end
    local number = seen.number + 1
    store.put(news.SEEN, reference, {signature = signature, number = number, snapshot = snapshot})
    return {source = "khaos.status", id = reference .. ":" .. number, key = "despatch:" .. key,
        name = "khaos.status", payload = {reference = reference, number = number}, flow = flow}
end

return news
