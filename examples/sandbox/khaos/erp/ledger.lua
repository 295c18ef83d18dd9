--- What the simulated Khaos holds, for tests and summaries, and the moves a person in Khaos would
--- make.

local books = require("erp.books")
local calc = require("erp.calc")
local control = require("lib.sandbox.control")
local customers = require("erp.customers")
local json = require("neap.json")
local orders = require("erp.orders")
local returns = require("erp.returns")

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
    local view = {orders = list, references = references, summary = summary,
        returns = json.array(returns.all(w)), credits = json.array(orders.credits(w))}
    if not query.brief then
        local calls = {operation = "ImportOrders", limit = "10000"}
        view.import_calls = control.calls(w.store, calls)
    end
    return view
end

-- What no invoice holds yet, by stock code in line order. Packs leave as what they are made of.
local function rest_of(order)
    local sent, rest = {}, {}
    for _, invoice in ipairs(order.invoices) do
        for _, item in ipairs(invoice.items) do
            sent[item.stock_code] = (sent[item.stock_code] or 0) + item.quantity
        end
    end
    for _, line in ipairs(order.lines) do
        local count = math.tointeger(tonumber(line.quantity)) or 0
        local taken = math.min(count, sent[line.stock_code] or 0)
        sent[line.stock_code] = (sent[line.stock_code] or 0) - taken
        if count > taken and not line.is_pack_header then
            rest[#rest + 1] = {stock_code = line.stock_code, quantity = count - taken}
        end
    end
    return rest
end

local function invoice_items(order, wanted)
    local items, quantity = {}, 0
    for _, entry in ipairs(wanted or rest_of(order)) do
        local count = math.tointeger(tonumber(entry.quantity)) or 0
        items[#items + 1] = {stock_code = entry.stock_code, quantity = count,
            import_ref = entry.import_ref}
        quantity = quantity + count
    end
    return items, quantity
end

local function boxes_of(body, number)
    local boxes = {}
    for i, box in ipairs(body.boxes or {}) do
        boxes[i] = {items = box.items,
            consignment = box.consignment or ("CN%07d-%dGB"):format(number, i)}
    end
    return #boxes > 0 and boxes or nil
end

local ACTIONS = {}

function ACTIONS.cancel(w, order, body)
    orders.cancel(w, order, body.reason or "Cancelled by hand")
end

function ACTIONS.stage(w, order, body)
    order.stage = math.tointeger(body.stage) or order.stage
    orders.save(w, order)
end

local function tracking_url(consignment)
    return consignment ~= "" and "https://tracking.example/" .. consignment or ""
end

-- One invoice: all that is left, the items named, or boxes of items; consignment "": none yet.
function ACTIONS.ship(w, order, body)
    local number = control.next_number(w.store, "invoice", 310220)
    local wanted = body.items
    for _, box in ipairs(body.boxes or {}) do
        wanted = wanted or {}
        table.move(box.items, 1, #box.items, #wanted + 1, wanted)
    end
    local items, quantity = invoice_items(order, wanted)
    local consignment = body.consignment or ("CN%07dGB"):format(number)
    order.invoices[#order.invoices + 1] = {
        code = ("INV%d"):format(number),
        created_ms = w.now_ms,
        shipped_ms = w.now_ms,
        stage = math.tointeger(body.invoice_stage) or 70,
        courier = body.courier or order.header.COURIER_CODE or "STD48",
        consignment = consignment,
        tracking_url = tracking_url(consignment),
        items = items,
        boxes = boxes_of(body, number),
        quantity = quantity,
    }
    order.invoices[#order.invoices].completes = #rest_of(order) == 0
    order.stage, order.issued_ms = 70, w.now_ms
    orders.save(w, order)
end

ACTIONS.tamper = books.tamper

function ACTIONS.take_off(w, order, body)
    orders.take_off(w, order, body.items or {})
end

-- A person edits the price of a line.
function ACTIONS.edit(w, order, body)
    return {is_done = orders.reprice(w, order, body.stock_code, body.price)}
end

-- A person enters the order a second time.
function ACTIONS.enter_again(w, order)
    return {code = orders.enter_again(w, order)}
end

-- The newest invoice is issued.
function ACTIONS.issue(w, order)
    local invoice = order.invoices[#order.invoices]
    if invoice then
        invoice.stage = 70
        orders.save(w, order)
    end
end

-- The tracking number comes later.
function ACTIONS.track(w, order, body)
    local invoice = order.invoices[#order.invoices]
    if invoice then
        invoice.consignment = body.consignment or "CN-LATE"
        invoice.tracking_url = tracking_url(invoice.consignment)
        orders.save(w, order)
    end
end

-- See erp.returns.
function ACTIONS.credit(w, order, body)
    return {credit_note = returns.credit(w, order, body)}
end

-- A credit note is issued, cancelled or corrected; see erp.returns.
function ACTIONS.credit_note(w, order, body)
    return {credit_note = returns.change(w, order, body)}
end

ACTIONS["return"] = function(w, order, body)
    return {return_code = returns.enter(w, order, body)}
end

--- POST _control/orders {code|reference, action = "ship"|"issue"|"track"|"credit"|"credit_note"|
--- "return"|"cancel"|"take_off"|"edit"|"enter_again"|
--- "stage"|"tamper", ...}.
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
        return control.bad("action must be ship, issue, track, credit, credit_note, return, "
            .. "cancel, take_off, edit, enter_again, stage or tamper")
    end
    if body.action == "ship" and order.cancelled then
        return control.reply(409, {error = "the order is cancelled"})
    end
    local made = action(w, order, body) or {}
    if made.is_done == false then
        return control.bad("the order has no such line")
    end
    return control.reply(200, {code = made.code or order.code, stage = order.stage,
        total = calc.text(order.totals.gross), credit_note = made.credit_note,
        return_code = made.return_code})
end

return ledger
