--- Returns that Khaos Control Cloud does not fetch become a person's business after `silence_ms`,
--- or when they were erased. Khaos fetching them closes that; a person who releases it has booked
--- the return by hand, one who dismisses it says that it is not to be booked.
local money = require("neap.money")
local offered = require("flows.returns_stages.offered")
local presence = require("flows.cloud_stages.presence")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local time = require("neap.time")
local worklist = require("flows.returns_stages.worklist")

local not_fetched = {}

not_fetched.CAUSE = "return_not_fetched"
not_fetched.EVENT = "return.not_fetched"

local MINUTE_MS = 60000
local PAGE = 500

local function sum(credits)
    local minor = 0
    for _, credit in ipairs(credits) do
        minor = minor + credit.minor
    end
    return minor
end

local function words_of(reference, offer, book)
    local record, asked_ms = support.record(book.key), presence.calls().returns
    local what = string.format("Return %s (%s of order %s, %s %s)", reference,
        worklist.goods(book, offer.units), record.order_id,
        money.to_text(sum(offer.credits), book.currency), book.currency)
    if offer.lost_ms then
        return what .. " was erased before Khaos fetched it, and never goes there", record
    end
    return string.format("%s was offered to Khaos %d min ago and Khaos has not fetched it; %s",
        what, (time.now_ms() - offer.offered_ms) // MINUTE_MS, asked_ms
        and "it last asked for returns at " .. time.format_iso(asked_ms)
        or "it never asked for returns at all"), record
end

local function cause_of(reference, offer, book)
    local message, record = words_of(reference, offer, book)
    local way = offer.lost_ms and "Book" or "See in Khaos whether its channel downloads returns: "
        .. "this closes by itself when it fetches this one. Or book"
    return {cause = not_fetched.CAUSE, subject = reference, recheck = "proof", message = message,
        remedy = string.format("%s the return of %s on sales order %s in Khaos by hand, and only "
            .. "then release this: it is taken back and counts as credited. Dismiss it if it is "
            .. "not to be booked in Khaos: it is taken back and counts as not credited.", way,
            worklist.goods(book, offer.units), record.order_code or "?")}
end

--- The job of a return that Khaos does not fetch: it waits for the download or for a person.
---@async
---@param job neap.Job
---@param said {reference: string}
function not_fetched.run(job, said)
    local offer, book = offered.waiting(said.reference)
    if not offer then
        job:note("returns", "Khaos fetched it")
    elseif job:overtaken("released." .. not_fetched.CAUSE) then
        offered.booked_by_hand(said.reference)
        job:note("returns", "booked in Khaos by hand")
    else
        job:hold{cause_of(said.reference, offer, book)}
    end
end

--- The job of "dismissed.return_not_fetched".
---@param job neap.Job
function not_fetched.dismissed(job)
    local reference = job.key:match("^return:(.+)$")
    if reference then
        offered.dismiss(reference)
        job:note("returns", "a person says that it is not booked in Khaos")
    end
end

-- What is open of returns that Khaos fetched closes; one that was erased since is not waited for.
local function review(job)
    for _, exception in ipairs(job:exceptions(not_fetched.CAUSE)) do
        local reference = exception.subject
        local offer, book = offered.waiting(reference)
        local cause = offer and offer.lost_ms and cause_of(reference, offer, book)
        if not offer then
            job:close_exception(not_fetched.CAUSE, reference, "Khaos fetched it")
        elseif cause and cause.message ~= exception.message then
            job:open_exception(cause)
        end
    end
end

-- One that was told of has its job: an event that was accepted before is not accepted again.
local function check(job, reference, before_ms)
    local offer = offered.waiting(reference)
    if offer and (offer.lost_ms or offer.offered_ms <= before_ms) then
        job:emit({source = "khaos_cloud.return", id = reference, key = "return:" .. reference,
            name = not_fetched.EVENT, payload = {reference = reference}})
        offered.tell(reference)
    end
end

--- Looks at everything that was not fetched yet.
---@param job neap.Job
---@param silence_ms integer
function not_fetched.watch(job, silence_ms)
    local before_ms, after = time.now_ms() - silence_ms, nil
    review(job)
    repeat
        local page = store.range(offered.WAITING, {after = after, limit = PAGE})
        for _, pair in ipairs(page) do
            after = pair.key
            check(job, pair.key, before_ms)
        end
    until #page < PAGE
end

return not_fetched
