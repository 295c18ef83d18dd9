--- The returns flow: goods that came back and money that was credited, told once, whoever says
--- it first.
---
--- Khaos books a return as a credit note; its status feed, read by the despatch flow, brings it
--- here. The units it takes back are told to SCAYLE as returned, which refunds them, and are
--- credited in the order's book, never beyond what was invoiced. SCAYLE's "order-item-returned" is
--- either the echo of that, and changes nothing, or a return that Khaos does not know: then a
--- person books it there, and the credit note is the proof that closes the worklist.
---
--- Khaos Control Cloud shows no credit notes, but takes returns: there what SCAYLE tells of is
--- offered to Khaos (returns_stages/offer.lua), and a person books it only where that cannot be.
local khaos_line = require("flows.khaos_line")

local fields = {
    khaos = khaos_line.schema(),
    khaos_return_reason = {type = "string",
        help = "ID of the return reason in Khaos Control Cloud for returns that SCAYLE tells of"},
    process_return = {type = "boolean", default = false,
        help = "Khaos Control Cloud processes a return at once"},
    scayle = {type = "record", default = {}, fields = {
        connection = {type = "string", default = "scayle"}}},
    merchant_key = {type = "string", required = true},
    return_reason = {type = "string", default = "returned",
        help = "told to SCAYLE, whose words for it are not documented"},
}

return {
    name = "returns",
    version = 1,
    schema = {type = "record", fields = fields},
    run = require("flows.returns_stages.take").run,
}
