--- What goes wrong during the day, on both sides.
local agenda = require("day.agenda")

local faults = {}

local MINUTE_MS = 60000
local HOUR_MS = 60 * MINUTE_MS
local ALWAYS = 1000000

local function often(probability, fault, words)
    words = words or {}
    words.probability, words.fault, words.times = probability, fault, ALWAYS
    return words
end

local KHAOS = {
    often(0.02, "reset_after", {operation = "ImportOrders"}),
    often(0.02, "reset_before", {operation = "ImportOrders"}),
    often(0.01, "late", {operation = "ImportOrders", ms = 5000}),
    often(0.01, "delay", {operation = "ImportOrders", ms = 45000}), -- done, and the caller is gone
    often(0.02, "reset_after", {operation = "ImportCompany"}),
    often(0.01, "late", {operation = "ImportCompany", ms = 5000}),
    often(0.02, "truncate", {operation = "ExportOrderStatusEx"}),
    often(0.01, "truncate"),
    often(0.02, "500"),
    often(0.01, "fault_any_status"),
    often(0.05, "multiref"),
}
-- Of the calls that Khaos Control Cloud makes: some do not get out, of some the answer is lost (so
-- all of it comes again), some are made twice.
local CLOUD = {
    often(0.05, "reset_before"),
    often(0.05, "reset_after"),
    often(0.05, "truncate", {operation = "OrderDownload"}),
    often(0.10, "duplicate"),
}
local SHOP = {
    often(0.04, "reset_after", {operation = "set_reference"}),
    often(0.04, "reset_after", {operation = "ship"}),
    often(0.02, "500", {operation = "set_reference"}),
    often(0.02, "429"),
    often(0.01, "500", {operation = "get_order"}),
    often(0.02, "truncate", {operation = "get_order"}),
    often(0.05, "duplicate", {operation = "delegation", ms = 100}),
    often(0.02, "close_after_body", {operation = "delegation"}),
    often(0.10, "duplicate", {operation = "webhook", ms = 100}),
    often(0.20, "reorder", {operation = "webhook"}),
}
-- The Admin API and Khaos's web service are away; shoppers and delegations go on.
local GONE = {{fault = "reset_before"}}
local API_GONE = {{path = "/api/", fault = "reset_before"}}
local SLOW = {often(1, "delay", {ms = 2500}), table.unpack(KHAOS)}
local CLOUD_SLOW = {often(0.5, "reset_before"), table.unpack(CLOUD)}

local function day_of(usual, slow, words)
    return {
        {0, "shop", SHOP, "faults begin on both sides"},
        {0, "khaos", usual},
        {8 * HOUR_MS, "shop", API_GONE, "SCAYLE's API is away for an hour"},
        {9 * HOUR_MS, "shop", SHOP, "SCAYLE's API is back"},
        {10 * HOUR_MS + 20 * MINUTE_MS, "khaos", GONE, "Khaos is away for 40 minutes"},
        {11 * HOUR_MS, "khaos", usual, "Khaos is back"},
        {13 * HOUR_MS, "khaos", slow, "Khaos is slow: " .. words},
        {15 * HOUR_MS, "khaos", usual, "Khaos is as fast as ever"},
        {24 * HOUR_MS, "shop", {}, "the last order was placed; faults end"},
        {24 * HOUR_MS, "khaos", {}},
    }
end

--- Faults, the edit, the kill and the jump of the clock.
---@param settings table
---@param start_ms integer
function faults.plan(settings, start_ms)
    local day = settings.is_cloud and day_of(CLOUD, CLOUD_SLOW, "half of its calls are not made")
        or day_of(KHAOS, SLOW, "2.5 s for every call")
    for _, row in ipairs(day) do
        agenda.add(start_ms + row[1], {act = "faults", at = row[2], rules = row[3],
            seed = settings.seed, say = row[4]})
    end
    agenda.add(start_ms + 13 * HOUR_MS + 30 * MINUTE_MS, {act = "edit",
        file = "mappings/payments.lua", find = "        klarna = {",
        put = "        sofort = {type = 2, status = \"paid\",\n            account_name = "
            .. "\"Web Card Clearing\", auth_code = \"SOFORT\"},\n        klarna = {",
        say = "somebody maps the payment method sofort and saves"})
    agenda.add(start_ms + 14 * HOUR_MS + 17 * MINUTE_MS, {act = "kill", ms = 90000})
    agenda.add(start_ms + 21 * HOUR_MS, {act = "clock", ms = -HOUR_MS,
        say = "the clock of Neap's machine jumps back by an hour"})
    agenda.add(start_ms + 22 * HOUR_MS, {act = "clock", ms = HOUR_MS,
        say = "and is right again"})
end

return faults
