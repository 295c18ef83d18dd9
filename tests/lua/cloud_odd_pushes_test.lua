-- Pushes of Khaos Control Cloud with bytes changed, cut and repeated at random: every one is taken
-- or named, none raises.
--
--     neap test --lua --set count=20000 --set seed=1 tests/lua/cloud_odd_pushes_test.lua
local baskets = require("baskets")
local cloud_items = require("flows.stock_stages.cloud_items")
local cloud_taking = require("cloud_taking")
local fake_job = require("fake_job")

local SETTINGS = {khaos = {push_age_ms = 60000, despatch_flow = "despatch"}, sites = {1, 2},
    kits = {BOX = {TEE = 2}}, buffer_field = "Web Buffer", orders_flow = "orders"}

local BODIES = {
    {"stock_status", '{"Statuses":[{"StockCode":"TEE","StockID":"1","SiteID":1,"Levels":'
        .. '{"Available":5}},{"StockCode":"BOX","SiteID":2,"RelationshipPotential":'
        .. '{"FromChildren":3}}]}'},
    {"stock_status", "<StockStatuses><Statuses><StockStatus><StockCode>TEE</StockCode><Levels>"
        .. "<Available>5</Available></Levels></StockStatus></Statuses></StockStatuses>"},
    {"stock", '{"Items":[{"StockID":"1","StockCode":"TEE","StockType1":{"Name":"A"},"SafeLevel":2,'
        .. '"Options":{"Discontinued":false,"PublishOnWeb":true,"RunToZero":false},"WebProperties":'
        .. '{"MetaDisplayQty":9},"UserDefinedFields":[{"Name":"Web Buffer","Value":4}]}],'
        .. '"Deleted":["7"]}'},
    {"price_lists", '{"UploadPriceLists":[{"PriceListID":"41","StockPrices":[{"StockCode":"TEE",'
        .. '"QtyStart":1,"QtyEnd":9,"PriceValue":12.5,"PriceType":1}]}]}'},
    {"order_status", '{"Statuses":[{"AssociatedRef":"SC1","OrderCode":"SO1","Status":"Complete",'
        .. '"Shipments":[{"ID":"S1","Status":"Issue","Items":[{"SKU":"A","Quantity":2}],'
        .. '"Packages":[{"ConsignmentRef":"T1","Courier":{"Code":"DPD"}}]}]}]}'},
}

local WORDS = {"null", "7", "-1e400", '""', "[]", "{}", "[null]", "true", "\xE9", "\0", "é", ",",
    "<a/>", '"x"', "1e30", string.rep("9", 40)}

-- A value of JSON becomes another, or bytes go, come and change.
local function change(random, body)
    local from = random:up_to(#body)
    if random:chance(60) then
        local first, last = body:find('[%[:,]("?[%w ]*"?)', from)
        if first then
            return body:sub(1, first) .. random:pick(WORDS) .. body:sub(last + 1)
        end
    end
    local to = math.min(#body, from + random:up_to(12) - 1)
    return body:sub(1, from) .. (random:chance(50) and random:pick(WORDS) or "")
        .. body:sub(random:chance(50) and to or from + 1)
end

return function(t)
    local count, seed = tonumber(t.settings.count) or 1000, tonumber(t.settings.seed) or 1
    t.case("whatever is pushed is taken or named, and nothing raises", function()
        local random, told = baskets.random(seed), 0
        local world = fake_job.world({http = function() end})
        world:with(function()
            cloud_items.step(SETTINGS, 0)
            for _ = 1, count do
                local spec = random:pick(BODIES)
                local body = spec[2]
                for _ = 1, random:chance(70) and 1 or 3 do
                    body = change(random, body)
                end
                local job = cloud_taking.push(spec[1], SETTINGS, body)
                local exception = job.opened["push_unreadable " .. spec[1]]
                told = told + (exception and 1 or 0)
                assert(not exception or not exception.message:find("%.lua:%d"),
                    exception and body .. "\n" .. exception.message)
            end
        end)
        t.note("%d pushes, %d with records that cannot be read (seed %d)", count, told, seed)
    end)
end
