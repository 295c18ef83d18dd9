--- The books of posted orders: made when Khaos took the order, kept by order key, watched until
--- every unit has left or was cancelled.
local store = require("neap.store")
local unit_book = require("flows.unit_book")

local order_units = {}

--- key -> {order_id, promise_ms, force_close_ms}: posted orders with units still here.
order_units.OPEN = "order_units_open"

-- A line's money over its units to the penny: earlier units take the odd ones.
local function shares(gross_minor, count)
    local each, rest, list = gross_minor // count, gross_minor % count, {}
    for i = 1, count do
        list[i] = each + (i <= rest and 1 or 0)
    end
    return list
end

-- What the shopper paid for a line: Khaos's figure without the pennies that other lines of the same
-- units, or the line of the rounding item, carry for it (`moved`, flows.orders.worth).
local function paid_of(line)
    return line.predicted.gross_minor - line.value.moved_minor - (line.order_discount_minor or 0)
end

local function add_line(book, line, index)
    if line.kind == "pack" then
        return -- the header of a pack costs nothing
    elseif line.kind == "rounding" then
        return -- its pennies are the units'
    elseif line.kind ~= "item" then
        table.insert(book.charges, {name = line.import_ref or (line.kind .. index),
            minor = paid_of(line), fee = line.fee, moved_minor = line.value.moved_minor})
        return
    end
    local paid = shares(paid_of(line), #line.unit_ids)
    local reduced = shares(line.value.reduced_minor or 0, #line.unit_ids)
    for i, id in ipairs(line.unit_ids) do
        table.insert(book.units, {id = id, sku = line.stock_code, line = line.import_ref,
            paid_minor = paid[i], reduced_minor = reduced[i] ~= 0 and reduced[i] or nil,
            moved_minor = line.value.moved_minor})
    end
end

--- The book of a posting: what the shopper paid for each unit and each charge, which is what SCAYLE
--- refunds and Khaos must credit. Over the order it is what Khaos invoices, to the penny; a single
--- line of Khaos may be a penny off.
---@param key string of the order
---@param posting table
---@return units.Book
function order_units.of_posting(key, posting)
    local order = {key = key, currency = posting.currency, units = {}, charges = {}}
    local sum = 0
    for i, line in ipairs(posting.lines) do
        add_line(order, line, i)
        sum = sum + line.predicted.gross_minor - (line.order_discount_minor or 0)
    end
    local delivery = posting.predicted.gross_minor - sum
    assert(delivery >= 0, "the lines come to more than the order")
    if delivery > 0 then
        table.insert(order.charges, {name = "delivery", minor = delivery})
    end
    return unit_book.new(order)
end

---@param key string
---@return units.Book|nil nil: not posted by us
function order_units.load(key)
    return store.get(unit_book.TABLE, key)
end

--- Keeps the book; an order of which nothing is open any more is not watched any more.
---@param book units.Book
function order_units.save(book)
    store.put(unit_book.TABLE, book.key, book)
    if not unit_book.summary(book).open then
        store.delete(order_units.OPEN, book.key)
    end
end

--- Changes a book in one piece: jobs on other keys change it too, and a slice may be cut in two.
---@generic T
---@param key string
---@param fn fun(book: units.Book): T must not wait
---@return T
function order_units.change(key, fn)
    return store.atomic(function()
        local book = order_units.load(key)
        local result = fn(book)
        order_units.save(book)
        return result
    end)
end

--- Begins the book of an order that Khaos just took; one that is there stays.
---@param key string
---@param posting table
---@param watch {order_id: string, promise_ms: integer|nil, force_close_ms: integer|nil}
function order_units.begin(key, posting, watch)
    if store.get(unit_book.TABLE, key) then
        return
    end
    local book = order_units.of_posting(key, posting)
    book.parcels = {}
    store.put(order_units.OPEN, key, watch)
    order_units.save(book)
end

return order_units
