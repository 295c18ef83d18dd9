--- What becomes of a cancellation: waits for the order to come to rest, tries what Khaos can do,
--- answers, and leaves the rest to a person.
local amending = require("flows.unit_stages.amending")
local cancellation = require("connectors.scayle.cancellation")
local compare = require("flows.unit_stages.compare")
local history = require("flows.order_history")
local khaos_cancel = require("flows.khaos_cancel")
local khaos_line = require("flows.khaos_line")
local order_units = require("flows.order_units")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local time = require("neap.time")
local unit_book = require("flows.unit_book")

local decide = {}

--- order reference key, or the name of a part (flows.cancellation_stages.part) -> {tries, until_ms,
--- asked_khaos, result = "successful"|"refused"|nil, why}; of a part also key of the order, units
decide.TABLE = "cancellations"

local DAY_MS = 24 * 3600000
local STRANGE = "not posted by this integration"
local FIRST_WAIT_MS = 100
local LONGEST_WAIT_MS = 2000

---@param settings table
---@param result "successful"|"refused"
---@return string
function decide.word(settings, result)
    return result == "successful" and result or settings.refused_word
end

--- The key and the record of an order, as far as it is known.
---@param reference string
---@return string|nil key
---@return table|nil record
function decide.order_of(reference)
    local entry = store.get(support.REFERENCES, reference)
    return entry and entry.key, entry and support.record(entry.key) or nil
end

--- What an event about it names: the order's key, or, before that is known, its alias.
---@param reference string
---@return string
function decide.about(reference)
    return decide.order_of(reference) or "reference:" .. reference
end

local function is_all_cancelled(book)
    local summary = unit_book.summary(book)
    return summary.cancelled ~= nil and summary.cancelled.units == #book.units
end

-- Of a part: every unit that it named.
local function is_over(entry, book)
    if not entry.units then
        return is_all_cancelled(book)
    end
    for _, id in ipairs(entry.units) do
        local unit = unit_book.unit(book, id)
        if not unit or not unit.cancelled then
            return false
        end
    end
    return #entry.units > 0
end

--- The decision on a name, nil while there is none. A refusal is over when every unit was cancelled
--- since; that is written down before anybody is told.
---@param reference string
---@return "successful"|"refused"|nil
function decide.known(reference)
    local entry = store.get(decide.TABLE, reference)
    if not entry or not entry.result then
        return nil
    end
    local key = entry.key or decide.order_of(reference)
    local book = key and order_units.load(key)
    if entry.result == "refused" and book and is_over(entry, book) then
        entry.result, entry.why = "successful", "every unit was cancelled since"
        store.put(decide.TABLE, reference, entry)
    end
    return entry.result
end

--- The tombstone: the orders flow looks at it before it posts. Never where SCAYLE is told that the
--- order was not cancelled because nobody knows whose it is: it would end what SCAYLE has as ours.
---@param job neap.Job
---@param reference string
function decide.entomb(job, reference)
    job:emit({source = "scayle.cancellation.notice", id = reference,
        key = "reference:" .. reference, name = "cancellation", class = "overtaking",
        idle = "keep", flow = job.settings.orders_flow})
end

--- Remembers a decision.
---@param job neap.Job
---@param reference string
---@param result "successful"|"refused"
---@param why string
function decide.note(job, reference, result, why)
    local entry = store.get(decide.TABLE, reference) or {tries = 1, until_ms = 0}
    entry.result, entry.why, entry.decided_ms = result, why, time.now_ms()
    store.put(decide.TABLE, reference, entry)
    job:note("cancellation", string.format("%s: %s", result, why))
end

--- Whose units a call is about: it need not say so.
---@param job neap.Job
---@param asked scayle.Cancellation
---@return string|nil
function decide.merchant(job, asked)
    return asked.merchant or job.settings.merchant_key
end

--- The units of a part.
---@param name string
---@return table<string, true>|nil
function decide.units_of(name)
    local entry = store.get(decide.TABLE, name)
    local set = entry and entry.units and {}
    for _, id in ipairs(set and entry.units or {}) do
        set[id] = true
    end
    return set
end

--- SCAYLE got the decision in an answer.
---@param reference string
function decide.was_heard(reference)
    local entry = store.get(decide.TABLE, reference)
    if entry and not entry.is_heard then
        entry.is_heard = true
        store.put(decide.TABLE, reference, entry)
    end
end

--- Did it? A call may be over by the time it is decided.
---@param reference string
---@return boolean
function decide.is_heard(reference)
    local entry = store.get(decide.TABLE, reference)
    return entry ~= nil and entry.is_heard == true
end

--- Source of the events that a call makes: only those have somebody who waits for the answer.
decide.CALL = "scayle.cancellation"

--- Gives SCAYLE a decision, should it still wait for it.
---@param job neap.Job
---@param name string that it is kept under
---@param reference string
---@param result "successful"|"refused"
function decide.give(job, name, reference, result)
    if job.event.source == decide.CALL
        and job:answer(cancellation.answer(reference, decide.word(job.settings, result))) then
        decide.was_heard(name)
    end
end

local function settle(job, reference, result, why)
    decide.note(job, reference, result, why)
    decide.give(job, reference, reference, result)
end

-- ---- posted orders ---------------------------------------------------------------------------

local function mark_cancelled(key, units)
    order_units.change(key, function(book)
        unit_book.apply(book, {kind = "cancel", id = "scayle:cancellation", origin = "scayle",
            at_ms = time.now_ms(), units = units})
    end)
end

local function all_units(book)
    local units = {}
    for i, unit in ipairs(book.units) do
        units[i] = unit.id
    end
    return units
end

local function worklist(job, key, record, words)
    history.add(key, "cancel_wanted")
    job:open_exception({cause = "cancel_in_khaos", subject = record.order_id,
        message = string.format("The shopper wants order %s cancelled%s", record.order_id,
            words and "; Khaos did not do it: " .. words or ""),
        remedy = string.format("Cancel sales order %s in Khaos before it is sent: SCAYLE is told "
            .. "by itself then. If it must be sent, dismiss this.", record.order_code),
        recheck = "proof"})
end

local function too_late(job, record, count)
    job:open_exception({cause = "cancel_too_late", subject = record.order_id,
        message = string.format("The shopper wants order %s cancelled, but %d of its units have "
            .. "left", record.order_id, count),
        remedy = "Stop the parcel, or leave it to the return; then close this.",
        recheck = "manual"})
end

local function count_left(book)
    local count, leaving = 0, book and compare.in_parcels(book)
    for _, unit in ipairs(book and book.units or {}) do
        local state = unit_book.state(unit)
        local has_left = state ~= "cancelled" and (state ~= "open" or leaving[unit.id])
        count = count + (has_left and 1 or 0)
    end
    return count
end

-- Once Khaos may have been asked, its answer decides, whatever the order has become meanwhile: what
-- Khaos cancelled is in the book before us when the status feed is faster.
local function ask_khaos(job, reference, khaos, record)
    local entry = store.get(decide.TABLE, reference) or {tries = 1, until_ms = 0}
    entry.asked_khaos = true
    store.put(decide.TABLE, reference, entry)
    return khaos_cancel(job, khaos, record)
end

local function was_khaos_asked(reference)
    local entry = store.get(decide.TABLE, reference)
    return entry ~= nil and entry.asked_khaos == true
end

local function refuse_left(job, reference, record, left)
    too_late(job, record, left)
    settle(job, reference, "refused", string.format("%d units have left", left))
end

local function leave_to_person(job, reference, key, record, words)
    worklist(job, key, record, words)
    settle(job, reference, "refused", words and "Khaos refused: " .. words
        or "a person must cancel it in Khaos")
end

local function cancel_in_khaos(job, reference, key, record)
    local done, words = ask_khaos(job, reference, khaos_line.new(job.settings.khaos), record)
    amending.end_whole(key, done ~= nil)
    local left = done and done.left or not done and count_left(order_units.load(key)) or 0
    if left > 0 then
        refuse_left(job, reference, record, left)
    elseif done then
        mark_cancelled(key, all_units(order_units.load(key)))
        settle(job, reference, "successful", "Khaos cancelled " .. record.order_code)
    else
        leave_to_person(job, reference, key, record, words)
    end
end

--- Decides on an order that Khaos has.
---@async
---@param job neap.Job
---@param reference string
---@param key string
---@param record table
---@return boolean false: Khaos is amending the order, which must come to its end first
function decide.posted(job, reference, key, record)
    local book, is_asked = order_units.load(key), was_khaos_asked(reference)
    local can_ask = khaos_line.new(job.settings.khaos).capabilities.cancel_order and book ~= nil
    if book and is_all_cancelled(book) and not is_asked then
        settle(job, reference, "successful", "every unit is cancelled already")
    elseif count_left(book) > 0 and not is_asked then
        refuse_left(job, reference, record, count_left(book))
    elseif not is_asked and not can_ask then
        leave_to_person(job, reference, key, record)
    elseif amending.begin_whole(key) then
        cancel_in_khaos(job, reference, key, record)
    else
        return false
    end
    return true
end

-- ---- waiting for the order -------------------------------------------------------------------

-- Is there a posted order that is still here and of which SCAYLE's name is not known, because no
-- delegation told it?
local function has_unnamed()
    local page
    repeat
        page = store.range(support.UNNAMED, {limit = 100})
        for _, pair in ipairs(page) do
            if store.get(order_units.OPEN, pair.key) then
                return true
            end
            store.delete(support.UNNAMED, pair.key)
        end
    until #page == 0
    return false
end

--- Just after go-live an order that we do not know, or do not post, may be the predecessor's;
--- one that we do not know by its name may be one that we posted without a delegation; and one that
--- a person dismissed somebody deals with by hand, in Khaos perhaps.
---@param job neap.Job
---@param record table|nil of the order
---@return boolean
function decide.is_strange(job, record)
    local young = time.now_ms() < job.live_from_ms + job.settings.cautious_days * DAY_MS
    if not record then
        return young or has_unnamed()
    end
    return record.ended ~= nil and (record.ended:find("live_from", 1, true) ~= nil
        or record.ended:find(support.DISMISSED, 1, true) == 1)
end

--- Such an order is a person's.
---@param job neap.Job
---@param reference string
function decide.tell_strange(job, reference)
    job:open_exception({cause = "cancellation_unknown", subject = reference,
        message = string.format("The shopper wants order %s cancelled, which this integration did "
            .. "not post", reference),
        remedy = "Look for it in Khaos and cancel it there by hand, then in SCAYLE; close this.",
        recheck = "manual"})
end

-- True when there was something to decide.
local function try(job, reference)
    local key, record = decide.order_of(reference)
    if decide.is_strange(job, record) then
        decide.tell_strange(job, reference)
        settle(job, reference, "refused", STRANGE)
        return true
    end
    decide.entomb(job, reference)
    if not record then
        settle(job, reference, "successful", "cancelled before the order was known")
    elseif record.order_code then
        return decide.posted(job, reference, key, record)
    elseif record.ended then
        settle(job, reference, "successful", "never posted: " .. record.ended)
    else
        return false
    end
    return true
end

--- Tries until it is decided, a few seconds at most. False: the order did not come to rest.
---@async
---@param job neap.Job
---@param name string of the wait, once per job
---@param fn fun(): boolean true when it is decided
---@return boolean
function decide.wait(job, name, fn)
    local wait_ms, waited_ms, number = FIRST_WAIT_MS, 0, 0
    while not fn() do
        if waited_ms >= job.settings.wait_ms then
            return false
        end
        number = number + 1
        job:sleep(name .. " " .. number, wait_ms)
        waited_ms = waited_ms + wait_ms
        wait_ms = math.min(wait_ms * 2, LONGEST_WAIT_MS)
    end
    return true
end

--- The job of an event "cancellation.asked". False: SCAYLE does not know the decision.
---@async
---@param job neap.Job
---@return boolean
function decide.run(job)
    local asked = assert(cancellation.parse(job.event.payload))
    local reference = asked.order_reference_key
    if decide.known(reference) then
        decide.give(job, reference, reference, decide.known(reference))
        return decide.is_heard(reference)
    end
    local is_decided = decide.wait(job, "order under way", function()
        return try(job, reference)
    end)
    if not is_decided then
        job:note("cancellation", "not decided in time: SCAYLE asks again")
    end
    return is_decided and decide.is_heard(reference)
end

return decide
