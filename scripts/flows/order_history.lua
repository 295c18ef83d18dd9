--- What became of an order, step by step, with its instants: for reconciling it as of any moment.
--- Identifiers, money and words of causes; never a person. Kept for ever.
---
---     history.add(key, "held", {causes = {"unknown_stock_code TS-RED-L"}})
---
--- ordered {minor, currency, company, market}    what SCAYLE shows of it, as the mapper read it
--- held {causes}                                 going: it was released and is under way again
--- posted {order_code}                           ended {state}: it is never posted
--- read_back {count, total_minor, currency, net_minor, quantity, differs, cancelled, lowered_minor}
---     what Khaos shows; lowered: so much less by right, for units that were cancelled since
--- cancel_wanted                                 a person was asked to cancel it in Khaos
local json = require("neap.json")
local store = require("neap.store")
local time = require("neap.time")

local history = {}

--- Table of neap.store: key of the order -> entries, oldest first.
history.TABLE = "order_history"

local function is_same(entry, other)
    local at_ms = entry.at_ms
    entry.at_ms = nil
    local same = json.encode(entry) == json.encode(other)
    entry.at_ms = at_ms
    return same
end

local function newest_of(entries, kind)
    for i = #entries, 1, -1 do
        if entries[i].kind == kind then
            return entries[i]
        end
    end
    return nil
end

-- The entry that a new one of this kind would repeat.
local function newest(entries, kind)
    if kind == "ordered" then
        return newest_of(entries, kind)
    end
    return entries[#entries]
end

--- The newest entry of a kind.
---@param key string of the order
---@param kind string
---@return table|nil
function history.newest(key, kind)
    return newest_of(store.get(history.TABLE, key) or {}, kind)
end

--- Adds what was learnt. A repeat says nothing new and is left out.
---@param key string of the order
---@param kind string
---@param fields table|nil
function history.add(key, kind, fields)
    local entries = store.get(history.TABLE, key) or {}
    local entry = {kind = kind}
    for name, value in pairs(fields or {}) do
        entry[name] = value
    end
    local before = newest(entries, kind)
    if before and is_same(before, entry) then
        return
    end
    entry.at_ms = time.now_ms()
    entries[#entries + 1] = entry
    store.put(history.TABLE, key, json.array(entries))
end

--- The order is held on these causes.
---@param key string
---@param causes neap.Cause[]
function history.held(key, causes)
    local words = {}
    for i, cause in ipairs(causes) do
        words[i] = cause.cause .. (cause.subject and " " .. cause.subject or "")
    end
    table.sort(words)
    history.add(key, "held", {causes = json.array(words)})
end

--- The order's job runs: a hold is over.
---@param key string
function history.going(key)
    local entries = store.get(history.TABLE, key) or {}
    for i = #entries, 1, -1 do
        if entries[i].kind == "held" then
            history.add(key, "going")
            return
        elseif entries[i].kind == "going" then
            return
        end
    end
end

return history
