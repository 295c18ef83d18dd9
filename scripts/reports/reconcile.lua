--- Order to cash as of a moment: `neap reconcile`. One row per order and VAT code, a sheet per
--- company (posting profile), the sums per company, currency and VAT code, and the differences by
--- class. Everything comes from what the flows remember, with the instants at which they learnt it,
--- so the same moment gives the same bytes.
local classify = require("reports.reconcile.classify")
local json = require("neap.json")
local money = require("neap.money")
local order_view = require("reports.reconcile.order_view")
local report = require("neap.report")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local time = require("neap.time")

local PAGE = 500
local DEAD = {gave_up = true, crashed = true, unfinished_effect = true}

-- Money columns: name, stage of the view, part of its sums.
local COLUMNS = {
    {"posted_net", "posted", "net"}, {"posted_vat", "posted", "vat"},
    {"posted_gross", "posted", "gross"}, {"open_gross", "open", "gross"},
    {"cancelled_gross", "cancelled", "gross"}, {"unissued_gross", "unissued", "gross"},
    {"invoiced_net", "invoiced", "net"}, {"invoiced_vat", "invoiced", "vat"},
    {"invoiced_gross", "invoiced", "gross"}, {"paid", "paid", "gross"},
    {"preauthorised", "preauthorised", "gross"}, {"on_account", "account", "gross"},
    {"refunded_gross", "refunded", "gross"}, {"credited_net", "credited", "net"},
    {"credited_vat", "credited", "vat"}, {"credited_gross", "credited", "gross"},
}

local WRONG = {}
for _, class in ipairs(classify.CLASSES) do
    WRONG[class.name] = class.wrong
end

local function text(minor, currency)
    if not minor or not currency then
        return false
    end
    return money.to_text(minor, currency)
end

local function figure(by_stage, column)
    local sums = by_stage[column[2]]
    if not sums then
        return 0
    end
    return column[3] == "vat" and sums.gross - sums.net or sums[column[3]]
end

-- ---- sheets ----------------------------------------------------------------------------------

local function row_columns()
    local columns = {{name = "order"}, {name = "khaos_order"}, {name = "currency"},
        {name = "vat_code"}, {name = "accepted"}, {name = "posted"}, {name = "class"},
        {name = "detail"}, {name = "difference", kind = "money"},
        {name = "ordered", kind = "money"}}
    for _, column in ipairs(COLUMNS) do
        columns[#columns + 1] = {name = column[1], kind = "money"}
    end
    return columns
end

local function company_name(view)
    if not view.company then
        return "no company yet"
    end
    return view.market and view.company .. " " .. view.market or view.company
end

local function sheet_of(run, view)
    local id = view.company or ""
    if not run.sheets[id] then
        run.sheets[id] = report.sheet(company_name(view), row_columns())
        run.names[id] = company_name(view)
    end
    return run.sheets[id]
end

local function instant(ms)
    return ms and time.format_iso(ms) or false
end

local function words(found, field)
    local list, seen = {}, {}
    for _, difference in ipairs(found) do
        local value = difference[field]
        if value ~= "" and not seen[value] then
            seen[value] = true
            list[#list + 1] = value
        end
    end
    return table.concat(list, "; ")
end

local function difference_of(found)
    local minor = 0
    for _, difference in ipairs(found) do
        minor = minor + (WRONG[difference.class] and difference.minor or 0)
    end
    return minor
end

-- What belongs to the whole order stands in its first row.
local function write_row(run, view, found, code, is_first)
    local by_stage = view.codes[code] or {}
    local class = words(found, "class")
    local ordered = by_stage.posted and by_stage.posted.gross
    if not next(view.codes) then
        ordered = view.ordered
    end
    local detail = #found == 0 and classify.proof(view) or words(found, "detail")
    local cells = {view.order_id, view.order_code or false, view.currency or false, code,
        instant(view.accepted_ms), instant(view.posted_ms), class == "" and "agrees" or class,
        detail, is_first and text(difference_of(found), view.currency),
        text(ordered, view.currency)}
    for _, column in ipairs(COLUMNS) do
        cells[#cells + 1] = text(figure(by_stage, column), view.currency)
    end
    report.row(sheet_of(run, view), cells)
end

-- ---- sums ------------------------------------------------------------------------------------

local function add_sums(run, view, code)
    local id = table.concat({view.company or "", view.currency or "", code}, "\0")
    local sums = run.sums[id]
    if not sums then
        sums = {company = view.company or "", name = company_name(view),
            currency = view.currency or "", vat_code = code, orders = 0, ordered = 0, minor = {}}
        run.sums[id] = sums
        run.sum_ids[#run.sum_ids + 1] = id
    end
    local by_stage = view.codes[code] or {}
    sums.orders = sums.orders + 1
    local ordered = by_stage.posted and by_stage.posted.gross
    if not next(view.codes) then
        ordered = view.ordered
    end
    sums.ordered = sums.ordered + (ordered or 0)
    for _, column in ipairs(COLUMNS) do
        sums.minor[column[1]] = (sums.minor[column[1]] or 0) + figure(by_stage, column)
    end
end

local function add_class(run, view, class, minor)
    local entry = run.classes[class] or {orders = 0, minor = {}}
    run.classes[class] = entry
    entry.orders = entry.orders + 1
    local currency = view.currency or ""
    entry.minor[currency] = (entry.minor[currency] or 0) + minor
end

local function count_classes(run, view, found)
    if #found == 0 then
        add_class(run, view, "agrees", view.posted)
        local proof = classify.proof(view)
        run.proofs[proof] = (run.proofs[proof] or 0) + 1
    end
    local seen = {}
    for _, difference in ipairs(found) do
        if not seen[difference.class] then
            add_class(run, view, difference.class, 0)
            seen[difference.class] = true
        end
        local entry, currency = run.classes[difference.class], view.currency or ""
        entry.minor[currency] = entry.minor[currency] + difference.minor
        run.is_wrong = run.is_wrong or WRONG[difference.class]
    end
end

local function keep_differences(run, view, found)
    for _, difference in ipairs(found) do
        run.differences[#run.differences + 1] = {order = view.order_id, key = view.key,
            company = view.company, currency = view.currency, khaos_order = view.order_code,
            class = difference.class, detail = difference.detail,
            amount = text(difference.minor, view.currency) or nil}
    end
end

local function take(run, view)
    local found = classify.order(view)
    local codes = order_view.codes(view)
    if #codes == 0 then
        codes[1] = ""
    end
    for i, code in ipairs(codes) do
        add_sums(run, view, code)
        if not run.only_differences or #found > 0 then
            write_row(run, view, found, code, i == 1)
        end
    end
    count_classes(run, view, found)
    keep_differences(run, view, found)
    run.orders = run.orders + 1
end

-- ---- the walk --------------------------------------------------------------------------------

-- Orders whose job the host itself stopped, at that moment.
local function dead_keys(at_ms)
    local keys = {}
    for _, entry in ipairs(report.exceptions()) do
        if DEAD[entry.cause] and entry.opened_ms <= at_ms
            and not (entry.closed_ms and entry.closed_ms <= at_ms) then
            keys[entry.subject] = entry.cause
        end
    end
    return keys
end

local function view_of(run, pair)
    local record = pair.value
    if record.accepted_ms and record.accepted_ms < run.from_ms then
        return nil
    end
    local view = order_view.of(pair.key, record, run.at_ms)
    if view and view.state == "in_flight" and run.dead[pair.key] then
        view.state, view.causes = "held", {run.dead[pair.key]}
    end
    return view
end

local function walk(run)
    local after
    repeat
        local page = store.range(support.RECORDS, {after = after, limit = PAGE})
        for _, pair in ipairs(page) do
            after = pair.key
            local view = view_of(run, pair)
            if view then
                take(run, view)
            end
        end
    until #page < PAGE
end

-- ---- what is told ----------------------------------------------------------------------------

local function sum_columns()
    local columns = {{name = "company"}, {name = "currency"}, {name = "vat_code"},
        {name = "orders", kind = "number"}, {name = "ordered", kind = "money"}}
    for _, column in ipairs(COLUMNS) do
        columns[#columns + 1] = {name = column[1], kind = "money"}
    end
    return columns
end

local function sum_record(sums)
    local currency = sums.currency ~= "" and sums.currency or nil
    local record = {company = sums.company, name = sums.name, currency = sums.currency,
        vat_code = sums.vat_code, orders = sums.orders,
        ordered = text(sums.ordered, currency) or nil}
    for _, column in ipairs(COLUMNS) do
        record[column[1]] = text(sums.minor[column[1]], currency) or nil
    end
    return record
end

local function tell_sums(run)
    local list = json.array({})
    local sheet = report.sheet("Sums", sum_columns(), {csv = false})
    table.sort(run.sum_ids)
    for i, id in ipairs(run.sum_ids) do
        local record = sum_record(run.sums[id])
        list[i] = record
        local cells = {record.name, record.currency, record.vat_code, record.orders,
            record.ordered or false}
        for _, column in ipairs(COLUMNS) do
            cells[#cells + 1] = record[column[1]] or false
        end
        report.row(sheet, cells)
        if record.ordered then
            report.say(string.format("  %s, %s, VAT %s: %d orders, ordered %s, posted %s, "
                .. "invoiced %s, refunded %s, credited %s", record.name, record.currency,
                record.vat_code == "" and "-" or record.vat_code, record.orders, record.ordered,
                record.posted_gross, record.invoiced_gross, record.refunded_gross,
                record.credited_gross))
        end
    end
    return list
end

local function amounts_text(minor)
    local list = {}
    for currency, amount in pairs(minor) do
        list[#list + 1] = currency ~= "" and text(amount, currency) .. " " .. currency or nil
    end
    table.sort(list)
    return table.concat(list, ", ")
end

local function tell_classes(run)
    local list = json.array({})
    for _, class in ipairs(classify.CLASSES) do
        local entry = run.classes[class.name]
        if entry then
            local amounts = amounts_text(entry.minor)
            list[#list + 1] = {class = class.name, orders = entry.orders, amounts = amounts,
                wrong = class.wrong}
            report.say(string.format("  %-22s %6d  %s", class.name, entry.orders, amounts))
        end
    end
    return list
end

-- That orders tie is said with what they were compared with, where that is not their totals.
local function tell_proofs(run)
    local list = json.array({})
    for proof, orders in pairs(run.proofs) do
        list[#list + 1] = proof ~= "" and {proof = proof, orders = orders} or nil
    end
    table.sort(list, function(one, other)
        return one.proof < other.proof
    end)
    for _, entry in ipairs(list) do
        report.say(string.format("  %d that agree are %s", entry.orders, entry.proof))
    end
    return list
end

local SHOWN = 50

local function tell_differences(run)
    for i, entry in ipairs(run.differences) do
        if i > SHOWN then
            report.say(string.format("  and %d more: --csv, --xlsx or --json has them all",
                #run.differences - SHOWN))
            return
        end
        report.say(string.format("  %s %s: %s%s", entry.order, entry.class, entry.detail,
            entry.amount and string.format(" (%s %s)", entry.amount, entry.currency) or ""))
    end
end

---@param options table<string, string> as_of_ms, from_ms, only
---@return {ok: boolean, document: table}
return function(options)
    local at_ms = assert(math.tointeger(tonumber(options.as_of_ms)))
    local run = {at_ms = at_ms, from_ms = math.tointeger(tonumber(options.from_ms)) or 0,
        only_differences = options.only == "differences", dead = dead_keys(at_ms), sheets = {},
        names = {}, sums = {}, sum_ids = {}, classes = {}, differences = json.array({}),
        proofs = {}, orders = 0, is_wrong = false}
    walk(run)
    report.say(string.format("as of %s: %d orders", time.format_iso(at_ms), run.orders))
    local sums = tell_sums(run)
    local classes = tell_classes(run)
    local proofs = tell_proofs(run)
    tell_differences(run)
    return {ok = not run.is_wrong, document = {as_of = time.format_iso(at_ms),
        orders = run.orders, sums = sums, classes = classes, proofs = proofs,
        differences = run.differences}}
end
