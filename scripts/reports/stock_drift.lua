--- What the newest comparison of stock found: `neap stock drift`.
local drift = require("flows.stock_stages.drift")
local json = require("neap.json")
local named_row = require("reports.named_row")
local report = require("neap.report")
local store = require("neap.store")
local tables = require("flows.stock_stages.tables")
local time = require("neap.time")

local PAGE = 500
local SHOWN = 50

local COLUMNS = {{name = "sku"}, {name = "class"}, {name = "khaos", kind = "number"},
    {name = "sent", kind = "number"}, {name = "shown", kind = "number"}, {name = "sent_stamp"},
    {name = "shown_stamp"}, {name = "khaos_terms"}, {name = "compared"}}

local function instant(ms)
    return ms and time.format_iso(ms) or nil
end

local function entry_of(code, value)
    return {sku = code, class = value.class, khaos = value.khaos, sent = value.sent,
        shown = value.shown, sent_stamp = instant(value.sent_stamp_ms),
        shown_stamp = instant(value.shown_stamp_ms), khaos_terms = value.text,
        compared = instant(value.at_ms)}
end

local function number(value)
    return value and tostring(value) or "none"
end

local function say_entries(entries)
    for i, entry in ipairs(entries) do
        if i > SHOWN then
            report.say(string.format("  and %d more: --csv, --xlsx or --json has them all",
                #entries - SHOWN))
            return
        end
        report.say(string.format("  %-20s %-11s Khaos %s, sent %s, SCAYLE shows %s", entry.sku,
            entry.class, number(entry.khaos), number(entry.sent), number(entry.shown)))
    end
end

---@return {ok: boolean, document: table}
return function()
    local sheet = report.sheet("Drift", COLUMNS)
    local entries, counts, wrong, after = json.array({}), {}, 0, nil
    repeat
        local page = store.range(tables.DRIFT, {after = after, limit = PAGE})
        for _, pair in ipairs(page) do
            after = pair.key
            local entry = entry_of(pair.key, pair.value)
            entries[#entries + 1] = entry
            counts[entry.class] = (counts[entry.class] or 0) + 1
            wrong = wrong + (drift.HARMLESS[entry.class] and 0 or 1)
            named_row(sheet, COLUMNS, entry)
        end
    until #page < PAGE
    local state = store.get(tables.STATE, "drift") or {}
    local ended = instant(state.looked and state.completed_ms)
    report.say(state.is_under_way and string.format("a comparison is under way: %d codes so far",
        state.looked) or ended and string.format("compared until %s: %d codes", ended,
        state.looked) or "never compared yet (neap stock drift --check)")
    say_entries(entries)
    return {ok = wrong == 0, document = {completed = ended,
        under_way = state.is_under_way or false, looked = state.looked or 0, counts = counts,
        differences = entries}}
end
