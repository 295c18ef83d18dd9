--- Plays a scenario: places many invented orders, one after another, from a seed.

local generator = require("shop.generator")
local json = require("neap.json")
local orders = require("shop.orders")
local random = require("lib.sandbox.random")
local starts = require("shop.starts")
local stocks = require("shop.stocks")
local store = require("neap.store")
local time = require("neap.time")
local world = require("shop.world")

-- Could a shopper have bought this? What the shop has no variant of is left to the merchant.
local function is_visible(w, order)
    local wanted = {}
    for _, item in ipairs(order.items) do
        local sku = item.variant.referenceKey
        wanted[sku] = (wanted[sku] or 0) + 1
    end
    for sku, count in pairs(wanted) do
        if stocks.variant(w, "key=" .. sku) and stocks.visible(w, sku) < count then
            w.store.increment("shop_sold_out", sku)
            return false
        end
    end
    return true
end

-- Places order number i; the order and the events it starts are kept together.
local function place(job, wish, i)
    local w = world.open({store = store, time = time, settings = job.settings})
    local stream = random.new(random.at(wish.seed, 1000000 + i))
    local order, facts = generator.order(wish.kind, stream)
    assert(order, facts)
    if wish.only_visible and not is_visible(w, order) then
        return false
    end
    facts.scenario = job.id
    local placed = orders.place(w, order, facts)
    for _, event in ipairs(starts.of_order(w, placed)) do
        job:emit(event)
    end
    return placed.id
end

local function run(job)
    local wish = json.decode(job.event.payload)
    local kinds = type(wish.kinds) == "table" and wish.kinds
        or generator.plan(wish.seed, wish.count)
    for i, kind in ipairs(kinds) do
        job:step("place " .. i, function()
            return place(job, {kind = kind, seed = wish.seed,
                only_visible = wish.only_visible}, i)
        end)
        if wish.interval_ms > 0 and i < #kinds then
            job:sleep("pace " .. i, wish.interval_ms)
        end
    end
end

return {name = "scenario", version = 1, run = run}
