--- Tells SCAYLE which units of a credit note came back. A return is told as a whole or refused as a
--- whole, and others take units back too: what SCAYLE took back meanwhile is left out, and the rest
--- is told by itself.
local fulfillment = require("connectors.scayle.fulfillment")
local json = require("neap.json")
local look = require("flows.returns_stages.look")
local order_units = require("flows.order_units")
local received = require("flows.returns_stages.received")
local refund_book = require("flows.refund_book")
local scayle_client = require("connectors.scayle.client")
local time = require("neap.time")
local unit_book = require("flows.unit_book")

local tell_units = {}

--- SCAYLE may have taken units back already and its message be under way: those come first.
---@async
---@param job neap.Job
---@param lines table
---@param name string of the step
function tell_units.take_in_returns(job, lines, name)
    local sale = look(job, lines.key, name)
    order_units.change(lines.key, function(book)
        refund_book.tell(book, {id = "look:" .. name, at_ms = time.now_ms(), sale = sale})
    end)
end

-- Units that SCAYLE does not know of yet; those it told of itself are left out, and those of a
-- parcel that could not be delivered where that is reported by another way.
local function untold(job, book, note)
    local units, ledger = {}, refund_book.of(book)
    for _, id in ipairs(note.units) do
        local is_reported = ledger.undeliverable[id] and not job.settings.return_undeliverable
        if not unit_book.unit(book, id).returned and not is_reported then
            units[#units + 1] = id
        end
    end
    return units
end

-- Chooses once what SCAYLE is told: a repeat tells the same.
local function chosen(job, lines, code)
    local is_ours = job.settings.returns_master == "khaos"
    return order_units.change(lines.key, function(book)
        local note = book.credit_notes[code]
        if not note.told then
            local units = json.array(untold(job, book, note))
            note.told = is_ours and units or json.array({})
            note.left_to_scayle = not is_ours and units or nil
        end
        return note
    end)
end

local function send(job, lines, code, note)
    local scayle = scayle_client.new(job.settings.scayle)
    local where = {shop_key = lines.shop_key, country = lines.country}
    local again = note.told_again and "#" .. note.told_again or ""
    return job:effect({
        connection = scayle.connection, name = "return_units", class = "lookup",
        key = lines.key .. "/" .. code .. again,
        request = function()
            return fulfillment.return_request(job.settings.merchant_key, note.told,
                received(job.settings, note.created_on), job.settings.return_reason)
        end,
        read = fulfillment.read,
        lookup = function()
            return fulfillment.lookup_returned(scayle, where, lines.order_id, note.told)
        end,
    })
end

local function hold(job, lines, code, note, err)
    local book, words = order_units.load(lines.key), {}
    for i, id in ipairs(note.told) do
        words[i] = string.format("%s (%s)", id, unit_book.unit(book, id).sku)
    end
    table.sort(words)
    job:hold{{cause = "refused_by_scayle", subject = code, recheck = "manual",
        message = string.format("SCAYLE refused the return of order %s (credit note %s, units %s): "
            .. "%s", lines.order_id, code, table.concat(words, ", "), err.message),
        remedy = "Compare the order in SCAYLE and Khaos and correct what differs, then close this: "
            .. "what SCAYLE does not show as returned is told again. Dismiss it when you have "
            .. "dealt with these units: SCAYLE is not told, and the credit note counts."}}
end

-- Units that are not back yet as SCAYLE shows the order now; a refusal may be for the others.
local function rest(job, lines, note)
    tell_units.take_in_returns(job, lines, string.format("order as %s %d",
        table.concat(note.told, ","), note.told_again or 0))
    local book, left = order_units.load(lines.key), json.array({})
    for _, id in ipairs(note.told) do
        left[#left + 1] = not unit_book.unit(book, id).returned and id or nil
    end
    return left
end

-- What SCAYLE refused may hold units that it took back itself meanwhile. False: it holds none.
local function tell_less(job, lines, code, note)
    local left = rest(job, lines, note)
    if #left == #note.told then
        return false
    end
    order_units.change(lines.key, function(book)
        local own = book.credit_notes[code]
        own.told, own.told_again = left, (own.told_again or 0) + 1
    end)
    return true
end

--- Tells it, or holds the job.
---@async
---@param job neap.Job
---@param lines table
---@param code string of the credit note
---@return table note as it was told
function tell_units.run(job, lines, code)
    while true do
        local note = chosen(job, lines, code)
        local result, err = true, nil
        if #note.told > 0 and not note.by_person then
            result, err = send(job, lines, code, note)
        end
        if result then
            return note
        elseif err.retryable or err.kind == "cancelled" then
            error(err, 0)
        elseif not tell_less(job, lines, code, note) then
            hold(job, lines, code, note, err)
        end
    end
end

--- A person has dealt with these units: SCAYLE is not told of them.
---@param order_key string
---@param code string
---@return boolean false: nothing of it was to be told, or it is in the book already
function tell_units.leave_to_person(order_key, code)
    if not order_units.load(order_key) then
        return false
    end
    return order_units.change(order_key, function(book)
        local note = book.credit_notes and book.credit_notes[code]
        if not note or not note.told or book.changes["khaos:" .. code] then
            return false
        end
        note.by_person = true
        return true
    end)
end

return tell_units
