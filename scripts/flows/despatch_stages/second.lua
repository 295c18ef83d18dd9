--- Another sales order in Khaos under the reference of one of ours: somebody entered it a second
--- time, or in place of ours. Nothing of it goes to SCAYLE, so a person is told, again when it has
--- left; it closes when Khaos shows it as cancelled.
local store = require("neap.store")
local time = require("neap.time")

local second = {}

--- reference -> {orders = {code -> {seen_ms, has_left}}}: those that a person was told of
second.TABLE = "despatch_second"

local CAUSE = "duplicate_in_khaos"

local function tell(job, lines, snapshot, has_left)
    local code, own = snapshot.order_code, lines.order_code
    local message = string.format("Khaos has a second sales order with the reference %s: %s beside "
        .. "%s%s", snapshot.reference, code, own, has_left and ", and goods of it have left" or "")
    job:note("despatch", message)
    job:open_exception({cause = CAUSE, subject = snapshot.reference, message = message,
        remedy = string.format("Order %s is followed as %s: nothing of %s goes to SCAYLE. Cancel "
            .. "in Khaos the one that is not wanted; if that is %s, enter in SCAYLE by hand what "
            .. "%s sends. This closes by itself when Khaos shows %s as cancelled.", lines.order_id,
            own, code, own, code, code),
        recheck = "proof"})
end

local function is_over(job, reference, code)
    local known = store.get(second.TABLE, reference) or {orders = {}}
    known.orders[code] = nil
    if next(known.orders) then
        store.put(second.TABLE, reference, known)
        return
    end
    store.delete(second.TABLE, reference)
    job:close_exception(CAUSE, reference, code .. " is cancelled in Khaos")
end

--- A sales order of the status feed that has our reference and another code.
---@param job neap.Job
---@param lines table the record of ours, support.LINES
---@param snapshot khaos.Snapshot
function second.see(job, lines, snapshot)
    local reference, code = snapshot.reference, snapshot.order_code
    store.atomic(function()
        if snapshot.is_cancelled then
            return is_over(job, reference, code)
        end
        local known = store.get(second.TABLE, reference) or {orders = {}}
        local has_left, before = #snapshot.parcels > 0, known.orders[code]
        if before and (before.has_left or not has_left) then
            return
        end
        known.orders[code] = {seen_ms = time.now_ms(), has_left = has_left or nil}
        store.put(second.TABLE, reference, known)
        tell(job, lines, snapshot, has_left)
    end)
end

return second
