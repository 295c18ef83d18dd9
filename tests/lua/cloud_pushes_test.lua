-- What Khaos Control Cloud pushes of its stock, kept: codes by their ids, levels of served sites,
-- repeats that change nothing.
local cloud_items = require("flows.stock_stages.cloud_items")
local cloud_taking = require("cloud_taking")
local codes = require("flows.khaos_codes")
local fake_job = require("fake_job")
local figure = require("flows.stock_stages.figure")
local json = require("neap.json")
local poll_cloud = require("flows.stock_stages.poll_cloud")
local pushes = require("flows.cloud_stages.pushes")
local slices = require("slices")
local stock_pending = require("flows.stock_pending")
local store = require("neap.store")

-- Of both flows.
local SETTINGS = {khaos = {push_age_ms = 60000, despatch_flow = "despatch"}, sites = {1, 2},
    kits = {BOX = {TEE = 2}}, buffer_field = "Web Buffer", orders_flow = "orders"}

local function item(id, code, more)
    local made = {StockID = id, StockCode = code, Options = {Discontinued = false,
        PublishOnWeb = true}}
    for name, value in pairs(more or {}) do
        made[name] = value
    end
    return made
end

local function upload(items, deleted)
    return cloud_taking.push("stock", SETTINGS, {Items = json.array(items),
        Deleted = json.array(deleted or {})})
end

local function levels(list)
    return cloud_taking.push("stock_status", SETTINGS, {Statuses = json.array(list)})
end

local function level(code, site, available, id)
    return {StockCode = code, StockID = id or "1", SiteID = site, Levels = {Available = available}}
end

-- {whether an order may name it, whether it is hidden, what it has, whether the shop will hear}
local function sold(code)
    local kept = store.get("stock_items", code) or {}
    return {codes.has(code), kept.is_hidden or false, kept.available or "no level",
        store.get("stock_dirty", code) ~= nil}
end

local function in_world(fn)
    local world = fake_job.world({http = function() end})
    world:with(function()
        cloud_items.step(SETTINGS, 0)
        fn(world)
    end)
end

-- The client says something else from now on.
local function say(changes)
    local settings = {sites = {1, 2}, buffer_field = "Web Buffer", kits = {BOX = {TEE = 2}}}
    for name, value in pairs(changes) do
        settings[name] = value
    end
    cloud_items.step(settings, 0)
end

local function code_tests(t)
    t.case("pushed codes can be ordered, discontinued and deleted ones cannot", function()
        in_world(function()
            upload({item("1", "TEE"), item("2", "OLD", {Options = {Discontinued = true}})})
            t.equal({codes.has("TEE"), codes.has("OLD")}, {true, false})
            upload({}, {"1", "77"})
            t.equal(codes.has("TEE"), false)
        end)
    end)
    -- Seen: the same goods were sold under both codes, because levels told the new one first.
    t.case("goods are sold under the code under which their levels came last", function()
        in_world(function()
            levels({level("TEE", 1, 5)})
            upload({item("1", "TEE")})
            levels({level("TEE-NEW", 1, 5)})
            t.equal({sold("TEE")[3], sold("TEE-NEW")[3]}, {0, 5})
            levels({level("TEE", 1, 4)})
            t.equal({sold("TEE")[3], sold("TEE-NEW")[3]}, {4, 0}, "an older push came late")
            upload({item("1", "TEE-NEW")})
            levels({level("TEE-NEW", 1, 6)})
            t.equal({sold("TEE"), sold("TEE-NEW")},
                {{false, true, 0, true}, {true, false, 6, true}})
        end)
    end)
    t.case("a code that was renamed is known by its new name only", function()
        in_world(function()
            upload({item("1", "TEE")})
            upload({item("1", "TEE-NEW")})
            t.equal({codes.has("TEE"), codes.has("TEE-NEW")}, {false, true})
        end)
    end)
    t.case("nothing is sold any more under the old code of a renamed item, or a deleted one's",
        function()
            in_world(function()
                levels({level("TEE", 1, 5), level("HAT", 1, 6, "2")})
                upload({item("1", "TEE"), item("2", "HAT")})
                store.delete("stock_dirty", "TEE")
                store.delete("stock_dirty", "HAT")
                upload({item("1", "TEE-NEW")}, {"2"})
                t.equal(sold("TEE"), {false, true, 0, true})
                t.equal(sold("HAT"), {false, true, 0, true})
                t.equal(sold("TEE-NEW"), {true, false, "no level", false})
                upload({item("1", "TEE")})
                t.equal(sold("TEE"), {true, false, 0, true}, "an old level is not believed")
                levels({level("TEE", 1, 7)})
                t.equal(sold("TEE"), {true, false, 7, true})
            end)
        end)
    -- Seen: the rename came after the reuse, and took the code from the item that has it now.
    for _, order in ipairs({{1, 2}, {2, 1}}) do
        t.case("a code that another item has now stays known, with its own level: rename is number "
            .. order[1], function()
            in_world(function()
                levels({level("TEE", 1, 5)})
                upload({item("1", "TEE")})
                local pushed = {item("1", "TEE-OLD"), item("2", "TEE")}
                upload({pushed[order[1]], pushed[order[2]]})
                t.equal(sold("TEE"), {true, false, 0, true})
                t.equal(sold("TEE-OLD"), {true, false, "no level", false})
                levels({level("TEE", 1, 9, "2"), level("TEE-OLD", 1, 4, "1")})
                t.equal({sold("TEE")[3], sold("TEE-OLD")[3]}, {9, 4})
                upload({}, {"1"})
                t.equal({sold("TEE")[1], sold("TEE-OLD")[1]}, {true, false})
            end)
        end)
        t.case("a level that came before its item's new code is kept: rename is number "
            .. order[1], function()
            in_world(function()
                levels({level("TEE", 1, 5)})
                upload({item("1", "TEE")})
                levels({level("TEE", 1, 9, "2")})
                local pushed = {item("1", "TEE-OLD"), item("2", "TEE")}
                upload({pushed[order[1]], pushed[order[2]]})
                t.equal(sold("TEE"), {true, false, 9, true})
            end)
        end)
    end
end

local function level_tests(t)
    t.case("levels of the served sites are summed, others are not looked at", function()
        in_world(function()
            levels({level("TEE", 1, 5), level("TEE", 2, 3), level("TEE", 9, 100)})
            t.equal(store.get("stock_items", "TEE").available, 8)
        end)
    end)
    -- Seen: 3, what the second site makes, instead of 8.
    t.case("a site that makes an item and one that has it are summed", function()
        in_world(function()
            local made = level("BOX", 2, 0)
            made.Levels, made.RelationshipPotential = nil, {FromChildren = 3}
            local function shown()
                local kept = store.get("stock_items", "BOX")
                return figure.of(kept, {quantity = 0, orders = 0},
                    figure.policy({}, kept)).sellable
            end
            levels({level("BOX", 1, 5), made})
            t.equal(shown(), 8)
            levels({level("BOX", 1, -1)})
            t.equal(shown(), 2)
        end)
    end)
    t.case("a repeat changes nothing, a newer level replaces the older one", function()
        in_world(function(world)
            levels({level("TEE", 1, 5)})
            local first = store.get("stock_items", "TEE")
            levels({level("TEE", 1, 5)})
            t.equal(store.get("stock_items", "TEE"), first)
            world.now_ms = world.now_ms + 1000
            levels({level("TEE", 1, -2)})
            t.equal(store.get("stock_items", "TEE").available, -2)
            t.equal(store.get("stock_items", "TEE").read_ms, first.read_ms + 1000)
        end)
    end)
    t.case("a level is kept when its item's details come later", function()
        in_world(function()
            levels({level("TEE", 1, 5)})
            upload({item("1", "TEE", {UserDefinedFields = json.array({{Name = "Web Buffer",
                Value = 4}})})})
            local kept = store.get("stock_items", "TEE")
            t.equal({kept.available, kept.buffer}, {5, 4})
        end)
    end)
    t.case("a level that is pushed while the poll confirms older ones is kept", function()
        in_world(function(world)
            levels({level("TEE", 1, 5)})
            for _ = 1, 5 do
                world.now_ms = world.now_ms + 50000
                levels({level("HAT", 1, 1, "2")})
            end
            store.put(stock_pending.REREAD, "TEE", {since_ms = 1})
            local related = stock_pending.related
            stock_pending.related = function(wanted) -- without a look at the items
                return wanted
            end
            local take_back = slices.cut("stock_items", function()
                levels({level("TEE", 1, 3)})
            end)
            poll_cloud.run({settings = SETTINGS})
            take_back()
            stock_pending.related = related
            t.equal(store.get("stock_items", "TEE").available, 3)
        end)
    end)
    t.case("what a kit is made of is the client's word", function()
        in_world(function()
            upload({item("3", "BOX")})
            t.equal(store.get("stock_items", "BOX").components, {TEE = 2})
        end)
    end)
end

-- ---- what the client says ----------------------------------------------------------------------

local function shown(code)
    local kept = store.get("stock_items", code)
    return figure.of(kept, {quantity = stock_pending.sum(kept, kept.read_ms).quantity},
        figure.policy({default = {use_khaos_buffer = true}}, kept), 0).text
end

local function settings_tests(t)
    -- Seen: 44, of which 40 stood at a site that did not serve the shop any more.
    t.case("a site counts as long as the client names it, with what it has had since", function()
        in_world(function()
            levels({level("TEE", 1, 5), level("TEE", 2, 40), level("HAT", 2, 3, "2")})
            store.delete("stock_dirty", "TEE")
            say({sites = {1}})
            t.equal({shown("TEE"), sold("TEE")[4], shown("HAT")},
                {"5 available = 5", true, "0 available = 0"})
            levels({level("TEE", 1, 4), level("TEE", 2, 41)})
            t.equal(shown("TEE"), "4 available = 4")
            say({sites = {1, 2}})
            t.equal({shown("TEE"), shown("HAT")}, {"45 available = 45", "3 available = 3"})
        end)
    end)
    t.case("another buffer field counts for items that were pushed before", function()
        in_world(function()
            levels({level("TEE", 1, 9)})
            upload({item("1", "TEE", {SafeLevel = 5, UserDefinedFields = json.array({
                {Name = "Web Buffer", Value = 4}, {Name = "Old Buffer", Value = 1}})})})
            local found = {shown("TEE")}
            for i, field in ipairs({"Old Buffer", "SAFE_LEVEL", "None"}) do
                say({buffer_field = field})
                found[i + 1] = shown("TEE")
            end
            t.equal(found, {"9 available - 4 buffer in Khaos = 5",
                "9 available - 1 buffer in Khaos = 8", "9 available - 5 buffer in Khaos = 4",
                "9 available = 9"})
        end)
    end)
    -- Seen: only another upload of the kit gave its components what orders of it take.
    t.case("a kit counts from when the client declares it", function()
        in_world(function()
            say({kits = {}})
            stock_pending.begin()
            levels({level("TEE", 1, 10)})
            upload({item("3", "BOX")})
            stock_pending.open("order:1", {units = {BOX = 3}})
            t.equal(shown("TEE"), "10 available = 10")
            store.delete("stock_dirty", "TEE")
            say({kits = {BOX = {TEE = 2}, SET = {TEE = 1}}})
            t.equal({shown("TEE"), sold("TEE")[4]}, {"10 available - 6 not yet in Khaos = 4", true})
            say({kits = {}})
            t.equal(shown("TEE"), "10 available = 10")
        end)
    end)
    t.case("kits that nobody declared are one exception, which closes when they are", function()
        in_world(function()
            local job = cloud_taking.job({name = "x"}, SETTINGS)
            job.close_exception = function(_, cause, subject)
                job.opened[cause .. " " .. subject] = nil
            end
            local made = level("SET", 1, 0)
            made.Levels, made.RelationshipPotential = nil, {FromChildren = 3}
            levels({made})
            upload({item("1", "SET")})
            cloud_items.tell(job)
            t.matches(job.opened["kit_not_declared kits"].message, "of which: SET. Orders")
            job.opened["kit_not_declared kits"] = nil
            cloud_items.tell(job)
            t.equal(job.opened, {}, "told once")
            say({kits = {SET = {}}})
            cloud_items.tell(job)
            say({})
            cloud_items.tell(job)
            t.equal(job.opened["kit_not_declared kits"] ~= nil, true)
            say({kits = {SET = {TEE = 1}}})
            cloud_items.tell(job)
            t.equal(job.opened["kit_not_declared kits"], nil)
        end)
    end)
    t.case("what the on-premise line read of an item stands until Cloud pushes it", function()
        in_world(function()
            store.put("stock_items", "BOX", {code = "BOX", buffer = 2, components = {TEE = 2},
                sites = {["1"] = {available = 7, read_ms = 1}}, available = 7, read_ms = 1})
            say({kits = {}})
            t.equal(shown("BOX"), "7 available - 2 buffer in Khaos = 5")
            t.equal(store.get("stock_items", "BOX").components, {TEE = 2})
            upload({item("3", "BOX")})
            t.equal(shown("BOX"), "7 available = 7")
        end)
    end)
end

-- ---- what cannot be read ---------------------------------------------------------------------

local UNREADABLE = "push_unreadable "

local function words(job, name)
    return (job.opened[UNREADABLE .. name] or {message = "nothing"}).message
end

local function raw(name, body)
    return cloud_taking.push(name, SETTINGS, body)
end

local function unreadable_tests(t)
    -- Seen: one null in a list answered 500 to the whole push, which Khaos repeats for ever.
    t.case("one record that is none is named, and the others are taken", function()
        in_world(function()
            local job = raw("stock", '{"Items":[null,7,{"StockID":"1","StockCode":"TEE",'
                .. '"Options":{"Discontinued":false,"PublishOnWeb":true},'
                .. '"UserDefinedFields":[null,3,{"Name":"Web Buffer","Value":4}]}],'
                .. '"Deleted":[null]}')
            t.equal({codes.has("TEE"), store.get("stock_items", "TEE").buffer}, {true, 4})
            for _, part in ipairs({"entry 1 of Items is no record", "entry 2 of Items",
                "entry 1 of Deleted is no StockID", "of 4 records; the others were taken"}) do
                t.equal(words(job, "stock"):find(part, 1, true) ~= nil, true, part)
            end
            job = raw("price_lists", '{"UploadPriceLists":[null,{"PriceListID":"41",'
                .. '"StockPrices":[null,{"StockCode":"TEE","PriceValue":3}]}]}')
            t.equal(store.get("cloud_prices", "41\nTEE").bands[1].price, 3)
            t.matches(words(job, "price_lists"), "price 1 has no StockCode")
            job = raw("order_status", '{"Statuses":[null,{"OrderCode":"SO9"}]}')
            t.matches(words(job, "order_status"), "order SO9%) names no reference")
        end)
    end)
    t.case("many records that cannot be read are one exception with a few names", function()
        in_world(function()
            local job = raw("stock", '{"Items":[' .. string.rep("7,", 249) .. "7]}")
            t.matches(words(job, "stock"), "entry 5 of Items is no record; and 245 more")
        end)
    end)
    t.case("a record that cannot be kept does not keep the others from being taken", function()
        in_world(function()
            local put = store.put
            store.put = function(name, key, value)
                assert(key ~= "HAT", "no room")
                put(name, key, value)
            end
            local job = levels({level("HAT", 1, 1, "2"), level("TEE", 1, 5)})
            t.equal(store.get("stock_items", "TEE").available, 5)
            t.matches(words(job, "stock_status"), "entry 1: ")
        end)
    end)
    -- Seen: 999 of each, because a level that is not there means that Khaos keeps none.
    t.case("a level that is there and cannot be read is none, in either form", function()
        for _, part in ipairs({'"Levels":null', '"Levels":5', '"Levels":""', '"Levels":{}',
            '"Levels":{"Available":"many"}', '"RelationshipPotential":null',
            '"RelationshipPotential":{"FromChildren":"x"}'}) do
            in_world(function()
                local job = raw("stock_status", '{"Statuses":[{"StockCode":"TEE","StockID":"1",'
                    .. '"SiteID":1,' .. part .. "}]}")
                local kept = store.get("stock_items", "TEE")
                t.equal({kept.available or kept.potential, kept.is_uncontrolled}, {0}, part)
                t.matches(words(job, "stock_status"), "%(TEE%): %a+ cannot be read", part)
            end)
        end
        in_world(function()
            local job = raw("stock_status", "<StockStatuses><Statuses><StockStatus><StockCode>TEE"
                .. "</StockCode><Levels/></StockStatus></Statuses></StockStatuses>")
            t.equal(store.get("stock_items", "TEE").available, 0)
            t.matches(words(job, "stock_status"), "Levels cannot be read")
            levels({level("TEE", 1, 4)})
            t.equal(store.get("stock_items", "TEE").available, 4)
        end)
    end)
    -- Seen: an item that Khaos had discontinued was sold again.
    t.case("options that cannot be read stay as they were, and what never had any is not sold",
        function()
            in_world(function()
                levels({level("OLD", 1, 5), level("NEW", 1, 5, "2")})
                upload({item("1", "OLD", {Options = {Discontinued = true, PublishOnWeb = true}})})
                for _, options in ipairs({json.null, "", {Discontinued = "perhaps"}}) do
                    local job = upload({item("1", "OLD", {Options = options})})
                    t.equal(sold("OLD"), {false, true, 5, true})
                    t.matches(words(job, "stock"), "%(OLD%): %a+ cannot be read")
                end
                upload({item("2", "NEW", {Options = 5})})
                t.equal(sold("NEW"), {true, true, 5, true})
                upload({item("1", "OLD"), item("2", "NEW")})
                t.equal({sold("OLD"), sold("NEW")},
                    {{true, false, 5, true}, {true, false, 5, true}})
            end)
        end)
    t.case("1 and True are true, 0 and False are not", function()
        in_world(function()
            for _, value in ipairs({1, "1", "True", true}) do
                upload({item("1", "TEE", {Options = {Discontinued = value, PublishOnWeb = true}})})
                t.equal(sold("TEE")[1], false, tostring(value))
                upload({item("1", "TEE", {Options = {Discontinued = 0, PublishOnWeb = value}})})
                t.equal({sold("TEE")[1], sold("TEE")[2]}, {true, false}, tostring(value))
            end
        end)
    end)
end

local function keeping_tests(t)
    local function ask(name, body)
        return pushes.route(name)({settings = SETTINGS}, {body = body})
    end
    t.case("a push is answered when its bytes are kept, whatever they are, and taken by a job",
        function()
            in_world(function()
                for _, body in ipairs({"", "{", "\255\254", '{"Statuses":[]}'}) do
                    local reply = ask("stock_status", body)
                    t.equal({reply.status, #reply.events, reply.events[1].payload},
                        {200, 1, body})
                end
                t.equal(store.get("stock_items", "TEE"), nil)
            end)
        end)
    t.case("a push that is too large is refused, and a person told", function()
        in_world(function()
            local reply = ask("stock", string.rep("x", 8 * 1024 * 1024 + 1))
            t.equal({reply.status, #reply.events}, {413, 1})
            local job = cloud_taking.job(reply.events[1], SETTINGS)
            job.event.payload = json.encode(job.event.payload)
            t.equal(pushes.is_push(job.event), true)
            pushes.take(job)
            t.matches(job.opened["push_too_large stock"].message, "pushed 8388609 bytes at once")
        end)
    end)
    t.case("items and levels wait in one queue, statuses of orders in one of their own", function()
        in_world(function()
            local keys, ids = {}, {}
            for _, name in ipairs({"stock", "stock_status", "price_lists", "order_status"}) do
                local event = ask(name, "{}").events[1]
                keys[#keys + 1], ids[event.id] = event.key, true
            end
            t.equal({keys[1] == keys[2], keys[1] == keys[3], keys[1] == keys[4]},
                {true, true, false})
            t.equal(ids, {["1"] = true, ["2"] = true, ["3"] = true, ["4"] = true})
        end)
    end)
    t.case("a push of very many is taken in several runs", function()
        in_world(function(world)
            local event = ask("stock", '{"Items":[' .. string.rep("7,", 40000) .. "7]}").events[1]
            local ended, waits = world:play({run = pushes.take}, {event = event,
                settings = SETTINGS, key = event.key})
            t.equal({ended.done, #waits}, {true, 2})
            t.matches(world.exceptions["push_unreadable stock"].message, "and 39996 more")
        end)
    end)
    t.case("a push that broke off goes on behind the parts that are taken", function()
        in_world(function(world)
            local many = {}
            for i = 1, 250 do
                many[i] = level("C" .. i, 1, i)
            end
            local event = ask("stock_status", json.encode({Statuses = many})).events[1]
            local chain = fake_job.chain({event = event, settings = SETTINGS, key = event.key})
            local steps = 0
            local flow = {run = function(job)
                local step = job.step
                job.step = function(self, name, fn)
                    steps = steps + 1
                    assert(steps ~= 3, "the process ended")
                    return step(self, name, fn)
                end
                pushes.take(job)
            end}
            t.matches(world:attempt(flow, chain).error, "the process ended")
            t.equal({store.get("stock_items", "C200").available, store.get("stock_items", "C201")},
                {200})
            store.put("stock_items", "C1", {code = "C1", available = 77})
            t.equal(world:attempt(flow, chain).done, true)
            t.equal({store.get("stock_items", "C1").available,
                store.get("stock_items", "C250").available}, {77, 250}, "taken once")
        end)
    end)
end

return function(t)
    code_tests(t)
    level_tests(t)
    settings_tests(t)
    keeping_tests(t)
    unreadable_tests(t)
    t.case("price lists replace the bands of a code, not of others", function()
        in_world(function(world)
            local function push(code, price)
                cloud_taking.push("price_lists", SETTINGS, {UploadPriceLists = json.array({{
                    PriceListID = "41", PriceListName = "Trade", StockPrices = json.array({{
                        StockCode = code, QtyStart = 1, QtyEnd = 9, PriceValue = price}})}})})
            end
            push("TEE", 12.5)
            push("HAT", 3)
            world.now_ms = world.now_ms + 1000
            push("TEE", 11)
            t.equal(store.get("cloud_prices", "41\nTEE").bands[1].price, 11)
            t.equal(store.get("cloud_prices", "41\nHAT").bands[1].price, 3)
            t.equal({store.get("cloud_prices", "41\nHAT").pushed_ms,
                store.get("cloud_price_lists", "41").pushed_ms},
                {world.now_ms - 1000, world.now_ms})
        end)
    end)
end
