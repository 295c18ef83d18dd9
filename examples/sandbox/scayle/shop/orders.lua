--- Orders of the simulated tenant and the record the simulation keeps of each: what was expected,
--- what was delegated and how that was answered.

local catalogue = require("shop.catalogue")
local generator = require("shop.generator")
local json = require("neap.json")
local past = require("shop.past")
local random = require("lib.sandbox.random")
local stocks = require("shop.stocks")
local world = require("shop.world")

local orders = {}

local TABLE = "shop_orders"
local UNSENT = "shop_unsent" -- "<delegated>:<id>" -> id of orders that will be closed by the clock
local RECORDS = "shop_records"
local REFERENCES = "shop_references"
local DELEGATION_KEYS = "shop_delegation_keys"
local FIRST_ORDER = 300001
local FIRST_ITEM = 8300001

--- Templates by name: the sample orders of the contract.
orders.TEMPLATES = {
    "plain",
    "bogof_free_unit",
    "bogof_pro_rata",
    "tiered_promotion_code",
    "absolute_voucher",
    "sale_campaign_relative_voucher",
    "combo_deal",
    "de_mixed_vat_collection_point",
    "mixed_fulfilment_states",
    "gift_card_split_payment",
    "external_prices_minimal",
    "configurable_item_group",
}

local function key_of(id)
    return ("%012d"):format(id)
end

---@param w table
---@param id integer
---@return table|nil
function orders.get(w, id)
    return w.store.get(TABLE, key_of(id))
end

---@param w table
---@param order table
function orders.save(w, order)
    order.updatedAt = world.instant(w, w.now_ms)
    w.store.put(TABLE, key_of(order.id), order)
end

---@param w table
---@param id integer
---@return table|nil
function orders.record(w, id)
    return w.store.get(RECORDS, key_of(id))
end

---@param w table
---@param record table
function orders.save_record(w, record)
    w.store.put(RECORDS, key_of(record.order_id), record)
end

---@param w table
---@return table[] records in order of their ids
function orders.records(w)
    local list = json.array({})
    for _, entry in ipairs(w.store.range(RECORDS, {limit = 10000})) do
        list[#list + 1] = entry.value
    end
    return list
end

--- Orders after an id, at most `count`, of one shop country or of all.
---@param w table
---@param after integer
---@param count integer
---@param country table|nil
---@return table[] list
---@return integer|nil last id when there may be more
function orders.page(w, after, count, country)
    local list, position = json.array({}), key_of(after)
    while true do
        local entries = w.store.range(TABLE, {after = position, limit = 200})
        for _, entry in ipairs(entries) do
            position = entry.key
            if not country or entry.value.shopCountry.id == country.id then
                if #list == count then
                    return list, list[#list].id
                end
                list[#list + 1] = entry.value
            end
        end
        if #entries < 200 then
            return list
        end
    end
end

--- The order that a path names: "204417" or "key=SO204417".
---@param w table
---@param identifier string
---@return table|nil
function orders.find(w, identifier)
    local reference = identifier:match("^key=(.+)$")
    if reference then
        local id = w.store.get(REFERENCES, reference)
        return id and orders.get(w, id)
    end
    local id = identifier:match("^%d+$") and math.tointeger(tonumber(identifier))
    return id and orders.get(w, id)
end

local function status(code, name)
    return {code = code, name = name}
end

local function stamp(w, order)
    local now = world.instant(w, w.now_ms)
    order.createdAt = world.instant(w, w.now_ms - 85000)
    order.confirmedAt = now
    order.status = "payment_reserved"
    order.detailedStatus = {
        order = status("order_confirmed", "Confirmed"),
        shipping = status("shipping_open", "Open"),
        billing = status("billing_payment_pending", "Payment reserved"),
    }
end

local STATE_FIELDS = {"delegatedAt", "shippedAt", "cancelledAt", "returnedAt", "packageId"}

local function number_items(w, order, keep_states)
    local now = world.instant(w, w.now_ms)
    for _, item in ipairs(order.items) do
        item.id = world.number(w, "item", FIRST_ITEM)
        item.createdAt, item.updatedAt = now, now
        if not keep_states then
            item.status = "confirmed"
            for _, field in ipairs(STATE_FIELDS) do
                item[field] = nil
            end
        end
    end
end

local function default_carrier(order)
    return order.shopCountry.countryCode == "DE" and "DHL_DE" or "DPD_UK"
end

--- Places an order: ids and dates are the tenant's own, the rest is as given.
---@param w table
---@param order table
---@param facts table {kind, expect, carrier, missing_sku, keep_states}
---@return table order
---@return table record
function orders.place(w, order, facts)
    order.id = world.number(w, "order", FIRST_ORDER)
    order.publicKey = ("FO-%d"):format(order.id)
    order.basketKey = ("basket-%d"):format(order.id)
    order.referenceKey = nil
    stamp(w, order)
    number_items(w, order, facts.keep_states)
    orders.save(w, order)
    local country = order.shopCountry
    local record = {
        order_id = order.id,
        public_key = order.publicKey,
        kind = facts.kind,
        expect = facts.expect,
        missing_sku = facts.missing_sku,
        carrier = facts.carrier or default_carrier(order),
        currency = order.currencyCode,
        total_minor = order.cost.withTax,
        units = #order.items,
        shop_country = country.id,
        placed_ms = w.now_ms,
        order_reference_key = ("%s%s-%d-%d"):format(
            country.shopKey,
            country.countryCode:lower(),
            country.id,
            order.id
        ),
        attempts = json.array({}),
        webhooks = json.array({}),
        cancellations = json.array({}),
        shipments = json.array({}),
        returns = json.array({}),
    }
    local units = {}
    for _, item in ipairs(order.items) do
        local sku = item.variant and item.variant.referenceKey
        units[sku or "?"] = (units[sku or "?"] or 0) + 1
    end
    stocks.block(w, order.id, units)
    w.store.put(DELEGATION_KEYS, record.order_reference_key, order.id)
    orders.save_record(w, record)
    return order, record
end

local function check_shape(order)
    if type(order.items) ~= "table" or #order.items == 0 then
        return "items is missing"
    elseif type(order.cost) ~= "table" or type(order.cost.withTax) ~= "number" then
        return "cost.withTax is missing"
    elseif type(order.currencyCode) ~= "string" then
        return "currencyCode is missing"
    end
    local country = order.shopCountry
    if type(country) ~= "table" or not country.id or not country.shopKey
        or not country.countryCode then
        return "shopCountry needs id, shopKey and countryCode"
    end
    return nil
end

local function from_template(body)
    for _, name in ipairs(orders.TEMPLATES) do
        if name == body.template then
            -- Through JSON, so that the module's own table is never changed.
            local order = json.decode(json.encode((require("shop.templates." .. name))))
            local keeps = name == "mixed_fulfilment_states"
            local expect = keeps and "held:order_already_processed" or "posted"
            return order, {kind = "template." .. name, expect = expect, keep_states = keeps}
        end
    end
    return nil, "unknown template " .. tostring(body.template)
end

--- Places what POST _control/orders asks for: {template=}, {kind=, seed=} or a whole order.
---@param w table
---@param body table
---@return table|nil order
---@return table|string record or problem
function orders.place_from(w, body)
    local order, facts
    local words, other = body.past, body.second_warehouse
    body.past, body.second_warehouse = nil, nil
    if body.template then
        order, facts = from_template(body)
    elseif body.kind then
        order, facts = generator.order(body.kind, random.new(body.seed or 1))
    else
        local problem = check_shape(body)
        if problem then
            return nil, problem
        end
        local keeps = body.keep_states == true
        body.keep_states = nil
        order, facts = body, {kind = "given", expect = "unknown", keep_states = keeps}
    end
    if not order then
        return nil, facts
    end
    if other then
        order.items[#order.items].warehouseId = other
    end
    local placed, record = orders.place(w, order, facts)
    local problem = words and past.apply(w, placed, words)
    if problem then
        return nil, problem
    end
    orders.save(w, placed)
    return placed, record
end

--- Stores our reference on the order; nil and the reason when it is another order's.
---@param w table
---@param order table
---@param reference string
---@return table|nil order
---@return string|nil problem
function orders.set_reference(w, order, reference)
    local owner = w.store.get(REFERENCES, reference)
    if owner and owner ~= order.id and w.settings.reference_key_unique then
        return nil, ("reference key belongs to order %d"):format(owner)
    end
    if order.referenceKey and order.referenceKey ~= reference then
        w.store.delete(REFERENCES, order.referenceKey)
    end
    w.store.put(REFERENCES, reference, order.id)
    order.referenceKey = reference
    orders.save(w, order)
    return order
end

--- Items that are still alive become delegated.
---@param w table
---@param order table
function orders.mark_delegated(w, order)
    local now = world.instant(w, w.now_ms)
    order.detailedStatus.order = status("order_delegated", "Delegated")
    for _, item in ipairs(order.items) do
        if item.status == "confirmed" then
            item.status = "delegated"
            item.delegatedAt = now
        end
    end
    orders.save(w, order)
    w.store.put(UNSENT, ("%015d:%d"):format(w.now_ms, order.id), order.id)
end

-- Units that nothing was told of count as sent, in no package and without a return key.
local function force_close(w, order)
    local count = 0
    for _, item in ipairs(order.items) do
        if item.status == "delegated" then
            item.status, item.shippedAt = "shipped", world.instant(w, w.now_ms)
            count = count + 1
        end
    end
    if count > 0 then
        order.status = "invoice_completed"
        orders.save(w, order)
        local record = orders.record(w, order.id)
        record.force_closed = count
        orders.save_record(w, record)
    end
end

--- The clock of the tenant: closes what was delegated too long ago and is not sent.
---@param w table
function orders.close_unsent(w)
    local until_key = ("%015d"):format(math.max(0, w.now_ms - w.settings.force_close_ms))
    for _, entry in ipairs(w.store.range(UNSENT, {limit = 20})) do
        if entry.key >= until_key then
            return
        end
        w.store.delete(UNSENT, entry.key)
        local order = orders.get(w, entry.value)
        if order then
            force_close(w, order)
        end
    end
end

--- Ids of the warehouses that its items lie in.
---@param order table
---@return integer[]
function orders.warehouse_ids(order)
    local ids, seen = {}, {}
    for _, item in ipairs(order.items) do
        local id = item.warehouseId
        if id and not seen[id] then
            ids[#ids + 1], seen[id] = id, true
        end
    end
    return ids
end

--- Ids of the items that lie in these.
---@param order table
---@param warehouse_ids integer[]
---@return table<integer, boolean>
function orders.items_in(order, warehouse_ids)
    local found = {}
    for _, item in ipairs(order.items) do
        for _, id in ipairs(warehouse_ids) do
            found[item.id] = found[item.id] or item.warehouseId == id or nil
        end
    end
    return found
end

--- Cancels items, all or those named; the last one cancels the order.
---@param w table
---@param order table
---@param ids table<integer, boolean>|nil
function orders.cancel_items(w, order, ids)
    local now, alive, freed = world.instant(w, w.now_ms), 0, {}
    for _, item in ipairs(order.items) do
        if (not ids or ids[item.id]) and item.status ~= "cancelled" then
            item.status = "cancelled"
            item.cancelledAt = now
            local sku = item.variant and item.variant.referenceKey
            freed[sku or "?"] = (freed[sku or "?"] or 0) + 1
        end
        alive = alive + (item.status ~= "cancelled" and 1 or 0)
    end
    if alive == 0 then
        order.status = "cancellation_completed"
        order.detailedStatus.order = status("order_cancelled", "Cancelled")
        order.detailedStatus.billing = status("billing_payment_cancelled", "Payment cancelled")
    end
    stocks.unblock(w, order.id, freed)
    orders.save(w, order)
end

---@param w table
---@param reference string orderReferenceKey of a delegation
---@return table|nil order
function orders.by_delegation_key(w, reference)
    local id = w.store.get(DELEGATION_KEYS, reference)
    return id and orders.get(w, id)
end

---@param order table
---@return boolean
function orders.is_cancelled(order)
    return order.status == "cancellation_completed"
end

--- The shop country that a path names.
---@param params table<string, string>
---@return table|nil
function orders.country(params)
    return catalogue.country(params.shop or "", params.country or "")
end

return orders
