--- What the newest comparison of both catalogues found: `neap products`.
local compare = require("flows.product_stages.compare")
local errors = require("neap.errors")
local json = require("neap.json")
local named_row = require("reports.named_row")
local report = require("neap.report")
local store = require("neap.store")
local tables = require("flows.product_stages.tables")
local time = require("neap.time")

local PAGE = 500
local SHOWN = 50

-- Of these an order could not be posted.
local WRONG = {missing_in_khaos = true, spelling = true, no_code = true, discontinued = true,
    duplicate_in_scayle = true}

local COLUMNS = {{name = "kind"}, {name = "sku"}, {name = "did_you_mean"}, {name = "product"},
    {name = "state"}, {name = "variants"}, {name = "khaos_ean"}, {name = "scayle_ean"},
    {name = "since"}}

local WORDS = {
    missing_in_khaos = "not in Khaos",
    spelling = "spelt otherwise in Khaos",
    no_code = "without a code",
    missing_in_scayle = "no variant in SCAYLE",
    duplicate_in_scayle = "on several variants",
    duplicate_in_khaos = "twice in Khaos",
    discontinued = "discontinued in Khaos",
    not_live = "not live",
    ean_differs = "another EAN",
}

local function instant(ms)
    return ms and time.format_iso(ms) or nil
end

local function entry_of(finding)
    return {kind = finding.kind, sku = finding.code, product = finding.product,
        did_you_mean = finding.near and table.concat(finding.near, " or "), state = finding.state,
        variants = finding.ids and table.concat(finding.ids, " "), khaos_ean = finding.khaos_ean,
        scayle_ean = finding.scayle_ean, since = instant(finding.first_ms)}
end

local function line_of(entry)
    local more = {}
    more[#more + 1] = entry.did_you_mean and "did you mean " .. entry.did_you_mean .. "?" or nil
    more[#more + 1] = entry.product and "product " .. entry.product or nil
    more[#more + 1] = entry.state and "state " .. entry.state or nil
    more[#more + 1] = entry.khaos_ean and string.format("Khaos %s, SCAYLE %s", entry.khaos_ean,
        entry.scayle_ean) or nil
    local name = entry.sku ~= "" and entry.sku or "variant " .. (entry.variants or "?")
    return string.format("  %-20s %-24s %s", name, WORDS[entry.kind], table.concat(more, ", "))
end

local function say(entries, counts)
    for _, kind in ipairs(compare.KINDS) do
        if counts[kind] then
            report.say(string.format("%6d  %s", counts[kind], WORDS[kind]))
        end
    end
    for i, entry in ipairs(entries) do
        if i > SHOWN then
            report.say(string.format("  and %d more: --csv, --xlsx or --json has them all",
                #entries - SHOWN))
            return
        end
        report.say(line_of(entry))
    end
end

local PHASES = {read = "reading SCAYLE", join = "comparing", details = "asking Khaos",
    tell = "telling", failed = "ending"}

local function say_state(last, sweep)
    if sweep then
        report.say(string.format("a comparison is under way (%s): %d products, %d variants so far",
            PHASES[sweep.phase], sweep.products, sweep.variants))
    end
    if last.completed_ms then
        report.say(string.format("compared until %s: %d variants of %d products, %d stock codes",
            instant(last.completed_ms), last.compared.scayle or 0, last.products,
            last.compared.khaos or 0))
    elseif not sweep then
        report.say("never compared yet (neap products --check)")
    end
    if last.unasked then
        report.say(string.format("%d codes without a variant were not asked about in Khaos: see the"
            .. " setting ask_max", last.unasked))
    end
end

local function check_kind(kind)
    if kind ~= "" and not WORDS[kind] then
        error(errors.new{kind = "invalid", message = string.format("no kind %s; there are %s", kind,
            table.concat(compare.KINDS, ", "))}, 0)
    end
end

---@param options table<string, string> sku, kind
---@return {ok: boolean, document: table}
return function(options)
    check_kind(options.kind)
    local sheet = report.sheet("Products", COLUMNS)
    local entries, counts, wrong, after = json.array({}), {}, 0, nil
    local prefix = options.sku ~= "" and options.sku .. "\1" or nil
    repeat
        local page = store.range(tables.FOUND, {after = after, prefix = prefix, limit = PAGE})
        for _, pair in ipairs(page) do
            after = pair.key
            local entry = entry_of(pair.value)
            if options.kind == "" or entry.kind == options.kind then
                entries[#entries + 1] = entry
                counts[entry.kind] = (counts[entry.kind] or 0) + 1
                wrong = wrong + (WRONG[entry.kind] and 1 or 0)
                named_row(sheet, COLUMNS, entry)
            end
        end
    until #page < PAGE
    local last = store.get(tables.STATE, "last") or {}
    local sweep = store.get(tables.STATE, "sweep")
    say_state(last, sweep)
    say(entries, counts)
    return {ok = wrong == 0, document = {completed = instant(last.completed_ms),
        under_way = sweep ~= nil, phase = sweep and sweep.phase, products = last.products,
        variants = last.compared and last.compared.scayle, stock_codes = last.compared
        and last.compared.khaos, counts = counts, findings = entries}}
end
