--- Why an order does not tie, if it does not: each difference with its class, its words and its
--- money. Pure over an order's view.
local classify = {}

--- Classes in the order in which they are shown; `wrong`: somebody must look.
classify.CLASSES = {
    {name = "agrees", wrong = false},
    {name = "in_flight", wrong = false},
    {name = "held", wrong = false},
    {name = "never_posted", wrong = false},
    {name = "posted_total_differs", wrong = true},
    {name = "shipped_not_invoiced", wrong = true},
    {name = "cancelled_on_one_side", wrong = true},
    {name = "credited_not_refunded", wrong = true},
    {name = "refunded_not_credited", wrong = true},
    {name = "unknown", wrong = true},
}

local function total(view, stage)
    local minor = 0
    for _, by_stage in pairs(view.codes) do
        minor = minor + (by_stage[stage] and by_stage[stage].gross or 0)
    end
    return minor
end

local function check_total(view, say)
    local found = view.read_back
    if view.is_shown then
        return -- and that is all that Khaos Control Cloud tells: classify.proof says so
    elseif not found then
        say("in_flight", "posted, not read back yet", 0)
    elseif found.count == 0 then
        say("posted_total_differs", "Khaos does not list it", view.posted)
    elseif found.currency ~= view.currency then
        say("posted_total_differs", "Khaos has it in " .. (found.currency or "no currency"), 0)
    elseif (found.total_minor or 0) + (found.lowered_minor or 0) ~= view.posted then
        say("posted_total_differs", "total", (found.total_minor or 0) - view.posted)
    elseif found.differs then
        say("posted_total_differs", "net", 0)
    end
    if found and found.count > 1 then
        say("posted_total_differs", string.format("%d orders in Khaos", found.count),
            view.posted * (found.count - 1))
    end
end

local function check_invoice(view, say)
    local open = total(view, "open")
    local unissued = total(view, "unissued")
    if unissued > 0 then
        say("shipped_not_invoiced", "sent, the invoice is not issued", unissued)
    end
    if view.force_closed and open > 0 then
        say("shipped_not_invoiced", "SCAYLE counts it as sent after 14 days", open)
    end
end

local function check_cancellation(view, say)
    local open = total(view, "open")
    if view.conflicts > 0 then
        say("cancelled_on_one_side", string.format("%d units were cancelled and left",
            view.conflicts), 0)
    end
    if view.one_sided > 0 then
        say("cancelled_on_one_side", "units are cancelled in SCAYLE only", view.one_sided)
    elseif view.cancel_wanted and open > 0 then
        say("cancelled_on_one_side", "to be cancelled in Khaos", open)
    elseif view.read_back and view.read_back.cancelled and open > 0 then
        say("cancelled_on_one_side", "cancelled in Khaos", open)
    end
end

local function check_credit(view, say)
    if view.credit_open > 0 then
        say("credited_not_refunded", "credited in Khaos, neither returned nor told to SCAYLE",
            view.credit_open)
    end
    if view.offered_open > 0 then
        say("in_flight", "a return is offered to Khaos, which has not fetched it yet",
            view.offered_open)
    end
    if view.unexplained_refund > 0 then
        say("refunded_not_credited", "a refund of SCAYLE that no unit and no charge explains",
            view.unexplained_refund)
    end
    if view.dismissed_open > 0 then
        say("refunded_not_credited", "refunded in SCAYLE; a person dismissed that the return be "
            .. "booked in Khaos", view.dismissed_open)
    end
    if view.refund_open > 0 then
        say("refunded_not_credited", "refunded in SCAYLE without a credit note",
            view.refund_open)
    end
end

-- The figures must come to the order by two ways: its lines, and what became of its units.
local function check_sums(view, say)
    local posted = total(view, "posted")
    local gone = total(view, "open") + total(view, "cancelled") + total(view, "invoiced")
        + total(view, "unissued")
    if posted ~= view.posted or gone ~= posted then
        say("unknown", "the lines and units of the posting do not come to its total",
            view.posted - gone)
    elseif view.ordered and view.ordered ~= view.posted then
        say("unknown", "SCAYLE's total is not what was posted", view.ordered - view.posted)
    end
end

local function judge(view, say)
    if view.state == "held" then
        say("held", table.concat(view.causes, "; "), view.ordered or 0)
    elseif view.state == "ended" then
        say("never_posted", view.ended or "", view.ordered or 0)
    elseif view.state == "in_flight" then
        say("in_flight", "accepted, not in Khaos yet", view.ordered or 0)
    elseif view.problem then
        say("unknown", view.problem, view.ordered or 0)
    else
        check_total(view, say)
        check_invoice(view, say)
        check_cancellation(view, say)
        check_credit(view, say)
        check_sums(view, say)
    end
end

--- The differences of an order; empty when it ties.
---@param view reconcile.View
---@return {class: string, detail: string, minor: integer}[]
function classify.order(view)
    local found = {}
    judge(view, function(class, detail, minor)
        found[#found + 1] = {class = class, detail = detail, minor = minor}
    end)
    return found
end

--- What proves an order that ties, where it is less than its totals and credit notes.
---@param view reconcile.View
---@return string empty: Khaos's own figures were read
function classify.proof(view)
    if not view.is_shown then
        return ""
    end
    return "shown by Khaos Control Cloud, which tells no totals" .. (view.has_fetched
        and "; it fetched their returns, and shows only to its own users whether they were imported"
        or "")
end

return classify
