--- The order of a case, as the orders flow would have left it: its record, its lines in Khaos and
--- its book of units.
---
---     order = {id = "204417", lines = {
---         {stock_code = "FO-SCK-0007-L", units = {"8300001", "8300002"}, paid = "29.98"},
---     }, cancelled = {"8300002"}}
local customer_orders = require("flows.customer_orders")
local money = require("neap.money")
local order_units = require("flows.order_units")
local queue = require("flows.cloud_stages.queue")
local run = require("flows.rehearsal.run")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local time = require("neap.time")
local unit_book = require("flows.unit_book")

local order = {}

local AMOUNT = {type = "string", pattern = "^%d+%.?%d*$", hint = "\"29.98\""}
local IDS = {type = "list", items = {type = "string", min_length = 1}}

local function ids(help)
    return {type = "list", items = IDS.items, default = {}, help = help}
end

local function instant(help)
    return {type = "string", help = help, check = run.AT.check}
end

--- Field `order` of a case.
order.FIELD = {type = "record", fields = {
    id = {type = "string", required = true, help = "of the order in SCAYLE"},
    shop_key = {type = "string", default = "main"},
    country = {type = "string", default = "GB", pattern = "^%u%u$", hint = "\"GB\""},
    currency = {type = "string", default = "GBP", pattern = "^%u%u%u$", hint = "\"GBP\""},
    reference = {type = "string", help = "of the order in Khaos; without it SC and the id"},
    khaos_code = {type = "string", help = "Khaos's sales order; without it SO and the id"},
    scayle_key = {type = "string",
        help = "SCAYLE's orderReferenceKey; without it the shop, the country and the id"},
    state = {type = "string", enum = {"posted", "under way", "never posted"}, default = "posted"},
    delivery = AMOUNT,
    promised_at = instant("until when it was to have left"),
    closes_at = instant("when SCAYLE closes it as if it had been sent"),
    lines = {type = "list", required = true, min = 1, items = {type = "record", fields = {
        stock_code = {type = "string", required = true},
        units = {type = "list", required = true, min = 1, items = IDS.items},
        paid = {type = "string", pattern = AMOUNT.pattern, hint = AMOUNT.hint, default = "0.00",
            help = "what the shopper paid for all units of the line"},
        warehouse = {type = "integer", help = "SCAYLE's id of the warehouse where they lie"},
        import_ref = {type = "string", help = "of the line in Khaos; without it L and its number"},
    }}},
    shipped = ids("units that have left, and SCAYLE knows it"),
    cancelled = ids("units that SCAYLE shows as cancelled"),
    khaos_cancelled = ids("units that both sides show as cancelled"),
    returned = ids("units that came back, and both sides know it"),
    scayle_returned = ids("units that only SCAYLE shows as returned"),
    urn = {type = "string", default = "U1", help = "the customer's code in Khaos"},
}}

local function minor(given, amount)
    local value = money.decimal(amount)
    local found = value and value:to_minor(money.digits(given.currency) or 2)
    return found or error(string.format("order: %q is no amount of %s", amount, given.currency), 0)
end

local LISTS = {"shipped", "cancelled", "khaos_cancelled", "returned", "scayle_returned"}

local function check_units(given)
    local known = {}
    for _, line in ipairs(given.lines) do
        for _, id in ipairs(line.units) do
            known[id] = true
        end
    end
    for _, field in ipairs(LISTS) do
        for _, id in ipairs(given[field]) do
            if not known[id] then
                error(string.format("order.%s: the order has no unit %q", field, id), 0)
            end
        end
    end
end

-- As much of a posting as a book of units is made of.
local function posting_of(given)
    local posting = {currency = given.currency, lines = {}}
    local total = minor(given, given.delivery or "0")
    for i, line in ipairs(given.lines) do
        local gross = minor(given, line.paid)
        total = total + gross
        posting.lines[i] = {kind = "item", stock_code = line.stock_code, unit_ids = line.units,
            quantity = #line.units, import_ref = line.import_ref or "L" .. i,
            predicted = {gross_minor = gross}, value = {moved_minor = 0}}
    end
    posting.predicted = {gross_minor = total}
    return posting
end

-- What the orders flow offered to Khaos Control Cloud, as far as a return needs it, and fetched.
local function keep_document(reference, key)
    queue.put("orders", reference, key, {InvoiceAddress = {}, InvoiceContact = {}})
    queue.take_these("orders", {reference})
end

local FACTS = {shipped = "ship", khaos_cancelled = "cancel", returned = "return"}

local function tell_book(given, key)
    order_units.change(key, function(book)
        for field, kind in pairs(FACTS) do
            unit_book.apply(book, {kind = kind, id = "case:" .. field, origin = "case",
                at_ms = time.now_ms(), units = given[field]})
        end
    end)
end

--- The order's names: key, reference, order_code, scayle_key.
---@param given table field `order`
---@return table
function order.names(given)
    return {key = string.format("order:%s:%s", given.shop_key, given.id),
        reference = given.reference or "SC" .. given.id,
        order_code = given.khaos_code or "SO" .. given.id,
        scayle_key = given.scayle_key
            or string.format("%s%s-%s", given.shop_key, given.country:lower(), given.id)}
end

--- Puts it where the flows look for it.
---@param given table field `order`
---@param merchant string|nil
function order.keep(given, merchant)
    check_units(given)
    local names, posting = order.names(given), posting_of(given)
    local record = {order_id = given.id, shop_key = given.shop_key, country = given.country,
        currency = given.currency, merchant = merchant, reference = names.reference,
        urn = given.urn}
    if given.state == "posted" then
        record.order_code = names.order_code
        record.posted_ms = time.now_ms()
        order_units.begin(names.key, posting, {order_id = given.id,
            promise_ms = given.promised_at and time.parse_iso(given.promised_at),
            force_close_ms = given.closes_at and time.parse_iso(given.closes_at)})
        tell_book(given, names.key)
        local lines = {key = names.key, lines = posting.lines}
        for name, value in pairs(record) do
            lines[name] = value
        end
        store.put(support.LINES, names.reference, lines)
        customer_orders.add(given.urn, names.reference)
        keep_document(names.reference, names.key)
    elseif given.state == "never posted" then
        record.ended = "cancelled before it was posted"
    end
    store.put(support.RECORDS, names.key, record)
    support.call_by(names.scayle_key, names.key)
end

local STATES = {{"cancelled", "cancelled"}, {"khaos_cancelled", "cancelled"},
    {"returned", "returned"}, {"scayle_returned", "returned"}, {"shipped", "shipped"}}

-- unit id -> its state in SCAYLE
local function states_of(given)
    local states = {}
    for i = #STATES, 1, -1 do
        for _, id in ipairs(given[STATES[i][1]]) do
            states[id] = STATES[i][2]
        end
    end
    return states
end

local function item_of(line, number, state, gross_minor, merchant)
    local count, id = #line.units, line.units[number]
    local odd = number <= gross_minor % count and 1 or 0
    return {id = math.tointeger(tonumber(id)) or id, status = state or "available",
        warehouseId = line.warehouse, variant = {referenceKey = line.stock_code},
        price = {withTax = gross_minor // count + odd},
        merchant = merchant and {referenceKey = merchant} or nil}
end

--- The order as SCAYLE shows it.
---@param given table field `order`
---@param merchant string|nil
---@return table
function order.document(given, merchant)
    local states, items, total = states_of(given), {}, minor(given, given.delivery or "0")
    for _, line in ipairs(given.lines) do
        local gross = minor(given, line.paid)
        total = total + gross
        for number, id in ipairs(line.units) do
            items[#items + 1] = item_of(line, number, states[id], gross, merchant)
        end
    end
    return {id = math.tointeger(tonumber(given.id)) or given.id, items = items,
        currencyCode = given.currency, cost = {withTax = total},
        detailedStatus = {billing = {code = "billing_completed"}}}
end

return order
