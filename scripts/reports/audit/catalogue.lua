--- The audit's catalogues: SCAYLE's variants beside Khaos's stock codes, by the products flow's own
--- comparison.
local asking = require("reports.audit.asking")
local code_key = require("flows.code_key")
local codes = require("flows.khaos_codes")
local compare = require("flows.product_stages.compare")
local details = require("flows.product_stages.details")
local http = require("neap.http")
local khaos_line = require("flows.khaos_line")
local products = require("connectors.scayle.products")
local report = require("neap.report")
local stock_codes = require("reports.audit.stock_codes")
local store = require("neap.store")

local catalogue = {}

local VARIANTS = "audit_variants" -- code_key with the variant's id -> {c, i, e, s, p, o}
local MIRROR = "khaos_stock" -- see flows.khaos_codes
local MISSING = "audit_missing" -- code of Khaos without a variant -> true
local PAGE_SIZE = 100
local SHARE = 80 -- percent of the calls

-- What a finding of the comparison means before the start. {0}: what it is about.
local KINDS = {
    no_code = {"no_code", "SCAYLE", "Variants without a reference key: no order with them can be "
        .. "posted", "Give them the stock code of Khaos as reference key in SCAYLE."},
    missing_in_khaos = {"unknown_stock_code", "variants of SCAYLE", "Variants of SCAYLE whose code "
        .. "Khaos does not list: orders with them would be held", "Create the stock codes in "
        .. "Khaos, or take the variants out of sale."},
    spelling = {"stock_code_spelling", "variants of SCAYLE", "Variants whose code Khaos spells "
        .. "otherwise: only the exact code is found, so orders with them would be held",
        "Correct the reference key in SCAYLE, or the code in Khaos."},
    missing_in_scayle = {"no_variant", "Khaos", "Stock codes that Khaos sells on the web and "
        .. "SCAYLE has no variant for", "Create the variant in SCAYLE with this very reference "
        .. "key, or take the code off the web in Khaos."},
    duplicate_in_scayle = {"duplicate_code", "SCAYLE", "Several variants with the same reference "
        .. "key", "Keep one; give the others codes of their own, or delete them."},
    duplicate_in_khaos = {"duplicate_code", "Khaos", "Stock codes of Khaos that differ only in "
        .. "case or spaces: a SKU can mean either", "Keep one and discontinue the other in Khaos, "
        .. "before both are sold."},
}

local function note_of(finding, sales)
    local parts = {}
    if finding.near then
        parts[1] = (finding.kind == "duplicate_in_khaos" and "beside " or "did you mean ")
            .. table.concat(finding.near, " or ")
    elseif finding.kind == "missing_in_khaos" then
        local near = codes.near(finding.code)
        parts[1] = #near > 0 and "did you mean " .. table.concat(near, " or ") or nil
    end
    if (finding.count or 0) > 1 then
        parts[#parts + 1] = string.format("%d variants", finding.count)
    elseif finding.kind == "no_code" then
        parts[#parts + 1] = "product " .. (finding.product or "?")
    end
    if sales then
        parts[#parts + 1] = string.format("in %d of the orders looked at, %d open now",
            sales.orders, sales.open)
    end
    return #parts > 0 and table.concat(parts, "; ") or nil
end

-- The client's own, where it compares its catalogues when live.
local function products_settings(run)
    return run.flows.products and run.flows.products.settings or {}
end

local function tell(run, finding)
    local words = KINDS[finding.kind]
    if not words then
        return -- what the products flow looks at beside: state, numbers
    elseif finding.kind == "missing_in_scayle" then
        if not details.is_named(products_settings(run).not_for_web or {}, finding.code) then
            store.put(MISSING, finding.code, true)
        end
        return
    end
    local name = finding.code ~= "" and finding.code or "variant " .. finding.ids[1]
    local sales = run.sold:of(name)
    run.findings:add({cause = words[1], subject = words[2], kind = "code", message = words[3],
        remedy = words[4]}, {name = name, sums = sales and sales.money,
            is_open = sales ~= nil and sales.open > 0, note = note_of(finding, sales)})
end

-- ---- the two sides ---------------------------------------------------------------------------

-- The comparison goes on after a code; several variants may have it, and those that were given
-- already are not given again.
local function source(name, row_of)
    local last
    return function(after, limit)
        if after and last and last:sub(1, #after) == after then
            after = last
        end
        local rows = {}
        for i, pair in ipairs(store.range(name, {after = after, limit = limit})) do
            last = pair.key
            rows[i] = row_of(pair)
        end
        return rows
    end
end

local function khaos_row(pair)
    local _, code = code_key.parts(pair.key)
    return {code = code}
end

local function scayle_row(pair)
    local value = pair.value
    return {code = value.c, id = value.i, state = value.s, product = value.p, shown = value.o}
end

local function nothing()
    return {}
end

-- ---- reading ---------------------------------------------------------------------------------

local function is_ours(run, variant)
    for _, key in ipairs(variant.merchants) do
        for _, flow in ipairs(run.orders_flows) do
            if key == flow.settings.merchant_key then
                return true
            end
        end
    end
    return #variant.merchants == 0
end

local function keep(run, part, page)
    local with_composites = products_settings(run).composites ~= false
    local rows = {}
    for _, variant in ipairs(page.variants) do
        if is_ours(run, variant) and (with_composites or not variant.is_composite) then
            local code = variant.code or ""
            local is_key = code_key.is_key(code)
            rows[code_key.of(is_key and code or "", variant.id)] = {c = is_key and code or "",
                i = variant.id, s = variant.state, p = variant.product,
                o = not is_key and variant.code or nil}
            part.looked = part.looked + 1
        end
    end
    store.put_many(VARIANTS, rows)
end

local function ask_page(run, cursor)
    local own = products_settings(run)
    local scayle = run.orders_flows[1].settings.scayle
    local with = own.with ~= "" and own.with or nil
    return asking.again(run, function()
        local request = products.list_request({cursor = cursor, limit = own.page_size or PAGE_SIZE,
            with = with})
        request.connection = scayle.connection
        local answer, err = http.request(request)
        if not answer then
            return nil, err
        end
        return products.read_page(answer)
    end)
end

-- Nil at the end of the list, or why it was not read to its end.
local function read(run, part)
    local cursor
    repeat
        local reason = asking.over_share(SHARE)
        if reason then
            return reason
        end
        local page, err = ask_page(run, cursor)
        if not page then
            return asking.why("SCAYLE", err)
        elseif page.next ~= nil and page.next == cursor then
            return "SCAYLE's list of products goes round in a circle"
        elseif page.products > 0 and page.without_list == page.products then
            return "SCAYLE lists products without their variants: say in the products flow's "
                .. "setting `with` what it wants to hear"
        end
        keep(run, part, page)
        report.progress(string.format("variants read: %d", part.looked))
        cursor = page.next
    until not cursor
    return nil
end

-- ---- codes of Khaos without a variant --------------------------------------------------------

-- Codes below which variants hang are none themselves.
local function forget_parents()
    stock_codes.each(function(_, row)
        local parent = row:match("^[^|]*|([^\1]+)")
        if parent and store.get(MISSING, parent) then
            store.delete(MISSING, parent)
        end
    end)
end

local function tell_missing(run, code)
    local entry = codes.get(code) or {}
    if not entry.deleted and not entry.discontinued then
        local words = KINDS.missing_in_scayle
        run.findings:add({cause = words[1], subject = words[2], kind = "code", message = words[3],
            remedy = words[4]}, {name = code})
    end
end

-- Only Khaos knows whether they are for the web: asked for at most as many as figures are compared.
local function look_at_missing(run, part)
    local khaos = khaos_line.new(run.orders_flows[1].settings.khaos)
    local after, left, unasked = nil, math.max(run.options.codes, 1), 0
    repeat
        local page = store.range(MISSING, {after = after, limit = 150})
        local wanted = {}
        for _, pair in ipairs(page) do
            after = pair.key
            if left > 0 and not part.stopped then
                left = left - 1
                wanted[#wanted + 1] = pair.key
            else
                unasked = unasked + 1
            end
        end
        local ok, err = true, nil
        if #wanted > 0 then
            ok, err = asking.again(run, function()
                return codes.ask(khaos, wanted)
            end)
        end
        if not ok then
            part.stopped, unasked = asking.why("Khaos", err), unasked + #wanted
        else
            for _, code in ipairs(wanted) do
                tell_missing(run, code)
            end
        end
    until #page < 150
    part.note = unasked > 0 and string.format("%d more stock codes of Khaos have no variant and "
        .. "were not asked about (--codes)", unasked) or nil
end

--- Reads SCAYLE's catalogue and compares; needs Khaos's codes.
---@async
---@param run table
function catalogue.run(run)
    local part = {name = "Variants of SCAYLE beside Khaos's stock codes", looked = 0}
    run.parts[#run.parts + 1] = part
    if not run.has_codes then
        part.stopped = run.is_cloud and "Khaos Control Cloud has not told its stock codes yet"
            or "Khaos's stock codes could not be read"
        return
    end
    part.stopped = read(run, part)
    run.has_catalogue = part.stopped == nil
    local after
    repeat -- of half a catalogue nothing can be said but what Khaos's own list tells
        after = compare.step({khaos = source(MIRROR, khaos_row), after = after,
            scayle = run.has_catalogue and source(VARIANTS, scayle_row) or nothing,
            found = function(finding)
                if run.has_catalogue or finding.kind == "duplicate_in_khaos" then
                    tell(run, finding)
                end
            end})
    until not after
    if run.has_catalogue then
        forget_parents()
        look_at_missing(run, part)
    end
end

return catalogue
