--- The returns flow: goods that came back and money that was given back, told once, whoever says it
--- first.
---
--- Khaos books a return as a credit note; its status feed, read by the despatch flow, brings it
--- here. The units it takes back are told to SCAYLE as returned, which refunds them, and are
--- credited in the order's book, never beyond what was invoiced. What SCAYLE tells (returns,
--- refunds, corrective invoices, undeliverable parcels; a sweep finds what was missed) is a reason
--- to look at the order: what it gave back and Khaos has not credited is processed there, or a
--- person books it, and the credit note is the proof that closes the worklist.
---
--- Khaos Control Cloud shows no credit notes, but takes returns: there what SCAYLE tells of is
--- offered to Khaos (returns_stages/offer.lua), and a person books it only where that cannot be.
local khaos_line = require("flows.khaos_line")
local process_return = require("connectors.khaos_soap.process_return")
local rehearse = require("flows.returns_stages.rehearse")

local HOUR_MS = 3600000

local fields = {
    khaos = khaos_line.schema(),
    khaos_return_reason = {type = "string",
        help = "ID of the return reason in Khaos Control Cloud for returns that SCAYLE tells of"},
    process_return = {type = "boolean", default = false,
        help = "Khaos Control Cloud processes a return at once"},
    scayle = {type = "record", default = {}, fields = {
        connection = {type = "string", default = "scayle"}}},
    merchant_key = {type = "string", required = true},
    orders_flow = {type = "string", default = "orders", help = "name of the orders flow"},
    return_reason = {type = "string", default = "returned",
        help = "told to SCAYLE, whose words for it are not documented"},
    returns_master = {type = "string", enum = {"khaos", "scayle"}, default = "khaos",
        help = "khaos: SCAYLE is told what Khaos took back; scayle: a person enters it there"},
    refund_wait_ms = {type = "integer", min = 0, default = HOUR_MS // 4,
        help = "before the order is looked at again when a message says more than it shows"},
    parcel_wait_ms = {type = "integer", min = 0, default = HOUR_MS,
        help = "a credit note waits so long for parcels of its order that SCAYLE was not told of"},
    process = process_return.schema(),
    credit_wait_ms = {type = "integer", min = 0, default = 24 * HOUR_MS,
        help = "for the credit note of a return that Khaos processed, before a person looks"},
    tell_goodwill = {type = "boolean", default = false,
        help = "record money that Khaos alone gave back as the order's billing status in SCAYLE"},
    goodwill_reason = {type = "string", default = "Credited in the ERP ({credit_note})"},
    return_undeliverable = {type = "boolean", default = false,
        help = "units of an undeliverable parcel are told as returned when Khaos credits them; how "
            .. "a merchant reports such a parcel is not documented"},
    shops = {type = "list", default = {}, help = "that the sweep looks through; none: no sweep",
        items = {type = "record", fields = {
            shop_key = {type = "string", required = true},
            country = {type = "string", required = true},
            shop_country_id = {type = "string", pattern = "^%d+$"}}}},
    sweep_max_pages = {type = "integer", min = 1, default = 50},
}

local flow = {
    name = "returns",
    version = 1,
    schema = {type = "record", fields = fields},
    cases = rehearse.CASES,
    triggers = {{kind = "schedule", name = "sweep", every_ms = 6 * HOUR_MS}, {kind = "act"}},
    run = require("flows.returns_stages.take").run,
}

flow.rehearse = rehearse.of(flow)

return flow
