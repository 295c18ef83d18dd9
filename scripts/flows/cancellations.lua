--- The cancellations flow: SCAYLE asks whether an order can still be cancelled, and gets the truth
--- in its answer.
---
--- "POST /scayle/cancellation" makes an event, the job on the key "cancellation:<reference>". It
--- puts an overtaking event on the order's key first, whether the order is known yet or not: the
--- tombstone that the orders flow looks at before it posts. Then it waits a few seconds for the
--- order to come to rest and answers:
---
---     never posted                    successful
---     posted, Khaos cancels it        successful
---     posted, a person must cancel    refused, and a worklist exception; when the person did it,
---                                     the despatch flow cancels it in SCAYLE as the merchant
---     units have left                 refused, "cancel_too_late"
---     still open after the wait       503: SCAYLE asks again, and should it not, it is told
---
--- The call names warehouses. One that leaves out some of ours (`warehouse_ids`) is about a part of
--- the order: flows.cancellation_stages.part. Khaos takes it out of a posted order where the client
--- has its add-on; else a person does, and the call is refused.
---
--- A repeat of a decided call gets the same answer; a refusal becomes "successful" once every unit
--- is cancelled.
local cancellation = require("connectors.scayle.cancellation")
local cancel = require("connectors.khaos_soap.cancel")
local decide = require("flows.cancellation_stages.decide")
local khaos_line = require("flows.khaos_line")
local part = require("flows.cancellation_stages.part")
local rehearse = require("flows.cancellation_stages.rehearse")
local store = require("neap.store")
local time = require("neap.time")
local unheard = require("flows.cancellation_stages.unheard")

local ANSWER_MS = 13000 -- SCAYLE documents 15 s for the delegation; nothing for this call
local SECOND_MS = 1000

local fields = {
    khaos = khaos_line.schema(),
    scayle = {type = "record", default = {}, fields = {
        connection = {type = "string", default = "scayle"}}},
    cancel_order = cancel.schema(),
    merchant_key = {type = "string",
        help = "our reference key in SCAYLE: a call to another fulfilling merchant is refused"},
    warehouse_ids = {type = "list", items = {type = "integer"},
        help = "SCAYLE's ids of all our warehouses, when there are several: a call may name some"},
    orders_flow = {type = "string", default = "orders", help = "name of the orders flow"},
    wait_ms = {type = "integer", min = 0, max = ANSWER_MS - SECOND_MS,
        default = ANSWER_MS - 3 * SECOND_MS,
        help = "how long the answer waits for an order that is being worked on"},
    look_after_ms = {type = "integer", min = SECOND_MS, default = 10 * 60 * SECOND_MS,
        help = "after a question that was not decided in time, between looks at what became of it"},
    refused_word = {type = "string", default = "failed",
        help = "cancellationResult of a refusal; anything but \"successful\" refuses"},
    cautious_days = {type = "integer", min = 0, default = 15,
        help = "after live_from, unknown orders may be the predecessor's: not called cancelled"},
}

local RUNS = {["cancellation.asked"] = decide.run, [part.EVENT] = part.run}

-- A job that waits already answers this call too; after its time a repeat is a question anew.
local function open_entry(name)
    local now_ms = time.now_ms()
    local entry = store.get(decide.TABLE, name) or {tries = 0, until_ms = 0}
    if now_ms >= entry.until_ms then
        entry.tries = entry.tries + 1
        entry.until_ms = now_ms + ANSWER_MS
        store.put(decide.TABLE, name, entry)
    end
    return entry
end

-- The same order may be in the hands of several merchants; only our units are ours to answer for.
local function is_strangers(settings, asked)
    return settings.merchant_key ~= nil and asked.merchant ~= nil
        and asked.merchant ~= settings.merchant_key
end

local function handle(ctx, request)
    local asked, err = cancellation.parse(request.body)
    if not asked then
        return cancellation.refusal(err)
    elseif is_strangers(ctx.settings, asked) then
        return cancellation.answer(asked.order_reference_key, decide.word(ctx.settings, "refused"))
    end
    local reference, is_part = asked.order_reference_key, part.is_part(ctx.settings, asked)
    local name = is_part and part.name(asked) or reference
    local known
    if is_part then
        known = part.known(asked)
    else
        known = decide.known(reference)
    end
    if known then
        decide.was_heard(name)
        return cancellation.answer(reference, decide.word(ctx.settings, known))
    end
    local entry = open_entry(name)
    local reply = cancellation.undecided()
    reply.events = {{source = decide.CALL, id = name .. ":" .. entry.tries,
        key = "cancellation:" .. reference, about = decide.about(reference),
        payload = request.body,
        name = is_part and part.EVENT or "cancellation.asked"}}
    return reply
end

local flow = {
    name = "cancellations",
    version = 1,
    schema = {type = "record", fields = fields},
    cases = rehearse.CASES,
    triggers = {{kind = "route", name = "cancellation", method = "POST",
        path = "/scayle/cancellation", auth = "delegation", answer_within_ms = ANSWER_MS,
        handle = handle}},
    run = function(job)
        if job.event.name == unheard.EVENT then
            return unheard.run(job)
        end
        local asked = assert(cancellation.parse(job.event.payload))
        local is_heard, is_whole = RUNS[job.event.name](job)
        if is_whole and not is_heard then
            unheard.watch_whole(job, asked)
        elseif not is_heard then
            unheard.watch(job, asked)
        end
    end,
}

flow.rehearse = rehearse.of(flow)

return flow
