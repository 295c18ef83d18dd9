--- An order in Khaos that became smaller: what must be remembered of the posting that says so, and
--- how the order's lines and its book of units follow once Khaos shows it.
local history = require("flows.order_history")
local json = require("neap.json")
local order_units = require("flows.order_units")
local posted_lines = require("flows.order_stages.posted_lines")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local time = require("neap.time")
local unit_book = require("flows.unit_book")

local smaller = {}

--- What of a posting is needed to adopt it later: no personal data.
---@param key string
---@param posting table|nil
---@return table|nil
function smaller.digest(key, posting)
    if not posting then
        return nil
    end
    local book = order_units.of_posting(key, posting)
    return {lines = posted_lines.lines(posting), predicted = posting.predicted,
        gross_to_net = posting.gross_to_net, delivery = posting.delivery_charge,
        paid = posted_lines.paid(posting), units = book.units, charges = book.charges}
end

local VERSIONED = {"lines", "predicted", "gross_to_net", "delivery", "paid"}

-- What the lines were stays, for reports as of an earlier instant (order_lines.versions).
local function adopt_lines(reference, digest)
    local lines = store.get(support.LINES, reference)
    local earlier = {until_ms = time.now_ms()}
    for _, name in ipairs(VERSIONED) do
        earlier[name], lines[name] = lines[name], digest[name]
    end
    lines.versions = lines.versions or json.array({})
    table.insert(lines.versions, earlier)
    store.put(support.LINES, reference, lines)
    return lines
end

-- What units and charges were worth stays too.
local function adopt_units(book, digest)
    unit_book.keep_version(book, time.now_ms())
    for _, unit in ipairs(digest.units) do
        local own = unit_book.unit(book, unit.id)
        own.line, own.paid_minor, own.reduced_minor, own.moved_minor = unit.line,
            unit.paid_minor, unit.reduced_minor, unit.moved_minor
    end
    for _, charge in ipairs(digest.charges) do
        for _, old in ipairs(book.charges) do
            charge.credits = old.name == charge.name and old.credits or charge.credits
        end
    end
    book.charges = digest.charges
end

--- The order in Khaos is the smaller one now.
---@param key string
---@param reference string
---@param digest table as smaller.digest gives it
function smaller.adopt(key, reference, digest)
    local lines = adopt_lines(reference, digest)
    order_units.change(key, function(book)
        adopt_units(book, digest)
    end)
    history.add(key, "ordered", {minor = digest.predicted.gross_minor, currency = lines.currency,
        company = lines.company, market = lines.market})
end

--- The lines of an order as they were at an instant.
---@param lines table as support.LINES has it
---@param at_ms integer
---@return table
function smaller.lines_at(lines, at_ms)
    for _, version in ipairs(lines.versions or {}) do
        if at_ms < version.until_ms then
            return version
        end
    end
    return lines
end

return smaller
