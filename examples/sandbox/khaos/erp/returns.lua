--- Returns and credit notes, as persons in Khaos make them, and the paid ProcessReturn.

local control = require("lib.sandbox.control")
local data = require("erp.data")
local orders = require("erp.orders")
local stock = require("erp.stock")
local world = require("erp.world")

local returns = {}

local RETURNS = "erp_returns"
local STAGE_ISSUED = 70
local STAGE_DRAFT = 16

-- What the order's other credit notes credit of each of its lines: {quantity, minor} by number.
local function credited_before(w, order, credit)
    local before = {}
    for _, line in ipairs(order.lines) do
        before[line.number] = {quantity = 0, minor = 0}
    end
    for _, other in ipairs(orders.credits(w)) do
        local counts = other.order_code == order.code and other.code ~= credit.code
            and not other.cancelled
        for _, part in ipairs(counts and other.parts or {}) do
            local sum = before[part.line]
            if sum then -- else the line was taken off the order since
                sum.quantity, sum.minor = sum.quantity + part.quantity, sum.minor + part.minor
            end
        end
    end
    return before
end

-- Units of a code, each at its own line's price, of the first lines that are not credited yet. A
-- line's last unit is credited with what is left of it.
local function parts_of(order, before, code, count)
    local parts = {}
    for _, line in ipairs(order.lines) do
        local quantity, done = math.tointeger(tonumber(line.quantity)) or 0, before[line.number]
        local taken = line.stock_code == code and math.min(count, quantity - done.quantity) or 0
        if taken > 0 then
            local until_here = done.quantity + taken
            local whole = (line.gross_minor * until_here + quantity // 2) // quantity
            parts[#parts + 1] = {line = line.number, quantity = taken, minor = whole - done.minor}
            before[line.number] = {quantity = until_here, minor = whole}
            count = count - taken
        end
    end
    return parts
end

-- The goods of a credit note, and what they come to; `amount_minor` replaces the sum.
local function fill(w, order, credit, body)
    local items, sum, before = {}, 0, credited_before(w, order, credit)
    credit.parts = {}
    for i, entry in ipairs(body.items or {}) do
        items[i] = {stock_code = entry.stock_code, quantity = entry.quantity}
        for _, part in ipairs(parts_of(order, before, entry.stock_code, entry.quantity)) do
            sum = sum + part.minor
            table.insert(credit.parts, part)
        end
    end
    credit.items = items
    credit.items_minor, credit.tax_code = body.amount_minor or sum, body.tax_code
    credit.delivery_minor = body.delivery and order.delivery.gross or 0
end

-- Goods of an issued credit note are back in stock; sign -1 takes them out again.
local function move_goods(w, order, credit, sign)
    for _, entry in ipairs(returns.is_issued(credit) and credit.items or {}) do
        stock.move(w, entry.stock_code, order.header.SITE or data.SITES[1].name,
            sign * entry.quantity)
    end
end

--- Whether a credit note gives anything back.
---@param credit table
---@return boolean
function returns.is_issued(credit)
    return credit.stage == STAGE_ISSUED and not credit.cancelled
end

--- A processed return: a credit note for items (back to stock), each at the price of a line that is
--- not credited yet, with `delivery` for the delivery charge too; `amount_minor` replaces the sum;
--- without items it is money only. `is_free`: booked for the customer and on no sales order, so
--- nothing of ours is on it. `is_draft`: not issued.
---@param w table
---@param order table
---@param body table
---@return string code
function returns.credit(w, order, body)
    local code = ("CN%d"):format(control.next_number(w.store, "credit_note", 900100))
    local has_reference = w.settings.credit_notes_carry_reference and not body.is_free
    local credit = {
        code = code,
        reference = has_reference and order.reference or "",
        order_code = order.code,
        urn = order.urn,
        other_ref = order.other_ref,
        currency = order.currency,
        stage = body.is_draft and STAGE_DRAFT or STAGE_ISSUED,
        created_ms = w.now_ms,
        updated_ms = w.now_ms,
    }
    fill(w, order, credit, body)
    move_goods(w, order, credit, 1)
    orders.save_credit(w, credit)
    return code
end

--- A person issues a draft (`issue`), cancels a credit note (`cancel`: a reason) or corrects it
--- (`items`, `delivery`, `amount_minor` as they are to be).
---@param w table
---@param order table
---@param body table {credit_note, ...}
---@return string|nil code nil: there is none like this
function returns.change(w, order, body)
    local credit = orders.credit(w, body.credit_note or "")
    if not credit or credit.order_code ~= order.code then
        return nil
    end
    move_goods(w, order, credit, -1)
    if body.cancel then
        credit.cancelled = {at = world.date_time(w, w.now_ms):sub(1, 10), reason = body.cancel,
            user = "sandbox"}
    elseif body.issue then
        credit.stage = STAGE_ISSUED
    else
        fill(w, order, credit, body)
    end
    move_goods(w, order, credit, 1)
    credit.updated_ms = w.now_ms
    orders.save_credit(w, credit)
    return credit.code
end

--- Enters a return that is not processed yet.
---@param w table
---@param order table
---@param body {items: table[], is_partly: boolean|nil, delivery: boolean|nil}
---@return string code
function returns.enter(w, order, body)
    local code = ("RT%d"):format(control.next_number(w.store, "return", 5001))
    w.store.put(RETURNS, code, {code = code, order = order.code, body = body,
        state = body.is_partly and "partly" or "open"})
    return code
end

--- @param w table
--- @return table[]
function returns.all(w)
    local list = {}
    for _, entry in ipairs(w.store.range(RETURNS, {limit = 10000})) do
        list[#list + 1] = entry.value
    end
    return list
end

--- ProcessReturn(ReturnCode, ManualAuthCode). Its reply is the sandbox's own: the contract does not
--- know it. The four faults are the contract's.
---@param w table
---@param p table<string, string>
---@return table|nil soap value
---@return string|nil fault
function returns.process(w, p)
    if not w.settings.paid_add_ons then
        return nil, "This web service function is not licensed"
    elseif (p.ReturnCode or "") == "" or (p.ManualAuthCode or "") == "" then
        return nil, "Return code or authorisation code is missing"
    end
    local entry = w.store.get(RETURNS, p.ReturnCode)
    if not entry then
        return nil, "Return not found or deleted"
    elseif entry.state == "done" then
        return nil, "Return has already been processed"
    elseif entry.state == "partly" then
        return nil, "Return has been partly processed"
    end
    entry.state, entry.auth_code = "done", p.ManualAuthCode
    entry.credit_note = returns.credit(w, orders.get(w, entry.order), entry.body)
    w.store.put(RETURNS, entry.code, entry)
    return {"boolean", true}
end

return returns
