--- Takes cancelled units out of a sales order of Khaos, or asks a person to.
local amend = require("connectors.khaos_soap.amend")
local cancel = require("connectors.khaos_soap.cancel")
local codes = require("flows.khaos_codes")
local events = require("flows.unit_stages.events")
local mapper = require("flows.orders.map")
local order_units = require("flows.order_units")
local smaller = require("flows.unit_stages.smaller")
local stock_pending = require("flows.stock_pending")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local time = require("neap.time")
local unit_book = require("flows.unit_book")
local wanted = require("flows.unit_stages.wanted")

-- The order without them, proved to the penny; nil and why when it cannot be said.
local function posting_of_rest(work, out)
    if work.record.is_shared then
        return nil, "several merchants share the order"
    end
    local result = mapper.map({order = work.order, cancelled = out,
        mappings = work.line.mappings(work.settings.mappings), settings = work.settings,
        has_stock_code = codes.has, delegated_ms = work.record.delegated_ms,
        own_references = {work.record.order_code}})
    if not result.posting then
        return nil, result.causes[1].message
    elseif result.posting.reference ~= work.record.reference then
        return nil, "its reference would change"
    end
    result.posting.customer.company_code = work.record.urn
    return result.posting
end

local function entry_of(work, found, posting)
    local lines = store.get(support.LINES, work.record.reference)
    local before, after = amend.wanted(lines.lines), amend.wanted(lines.lines)
    local book = order_units.load(work.key)
    for _, id in ipairs(found.open) do
        local sku = unit_book.unit(book, id).sku
        after[sku] = (after[sku] or 0) - 1
    end
    return {key = work.key, order_id = work.order_id, order_code = work.record.order_code,
        reference = work.record.reference, units = found.open,
        is_whole = found.kept == 0 and found.shipped == 0,
        wanted = posting and amend.wanted(posting.lines) or after, before = before,
        minor = found.minor, currency = book.currency,
        posting = smaller.digest(work.key, posting)}
end

-- What Khaos did; nil and its words when it would not.
local function ask(work, spec)
    local result, err = work.job:effect(spec)
    if result then
        return result
    elseif err.retryable or err.kind == "cancelled" then
        error(err, 0)
    end
    return nil, "Khaos did not do it: " .. err.message
end

local function cancel_whole(work, record)
    if not work.khaos.capabilities.cancel_order then
        return nil
    end
    local settings = work.settings.cancel_order
    return ask(work, {
        connection = work.khaos.connection, name = "cancel_order", key = record.order_code,
        class = "lookup",
        request = function()
            return cancel.request(work.khaos, settings, record.order_code)
        end,
        read = function(answer)
            return cancel.read(answer, settings)
        end,
        lookup = function()
            return cancel.lookup(work.khaos, record.reference, record.order_code)
        end,
    })
end

local function amend_part(work, entry, found, posting)
    if not work.khaos.capabilities.amend_order or not posting then
        return nil
    elseif found.shipped > 0 then
        return nil, "part of the order has left"
    end
    local settings, khaos = work.settings.amend_order, work.khaos
    local done, words = ask(work, {
        connection = khaos.connection, name = "amend_order", class = "lookup",
        key = entry.reference .. "/" .. events.name_of(entry.units),
        request = function()
            stock_pending.amending(work.key, entry.wanted)
            return amend.request(khaos, settings, entry.order_code, posting)
        end,
        read = function(answer)
            return amend.read(answer, settings)
        end,
        lookup = function()
            return amend.lookup(khaos, entry.reference, entry.wanted, entry.before)
        end,
    })
    if not done then
        stock_pending.not_amended(work.key, time.now_ms())
    end
    return done, words
end

--- Takes the units of a comparison out.
---@async
---@param work table of the look
---@param found units.Comparison
return function(work, found)
    local posting, why
    if found.kept > 0 then
        posting, why = posting_of_rest(work, found.out)
    end
    local entry = entry_of(work, found, posting)
    local done, words
    if entry.is_whole then
        done, words = cancel_whole(work, work.record)
    else
        done, words = amend_part(work, entry, found, posting)
    end
    if not done then
        return wanted.open(work, entry, words or why)
    end
    if done.left then
        -- Some left before: the status feed knows which, and cancels the rest.
        work.job:note("cancellation", string.format("%s is cancelled in Khaos; %d units had left",
            entry.order_code, done.left))
        return
    elseif not entry.is_whole then
        local answer = wanted.read(work, entry, "amended order in Khaos")
        if answer.found[1] then
            wanted.check_total(work.job, entry, answer.found)
        end
    end
    wanted.done(work.job, entry)
end
