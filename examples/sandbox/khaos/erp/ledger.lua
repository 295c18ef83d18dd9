--- What the simulated Khaos holds, for tests and summaries, and the moves a person in Khaos would
--- make.

local calc = require("erp.calc")
local control = require("lib.sandbox.control")
local customers = require("erp.customers")
local json = require("neap.json")
local orders = require("erp.orders")

local ledger = {}

local function shown(w, order)
    local customer = customers.get(w, order.urn)
    local view = {}
    for name, value in pairs(order) do
        view[name] = value
    end
    view.customer = customer
    view.copies = #orders.codes_of(w, order.reference)
    return view
end

--- GET _control/ledger[?reference=]: orders with lines, payments, totals and customer; how often
--- each reference was imported; what is wrong at first sight.
---@param w table
---@param query table<string, string>
---@return table
function ledger.view(w, query)
    local list, references = json.array({}), {}
    local summary = {orders = 0, amount_differs = 0, duplicates = 0, matched_by_name = 0,
        unpaid = 0}
    for _, order in ipairs(orders.all(w)) do
        local copies = #orders.codes_of(w, order.reference)
        references[order.reference] = copies
        summary.orders = summary.orders + 1
        summary.amount_differs = summary.amount_differs + (order.amount_differs and 1 or 0)
        summary.duplicates = summary.duplicates + (copies > 1 and 1 or 0)
        summary.matched_by_name = summary.matched_by_name + (order.matched_by == "name" and 1 or 0)
        summary.unpaid = summary.unpaid + (order.payments_minor ~= order.totals.gross and 1 or 0)
        local is_wanted = not query.reference or query.reference == order.reference
        if is_wanted and not query.brief then
            list[#list + 1] = shown(w, order)
        end
    end
    local view = {orders = list, references = references, summary = summary}
    if not query.brief then
        local calls = {operation = "ImportOrders", limit = "10000"}
        view.import_calls = control.calls(w.store, calls)
    end
    return view
end

local function invoice_items(order, wanted)
    local items, quantity = {}, 0
    for _, entry in ipairs(wanted or order.lines) do
        local count = math.tointeger(tonumber(entry.quantity)) or 0
        items[#items + 1] = {stock_code = entry.stock_code, quantity = count}
        quantity = quantity + count
    end
    return items, quantity
end

local ACTIONS = {}

function ACTIONS.cancel(w, order, body)
    orders.cancel(w, order, body.reason or "Cancelled by hand")
end

function ACTIONS.stage(w, order, body)
    order.stage = math.tointeger(body.stage) or order.stage
    orders.save(w, order)
end

function ACTIONS.ship(w, order, body)
    local number = control.next_number(w.store, "invoice", 310220)
    local items, quantity = invoice_items(order, body.items)
    local consignment = body.consignment or ("CN%07dGB"):format(number)
    order.invoices[#order.invoices + 1] = {
        code = ("INV%d"):format(number),
        created_ms = w.now_ms,
        shipped_ms = w.now_ms,
        stage = 70,
        courier = body.courier or order.header.COURIER_CODE or "STD48",
        consignment = consignment,
        tracking_url = "https://tracking.example/" .. consignment,
        items = items,
        quantity = quantity,
        completes = body.items == nil,
    }
    order.stage, order.issued_ms = 70, w.now_ms
    orders.save(w, order)
end

--- POST _control/orders {code|reference, action = "ship"|"cancel"|"stage", ...}.
---@param w table
---@param body table
---@return neap.Reply
function ledger.act(w, body)
    local codes = body.reference and orders.codes_of(w, body.reference) or {body.code}
    local order = codes[1] and orders.get(w, codes[1])
    if not order then
        return control.reply(404, {error = "no such order"})
    end
    local action = ACTIONS[body.action or ""]
    if not action then
        return control.bad("action must be ship, cancel or stage")
    end
    action(w, order, body)
    return control.reply(200, {code = order.code, stage = order.stage,
        total = calc.text(order.totals.gross)})
end

return ledger
