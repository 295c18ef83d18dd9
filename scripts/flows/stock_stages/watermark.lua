--- The instant before which every confirmed order has reached us, and the stamp of a stock figure.
---
--- SCAYLE takes units away by itself when an order is confirmed, and gives them back when a figure
--- comes that is stamped later: a stamp ahead of what we know oversells. So a figure is stamped
--- with the earlier of the start of its reading and this watermark, in SCAYLE's time.
---
--- While we run it is now less the lag of delegations. Once we were away, were it for a second (a
--- delegation that failed comes again after three minutes), or a sweep found an order that nothing
--- had told in time, it stays at what it was until a sweep that began afterwards has gone through
--- all orders.
local store = require("neap.store")

local watermark = {}

local TABLE = "stock_watermark" -- "state" -> {alive_ms, frozen_ms, back_ms, skew_ms}
-- Of the orders flow: "sweep" -> {completed_ms}: start of the newest complete one; "late" ->
-- {at_ms}: when a sweep last found what should have been told.
local SWEEP = "order_watermark"
local RESOLUTION_MS = 1000 -- SCAYLE's Date header counts in seconds

---@class stock.WatermarkSettings
---@field order_lag_ms integer
---@field away_after_ms integer

local function state_of(now_ms)
    return store.get(TABLE, "state") or {alive_ms = now_ms, frozen_ms = 0, back_ms = now_ms}
end

-- An order that only a sweep told of, and late: other delegations may have failed as well.
local function has_late_order(state)
    local late = store.get(SWEEP, "late")
    return late ~= nil and late.at_ms > state.back_ms
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
    return ours_ms - math.max(skew_ms, 0) - RESOLUTION_MS
end

return watermark
