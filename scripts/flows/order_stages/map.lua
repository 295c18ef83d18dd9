--- Stage "map": the order as a posting, or everything that stands in its way, all at once. Before
--- a stock code is called unknown, Khaos is asked for it: the mirror may be stale.
local codes = require("flows.khaos_codes")
local history = require("flows.order_history")
local mapper = require("flows.orders.map")
local recording = require("flows.order_stages.recording")
local remaining = require("flows.orders.remaining")
local stock_pending = require("flows.stock_pending")
local support = require("flows.order_stages.support")
local unwanted = require("flows.order_stages.unwanted")

local UNKNOWN = "unknown_stock_code"

local function map_once(work)
    local linked = work.job:links().khaos_order
    return mapper.map({
        order = work.order,
        delegation = work.delegation,
        mappings = work.line.mappings(work.settings.mappings),
        settings = work.settings,
        has_stock_code = codes.has,
        delegated_ms = work.delegated_ms,
        own_references = linked and {linked} or nil,
        cancelled = unwanted.of(work.key),
    })
end

local function is_code(order, subject)
    for _, item in ipairs(order.items or {}) do
        local variant = type(item.variant) == "table" and item.variant or {}
        if variant.referenceKey == subject then
            return true
        end
    end
    return not subject:find("^item ")
end

local function unknown_codes(work, result)
    local list = {}
    for _, cause in ipairs(result.causes) do
        if cause.cause == UNKNOWN and is_code(work.order, cause.subject) then
            list[#list + 1] = cause.subject
        end
    end
    return list
end

-- What a person can do about it depends on what Khaos has instead.
local function explain(cause)
    local entry = codes.get(cause.subject)
    if entry and entry.discontinued then
        cause.message = string.format("Stock code %s is discontinued in Khaos", cause.subject)
        cause.remedy = "Make it current again in Khaos, or cancel the order's item."
    else
        cause.message = cause.message .. codes.suggestion(cause.subject)
    end
end

local function all_causes(work, result)
    local all = {}
    for _, cause in ipairs(work.causes) do
        all[#all + 1] = cause
    end
    for _, cause in ipairs(result.causes) do
        if cause.cause == UNKNOWN then
            explain(cause)
        end
        all[#all + 1] = cause
    end
    return all
end

-- How many of each code the order takes, for the stock that is not yet taken in Khaos. One that is
-- delegated to another merchant takes nothing of ours.
local function remember_units(work)
    local ours = work.settings.merchant_key
    local units = {}
    if work.merchant == ours then
        units = remaining.codes(work.order, ours, unwanted.of(work.key))
    end
    if units then -- else what is known stays
        stock_pending.add(work.key, units)
    end
end

-- What the order comes to, and for which company, before and after it is posted.
local function remember_amount(work, amount)
    local company, market = support.company(work)
    history.add(work.key, "ordered", {minor = amount and amount.minor,
        currency = amount and amount.currency, company = company, market = market})
end

--- Sets work.posting, or holds.
---@async
---@param work table
---@return string|nil ended
return function(work)
    local result = map_once(work)
    local wanted = unknown_codes(work, result)
    if #wanted > 0 and work.line.ask_codes(work, wanted) then
        result = map_once(work)
    end
    remember_units(work)
    work.job:facts(result.facts)
    work.job:trail(result.trail)
    remember_amount(work, result.facts.amount)
    local causes = all_causes(work, result)
    if #causes > 0 then
        recording.keep(work, result)
        support.hold(work, causes)
    end
    work.posting, work.trail = result.posting, result.trail
    work.mechanics = result.trail.data.mechanics
    return nil
end
