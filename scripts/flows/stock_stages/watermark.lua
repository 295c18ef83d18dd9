--- The instant before which every confirmed order has reached us, and the stamp of a stock figure.
---
--- SCAYLE takes units away by itself when an order is confirmed, and gives them back when a figure
--- comes that is stamped later: a stamp ahead of what we know oversells. So a figure is stamped
--- with the earlier of the start of its reading and this watermark, in SCAYLE's time.
---
--- While we run it is now less the lag of delegations. Once we were away, were it for a second (a
--- delegation that failed comes again after three minutes), or a sweep found an order of which
--- nothing had told in time, it stays at what it was until a sweep that began afterwards has gone
--- through all orders; the sweep hurries then.
---
--- An order has reached us when we know what it takes: no figure is stamped after the confirmation
--- of one whose units nobody has told. SCAYLE is asked for it; all others are not doubted for it.
local store = require("neap.store")

local watermark = {}

local TABLE = "stock_watermark" -- "state" -> {alive_ms, frozen_ms, back_ms, skew_ms}
-- Of the orders flow: "sweep" -> {completed_ms}: start of the newest complete one; "late" ->
-- {at_ms, confirmed_ms}: when a sweep last found what should have been told, the newest such order
local SWEEP = "order_watermark"
-- "<confirmed, SCAYLE's time>\n<order key>" -> {order_id, seen_ms}: open orders whose units are not
-- known, and when they were last told of
local UNKNOWN = "stock_unknown_orders"
local RESOLUTION_MS = 1000 -- SCAYLE's Date header counts in seconds
local GONE_MS = 3600000 -- silent for longer, no stock flow runs that would wait for anything
local DAY_MS = 24 * 3600000

---@class stock.WatermarkSettings
---@field order_lag_ms integer
---@field away_after_ms integer

local function state_of(now_ms)
    return store.get(TABLE, "state") or {alive_ms = now_ms, frozen_ms = 0, back_ms = now_ms}
end

-- Nothing told of an order in time: of others neither, perhaps. One that was confirmed before we
-- were back is what the sweep is awaited for.
local function has_late_order(state)
    local late = store.get(SWEEP, "late")
    return late ~= nil and late.at_ms > state.back_ms and not (state.frozen_ms
        and watermark.our_ms(late.confirmed_ms or late.at_ms) < state.back_ms)
end

--- We are here. A silence before this call was an absence.
---@param now_ms integer
---@param settings stock.WatermarkSettings
---@param is_first boolean of this process: it was started or its scripts were loaded anew
function watermark.beat(now_ms, settings, is_first)
    local state = state_of(now_ms)
    local was_away = is_first or has_late_order(state) or now_ms < state.alive_ms
        or now_ms - state.alive_ms > settings.away_after_ms
    if was_away and not state.frozen_ms then
        state.frozen_ms = math.min(state.alive_ms, now_ms) - settings.order_lag_ms
    end
    if was_away then
        state.back_ms = now_ms
    end
    local sweep = store.get(SWEEP, "sweep")
    if state.frozen_ms and sweep and sweep.completed_ms > state.back_ms then
        state.frozen_ms = nil
    elseif state.frozen_ms and sweep then
        -- It has told all that was confirmed before it began.
        state.frozen_ms = math.max(state.frozen_ms, sweep.completed_ms - settings.order_lag_ms)
    end
    state.alive_ms = now_ms
    store.put(TABLE, "state", state)
end

--- SCAYLE answered: what time it is there. An answer without a date says that it is ours.
---@param now_ms integer ours, when the answer came
---@param date_ms integer|nil of its Date header
function watermark.heard(now_ms, date_ms)
    local state = state_of(now_ms)
    local skew_ms = date_ms and now_ms - date_ms or state.skew_ms or 0
    if skew_ms ~= state.skew_ms then
        state.skew_ms = skew_ms
        store.put(TABLE, "state", state)
    end
end

--- Whether SCAYLE ever told its time. Before that no figure can be stamped.
---@return boolean
function watermark.knows_clock()
    return state_of(0).skew_ms ~= nil
end

--- An instant of ours in SCAYLE's time, as far as it is known.
---@param at_ms integer
---@return integer
function watermark.scayle_ms(at_ms)
    return at_ms - (state_of(at_ms).skew_ms or 0)
end

--- An instant of SCAYLE's in our time, at the latest.
---@param at_ms integer
---@return integer
function watermark.our_ms(at_ms)
    return at_ms + (state_of(at_ms).skew_ms or 0) + RESOLUTION_MS
end

--- Do the stamps of figures stand still until a sweep has gone through all orders?
---@param now_ms integer
---@return boolean
function watermark.awaits_sweep(now_ms)
    local state = store.get(TABLE, "state")
    return state ~= nil and state.frozen_ms ~= nil and now_ms - state.alive_ms < GONE_MS
end

--- No figure is stamped after this order was confirmed until it is released.
---@param key string of the order
---@param about {order_id: string|nil, seen_ms: integer}
---@param confirmed_ms integer SCAYLE's time
---@return string mark to release it by
function watermark.hold(key, about, confirmed_ms)
    local mark = string.format("%015d\n%s", math.max(confirmed_ms, 0), key)
    store.put(UNKNOWN, mark, about)
    return mark
end

--- SCAYLE shows the order still, and does not say what it takes.
---@param mark string
---@param at_ms integer
function watermark.seen(mark, at_ms)
    local about = store.get(UNKNOWN, mark)
    if about then
        about.seen_ms = at_ms
        store.put(UNKNOWN, mark, about)
    end
end

--- Releases the orders that were last told of before this instant: a sweep has gone through all
--- orders since, and SCAYLE has no such order any more that would take anything.
---@param seen_ms integer
function watermark.release_unseen(seen_ms)
    local after
    repeat
        local page = store.range(UNKNOWN, {after = after, limit = 500})
        for _, pair in ipairs(page) do
            after = pair.key
            if pair.value.seen_ms < seen_ms then
                store.delete(UNKNOWN, pair.key)
            end
        end
    until #page < 500
end

---@param mark string
function watermark.release(mark)
    store.delete(UNKNOWN, mark)
end

--- Keys of orders that hold the stamps, the oldest first.
---@param limit integer
---@return string[]
function watermark.holding(limit)
    local keys = {}
    for i, pair in ipairs(store.range(UNKNOWN, {limit = limit})) do
        keys[i] = pair.key:match("^%d+\n(.*)$")
    end
    return keys
end

--- The oldest order that holds the stamps, nil when none does.
---@return {order_id: string|nil, confirmed_ms: integer}|nil
function watermark.held_by()
    local first = store.range(UNKNOWN, {limit = 1})[1]
    return first and {order_id = first.value.order_id,
        confirmed_ms = math.tointeger(tonumber(first.key:match("^%d+")))}
end

--- The latest that it can be there: SCAYLE's time is known to the second, and what it says itself
--- is believed unless it is days ahead.
---@param at_ms integer
---@param said_ms integer|nil SCAYLE's own word of the instant
---@return integer
function watermark.latest_ms(at_ms, said_ms)
    local known_ms = watermark.scayle_ms(at_ms)
    local is_near = said_ms and said_ms - known_ms < DAY_MS
    return math.max(known_ms, is_near and said_ms or 0) + RESOLUTION_MS
end

--- The watermark, our time.
---@param now_ms integer
---@param settings stock.WatermarkSettings
---@return integer
function watermark.at(now_ms, settings)
    local state = state_of(now_ms)
    return state.frozen_ms or now_ms - settings.order_lag_ms
end

--- The stamp of a figure whose reading began at read_ms, in SCAYLE's time.
---@param read_ms integer
---@param now_ms integer
---@param settings stock.WatermarkSettings
---@return integer
function watermark.stamp(read_ms, now_ms, settings)
    local ours_ms = math.min(read_ms, watermark.at(now_ms, settings))
    local skew_ms = assert(state_of(now_ms).skew_ms, "SCAYLE's clock is not known yet")
    local stamp_ms = ours_ms - math.max(skew_ms, 0) - RESOLUTION_MS
    local held = watermark.held_by()
    -- How long before the confirmation SCAYLE blocks the units is not documented.
    return held and math.min(stamp_ms, held.confirmed_ms - settings.order_lag_ms - RESOLUTION_MS)
        or stamp_ms
end

return watermark
