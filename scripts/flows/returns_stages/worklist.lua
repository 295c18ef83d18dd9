--- What a person must do about the returns and refunds of an order. Each list says what the book
--- lacks now: settling opens, rewords or closes it, so it does not matter in which order things
--- became known. The proof is always what the other system shows.
local khaos_line = require("flows.khaos_line")
local money = require("neap.money")
local offered = require("flows.returns_stages.offered")
local order_units = require("flows.order_units")
local refund_book = require("flows.refund_book")
local support = require("flows.order_stages.support")
local unit_book = require("flows.unit_book")

local worklist = {}

worklist.GOODS = "return_not_in_khaos"
worklist.MONEY = "refund_not_in_khaos"
worklist.UNEXPLAINED = "refund_unexplained"
worklist.EXCEEDS = "refund_exceeds_invoice"
worklist.DOUBTFUL = "refund_told_twice"
worklist.UNDELIVERABLE = "parcel_undeliverable"
worklist.NOT_IN_SCAYLE = "return_not_in_scayle"

local function amount(book, minor)
    return money.to_text(minor, book.currency) .. " " .. book.currency
end

-- "2 x TEE, 1 x SOCK", sorted.
local function goods(book, ids)
    local by_sku, words = {}, {}
    for _, id in ipairs(ids) do
        local sku = unit_book.unit(book, id).sku
        by_sku[sku] = (by_sku[sku] or 0) + 1
    end
    for sku, quantity in pairs(by_sku) do
        words[#words + 1] = string.format("%d x %s", quantity, sku)
    end
    table.sort(words)
    return table.concat(words, ", ")
end

worklist.goods = goods

local LISTS = {}

--- Units that came back to SCAYLE and that nobody deals with in Khaos: neither credited, nor
--- offered to it, nor processed by a job of their own.
---@param book units.Book
---@return string[] ids
---@return integer minor to be credited for them
function worklist.open_goods(book)
    local ids, minor, is_going = {}, 0, offered.open_units(book)
    for _, entry in pairs(book.processing or {}) do
        for _, id in ipairs(entry.units) do
            is_going[id] = not entry.given_up or nil
        end
    end
    for _, unit in ipairs(refund_book.open(book).units) do
        if not is_going[unit.id] then
            ids[#ids + 1] = unit.id
            minor = minor + math.min(unit.minor, unit.invoiced_minor)
        end
    end
    return ids, minor
end

LISTS[worklist.GOODS] = function(book, record)
    local ids, minor = worklist.open_goods(book)
    if #ids == 0 then
        return nil
    end
    local list = goods(book, ids)
    return string.format("SCAYLE took back %s of order %s and refunds %s", list, record.order_id,
        amount(book, minor)),
        string.format("Book the return of %s on sales order %s in Khaos, credit %s: its credit "
            .. "note closes this.", list, record.order_code or "?", amount(book, minor))
end

-- "4.95 GBP of delivery, 18.00 GBP of TEE (refunded 20.00 GBP, credited 2.00 GBP)"
local function money_words(book, entries)
    local words, sum = {}, 0
    for i, entry in ipairs(entries) do
        sum = sum + entry.minor
        words[i] = string.format("%s of %s%s", amount(book, entry.minor), entry.name,
            entry.credited_minor > 0 and string.format(" (refunded %s, credited %s)",
                amount(book, entry.refund_minor), amount(book, entry.credited_minor)) or "")
    end
    return table.concat(words, ", "), amount(book, sum)
end

LISTS[worklist.MONEY] = function(book, record, open)
    if #open.money == 0 then
        return nil
    end
    local list, sum = money_words(book, open.money)
    return string.format("SCAYLE refunds %s of order %s that Khaos has not credited: %s", sum,
        record.order_id, list),
        string.format("Credit %s on sales order %s in Khaos, without goods (%s): its credit note "
            .. "closes this.", sum, record.order_code or "?", list)
end

LISTS[worklist.UNEXPLAINED] = function(book, record, open)
    local minor = open.unexplained_minor
    if minor == 0 then
        return nil
    end
    local known = string.format("its returned units, refunded charges and cancelled units explain "
        .. "%s", amount(book, open.explained_minor))
    local remedy = "Look up in SCAYLE what the refund is for. Credit it on sales order "
        .. (record.order_code or "?") .. " in Khaos, without goods where none came back, less what "
        .. "of it is for cancelled units, which were never invoiced: its credit note closes this."
    local possible = open.possible_minor > 0 and string.format(
        "; further cancelled units may explain up to %s of it",
        amount(book, open.possible_minor)) or ""
    if not minor then
        return string.format("SCAYLE counts order %s as refunded, but %s and no message says how "
            .. "much went back", record.order_id, known), remedy
    end
    return string.format("SCAYLE refunded %s of order %s, %s: %s is left%s", amount(book,
        open.refunded_minor), record.order_id, known, amount(book, minor), possible), remedy
end

LISTS[worklist.DOUBTFUL] = function(book, record, open)
    local words, sum = {}, 0
    for i, entry in ipairs(open.doubtful) do
        sum = sum + entry.minor
        words[i] = string.format("%s of %s, or %s", amount(book, entry.known_minor), entry.name,
            amount(book, entry.known_minor + entry.minor))
    end
    if #words == 0 then
        return nil
    end
    return string.format("Messages of SCAYLE about order %s tell of one refund twice, or of two: "
        .. "%s", record.order_id, table.concat(words, "; ")),
        string.format("Look up in SCAYLE how much was refunded. If it is more, credit the further "
            .. "%s on sales order %s in Khaos, without goods: its credit note closes this. If not, "
            .. "dismiss this.", amount(book, sum), record.order_code or "?")
end

LISTS[worklist.EXCEEDS] = function(book, record)
    local words = {}
    for i, entry in ipairs(refund_book.exceeding(book)) do
        words[i] = string.format("%s: refunded %s, invoiced %s", entry.name, amount(book,
            entry.refund_minor), amount(book, entry.invoiced_minor))
    end
    if #words == 0 then
        return nil
    end
    return string.format("SCAYLE refunds more of order %s than Khaos invoiced: %s",
        record.order_id, table.concat(words, "; ")),
        "Credit in Khaos no more than was invoiced, settle the rest with the shopper's refund in "
            .. "SCAYLE, then dismiss this."
end

LISTS[worklist.UNDELIVERABLE] = function(book, record, open)
    if #open.undeliverable == 0 then
        return nil
    end
    local list = goods(book, open.undeliverable)
    return string.format("A parcel with %s of order %s could not be delivered", list,
        record.order_id),
        string.format("When the goods are back, book their return on sales order %s in Khaos: "
            .. "its credit note closes this. If it is sent again, dismiss this.",
            record.order_code or "?")
end

-- Returns that Khaos booked where SCAYLE is their master.
LISTS[worklist.NOT_IN_SCAYLE] = function(book, record)
    local ledger, ids = refund_book.of(book), {}
    for _, note in pairs(book.credit_notes or {}) do
        for _, id in ipairs(note.left_to_scayle or {}) do
            ids[#ids + 1] = not ledger.units[id] and id or nil
        end
    end
    if #ids == 0 then
        return nil
    end
    local list = goods(book, ids)
    return string.format("Khaos took back %s of order %s, which SCAYLE does not know of", list,
        record.order_id),
        "Enter the return in SCAYLE, which is the master of returns: it closes this."
end

local BY_HAND = {[worklist.EXCEEDS] = true}

-- Of these it is known only after a while that nothing else explains them.
local FINAL_ONLY = {[worklist.UNEXPLAINED] = true}

--- Whether Khaos tells us of its credit notes: else a list is closed by the person who did it.
---@param job neap.Job
---@return boolean
function worklist.shows_credit_notes(job)
    return khaos_line.new(job.settings.khaos).capabilities.poll_order_status == true
end

local function settle_one(job, book, record, cause, about)
    local message, remedy = LISTS[cause](book, record, about.open)
    if FINAL_ONLY[cause] and not about.is_final and not book.listed[cause] then
        message = nil
    end
    if message and book.listed[cause] ~= message then
        job:open_exception({cause = cause, subject = record.order_id, message = message,
            remedy = remedy, recheck = BY_HAND[cause] and "manual" or about.proof})
    elseif not message and book.listed[cause] then
        job:close_exception(cause, record.order_id, about.note)
    end
    book.listed[cause] = message
end

--- Opens, rewords or closes what a person must do about an order, in one piece with the book: the
--- order's jobs on other keys settle it too.
---@param job neap.Job
---@param order_key string
---@param note string what a list is closed with
---@param is_final boolean|nil a refund that nothing explains has been waited for
function worklist.settle(job, order_key, note, is_final)
    if not order_units.load(order_key) then
        return
    end
    local record = support.record(order_key)
    local proof = worklist.shows_credit_notes(job) and "proof" or "manual"
    order_units.change(order_key, function(book)
        book.listed = book.listed or {}
        local about = {open = refund_book.open(book), note = note, is_final = is_final,
            proof = proof}
        for cause in pairs(LISTS) do
            settle_one(job, book, record, cause, about)
        end
    end)
end

--- Whether this installation processes returns that somebody entered.
---@param job neap.Job
---@return boolean
function worklist.can_process(job)
    return khaos_line.new(job.settings.khaos).capabilities.process_return == true
end

return worklist
