--- Tells SCAYLE figures that changed: the newest of each code, drops to zero first, so many at a
--- time, stamped by the watermark.
---
--- What is sent is written down before it leaves, so a stamp never goes backwards, whatever
--- happens in between. Sending again is harmless: figures are absolute.
local figure = require("flows.stock_stages.figure")
local http = require("neap.http")
local scayle_client = require("connectors.scayle.client")
local stock_pending = require("flows.stock_pending")
local stocks = require("connectors.scayle.stocks")
local store = require("neap.store")
local tables = require("flows.stock_stages.tables")
local time = require("neap.time")
local watermark = require("flows.stock_stages.watermark")

local LOOK_AT = 2000 -- marked codes that one run looks at
local has_run = false -- since the scripts were loaded: what was before is not known

local send = {}

-- The next figure of a code, nil when there is nothing to tell (now).
local function next_figure(settings, code, mark, now_ms)
    local item = store.get(tables.ITEMS, code)
    if not item or not item.read_ms then
        store.delete(tables.DIRTY, code)
        return nil
    end
    local shown = figure.of(item, stock_pending.sum(item, item.read_ms),
        figure.policy(settings.policy, item))
    local sent = store.get(tables.SENT, code)
    local is_same = sent and sent.quantity == shown.sellable and sent.state == "set"
    if is_same and not stock_pending.is_taken_since(code, sent.stamp_ms) then
        store.delete(tables.DIRTY, code)
        return nil
    end
    local stamp_ms = watermark.stamp(item.read_ms, now_ms, settings) // 1000 * 1000
    local last_ms = sent and sent.stamp_ms or 0
    local is_repeat = sent and sent.quantity == shown.sellable and sent.state == "sending"
        and stamp_ms <= last_ms
    local is_useless = is_same and stock_pending.is_taken_since(code, stamp_ms)
    if stamp_ms <= last_ms and not is_repeat or is_useless then
        -- SCAYLE would ignore it, or keep from the shop what orders took: only a newer reading
        -- gives a later stamp.
        store.put(stock_pending.REREAD, code, {since_ms = mark.since_ms})
        return nil
    end
    return {sku = code, warehouse = settings.warehouse, merchant = settings.merchant_key,
        quantity = shown.sellable, stamp_ms = math.max(stamp_ms, last_ms), text = shown.text,
        read_ms = item.read_ms, since_ms = mark.since_ms,
        before = sent and sent.quantity or nil}
end

-- Lower is sooner: to zero, down, new, up.
local function urgency(entry)
    if entry.quantity == 0 then
        return 1
    elseif entry.before and entry.quantity < entry.before then
        return 2
    end
    return entry.before and 4 or 3
end

local function is_before(a, b)
    local ua, ub = urgency(a), urgency(b)
    if ua ~= ub then
        return ua < ub
    elseif a.since_ms ~= b.since_ms then
        return a.since_ms < b.since_ms
    end
    return a.sku < b.sku
end

local function collect(settings, now_ms, limit)
    local list, after = {}, nil
    repeat
        local page = store.range(tables.DIRTY, {after = after, limit = 500})
        for _, pair in ipairs(page) do
            after = pair.key
            list[#list + 1] = next_figure(settings, pair.key, pair.value, now_ms)
        end
    until #page < 500 or #list >= LOOK_AT
    table.sort(list, is_before)
    return table.move(list, 1, math.min(limit, #list), 1, {}), #list
end

local function write_down(list, now_ms)
    for _, entry in ipairs(list) do
        store.put(tables.SENT, entry.sku, {quantity = entry.quantity, stamp_ms = entry.stamp_ms,
            state = "sending", at_ms = now_ms, text = entry.text, read_ms = entry.read_ms})
    end
end

-- ---- answers ---------------------------------------------------------------------------------

local function settle(entry, state, stamp_ms)
    local sent = store.get(tables.SENT, entry.sku)
    sent.state, sent.answered_ms = state, time.now_ms()
    sent.stamp_ms = math.max(stamp_ms or 0, sent.stamp_ms)
    store.put(tables.SENT, entry.sku, sent)
    if state ~= "ignored" then
        store.delete(tables.DIRTY, entry.sku)
        local item = store.get(tables.ITEMS, entry.sku)
        if item and item.read_ms ~= entry.read_ms then
            tables.mark(entry.sku, time.now_ms()) -- read again meanwhile
        end
    end
end

local function tell_ahead(job, entry, stamp_ms)
    job:open_exception({cause = "stock_stamp_ahead", subject = entry.sku,
        message = string.format("SCAYLE holds a stock of %s that was stamped in the future (%s): "
            .. "no figure of ours counts until then", entry.sku, time.format_iso(stamp_ms)),
        remedy = "Find out what else writes stock to SCAYLE; correct the figure by hand.",
        recheck = "manual"})
end

local function take(job, entry, result)
    if not result.answer then
        return result.error
    end
    watermark.heard(time.now_ms(), scayle_client.date_ms(result.answer))
    local state, more = stocks.read_set(result.answer, entry)
    if not state then
        return more
    end
    settle(entry, state, state == "ignored" and more or nil)
    if state == "ignored" and (more or 0) > time.now_ms() + job.settings.order_lag_ms then
        tell_ahead(job, entry, more)
    end
    return nil
end

local function keep_lag(waiting, list, now_ms)
    local oldest_ms = now_ms
    for _, entry in ipairs(list) do
        oldest_ms = math.min(oldest_ms, entry.since_ms)
    end
    store.put(tables.STATE, "lag", {at_ms = now_ms, waiting = waiting,
        oldest_ms = now_ms - oldest_ms})
end

local function is_peak(settings, now_ms)
    local hour = time.format_iso(now_ms, {zone = settings.zone}):sub(12, 16)
    local peak = settings.peak
    return peak ~= nil and hour >= peak.from and hour < peak.to
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
    local limit = is_peak(settings, now_ms) and settings.peak.batch or settings.batch
    local list, waiting = collect(settings, now_ms, limit)
    keep_lag(waiting, list, now_ms)
    if #list == 0 then
        return
    end
    write_down(list, now_ms)
    local requests = {}
    for i, entry in ipairs(list) do
        requests[i] = stocks.set_request(entry)
        requests[i].connection = settings.scayle.connection
    end
    local failed, last
    for i, result in ipairs(http.all(requests, {limit = settings.at_once})) do
        local err = take(job, list[i], result)
        failed, last = (failed or 0) + (err and 1 or 0), err or last
    end
    job:note("stock", string.format("%d figures sent%s", #list,
        failed > 0 and string.format(", %d failed", failed) or ""))
    if failed == #list and last.retryable then
        error(last, 0)
    end
end

--- A new process, for tests.
function send.restarted()
    has_run = false
end

return send
