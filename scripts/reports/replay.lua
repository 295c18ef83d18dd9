--- Recorded orders through the scripts as they are now: `neap replay`. Each order is mapped again
--- from what SCAYLE showed then; nothing is sent. What differs from the posting of then is shown
--- field by field and summed in money.
local compare = require("reports.replay.compare")
local json = require("neap.json")
local money = require("neap.money")
local report = require("neap.report")
local store = require("neap.store")
local support = require("flows.order_stages.support")

local PAGE = 500
local DOCUMENT = "mapping"
local SHOWN = 100

local COLUMNS = {{name = "order"}, {name = "khaos_order"}, {name = "result"}, {name = "field"},
    {name = "then"}, {name = "now"}, {name = "currency"}, {name = "gross", kind = "money"}}

local function find_flow(run, name)
    local flow = run.flows[name]
    if flow then
        return flow
    end
    error(string.format("the client has no flow %q that can be rehearsed", tostring(name)), 0)
end

local function flows_by_name(flows)
    local found = {}
    for _, entry in ipairs(flows) do
        if type(entry.flow.rehearse) == "function" then
            found[entry.name] = entry
        end
    end
    return found
end

local function rehearse(run, recorded)
    local entry = find_flow(run, recorded.flow)
    local ok, result = pcall(entry.flow.rehearse, entry.settings, {order = recorded.order,
        delegation = recorded.delegation, unknown_stock_codes = recorded.unknown_stock_codes,
        own_references = recorded.own_references, cancelled = recorded.cancelled})
    if not ok then
        return {failed = tostring(result)}
    end
    return result
end

local function text(minor, currency)
    return currency and currency ~= "" and money.to_text(minor, currency) or tostring(minor)
end

local function add_money(run, result)
    local sums = run.money[result.currency] or {net = 0, tax = 0, gross = 0, orders = 0}
    run.money[result.currency] = sums
    sums.orders = sums.orders + 1
    for _, part in ipairs({"net", "tax", "gross"}) do
        sums[part] = sums[part] + result[part]
    end
end

local function write_rows(run, entry)
    for i, field in ipairs(entry.fields) do
        report.row(run.sheet, {entry.order, entry.khaos_order or false, entry.result, field.path,
            field.before or false, field.now or false, entry.currency,
            i == 1 and text(entry.gross, entry.currency)})
    end
end

local function take(run, pair)
    local record = pair.value
    local recorded = report.document(pair.key, DOCUMENT)
    if not recorded then
        run.unrecorded = run.unrecorded + 1
        return
    end
    run.orders = run.orders + 1
    local result = compare(recorded, rehearse(run, recorded))
    if not result then
        run.same = run.same + 1
        return
    end
    result.order, result.key = record.order_id, pair.key
    result.khaos_order = record.order_code
    run.results[result.result] = (run.results[result.result] or 0) + 1
    add_money(run, result)
    write_rows(run, result)
    run.differences[#run.differences + 1] = result
end

local function is_named(pair, ref)
    local record = pair.value
    return pair.key == ref or record.order_id == ref or record.order_code == ref
        or record.reference == ref
end

local function walk(run, wants)
    local after
    repeat
        local page = store.range(support.RECORDS, {after = after, limit = PAGE})
        for _, pair in ipairs(page) do
            after = pair.key
            if wants(pair) then
                run.wanted = run.wanted + 1
                take(run, pair)
            end
        end
    until #page < PAGE
end

-- ---- what is told ----------------------------------------------------------------------------

local WORDS = {differs = "posted otherwise", held = "held now", posted = "posted now, held then",
    held_otherwise = "held on other causes", failed = "the scripts fail"}

local function say_result(run, entry)
    report.say(string.format("%s%s: %s%s", entry.order,
        entry.khaos_order and " (" .. entry.khaos_order .. ")" or "", WORDS[entry.result],
        entry.gross ~= 0 and string.format(", gross %s %s", text(entry.gross, entry.currency),
            entry.currency) or ""))
    for _, field in ipairs(run.is_diff and entry.fields or {}) do
        report.say(string.format("    %s: %s -> %s", field.path, field.before or "-",
            field.now or "-"))
    end
end

local function say_all(run)
    for i, entry in ipairs(run.differences) do
        if i > SHOWN and not run.is_diff then
            report.say(string.format("and %d more", #run.differences - SHOWN))
            break
        end
        say_result(run, entry)
    end
    report.say(string.format("%d orders replayed: %d the same, %d not", run.orders, run.same,
        #run.differences))
    if run.unrecorded > 0 then
        report.say(string.format("%d orders have no record (erased, older than the retention, or "
            .. "never mapped)", run.unrecorded))
    end
    for _, sums in ipairs(run.sums) do
        report.say(string.format("  %s: net %s, VAT %s, gross %s over %d orders", sums.currency,
            text(sums.net, sums.currency), text(sums.tax, sums.currency),
            text(sums.gross, sums.currency), sums.orders))
    end
end

local function sums_of(run)
    local list = json.array({})
    for currency, sums in pairs(run.money) do
        sums.currency = currency
        list[#list + 1] = sums
    end
    table.sort(list, function(a, b)
        return a.currency < b.currency
    end)
    return list
end

local function wanted(options)
    local since_ms = math.tointeger(tonumber(options.since_ms)) or -1
    if options.order ~= "" then
        return function(pair)
            return is_named(pair, options.order)
        end
    end
    return function(pair)
        return (pair.value.accepted_ms or 0) >= since_ms
    end
end

---@param options table<string, string> order, since_ms, diff
---@param flows {name: string, flow: table, settings: table}[]
---@return {ok: boolean, document: table}
return function(options, flows)
    local run = {flows = flows_by_name(flows), is_diff = options.diff ~= "", orders = 0, same = 0,
        unrecorded = 0, wanted = 0, results = {}, money = {}, differences = json.array({}),
        sheet = report.sheet("Differences", COLUMNS)}
    walk(run, wanted(options))
    if run.wanted == 0 and options.order ~= "" then
        error(require("neap.errors").new{kind = "not_found",
            message = "no order answers to " .. options.order}, 0)
    end
    run.sums = sums_of(run)
    say_all(run)
    return {ok = #run.differences == 0, document = {orders = run.orders, same = run.same,
        unrecorded = run.unrecorded, results = run.results, money = run.sums,
        differences = run.differences}}
end
