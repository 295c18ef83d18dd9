--- What the orders flow would do with one order, reading and sending nothing: for golden cases
--- (scripts/lib/golden.lua). Every stock code exists but those the case names.
---
--- Fields of a case: order (SCAYLE's document), delegation, unknown_stock_codes, own_references,
--- cancelled (ids of units that a cancellation took off it before it was posted).
--- What is posted is shown twice: as cases like to name it, and the posting itself.
--- A client's own map stage is rehearsed too, with a job that only remembers. `staged` of what is
--- posted is the name of the staging rule that would show it first.
local khaos_line = require("flows.khaos_line")
local mapper = require("flows.orders.map")
local market = require("flows.orders.market")
local staging = require("flows.orders.staging")

local HELD = {}

local function none() end

-- What is not there would reach out, wait or remember.
local ONLY_COMPUTES = {__index = function(_, name)
    error(string.format("job.%s is not there: a rehearsal only computes, nothing is sent, waited "
        .. "for or remembered", tostring(name)), 2)
end}

-- Enough of a job for a map stage that computes.
local function new_job(settings)
    local job = setmetatable({settings = settings, key = "order:rehearsed", facts = none,
        trail = none, note = none, alias = none}, ONLY_COMPUTES)
    function job.links()
        return {}
    end
    function job.overtaken()
        return nil
    end
    function job.hold(_, causes)
        error({held = causes, mark = HELD}, 0)
    end
    return job
end

local function set_of(list)
    local set = {}
    for _, name in ipairs(list) do
        set[name] = true
    end
    return set
end

local function map_stage(case, unknown)
    local cancelled = case.cancelled and set_of(case.cancelled)
    return function(work)
        local result = mapper.map({
            order = work.order, delegation = work.delegation,
            mappings = work.line.mappings(work.settings.mappings), settings = work.settings,
            own_references = case.own_references, cancelled = cancelled,
            has_stock_code = function(code)
                return not unknown[code]
            end,
        })
        if #result.causes > 0 then
            work.job:hold(result.causes)
        end
        local predicted = result.posting.predicted.gross_minor
        if predicted ~= result.facts.amount.minor then
            error(string.format("Khaos would come to %d, the order's total is %d", predicted,
                result.facts.amount.minor), 0)
        end
        work.posting, work.mechanics = result.posting, result.trail.data.mechanics
    end
end

local function map(settings, case)
    local unknown = set_of(case.unknown_stock_codes or {})
    local work = {
        job = new_job(settings), settings = settings, key = "order:rehearsed", causes = {},
        order = case.order, order_id = tostring(case.order.id), delegation = case.delegation,
        record = {}, line = khaos_line.of_orders(settings.khaos),
    }
    local standard = map_stage(case, unknown)
    local own = settings.stages and settings.stages.map
    if own then
        require(own)(work, standard)
    else
        standard(work)
    end
    return work
end

local function staging_rule(work)
    local rule = staging.rule(work.settings.staging, {mechanics = work.mechanics or {},
        posting = work.posting, market = market.id(work.order, work.delegation)})
    return rule and rule.name
end

-- The posting, with what cases like to name brought up.
local function view(work)
    local posting = work.posting
    local shown = {staged = staging_rule(work)}
    for key, value in pairs(posting) do
        shown[key] = value
    end
    shown.delivery = posting.header.delivery
    shown.keycode = posting.header.keycode
    shown.sales_source = posting.header.sales_source
    shown.other_ref = posting.customer.other_ref
    shown.delivery_address = posting.customer.delivery_address
    return shown
end

---@param settings table of the flow
---@param case table
---@return {posted: table|nil, posting: table|nil, held: string[]|nil, line: string}
return function(settings, case)
    if type(case.order) ~= "table" then
        error("order: the order's document expected (a table, or a file in cases/orders/)", 0)
    end
    local ok, result = pcall(map, settings, case)
    if ok then
        return {posted = view(result), posting = result.posting,
            line = khaos_line.kind(settings.khaos)}
    elseif type(result) ~= "table" or rawget(result, "mark") ~= HELD then
        error(result, 0)
    end
    local held = {}
    for i, cause in ipairs(result.held) do
        held[i] = cause.cause .. ":" .. (cause.subject or "")
    end
    table.sort(held)
    return {held = held, line = khaos_line.kind(settings.khaos)}
end
