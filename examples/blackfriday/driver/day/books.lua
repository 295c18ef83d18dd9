--- The auditor: compares the shop with Khaos order by order, unit by unit and SKU by SKU, by sums
--- of its own. Of the client it asks only why an order is held, and whether it is at rest.
local json = require("neap.json")
local outside = require("day.outside")
local plan = require("day.plan")
local store = require("neap.store")

local books = {}

local PROBLEMS_MAX = 200
-- Mended during the day: the code is created, the payment method mapped.
local MENDED = {["held:unknown_stock_code"] = true, ["held:unmapped_payment"] = true}
local UNCONTROLLED = 999

local function new_found()
    return {orders = 0, posted = 0, held = 0, never_posted = 0, cancelled = 0, units = 0,
        sent_units = 0, returned_units = 0, taken_off = 0,
        goodwill_minor = 0, pennies = 0, problems = json.array({}), currencies = {}}
end

local function problem(found, text, ...)
    if #found.problems < PROBLEMS_MAX then
        found.problems[#found.problems + 1] = text:format(...)
    end
end

local function money(found, currency)
    found.currencies[currency] = found.currencies[currency] or {shop = 0, khaos = 0, sent_shop = 0,
        sent_khaos = 0, refunded = 0, credited = 0}
    return found.currencies[currency]
end

-- ---- sums ------------------------------------------------------------------------------------

local function shop_sum(order)
    local sum = order.fees_minor - order.off_minor
    for _, unit in ipairs(order.units) do
        sum = sum + unit.minor
    end
    return sum
end

local function khaos_sum(copy)
    local sum = copy.delivery_minor
    for _, line in ipairs(copy.lines) do
        sum = sum + line.minor
    end
    return sum
end

-- Units that the shop cancelled of an order that is not cancelled: neither side counts them.
local function taken_off(order)
    local count, minor = 0, 0
    for _, unit in ipairs(order.units) do
        if unit.status == "cancelled" then
            count, minor = count + 1, minor + unit.minor
        end
    end
    if count == #order.units then
        return 0, 0
    end
    return count, minor
end

local function unit_states(order)
    local states = {}
    for _, unit in ipairs(order.units) do
        states[unit.status] = (states[unit.status] or 0) + 1
    end
    return states
end

-- Units that left Khaos, by SKU; packs leave as what they are made of, fees are no units.
local function sent_of(copy)
    local sent = {}
    for _, invoice in ipairs(copy.invoices) do
        for _, item in ipairs(invoice.items) do
            sent[item.stock_code] = (sent[item.stock_code] or 0) + item.quantity
        end
    end
    return sent
end

local function is_all_sent(copy)
    local sent = sent_of(copy)
    for _, line in ipairs(copy.lines) do
        if not line.is_pack then
            sent[line.sku] = (sent[line.sku] or 0) - line.quantity
            if sent[line.sku] < 0 then
                return false
            end
        end
    end
    return true
end

-- ---- one order -------------------------------------------------------------------------------

local function check_money(found, order, copy)
    local sums = money(found, order.currency)
    local shop, khaos = shop_sum(order), khaos_sum(copy)
    local _, off_minor = taken_off(order)
    local total = order.total_minor - off_minor
    sums.shop, sums.khaos = sums.shop + total, sums.khaos + copy.gross_minor
    found.pennies = found.pennies + math.abs(total - copy.gross_minor)
    if copy.currency ~= order.currency then
        problem(found, "%d: %s in the shop, %s in Khaos", order.id, order.currency, copy.currency)
    elseif total ~= copy.gross_minor then
        problem(found, "%d: %d in the shop, %d in Khaos", order.id, total, copy.gross_minor)
    elseif shop ~= order.total_minor then
        problem(found, "%d: its units and fees come to %d, not %d", order.id, shop,
            order.total_minor)
    elseif khaos ~= copy.gross_minor then
        problem(found, "%d: the lines of %s come to %d, not %d", order.id, copy.code, khaos,
            copy.gross_minor)
    elseif copy.payments_minor ~= order.total_minor then
        problem(found, "%d: %d paid of %d", order.id, copy.payments_minor, copy.gross_minor)
    end
end

local function check_units(found, order, copy, credits)
    local states, off, off_minor = unit_states(order), taken_off(order)
    local count = #order.units - off
    local back = states.returned or 0
    found.taken_off = found.taken_off + off
    found.units = found.units + count
    if copy.cancelled then
        found.cancelled = found.cancelled + 1
        if (states.cancelled or 0) ~= count then
            problem(found, "%d: cancelled in Khaos, %d of %d units in the shop", order.id,
                states.cancelled or 0, count)
        end
        return
    end
    if not is_all_sent(copy) then
        problem(found, "%d: not all of %s has left", order.id, copy.code)
    elseif (states.shipped or 0) + back ~= count then
        problem(found, "%d: sent by Khaos, %d of %d units in the shop", order.id,
            (states.shipped or 0) + back, count)
    end
    local sums = money(found, order.currency)
    sums.sent_shop = sums.sent_shop + shop_sum(order) - off_minor
    sums.sent_khaos = sums.sent_khaos + khaos_sum(copy)
    found.sent_units, found.returned_units = found.sent_units + count, found.returned_units + back
    local credited = credits[copy.reference] or {units = 0, minor = 0}
    local refund = 0
    for _, unit in ipairs(order.units) do
        refund = refund + (unit.status == "returned" and unit.minor or 0)
    end
    local goodwill = (store.get(plan.POSTED, tostring(order.id)) or {}).goodwill or 0
    refund, found.goodwill_minor = refund + goodwill, found.goodwill_minor + goodwill
    sums.refunded, sums.credited = sums.refunded + refund, sums.credited + credited.minor
    if credited.units ~= back or credited.minor ~= refund then
        problem(found, "%d: %d units for %d are back in the shop, %d for %d are credited in Khaos",
            order.id, back, refund, credited.units, credited.minor)
    end
end

local function check_posted(found, order, copies, credits)
    if #copies > 1 then
        problem(found, "%d: %d times in Khaos", order.id, #copies)
        return
    end
    found.posted = found.posted + 1
    check_money(found, order, copies[1])
    check_units(found, order, copies[1], credits)
    if order.reference_key ~= copies[1].code then
        problem(found, "%d: the shop calls it %s, Khaos %s", order.id,
            tostring(order.reference_key), copies[1].code)
    end
end

local function held_causes(order)
    local answer = outside.verb({"order", tostring(order.id)})
    local causes = {}
    for _, entry in ipairs(answer and answer[1] and answer or {answer}) do
        for _, held in ipairs(entry.jobs or {}) do
            if held.state == "held" then
                for _, cause in ipairs(held.causes or held.exceptions or {}) do
                    causes[#causes + 1] = cause.cause
                end
            end
        end
    end
    return causes
end

local function check_absent(found, order)
    if order.status == "cancellation_completed" then
        found.never_posted = found.never_posted + 1
        if order.given_up or not store.get("cancel_wanted", tostring(order.id)) then
            problem(found, "%d: cancelled, and nobody wanted that", order.id)
        end
        return
    elseif order.expect == "posted" or MENDED[order.expect] then
        problem(found, "%d (%s): not in Khaos", order.id, order.kind)
        return
    end
    found.held = found.held + 1
    local causes = held_causes(order)
    if #causes ~= 1 or "held:" .. causes[1] ~= order.expect then
        problem(found, "%d: %s expected, held on \"%s\"", order.id, order.expect,
            table.concat(causes, ", "))
    end
end

-- ---- stock -----------------------------------------------------------------------------------

-- What held orders will take, once they are posted.
local function awaited(shop_orders, copies)
    local taken = {}
    for _, order in ipairs(shop_orders) do
        if not copies["SC" .. order.id] then
            for _, unit in ipairs(order.units) do
                local is_open = unit.status ~= "cancelled"
                taken[unit.sku] = (taken[unit.sku] or 0) + (is_open and 1 or 0)
            end
        end
    end
    return taken
end

local function available(item, by_sku, taken)
    if not item.controlled then
        return UNCONTROLLED
    elseif not item.kit then
        return math.max(0, item.level - (taken[item.sku] or 0) - item.buffer)
    end
    -- As many as its parts make, less the parts that held orders take by themselves.
    local least, lost = nil, 0
    for _, code in ipairs(item.kit) do
        least = math.min(least or by_sku[code].level, by_sku[code].level)
        lost = math.max(lost, taken[code] or 0)
    end
    return math.max(0, (least or 0) - lost - (taken[item.sku] or 0) - item.buffer)
end

local function check_stock(found, shop_orders, copies)
    local taken, by_sku = awaited(shop_orders, copies), {}
    local items = outside.khaos_pages("stock")
    for _, item in ipairs(items) do
        by_sku[item.sku] = item
    end
    found.skus, found.exposed = 0, 0
    for _, item in ipairs(items) do
        local lost = store.get(plan.EXPOSED, item.sku) or 0
        found.exposed = found.exposed + lost
        if item.controlled and (item.lowest or 0) < -lost then
            problem(found, "%s: oversold by %d, only %d were written off by hand", item.sku,
                -item.lowest, lost)
        end
        if books.is_sold(item.sku) then
            found.skus = found.skus + 1
            local shown, wanted = outside.visible(item.sku), available(item, by_sku, taken)
            if shown ~= wanted then
                problem(found, "%s: the shop shows %d, Khaos has %d to sell", item.sku, shown,
                    wanted)
            end
        end
    end
end

--- SKUs that the shop has a variant of.
---@param sku string
---@return boolean
function books.is_sold(sku)
    return sku:find("^FO%-") ~= nil and sku ~= "FO-OLD-0001"
end

-- ---- all -------------------------------------------------------------------------------------

-- What is told to people and left open: only what orders are held on, and that they wait for long;
-- all else was dealt with.
local function check_told(found)
    for _, told in ipairs(outside.verb({"exceptions", "ls"}) or {}) do
        if told.waiting == 0 and told.cause ~= "stuck_order" then
            problem(found, "still told of %s: %s", told.subject, told.message)
        end
    end
end

local function check_rest(found)
    local status = outside.verb({"status"})
    if not status then
        problem(found, "the client does not answer")
        return
    end
    local client = status[1] or status
    for _, state in ipairs({"ready", "running", "waiting", "awaiting", "dead"}) do
        if (client.jobs[state] or 0) > (state == "ready" and found.behind_held or 0) then
            problem(found, "%d jobs of the client are %s", client.jobs[state], state)
        end
    end
    if client.open_effects > 0 then
        problem(found, "%d effects are open", client.open_effects)
    elseif client.load_error then
        problem(found, "the client's scripts do not serve: %s", client.load_error)
    end
    found.reloads = client.reloads
    check_told(found)
end

local function by_reference(list)
    local map = {}
    for _, copy in ipairs(list) do
        map[copy.reference] = map[copy.reference] or {}
        table.insert(map[copy.reference], copy)
    end
    return map
end

local function add_credits(map, notes)
    for _, note in ipairs(notes) do
        local sum = map[note.reference] or {units = 0, minor = 0}
        for _, item in ipairs(note.items) do
            sum.units = sum.units + item.quantity
        end
        sum.minor = sum.minor + note.minor
        map[note.reference] = sum
    end
end

-- Credit notes, and the returns that Khaos Control Cloud fetched.
local function credits_by_reference()
    local map = {}
    add_credits(map, outside.khaos_pages("credits"))
    add_credits(map, outside.khaos_pages("cloud_credits"))
    return map
end

local function check_sums(found)
    for currency, sums in pairs(found.currencies) do
        for _, pair in ipairs({{"shop", "khaos"}, {"sent_shop", "sent_khaos"},
            {"refunded", "credited"}}) do
            if sums[pair[1]] ~= sums[pair[2]] then
                problem(found, "%s: %s %d, %s %d", currency, pair[1], sums[pair[1]], pair[2],
                    sums[pair[2]])
            end
        end
    end
end

--- Compares everything.
---@async
---@return table found {ok, problems, ...}
function books.compare()
    local found = new_found()
    local shop_orders = outside.shop_orders(0)
    local copies, credits = by_reference(outside.khaos_pages("orders")), credits_by_reference()
    local known = {}
    for _, order in ipairs(shop_orders) do
        found.orders = found.orders + 1
        known["SC" .. order.id] = true
        if copies["SC" .. order.id] then
            check_posted(found, order, copies["SC" .. order.id], credits)
        else
            check_absent(found, order)
        end
        if order.repeat_differs then
            problem(found, "%d: a repeated delegation was answered otherwise", order.id)
        end
    end
    for reference in pairs(copies) do
        if not known[reference] then
            problem(found, "%s is in Khaos, and not in the shop", reference)
        end
    end
    check_sums(found)
    check_stock(found, shop_orders, copies)
    check_rest(found)
    found.ok = #found.problems == 0
    return found
end

return books
