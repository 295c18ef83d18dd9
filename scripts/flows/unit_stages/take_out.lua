--- Takes cancelled units out of a sales order of Khaos, where Khaos does that.
local amend = require("connectors.khaos_soap.amend")
local amending = require("flows.unit_stages.amending")
local codes = require("flows.khaos_codes")
local errors = require("neap.errors")
local events = require("flows.unit_stages.events")
local khaos_cancel = require("flows.khaos_cancel")
local mapper = require("flows.orders.map")
local order_units = require("flows.order_units")
local smaller = require("flows.unit_stages.smaller")
local stock_pending = require("flows.stock_pending")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local time = require("neap.time")
local unwanted = require("flows.order_stages.unwanted")
local wanted = require("flows.unit_stages.wanted")

local NOT_DONE = "Khaos did not do it: "
local LOST = "Khaos was asked to amend the order and shows it no more, or only as cancelled: IT "
    .. "MAY BE LOST THERE. SCAYLE is not told of that: import it again, or cancel it in SCAYLE"

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

-- Also without what was taken off before the posting: SCAYLE may not show it yet.
local function with_unwanted(key, out)
    for id in pairs(unwanted.of(key) or {}) do
        out[id] = true
    end
    return out
end

-- Units that are out of the order already, though its lines may hold them: what is left could not
-- be mapped then.
local function cancelled(book)
    local ids = {}
    for _, unit in ipairs(book.units) do
        ids[unit.id] = unit.cancelled and true or nil
    end
    return ids
end

local function entry_of(work, found, posting)
    local lines = store.get(support.LINES, work.record.reference).lines
    local book = order_units.load(work.key)
    local before = amend.wanted(lines, cancelled(book))
    local after = amend.wanted(lines, found.out)
    return {key = work.key, order_id = work.order_id, order_code = work.record.order_code,
        reference = work.record.reference, units = found.open,
        is_whole = found.kept == 0 and found.shipped == 0,
        wanted = after, before = before,
        minor = found.minor, currency = book.currency,
        posting = smaller.digest(work.key, posting)}
end

local function cancel_whole(work, record)
    if not work.khaos.capabilities.cancel_order then
        return nil
    end
    local done, words = khaos_cancel(work.job, work.khaos, record)
    return done, words and NOT_DONE .. words
end

-- Its answer may be all that says so: the order must show it, too.
local function amended(work, entry)
    local answer = wanted.read(work, entry, "amended order in Khaos")
    local first = answer.found[1]
    if wanted.is_shown(entry, answer) then
        return {found = answer.found}
    elseif first and not first.is_cancelled then
        return nil, "Khaos took the amendment, but the order does not show it"
    end
    amending.lose(work.key)
    return nil, LOST
end

local function leave(work, entry)
    if not amending.begin(work.key) then
        error(errors.new({kind = "exists", retryable = true, message = "Khaos was asked to cancel "
            .. entry.order_code .. " as a whole: what comes of that is awaited"}), 0)
    end
    stock_pending.amending(work.key, entry.wanted)
end

local function amend_part(work, entry, found, posting)
    if not work.khaos.capabilities.amend_order or not posting then
        return nil
    elseif found.shipped > 0 then
        return nil, "part of the order has left"
    elseif amending.is_cancelled(work.key) then
        return {is_cancelled = true} -- SCAYLE's call about the whole order came first
    elseif amending.is_lost(work.key) then
        return nil, LOST
    end
    local settings, khaos = work.settings.amend_order, work.khaos
    local result, err = work.job:effect({
        connection = khaos.connection, name = "amend_order", class = "lookup",
        key = entry.reference .. "/" .. events.name_of(entry.units),
        request = function()
            leave(work, entry)
            return amend.request(khaos, settings, entry.order_code, posting)
        end,
        read = function(answer)
            return amend.read(answer, settings)
        end,
        lookup = function()
            return amend.lookup(khaos, entry.reference, entry.wanted, entry.before,
                entry.order_code)
        end,
    })
    if result and result.is_cancelled then
        amending.lose(work.key) -- a person did that, or Khaos is in the middle of it
        return nil, LOST
    elseif result then
        return amended(work, entry)
    elseif err.retryable or err.kind == "cancelled" then
        error(err, 0)
    end
    return nil, NOT_DONE .. err.message
end

--- Takes the units of a comparison out.
---@async
---@param work table of the look
---@param found units.Comparison
---@return units.Wanted entry
---@return boolean is_out Khaos shows it; or the whole order is cancelled there, which its status
--- feed tells, with what of it had left
---@return string|nil words why not
return function(work, found)
    local posting, why
    if found.kept > 0 then
        posting, why = posting_of_rest(work, with_unwanted(work.key, found.out))
    end
    -- Remembered: the mappings may change while it is open what became of the request.
    local entry = work.job:step("what is wanted", function()
        return entry_of(work, found, posting)
    end)
    local done, words
    if entry.is_whole then
        done, words = cancel_whole(work, work.record)
    else
        done, words = amend_part(work, entry, found, posting)
    end
    if entry.is_whole or not amending.is_lost(work.key) then
        amending.is_over(work.key)
    end
    if not done then
        stock_pending.not_amended(work.key, time.now_ms())
        return entry, false, words or why
    elseif done.left or done.is_cancelled then
        -- The status feed knows what of it had left, and cancels the rest.
        stock_pending.not_amended(work.key, time.now_ms())
        work.job:note("cancellation", entry.order_code .. " is cancelled in Khaos as a whole")
        return entry, true
    end
    wanted.done(work.job, entry, done.found)
    return entry, true
end
