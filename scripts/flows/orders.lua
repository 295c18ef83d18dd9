--- The orders flow: from SCAYLE's delegation, webhook or order list to a posted Khaos order.
---
--- Stages, in order: accept (routes), fetch, validate, map, stage, post, confirm, acknowledge. A
--- client replaces one by naming a module of its own in its settings:
---
---     settings = {stages = {map = "flows.my_map"}, ...}
---
--- The module returns function(work, standard): `work` is what the stages hand on
--- (flows.order_stages.open), `standard` the stage it replaces, which it may call. It returns nil
--- to go on, or words that end the order's way. `accept` gets (ctx, request, standard) and
--- returns the reply.
---
--- However many events tell of one order, there is one posting: the effect ledger knows its
--- reference.
local amend = require("connectors.khaos_soap.amend")
local cancel = require("connectors.khaos_soap.cancel")
local accept = require("flows.order_stages.accept")
local differing = require("flows.order_stages.differing")
local dismissal = require("flows.order_stages.dismissal")
local history = require("flows.order_history")
local khaos_line = require("flows.khaos_line")
local mapping_schema = require("flows.orders.mapping_schema")
local open = require("flows.order_stages.open")
local recording = require("flows.order_stages.recording")
local sweep = require("flows.order_stages.sweep")
local unit_events = require("flows.unit_stages.events")
local units_wanted = require("flows.unit_stages.wanted")

local MINUTE_MS = 60000
local HOUR_MS = 60 * MINUTE_MS

local standard = {
    accept = accept.delegation,
    fetch = require("flows.order_stages.fetch"),
    validate = require("flows.order_stages.validate"),
    map = require("flows.order_stages.map"),
    stage = require("flows.order_stages.stage").run,
    post = require("flows.order_stages.post"),
    confirm = require("flows.order_stages.confirm"),
    acknowledge = require("flows.order_stages.acknowledge"),
}

local ALL = {"fetch", "validate", "map", "stage", "post", "confirm", "acknowledge"}
local FROM_POSTING = {"post", "confirm", "acknowledge"}
local AFTER_POSTING = {"confirm", "acknowledge"}

local function text(default, help)
    return {type = "string", default = default, help = help}
end

local function duration(default, help)
    return {type = "integer", min = 0, default = default, help = help}
end

local function stage_fields()
    local fields = {}
    for name in pairs(standard) do
        fields[name] = {type = "string", help = "module that replaces the stage"}
    end
    return fields
end

local fields = {
    shops = {type = "list", required = true, min = 1, items = {type = "record", fields = {
        shop_key = {type = "string", required = true},
        country = {type = "string", required = true,
            help = "in SCAYLE's paths: alpha-2 code, or the shop country id"},
        shop_country_id = {type = "string", pattern = "^%d+$"},
    }}},
    scayle = {type = "record", default = {}, fields = {connection = text("scayle")}},
    khaos = khaos_line.schema(),
    stages = {type = "record", default = {}, fields = stage_fields()},
    delegation_answer = {type = "record", default = {}, fields = {
        status = {type = "integer", default = 201},
        body = {type = "map", values = {type = "any"}, default = {referenceKey = "{order_id}",
            statusCode = 201, orderDelegationResult = "acknowledged"}},
    }},
    amend_order = amend.schema(),
    cancel_order = cancel.schema(),
    despatch_flow = {type = "string", help = "name of the despatch flow in the manifest, if any"},
    returns_flow = {type = "string", help = "name of the returns flow in the manifest, if any"},
    aftersale_webhooks = {type = "map", default = {}, help = "the tenant's own names of them",
        values = {type = "string", enum = {"returned", "refund", "undeliverable", "cancelled"}}},
    refund_amount_path = text(nil, "where a refund's webhook states its amount in minor units, "
        .. "like payload.refund.amount; not documented"),
    refund_id_path = text(nil, "and the refund's own id, without which an amount is not read: "
        .. "several messages may tell of one refund"),
    delegation_grace_ms = duration(10 * MINUTE_MS,
        "how long an order seen without its delegation waits for it before it is posted"),
    missing_order_wait_ms = duration(MINUTE_MS,
        "before SCAYLE is asked again for an order it does not show"),
    read_back_wait_ms = duration(MINUTE_MS,
        "before Khaos is asked again for an order it does not list"),
    fault_retries = {type = "integer", min = 0, max = 20, default = 3,
        help = "further tries of an import that ended in a SOAP fault"},
    fault_wait_ms = duration(MINUTE_MS, "between those"),
    customer_import = {type = "string", enum = {"force", "insert"}, default = "force",
        help = "method of ImportCompany: insert refuses when surname and postcode match somebody"},
    write_reference = {type = "string", enum = {"always", "unless_shared", "never"},
        default = "unless_shared", help = "writing the Khaos order code back to SCAYLE"},
    net_tolerance_minor = {type = "integer", min = 0, default = 0,
        help = "how far Khaos's net may be from the prediction when its total is right"},
    stuck_after_ms = duration(4 * HOUR_MS, "accepted and not in Khaos: an exception"),
    sweep_max_pages = {type = "integer", min = 1, default = 50},
    sweep_hurry_pages = {type = "integer", min = 1, max = 5000, default = 500,
        help = "the same while stock figures wait for a sweep of all orders"},
    sweep_page_size = {type = "integer", min = 1, max = 1000, default = 100},
    sweep_query = {type = "map", values = {type = "string"}, default = {},
        help = "filters of the order list that the tenant's API description offers"},
}
for name, field in pairs(mapping_schema.settings_fields) do
    fields[name] = field
end

local function stage_of(settings, name)
    local module = settings.stages[name]
    if not module then
        return standard[name]
    end
    local own = require(module)
    return function(...)
        local arguments = table.pack(...)
        arguments[arguments.n + 1] = standard[name]
        return own(table.unpack(arguments, 1, arguments.n + 1))
    end
end

local function process(job)
    local work = open.work(job)
    history.going(work.key)
    local names = work.record.order_code and AFTER_POSTING
        or work.record.offered and FROM_POSTING or ALL
    for _, name in ipairs(names) do
        if stage_of(job.settings, name)(work) then
            return
        end
        if name == "map" then
            recording.keep(work, {posting = work.posting, causes = {}})
        end
    end
end

local function run(job)
    local name = job.event.name
    if open.is_order(name) then
        process(job)
    elseif name == "schedule.sweep" then
        units_wanted.look_again(job) -- first: these ask Khaos, the rest may fail with SCAYLE
        differing.look_again(job)
        sweep(job)
    elseif name == unit_events.NAME then
        require("flows.unit_stages.look")(job)
    elseif name == unit_events.ASKED then
        require("flows.unit_stages.asked")(job)
    elseif name:find("^dismissed%.") then
        dismissal(job)
    else
        job:note("orders", "nothing to do for event " .. name)
    end
end

local function selftest(settings)
    local ok, messages = mapping_schema.check(settings.mappings, "settings.mappings",
        settings.khaos and settings.khaos.kind)
    if not ok then
        error(table.concat(messages, "\n"), 0)
    end
    for name in pairs(settings.stages) do
        if type(require(settings.stages[name])) ~= "function" then
            error(string.format("settings.stages.%s: module %s must return a function", name,
                settings.stages[name]), 0)
        end
    end
end

return {
    name = "orders",
    version = 1,
    schema = {type = "record", fields = fields},
    triggers = {
        {kind = "route", name = "delegation", method = "POST", path = "/scayle/delegation",
            auth = "delegation", handle = function(ctx, request)
                return stage_of(ctx.settings, "accept")(ctx, request)
            end},
        {kind = "route", name = "webhook", method = "POST", path = "/scayle/webhook",
            auth = "webhook", handle = accept.webhook},
        {kind = "schedule", name = "sweep", every_ms = 5 * MINUTE_MS},
        {kind = "act"},
    },
    stages = standard,
    run = run,
    selftest = selftest,
    report = require("flows.orders.report"),
    cases = {order = {type = "any", required = true}, delegation = {type = "any"},
        event = {type = "any"}, own_references = {type = "any"},
        cancelled = {type = "list", items = {type = "string"}},
        unknown_stock_codes = {type = "list", items = {type = "string"}}},
    rehearse = require("flows.orders.rehearse"),
}
