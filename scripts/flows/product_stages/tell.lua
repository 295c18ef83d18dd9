--- What a comparison found, told to people: variants that cannot be ordered safely one by one while
--- they are few, and as one exception with counts when they are many; everything else as one
--- exception per kind. The report (`neap products`) has all of it.
---
--- A variant whose code Khaos does not know is the exception that an order with it would wait on
--- (unknown_stock_code and the code): an order that comes joins it, and Khaos's mirror closes it as
--- soon as the code is there.
local codes = require("flows.khaos_codes")
local khaos_line = require("flows.khaos_line")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local tables = require("flows.product_stages.tables")

local tell = {}

local UNKNOWN = "unknown_stock_code"
local NO_CODE = "variant_without_code"
local DIFFERS = "catalogues_differ"
local PAGE = 1000
local NAMED = 5 -- codes in a message
local RISKS = {missing_in_khaos = true, spelling = true, discontinued = true, no_code = true}
local MANY = "variants without a stock code"

local WORDS = {
    missing_in_scayle = {subject = "missing in SCAYLE",
        text = "%d stock codes of Khaos that are for the web have no variant in SCAYLE",
        remedy = "Create the variants in SCAYLE, or take the codes off the web in Khaos."},
    duplicate_in_scayle = {subject = "duplicates in SCAYLE",
        text = "%d codes are on more than one variant in SCAYLE, which then share one stock",
        remedy = "Give each variant in SCAYLE a code of its own."},
    duplicate_in_khaos = {subject = "duplicates in Khaos",
        text = "%d stock codes are in Khaos more than once, in other letters or with spaces",
        remedy = "Find out which of them is used, and delete the others in Khaos."},
    ean_differs = {subject = "EAN",
        text = "%d codes have another EAN in SCAYLE than in Khaos: perhaps the wrong article",
        remedy = "Compare the articles, and correct the EAN or the code on one side."},
}

-- ---- one variant -----------------------------------------------------------------------------

local function variant_cause(finding)
    local product = finding.product and " (product " .. finding.product .. ")" or ""
    if finding.kind == "no_code" then
        return {cause = NO_CODE, subject = "variant " .. finding.ids[1], recheck = "proof",
            message = string.format("Variant %s in SCAYLE%s has no reference key: an order with it "
                .. "could not be posted", finding.ids[1], product),
            remedy = "Enter the stock code as the variant's reference key in SCAYLE. The next "
                .. "comparison closes this (neap products --check)."}
    elseif finding.kind == "discontinued" then
        return {cause = UNKNOWN, subject = finding.code, recheck = "proof",
            message = string.format("Stock code %s is discontinued in Khaos, and SCAYLE has a "
                .. "variant with it%s", finding.code, product),
            remedy = "Make it current again in Khaos, or take the variant off sale in SCAYLE."}
    end
    return {cause = UNKNOWN, subject = finding.code, recheck = "proof",
        message = string.format("Stock code %s does not exist in Khaos, and SCAYLE has a variant "
            .. "with it%s%s", finding.code, product, codes.suggestion(finding.code)),
        remedy = "Create the stock code in Khaos, or correct the variant's reference key in "
            .. "SCAYLE."}
end

local function exception_of(finding)
    if finding.kind == "no_code" then
        return NO_CODE, "variant " .. finding.ids[1]
    end
    return UNKNOWN, finding.code
end

--- Closes the exception of a finding that is none any more, unless orders wait for it: those need
--- the stock code itself.
---@param job neap.Job
---@param finding table
---@param note string
function tell.mended(job, finding, note)
    if not RISKS[finding.kind] then
        return
    end
    local cause, subject = exception_of(finding)
    local open = job:exception(cause, subject)
    if open and open.waiting == 0 then
        job:close_exception(cause, subject, note)
    end
end

-- ---- all of a comparison ---------------------------------------------------------------------

local function name_of(finding)
    return finding.kind == "no_code" and "variant " .. finding.ids[1] or finding.code
end

-- Another finding of the same exception may still be there: a code is discontinued, then deleted.
local function is_told_otherwise(finding, number)
    for _, pair in ipairs(tables.of_code(finding.code)) do
        if pair.value.g == number and RISKS[pair.value.kind] then
            return true
        end
    end
    return false
end

local function forget(job, finding, number)
    if RISKS[finding.kind] and not is_told_otherwise(finding, number) then
        tell.mended(job, finding, "the catalogues agree now")
    end
end

-- Counts, forgets what is older, and keeps the first few of each kind.
local function collect(job, state)
    local counts, risks, first, after = {}, {}, {}, nil
    repeat
        local page = store.range(tables.FOUND, {after = after, limit = PAGE})
        for _, pair in ipairs(page) do
            local finding = pair.value
            after = pair.key
            if finding.g ~= state.number then
                store.delete(tables.FOUND, pair.key)
                forget(job, finding, state.number)
            else
                local kind = finding.kind
                counts[kind] = (counts[kind] or 0) + 1
                first[kind] = first[kind] or {}
                table.insert(first[kind], #first[kind] < NAMED and name_of(finding) or nil)
                risks[#risks + 1] = RISKS[kind] and #risks <= job.settings.exceptions_max
                    and finding or nil
            end
        end
    until #page < PAGE
    return counts, first, risks
end

-- The mirror may be stale: Khaos is asked before anybody is told.
local function ask(job, risks)
    local wanted = {}
    for _, finding in ipairs(risks) do
        if finding.kind == "missing_in_khaos" or finding.kind == "spelling" then
            wanted[#wanted + 1] = finding.code
        end
    end
    if #wanted > 0 and khaos_line.kind(job.settings.khaos) == "soap" then
        support.check({job = job}, "Khaos",
            codes.ask(khaos_line.new(job.settings.khaos), wanted))
    end
end

local function tell_each(job, counts, risks)
    for _, finding in ipairs(risks) do
        local is_known = finding.kind ~= "no_code" and finding.kind ~= "discontinued"
            and codes.has(finding.code)
        if is_known then
            store.delete(tables.FOUND, tables.found_key(finding))
            counts[finding.kind] = counts[finding.kind] - 1
        else
            job:open_exception(variant_cause(finding))
        end
    end
    job:close_exception(DIFFERS, MANY, string.format("%d now, told one by one", #risks))
end

local function tell_many(job, counts, first)
    local names, total = {}, 0
    for _, kind in ipairs({"missing_in_khaos", "spelling", "discontinued", "no_code"}) do
        total = total + (counts[kind] or 0)
        for _, name in ipairs(first[kind] or {}) do
            names[#names + 1] = #names < NAMED and name or nil
        end
    end
    job:open_exception({cause = DIFFERS, subject = MANY, recheck = "proof",
        message = string.format("%d variants in SCAYLE have no stock code in Khaos that an order "
            .. "could name, among them %s", total, table.concat(names, ", ")),
        remedy = "See all of them (neap products --csv FILE). Create the codes in Khaos, or "
            .. "correct the reference keys in SCAYLE; a comparison that finds few tells them one "
            .. "by one."})
end

local function tell_kind(job, kind, counts, first)
    local words, count = WORDS[kind], counts[kind] or 0
    if count == 0 then
        job:close_exception(DIFFERS, words.subject, "the catalogues agree now")
        return
    end
    job:open_exception({cause = DIFFERS, subject = words.subject, recheck = "proof",
        message = string.format(words.text .. ": %s%s", count, table.concat(first[kind], ", "),
            count > #first[kind] and " and more" or ""),
        remedy = words.remedy .. " neap products lists all; the next comparison that finds none "
            .. "closes this."})
end

local function summary(state, counts)
    local words = {}
    for _, kind in ipairs({"missing_in_khaos", "spelling", "no_code", "discontinued",
        "missing_in_scayle", "duplicate_in_scayle", "duplicate_in_khaos", "ean_differs",
        "not_live"}) do
        local count = counts[kind] or 0
        words[#words + 1] = count > 0 and string.format("%d %s", count, kind:gsub("_", " ")) or nil
    end
    return string.format("%d variants and %d stock codes compared: %s", state.compared.scayle or 0,
        state.compared.khaos or 0, #words > 0 and table.concat(words, ", ") or "all agree")
end

--- The end of a comparison.
---@async
---@param job neap.Job
---@param state table
---@return table<string, integer> counts by kind
function tell.run(job, state)
    local counts, first, risks = collect(job, state)
    if #risks <= job.settings.exceptions_max then
        ask(job, risks)
        tell_each(job, counts, risks)
    else
        tell_many(job, counts, first)
    end
    for kind in pairs(WORDS) do
        if job.settings.tell[kind] ~= false then
            tell_kind(job, kind, counts, first)
        end
    end
    job:note("products", summary(state, counts))
    return counts
end

return tell
