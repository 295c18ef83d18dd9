--- A sales order that Khaos shows as cancelled, before SCAYLE hears of it. An order is changed
--- there by deleting it and importing it anew (contract 8.6): the new one is shown under another
--- code, with a later push as likely as not. So a cancellation settles first; if another order
--- lives then, a person is asked (flows.despatch_stages.second). One that Khaos Control Cloud has
--- fetched anew may wait there, unseen, while its import fails: then a person says what it is.
local gone = require("flows.despatch_stages.gone")
local json = require("neap.json")
local news = require("flows.despatch_stages.news")
local order_units = require("flows.order_units")
local queue = require("flows.cloud_stages.queue")
local second = require("flows.despatch_stages.second")
local store = require("neap.store")
local time = require("neap.time")
local unit_book = require("flows.unit_book")

local anew = {}

-- SCAYLE has something to hear, and has not begun to hear it.
local function is_untold(lines)
    local book, open = order_units.load(lines.key), {}
    for _, unit in ipairs(book.units) do
        open[#open + 1] = unit_book.state(unit) == "open" and unit.id or nil
    end
    return not book.cancelling and #gone.without(book, open) > 0
end

local function is_released(job, code)
    local event = job:overtaken("released." .. second.DOUBT)
    local said = event and json.decode(event.payload)
    return said ~= nil and said.subject == code
end

local function ask(job, lines, snapshot, fetched_ms)
    local code = snapshot.order_code
    job:hold{{cause = second.DOUBT, subject = code, recheck = "proof",
        message = string.format("Khaos shows sales order %s of order %s as cancelled, and fetched "
            .. "%s anew at %s: it may live on under another code", code, lines.order_id,
            snapshot.reference, time.format_iso(fetched_ms)),
        remedy = "Look for the reference in the channel's imported orders. If it is imported anew, "
            .. "retry it there: this closes when Khaos shows the new order, and somebody is asked "
            .. "which one is followed. If the order is cancelled, set it to ignore there and "
            .. "release this: SCAYLE is told. Dismissed, it is not."}}
end

-- When Khaos fetched the order after it had shown it; nil when it did not.
local function fetched_anew_ms(reference)
    local entry = queue.get("orders", reference)
    local is_anew = entry and entry.shown_ms and entry.served_ms
        and entry.served_ms > entry.shown_ms
    return is_anew and entry.served_ms or nil
end

--- Waits until the cancellation has settled. Gives the order's newest snapshot when it is one that
--- SCAYLE is to be told of; nil when the order lives, by itself or as another one.
---@async
---@param job neap.Job
---@param lines table the order's record of its lines
---@param snapshot khaos.Snapshot cancelled
---@return khaos.Snapshot|nil
function anew.settled(job, lines, snapshot)
    if not is_untold(lines) then
        return snapshot
    end
    local code, wait_ms = snapshot.order_code, job.settings.cancel_wait_ms
    local has_spoken = is_released(job, code)
    if wait_ms > 0 and not has_spoken then
        job:sleep("another order in its place", wait_ms)
    end
    local newest = store.get(news.SEEN, snapshot.reference).snapshot
    if newest.order_code ~= code or not newest.is_cancelled then
        return nil -- the news of that has a job of its own
    elseif second.holds_back(job, lines, newest) then
        news.take_back(snapshot.reference)
        return nil
    end
    local fetched_ms = fetched_anew_ms(snapshot.reference)
    if fetched_ms and not has_spoken then
        ask(job, lines, newest, fetched_ms)
    end
    return newest
end

return anew
