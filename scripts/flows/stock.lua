--- The stock flow: what Khaos has to sell goes to SCAYLE, gently and never ahead of what we know.
---
---     sellable = available in Khaos - accepted orders that Khaos does not know yet - buffer
---         + what may be sold below zero
---
--- "poll" reads what moved and "full", once a week, all; "send" tells what changed: the newest
--- figure of each code only, drops to zero first, `batch` at a time or by bulk requests.
--- `neap stock SKU` shows the figure with its terms. "drift" compares all of it with what SCAYLE
--- shows, once a week.
local cloud_items = require("flows.stock_stages.cloud_items")
local drift = require("flows.stock_stages.drift")
local full = require("flows.stock_stages.full")
local khaos_line = require("flows.khaos_line")
local poll_cloud = require("flows.stock_stages.poll_cloud")
local poll_soap = require("flows.stock_stages.poll")
local rehearse = require("flows.stock_stages.rehearse")
local send = require("flows.stock_stages.send")
local time = require("neap.time")

local SECOND_MS = 1000
local MINUTE_MS = 60 * SECOND_MS
local POLLS = {soap = poll_soap, cloud = poll_cloud.run}

local RUNS = {
    ["schedule.poll"] = function(job)
        POLLS[khaos_line.kind(job.settings.khaos)](job)
    end,
    ["schedule.full"] = function(job)
        if khaos_line.kind(job.settings.khaos) == "soap" then -- Cloud pushes all by itself
            full.run(job)
        end
    end,
    ["schedule.send"] = function(job)
        if khaos_line.kind(job.settings.khaos) == "cloud" then
            cloud_items.step(job.settings, time.now_ms())
        end
        send.run(job)
    end,
    ["schedule.drift"] = drift.run,
}

local function quantity(help)
    return {type = "integer", min = 0, help = help}
end

local POLICY = {type = "record", fields = {
    buffer = quantity("units kept back"),
    buffer_percent = {type = "integer", min = 0, max = 100,
        help = "of what is available, rounded up; the larger of both buffers counts"},
    use_khaos_buffer = {type = "boolean",
        help = "the item's own buffer in Khaos (buffer_field), where it is filled"},
    floor = quantity("fewer than this many are shown as none"),
    cap = quantity("the most that is shown"),
    uncontrolled = quantity("shown of codes that Khaos keeps no level of"),
    below_zero = quantity("sold beyond the level, of codes whose orders Khaos takes below zero "
        .. "(RUN_TO_ZERO off)"),
}}

local BULK = {type = "record", help = "many figures by SCAYLE's bulk requests; without it each "
    .. "figure is a call", fields = {
    from = {type = "integer", min = 1, default = 1000,
        help = "so many figures that wait are worth a request"},
    size = {type = "integer", min = 1, max = 10000, default = 10000,
        help = "figures of one request"},
    chunk = {type = "integer", min = 1, max = 10000, default = 500,
        help = "figures of one call"},
    wait_ms = {type = "integer", min = SECOND_MS, default = 15 * MINUTE_MS,
        help = "without progress that long it is cancelled, and single calls go on as long"},
    check = {type = "integer", min = 0, max = 5000, default = 200,
        help = "operations of requests that went through looked up in one run; 0: none"},
}}

local fields = {
    khaos = khaos_line.schema(),
    scayle = {type = "record", default = {}, fields = {
        connection = {type = "string", default = "scayle"}}},
    merchant_key = {type = "string", required = true},
    warehouse = {type = "string", required = true, help = "SCAYLE's warehouse reference key"},
    sites = {type = "list", items = {type = "integer"}, default = {1}, min = 1,
        help = "Khaos site ids whose levels are summed"},
    zone = {type = "string", default = "Europe/London"},
    policy = {type = "record", default = {}, fields = {
        default = POLICY,
        categories = {type = "map", values = POLICY},
        skus = {type = "map", values = POLICY},
    }},
    buffer_field = {type = "string",
        help = "user-defined attribute in Khaos that holds the buffer, or SAFE_LEVEL"},
    kits = {type = "map", default = {},
        values = {type = "map", values = {type = "integer", min = 1}},
        help = "Cloud: what kits are made of, which its pushes do not say"},
    category_field = {type = "string", default = "STOCK_TYPE"},
    bulk = BULK,
    batch = {type = "integer", min = 1, default = 200, help = "figures sent in one run"},
    at_once = {type = "integer", min = 1, max = 64, default = 4},
    peak = {type = "record", fields = {
        from = {type = "string", required = true, pattern = "^[0-2]%d:[0-5]%d$"},
        to = {type = "string", required = true, pattern = "^[0-2]%d:[0-5]%d$"},
        batch = {type = "integer", min = 1, required = true},
    }, help = "hours in which fewer are sent at a time"},
    chunk = {type = "integer", min = 1, max = 500, default = 100},
    overlap_ms = {type = "integer", min = 0, default = 90 * MINUTE_MS},
    full_every_ms = {type = "integer", min = MINUTE_MS, default = 7 * 24 * 60 * MINUTE_MS,
        help = "between readings of every code in Khaos"},
    full_batch = {type = "integer", min = 1, max = 10000, default = 1000,
        help = "codes read at one tick of the schedule \"full\""},
    lag_amber_ms = {type = "integer", min = SECOND_MS,
        help = "a figure due for longer makes the flow amber (neap status); without it, 15 "
            .. "minutes, on Khaos Control Cloud khaos.push_age_ms more"},
    lag_red_ms = {type = "integer", min = SECOND_MS,
        help = "and for longer than this red; without it, an hour, likewise"},
    order_lag_ms = {type = "integer", min = 0, default = 90 * SECOND_MS,
        help = "after its confirmation an order has reached us"},
    not_for_web = {type = "list", items = {type = "string", min_length = 1}, default = {},
        help = "codes of Khaos that the shop is not missed in by the drift comparison, as the "
            .. "products flow has them: \"ROUNDING\", \"FEE-*\""},
    drift_every_ms = {type = "integer", min = SECOND_MS, default = 7 * 24 * 60 * MINUTE_MS,
        help = "between comparisons of every code with what SCAYLE shows"},
    drift_batch = {type = "integer", min = 1, max = 5000, default = 500,
        help = "codes compared at one tick of the schedule \"drift\""},
    away_after_ms = {type = "integer", min = SECOND_MS, default = 30 * SECOND_MS,
        help = "a silence longer than this was an absence"},
}

local function report(settings, client)
    local lines = {}
    local sending = client.schedules.send
    local every_ms = sending and (sending.every_ms or MINUTE_MS) -- cron knows minutes
    if every_ms and every_ms >= settings.away_after_ms then
        lines[#lines + 1] = string.format("warning: figures are sent every %d s, but a silence of "
            .. "more than %d s counts as an absence (away_after_ms): stamps would stand still "
            .. "after every run until a sweep of the orders", every_ms // SECOND_MS,
            settings.away_after_ms // SECOND_MS)
    end
    if settings.buffer_field == "SAFE_LEVEL" then
        lines[#lines + 1] = "warning: the web buffer is Khaos's safe level, which is a purchasing "
            .. "threshold: changing one changes the other"
    end
    return lines
end

local flow = {
    name = "stock",
    version = 1,
    schema = {type = "record", fields = fields},
    cases = rehearse.CASES,
    triggers = {
        {kind = "schedule", name = "poll", every_ms = 30 * MINUTE_MS},
        {kind = "schedule", name = "full", every_ms = 10 * SECOND_MS},
        {kind = "schedule", name = "send", every_ms = 5 * SECOND_MS},
        {kind = "schedule", name = "drift", every_ms = MINUTE_MS},
    },
    run = function(job)
        RUNS[job.event.name](job)
    end,
    report = report,
}

flow.rehearse = rehearse.of(flow)

return flow
