--- The despatch flow: what Khaos sent goes to SCAYLE, parcel by parcel, with carrier and tracking;
--- what Khaos cancelled goes to SCAYLE as a merchant's cancellation.
---
--- "poll" reads the status feed with an overlap, keeps the newest snapshot of each order of ours
--- and, where it says something new, makes an event on the key "despatch:<order key>". That job
--- works from the newest snapshot, whichever event woke it. A parcel is told once: the units it
--- holds are chosen by stock code in line order, written into the order's book before anything is
--- sent, and marked as shipped when SCAYLE has it.
local apply = require("flows.despatch_stages.apply")
local khaos_line = require("flows.khaos_line")
local poll = require("flows.despatch_stages.poll")
local rehearse = require("flows.despatch_stages.rehearse")
local second = require("flows.despatch_stages.second")

local MINUTE_MS = 60000

local fields = {
    khaos = khaos_line.schema(),
    scayle = {type = "record", default = {}, fields = {
        connection = {type = "string", default = "scayle"}}},
    merchant_key = {type = "string", required = true},
    orders_flow = {type = "string", default = "orders", help = "name of the orders flow"},
    returns_flow = {type = "string",
        help = "name of the returns flow, which gets Khaos's credit notes"},
    carriers = {type = "map", required = true, values = {type = "string"},
        help = "Khaos's courier, as its status feed writes it, to SCAYLE's carrier key"},
    return_ident_code = {type = "string", enum = {"shipment_key", "none"},
        default = "shipment_key", help = "code of the return label that goes with each parcel: "
            .. "Khaos tells none, so its shipment key, or none"},
    zone = {type = "string", default = "Europe/London", help = "of the dates of the status feed"},
    overlap_ms = {type = "integer", min = 0, default = 90 * MINUTE_MS,
        help = "asked again on every poll; above an hour because of the end of summer time"},
    tracking_wait_ms = {type = "integer", min = 0, default = 15 * MINUTE_MS,
        help = "how long a parcel waits for its tracking number before it is told without"},
    cancel_wait_ms = {type = "integer", min = 0, default = 60 * MINUTE_MS,
        help = "how long an order that Khaos shows as cancelled may turn out to be imported anew "
            .. "under another code, before SCAYLE is told"},
    warn_before_close_ms = {type = "integer", min = 0, default = 2 * 24 * 60 * MINUTE_MS,
        help = "before SCAYLE closes an order that nothing was sent of (14 days)"},
}

local flow = {
    name = "despatch",
    version = 1,
    schema = {type = "record", fields = fields},
    cases = rehearse.CASES,
    triggers = {{kind = "schedule", name = "poll", every_ms = 2 * MINUTE_MS}, {kind = "act"}},
    run = function(job)
        if job.event.name == "schedule.poll" then
            poll(job)
        elseif job.event.name:find("^dismissed%.") then
            apply.dismissed(job)
        elseif job.event.name == second.EVENT then
            second.run(job)
        else
            apply.status(job)
        end
    end,
}

flow.rehearse = rehearse.of(flow)

return flow
