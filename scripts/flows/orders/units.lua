--- The units (SCAYLE items) of an order that are ours, read and checked one by one.
local amounts = require("flows.orders.amounts")
local market = require("flows.orders.market")
local read = require("flows.orders.read")

local units = {}

-- SCAYLE has two calculators, and VAT of a unit may differ between them by a penny or two.
local VAT_SLACK_MINOR = 2

-- Item statuses that mean somebody already worked on the unit. The set of statuses is open: what is
-- not listed is judged by the item's dates.
local WORKED_ON = {
    cancelled = true, canceled = true, returned = true, shipped = true, partially_shipped = true,
    delivered = true, undeliverable = true, unavailable = true,
}
local WORKED_DATES = {"shippedAt", "cancelledAt", "returnedAt"}
local FINISHED_ORDERS = {
    invoice_partially_completed = true, invoice_completed = true, cancellation_pending = true,
    cancellation_completed = true,
}

---@class orders.Unit
---@field id string
---@field sku string
---@field name string|nil
---@field key string|nil basket line
---@field paid integer gross, after its reductions
---@field listed integer|nil gross before reductions
---@field voucher_price integer|nil gross once an absolute voucher is taken off too
---@field vat integer|nil
---@field rate integer|nil millionths
---@field reductions table[]
---@field is_unreadable boolean|nil its price makes no sense, so nothing can be said about it

-- An order has few rates and many units: each is read once.
local function rate_of(work, vat, delegated)
    local written = read.number(vat, "rate") or read.number(delegated, "tax")
    if not written then
        return nil
    end
    local rate = work.rates[written]
    if rate == nil then
        rate = amounts.rate(written) or false
        work.rates[written] = rate
    end
    return rate or nil
end

local function read_reduction(reduction, item)
    local amount = read.table(reduction, "amount")
    return {
        category = read.text(reduction, "category") or "unknown",
        type = read.text(reduction, "type"),
        code = read.text(reduction, "code"),
        id = read.text(reduction, "id"),
        name = read.text(reduction, "displayName"),
        campaign = read.text(item, "campaignKey"),
        amount = read.integer(amount, "absoluteWithTax"),
        relative = read.number(amount, "relative"),
    }
end

local function read_texts(item, profile)
    local keys = profile and profile.line_texts
    if not keys or not item.legacyCustomData then
        return nil
    end
    local texts = {}
    for _, key in ipairs(keys) do
        texts[#texts + 1] = read.text(item.legacyCustomData, key)
    end
    return #texts > 0 and texts or nil
end

local function read_unit(work, item)
    local id = read.text(item, "id") or "?"
    local delegated = work.delegated_items and work.delegated_items[id]
    local price = read.table(item, "price")
    local vat = read.table(price, "tax", "vat")
    local unit = {
        id = id,
        sku = read.text(read.table(item, "variant"), "referenceKey"),
        name = read.text(read.table(item, "product"), "name"),
        key = read.text(item, "key"),
        group = read.text(read.table(item, "itemGroup"), "id"),
        paid = read.integer(price, "withTax"),
        listed = read.integer(price, "undiscountedWithTax"),
        voucher_price = read.integer(read.table(price, "absoluteVoucherReducedPrice"), "withTax"),
        vat = read.number(vat, "amount"),
        rate = rate_of(work, vat, delegated),
        texts = read_texts(item, work.profile),
        is_main = read.table(item, "itemGroup").isMainItem == true,
        bundle = read.table(item, "merchantAdditionalData"),
        reductions = {},
    }
    for i, reduction in ipairs(read.table(price, "appliedReductions")) do
        unit.reductions[i] = read_reduction(reduction, item)
    end
    return unit
end

local function check_state(work, item, id)
    local status = read.text(item, "status") or ""
    local why = WORKED_ON[status] and status or nil
    for _, date in ipairs(WORKED_DATES) do
        if not why and read.text(item, date) then
            why = date
        end
    end
    if why then
        work.worked_on[#work.worked_on + 1] = string.format("item %s is %s", id, why)
    elseif work.delegated_items and not work.delegated_items[id] then
        work.worked_on[#work.worked_on + 1] = string.format("item %s was not delegated to us", id)
    end
end

local function check_sku(work, unit)
    if not unit.sku then
        work.causes:add("unknown_stock_code", "item " .. unit.id, string.format(
            "Item %s has no reference key to find its stock code by", unit.id))
    elseif not work.input.has_stock_code(unit.sku) then
        work.causes:add("unknown_stock_code", unit.sku, string.format(
            "Stock code %s does not exist in Khaos", unit.sku))
    end
end

local function is_price(minor)
    return minor ~= nil and minor >= 0 and minor <= amounts.MAX_MINOR
end

-- SCAYLE's own tax must be the rate's, or the rate is not the one that was charged.
local function check_vat(work, unit)
    local expected = unit.paid - amounts.net_of(unit.paid, unit.rate)
    if math.abs(unit.vat - expected) > VAT_SLACK_MINOR then
        work.causes:add("unmapped_tax", "item " .. unit.id, string.format(
            "Item %s says %s tax, which is %s of %s, but carries %.2f", unit.id,
            amounts.percent_text(unit.rate), amounts.text(expected), amounts.text(unit.paid),
            unit.vat / 100))
    end
end

local function check_price(work, unit)
    if not is_price(unit.paid) or (unit.listed and not is_price(unit.listed)) then
        work.causes:add("totals_do_not_tie", work.order_id, string.format(
            "Item %s has no readable price", unit.id))
        unit.paid, unit.listed, unit.is_unreadable = 0, 0, true
    end
    if not work.profile then
        return
    end
    unit.tax = market.tax_entry(work, unit.rate, "item", unit.id)
    if unit.tax and unit.vat and not unit.is_unreadable then
        check_vat(work, unit)
    end
end

local function check_order_state(work)
    local status = read.text(work.order, "status") or ""
    if FINISHED_ORDERS[status] then
        table.insert(work.worked_on, 1, "the order is " .. status)
    end
    local reference = read.text(work.order, "referenceKey")
    if not reference or reference == work.reference then
        return
    end
    for _, own in ipairs(work.input.own_references or {}) do
        if own == reference then
            return
        end
    end
    table.insert(work.worked_on, 1, string.format("it carries the reference %s, which is not ours",
        reference))
end

local function index_delegation(delegation)
    local items = read.table(delegation, "items")
    if #items == 0 then
        return nil
    end
    local index = {}
    for _, item in ipairs(items) do
        local id = read.text(item, "orderItemId")
        if id then
            index[id] = item
        end
    end
    return index
end

--- Sets work.units, work.is_shared (other merchants sell on the order too); adds the causes.
---@param work table
function units.collect(work)
    work.units = {}
    work.rates = {}
    work.worked_on = {}
    work.is_shared = false
    work.delegated_items = index_delegation(work.input.delegation)
    for _, item in ipairs(read.table(work.order, "items")) do
        if read.is_ours(item, work.settings.merchant_key) then
            local unit = read_unit(work, item)
            work.units[#work.units + 1] = unit
            check_state(work, item, unit.id)
            check_sku(work, unit)
            check_price(work, unit)
        else
            work.is_shared = true
        end
    end
    if #work.units == 0 then
        work.causes:add("unmapped_market", "merchant " .. work.settings.merchant_key,
            string.format("No item of order %s belongs to merchant %s", work.order_id,
                work.settings.merchant_key))
    end
end

--- Adds the cause when somebody already worked on the order; needs work.reference.
---@param work table
function units.check_untouched(work)
    check_order_state(work)
    if #work.worked_on > 0 then
        work.causes:add("order_already_processed", work.order_id, string.format(
            "Order %s was already worked on: %s", work.order_id,
            table.concat(work.worked_on, "; ")))
    end
end

return units
