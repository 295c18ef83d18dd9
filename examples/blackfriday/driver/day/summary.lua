--- What is printed: a line an hour, what happens, and the books.
local outside = require("day.outside")
local store = require("neap.store")
local time = require("neap.time")

local summary = {}

local function clock()
    return time.format_iso(time.now_ms()):match("T(%d%d:%d%d)")
end

local function counted(name)
    return store.get("day_counts", name) or 0
end

---@return string
function summary.head()
    return "UTC    placed in Khaos   held  parcels  cancelled  returned  mended  alerts"
end

---@async
---@return string
function summary.line()
    local status = outside.verb({"status"})
    local client = status and (status[1] or status)
    return ("%s  %6d %8d %6s %8d %10d %9d %7d %7d"):format(clock(), counted("placed"),
        counted("posted"), client and client.jobs.held or "-", counted("parcels"),
        counted("cancelled"), counted("returns"), counted("mended"), counted("alerts"))
end

---@param text string
---@return string
function summary.event(text)
    return ("%s  -- %s"):format(clock(), text)
end

local function amount(minor, currency)
    return ("%d.%02d %s"):format(minor // 100, minor % 100, currency)
end

local function tell_money(found)
    local names = {}
    for currency in pairs(found.currencies) do
        names[#names + 1] = currency
    end
    table.sort(names)
    for _, currency in ipairs(names) do
        local sums = found.currencies[currency]
        outside.say(("         posted %s, sent %s, credited %s; in the shop %s, %s, %s"):format(
            amount(sums.khaos, currency), amount(sums.sent_khaos, currency),
            amount(sums.credited, currency), amount(sums.shop, currency),
            amount(sums.sent_shop, currency), amount(sums.refunded, currency)))
    end
end

--- The books at the end.
---@async
---@param found table of books.compare
function summary.tell(found)
    outside.say(("\n%d orders: %d in Khaos once (%d of them cancelled on both sides), %d held on "
        .. "their cause, %d cancelled before"):format(found.orders, found.posted, found.cancelled,
        found.held, found.never_posted))
    outside.say(("%d of %d units were sent, %d came back, %d were taken off; %d SKUs; %d pennies "
        .. "of difference\n"):format(found.sent_units, found.units, found.returned_units,
        found.taken_off, found.skus, found.pennies))
    tell_money(found)
    outside.say(("%-8s both sides agree, by the driver's books"):format(found.ok and "yes" or "NO"))
    for _, text in ipairs(found.problems) do
        outside.say("         " .. text)
    end
end

return summary
