--- Returns that were offered to Khaos Control Cloud, in the order's book. Khaos tells nothing of a
--- return (contract 8.10), so that it fetched one is the last that is ever heard: only then is it
--- credited. What was not fetched yet is kept in a list of its own, for the eye of a person
--- (not_fetched.lua).
local order_units = require("flows.order_units")
local queue = require("flows.cloud_stages.queue")
local store = require("neap.store")
local time = require("neap.time")
local unit_book = require("flows.unit_book")

local offered = {}

--- reference -> {key, change_id}: offered, and not fetched yet.
offered.WAITING = "cloud_returns_waiting"

---@class returns.Offer book.offered_returns[change_id]
---@field reference string
---@field units string[]
---@field credits {unit: string, minor: integer}[]
---@field offered_ms integer
---@field told_ms integer|nil a person was told that Khaos does not fetch it
---@field lost_ms integer|nil it was erased before Khaos fetched it, and never goes there
---@field dismissed_ms integer|nil a person says that it is not to be booked in Khaos
---@field credited_ms integer|nil
---@field is_fetched boolean|nil by Khaos; else a person booked it

--- Puts an offer into the book; keeping the book and the queue's entry, in one piece with this, is
--- the caller's.
---@param book units.Book changed in place
---@param change_id string
---@param offer returns.Offer without offered_ms
function offered.add(book, change_id, offer)
    offer.offered_ms = time.now_ms()
    book.offered_returns = book.offered_returns or {}
    book.offered_returns[change_id] = offer
    store.put(offered.WAITING, offer.reference, {key = book.key, change_id = change_id})
end

--- How many returns of the order were offered so far.
---@param book units.Book
---@return integer
function offered.count(book)
    local count = 0
    for _ in pairs(book.offered_returns or {}) do
        count = count + 1
    end
    return count
end

--- Units that an offer deals with and that are not credited yet.
---@param book units.Book
---@return table<string, returns.Offer> by unit id
function offered.open_units(book)
    local units = {}
    for _, offer in pairs(book.offered_returns or {}) do
        for _, id in ipairs(not offer.credited_ms and offer.units or {}) do
            units[id] = offer
        end
    end
    return units
end

---@param reference string
---@return returns.Offer|nil nil: fetched, taken back, or no return at all
---@return units.Book|nil
---@return string|nil change_id
function offered.waiting(reference)
    local place = store.get(offered.WAITING, reference)
    local book = place and order_units.load(place.key)
    if not book then
        return nil
    end
    return book.offered_returns[place.change_id], book, place.change_id
end

-- Nothing else credits an order of the Cloud, so what fitted when it was offered fits.
local function credit(reference, is_fetched)
    store.atomic(function()
        local offer, book, change_id = offered.waiting(reference)
        if not offer then
            return
        end
        unit_book.apply(book, {kind = "credit", id = "cloud:" .. change_id, origin = "neap",
            at_ms = time.now_ms(), credits = offer.credits})
        offer.credited_ms, offer.is_fetched = time.now_ms(), is_fetched
        order_units.save(book)
        store.delete(offered.WAITING, reference)
    end)
end

--- Khaos fetched it. Repeats change nothing.
---@param reference string
function offered.fetched(reference)
    credit(reference, true)
end

--- A person says that it is booked in Khaos by hand: Khaos is not to fetch it any more.
---@param reference string
function offered.booked_by_hand(reference)
    queue.withdraw("returns", reference)
    credit(reference)
end

-- Notes in the offer when something became known, once.
local function mark(reference, field)
    store.atomic(function()
        local offer, book = offered.waiting(reference)
        if offer and not offer[field] then
            offer[field] = time.now_ms()
            order_units.save(book)
        end
    end)
end

--- A person is told that Khaos does not fetch it.
---@param reference string
function offered.tell(reference)
    mark(reference, "told_ms")
end

--- It was erased and is never fetched.
---@param reference string
function offered.lost(reference)
    mark(reference, "lost_ms")
end

--- A person says that it is not to be booked: Khaos does not fetch it any more, nothing is
--- credited, and nobody is asked again.
---@param reference string
function offered.dismiss(reference)
    queue.withdraw("returns", reference)
    mark(reference, "dismissed_ms")
    store.delete(offered.WAITING, reference)
end

return offered
