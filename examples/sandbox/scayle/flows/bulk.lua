--- Works a bulk request that is complete, a few operations at a time.

local bulk = require("shop.bulk")
local json = require("neap.json")
local store = require("neap.store")
local time = require("neap.time")
local world = require("shop.world")

local function run(job)
    local key, turn = json.decode(job.event.payload).key, 0
    local is_open
    repeat
        turn = turn + 1
        local w = world.open({store = store, time = time, settings = job.settings})
        job:sleep("turn " .. turn, w.settings.bulk_delay_ms)
        is_open = job:step("work " .. turn, function()
            return bulk.work(world.open({store = store, time = time, settings = job.settings}),
                key, w.settings.bulk_turn)
        end)
    until not is_open
end

return {name = "bulk", version = 1, run = run}
