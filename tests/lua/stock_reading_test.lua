-- neap-test-root: examples/sandbox/khaos
-- What the stock flow makes of what Khaos says of a code: nested variants, run-to-zero,
-- discontinued, kits; and the figure with its terms, their sources and times.
local drift = require("flows.stock_stages.drift")
local fake_job = require("fake_job")
local figure = require("flows.stock_stages.figure")
local flow = require("flows.stock")
local http = require("neap.http")
local json = require("neap.json")
local khaos_sandbox = require("khaos_sandbox")
local levels = require("connectors.khaos_soap.levels")
local poll = require("flows.stock_stages.poll")
local schema = require("lib.schema")
local slices = require("slices")
local store = require("neap.store")
local stock_pending = require("flows.stock_pending")
local tables = require("flows.stock_stages.tables")
local time = require("neap.time")

local function settings(more)
    local all = {khaos = {}, merchant_key = "fellside", warehouse = "KC-MAIN",
        buffer_field = "Web Buffer", policy = {default = {use_khaos_buffer = true}}}
    for name, value in pairs(more or {}) do
        all[name] = value
    end
    return schema.with_defaults(flow.schema, all)
end

-- Runs `body` in a world of its own, with a function that polls.
local function alone(more, sandbox_settings, body)
    local world, far = khaos_sandbox.world(sandbox_settings)
    local job = {settings = settings(more), note = function() end, hold = function(_, causes)
        error(causes[1].message)
    end}
    world:with(function()
        body(far, function()
            world.now_ms = world.now_ms + 1000
            poll(job)
        end, job.settings)
    end)
end

local function shown(code, given)
    local item = store.get(tables.ITEMS, code)
    return figure.of(item, stock_pending.sum(item, item.read_ms),
        figure.policy(given.policy, item), 1)
end

local function nested(t)
    -- Seen before: such variants counted as not for the web, and showed 0 for ever.
    t.case("a variant that Khaos exports under its parent only has its own details", function()
        alone(nil, {nested_variants = true}, function(far, read, given)
            far.change_stock({code = "TEE", buffer = 4, max_display = 9})
            far.change_stock({code = "TEE-M", parent = "TEE", level = 7, buffer = 2})
            far.change_stock({code = "TEE-L", parent = "TEE", level = 7, web = false})
            far.change_stock({code = "CAP", level = 3})
            read()
            t.equal({shown("TEE-M", given).text, shown("TEE-L", given).text,
                shown("CAP", given).sellable}, {"7 available - 2 buffer in Khaos = 5",
                "not for the web in Khaos = 0", 3})
            t.equal(store.get(tables.ITEMS, "TEE-M").parent, "TEE")
            far.change_stock({code = "TEE-M", level = 6, buffer = 1})
            read()
            t.equal(shown("TEE-M", given).sellable, 5)
        end)
    end)
    t.case("a code that orders took is read by the parent that was listed before", function()
        alone(nil, {nested_variants = true}, function(far, read, given)
            far.change_stock({code = "TEE"})
            far.change_stock({code = "TEE-M", parent = "TEE", level = 7})
            store.put(tables.LISTED, "TEE-M", "TEE")
            store.put(tables.STATE, "poll", {since_ms = 4102444800000})
            store.put(stock_pending.REREAD, "TEE-M", {since_ms = 1})
            read()
            t.equal(shown("TEE-M", given).sellable, 7)
        end)
    end)
end

local function sharing(t)
    -- Seen before: each wish was gone through by itself, and with it every kit that shares a
    -- component: many kits of one component made a poll endless.
    t.case("kits of one component are gone through once, however many are to be read", function()
        local looked = {}
        for _, count in ipairs({10, 80}) do
            alone(nil, nil, function(far, read, given)
                far.change_stock({code = "PART", level = 9})
                for i = 1, count do
                    far.change_stock({code = "KIT" .. i, kit = {"PART"}})
                end
                read()
                store.put(tables.STATE, "poll", {since_ms = 4102444800000})
                for i = 1, count do
                    store.put(stock_pending.REREAD, "KIT" .. i, {since_ms = i})
                end
                local range, calls = store.range, 0
                store.range = function(...)
                    calls = calls + 1
                    return range(...)
                end
                read()
                store.range = range
                looked[#looked + 1] = calls
                t.equal({shown("KIT1", given).sellable, #store.range(stock_pending.REREAD, {})},
                    {9, 0})
            end)
        end
        assert(looked[2] < 10 * looked[1], string.format("%d tables were gone through for 10 kits, "
            .. "%d for 80", looked[1], looked[2]))
    end)
    t.case("two kits that share a component are read again when an order takes one", function()
        alone(nil, nil, function(far, read, given)
            far.change_stock({code = "PART", level = 9})
            far.change_stock({code = "KIT1", kit = {"PART"}})
            far.change_stock({code = "KIT2", kit = {"PART"}})
            read()
            local before_ms = store.get(tables.ITEMS, "KIT2").read_ms
            store.put(tables.STATE, "poll", {since_ms = 4102444800000})
            stock_pending.open("order:1", {units = {KIT1 = 2}, accepted_ms = before_ms})
            t.equal(shown("KIT2", given).sellable, 7)
            read()
            for _, code in ipairs({"PART", "KIT1", "KIT2"}) do
                assert(store.get(tables.ITEMS, code).read_ms > before_ms, code .. " was not read")
            end
            t.equal(#store.range(stock_pending.REREAD, {}), 0)
        end)
    end)
end

local function at_once(t)
    -- Seen before: a full reading put back the level that it had found, and the newer one of a poll
    -- was lost until the code moved again.
    t.case("details leave the level that another reading keeps meanwhile", function()
        alone(nil, nil, function(far, read)
            far.change_stock({code = "TEE", level = 7})
            read()
            local details = levels.details
            local take_back
            levels.details = function(...)
                local found = details(...)
                take_back = slices.cut(tables.ITEMS, function()
                    local item = store.get(tables.ITEMS, "TEE")
                    item.sites["1"] = {available = 4, read_ms = item.read_ms + 3600000}
                    tables.keep("TEE", item, item.read_ms)
                end)
                return found
            end
            far.change_stock({code = "TEE", level = 7, buffer = 2})
            read()
            take_back()
            levels.details = details
            local item = store.get(tables.ITEMS, "TEE")
            t.equal({item.available, item.buffer}, {4, 2})
        end)
    end)
    t.case("details of a reading that began earlier do not replace newer ones", function()
        alone(nil, nil, function(far, read)
            far.change_stock({code = "TEE", level = 7, buffer = 1})
            read()
            local item = store.get(tables.ITEMS, "TEE")
            item.details_ms, item.buffer = item.details_ms + 3600000, 5
            store.put(tables.ITEMS, "TEE", item)
            far.change_stock({code = "TEE", level = 6, buffer = 2})
            read()
            item = store.get(tables.ITEMS, "TEE")
            t.equal({item.available, item.buffer}, {6, 5})
        end)
    end)
end

local function below_zero(t)
    t.case("what may be sold below zero is the client's choice, and Khaos's", function()
        local policy = {default = {below_zero = 5}}
        alone({policy = policy}, nil, function(far, read, given)
            far.change_stock({code = "OPEN", level = -2})
            far.change_stock({code = "TO-ZERO", level = 1, run_to_zero = true})
            far.change_stock({code = "PART", level = 1})
            far.change_stock({code = "KIT", kit = {"PART"}})
            read()
            t.equal({shown("OPEN", given).text, shown("TO-ZERO", given).text,
                shown("KIT", given).text}, {"-2 available + 5 may be sold below zero = 3",
                "1 available, not below zero in Khaos = 1",
                "1 can be made, not below zero in Khaos = 1"})
            t.equal(shown("OPEN", {policy = {}}).text, "-2 available = 0")
        end)
    end)
    t.case("a code without a word on it is not sold below zero", function()
        local item = {code = "A", available = -2, sites = {["1"] = {}}}
        t.equal(figure.of(item, {quantity = 0}, {below_zero = 5, from = {}}, 1).sellable, 0)
    end)
    t.case("a discontinued code is not sold, whether its details or its level say so", function()
        alone(nil, nil, function(far, read, given)
            far.change_stock({code = "OLD", level = 4})
            read()
            t.equal(shown("OLD", given).sellable, 4)
            far.change_stock({code = "OLD", discontinued = true, level = 3})
            read()
            local item = store.get(tables.ITEMS, "OLD")
            item.is_hidden = nil -- its details are older than its level
            store.put(tables.ITEMS, "OLD", item)
            t.equal(shown("OLD", given).text, "discontinued in Khaos = 0")
        end)
    end)
end

local function terms(t)
    t.case("each term says where it is from and as of when, and they add up", function()
        local item = {code = "A", available = 30, buffer = 4, max_display = 9, category = "Tees",
            sites = {["1"] = {}, ["2"] = {}}, read_ms = 100, details_ms = 50}
        local policy = figure.policy({default = {use_khaos_buffer = true, cap = 30},
            categories = {Tees = {cap = 12}}, skus = {B = {cap = 1}}}, item)
        local found = figure.of(item, {quantity = 2}, policy, 200)
        t.equal(found.terms, {
            {quantity = 30, words = "available", source = "Khaos, site 1 + 2", at_ms = 100},
            {quantity = -2, words = "not yet in Khaos", source = "accepted orders", at_ms = 200},
            {quantity = -4, words = "buffer in Khaos", source = "item in Khaos", at_ms = 50},
            {quantity = -12, words = "shown at most 12", source = "policy of category Tees",
                at_ms = 200},
            {quantity = -3, words = "display limit in Khaos 9", source = "item in Khaos",
                at_ms = 50},
        })
        local sum = 0
        for _, term in ipairs(found.terms) do
            sum = sum + term.quantity
        end
        t.equal({sum, found.sellable}, {9, 9})
    end)
    -- Seen before: it was told as changed by hand.
    t.case("a figure that SCAYLE took while its old one was read is on its way", function()
        local world = fake_job.world({http = function() end})
        world:with(function()
            local now_ms = world.now_ms
            store.put(tables.ITEMS, "A", {code = "A", available = 226, read_ms = now_ms - 900,
                sites = {["1"] = {available = 226, read_ms = now_ms - 900}}})
            local record = {quantity = 226, stamp_ms = now_ms // 1000 * 1000 - 4000,
                state = "sending", at_ms = now_ms - 40, read_ms = now_ms - 900}
            store.put(tables.SENT, "A", record)
            local all, told = http.all, {}
            http.all = function()
                world.now_ms = now_ms + 10 -- meanwhile the sender has its answer
                record.state, record.answered_ms = "set", now_ms + 5
                store.put(tables.SENT, "A", record)
                return {{answer = {status = 200, headers = {}, body = json.encode({entities = {{
                    warehouseReferenceKey = "W", quantity = 223,
                    changedAt = time.format_iso(now_ms // 1000 * 1000 - 8000)}}})}}}
            end
            store.put(tables.STATE, "drift_wish", {wish = "check"})
            local ok, err = pcall(drift.run, {settings = {warehouse = "W", drift_batch = 10,
                at_once = 5, drift_every_ms = 10 ^ 9 // 1, scayle = {connection = "scayle"},
                policy = {default = {}}}, note = function(_, _, text)
                    told[#told + 1] = text
                end, open_exception = function(_, exception)
                    told[#told + 1] = exception.message
                end, close_exception = function() end})
            http.all = all
            t.equal(ok and told or err, {"1 codes compared: 1 in flight"})
        end)
    end)
    t.case("what differs in the shop is called by what made it so", function()
        local function class(more)
            local about = {expected = 4, has_variant = true,
                sent = {quantity = 10, stamp_ms = 5000}, shown = {quantity = 10, stamp_ms = 5999}}
            for name, value in pairs(more) do
                about[name] = value
            end
            return drift.class(about) or "agrees"
        end
        t.equal({class({}), class({is_moving = true}), class({has_variant = false}),
            class({shown = {quantity = 7, stamp_ms = 9000}}), class({expected = 10})},
            {"stale", "in_flight", "missing", "by_hand", "agrees"})
    end)
    -- Seen before: fees, parents of variants and codes that Khaos calls deleted were missing.
    t.case("codes that are not for the web are not missing", function()
        local world = fake_job.world({http = function() end})
        world:with(function()
            for _, code in ipairs({"TEE", "FEE-1", "PARENT", "OLD", "HERE"}) do
                store.put(tables.ITEMS, code, {code = code, available = 2, read_ms = 1,
                    sites = {["1"] = {available = 2, read_ms = 1}}})
            end
            require("flows.khaos_codes").put({OLD = {deleted = true}, TEE = {}, HERE = {}})
            store.put(require("flows.product_stages.tables").PARENTS, "PARENT", {})
            local all, told = http.all, {}
            http.all = function(requests)
                local results = {}
                for i, request in ipairs(requests) do
                    results[i] = {answer = request.path:find("HERE", 1, true) and {status = 200,
                        headers = {}, body = '{"entities":[]}'} or {status = 404, headers = {},
                        body = "{}"}}
                end
                return results
            end
            store.put(tables.STATE, "drift_wish", {wish = "check"})
            local ok, err = pcall(drift.run, {settings = {warehouse = "W", drift_batch = 10,
                at_once = 5, drift_every_ms = 10 ^ 9 // 1, scayle = {connection = "scayle"},
                not_for_web = {"FEE-*"}, policy = {default = {}}}, note = function(_, _, text)
                    told[#told + 1] = text
                end, open_exception = function() end, close_exception = function() end})
            http.all = all
            t.equal(ok and told or err,
                {"5 codes compared: 2 missing, 3 not for web"})
            t.equal({store.get(tables.DRIFT, "TEE").class, store.get(tables.DRIFT, "FEE-1").class},
                {"missing", "not_for_web"})
        end)
    end)
    -- Seen before: it raised.
    t.case("a buffer below zero in Khaos keeps nothing back", function()
        for _, percent in ipairs({-1, 0, 50}) do
            local policy = {use_khaos_buffer = true, buffer_percent = percent >= 0 and percent
                or nil, from = {}}
            local item = {code = "A", available = 5, buffer = -1, sites = {["1"] = {}}}
            t.equal(figure.of(item, {quantity = 0}, policy, 1).sellable, percent == 50 and 2 or 5)
        end
    end)
    t.case("a figure for one reason alone has it as its term", function()
        local policy = figure.policy({skus = {A = {uncontrolled = 7}}}, {code = "A"})
        local item = {code = "A", is_uncontrolled = true, sites = {["1"] = {}}, read_ms = 100}
        t.equal(figure.of(item, {quantity = 0}, policy, 200), {sellable = 7,
            text = "not stock controlled in Khaos = 7", terms = {{quantity = 7,
                words = "not stock controlled in Khaos", source = "policy of this code",
                at_ms = 200}}})
        item.is_hidden, item.details_ms = true, 50
        t.equal(figure.of(item, {quantity = 0}, policy, 200).terms[1].source, "item in Khaos")
    end)
end

return function(t)
    nested(t)
    sharing(t)
    at_once(t)
    below_zero(t)
    terms(t)
end
