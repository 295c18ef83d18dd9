--- `neap audit`: what would be held if a client went live today, and what else is amiss in its two
--- systems; docs/audit.md. Runs within reports.asking, so it may ask and nothing it asks can change
--- anything.
local carriers = require("reports.audit.carriers")
local catalogue = require("reports.audit.catalogue")
local findings = require("reports.audit.findings")
local json = require("neap.json")
local order_list = require("reports.audit.order_list")
local page = require("reports.audit.page")
local rehearsal = require("reports.audit.rehearsal")
local report = require("neap.report")
local sold = require("reports.audit.sold")
local stock_codes = require("reports.audit.stock_codes")
local stock_figures = require("reports.audit.stock_figures")
local time = require("neap.time")
local values = require("reports.audit.values")
local words = require("reports.audit.words")

local SAID = 30 -- findings on the terminal
local COLUMNS = {{name = "cause"}, {name = "what"}, {name = "object"}, {name = "open"},
    {name = "currency"}, {name = "amount", kind = "money"}, {name = "note"}, {name = "message"},
    {name = "remedy"}, {name = "owner"}}

local function number(text)
    return math.tointeger(tonumber(text))
end

local function new_run(options, flows, job)
    local run = {job = job, parts = {}, orders_flows = {}, flows = {}, values = values.new(),
        sold = sold.new(),
        findings = findings.new(job.settings.owners), live_from_ms = job.live_from_ms,
        now_ms = number(options.now_ms), options = {orders = number(options.orders),
            codes = number(options.codes), since_ms = number(options.since_ms),
            patience_ms = number(options.patience_ms)}}
    for _, entry in ipairs(flows) do
        local name = entry.flow.name
        run.flows[name] = run.flows[name] or entry
        if name == "orders" then
            run.orders_flows[#run.orders_flows + 1] = entry
            entry.index = #run.orders_flows
        end
    end
    if #run.orders_flows == 0 then
        error(require("neap.errors").new({kind = "not_found",
            message = "the client has no orders flow: there is nothing to audit"}), 0)
    end
    return run
end

local function look(run)
    order_list.read(run)
    stock_codes.read(run)
    rehearsal.run(run)
    rehearsal.references(run)
    carriers.run(run)
    catalogue.run(run)
    if run.options.codes > 0 then
        stock_figures.run(run)
    end
end

local function view_of(run)
    local view = {client = run.job.settings.client, now_ms = run.now_ms, parts = run.parts,
        findings = run.findings:list(), values = run.values:list(), is_complete = true,
        calls = report.budget().calls}
    for _, name in ipairs({"mapped", "held", "held_open"}) do
        view[name .. "_orders"], view[name .. "_money"] = words.sum(run.mapped[name])
    end
    for _, part in ipairs(run.parts) do
        if part.stopped or (part.failed or 0) > 0 then
            view.is_complete = false
        end
    end
    return view
end

-- One row per object; of a code sold in several currencies, one for each.
local function write_object(sheet, finding, object)
    local sums = findings.sums(object)
    for _, currency in ipairs(next(sums) and words.sorted(sums) or {""}) do
        report.row(sheet, {finding.cause, finding.subject, object.name,
            object.is_open and "open" or "", currency,
            sums[currency] and words.amount(sums[currency], currency) or false,
            object.note or "", finding.message, finding.remedy, finding.owner})
    end
end

local function write_rows(view)
    local sheet = report.sheet("Findings", COLUMNS)
    for _, finding in ipairs(view.findings) do
        for _, object in ipairs(finding.objects) do
            write_object(sheet, finding, object)
        end
    end
    local seen = report.sheet("Values", {{name = "kind"}, {name = "value"},
        {name = "orders", kind = "number"}, {name = "held", kind = "number"}, {name = "money"}},
        {csv = false})
    for _, value in ipairs(view.values) do
        report.row(seen, {value.dimension, value.value, value.orders, value.held,
            words.money(value.money)})
    end
end

local function say_all(view)
    report.say(string.format("If %s went live today: of %d orders mapped (%s), %d would be held "
        .. "(%s); %d of these are open now (%s)", view.client, view.mapped_orders,
        view.mapped_money, view.held_orders, view.held_money, view.held_open_orders,
        view.held_open_money))
    for i, finding in ipairs(view.findings) do
        if i > SAID then
            report.say(string.format("  and %d more findings: --html, --csv or --json has them",
                #view.findings - SAID))
            break
        end
        report.say(string.format("  %-24s %-28s %6d  %s", words.title(finding.cause),
            finding.subject, finding.count, words.money(finding.money)))
    end
    for _, part in ipairs(view.parts) do
        report.say(string.format("%s: %s", part.name, words.part(part)))
    end
    report.say(string.format("%d calls, all of them reads", view.calls))
end

local function document(view)
    local list = {findings = json.array({}), values = json.array(view.values),
        parts = json.array({})}
    for i, finding in ipairs(view.findings) do
        local objects = json.array({})
        for k, object in ipairs(finding.objects) do
            objects[k] = {name = object.name, minor = object.minor, currency = object.currency,
                money = object.sums, open = object.is_open or false, note = object.note}
        end
        list.findings[i] = {cause = finding.cause, subject = finding.subject, kind = finding.kind,
            message = finding.message, remedy = finding.remedy, owner = finding.owner,
            count = finding.count, open = finding.open, money = finding.money, objects = objects}
    end
    for i, part in ipairs(view.parts) do
        list.parts[i] = {name = part.name, looked = part.looked, of = part.of,
            in_all = part.in_all, failed = part.failed, ended = part.ended,
            stopped = part.stopped, note = part.note}
    end
    return {client = view.client, at = time.format_iso(view.now_ms), complete = view.is_complete,
        calls = view.calls, refused = report.budget().refused, findings = list.findings,
        values = list.values, parts = list.parts,
        mapped = view.mapped, held = view.held, held_open = view.held_open}
end

---@async
---@param options table<string, string> orders, codes, since_ms, now_ms
---@param flows {name: string, flow: table, settings: table}[]
---@param job neap.Job
---@return {ok: boolean, document: table}
return function(options, flows, job)
    local run = new_run(options, flows, job)
    look(run)
    local view = view_of(run)
    view.mapped, view.held, view.held_open = run.mapped.mapped, run.mapped.held,
        run.mapped.held_open
    write_rows(view)
    report.page(page.make(view))
    say_all(view)
    return {ok = #view.findings == 0 and view.is_complete, document = document(view)}
end
