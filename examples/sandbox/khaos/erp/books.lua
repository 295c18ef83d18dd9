--- GET _control/books: Khaos's orders, credit notes and stock, short and page by page, for whoever
--- checks them at the end of a day with thousands.

local cloud_channel = require("erp.cloud_channel")
local json = require("neap.json")
local orders = require("erp.orders")
local returns = require("erp.returns")
local stock = require("erp.stock")

local books = {}

local PAGE = 500

local function line_of(line)
    return {
        sku = line.stock_code,
        quantity = math.tointeger(tonumber(line.quantity)) or 0,
        minor = line.gross_minor,
        is_pack = line.is_pack_header,
        pack = line.pack,
    }
end

local function order_of(order)
    local lines, invoices = json.array({}), json.array({})
    for i, line in ipairs(order.lines) do
        lines[i] = line_of(line)
    end
    for i, invoice in ipairs(order.invoices) do
        invoices[i] = {stage = invoice.stage, items = json.array(invoice.items)}
    end
    return {
        code = order.code,
        reference = order.reference,
        currency = order.currency,
        gross_minor = order.totals.gross,
        delivery_minor = order.delivery.gross,
        payments_minor = order.payments_minor,
        cancelled = order.cancelled ~= nil,
        imported_ms = order.imported_ms,
        lines = lines,
        invoices = invoices,
    }
end

-- Drafts and cancelled credit notes give nothing back.
local function credit_of(credit)
    local is_issued = returns.is_issued(credit)
    return {
        code = credit.code,
        reference = credit.reference,
        currency = credit.currency,
        items = json.array(is_issued and credit.items or {}),
        minor = is_issued and credit.items_minor + credit.delivery_minor or 0,
    }
end

local READERS = {
    orders = {"erp_orders", order_of},
    credits = {"erp_credits", credit_of},
}

local function level_of(item)
    return {
        sku = item.code,
        level = item.levels["1"] or 0,
        lowest = item.lowest,
        buffer = item.buffer,
        controlled = item.controlled,
        discontinued = item.discontinued,
        kit = item.kit,
    }
end

---@param w table
---@param query table<string, string> of: orders (default), credits, cloud_credits, stock; after:
---the last code
---@return table {entries, next}
function books.page(w, query)
    local entries = json.array({})
    if query.of == "stock" then
        for i, item in ipairs(stock.all(w)) do
            entries[i] = level_of(item)
        end
        return {entries = entries}
    elseif query.of == "cloud_credits" then
        return {entries = json.array(cloud_channel.credits(w))}
    end
    local reader = READERS[query.of or "orders"]
    local list = w.store.range(reader[1], {after = query.after, limit = PAGE})
    for i, entry in ipairs(list) do
        entries[i] = reader[2](entry.value)
    end
    return {entries = entries, next = #list == PAGE and list[#list].key or nil}
end

--- A person's slip or worse: the order comes to more (or less) than its lines.
---@param w table
---@param order table
---@param body {minor: integer}
function books.tamper(w, order, body)
    order.totals.gross = order.totals.gross + body.minor
    orders.save(w, order)
end

return books
