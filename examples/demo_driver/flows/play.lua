--- The script of the demonstration. Lines of kind "demo" are printed as they are; "demo.books"
--- carries the comparison of both ledgers, for the summary.

local errors = require("neap.errors")
local http = require("neap.http")
local json = require("neap.json")
local part_act = require("flows.part_act")
local refunds_act = require("flows.refunds_act")
local store = require("neap.store")

local LOOKS = 200
local MEND_AFTER = 8 -- looks between the last order and the creation of the unknown stock code

local function call(connection, method, path, body)
    local answer = errors.check(http.request({
        connection = connection,
        method = method,
        path = path,
        body = body and json.encode(body),
        headers = body and { ["Content-Type"] = "application/json" },
    }))
    if answer.status >= 300 then
        error(errors.new({ kind = "remote", message = path .. " answered " .. answer.status }))
    end
    return errors.check(json.decode(answer.body))
end

local function by_order(list)
    local map = {}
    for _, order in ipairs(list) do
        map[order.order_id] = order
    end
    return map
end

local function khaos_orders()
    local map = {}
    for _, order in ipairs(call("khaos_control", "GET", "/ledger").orders) do
        map[order.reference] = map[order.reference] or {}
        table.insert(map[order.reference], order)
    end
    return map
end

local function attempt_facts(entry, books)
    for _, attempt in ipairs(entry.attempts) do
        if attempt.is_accepted then
            books.answered = books.answered + 1
            books.slowest_answer_ms = math.max(books.slowest_answer_ms, attempt.elapsed_ms)
            return true
        end
    end
    return false
end

-- What is still missing for one order, or nil when it is where it should be.
local function missing(expect, entry, copies, books)
    if not attempt_facts(entry, books) then
        return "its delegation was not answered"
    end
    if expect ~= "posted" then
        return #copies > 0 and "it was posted, but " .. expect or nil
    end
    if #copies ~= 1 then
        return ("it is %d times in Khaos"):format(#copies)
    end
    local part = store.get("demo", "part")
    local off_minor = part and part.order_id == entry.order_id and part.minor or 0
    local total_minor = entry.total_minor - off_minor
    local difference = math.abs(copies[1].totals.gross - total_minor)
    books.pennies = books.pennies + difference
    books.posted = books.posted + 1
    local took_ms = copies[1].imported_ms - entry.placed_ms
    books.slowest_posting_ms = math.max(books.slowest_posting_ms, took_ms)
    if difference ~= 0 then
        return ("Khaos says %d, SCAYLE %d"):format(copies[1].totals.gross, total_minor)
    end
    if entry.reference_key ~= copies[1].code then
        return "SCAYLE does not know its Khaos order code yet"
    end
end

local function compare(hears_alerts)
    local expected = call("scayle_control", "GET", "/expectations")
    local entries = by_order(call("scayle_control", "GET", "/ledger").orders)
    local copies = khaos_orders()
    local books = {
        received = #expected.orders, answered = 0, posted = 0, pennies = 0,
        slowest_answer_ms = 0, slowest_posting_ms = 0,
        open = json.array({}), held = json.array({}), missing_skus = expected.missing_skus,
        alerts = store.get("demo", "alerts") or 0,
    }
    for _, order in ipairs(expected.orders) do
        local expect = order.expect
        if expect == "held:unknown_stock_code" then
            expect = "posted" -- the code was created meanwhile
        end
        local found = copies["SC" .. order.order_id] or {}
        local what = missing(expect, entries[order.order_id], found, books)
        if what then
            table.insert(books.open, ("%d: %s"):format(order.order_id, what))
        elseif order.expect ~= "posted" and hears_alerts and books.alerts == 0 then
            table.insert(books.open, ("%d: nobody was told of it"):format(order.order_id))
        end
        if expect ~= "posted" then
            table.insert(books.held, {
                order = tostring(order.order_id),
                cause = expect:sub(#"held:" + 1),
            })
        end
    end
    return books
end

-- What a person would do about the unknown stock code.
local function create_codes()
    local skus = call("scayle_control", "GET", "/expectations").missing_skus
    for _, sku in ipairs(skus) do
        call("khaos_control", "POST", "/stock", { code = sku, level = 50 })
    end
    return skus
end

local function mend(job)
    job:step("mend", function()
        local skus = create_codes()
        if #skus > 0 then
            job:note("demo", ("somebody creates %s in Khaos: what waits for it goes on by itself")
                :format(table.concat(skus, ", ")))
        end
        return skus
    end)
end

-- Two slips of whoever keeps the shop's catalogue; nobody orders them.
local function spoil_catalogue()
    call("scayle_control", "POST", "/products", { products = {
        { key = "P-SLIPS", variants = { { sku = "FO-CAP-0400" }, { sku = "fo-old boots" } } },
    } })
    call("khaos_control", "POST", "/stock", { code = "FO-OLD-BOOTS" })
end

-- ---- the second act: two shoppers change their minds, the warehouse sends the rest ------------

local STOCK_CODE = "FO-STK-DEMO"

local function posted_ids(expected)
    local ids = {}
    for _, order in ipairs(expected.orders) do
        if order.reference_key then
            ids[#ids + 1] = order.order_id
        end
    end
    return ids
end

local function in_khaos(order_id, words)
    words.reference = "SC" .. order_id
    return call("khaos_control", "POST", "/orders", words)
end

-- Khaos has no add-on here, so the first is cancelled by a person there; the second has left.
local function second_act(job)
    local ids = posted_ids(call("scayle_control", "GET", "/expectations"))
    call("khaos_control", "POST", "/stock", { code = STOCK_CODE, level = 12, buffer = 3 })
    call("scayle_control", "POST", "/variants", { skus = { STOCK_CODE } })
    job:note("demo", ("a shopper cancels order %d; somebody cancels it in Khaos"):format(ids[1]))
    call("scayle_control", "POST", "/cancel", { order_id = ids[1] })
    in_khaos(ids[1], { action = "cancel", reason = "Shopper" })
    store.put("demo", "part", part_act.play(job, call, { table.unpack(ids, 2) }) or {})
    job:note("demo", ("the warehouse sends the other %d orders"):format(#ids - 1))
    for i = 2, #ids do
        in_khaos(ids[i], { action = "ship" })
    end
    return { cancelled = ids[1], sent = { table.unpack(ids, 2) } }
end

-- What is not told to SCAYLE yet, as words.
local function after_sales(act, books)
    local entries = by_order(call("scayle_control", "GET", "/ledger").orders)
    books.parcels, books.cancelled = 0, 0
    local entry = entries[act.cancelled]
    if entry.status == "cancellation_completed" then
        books.cancelled = 1
    else
        table.insert(books.open, act.cancelled .. ": SCAYLE does not show it as cancelled")
    end
    for _, id in ipairs(act.sent) do
        if #entries[id].shipments == 0 then
            table.insert(books.open, id .. ": its parcel is not in SCAYLE")
        end
        books.parcels = books.parcels + #entries[id].shipments
    end
    books.stock = call("scayle_control", "GET", "/sellable?sku=" .. STOCK_CODE).visible
    if books.stock ~= 9 then
        table.insert(books.open, ("stock of %s is %d, not 9"):format(STOCK_CODE, books.stock))
    end
end

-- Compares until nothing is open, at most LOOKS times.
local function settle(job, name, is_complete)
    for look = 1, LOOKS do
        job:sleep(name .. " " .. look, job.settings.look_ms)
        local books = compare(job.settings.hears_alerts)
        local is_done = is_complete(books)
        if (is_done and #books.open == 0) or look == LOOKS then
            return books
        end
    end
end

local function run(job)
    local settings = job.settings
    job:step("play", function()
        spoil_catalogue()
        return call("scayle_control", "POST", "/play", {
            seed = settings.seed, count = settings.count, interval_ms = settings.interval_ms,
        })
    end)
    local play_ms = settings.count * settings.interval_ms
    job:sleep("all placed", play_ms + MEND_AFTER * settings.look_ms)
    mend(job)
    local books = settle(job, "look", function(found)
        return found.received >= settings.count
    end)
    local sent
    if #books.open == 0 then
        local act = job:step("second act", function()
            return second_act(job)
        end)
        sent = act.sent
        books = settle(job, "look again", function(found)
            after_sales(act, found)
            return true
        end)
    end
    if sent and #books.open == 0 and settings.line == "soap" then -- the Cloud shows no credit notes
        local act = job:step("third act", function()
            return refunds_act.play(job, call, sent)
        end)
        local parcels = books
        books = settle(job, "look at refunds", function(found)
            refunds_act.compare(act, by_order(call("scayle_control", "GET", "/ledger").orders),
                found.open)
            found.parcels, found.cancelled = parcels.parcels, parcels.cancelled
            found.stock = parcels.stock
            return true
        end)
    end
    local words = #books.open == 0 and "the books agree" or "the books do not agree"
    job:note("demo.books", words, books)
end

return {
    name = "play",
    version = 1,
    triggers = { { kind = "schedule", name = "begin", every_ms = 24 * 3600 * 1000 } },
    run = run,
}
