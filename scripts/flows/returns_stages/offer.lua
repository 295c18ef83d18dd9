--- A return that SCAYLE tells of, offered to Khaos Control Cloud: one CustomerReturn, tied to its
--- order, priced by what SCAYLE gave back for each unit. What becomes of it: offered.lua.
local json = require("neap.json")
local queue = require("flows.cloud_stages.queue")
local offered = require("flows.returns_stages.offered")
local order_units = require("flows.order_units")
local refund_book = require("flows.refund_book")
local return_document = require("connectors.khaos_cloud.return_document")
local store = require("neap.store")
local stray = require("flows.returns_stages.stray")
local support = require("flows.order_stages.support")
local time = require("neap.time")
local unit_book = require("flows.unit_book")
local worklist = require("flows.returns_stages.worklist")

local offer = {}

-- What SCAYLE gave back for a unit, at most what it was invoiced.
local function credit_minor(book, id)
    local refund = refund_book.of(book).units[id]
    local paid = unit_book.unit(book, id).paid_minor
    return refund and math.min(refund.minor, paid) or paid
end

-- Units of one code at one price are one line, in the order of the book.
local function lines_of(book, units, reason)
    local list, by_price = {}, {}
    for _, id in ipairs(units) do
        local unit, minor = unit_book.unit(book, id), credit_minor(book, id)
        local place = unit.sku .. "\n" .. minor
        if not by_price[place] then
            by_price[place] = {sku = unit.sku, quantity = 0, unit_minor = minor,
                reason = reason}
            list[#list + 1] = by_price[place]
        end
        by_price[place].quantity = by_price[place].quantity + 1
    end
    return list
end

local function credits_of(book, units)
    local credits = {}
    for i, id in ipairs(units) do
        credits[i] = {unit = id, minor = credit_minor(book, id)}
    end
    return credits
end

-- What Khaos must have and we may lack; nil when all is there.
local function missing(settings, record, document)
    if not settings.khaos_return_reason then
        return "the returns flow has no khaos_return_reason"
    elseif not record.urn then
        return "the customer's code in Khaos is not known"
    elseif not document then
        return "the order's address is not kept any more"
    end
    return nil
end

local function put(job, record, order_key, document, reference, lines)
    local settings = job.settings
    queue.put("returns", reference, order_key, return_document.build({
        reference = reference, order_reference = record.reference, urn = record.urn,
        created = time.format_iso(time.now_ms(), {zone = settings.khaos.zone}):sub(1, 19),
        address = document.InvoiceAddress, contact = document.InvoiceContact, items = lines,
        process = settings.process_return,
    }))
end

-- Into the book and into the queue; nil and why not, when neither. Another message about the same
-- return has a job of its own, so what is open is seen in one piece with this.
local function put_in_both(job, order_key, change_id)
    local book, record = order_units.load(order_key), support.record(order_key)
    local units = worklist.open_goods(book)
    if #units == 0 or book.offered_returns and book.offered_returns[change_id] then
        return true
    end
    local document = record.reference and queue.document("orders", record.reference)
    local problem, credits = missing(job.settings, record, document), credits_of(book, units)
    if problem then
        return nil, problem
    elseif not stray.fits(book, change_id, {credits = credits}) then
        return nil, "it would credit more than was invoiced"
    end
    local reference = string.format("%s-R%d", record.reference, offered.count(book) + 1)
    offered.add(book, change_id, {reference = reference, units = json.array(units),
        credits = json.array(credits)})
    order_units.save(book)
    put(job, record, order_key, document, reference,
        lines_of(book, units, job.settings.khaos_return_reason))
    job:note("returns", string.format("offered to Khaos as %s: %s", reference,
        json.encode(json.array(units))))
    return true
end

--- Offers the units that nobody deals with yet, once per change of the book. Nil and why not, when
--- a person must book it.
---@param job neap.Job
---@param order_key string
---@param change_id string
---@return true|nil
---@return string|nil
function offer.open_goods(job, order_key, change_id)
    return store.atomic(function() -- a slice may be cut in two, and half of it is never fetched
        return put_in_both(job, order_key, change_id)
    end)
end

return offer
