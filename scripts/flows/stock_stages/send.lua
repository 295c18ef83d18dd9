--- Tells SCAYLE figures that changed: the newest of each code, drops to zero first, so many at a
--- time, stamped by the watermark. Many at once go by a bulk request where the client has it.
---
--- What is sent is written down before it leaves, so a stamp never goes backwards, whatever
--- happens in between. Sending again is harmless: figures are absolute.
local bulk = require("flows.stock_stages.bulk")
local bulk_check = require("flows.stock_stages.bulk_check")
local calls = require("flows.stock_stages.calls")
local due = require("flows.stock_stages.due")
local http = require("neap.http")
local khaos_line = require("flows.khaos_line")
local scayle_client = require("connectors.scayle.client")
local policy = require("flows.stock_stages.policy")
local sent = require("flows.stock_stages.sent")
local stocks = require("connectors.scayle.stocks")
local store = require("neap.store")
local tables = require("flows.stock_stages.tables")
local time = require("neap.time")
local watermark = require("flows.stock_stages.watermark")

-- How late a figure may be before `neap status` shows it.
local AMBER_MS, RED_MS = 15 * 60000, 60 * 60000

local has_run = false -- since the scripts were loaded: what was before is not known

local FOR_GOOD = {invalid = true, exists = true} -- kinds of a refusal of this very figure

local UNKNOWN = "stock_figure_unknown" -- cause

local send = {}

local function take(job, entry, result)
    if not result.answer then
        return result.error
    end
    watermark.heard(time.now_ms(), scayle_client.date_ms(result.answer))
    local state, more = stocks.read_set(result.answer, entry)
    if not state and FOR_GOOD[more.kind] then
        sent.refuse(job, entry, more)
        return nil
    elseif not state then
        return more
    end
    sent.settle(job, entry, state, state == "ignored" and more or nil)
    return nil
end

-- Khaos Control Cloud's levels are that much older, and an order's units are given back with them.
local function age_of_levels(khaos)
    return khaos_line.kind(khaos) == "cloud" and khaos.push_age_ms or 0
end

local function keep_lag(job, list, is_cut, now_ms)
    local oldest_ms = now_ms
    for _, entry in ipairs(list) do
        oldest_ms = math.min(oldest_ms, entry.since_ms)
    end
    local held, settings = watermark.held_by(), job.settings
    local age_ms = age_of_levels(settings.khaos)
    store.put(tables.STATE, "lag", {at_ms = now_ms, waiting = #list, is_more = is_cut or nil,
        oldest_ms = now_ms - oldest_ms, held_by = held and held.order_id, flow = job.flow,
        amber_ms = settings.lag_amber_ms or AMBER_MS + age_ms,
        red_ms = settings.lag_red_ms or RED_MS + age_ms})
end

local function is_peak(settings, now_ms)
    local hour = time.format_iso(now_ms, {zone = settings.zone}):sub(12, 16)
    local peak = settings.peak
    if not peak then
        return false
    elseif peak.from <= peak.to then
        return hour >= peak.from and hour < peak.to
    end
    return hour >= peak.from or hour < peak.to -- over midnight
end

-- Any answer says what time it is at SCAYLE.
local function ask_the_time(settings, sku)
    local request = stocks.get_request(sku)
    request.connection = settings.scayle.connection
    local answer, err = http.request(request)
    if not answer then
        error(err, 0)
    end
    watermark.heard(time.now_ms(), scayle_client.date_ms(answer))
end

-- Gives the error when SCAYLE takes none of them now.
local function send_singly(job, list, now_ms)
    if #list == 0 then
        return nil
    end
    sent.write_down(list, now_ms)
    local requests = {}
    for i, entry in ipairs(list) do
        requests[i] = stocks.set_request(entry)
    end
    local failed, last = 0, nil
    for i, result in ipairs(calls(job.settings, requests)) do
        local err = take(job, list[i], result)
        failed, last = failed + (err and 1 or 0), err or last
    end
    job:note("stock", string.format("%d figures sent%s", #list,
        failed > 0 and string.format(", %d failed", failed) or ""))
    return failed == #list and last.retryable and last or nil
end

-- What goes singly now, and what by a new bulk request.
local function split(settings, list, limit, is_bulk)
    local singly, rest = {}, {}
    for _, entry in ipairs(list) do
        local is_drop = entry.quantity == 0 or entry.before and entry.quantity < entry.before
        if #singly < limit and (is_drop or not is_bulk) then
            singly[#singly + 1] = entry
        elseif is_bulk and #rest < settings.bulk.size then
            rest[#rest + 1] = entry
        end
    end
    return singly, rest
end

-- Codes whose figure cannot be worked out: one exception for all of them.
local function tell_unknown(job, unknown, is_cut)
    local codes = {}
    for code in pairs(unknown) do
        codes[#codes + 1] = code
    end
    table.sort(codes)
    local known = store.get(tables.STATE, "unknown")
    if #codes > 0 and not (known and known.count == #codes and known.first == codes[1]) then
        job:open_exception({cause = UNKNOWN, subject = job.settings.warehouse,
            message = string.format("The stock figure of %d codes cannot be worked out, so it is "
                .. "not sent. The first is %s: %s", #codes, codes[1], unknown[codes[1]]),
            remedy = "Look at the code (neap stock SKU), its item in Khaos and the stock flow's "
                .. "policy. This closes when every figure can be worked out.", recheck = "proof"})
        store.put(tables.STATE, "unknown", {count = #codes, first = codes[1]})
    elseif known and #codes == 0 and not is_cut then
        job:close_exception(UNKNOWN, job.settings.warehouse, "every figure can be worked out")
        store.delete(tables.STATE, "unknown")
    end
end

--- One run.
---@async
---@param job neap.Job
function send.run(job)
    local settings = job.settings
    local now_ms = time.now_ms()
    watermark.beat(now_ms, settings, not has_run)
    has_run = true
    if not watermark.knows_clock() then
        local first = store.range(tables.DIRTY, {limit = 1})[1]
        if not first then
            return
        end
        ask_the_time(settings, first.key)
        now_ms = time.now_ms()
    end
    policy.step(job, now_ms)
    local is_busy = is_peak(settings, now_ms)
    local limit = is_busy and settings.peak.batch or settings.batch
    local may_bulk = not is_busy and bulk.is_free(settings, now_ms)
    local list, is_cut, unknown = due.find(settings, now_ms,
        may_bulk and settings.bulk.size or limit)
    tell_unknown(job, unknown, is_cut)
    keep_lag(job, list, is_cut, now_ms)
    local is_bulk = may_bulk and #list >= settings.bulk.from
    local singly, rest = split(settings, list, limit, is_bulk)
    if #rest > 0 then
        bulk.begin(rest, now_ms)
    end
    local err = send_singly(job, singly, now_ms)
    bulk.step(job)
    if not is_busy then
        bulk_check.step(job)
    end
    if err then
        error(err, 0)
    end
end

--- A new process, for tests.
function send.restarted()
    has_run = false
end

return send
