--- Returns that Khaos Control Cloud does not fetch become a person's business after `silence_ms`.
--- Khaos fetching them closes that; a person who closes it has booked the return by hand.
local money = require("neap.money")
local offered = require("flows.returns_stages.offered")
local presence = require("flows.cloud_stages.presence")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local time = require("neap.time")
local worklist = require("flows.returns_stages.worklist")

local not_fetched = {}

not_fetched.CAUSE = "return_not_fetched"

local MINUTE_MS = 60000
local PAGE = 500

local function open_subjects(job)
    local open = {}
    for _, exception in ipairs(job:exceptions(not_fetched.CAUSE)) do
        open[exception.subject] = true
    end
    return open
end

local function sum(credits)
    local minor = 0
    for _, credit in ipairs(credits) do
        minor = minor + credit.minor
    end
    return minor
end

local function tell(job, reference, offer, book)
    local record, asked_ms = support.record(book.key), presence.calls().returns
    local goods = worklist.goods(book, offer.units)
    job:open_exception({cause = not_fetched.CAUSE, subject = reference, recheck = "proof",
        message = string.format("Return %s (%s of order %s, %s %s) was offered to Khaos %d min ago "
            .. "and Khaos has not fetched it; %s", reference, goods, record.order_id,
            money.to_text(sum(offer.credits), book.currency), book.currency,
            (time.now_ms() - offer.offered_ms) // MINUTE_MS, asked_ms
            and "it last asked for returns at " .. time.format_iso(asked_ms)
            or "it never asked for returns at all"),
        remedy = string.format("See in Khaos whether its channel downloads returns: this closes by "
            .. "itself when it fetches this one. Or book the return of %s on sales order %s in "
            .. "Khaos by hand, and only then release this: it is taken back and counts as "
            .. "credited.", goods, record.order_code or "?")})
    offered.tell(reference)
end

local function check(job, reference, open, before_ms)
    local offer, book = offered.waiting(reference)
    if not offer then
        return
    elseif offer.told_ms and not open then
        offered.booked_by_hand(reference)
    elseif not offer.told_ms and offer.offered_ms <= before_ms then
        tell(job, reference, offer, book)
    end
end

--- Looks at everything that was not fetched yet.
---@param job neap.Job
---@param silence_ms integer
function not_fetched.watch(job, silence_ms)
    local open, before_ms, after = open_subjects(job), time.now_ms() - silence_ms, nil
    for reference in pairs(open) do
        if not store.get(offered.WAITING, reference) then
            job:close_exception(not_fetched.CAUSE, reference, "Khaos fetched it")
        end
    end
    repeat
        local page = store.range(offered.WAITING, {after = after, limit = PAGE})
        for _, pair in ipairs(page) do
            after = pair.key
            check(job, pair.key, open[pair.key], before_ms)
        end
    until #page < PAGE
end

return not_fetched
