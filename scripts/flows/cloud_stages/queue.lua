--- What Khaos Control Cloud fetches from us: orders and returns, each queue in its own tables.
---
---     queued --(handed out)--> served --(Khaos shows it)--> shown
---        \--(taken back)--> withdrawn
---
--- An entry that was never served is handed out on every call, whatever the cursor says; a served
--- one again while the cursor is before it. Being served is durable before the answer leaves, so
--- "queued" proves that Khaos has never seen the entry: only then can it be taken back. An entry,
--- its document and its place change in one piece: a slice may be cut in two.
local crypto = require("neap.crypto")
local store = require("neap.store")
local time = require("neap.time")

local queue = {}

--- "orders", "returns": reference -> {seq, key, state, put_ms, served_ms, times, order_code,
--- shown_ms}
queue.TABLES = {orders = "cloud_orders", returns = "cloud_returns"}

-- "<order key>\n<reference>" -> the document as it was put in. `neap erase` of the order reaches
-- it: personal_* tables are keyed by whom they are about.
local DOCUMENTS = {orders = "personal_cloud_orders", returns = "personal_cloud_returns"}
local OPEN = {orders = "cloud_orders_open", returns = "cloud_returns_open"} -- seq -> {reference}
-- kind -> {epoch, last, continuation}
local STATE = "cloud_state"
local PAGE = 500

local function place(seq)
    return string.format("%012d", seq)
end

local function document_place(entry, reference)
    return entry.key .. "\n" .. reference
end

local function state_of(kind)
    return store.get(STATE, kind) or {epoch = crypto.random_hex(4), last = 0}
end

---@param kind "orders"|"returns"
---@param reference string
---@return table|nil
function queue.get(kind, reference)
    return store.get(queue.TABLES[kind], reference)
end

---@param kind "orders"|"returns"
---@param reference string
---@param entry table
function queue.keep(kind, reference, entry)
    store.put(queue.TABLES[kind], reference, entry)
end

--- The document as it was put in; nil when it is not kept any more.
---@param kind "orders"|"returns"
---@param reference string
---@return table|nil
function queue.document(kind, reference)
    local entry = queue.get(kind, reference)
    return entry and store.get(DOCUMENTS[kind], document_place(entry, reference))
end

local function place_last(kind, reference, entry)
    local state = state_of(kind)
    state.last = state.last + 1
    store.put(STATE, kind, state)
    entry.seq = state.last
    queue.keep(kind, reference, entry)
    store.put(OPEN[kind], place(entry.seq), {reference = reference})
end

--- Puts a document in. One that is in, or that Khaos has shown, stays as it is.
---@param kind "orders"|"returns"
---@param reference string ours, unique
---@param key string of the order
---@param document table
---@return table entry
function queue.put(kind, reference, key, document)
    return store.atomic(function()
        local known = queue.get(kind, reference)
        if known and known.state ~= "withdrawn" then
            return known
        end
        local entry = {key = key, state = "queued", put_ms = time.now_ms(), times = 0}
        place_last(kind, reference, entry)
        store.put(DOCUMENTS[kind], document_place(entry, reference), document)
        return entry
    end)
end

--- Offers an entry anew, as if Khaos had never seen it: only a person can know that.
---@param kind "orders"|"returns"
---@param reference string
function queue.offer_again(kind, reference)
    store.atomic(function()
        local entry = queue.get(kind, reference)
        store.delete(OPEN[kind], place(entry.seq))
        entry.state, entry.put_ms, entry.is_told = "queued", time.now_ms(), nil
        place_last(kind, reference, entry)
    end)
end

--- Takes an entry back; false when Khaos may have it, unless a person has looked.
---@param kind "orders"|"returns"
---@param reference string
---@param is_sure boolean|nil a person has looked: Khaos does not have it
---@return boolean
function queue.withdraw(kind, reference, is_sure)
    return store.atomic(function()
        local entry = queue.get(kind, reference)
        local is_open = entry and (entry.state == "queued" or is_sure and entry.state == "served")
        if not is_open then
            return false
        end
        entry.state = "withdrawn"
        queue.keep(kind, reference, entry)
        store.delete(DOCUMENTS[kind], document_place(entry, reference))
        store.delete(OPEN[kind], place(entry.seq))
        return true
    end)
end

--- Khaos shows it: it is not handed out any more, but for a person's retry.
---@param kind "orders"|"returns"
---@param reference string
---@param order_code string|nil
---@return boolean is_news
function queue.show(kind, reference, order_code)
    local entry = queue.get(kind, reference)
    if not entry or entry.state == "shown" then
        return false
    end
    entry.state, entry.order_code, entry.shown_ms = "shown", order_code, time.now_ms()
    queue.keep(kind, reference, entry)
    store.delete(OPEN[kind], place(entry.seq))
    return true
end

-- Erased before Khaos fetched it: it never will, so it is taken back, and somebody must know.
local function lose(kind, reference, entry, lost)
    entry.state, entry.is_erased = "withdrawn", true
    queue.keep(kind, reference, entry)
    store.delete(OPEN[kind], place(entry.seq))
    lost[#lost + 1] = {kind = kind, reference = reference, key = entry.key, seq = entry.seq}
end

local function hand_out(kind, reference, entry, list, lost)
    local document = store.get(DOCUMENTS[kind], document_place(entry, reference))
    if not document then
        if entry.state == "queued" then
            lose(kind, reference, entry, lost)
        end
        return
    end
    if entry.state == "queued" then
        entry.state = "served"
    end
    entry.served_ms, entry.times = time.now_ms(), entry.times + 1
    queue.keep(kind, reference, entry)
    list[#list + 1] = document
end

-- The place that a continuation names: 0 for everything, as for Khaos's first date.
local function cursor_of(state, continuation)
    local epoch, seq = (continuation or ""):match("^v1:(%x+):(%d+)$")
    seq = math.tointeger(tonumber(seq or ""))
    if epoch ~= state.epoch or not seq or seq > state.last then
        return 0
    end
    return seq
end

--- What is to be handed out after a continuation, at most `limit`, and the next continuation.
---@param kind "orders"|"returns"
---@param continuation string|nil
---@param limit integer
---@return table[] documents
---@return string continuation
---@return {kind: string, reference: string, key: string, seq: integer}[] lost erased, never fetched
function queue.take(kind, continuation, limit)
    local state = state_of(kind)
    local cursor = cursor_of(state, continuation)
    local list, lost, after, last = {}, {}, nil, cursor
    repeat
        local page = store.range(OPEN[kind], {after = after, limit = PAGE})
        for _, pair in ipairs(page) do
            after = pair.key
            local entry = queue.get(kind, pair.value.reference)
            if #list < limit and (entry.state == "queued" or entry.seq > cursor) then
                hand_out(kind, pair.value.reference, entry, list, lost)
                last = math.max(last, entry.seq)
            end
        end
    until #page < PAGE or #list >= limit
    state.continuation = string.format("v1:%s:%d", state.epoch, last)
    store.put(STATE, kind, state)
    return list, state.continuation, lost
end

--- Exactly these, shown ones too (a person asks for them again), but never what was taken back. The
--- cursor stays.
---@param kind "orders"|"returns"
---@param references string[]
---@return table[] documents
---@return string|nil continuation
---@return table[] lost as of take
function queue.take_these(kind, references)
    local list, lost, seen = {}, {}, {}
    for _, reference in ipairs(references) do
        local entry = not seen[reference] and queue.get(kind, reference)
        seen[reference] = true
        if entry and entry.state ~= "withdrawn" then
            hand_out(kind, reference, entry, list, lost)
        end
    end
    local state = state_of(kind)
    store.put(STATE, kind, state)
    return list, state.continuation or string.format("v1:%s:0", state.epoch), lost
end

-- Khaos shows orders; of a return it never says anything.
local function is_over(kind, entry, before_ms)
    if kind == "returns" and entry.state == "served" then
        return entry.served_ms < before_ms
    end
    return entry.state == "shown" and entry.shown_ms < before_ms
end

--- Forgets documents (personal data) that Khaos has shown long ago, or fetched, where it shows
--- nothing.
---@param kind "orders"|"returns"
---@param before_ms integer
---@return integer count
function queue.tidy(kind, before_ms)
    local gone, after = 0, nil
    repeat
        local page = store.range(DOCUMENTS[kind], {after = after, limit = PAGE})
        for _, pair in ipairs(page) do
            after = pair.key
            local entry = queue.get(kind, pair.key:match("\n(.*)$"))
            if not entry or is_over(kind, entry, before_ms) then
                store.delete(DOCUMENTS[kind], pair.key)
                if entry then
                    store.delete(OPEN[kind], place(entry.seq))
                end
                gone = gone + 1
            end
        end
    until #page < PAGE
    return gone
end

return queue
