--- Asks the merchant to cancel an order it holds; only "successful" cancels it.

local catalogue = require("shop.catalogue")
local json = require("neap.json")
local orders = require("shop.orders")
local sender = require("shop.sender")
local store = require("neap.store")
local time = require("neap.time")
local world = require("shop.world")

local TRIES = 5
local RETRY_MS = 3000

local function open(job)
    return world.open({store = store, time = time, settings = job.settings})
end

-- The call names warehouses, not items: all, or those asked for.
local function ask(w, order_id, warehouse_ids)
    local merchant = catalogue.MERCHANT.referenceKey
    return sender.post(w.settings.cancellation_path, {
        orderReferenceKey = orders.record(w, order_id).order_reference_key,
        fulfillingMerchantKey = merchant,
        merchantKey = merchant,
        companyId = catalogue.COMPANY_ID,
        warehouseIds = warehouse_ids or orders.warehouse_ids(orders.get(w, order_id)),
    }, w.settings.answer_timeout_ms)
end

local function attempt(job, order_id, warehouse_ids)
    local w = open(job)
    if not orders.get(w, order_id) then
        return {is_over = true}
    end
    local result = ask(w, order_id, warehouse_ids)
    local body = result.body and json.decode(result.body)
    local is_answer = result.status == 201 and type(body) == "table"
        and body.cancellationResult ~= nil
    local after = open(job)
    local record = orders.record(after, order_id)
    record.cancellations[#record.cancellations + 1] = {
        at_ms = after.now_ms,
        status = result.status,
        body = result.body,
        problem = result.problem,
    }
    orders.save_record(after, record)
    if is_answer and body.cancellationResult == "successful" then
        local order = orders.get(after, order_id)
        orders.cancel_items(after, order, warehouse_ids and orders.items_in(order, warehouse_ids))
    end
    return {is_over = is_answer}
end

local function run(job)
    local asked = json.decode(job.event.payload)
    for number = 1, TRIES do
        local result = job:step("ask " .. number, function()
            return attempt(job, asked.order_id, asked.warehouse_ids)
        end)
        if result.is_over then
            return
        end
        job:sleep("retry " .. number, RETRY_MS * number)
    end
end

return {name = "cancellation", version = 1, run = run}
