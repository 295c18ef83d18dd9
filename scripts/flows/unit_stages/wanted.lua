--- Units that SCAYLE cancelled and Khaos still has: what a person must take out of the sales order,
--- and the proof that somebody did. A unit is cancelled in its book only when Khaos shows that it
--- is; over Khaos Control Cloud, which shows no lines, when the rest of the order has left.
---
--- An order that may be lost in Khaos is looked for the same way, whoever asked for its amendment.
local amend = require("connectors.khaos_soap.amend")
local amending = require("flows.unit_stages.amending")
local differing = require("flows.order_stages.differing")
local events = require("flows.unit_stages.events")
local history = require("flows.order_history")
local khaos_orders = require("connectors.khaos_soap.orders")
local money = require("neap.money")
local order_units = require("flows.order_units")
local smaller = require("flows.unit_stages.smaller")
local stock_pending = require("flows.stock_pending")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local time = require("neap.time")
local unit_book = require("flows.unit_book")

local wanted = {}

--- key -> {key, order_id, order_code, reference, units, is_whole, wanted, before, minor, currency,
--- posting = smaller.digest|nil, is_asked}
wanted.TABLE = "order_units_wanted"

-- A look that was dismissed, or lost its job otherwise, is not waited for longer than this.
local ASKED_FOR_MS = 24 * 3600000

local PART, WHOLE = "amend_in_khaos", "cancel_in_khaos"

---@class units.Wanted a row of wanted.TABLE
---@field key string of the order
---@field order_id string
---@field order_code string
---@field reference string
---@field units string[] ids that are to go
---@field is_whole boolean nothing would be left
---@field wanted table<string, integer> stock code -> quantity that Khaos should show
---@field before table<string, integer> what it shows until then
---@field minor integer what the shopper paid for the units
---@field currency string
---@field posting table|nil what is left of the order, smaller.digest
---@field is_asked boolean|nil on no worklist: looked for while the order may be lost
---@field asked {id: string, at_ms: integer}|nil the sweep's look that is not taken yet

---@param key string of the order
---@return units.Wanted|nil
function wanted.get(key)
    return store.get(wanted.TABLE, key)
end

--- Does the worklist ask for exactly these units?
---@param entry units.Wanted|nil
---@param units string[]
---@return boolean
function wanted.is_for(entry, units)
    return entry ~= nil and events.name_of(entry.units) == events.name_of(units)
end

-- ---- the worklist ----------------------------------------------------------------------------

local function amount(entry, minor)
    return money.to_text(minor, entry.currency) .. " " .. entry.currency
end

local function skus_of(book, ids)
    local skus = {}
    for _, id in ipairs(ids) do
        skus[unit_book.unit(book, id).sku] = true
    end
    return skus
end

-- "1 x TS-RED-L, 2 x SOCK"
local function items_text(entry)
    local codes, counts, book = {}, {}, order_units.load(entry.key)
    for _, id in ipairs(entry.units) do
        local sku = unit_book.unit(book, id).sku
        codes[#codes + 1] = not counts[sku] and sku or nil
        counts[sku] = (counts[sku] or 0) + 1
    end
    for i, sku in ipairs(codes) do
        codes[i] = string.format("%d x %s", counts[sku], sku)
    end
    return table.concat(codes, ", ")
end

local function whole_words(entry, words)
    return string.format("Order %s (%s) was cancelled in SCAYLE and is still in Khaos%s",
        entry.order_id, amount(entry, entry.minor), words),
        string.format("Cancel sales order %s in Khaos before it is sent: SCAYLE has cancelled it "
            .. "already.", entry.order_code)
end

local function part_words(entry, words)
    local left = entry.posting and string.format(" The order comes to %s then.",
        amount(entry, entry.posting.predicted.gross_minor))
        or " What it comes to then, Khaos or SCAYLE must say: it cannot be worked out here."
    return string.format("%d unit%s of order %s (%s, %s) %s cancelled in SCAYLE and still in "
        .. "Khaos%s", #entry.units, #entry.units == 1 and "" or "s", entry.order_id,
        items_text(entry), amount(entry, entry.minor), #entry.units == 1 and "is" or "are", words),
        string.format("Take %s out of sales order %s in Khaos before it is sent.%s",
            items_text(entry), entry.order_code, left)
end

-- When the order should leave, it is too late.
local function deadline(key)
    local watch = store.get(order_units.OPEN, key)
    return watch and watch.promise_ms
        and " It is to leave by " .. time.format_iso(watch.promise_ms) .. "." or ""
end

--- Puts it on the worklist; a newer one of the order replaces the words.
---@param work table of the look
---@param entry units.Wanted
---@param words string|nil why Khaos was not asked, or refused
function wanted.open(work, entry, words)
    store.put(wanted.TABLE, entry.key, entry)
    local message, remedy = (entry.is_whole and whole_words or part_words)(entry,
        words and "; " .. words or "")
    local is_shown = work.khaos.capabilities.export_orders or entry.is_whole
    work.job:open_exception({cause = entry.is_whole and WHOLE or PART, subject = entry.order_id,
        message = message, remedy = remedy .. deadline(entry.key) .. (is_shown
            and " This closes by itself when Khaos shows it." or " Then close this."),
        recheck = is_shown and "proof" or "manual"})
    if entry.is_whole then
        work.job:close_exception(PART, entry.order_id, "the whole order is cancelled by now")
        history.add(entry.key, "cancel_wanted")
    end
    work.job:note("cancellation", message)
end

--- SCAYLE's call asked for it and was refused, for the order may be lost: is it without the units
--- when Khaos shows it again?
---@param entry units.Wanted
function wanted.look_for(entry)
    if not wanted.get(entry.key) then
        entry.is_asked = true
        store.put(wanted.TABLE, entry.key, entry)
    end
end

--- Nothing is to be taken out of the order any more.
---@param job neap.Job
---@param key string
---@param note string
function wanted.close(job, key, note)
    local entry = wanted.get(key)
    if entry then
        store.delete(wanted.TABLE, key)
        job:close_exception(entry.is_whole and WHOLE or PART, entry.order_id, note)
        job:note("cancellation", note)
    end
end

-- ---- proof -----------------------------------------------------------------------------------

--- What Khaos shows of the order now.
---@async
---@param work table
---@param entry units.Wanted
---@param name string of the step
---@return {found: table[], quantities: table<string, integer>|nil}
function wanted.read(work, entry, name)
    local answer, err = work.job:step(name, function()
        local found, problem = khaos_orders.find(work.khaos, entry.reference,
            work.record.order_code)
        if not found then
            return nil, problem
        end
        local quantities, trouble = amend.quantities(work.khaos, entry.reference)
        if trouble then
            return nil, trouble
        end
        return {found = found, quantities = quantities}
    end)
    return support.check(work, "Khaos", answer, err)
end

-- A living order, read on the key of its amendments: none is under way any more.
local function is_alive(answer)
    local first = answer.found[1]
    return first ~= nil and not first.is_cancelled and answer.quantities ~= nil
end

-- The order that Khaos shows comes to what is left of it, or a person is told.
local function check_total(job, entry, found)
    local posted = store.get(support.LINES, entry.reference)
    local problem = differing.problem(entry.order_code, posted, found,
        job.settings.net_tolerance_minor)
    differing.note(entry.key, found, problem)
    if problem then
        differing.open(job, entry.key, entry.reference, posted, problem)
    end
end

--- Khaos has shown that the units are out of the order: the lines, the book and what is taken of
--- the stock follow.
---@param job neap.Job
---@param entry units.Wanted
---@param found table[]|nil the order as khaos_soap.orders.find gives it; nil: it is cancelled
function wanted.done(job, entry, found)
    amending.is_over(entry.key)
    if entry.posting and not entry.is_whole then
        smaller.adopt(entry.key, entry.reference, entry.posting)
        check_total(job, entry, found)
    end
    local now_ms = time.now_ms()
    local skus = order_units.change(entry.key, function(book)
        local outcome = unit_book.apply(book, {kind = "cancel", origin = "scayle", at_ms = now_ms,
            id = "scayle:units:" .. events.name_of(entry.units), units = entry.units})
        assert(#outcome.refused == 0, "the book does not know its own units")
        return skus_of(book, entry.units)
    end)
    stock_pending.amended(entry.key, skus, now_ms)
    job:note("cancellation", string.format("Khaos order %s is without %d cancelled unit%s",
        entry.order_code, #entry.units, #entry.units == 1 and "" or "s"))
    wanted.close(job, entry.key, entry.order_code .. " in Khaos is without the cancelled units")
end

--- Does Khaos show what an entry wants? An order that is cancelled there as a whole comes with the
--- status feed, which knows what of it had left.
---@param entry units.Wanted
---@param answer table as wanted.read gives it
---@return boolean
function wanted.is_shown(entry, answer)
    return is_alive(answer) and amend.is_same(answer.quantities, entry.wanted, entry.before)
end

-- Once something left, Khaos's lines may show what is left to send (not documented): then the
-- order's completion is the proof (despatch_stages/gone.lua).
local function has_left(key)
    local book = order_units.load(key)
    local summary = unit_book.summary(book)
    return next(book.parcels or {}) ~= nil or summary.shipped ~= nil or summary.returned ~= nil
        or summary.refunded ~= nil
end

local function look_at(work, entry)
    local answer = wanted.read(work, entry, "order in Khaos")
    if not wanted.get(work.key) then
        return
    elseif wanted.is_shown(entry, answer) then
        wanted.done(work.job, entry, answer.found)
    elseif is_alive(answer) then
        amending.is_over(work.key)
    end
end

--- Has somebody taken out in Khaos what the worklist asks for? Does Khaos show again what may have
--- been lost?
---@async
---@param work table
function wanted.prove(work)
    local entry = wanted.get(work.key)
    if not entry or entry.is_whole or not work.khaos.capabilities.export_orders then
        return
    elseif has_left(work.key) then
        amending.is_over(work.key)
    else
        look_at(work, entry)
    end
    if entry.is_asked and not amending.is_lost(work.key) then
        wanted.close(work.job, work.key, "Khaos shows the order again")
    end
end

-- While its look cannot be taken (Khaos or SCAYLE is down, a person is asked) there is no other.
local function ask(job, entry)
    local now_ms = time.now_ms()
    if entry.asked and now_ms - entry.asked.at_ms < ASKED_FOR_MS then
        return
    end
    local event = events.look("units.wanted", entry.key .. ":" .. job.event.id, entry.key)
    if job:emit(event) then -- else the tick is repeated, and its look may be over
        entry.asked = {id = event.id, at_ms = now_ms}
        store.put(wanted.TABLE, entry.key, entry)
    end
end

--- A look at the order came to its end.
---@param job neap.Job
---@param key string of the order
function wanted.looked(job, key)
    local entry = wanted.get(key)
    if entry and entry.asked and entry.asked.id == job.event.id then
        entry.asked = nil
        store.put(wanted.TABLE, key, entry)
    end
end

--- Has every order of the worklist looked at again: one tick of the sweep.
---@param job neap.Job
function wanted.look_again(job)
    local after
    repeat
        local page = store.range(wanted.TABLE, {after = after, limit = 100})
        for _, pair in ipairs(page) do
            after = pair.key
            ask(job, pair.value)
        end
    until #page < 100
end

return wanted
