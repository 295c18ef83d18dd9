--- A return that somebody entered in Khaos and SCAYLE has refunded is processed there: the paid
--- ProcessReturn. No call lists the returns of Khaos, so the person who enters one names it when
--- releasing the exception. The credit note is the proof that all went well, as without the add-on.
local json = require("neap.json")
local khaos_line = require("flows.khaos_line")
local order_units = require("flows.order_units")
local process_return = require("connectors.khaos_soap.process_return")
local refund_book = require("flows.refund_book")
local support = require("flows.order_stages.support")
local time = require("neap.time")
local worklist = require("flows.returns_stages.worklist")

local process = {}

process.EVENT = "returns.process"
process.CAUSE = "return_to_process"

--- Begins it for the units that nobody deals with yet: a job of its own, which may wait for a
--- person. Another message about the same return has a job of its own too.
---@param job neap.Job
---@param order_key string
---@param change_id string
function process.begin(job, order_key, change_id)
    local number = order_units.change(order_key, function(book)
        book.processing = book.processing or {}
        local units, entry = worklist.open_goods(book), book.processing[change_id]
        if not entry and #units > 0 then
            local count = 1
            for _ in pairs(book.processing) do
                count = count + 1
            end
            entry = {number = count, units = json.array(units)}
            book.processing[change_id] = entry
        end
        return entry and entry.number
    end)
    if not number then
        return
    end
    -- An earlier run may have been cut short here; what was accepted is not accepted again.
    job:emit({source = "returns.process", id = order_key .. ":" .. change_id,
        key = string.format("process:%s:%d", order_key, number), about = order_key,
        name = process.EVENT,
        payload = {order_key = order_key, change_id = change_id}})
end

-- Units of the entry that Khaos has not credited.
local function open_units(book, entry)
    local is_open, ids = {}, {}
    for _, unit in ipairs(refund_book.open(book).units) do
        is_open[unit.id] = true
    end
    for _, id in ipairs(entry.units) do
        ids[#ids + 1] = is_open[id] and id or nil
    end
    return ids
end

local function hold(job, book, record, entry, words)
    local subject = string.format("%s/%d", record.order_id, entry.number)
    local list = worklist.goods(book, open_units(book, entry))
    job:hold{{cause = process.CAUSE, subject = subject, recheck = "proof",
        message = string.format("SCAYLE refunded %s of order %s%s", list, record.order_id,
            words and ": " .. words or ""),
        remedy = string.format("Enter the return of %s on sales order %s in Khaos, do not process "
            .. "it, and release this with the return's code as the reason. Its credit note closes "
            .. "this too.", list, record.order_code or "?")}}
end

-- The code is the first word of the reason: "RT1001 entered by hand".
local function named(job)
    local event = job:overtaken("released." .. process.CAUSE)
    local reason = event and (json.decode(event.payload) or {}).reason
    return type(reason) == "string" and reason:match("^%s*([%w%-_/]+)") or nil
end

-- While an outcome is not known no event is shown: the code that was sent is in the book.
local function keep_code(said, code)
    order_units.change(said.order_key, function(book)
        book.processing[said.change_id].sending = code
    end)
end

local function send(job, code, auth_code)
    local khaos, settings = khaos_line.new(job.settings.khaos), job.settings.process
    return job:effect({
        connection = khaos.connection, name = "process_return", class = "dedupes", key = code,
        request = function()
            return process_return.request(khaos, settings, code, auth_code)
        end,
        read = function(answer)
            return process_return.read(answer, settings)
        end,
    })
end

local function is_taken(book, entry, code)
    for _, other in pairs(book.processing) do
        if other.number ~= entry.number
            and (other.code == code or other.sending == code) then
            return true
        end
    end
    return false
end

local function note_done(job, said, code)
    order_units.change(said.order_key, function(book)
        local entry = book.processing[said.change_id]
        entry.code, entry.processed_ms = code, entry.processed_ms or time.now_ms()
    end)
    job:note("returns", "Khaos processed return " .. code)
end

-- The credit note comes with the status feed; without it the goods go on the list of a person.
local function await_credit_note(job, said)
    local function count_open()
        local book = order_units.load(said.order_key)
        return #open_units(book, book.processing[said.change_id])
    end
    if count_open() == 0 then
        return
    end
    job:sleep("credit note", job.settings.credit_wait_ms)
    if count_open() > 0 then
        order_units.change(said.order_key, function(book)
            book.processing[said.change_id].given_up = true
        end)
        worklist.settle(job, said.order_key, "")
    end
end

--- The job of "returns.process".
---@async
---@param job neap.Job
---@param said {order_key: string, change_id: string}
function process.run(job, said)
    local book, record = order_units.load(said.order_key), support.record(said.order_key)
    local entry = book.processing[said.change_id]
    -- Its credit note may be here before the answer; what was sent is heard to its end even so.
    if not entry.sending and #open_units(book, entry) == 0 then
        job:note("returns", "credited in Khaos already")
        return
    end
    local code = entry.sending or named(job)
    if not code then
        hold(job, book, record, entry)
    elseif is_taken(book, entry, code) then
        hold(job, book, record, entry, "return " .. code .. " was processed for other units")
    end
    keep_code(said, code)
    local result, err = send(job, code, string.format("%s-%d", record.order_id, entry.number))
    if result then
        note_done(job, said, code)
        await_credit_note(job, said)
    elseif err.retryable or err.kind == "cancelled" then
        error(err, 0)
    else
        keep_code(said, err.maybe_sent and code or nil)
        hold(job, book, record, entry, string.format("Khaos did not process %s (%s)", code,
            err.message))
    end
end

--- A credit note may have closed what waits for a return's code.
---@param job neap.Job
---@param book units.Book
---@param order_id string
---@param note string
function process.close(job, book, order_id, note)
    for _, entry in pairs(book.processing or {}) do
        if #open_units(book, entry) == 0 then
            job:close_exception(process.CAUSE, string.format("%s/%d", order_id, entry.number),
                note)
        end
    end
end

return process
