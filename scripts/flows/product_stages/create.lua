--- Variants in SCAYLE from Khaos items: one job per stock code that is for the web and has no
--- variant.
---
--- The item is read in Khaos and everything that SCAYLE wants is made and checked first (plan.lua);
--- the product is there, is no live one, and no other product has a variant of this code. What is
--- missing holds the job with what to enter where, and the comparison that finds it entered closes
--- that. Then a rule or a named person approves exactly what was shown: only a release of the
--- exception that shows it is an approval. SCAYLE is asked before anything is sent again, so there
--- is one variant per code whatever happens on the way.
local alike = require("flows.product_stages.alike")
local codes = require("flows.khaos_codes")
local crypto = require("neap.crypto")
local details = require("flows.product_stages.details")
local json = require("neap.json")
local khaos_line = require("flows.khaos_line")
local plan = require("flows.product_stages.plan")
local products = require("connectors.scayle.products")
local scayle_client = require("connectors.scayle.client")
local stock_item = require("connectors.khaos_soap.stock_item")
local stock_tables = require("flows.stock_stages.tables")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local tables = require("flows.product_stages.tables")
local time = require("neap.time")

local create = {}

local INCOMPLETE = "variant_incomplete"
local PROPOSAL = "variant_proposal"
local PAGE = 500

local function get(code)
    return store.get(tables.CREATION, code)
end

local function put(code, state)
    state.at_ms = time.now_ms()
    store.put(tables.CREATION, code, state)
end

-- The next state of a code. What was shown and how often something was sent is never forgotten: a
-- release stays an approval of what it was said about, and a creation is none of another time.
local function change(work, fields)
    local kept = work.kept
    fields.version, fields.sendings = kept.version, kept.sendings
    fields.subject, fields.digest = kept.subject, kept.digest
    work.kept = fields
    put(work.code, fields)
end

local function finish(work, state, note)
    change(work, {state = state})
    store.delete(tables.FOUND, tables.found_key({kind = "missing_in_scayle", code = work.code}))
    work.job:facts({title = "Variant " .. work.code, state = note})
    work.job:note("products", note)
end

local function new_work(job, code, kept)
    return {job = job, settings = job.settings, code = code, kept = kept,
        scayle = scayle_client.new(job.settings.scayle), step = function(name, fn)
            return job:step(name, fn)
        end}
end

-- ---- what is to be created -------------------------------------------------------------------

local function read_item(job, code)
    local khaos = khaos_line.new(job.settings.khaos)
    return support.check({job = job}, "Khaos",
        stock_item.read(khaos, code, (codes.get(code) or {}).parent_code))
end

-- Where the variant would go, as SCAYLE shows it: one answer for all runs of an attempt chain, so
-- that a variant that we made in between is not taken for somebody else's.
local function look_up(work, variant)
    return work.step("place", function()
        local product, err = products.get(work.scayle, variant.product)
        if err then
            return nil, err
        end
        local there = "absent"
        if product then
            there, err = products.find_variant(work.scayle, variant.product, variant.sku)
            if not there then
                return nil, err
            end
        end
        local elsewhere, problem = products.has_variant(work.scayle, variant.sku)
        if elsewhere == nil then
            return nil, problem
        end
        return {has_product = product ~= nil, state = product and product.state,
            is_there = there == "found", is_elsewhere = elsewhere and there ~= "found"}
    end)
end

local function place_problems(settings, variant, place)
    if place.is_elsewhere then
        return {string.format("a variant %s is in another product than %s: correct the product in "
            .. "SCAYLE, or the item in Khaos", variant.sku, variant.product)}
    elseif not place.has_product then
        return {string.format("create the product in SCAYLE as a draft, with reference key %s",
            variant.product)}
    elseif place.state == "live" and not settings.create.into_live then
        return {string.format("product %s is live, and a new variant would be at once: make it a "
            .. "draft in SCAYLE, or create the variant there by hand", variant.product)}
    elseif place.state == "blocked" then
        return {string.format("product %s is blocked in SCAYLE", variant.product)}
    end
    return {}
end

-- Everything that stands in the way; nil place when Khaos alone says so.
local function judge(work, item)
    local variant, problems = plan.of(item, work.settings.mapping, work.settings.merchant_key)
    alike.add_problems(variant.sku, problems)
    if not variant.product then
        return variant, problems
    end
    local place = support.check({job = work.job}, "SCAYLE", look_up(work, variant))
    local more = place.is_there and {} or place_problems(work.settings, variant, place)
    table.move(more, 1, #more, #problems + 1, problems)
    return variant, problems, place
end

local function hold_incomplete(work, problems)
    change(work, {state = "incomplete", problems = problems})
    local text = table.concat(problems, "; ")
    work.job:facts({title = "Variant " .. work.code, state = "incomplete"})
    work.job:hold{{cause = INCOMPLETE, subject = work.code, recheck = "proof",
        message = string.format("Stock code %s cannot become a variant in SCAYLE yet: %s",
            work.code, text),
        remedy = "Do what is said; the next comparison (neap products --check) that finds it done "
            .. "closes this."}}
end

-- ---- approval --------------------------------------------------------------------------------

local function is_by_rule(work)
    if alike.words(work.code) then
        return false
    elseif work.settings.create.mode == "draft" then
        return true
    end
    for _, prefix in ipairs(work.settings.mapping.approve) do
        if work.code:sub(1, #prefix) == prefix then
            return true
        end
    end
    return false
end

-- What a person did with the proposal that is kept; what was done with an older one does not count.
local function act(work, verb)
    local event = work.job:overtaken(verb .. "." .. PROPOSAL)
    local said = event and json.decode(event.payload)
    return said and said.subject == work.kept.subject and said or nil
end

local function show(work, variant, digest)
    local kept = work.kept
    kept.version = (kept.version or 0) + 1
    kept.digest = digest
    kept.subject = kept.version == 1 and work.code or work.code .. " v" .. kept.version
    change(work, {state = "proposed"})
    work.job:note("products", "proposed: " .. plan.words(variant))
end

-- Returns when it is approved.
local function approve(work, variant)
    if is_by_rule(work) then
        work.job:note("products", "approved by rule: " .. plan.words(variant))
        return
    end
    local digest = crypto.sha256(assert(json.encode(variant)))
    if work.kept.digest ~= digest then
        show(work, variant, digest)
    elseif work.kept.state ~= "proposed" then
        change(work, {state = "proposed"})
    end
    local yes = act(work, "released")
    if yes then
        work.job:note("products", string.format("approved by %s: %s", yes.by, yes.reason))
        return
    end
    work.job:facts({title = "Variant " .. work.code, state = "waits for an approval"})
    work.job:hold{{cause = PROPOSAL, subject = work.kept.subject, recheck = "reload",
        message = string.format("Variant %s is to be created in SCAYLE %s%s", work.code,
            plan.words(variant), alike.words(work.code) or ""),
        remedy = "Release this to create it exactly so, as part of a product that is no live one; "
            .. "dismiss it and it is never created."}}
end

-- ---- creation --------------------------------------------------------------------------------

local function send(work, variant)
    if work.kept.state ~= "sending" then
        work.kept.sendings = (work.kept.sendings or 0) + 1
        change(work, {state = "sending", variant = variant})
    end
    local count = work.kept.sendings or 1
    local result, err = work.job:effect({
        connection = work.scayle.connection, name = "create_variant", class = "lookup",
        key = count == 1 and work.code or work.code .. "/" .. count,
        request = function()
            return products.create_request(variant)
        end,
        read = products.read_create,
        lookup = function()
            return products.find_variant(work.scayle, variant.product, variant.sku)
        end,
    })
    if result then
        return
    elseif err.retryable or err.kind == "cancelled" then
        error(err, 0)
    end
    change(work, {state = "incomplete", problems = {err.message}})
    work.job:hold{{cause = "refused_by_scayle", subject = "variant " .. work.code,
        message = string.format("SCAYLE refused to create variant %s: %s", work.code, err.message),
        remedy = "Correct what it says, in Khaos or in mappings/products.lua, and close this to "
            .. "try again; or create the variant by hand and dismiss this.", recheck = "manual"}}
end

local function created(work)
    finish(work, "created", "created in SCAYLE")
    if store.get(stock_tables.ITEMS, work.code) then
        stock_tables.mark(work.code, time.now_ms()) -- it had no variant to be shown at
    end
end

local function is_dismissed(work)
    if work.kept.state == "sending" then
        return false -- it may have left
    end
    return work.kept.state == "dismissed" or work.kept.subject and act(work, "dismissed") ~= nil
end

-- "variant:" and the code.
local function code_of(job)
    return job.key:match("^variant:(.*)$")
end

--- The job of one stock code.
---@async
---@param job neap.Job
function create.run(job)
    local code = code_of(job)
    local work = new_work(job, code, get(code) or {})
    if is_dismissed(work) or job.event.name:find("^dismissed%.") then
        return finish(work, "dismissed", "dismissed: never created by us")
    elseif work.kept.state == "sending" then
        send(work, work.kept.variant)
        return created(work)
    end
    local item = job:step("item", function()
        return read_item(job, code)
    end)
    if not item or item.deleted or item.discontinued then
        return finish(work, "over", "Khaos does not have it for the web any more")
    end
    local variant, problems, place = judge(work, item)
    if place and place.is_there then
        return finish(work, "over", "SCAYLE has the variant")
    elseif #problems > 0 then
        hold_incomplete(work, problems)
    end
    approve(work, variant)
    send(work, variant)
    created(work)
end

-- ---- who is asked for ------------------------------------------------------------------------

local function is_found(code)
    return store.get(tables.FOUND, tables.found_key({kind = "missing_in_scayle", code = code}))
        ~= nil
end

local function offer(job, code)
    local kept = get(code) or {} -- what was shown another time was approved for that time
    put(code, {state = "asked", version = kept.version, sendings = kept.sendings})
    local number = store.increment("product_sequences", "creation")
    job:emit({source = "products.creation", id = code .. ":" .. number, key = "variant:" .. code,
        name = "variant.wanted", payload = {code = code}})
end

-- Runs what waits again: because the variant came from elsewhere, or because something was entered.
local function wake(job, code, kept, why)
    job:close_exception(INCOMPLETE, code, why)
    if kept.subject then
        job:close_exception(PROPOSAL, kept.subject, why)
    end
end

local function is_mended(job, code, kept)
    local item = read_item(job, code)
    if not item then
        return true
    end
    local work = new_work(job, code, kept)
    work.step = function(_, fn)
        return fn()
    end
    local _, problems = judge(work, item)
    return table.concat(problems, "\n") ~= table.concat(kept.problems, "\n")
end

local function recheck(job)
    local after, left = nil, job.settings.create.limit
    repeat
        local page = store.range(tables.CREATION, {after = after, limit = PAGE})
        for _, pair in ipairs(page) do
            after = pair.key
            local code, kept = pair.key, pair.value
            local waits = kept.state == "incomplete" or kept.state == "proposed"
            if waits and not is_found(code) then
                wake(job, code, kept, "it is no difference any more")
            elseif kept.state == "incomplete" and left > 0 then
                left = left - 1
                if is_mended(job, code, kept) then
                    wake(job, code, kept, "what was missing has changed")
                end
            end
        end
    until #page < PAGE
end

-- A code that was created, or ended, and is missing again: once more.
local function is_free(kept)
    return not kept or kept.state == "created" or kept.state == "over"
end

--- After a comparison: jobs for codes without a variant, at most `limit` of them, and what waits
--- is looked at again.
---@async
---@param job neap.Job
function create.after_sweep(job)
    if job.settings.create.mode == "off" then
        return
    end
    recheck(job)
    local after, left = nil, job.settings.create.limit
    repeat
        local page = store.range(tables.FOUND, {after = after, limit = PAGE})
        for _, pair in ipairs(page) do
            after = pair.key
            local code = pair.value.code
            if pair.value.kind == "missing_in_scayle" and left > 0 and is_free(get(code)) then
                left = left - 1
                offer(job, code)
            end
        end
    until #page < PAGE or left == 0
end

--- A new code of Khaos that is for the web and has no variant.
---@param job neap.Job
---@param code string
function create.want(job, code)
    if job.settings.create.mode ~= "off" and is_free(get(code))
        and not details.is_hidden(job.settings, code) then
        offer(job, code)
    end
end

return create
