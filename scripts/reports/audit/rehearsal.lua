--- The audit's second part: real orders through the client's own validation and mapping, as if the
--- integration were live; what holds them is found exactly as the live flow would find it. Nothing
--- is posted: the way ends before the stage that does.
local asking = require("reports.audit.asking")
local causes = require("flows.orders.causes")
local codes = require("flows.khaos_codes")
local errors = require("neap.errors")
local findings = require("reports.audit.findings")
local identify = require("flows.order_stages.identify")
local identity = require("flows.orders.identity")
local khaos_line = require("flows.khaos_line")
local khaos_orders = require("connectors.khaos_soap.orders")
local open = require("flows.order_stages.open")
local order_list = require("reports.audit.order_list")
local orders = require("connectors.scayle.orders")
local report = require("neap.report")
local staging = require("flows.orders.staging")

local rehearsal = {}

local HELD = {}
local STAGES = {"validate", "map"}
local REFERENCES = 40 -- that Khaos is asked for at once
local GIVE_UP = 3 -- orders in a row that could not be asked about
-- Comes with SCAYLE's delegation, which nobody has received yet: see carriers.lua.
local FROM_DELEGATION = {["unmapped_shipping\0no carrier"] = true}

local function none() end

-- Enough of a job for stages that ask and compute; they run within the audit's own.
local function new_job(settings, key)
    local job = {settings = settings, key = key, live_from_ms = 0, facts = none, trail = none,
        note = none, alias = none, keep = none, close_exception = none, open_exception = none}
    function job.links()
        return {}
    end
    function job.overtaken()
        return nil
    end
    function job.step(_, _, fn)
        return fn()
    end
    function job.hold(_, list)
        error({mark = HELD, causes = list}, 0)
    end
    return job
end

local function stage_of(flow, name)
    local own, standard = flow.settings.stages[name], flow.flow.stages[name]
    if not own then
        return standard
    end
    return function(work)
        return require(own)(work, standard)
    end
end

local function new_work(flow, entry, order)
    local who = identify.order(flow.settings, {order_id = entry.order_id,
        shop_key = entry.shop_key, shop_id = entry.shop_id, country_code = entry.country_code})
    local work = open.of_record(new_job(flow.settings, who.key), who)
    work.order, work.is_delegated = order, false
    return work
end

local function run_stages(flow, work)
    for _, name in ipairs(STAGES) do
        local ended = stage_of(flow, name)(work)
        if ended then
            return ended
        end
    end
    return nil
end

-- Whether a cause of the orders flow counts here.
local function counts(entry, cause)
    if FROM_DELEGATION[cause.cause .. "\0" .. (cause.subject or "")] then
        return false
    end
    -- Of an order that is done, it only says so.
    return cause.cause ~= "order_already_processed" or entry.state == "open"
end

local function kept_causes(entry, list)
    local kept = {}
    for _, cause in ipairs(list) do
        if cause.cause == "connection_refused" then
            error(errors.new({kind = "remote", message = cause.message}), 0)
        end
        kept[#kept + 1] = counts(entry, cause) and cause or nil
    end
    return kept
end

-- A script that raises stops one order, in the live flow too. What it said may hold anything of the
-- order, so only the place is shown.
local function broken(raised)
    if errors.is(raised) then
        error(raised, 0)
    end
    local place = tostring(raised):match("^[%w_%./%-]+:%d+") or "somewhere in the scripts"
    return {causes = {{cause = "script_error", subject = place,
        message = "A script fails on these orders at " .. place,
        remedy = "Run one of them as a golden case (neap test) to see why."}}}
end

-- {causes, ended, rule} of one order; raises an error object when a system could not be asked.
local function rehearse(flow, entry, order)
    local work = new_work(flow, entry, order)
    local ok, ended = pcall(run_stages, flow, work)
    if not ok then
        if type(ended) == "table" and rawget(ended, "mark") == HELD then
            return {causes = kept_causes(entry, ended.causes)}
        end
        return broken(ended)
    end
    local rule = not ended and work.posting and staging.rule(flow.settings.staging, {
        mechanics = work.mechanics or {}, posting = work.posting, market = entry.shop_id})
    local is_person = rule and rule.approval ~= "rule"
    return {causes = {}, ended = ended, rule = is_person and rule.name or nil}
end

-- ---- what is told ----------------------------------------------------------------------------

local WORDS = {
    field_too_long = "A field of the order's customer or addresses is missing or too long for "
        .. "Khaos",
    customer_conflict = "A customer has another class or currency in Khaos, and those decide how "
        .. "Khaos calculates",
    totals_do_not_tie = "What Khaos would come to is not what the order came to in SCAYLE",
    order_already_processed = "Somebody already worked on the order: it has a reference, or units "
        .. "that are sent or cancelled",
}

local function add_sum(sums, entry)
    local currency = entry.currency or "?"
    local sum = sums[currency] or {orders = 0, minor = 0}
    sums[currency] = sum
    sum.orders, sum.minor = sum.orders + 1, sum.minor + (entry.minor or 0)
end

local function tell_causes(run, entry, list)
    local object = {name = entry.order_id, minor = entry.minor, currency = entry.currency,
        is_open = entry.state == "open"}
    local seen = {}
    for _, cause in ipairs(list) do
        local subject = findings.subject(cause, entry.order_id)
        local id = cause.cause .. "\0" .. subject
        if not seen[id] then
            seen[id] = true
            run.findings:add({cause = cause.cause, subject = subject, kind = "order",
                message = WORDS[cause.cause] or cause.message, remedy = cause.remedy}, object)
        end
    end
end

local function tell_approval(run, entry, rule)
    run.findings:add({cause = "approval", subject = rule, kind = "order",
        message = "Orders that the staging rule shows to a person before they are posted",
        remedy = "Nothing, when that is meant; somebody must be there to approve."},
        {name = entry.order_id, minor = entry.minor, currency = entry.currency,
            is_open = entry.state == "open"})
end

local function tell(run, part, entry, order, result)
    if result.ended then
        part.ended = part.ended + 1
        return
    end
    local is_held = #result.causes > 0
    part.looked = part.looked + 1
    add_sum(part.mapped, entry)
    if is_held then
        add_sum(part.held, entry)
        if entry.state == "open" then
            add_sum(part.held_open, entry)
        end
    elseif result.rule then
        tell_approval(run, entry, result.rule)
    end
    tell_causes(run, entry, result.causes)
    run.values:add(order, entry, is_held)
    run.sold:add(order, entry)
end

-- ---- reading ---------------------------------------------------------------------------------

-- The mirror knows which codes exist; whether they are discontinued only Khaos itself.
local function ask_details(run, flow, documents)
    local wanted, seen = {}, {}
    for _, order in pairs(documents) do
        for _, item in ipairs(type(order.items) == "table" and order.items or {}) do
            local code = type(item.variant) == "table" and item.variant.referenceKey
            local known = type(code) == "string" and not seen[code] and codes.get(code)
            if known and known.discontinued == nil then
                seen[code] = true
                wanted[#wanted + 1] = code
            end
        end
    end
    table.sort(wanted)
    if #wanted == 0 then
        return true
    end
    return asking.again(run, function()
        return codes.ask(khaos_line.new(flow.settings.khaos), wanted)
    end)
end

-- Khaos Control Cloud tells its codes once it calls us: until then all count as there.
local function believe_codes(documents)
    local entries = {}
    for _, order in pairs(documents) do
        for _, item in ipairs(type(order.items) == "table" and order.items or {}) do
            local code = type(item.variant) == "table" and item.variant.referenceKey
            if type(code) == "string" then
                entries[code] = {code = code}
            end
        end
    end
    codes.put(entries)
end

-- An order that cannot be asked about is counted; several in a row are the system's silence.
local function failed(part, system, err)
    part.failures, part.failed = part.failures + 1, part.failed + 1
    if asking.over() or part.failures >= GIVE_UP then
        return asking.why(system, err)
    end
    return nil
end

local function fetch(run, part, entries)
    local documents = {}
    for i, entry in ipairs(entries) do
        local flow = run.orders_flows[entry.flow]
        local work = new_work(flow, entry, {})
        local order, err = asking.again(run, function()
            return orders.get(work.scayle, work.where, entry.order_id)
        end)
        if order then
            documents[i], part.failures = order, 0
        elseif err.kind == "not_found" then
            part.ended = part.ended + 1
        else
            local reason = failed(part, "SCAYLE", err)
            if reason then
                return documents, reason
            end
        end
    end
    return documents
end

-- A reason to stop, or nil.
local function one(run, part, entry, order)
    local flow = run.orders_flows[entry.flow]
    local result, err = asking.again(run, function()
        return rehearse(flow, entry, order)
    end)
    if not result then
        return failed(part, "Khaos", err)
    end
    tell(run, part, entry, order, result)
    part.failures = 0
    return nil
end

local function batch(run, part, entries)
    local documents, reason = fetch(run, part, entries)
    for _, flow in ipairs(run.orders_flows) do
        if khaos_line.kind(flow.settings.khaos) == "cloud" then
            believe_codes(documents)
        elseif run.has_codes and not reason then
            local ok, err = ask_details(run, flow, documents)
            reason = not ok and asking.why("Khaos", err) or nil
        end
    end
    for i, entry in ipairs(entries) do
        if documents[i] and not part.stopped then
            part.stopped = one(run, part, entry, documents[i])
        end
    end
    report.progress(string.format("orders mapped: %d", part.looked))
    part.stopped = part.stopped or reason
    return part.stopped == nil
end

--- Maps the newest orders.
---@async
---@param run table
function rehearsal.run(run)
    local part = {name = "Orders mapped as if live", looked = 0, ended = 0, failed = 0,
        failures = 0, mapped = {}, held = {}, held_open = {}}
    run.parts[#run.parts + 1] = part
    run.mapped = part
    local total = order_list.each(run.options.orders, function(entries)
        return batch(run, part, entries)
    end)
    part.of = math.min(total, run.options.orders)
    part.in_all = total
    if not run.has_codes and not run.is_cloud then
        part.note = "Khaos's stock codes could not be read: codes that it has may be listed here "
            .. "as unknown"
    end
end

-- ---- references that Khaos has already -------------------------------------------------------

local function reference_of(flow, entry)
    local work = {settings = flow.settings, order = {publicKey = entry.public_key},
        order_id = entry.order_id, causes = causes.new(), is_shared = entry.is_shared}
    identity.reference(work)
    return work.reference
end

local function tell_reference(run, entry, reference, found)
    local first = found[1]
    run.findings:add({cause = "reference_in_khaos", subject = "open orders", kind = "order",
        message = "Khaos has a sales order with the very reference that the integration would "
            .. "post under: the order is there already, or it will not be taken",
        remedy = "Find out who posts these orders now and when that ends; set live_from after it, "
            .. "or choose another reference."},
        {name = entry.order_id, minor = entry.minor, currency = entry.currency, is_open = true,
            note = string.format("%s is %s in Khaos", reference, first.order_code or "there")})
end

local function ask_references(run, part, flow, pending)
    local references = {}
    for i, pair in ipairs(pending) do
        references[i] = pair.reference
    end
    local found, err = asking.again(run, function()
        return khaos_orders.find_many(khaos_line.new(flow.settings.khaos), references)
    end)
    if not found then
        part.stopped = asking.why("Khaos", err)
        return false
    end
    for _, pair in ipairs(pending) do
        part.looked = part.looked + 1
        if found[pair.reference] then
            tell_reference(run, pair.entry, pair.reference, found[pair.reference])
        end
    end
    return true
end

local function flush(run, part, pending)
    for index, flow in ipairs(run.orders_flows) do
        if #pending[index] > 0 and not ask_references(run, part, flow, pending[index]) then
            return false
        end
        pending[index] = {}
    end
    return true
end

--- Asks Khaos for the references of open orders.
---@async
---@param run table
function rehearsal.references(run)
    local part = {name = "References of open orders asked of Khaos", looked = 0, of = 0}
    run.parts[#run.parts + 1] = part
    local pending = {}
    for index in ipairs(run.orders_flows) do
        pending[index] = {}
    end
    order_list.each(math.maxinteger, function(entries)
        for _, entry in ipairs(entries) do
            local flow = run.orders_flows[entry.flow]
            local reference = entry.state == "open" and reference_of(flow, entry)
            if reference and khaos_line.kind(flow.settings.khaos) == "soap" then
                part.of = part.of + 1
                local list = pending[entry.flow]
                list[#list + 1] = {entry = entry, reference = reference}
                if #list >= REFERENCES and not part.stopped then
                    flush(run, part, pending)
                end
            end
        end
        return part.stopped == nil
    end)
    if not part.stopped then
        flush(run, part, pending)
    end
end

return rehearsal
