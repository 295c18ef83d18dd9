--- One posted and shipped order between a SCAYLE and a Khaos of a few lines, for tests of the
--- returns flow: what either side does is an event, played through the flow by hand.
local fake_job = require("fake_job")
local flow = require("flows.returns")
local json = require("neap.json")
local order_units = require("flows.order_units")
local schema = require("lib.schema")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local unit_book = require("flows.unit_book")

local returns_world = {}

local KEY, ORDER, REFERENCE, CODE = "order:fo:7", "7", "SC7", "SO7"
returns_world.KEY = KEY

---@class ReturnsWorld
local World = {}
World.__index = World

function returns_world.settings(more)
    local given = {merchant_key = "fellside"}
    for name, value in pairs(more or {}) do
        given[name] = value
    end
    assert(schema.check(flow.schema, given, "settings"))
    return schema.with_defaults(flow.schema, given)
end

local function reply(status, body)
    return {status = status, headers = {}, body = body and json.encode(body) or "", elapsed_ms = 1}
end

local function shown_order(w)
    local items, fees = {}, {}
    for i, fee in ipairs(w.fees) do
        fees[i] = {category = fee.category, key = fee.key,
            amount = {withTax = fee.minor}}
    end
    for i, unit in ipairs(w.units) do
        items[i] = {id = tonumber(unit.id), status = w.status[unit.id] or "shipped",
            price = {withTax = unit.price, absoluteVoucherReducedPrice = unit.reduced and
                {withTax = unit.reduced} or nil}}
    end
    return {id = 7, currencyCode = "GBP", items = items,
        cost = {withTax = w.total, appliedFees = fees},
        detailedStatus = {billing = {code = w.billing}}}
end

-- SCAYLE's answers: return-items are told once per unit or refused, as the sandbox does.
local function scayle(w, request)
    if request.method == "GET" then
        return reply(200, shown_order(w))
    elseif request.method == "PATCH" then
        local body = json.decode(request.body)
        w.billing = body.code
        table.insert(w.patches, body)
        return reply(200, shown_order(w))
    end
    for _, entry in ipairs(json.decode(request.body)) do
        if w.status[entry.returnKey] == "returned" then
            return reply(409, {errors = {}})
        end
    end
    for _, entry in ipairs(json.decode(request.body)) do
        w.status[entry.returnKey] = "returned"
        table.insert(w.told, entry.returnKey)
        w.received = entry.received
    end
    return reply(204)
end

local function begin(w)
    store.put(support.RECORDS, KEY, {order_id = ORDER, shop_key = "fo", country = "GB",
        order_code = CODE, reference = REFERENCE, urn = "U1"})
    local book = unit_book.new{key = KEY, currency = "GBP", units = w.units,
        charges = w.charges}
    local ids = {}
    for _, unit in ipairs(w.units) do
        ids[#ids + 1] = not unit.is_here and unit.id or nil
    end
    unit_book.apply(book, {kind = "ship", id = "khaos:I1", origin = "khaos", at_ms = 1,
        units = ids})
    order_units.save(book)
    store.put(support.LINES, REFERENCE, {key = KEY, order_id = ORDER, shop_key = "fo",
        country = "GB", order_code = CODE, currency = "GBP", lines = {}})
    require("flows.customer_orders").add("U1", REFERENCE)
end

--- A world with one order; units {sku, paid, price (SCAYLE's, default paid), reduced, is_here (not
--- sent yet), moved}. Of its fees (w.fees {category, key, minor}) SCAYLE shows what they cost.
---@param units table[]
---@param more table|nil settings
---@param charges table[]|nil {name, minor, fee}, default the delivery at 4.95
---@return ReturnsWorld
function returns_world.new(units, more, charges)
    local w = setmetatable({units = {}, status = {}, billing = "billing_completed", told = {},
        patches = {}, fees = {}, settings = returns_world.settings(more), notes = 0, messages = 0,
        total = 0, charges = charges or {{name = "delivery", minor = 495}}}, World)
    for _, charge in ipairs(w.charges) do
        w.total = w.total + charge.minor
    end
    for i, unit in ipairs(units) do
        w.units[i] = {id = tostring(100 + i), sku = unit[1], line = "L" .. i,
            paid_minor = unit[2], price = unit.price or unit[2], reduced = unit.reduced,
            is_here = unit.is_here, moved_minor = unit.moved}
        w.total = w.total + w.units[i].price
    end
    w.job = fake_job.world({http = function(request)
        if request.connection == "khaos" then
            return w.khaos(request)
        end
        return scayle(w, request)
    end})
    w.job:with(function()
        begin(w)
    end)
    return w
end

---@return table ended
function World:play(event)
    return (self.job:play(flow, {event = event, settings = self.settings}))
end

function World:message(name, said)
    self.messages = self.messages + 1
    said.id, said.order_key = said.id or "m" .. self.messages, KEY
    said.units = said.units and json.array(said.units)
    return {name = name, key = (name == "scayle.refund" and "refund:" or "returns:") .. KEY,
        source = "scayle.webhook", id = said.id, payload = json.encode(said)}
end

--- Khaos shows a credit note; gives its event.
---@param items table<string, integer> by stock code
---@param total integer
---@param more {delivery: integer|nil, net: integer|nil, is_stray: boolean|nil, code: string|nil,
---   state: string|nil default issued, created_on: string|nil}|nil
function World:note(items, total, more)
    more = more or {}
    self.notes = self.notes + 1
    local code, list = more.code or "CN" .. self.notes, json.array({})
    for sku, quantity in pairs(items) do
        list[#list + 1] = {stock_code = sku, quantity = quantity}
    end
    local payload = {reference = REFERENCE, seen_as = "credit:" .. code, number = self.notes}
    self.job:with(function()
        store.put("despatch_seen", payload.seen_as, {number = self.notes, snapshot = {
            order_code = code, is_credit_note = true, urn = "U1", state = more.state or "issued",
            created_on = more.created_on,
            credit = {total_minor = total, delivery_minor = more.delivery or 0, currency = "GBP",
                net_minor = more.net, items = list}}})
    end)
    return {name = more.is_stray and "khaos.stray_credit" or "khaos.credit_note",
        key = more.is_stray and "credit:" .. code or "returns:" .. KEY, source = "khaos.status",
        id = payload.seen_as .. ":" .. self.notes, payload = json.encode(payload)}, code
end

--- Khaos shows a parcel of the order, which SCAYLE was told of or not.
---@param units string[]
---@param is_told boolean
function World:parcel(units, is_told)
    self.job:with(function()
        store.put("despatch_seen", REFERENCE, {number = 1, snapshot = {order_code = CODE,
            reference = REFERENCE, parcels = {{id = "I1", invoice = "I1", items = {}}}}})
        local book = order_units.load(KEY)
        book.parcels = {I1 = {number = 1, shipment = "I1", items = {},
            units = json.array(units), is_told = is_told or nil}}
        order_units.save(book)
    end)
end

--- The job of an event, for tests that go on with it by hand: fn(); what it ended with.
---@return fun(): table
function World:job_of(event)
    local chain = fake_job.chain({event = event, settings = self.settings})
    return function()
        return (self.job:attempt(flow, chain))
    end
end

--- Plays what the flow itself said, until it says no more.
function World:settle()
    local last
    while #self.job.events > 0 do
        local event = table.remove(self.job.events, 1)
        event.payload = type(event.payload) == "table" and json.encode(event.payload)
            or event.payload
        last = self:play(event)
    end
    return last
end

---@return units.Book
function World:book()
    return self.job:with(function()
        return order_units.load(KEY)
    end)
end

--- Open exceptions, cause -> message.
function World:open()
    local list = {}
    for _, open in pairs(self.job.exceptions) do
        list[open.cause] = open.message
    end
    return list
end

return returns_world
