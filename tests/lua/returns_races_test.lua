--- Two jobs of one order on keys of their own: the host may cut a slice between any two calls of
--- the store, so the other job runs there as a whole, at each such place in turn. What is known in
--- the end is what one after the other would know. A book that was loaded, changed and saved, not
--- changed in one piece (order_units.change), once lost what the other job had learnt meanwhile.
local json = require("neap.json")
local order_units = require("flows.order_units")
local queue = require("flows.cloud_stages.queue")
local returns_world = require("returns_world")
local unit_book = require("flows.unit_book")

local DELIVERY = {category = "delivery", key = "base", minor = 495}

local function world()
    local w = returns_world.new({{"TEE", 2000}, {"TEE", 2000}, {"SOCK", 500}},
        {tell_goodwill = true})
    w.fees = {DELIVERY}
    return w
end

-- Each makes its event in a world and plays it.
local JOBS = {
    ["a credit note"] = function(w)
        return (w:note({TEE = 1}, 2000))
    end,
    ["a refund of the delivery"] = function(w)
        return w:message("scayle.refund", {kind = "refund", fees = {DELIVERY}, refund_id = "R1",
            amount = 495})
    end,
    ["a return"] = function(w)
        w.status["103"] = "returned"
        return w:message("scayle.returned", {kind = "returned", units = {"103"}})
    end,
    ["an unexplained refund"] = function(w)
        return w:message("scayle.refund", {kind = "refund", refund_id = "R2", amount = 120})
    end,
    ["a goodwill of Khaos"] = function(w)
        return (w:note({}, 75))
    end,
}

local KEYS = {}
for name, make in pairs(JOBS) do
    KEYS[name] = make(world()).key
end

local function keys(values)
    local list = {}
    for key in pairs(values or {}) do
        list[#list + 1] = key
    end
    return list
end

-- What is known, without the instants.
local function known(w)
    local book, units = w:book(), {}
    for i, unit in ipairs(book.units) do
        units[i] = {unit_book.state(unit), unit.credits}
    end
    return json.encode({units = units, charge = book.charges[1].credits, goodwill = book.goodwill,
        fees = keys(book.refunds.fees),
        stated = keys(book.refunds.stated), told = keys(book.refunds.told),
        notes = keys(book.credit_notes), open = w:open(), listed = keys(book.listed)})
end

local function play(w, event)
    local ended = w:play(event)
    assert(ended.done, json.encode(ended.held or tostring(ended.error)))
end

local function serial(first, second)
    local w = world()
    local one, other = JOBS[first](w), JOBS[second](w)
    play(w, one)
    play(w, other)
    return known(w)
end

-- Runs `fn` before the n-th call of the store outside of what is atomic.
local function cut_at(store, n, fn)
    local count, depth = 0, 0
    local function wrap(name)
        local call = store[name]
        store[name] = function(...)
            count = count + (depth == 0 and 1 or 0)
            if depth == 0 and count == n then
                fn()
            end
            if name ~= "atomic" then
                return call(...)
            end
            depth = depth + 1
            local results = table.pack(pcall(call, ...))
            depth = depth - 1
            if not results[1] then
                error(results[2], 0)
            end
            return table.unpack(results, 2, results.n)
        end
    end
    for _, name in ipairs({"get", "put", "delete", "range", "atomic"}) do
        wrap(name)
    end
end

-- Nil when the first job has no such place.
local function interleaved(first, second, n)
    local w, was_cut = world(), false
    local one, other = JOBS[first](w), JOBS[second](w)
    cut_at(w.job.store, n, function()
        was_cut = true
        play(w, other)
    end)
    play(w, one)
    return was_cut and known(w) or nil
end

-- Every place of the first job; the number of places, and the first that differs.
local function every_place(first, second)
    local wanted = {[serial(first, second)] = true, [serial(second, first)] = true}
    for n = 1, 1000 do
        local found = interleaved(first, second, n)
        if not found then
            return n - 1
        elseif not wanted[found] then
            return n, string.format("cut at %d: %s instead of %s", n, found, next(wanted))
        end
    end
    error("the job never ends")
end

-- ---- two messages about one return ------------------------------------------------------------

-- Where Khaos is offered what came back, or processes it; what of it is under way.
local PASSED_ON = {
    offered_returns = {khaos = {kind = "cloud"}, khaos_return_reason = "5"},
    processing = {khaos = {add_ons = {"process_return"}}},
}

local function passed_on(where, n)
    local w, was_cut, units = returns_world.new({{"TEE", 2000}}, PASSED_ON[where]), false, {}
    w.job:with(function()
        queue.put("orders", "SC7", returns_world.KEY, {InvoiceAddress = {}, InvoiceContact = {}})
    end)
    w.status["101"] = "returned"
    local one = w:message("scayle.returned", {kind = "returned", units = {"101"}})
    local other = w:message("scayle.refund", {kind = "refund"})
    cut_at(w.job.store, n, function()
        was_cut = true
        play(w, other)
    end)
    play(w, one)
    for _, entry in pairs(w:book()[where]) do
        table.move(entry.units, 1, #entry.units, #units + 1, units)
    end
    return was_cut, units
end

return function(t)
    for where in pairs(PASSED_ON) do
        t.case("a return that two messages tell of is passed on once: " .. where, function()
            local n, was_cut, units = 0, true
            while was_cut do
                n = n + 1
                was_cut, units = passed_on(where, n)
                t.equal({n, units}, {n, {"101"}})
            end
            t.note("%d places", n - 1)
        end)
    end
    for first in pairs(JOBS) do
        t.case("whatever comes in the middle of " .. first .. " is kept, and so is what it says",
            function()
                local places = 0
                for second in pairs(JOBS) do
                    if KEYS[second] ~= KEYS[first] then
                        local count, problem = every_place(first, second)
                        assert(not problem, string.format("%s in the middle of %s, %s", second,
                            first, problem))
                        places = places + count
                    end
                end
                t.note("%d places", places)
            end)
    end
    t.case("a book that is loaded, changed and saved is found out", function()
        local change = order_units.change
        order_units.change = function(key, fn)
            local book = order_units.load(key)
            local result = fn(book)
            order_units.save(book)
            return result
        end
        local _, problem = every_place("a credit note", "a refund of the delivery")
        order_units.change = change
        assert(problem, "no place loses anything")
    end)
end
