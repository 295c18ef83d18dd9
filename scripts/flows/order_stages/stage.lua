--- Stage "stage": a posting that a staging rule names is shown before it goes, approved by rule or
--- by a named person, then posted exactly as it was shown.
---
--- The posting is kept when it is shown. A person approves it by releasing the exception
--- ("approval", the number of the order) with a reason, which the host tells as an event: only that
--- is an approval, never the mere absence of an exception. When the mapping would give another
--- posting than the one shown (new scripts, a changed order), the new one is shown, under a new
--- number: an approval is only ever of what was seen. From the moment the import may have left,
--- nothing changes any more. Dismissed: never posted, and SCAYLE hears that we do not send it.
local crypto = require("neap.crypto")
local fulfillment = require("connectors.scayle.fulfillment")
local json = require("neap.json")
local market = require("flows.orders.market")
local staged = require("flows.order_stages.staged")
local staging = require("flows.orders.staging")
local support = require("flows.order_stages.support")
local time = require("neap.time")

local CAUSE = "approval"

-- Of the posting and of what the product line makes of it: another document is another posting.
local function digest_of(work, posting)
    local text = assert(json.encode(posting))
    local document = work.line.document(work, posting)
    return crypto.sha256(document and text .. assert(json.encode(document)) or text)
end

-- What a person did with the posting that is kept; what was done with an older one does not count.
local function act(work, verb, kept)
    local event = kept and work.job:overtaken(verb .. "." .. CAUSE)
    local said = event and json.decode(event.payload)
    return said and said.subject == kept.subject and said or nil
end

local function rule_of(work)
    return staging.rule(work.settings.staging, {
        mechanics = work.mechanics or {}, posting = work.posting,
        market = market.id(work.order, work.delegation),
    })
end

local function unit_ids(posting)
    local ids = json.array({})
    for _, line in ipairs(posting.lines) do
        table.move(line.unit_ids, 1, #line.unit_ids, #ids + 1, ids)
    end
    return ids
end

local function show_trail(work, kept)
    local trail = work.trail or {lines = {}, data = {}}
    local lines = table.move(trail.lines, 1, #trail.lines, 1, {})
    lines[#lines + 1] = string.format("Staged by rule %q as %s (%s):", kept.rule, kept.subject,
        kept.digest:sub(1, 12))
    local document = work.line.document(work, kept.posting)
    for _, line in ipairs(staging.lines(kept.posting, document)) do
        lines[#lines + 1] = line
    end
    local data = {}
    for name, value in pairs(trail.data) do
        data[name] = value
    end
    data.staged = {rule = kept.rule, subject = kept.subject, digest = kept.digest,
        shown_ms = kept.shown_ms, posting = staging.view(kept.posting)}
    work.job:trail({lines = lines, data = data})
end

local function show(work, kept, rule, digest)
    local number = kept and kept.number + 1 or 1
    local made = {number = number, digest = digest, rule = rule.name, shown_ms = time.now_ms(),
        subject = number == 1 and work.order_id or work.order_id .. " v" .. number,
        posting = work.posting, unit_ids = unit_ids(work.posting), state = "shown"}
    staged.keep(work.key, made)
    work.job:note("stage", string.format("%s as %s by rule %q: %d lines, %s %s",
        number == 1 and "shown" or "the mapping gives another posting, shown", made.subject,
        rule.name, #work.posting.lines, work.posting.total, work.posting.currency))
    return made
end

local function approve(work, kept, how, by, reason)
    kept.state, kept.how, kept.by, kept.reason = "approved", how, by, reason
    kept.approved_ms = time.now_ms()
    staged.keep(work.key, kept)
    work.job:note("stage", string.format("%s approved by %s: %s", kept.subject, by, reason))
end

local function hold(work, kept)
    support.hold(work, {{cause = CAUSE, subject = kept.subject, recheck = "reload",
        message = string.format("The posting of order %s (%s %s, rule %q) waits for an approval",
            work.order_id, kept.posting.total, kept.posting.currency, kept.rule),
        remedy = string.format("Look at it (neap order %s). Release this to post it exactly as "
            .. "shown; dismiss this and it is never posted and cancelled in SCAYLE.",
            work.order_id)}})
end

local function is_approved(kept, rule)
    return kept.state == "approved" and (kept.how == "person" or rule.approval == "rule")
end

-- Tells SCAYLE that we do not send the units, once.
local function cancel_in_scayle(work, kept)
    local result, err = work.job:effect({
        connection = work.scayle.connection, name = "cancel_units", class = "lookup",
        key = work.key .. "/not posted",
        request = function()
            return fulfillment.cancellation_request(work.where, work.order_id,
                work.settings.merchant_key, kept.unit_ids)
        end,
        read = fulfillment.read,
        lookup = function()
            return fulfillment.lookup_cancelled(work.scayle, work.where, work.order_id,
                kept.unit_ids)
        end,
    })
    if result then
        return
    elseif err.retryable or err.kind == "cancelled" then
        error(err, 0)
    end
    support.hold(work, {{cause = "refused_by_scayle", subject = work.order_id .. " not posted",
        message = string.format("SCAYLE refused the cancellation of order %s: %s", work.order_id,
            err.message),
        remedy = "Cancel its items in SCAYLE by hand, then dismiss this; or close it to try again.",
        recheck = "manual"}})
end

local function dismissed(work, kept, said)
    if kept.state ~= "dismissed" then
        kept.state, kept.by, kept.reason, kept.posting = "dismissed", said.by, said.reason, nil
        staged.keep(work.key, kept)
    end
    cancel_in_scayle(work, kept)
    return support.finish(work, string.format("not approved by %s (%s): never posted, cancelled in "
        .. "SCAYLE", kept.by, kept.reason))
end

local stage = {}

--- The job of a dismissal that found no other job of the order.
---@async
---@param work table without an order
---@param said {by: string, cause: string, reason: string, subject: string}
---@return string|nil ended nil: it was no posting that was dismissed
function stage.after_dismissal(work, said)
    local kept = staged.get(work.key)
    if kept and said.cause == CAUSE and said.subject == kept.subject then
        return dismissed(work, kept, said)
    end
    return nil
end

--- Sets work.posting to what was shown and approved, holds, or ends. Nothing to do without a rule.
---@async
---@param work table
---@return string|nil ended
function stage.run(work)
    local kept = staged.get(work.key)
    local no = act(work, "dismissed", kept)
    if no or (kept and kept.state == "dismissed") then
        return dismissed(work, kept, no)
    elseif kept and kept.is_going then
        work.posting = kept.posting
        return nil
    end
    local rule = rule_of(work)
    if not rule then
        staged.forget(work.key)
        return nil
    end
    local digest = digest_of(work, work.posting)
    if not kept or kept.digest ~= digest then
        kept = show(work, kept, rule, digest)
    end
    show_trail(work, kept)
    local yes = act(work, "released", kept)
    if yes and kept.how ~= "person" then
        approve(work, kept, "person", yes.by, yes.reason)
    elseif kept.state == "shown" and rule.approval == "rule" then
        approve(work, kept, "rule", string.format("rule %q", rule.name), "no person needed")
    end
    if not is_approved(kept, rule) then
        hold(work, kept)
    end
    assert(digest_of(work, kept.posting) == kept.digest,
        "the posting that is kept is not the one shown")
    work.posting = kept.posting
    return nil
end

return stage
