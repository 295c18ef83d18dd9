--- A cancellation that names only some of our warehouses: the units that lie there are meant, the
--- others are still wanted. What is left of the order must never be ended by it, so there is no
--- tombstone; no service of Khaos takes single units off an order, so a person is asked.
---
---     nothing else of the order is left       the whole order's cancellation
---     never posted, or all of it cancelled    successful
---     none of our units lies there            refused
---     else                                    refused, and "cancel_part" names the units
local cancellation = require("connectors.scayle.cancellation")
local decide = require("flows.cancellation_stages.decide")
local orders = require("connectors.scayle.orders")
local scayle_client = require("connectors.scayle.client")
local support = require("flows.order_stages.support")

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

-- Our units in SCAYLE that are not cancelled yet: stock codes of those that lie there, how many lie
-- there at all, how many are left elsewhere.
local function look(job, asked, record)
    local scayle = scayle_client.new(job.settings.scayle)
    local where = {shop_key = record.shop_key, country = record.country}
    return job:step("units there", function()
        local order, err = orders.get(scayle, where, record.order_id)
        order = support.check({job = job}, "SCAYLE", order, err)
        local named, found = set_of(asked.warehouse_ids), {skus = {}, there = 0, elsewhere = 0}
        for _, item in ipairs(order.items or {}) do
            local owner = type(item.merchant) == "table" and item.merchant.referenceKey
            local is_ours = not asked.merchant or owner == asked.merchant
            local is_there = item.warehouseId ~= nil and named[tostring(item.warehouseId)]
            local is_open = not orders.is_item_cancelled(item)
            if is_ours and is_there then
                found.there = found.there + 1
                found.skus[#found.skus + 1] = is_open
                    and ((item.variant or {}).referenceKey or tostring(item.id)) or nil
            elseif is_ours and is_open then
                found.elsewhere = found.elsewhere + 1
            end
        end
        return found
    end)
end

local function counted(skus)
    local counts, list = {}, {}
    for _, sku in ipairs(skus) do
        list[#list + 1] = not counts[sku] and sku or nil
        counts[sku] = (counts[sku] or 0) + 1
    end
    for i, sku in ipairs(list) do
        list[i] = string.format("%d x %s", counts[sku], sku)
    end
    return table.concat(list, ", ")
end

local function answer(job, asked, result, why)
    decide.note(job, part.name(asked), result, why)
    job:answer(cancellation.answer(asked.order_reference_key, decide.word(job.settings, result)))
end

local function ask_a_person(job, asked, record, skus)
    local remedy = record.order_code
        and string.format("Take them off sales order %s in Khaos before it is sent, and cancel "
            .. "them in SCAYLE; then close this. If they must be sent, dismiss it.",
            record.order_code)
        or "Cancel them in SCAYLE: while the order is not in Khaos yet, only what is left is "
            .. "posted. If it is there by then, take them off in Khaos too. Then close this."
    job:open_exception({cause = "cancel_part", subject = string.format("%s at %s",
        record.order_id, table.concat(asked.warehouse_ids, ",")),
        message = string.format("The shopper wants a part of order %s cancelled: %s",
            record.order_id, counted(skus)), remedy = remedy, recheck = "manual"})
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

--- The job of an event "cancellation.part_asked". False: as decide.run.
---@async
---@param job neap.Job
---@return boolean
function part.run(job)
    local asked = assert(cancellation.parse(job.event.payload))
    decide.wait(job, "order known", function()
        local _, record = decide.order_of(asked.order_reference_key)
        return part.known(asked) ~= nil or record ~= nil
    end)
    local known = part.known(asked)
    local _, record = decide.order_of(asked.order_reference_key)
    if known then
        job:answer(cancellation.answer(asked.order_reference_key,
            decide.word(job.settings, known)))
        return true
    elseif not record or decide.is_strange(job, record) then
        refuse_unknown(job, asked)
        return true
    elseif record.ended and not record.order_code then
        answer(job, asked, "successful", "never posted: " .. record.ended)
        return true
    end
    local found = look(job, asked, record)
    if found.there == 0 then
        answer(job, asked, "refused", "none of its units lies there")
    elseif #found.skus == 0 then
        answer(job, asked, "successful", "its units there are cancelled already")
    elseif found.elsewhere == 0 then
        return decide.run(job) -- it is about the whole order
    else
        ask_a_person(job, asked, record, found.skus)
        answer(job, asked, "refused", "a person must cancel a part of it")
    end
    return true
end

return part
