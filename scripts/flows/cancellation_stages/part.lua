--- A cancellation that names only some of our warehouses: the units that lie there are meant, the
--- others are still wanted. What is left of the order must never be ended by it, so there is no
--- tombstone.
---
---     nothing else of the order is left       the whole order's cancellation
---     never posted, or all of it cancelled    successful; dismissed by a person: refused
---     none of our units lies there            refused
---     a unit of which SCAYLE does not say where it lies   refused, and "cancel_part"
---     a warehouse that cannot be read         refused, and "cancel_part"
---     not on its way to Khaos yet             successful: it is posted without them, or held
---     on its way                              decided when it came to rest
---     waiting for Khaos Control Cloud         refused, and "cancel_part"
---     posted                                  what flows.unit_stages.asked has Khaos do
local cancellation = require("connectors.scayle.cancellation")
local decide = require("flows.cancellation_stages.decide")
local json = require("neap.json")
local order_units = require("flows.order_units")
local orders = require("connectors.scayle.orders")
local part_desk = require("flows.cancellation_stages.part_desk")
local read = require("flows.orders.read")
local scayle_client = require("connectors.scayle.client")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local unit_events = require("flows.unit_stages.events")
local unwanted = require("flows.order_stages.unwanted")

local part = {}

part.EVENT = "cancellation.part_asked"

local function set_of(ids)
    local set = {}
    for _, id in ipairs(ids) do
        set[id] = true
    end
    return set
end

--- Does the call leave out one of our warehouses? One that names none means all.
---@param settings {warehouse_ids: integer[]|nil}
---@param asked scayle.Cancellation
---@return boolean
function part.is_part(settings, asked)
    local named = set_of(asked.warehouse_ids)
    for _, id in ipairs(#asked.warehouse_ids > 0 and settings.warehouse_ids or {}) do
        if not named[tostring(id)] then
            return true
        end
    end
    return false
end

--- The name that the decision on it is kept under.
---@param asked scayle.Cancellation
---@return string
function part.name(asked)
    local ids = table.move(asked.warehouse_ids, 1, #asked.warehouse_ids, 1, {})
    table.sort(ids)
    return asked.order_reference_key .. " at " .. table.concat(ids, ",")
end

--- The decision on it, nil while there is none: also when the whole order was cancelled since.
---@param asked scayle.Cancellation
---@return "successful"|"refused"|nil
function part.known(asked)
    if decide.known(asked.order_reference_key) == "successful" then
        return "successful"
    end
    return decide.known(part.name(asked))
end

-- Units that are cancelled on our side though SCAYLE may not show it yet.
local function is_out_of(key)
    local out, book = unwanted.of(key) or {}, order_units.load(key)
    for _, unit in ipairs(book and book.units or {}) do
        out[unit.id] = unit.cancelled and true or out[unit.id]
    end
    return out
end

local function sort_out(items, asked, merchant, out)
    local named, found = set_of(asked.warehouse_ids), {there = {}, count = 0, elsewhere = 0,
        unplaced = 0}
    for _, item in ipairs(items) do
        local is_ours = not merchant or not item.merchant or item.merchant == merchant
        local is_there = item.place ~= nil and named[item.place] == true
        local is_open = is_ours and not item.is_cancelled and not out[item.id]
        found.count = found.count + (is_ours and is_there and 1 or 0)
        if is_open and is_there then
            found.there[#found.there + 1] = {id = item.id, sku = item.sku}
        elseif is_open then
            local kind = item.place and "elsewhere" or "unplaced"
            found[kind] = found[kind] + 1
        end
    end
    return found
end

-- An item of SCAYLE's order, without what is personal or not needed; one that names no merchant is
-- ours (flows.orders.read).
local function item_of(item)
    local id = read.text(item, "id")
    return {id = id, place = read.text(item, "warehouseId"),
        merchant = read.text(read.table(item, "merchant"), "referenceKey"),
        sku = read.text(read.table(item, "variant"), "referenceKey") or id,
        is_cancelled = orders.is_item_cancelled(item)}
end

-- Our units in SCAYLE that are not cancelled yet, on either side: those that lie there, how many
-- are left elsewhere, and of how many it is not said; how many lie there at all.
local function look(job, asked, key, record, name)
    local scayle = scayle_client.new(job.settings.scayle)
    local where = {shop_key = record.shop_key, country = record.country}
    local order = job:step(name, function()
        local order, err = orders.get(scayle, where, record.order_id)
        order = support.check({job = job}, "SCAYLE", order, err)
        local items = json.array({})
        for i, item in ipairs(read.table(order, "items")) do
            items[i] = item_of(item)
        end
        return {items = items}
    end)
    return sort_out(order.items, asked, decide.merchant(job, asked), is_out_of(key))
end

local function answer(job, asked, result, why)
    local name = part.name(asked)
    decide.note(job, name, result, why)
    decide.give(job, name, asked.order_reference_key, result)
end

local function refuse_unknown(job, asked)
    job:open_exception({cause = "cancellation_unknown", subject = asked.order_reference_key,
        message = string.format("The shopper wants a part of order %s cancelled (warehouses %s), "
            .. "which this integration did not post", asked.order_reference_key,
            table.concat(asked.warehouse_ids, ",")),
        remedy = "Cancel its units by hand, in SCAYLE and, when it is there, in Khaos; close this.",
        recheck = "manual"})
    answer(job, asked, "refused", "not posted by this integration")
end

local function refuse_unread(job, asked, record)
    part_desk.ask(job, record, {place = table.concat(asked.warehouse_ids, ","),
        text = "the units of warehouses that the call names in a way that cannot be read"})
    answer(job, asked, "refused", "a warehouse cannot be read")
end

-- ---- deciding --------------------------------------------------------------------------------

local function wish_of(asked, units)
    local ids = json.array({})
    for i, unit in ipairs(units) do
        ids[i] = unit.id
    end
    return {name = part.name(asked), units = ids, text = part_desk.text(units),
        place = table.concat(asked.warehouse_ids, ",")}
end

-- Which units it is about is kept with the decision: SCAYLE may have to be told of it later.
local function remember_units(key, wish)
    local entry = store.get(decide.TABLE, wish.name) or {tries = 1, until_ms = 0}
    entry.key, entry.units = key, wish.units
    store.put(decide.TABLE, wish.name, entry)
end

-- Behind a look: what SCAYLE shows as cancelled already is taken out first.
local function ask_khaos(job, key, wish)
    local id, flow = wish.name .. ":" .. job.event.id, job.settings.orders_flow
    job:emit(unit_events.look("scayle.cancellation.part", id .. ":look", key, flow))
    job:emit(unit_events.asked(id, key, flow, wish))
end

-- One try on an order that is known; false: it is on its way.
local function try(job, asked, key, wish)
    local record, name = support.record(key), wish.name
    remember_units(key, wish)
    if part.known(asked) then
        decide.give(job, name, asked.order_reference_key, part.known(asked))
    elseif record.order_code then
        ask_khaos(job, key, wish)
        return false
    elseif record.ended and decide.is_strange(job, record) then
        refuse_unknown(job, asked)
    elseif record.ended then
        answer(job, asked, "successful", "never posted: " .. record.ended)
    elseif record.offered then
        part_desk.ask(job, record, wish)
        answer(job, asked, "refused", "Khaos may fetch it: a person must cancel a part of it")
    elseif unwanted.take_off(key, wish.units) then
        answer(job, asked, "successful", "not on its way yet: it is posted without them")
    else
        return false
    end
    return true
end

-- What the units that lie there say by themselves; nil when the order decides.
local function from_units(job, asked, record, found, whole)
    if found.count == 0 then
        answer(job, asked, "refused", "none of its units lies there")
    elseif found.unplaced > 0 then
        part_desk.ask(job, record, wish_of(asked, found.there), string.format(
            "SCAYLE does not say where %d of its units lie", found.unplaced))
        answer(job, asked, "refused", "it is not known which units are meant")
    elseif #found.there == 0 then
        answer(job, asked, "successful", "its units there are cancelled already")
    elseif found.elsewhere == 0 then
        return whole()
    else
        return nil
    end
    return true
end

--- Decides on it, as far as that can be done now.
---@async
---@param job neap.Job
---@param asked scayle.Cancellation
---@param by {look: string, wait: fun(fn: fun(): boolean), whole: fun(): boolean} name of the look
--- at SCAYLE; what waits for an order that is on its way; what decides on the whole order
function part.settle(job, asked, by)
    local key, record = decide.order_of(asked.order_reference_key)
    if not record or decide.is_strange(job, record) then
        return refuse_unknown(job, asked)
    elseif record.ended and not record.order_code then
        return answer(job, asked, "successful", "never posted: " .. record.ended)
    end
    if set_of(asked.warehouse_ids)[cancellation.UNREAD] then
        return refuse_unread(job, asked, record)
    end
    local found = look(job, asked, key, record, by.look)
    if from_units(job, asked, record, found, by.whole) == nil then
        local wish = wish_of(asked, found.there)
        by.wait(function()
            return try(job, asked, key, wish)
        end)
    end
end

--- The job of an event "cancellation.part_asked".
---@async
---@param job neap.Job
---@return boolean is_heard false: SCAYLE does not know the decision
---@return boolean is_whole it is about all that is left of the order, and decided as such
function part.run(job)
    local asked = assert(cancellation.parse(job.event.payload))
    local name, reference = part.name(asked), asked.order_reference_key
    decide.wait(job, "order known", function()
        local _, record = decide.order_of(reference)
        return part.known(asked) ~= nil or record ~= nil
    end)
    if part.known(asked) then
        decide.give(job, name, reference, part.known(asked))
        return decide.is_heard(name), false
    end
    local is_whole, is_heard = false, false
    part.settle(job, asked, {look = "units there", wait = function(fn)
        decide.wait(job, "order under way", fn)
    end, whole = function()
        is_whole, is_heard = true, decide.run(job)
        return true
    end})
    return is_whole and is_heard or decide.is_heard(name), is_whole
end

return part
