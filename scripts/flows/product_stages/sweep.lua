--- The comparison of both catalogues, a piece at a tick, each piece kept with the place where the
--- next one begins: after a crash, a restart or a refusal it goes on there.
---
--- read       pages through SCAYLE's products, into a mirror of their variants
--- join       walks both mirrors in step (compare.lua) and writes down what differs
--- details    asks Khaos about codes that no variant has: those that are not for the web are no
---            difference (details.lua)
--- tell       forgets what does not differ any more, and tells people (tell.lua)
local codes = require("flows.khaos_codes")
local compare = require("flows.product_stages.compare")
local create = require("flows.product_stages.create")
local details = require("flows.product_stages.details")
local http = require("neap.http")
local khaos_line = require("flows.khaos_line")
local products = require("connectors.scayle.products")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local tables = require("flows.product_stages.tables")
local tell = require("flows.product_stages.tell")
local time = require("neap.time")

local sweep = {}

local MINUTE_MS = 60000
local RESTARTS = 3 -- a cursor that SCAYLE does not take any more: read from the beginning

local function put(state)
    store.put(tables.STATE, "sweep", state)
end

-- ---- read ------------------------------------------------------------------------------------

-- How many calls may still be made in this minute.
local function allowance(settings, state, now_ms)
    if state.pause_until_ms and now_ms < state.pause_until_ms then
        return 0
    elseif not state.minute_ms or now_ms - state.minute_ms >= MINUTE_MS then
        state.minute_ms, state.calls = now_ms, 0
    end
    state.pause_until_ms = nil
    return settings.calls_per_minute - state.calls
end

-- Leaves a share of the scope's quota to others.
local function heed(settings, state, answer)
    local rate = products.rate(answer)
    state.calls = state.calls + 1
    if rate.limit and rate.remaining and rate.reset_ms
        and rate.remaining * 100 <= rate.limit * settings.quota_left_percent then
        state.pause_until_ms = time.now_ms() + rate.reset_ms
    end
end

local function is_ours(settings, variant)
    if variant.is_composite and not settings.composites then
        return false
    end
    for _, key in ipairs(variant.merchants) do
        if key == settings.merchant_key then
            return true
        end
    end
    return #variant.merchants == 0
end

local function keep_page(settings, state, page)
    local rows = {}
    for _, variant in ipairs(page.variants) do
        if is_ours(settings, variant) then
            state.variants = state.variants + 1
            tables.add_variant(rows, variant, state.number)
        else
            state.others = state.others + 1
        end
    end
    store.put_many(tables.VARIANTS, rows)
    state.products = state.products + page.products
    state.without_list = state.without_list + page.without_list
end

local function begin_reading(state)
    state.phase, state.cursor = "read", nil
    state.products, state.variants, state.others, state.without_list = 0, 0, 0, 0
end

local function next_page(job, state)
    local settings = job.settings
    local request = products.list_request({cursor = state.cursor, limit = settings.page_size,
        with = settings.with ~= "" and settings.with or nil})
    request.connection = settings.scayle.connection
    local answer, failure = http.request(request)
    if not answer then
        error(failure, 0)
    end
    heed(settings, state, answer)
    local page, err = products.read_page(answer)
    if not page and err.status == 400 and state.cursor and state.restarts < RESTARTS then
        state.restarts = state.restarts + 1
        begin_reading(state)
        return nil
    end
    return support.check({job = job}, "SCAYLE", page, err)
end

-- Without variants in the list every code of Khaos would be missing.
local function has_variants(job, state)
    if state.products == 0 or state.without_list < state.products then
        job:close_exception("products_unreadable", "with", "variants are in the list")
        return true
    end
    job:open_exception({cause = "products_unreadable", subject = "with", recheck = "proof",
        message = string.format("SCAYLE lists %d products, none with its variants: nothing was "
            .. "compared", state.products),
        remedy = "Say in the setting `with` what SCAYLE wants to hear to give variants, such as "
            .. "\"variants\"; the next comparison closes this."})
    return false
end

local function read(job, state)
    local left = allowance(job.settings, state, time.now_ms())
    while left > 0 do
        local page = next_page(job, state)
        left = allowance(job.settings, state, time.now_ms())
        if page then
            keep_page(job.settings, state, page)
            state.cursor = page.next
        end
        if page and not page.next then
            state.phase = has_variants(job, state) and "join" or "failed"
            return true
        end
        put(state)
    end
    put(state)
    return false
end

-- ---- join ------------------------------------------------------------------------------------

local function keep_found(state, list)
    local rows, now_ms = {}, time.now_ms()
    for _, finding in ipairs(list) do
        local key = tables.found_key(finding)
        local known = store.get(tables.FOUND, key)
        finding.g, finding.at_ms = state.number, now_ms
        finding.first_ms = known and known.first_ms or now_ms
        rows[key] = finding
    end
    store.put_many(tables.FOUND, rows)
end

local function join(job, state)
    local found = {}
    local after, counts = compare.step({khaos = tables.khaos_source(job.settings.ean_field),
        scayle = tables.scayle_source(state.number), after = state.after,
        limit = job.settings.step_rows, found = function(finding)
            found[#found + 1] = finding
        end})
    keep_found(state, found)
    for name, count in pairs(counts) do
        state.compared[name] = (state.compared[name] or 0) + count
    end
    state.after = after
    if not after then
        state.phase = "details"
    end
    put(state)
end

-- ---- a whole one -----------------------------------------------------------------------------

-- Before the mirror was ever filled everything is missing.
local function has_mirror(settings)
    local state = store.get("khaos_mirror", "state")
    return (state ~= nil and state.full_ms ~= nil or khaos_line.kind(settings.khaos) == "cloud")
        and #codes.page(nil, 1) > 0
end

--- Begins a comparison unless one is under way.
---@param job neap.Job
function sweep.begin(job)
    if store.get(tables.STATE, "sweep") then
        return
    elseif not has_mirror(job.settings) then
        job:note("products", "nothing to compare: the mirror of Khaos's stock codes is not filled")
        return
    end
    local last = store.get(tables.STATE, "last") or {}
    local state = {number = (last.number or 0) + 1, started_ms = time.now_ms(), restarts = 0,
        compared = {}}
    begin_reading(state)
    store.put(codes.NEWS_WANTED, "products", true)
    put(state)
end

local function finish(job, state)
    local counts = state.phase == "tell" and tell.run(job, state) or nil
    store.delete(tables.STATE, "sweep")
    local last = counts and {counts = counts, completed_ms = time.now_ms(),
        started_ms = state.started_ms, products = state.products, variants = state.variants,
        others = state.others, compared = state.compared, unasked = state.unasked}
        or store.get(tables.STATE, "last") or {}
    last.number = state.number
    store.put(tables.STATE, "last", last)
    if counts then
        create.after_sweep(job)
    end
end

--- Goes on for one tick. True when there is nothing more to do.
---@async
---@param job neap.Job
---@return boolean
function sweep.step(job)
    local state = store.get(tables.STATE, "sweep")
    if not state then
        return true
    end
    local goes_on = true
    if state.phase == "read" then
        goes_on = read(job, state)
    end
    if goes_on and state.phase == "join" then
        join(job, state)
    elseif state.phase == "details" then
        if details.step(job, state) then
            state.phase = "tell"
        end
        put(state)
    elseif state.phase == "tell" or state.phase == "failed" then
        finish(job, state)
        return true
    end
    return false
end

return sweep
