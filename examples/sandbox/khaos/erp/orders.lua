--- Orders of the simulated Khaos: import, the arithmetic of one order, the effect on stock, lookup.

local calc = require("erp.calc")
local control = require("lib.sandbox.control")
local customers = require("erp.customers")
local data = require("erp.data")
local json = require("neap.json")
local order_check = require("erp.order_check")
local stock = require("erp.stock")
local world = require("erp.world")
local xml = require("neap.xml")

local orders = {}

local TABLE = "erp_orders"
local REFERENCES = "erp_references"
local UPDATED = "erp_orders_updated" -- "<instant>:<code>" -> code
local FIRST_CODE = 204500
local STAGE_RELEASED = 9
local STAGE_PAYMENT = 11

local function updated_key(order)
    return ("%015d:%s"):format(order.updated_ms, order.code)
end

---@param w table
---@param code string
---@return table|nil
function orders.get(w, code)
    return w.store.get(TABLE, code)
end

---@param w table
---@param order table
function orders.save(w, order)
    if order.updated_ms then
        w.store.delete(UPDATED, updated_key(order))
    end
    order.updated_ms = w.now_ms
    w.store.put(TABLE, order.code, order)
    w.store.put(UPDATED, updated_key(order), order.code)
end

--- Orders that changed at or after an instant, in that order.
---@param w table
---@param from_ms integer
---@return table[]
function orders.updated_since(w, from_ms)
    local list = {}
    local options = {after = ("%015d"):format(math.max(0, from_ms)), limit = 10000}
    for _, entry in ipairs(w.store.range(UPDATED, options)) do
        list[#list + 1] = orders.get(w, entry.value)
    end
    return list
end

--- Khaos codes imported under a reference: one, or more when duplicate protection is off.
---@param w table
---@param reference string
---@return string[]
function orders.codes_of(w, reference)
    return w.store.get(REFERENCES, reference) or {}
end

---@param w table
---@return table[]
function orders.all(w)
    local list = {}
    for _, entry in ipairs(w.store.range(TABLE, {limit = 10000})) do
        list[#list + 1] = entry.value
    end
    return list
end

local function rate_of(w, order, line)
    local row = data.country((order.customer.delivery_address or order.customer.address).country)
    if w.settings.country_switches_tax and row and not row[5] then
        return calc.decimal("0")
    end
    return calc.decimal(data.TAX_CODES[line.tax_code])
end

local function places(setting)
    return setting >= 0 and setting or nil
end

-- What Khaos makes of a pack header that came alone: its children, at no price.
local function expand(line, lines)
    if not line.item.kit or line.has_children then
        return
    end
    for _, code in ipairs(line.item.kit) do
        lines[#lines + 1] = {stock_code = code, description = code, price = "0.00",
            price_is = line.price_is, quantity = line.values.ORDER_QTY, tax_code = line.tax_code,
            is_pack_child = true, site = line.values.SITE, discount_minor = 0, net_minor = 0,
            tax_minor = 0, gross_minor = 0}
    end
end

local function calculation(w)
    return {
        net_decimals = places(w.settings.price_net_decimals),
        gross_decimals = places(w.settings.price_gross_decimals),
        intermediate = w.settings.intermediate_rounding,
    }
end

local function calculate_lines(w, order, class)
    local options = calculation(w)
    local lines, totals = {}, {net = 0, tax = 0, gross = 0}
    for _, line in ipairs(order.lines) do
        line.rate = rate_of(w, order, line)
        local result = calc.line(line, class, options)
        lines[#lines + 1] = {
            stock_code = line.item.code,
            description = line.values.STOCK_DESC or line.item.description,
            quantity = line.values.ORDER_QTY,
            price = line.price_text,
            price_is = line.price_is,
            discount_percent = line.values.KSD_DISCOUNT,
            tax_code = line.tax_code,
            rate = line.rate,
            free_reason = line.values.FREEITEM_REASON,
            import_ref = line.values.IMPORT_REF,
            site = line.values.SITE,
            pack = line.values.PACK_SORT_ORDER,
            is_pack_header = line.item.kit ~= nil or nil,
            value_discount_minor = line.value_discount,
            discount_minor = result.discount,
            net_minor = result.net,
            tax_minor = result.tax,
            gross_minor = result.gross,
        }
        for name, sum in pairs(totals) do
            totals[name] = sum + result[name]
        end
        expand(line, lines)
    end
    for number, line in ipairs(lines) do
        line.number = number -- it keeps it when another line is taken off
    end
    return lines, totals
end

-- Any value that was sent is stored as given, 0 too; nothing sent: Khaos charges on its own.
local function delivery_of(w, header)
    local standard = calc.decimal(data.TAX_CODES["1"])
    local function minor(tag)
        return header[tag] and calc.minor(calc.decimal(header[tag]))
    end
    local net, gross = minor("DELIVERY_NET"), minor("DELIVERY_GRS")
    if net == -100 or gross == -100 then
        return {net = 0, tax = 0, gross = 0, disabled = true}
    end
    if net then
        local tax = minor("DELIVERY_TAX") or calc.tax_on(net, standard)
        return {net = net, tax = tax, gross = net + tax}
    end
    local is_own = gross == nil
    gross = gross or calc.minor(calc.decimal(w.settings.own_delivery))
    local own_tax = minor("DELIVERY_TAX_AMOUNT") -- Khaos Cloud's
    if own_tax then
        return {net = gross - own_tax, tax = own_tax, gross = gross, is_own = is_own or nil}
    end
    local part, tax = calc.split_gross(gross, standard)
    return {net = part, tax = tax, gross = gross, is_own = is_own or nil}
end

local function payments_of(order)
    local list, paid, total = {}, 0, 0
    for i, payment in ipairs(order.payments) do
        list[i] = payment
        total = total + payment.amount_minor
        if payment.is_paid then
            paid = paid + payment.amount_minor
        end
    end
    return list, paid, total
end

-- The customer the order is booked on: nil and the reason when Khaos refuses.
local function customer_of(w, order, currency)
    local wanted = order.customer
    wanted.currency = currency
    wanted.name = wanted.name or customers.name_from(wanted.address)
    if wanted.urn and not wanted.is_new and w.settings.strict
        and not customers.get(w, wanted.urn) then
        return nil, ("company code %s does not exist"):format(wanted.urn)
    end
    local found, how
    if not wanted.is_new then
        found, how = customers.match(w, wanted)
    end
    if found and found.currency ~= currency then
        return nil, ("customer %s has currency %s, the order %s"):format(found.urn,
            found.currency, currency)
    end
    if found then
        return found, how
    end
    return customers.create(w, {
        other_ref = wanted.other_ref or "",
        web_user = wanted.web_user or "",
        class = wanted.class or w.settings.default_class,
        currency = currency,
        name = wanted.name,
        tax_reference = wanted.tax_reference,
        address = wanted.address,
    }), "new"
end

local function discontinued_line(order)
    for _, line in ipairs(order.lines) do
        if line.item and line.item.discontinued then
            return line.item.code
        end
    end
    return nil
end

local function site_of(order, line)
    return line.values.SITE or order.header.SITE or data.SITES[1].name
end

-- Quantities by stock code and site, packs as what they are made of.
local function demand_of(w, order)
    local demand = {}
    local function add(code, site, quantity)
        local key = code .. "\n" .. site
        demand[key] = demand[key] or {code = code, site = site, quantity = 0}
        demand[key].quantity = demand[key].quantity + quantity
    end
    for _, line in ipairs(order.lines) do
        -- Levels are whole units in this simulation.
        local quantity = calc.divide(calc.minor(line.quantity), 100)
        -- A header whose children were sent is taken as its children are.
        local codes = line.has_children and {} or line.item.kit or {line.item.code}
        for _, code in ipairs(codes) do
            if w.store.get("erp_stock", code) then
                add(code, site_of(order, line), quantity)
            end
        end
    end
    return demand
end

local function short_item(w, demand)
    for _, need in pairs(demand) do
        local item = w.store.get("erp_stock", need.code)
        local level = item.levels[stock.site_key(need.site)]
        if item.run_to_zero and item.controlled and level < need.quantity then
            return need.code
        end
    end
    return nil
end

-- Header fields that are text; trees (custom properties, notes) are not kept.
local function texts_of(header)
    local texts = {}
    for name, value in pairs(header) do
        if type(value) == "string" then
            texts[name] = value
        end
    end
    return texts
end

-- A gross amount off the whole order (Cloud); its VAT in proportion, the contract says no more.
local function take_off(items, minor)
    if minor > 0 and items.gross > 0 then
        local tax = calc.divide(items.tax * minor * 2 + items.gross, items.gross * 2)
        items.gross, items.tax = items.gross - minor, items.tax - tax
        items.net = items.gross - items.tax
    end
end

local function record(w, order, customer, how)
    local header = order.header
    local class = order.calculation or customers.calculation(customer)
    local lines, items = calculate_lines(w, order, class)
    local delivery = delivery_of(w, header)
    local payments, paid, payments_total = payments_of(order)
    take_off(items, order.value_discount_minor or 0)
    local gross = items.gross + delivery.gross
    local amount = header.ORDER_AMOUNT and calc.minor(calc.decimal(header.ORDER_AMOUNT))
    return {
        code = ("SO%d"):format(control.next_number(w.store, "sales_order", FIRST_CODE)),
        reference = header.ASSOCIATED_REF,
        urn = customer.urn,
        other_ref = customer.other_ref,
        sent_other_ref = order.customer.other_ref,
        matched_by = how,
        surname = order.customer.address.surname,
        class = customer.class,
        calculation = class,
        currency = header.ORDER_CURRENCY_CODE or "GBP",
        order_date = header.ORDER_DATE,
        imported_ms = w.now_ms,
        header = texts_of(header),
        delivery_address = order.customer.delivery_address,
        lines = lines,
        delivery = delivery,
        items = items,
        totals = {net = items.net + delivery.net, tax = items.tax + delivery.tax, gross = gross},
        total = calc.text(gross),
        order_amount_minor = amount,
        amount_differs = amount ~= nil and amount ~= gross,
        payments = payments,
        paid_minor = paid,
        payments_minor = payments_total,
        is_fully_paid = payments_total == gross,
        stage = paid >= gross and STAGE_RELEASED or STAGE_PAYMENT,
        invoices = {},
        channel = order.channel,
        custom_data = order.custom_data,
    }
end

local function message_of(saved)
    local parts = {}
    if saved.amount_differs then
        parts[1] = ("Order total %s differs from ORDER_AMOUNT %s"):format(
            saved.total,
            calc.text(saved.order_amount_minor)
        )
    end
    if saved.payments_minor ~= saved.totals.gross then
        parts[#parts + 1] = ("Payments of %s do not cover the order exactly"):format(
            calc.text(saved.payments_minor)
        )
    end
    return table.concat(parts, "; ")
end

local function keep_reference(w, saved)
    local codes = orders.codes_of(w, saved.reference)
    codes[#codes + 1] = saved.code
    w.store.put(REFERENCES, saved.reference, codes)
end

local function refused(reference, reason)
    return {kind = "refused", reference = reference, reason = reason}
end

--- Takes an order that was read. The outcome's kind is "imported", "refused" or "fault".
---@param w table
---@param order table as order_check.read gives it
---@param problems string[]
---@param find_customer function|nil of the channel it came by
---@return table outcome
function orders.take(w, order, problems, find_customer)
    local reference = order.header.ASSOCIATED_REF or ""
    if w.settings.duplicate_protection and #orders.codes_of(w, reference) > 0 then
        local outcome = refused(reference, "Order already imported")
        outcome.is_duplicate = true
        return outcome
    end
    if #problems > 0 then
        return refused(reference, table.concat(problems, "; "))
    end
    local gone = discontinued_line(order)
    if gone then
        local text = ("Stock item %s is discontinued and cannot be added"):format(gone)
        return {kind = "fault", reference = reference, reason = text}
    end
    local demand = demand_of(w, order)
    local short = short_item(w, demand)
    if short then
        return refused(reference, ("Stock item %s is run to zero and not in stock"):format(short))
    end
    local find = find_customer or customer_of
    local customer, how = find(w, order, order.header.ORDER_CURRENCY_CODE or "GBP")
    if not customer then
        return refused(reference, how)
    end
    local saved = record(w, order, customer, how)
    saved.message = message_of(saved)
    orders.save(w, saved)
    keep_reference(w, saved)
    for _, need in pairs(demand) do
        stock.move(w, need.code, need.site, -need.quantity)
    end
    return {kind = "imported", reference = reference, order = saved}
end

--- Imports one order of a document.
---@param w table
---@param node table SALES_ORDER
---@return table outcome
function orders.import_one(w, node)
    return orders.take(w, order_check.read(w, node))
end

--- Imports a document. Orders before a fault stay imported: contract 1.5 does not promise
--- otherwise.
---@param w table
---@param text string SALES_ORDERS document
---@return table[]|nil outcomes
---@return string|nil fault
function orders.import(w, text)
    local root, err = xml.parse(text)
    if not root then
        return nil, "XML document must be well formed: " .. tostring(err)
    end
    if root.name ~= "SALES_ORDERS" then
        return nil, "the root must be SALES_ORDERS, not " .. root.name
    end
    local outcomes = {}
    for _, node in ipairs(root) do
        if node.name ~= "SALES_ORDER" then
            return nil, node.name .. " is not a known element"
        end
        local outcome = orders.import_one(w, node)
        outcomes[#outcomes + 1] = outcome
        if outcome.kind == "fault" then
            return outcomes, outcome.reason
        end
        local must_fault = w.settings.refusal_form == "fault" and not outcome.is_duplicate
        if outcome.kind == "refused" and must_fault then
            return outcomes, outcome.reason
        end
    end
    if #outcomes == 0 then
        return nil, "the document holds no order"
    end
    return outcomes
end

local function move_back(w, order)
    for _, line in ipairs(order.lines) do
        local site = line.site or order.header.SITE or data.SITES[1].name
        local quantity = math.tointeger(tonumber(line.quantity)) or 0
        stock.move(w, line.stock_code, site, line.is_pack_header and 0 or quantity)
    end
end

--- Deletes an order and imports it anew as a document says; its code and reference stay.
---@param w table
---@param old table
---@param text string SALES_ORDERS document
---@return boolean|nil
---@return string|nil fault
function orders.amend(w, old, text)
    local root = xml.parse(text)
    local node = root and root.name == "SALES_ORDERS" and root[1]
    if not node or node.name ~= "SALES_ORDER" or root[2] then
        return nil, "exactly one order is expected"
    end
    local order, problems = order_check.read(w, node)
    if (order.header.ASSOCIATED_REF or "") ~= old.reference then
        return nil, "Associated reference does not match the order"
    end
    problems[#problems + 1] = discontinued_line(order)
    local customer, how = customer_of(w, order, order.header.ORDER_CURRENCY_CODE or "GBP")
    if #problems > 0 or not customer then
        return nil, table.concat(problems, "; ") .. (customer and "" or how)
    end
    move_back(w, old)
    local saved = record(w, order, customer, how)
    saved.code, saved.imported_ms, saved.updated_ms = old.code, old.imported_ms, old.updated_ms
    saved.amended = (old.amended or 0) + 1
    saved.message = message_of(saved)
    orders.save(w, saved)
    for _, need in pairs(demand_of(w, order)) do
        stock.move(w, need.code, need.site, -need.quantity)
    end
    return true
end

local NOTHING = {discount = 0, net = 0, tax = 0, gross = 0}

-- A line by its own fields, or gone; the order's sums follow.
local function recalculate(w, order, line, is_gone)
    local result = is_gone and NOTHING or calc.line({quantity = calc.decimal(line.quantity),
        rate = line.rate, price = calc.decimal(line.price), price_is = line.price_is,
        discount = calc.decimal(line.discount_percent or "0"),
        value_discount = line.value_discount_minor}, order.calculation, calculation(w))
    for name in pairs(NOTHING) do
        local minor = result[name]
        local change = minor - line[name .. "_minor"]
        line[name .. "_minor"] = minor
        for _, sums in ipairs({order.items, order.totals}) do
            sums[name] = sums[name] and sums[name] + change
        end
    end
end

-- A line of fewer units is calculated anew; a line of none goes.
local function shrink(w, order, index, count)
    local line = order.lines[index]
    local quantity = math.tointeger(tonumber(line.quantity)) or 0
    local taken = math.min(quantity, count)
    line.quantity = ("%d"):format(quantity - taken)
    if taken == quantity then
        table.remove(order.lines, index)
    end
    recalculate(w, order, line, taken == quantity)
    stock.move(w, line.stock_code, line.site or order.header.SITE or data.SITES[1].name, taken)
    return taken
end

--- A person enters an order a second time, under the same reference.
---@param w table
---@param order table
---@return string code
function orders.enter_again(w, order)
    local second = json.decode(json.encode(order))
    second.code = ("SO%d"):format(control.next_number(w.store, "sales_order", FIRST_CODE))
    second.imported_ms, second.updated_ms, second.cancelled = w.now_ms, nil, nil
    second.stage, second.invoices = 9, json.array({})
    keep_reference(w, second)
    orders.save(w, second)
    return second.code
end

--- A person gives the first line of a code another price.
---@param w table
---@param order table
---@param code string
---@param price string decimal, gross or net as the line's was
---@return boolean
function orders.reprice(w, order, code, price)
    for _, line in ipairs(order.lines) do
        if line.stock_code == code then
            line.price = price
            recalculate(w, order, line)
            order.total = calc.text(order.totals.gross)
            orders.save(w, order)
            return true
        end
    end
    return false
end

--- A person takes units off an order.
---@param w table
---@param order table
---@param items {stock_code: string, quantity: integer}[]
function orders.take_off(w, order, items)
    for _, item in ipairs(items) do
        local left = item.quantity
        for i = #order.lines, 1, -1 do
            if order.lines[i].stock_code == item.stock_code and left > 0 then
                left = left - shrink(w, order, i, left)
            end
        end
    end
    order.total = calc.text(order.totals.gross)
    orders.save(w, order)
end

local CREDITS = "erp_credits"

---@param w table
---@param credit table
function orders.save_credit(w, credit)
    w.store.put(CREDITS, credit.code, credit)
end

---@param w table
---@param code string
---@return table|nil
function orders.credit(w, code)
    return w.store.get(CREDITS, code)
end

---@param w table
---@return table[]
function orders.credits(w)
    local list = {}
    for _, entry in ipairs(w.store.range(CREDITS, {limit = 10000})) do
        list[#list + 1] = entry.value
    end
    return list
end

--- Cancels, as a person in Khaos would.
---@param w table
---@param order table
---@param reason string
function orders.cancel(w, order, reason)
    order.cancelled = {at = world.date_time(w, w.now_ms):sub(1, 10), reason = reason,
        user = "sandbox"}
    order.stage = 1
    move_back(w, order)
    orders.save(w, order)
end

return orders
