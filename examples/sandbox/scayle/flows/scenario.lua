--- Plays a scenario: places many invented orders, one after another, from a seed.

local generator = require("shop.generator")
local json = require("neap.json")
local orders = require("shop.orders")
local random = require("lib.sandbox.random")
local starts = require("shop.starts")
local store = require("neap.store")
local time = require("neap.time")
local world = require("shop.world")

-- Places order number i; the order and the events it starts are kept together.
local function place(job, wish, i)
    local w = world.open({store = store, time = time, settings = job.settings})
    local stream = random.new(random.at(wish.seed, 1000000 + i))
    local order, facts = generator.order(wish.kind, stream)
    assert(order, facts)
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
            return place(job, {kind = kind, seed = wish.seed}, i)
        end)
        if wish.interval_ms > 0 and i < #kinds then
            job:sleep("pace " .. i, wish.interval_ms)
        end
    end
end

return {name = "scenario", version = 1, run = run}
