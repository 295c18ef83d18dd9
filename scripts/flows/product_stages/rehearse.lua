--- What a comparison of two small catalogues finds, and what a person is asked: for golden cases
--- (scripts/lib/golden.lua).
---
---     return {
---         flow = "products", name = "code that is spelt otherwise",
---         variants = {{code = "ts-red-l"}}, stock_codes = {{code = "TS-RED-L"}},
---         expect = {told = {{kind = "spelling", code = "ts-red-l", near = {"TS-RED-L"}}},
---             held = {"unknown_stock_code:ts-red-l"}},
---     }
local codes = require("flows.khaos_codes")
local http_answer = require("flows.rehearsal.http_answer")
local json = require("neap.json")
local khaos = require("flows.rehearsal.khaos")
local khaos_line = require("flows.khaos_line")
local run = require("flows.rehearsal.run")
local store = require("neap.store")
local tables = require("flows.product_stages.tables")
local time = require("neap.time")
local xml = require("neap.xml")

local MAX_STEPS = 1000

local TEXT, FLAG = {type = "string"}, {type = "boolean"}
local CODE = {type = "string", required = true, min_length = 1}

local rehearse = {}

rehearse.CASES = {at = run.AT,
    variants = {type = "list", required = true, help = "of SCAYLE",
        items = {type = "record", fields = {code = TEXT, ean = TEXT, product = TEXT,
            state = {type = "string", default = "live"},
            merchants = {type = "list", items = TEXT, default = {}}}}},
    stock_codes = {type = "list", required = true, min = 1, help = "of Khaos",
        items = {type = "record", fields = {code = CODE, parent_code = TEXT, other_ref = TEXT,
            discontinued = FLAG, deleted = FLAG}}}}

-- SCAYLE's only page of products: each variant in one of its own.
local function page_of(variants)
    local entities = json.array({})
    for i, variant in ipairs(variants) do
        entities[i] = {id = i, referenceKey = variant.product, state = variant.state,
            variants = {{id = i, referenceKey = variant.code, ean = variant.ean,
                merchantReferenceKeys = json.array(variant.merchants)}}}
    end
    return assert(json.encode({entities = entities, cursor = {}}))
end

local function flag(value)
    return value and "-1" or "0"
end

-- What Khaos exports of all codes.
local function export_of(stock_codes)
    local parts = {}
    for i, row in ipairs(stock_codes) do
        parts[i] = string.format("<STOCK_ITEM><STOCK_CODE>%s</STOCK_CODE><DISCONTINUED>%s"
            .. "</DISCONTINUED><DELETED>%s</DELETED></STOCK_ITEM>", xml.escape(row.code),
            flag(row.discontinued), flag(row.deleted))
    end
    return "<STOCK_ITEMS>" .. table.concat(parts) .. "</STOCK_ITEMS>"
end

-- The mirror of Khaos's codes, as its flow or a push would have filled it. Whether a code is
-- for the web is asked for.
local function fill_mirror(stock_codes)
    local rows = {}
    for _, row in ipairs(stock_codes) do
        rows[row.code] = {code = row.code, parent_code = row.parent_code,
            other_ref = row.other_ref, discontinued = row.discontinued or false}
    end
    codes.put(rows)
    store.put("khaos_mirror", "state", {full_ms = time.now_ms()})
end

local function compare(rehearsal)
    rehearsal:play_one({name = "schedule.begin"})
    local steps = 0
    repeat
        steps = steps + 1
        assert(steps < MAX_STEPS, "the comparison never ends")
        rehearsal:play_one({name = "schedule.step"})
    until not rehearsal.world.store.get(tables.STATE, "sweep") or #rehearsal.held > 0
end

local function findings(world)
    local list, messages = {}, {}
    for _, open in pairs(world.exceptions) do
        messages[open.subject] = open.message
    end
    for _, pair in ipairs(world.store.range(tables.FOUND, {limit = math.maxinteger})) do
        local finding = pair.value
        finding.message = messages[finding.code]
            or finding.kind == "no_code" and messages["variant " .. finding.ids[1]] or nil
        list[#list + 1] = finding
    end
    return list
end

--- Of the flow; its rehearse(settings, case).
---@param flow table
---@return fun(settings: table, case: table): table
function rehearse.of(flow)
    return function(settings, case)
        local erp = khaos_line.new(settings.khaos).connection
        local rehearsal = run.new(flow, settings, case, function(request)
            if request.connection == erp then
                return khaos.reply(request, export_of(case.stock_codes))
            end
            return http_answer(200, page_of(case.variants))
        end)
        rehearsal.world:with(function()
            fill_mirror(case.stock_codes)
        end)
        compare(rehearsal)
        return rehearsal:result(findings(rehearsal.world))
    end
end

return rehearse
