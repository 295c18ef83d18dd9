--- New codes of Khaos are looked at soon after the mirror saw them, long before the next
--- comparison: does a variant have them, and what that was found does not differ any more.
local codes = require("flows.khaos_codes")
local create = require("flows.product_stages.create")
local details = require("flows.product_stages.details")
local products = require("connectors.scayle.products")
local scayle_client = require("connectors.scayle.client")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local tables = require("flows.product_stages.tables")
local tell = require("flows.product_stages.tell")
local time = require("neap.time")

local news = {}

local AT_ONCE = 20 -- each may cost a call to SCAYLE

local function forget(job, code, kinds, note)
    for _, pair in ipairs(tables.of_code(code)) do
        if kinds[pair.value.kind] then
            store.delete(tables.FOUND, pair.key)
            tell.mended(job, pair.value, note)
        end
    end
end

local function has_variant(job, code)
    local exact = tables.variants_like(code)
    if #exact > 0 then
        return true
    end
    local scayle = scayle_client.new(job.settings.scayle)
    return support.check({job = job}, "SCAYLE", products.has_variant(scayle, code))
end

-- A variant that was spelt otherwise, when the code came, is told as that.
local function tell_spelling(code, number)
    local _, alike = tables.variants_like(code)
    for _, variant in ipairs(alike) do
        local finding = {kind = "spelling", code = variant.c, ids = {variant.i}, count = 1,
            product = variant.p, state = variant.s, near = {code}, g = number,
            at_ms = time.now_ms(), first_ms = time.now_ms()}
        if not codes.has(variant.c) then
            for _, pair in ipairs(tables.of_code(variant.c)) do
                if pair.value.kind == "missing_in_khaos" then
                    store.delete(tables.FOUND, pair.key)
                end
            end
            store.put(tables.FOUND, tables.found_key(finding), finding)
        end
    end
    return #alike > 0
end

local function look_at(job, code, number)
    if not codes.get(code) then
        return -- gone again
    elseif has_variant(job, code) then
        forget(job, code, {missing_in_khaos = true, spelling = true, missing_in_scayle = true},
            "Khaos lists it now")
    elseif not tell_spelling(code, number) and not details.hidden(job, {code})[code] then
        local finding = {kind = "missing_in_scayle", code = code, g = number,
            at_ms = time.now_ms(), first_ms = time.now_ms()}
        store.put(tables.FOUND, tables.found_key(finding), finding)
        create.want(job, code)
    end
end

--- Looks at the next new codes; not while a comparison is under way, which sees them itself.
---@async
---@param job neap.Job
---@return integer looked
function news.run(job)
    local last = store.get(tables.STATE, "last")
    local page = store.range(codes.NEWS, {limit = AT_ONCE})
    for _, pair in ipairs(page) do
        if last and last.completed_ms then
            look_at(job, pair.key, last.number)
        end
        store.delete(codes.NEWS, pair.key)
    end
    return #page
end

return news
