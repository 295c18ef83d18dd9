-- The Cloud connector: what Khaos pushes is read the same from JSON and XML, however it is written.
local json = require("neap.json")
local documents = require("connectors.khaos_cloud.documents")
local order_status = require("connectors.khaos_cloud.order_status")
local stock = require("connectors.khaos_cloud.stock")

local STATUS_JSON = [[{"Statuses":[{"OrderCode":"SO7","OrderID":"7","OrderStatus":"PartialShip",
"AssociatedRef":"SC7","ChannelID":"31","CustomData":"SC7","Shipments":[
{"ID":"S1","Code":"INV1","Status":"Archived","Items":[{"OrderItemID":"L1","SKU":"TEE",
"Quantity":2.0,"ImportRef":"SC-70"}],"Packages":[
{"Courier":{"Code":"STD48"}},{"ConsignmentRef":"T1",
"Courier":{"Name":"Standard 48","Code":"STD48","ID":"14"},"ShipmentDate":"2026-05-04T15:20:00"}]},
{"ID":"S2","Code":"INV2","Status":"AwaitingStock","Items":[{"SKU":"COAT","Quantity":1.0}],
"Packages":[]}]}]}]]

local STATUS_XML = [[<?xml version="1.0"?><OrderStatuses xmlns:xsi="http://www.w3.org/2001/x">
<Statuses>
<SalesOrderStatus><OrderCode>SO7</OrderCode><OrderID>7</OrderID><Status>PartialShip</Status>
<AssociatedRef>SC7</AssociatedRef><CustomData>SC7</CustomData><Shipments><Shipment><ID>S1</ID>
<Code>INV1</Code><Status>Archived</Status><Items><ShipmentItem><OrderItemID>L1</OrderItemID>
<SKU>TEE</SKU><Quantity>2.0</Quantity><ImportRef>SC-70</ImportRef></ShipmentItem></Items><Packages>
<ShipmentPackage><Courier Code="STD48"/></ShipmentPackage><ShipmentPackage>
<ConsignmentRef>T1</ConsignmentRef><Courier Code="STD48" ID="14">Standard 48</Courier>
<ShipmentDate>2026-05-04T15:20:00</ShipmentDate></ShipmentPackage></Packages></Shipment>
<Shipment><ID>S2</ID><Code>INV2</Code><Status>AwaitingStock</Status><Items><ShipmentItem>
<SKU>COAT</SKU><Quantity>1.0</Quantity></ShipmentItem></Items><Packages/></Shipment></Shipments>
</SalesOrderStatus></Statuses></OrderStatuses>]]

local EXPECTED = {reference = "SC7", custom = "SC7", order_code = "SO7", snapshot = {
    order_code = "SO7", parcels = {{id = "S1", invoice = "INV1", shipment = "S1",
        courier = "STD48",
        consignment = "T1", sent_at = "2026-05-04T15:20:00",
        items = {{stock_code = "TEE", quantity = 2, import_ref = "SC-70"}}}}}}

local LEVELS_JSON = [[{"Statuses":[
{"StockCode":"TEE","StockID":"1","SiteID":1,"Levels":{"Available":53.0,"OnOrder":200.0}},
{"StockCode":"COAT","StockID":"2","SiteID":5,"Levels":{"Available":-1.0,"OnOrder":30.0}},
{"StockCode":"BOX","StockID":"3","SiteID":1,"RelationshipPotential":{"FromChildren":17,
"FromParents":0}},
{"StockCode":"SET","StockID":"4","SiteID":1,"Levels":{"Available":6.0},"RelationshipPotential":
{"FromChildren":9}},{"StockCode":"GIFT","StockID":"5","SiteID":1}]}]]

local LEVELS_XML = [[<StockStatuses><Statuses><StockStatus><StockCode>TEE</StockCode>
<StockID>1</StockID><SiteID>1</SiteID><Levels><Available>53</Available>
<OnOrder>200</OnOrder></Levels>
</StockStatus><StockStatus><StockCode>COAT</StockCode><StockID>2</StockID><SiteID>5</SiteID><Levels>
<Available>-1.0</Available></Levels></StockStatus><StockStatus><StockCode>BOX</StockCode>
<StockID>3</StockID><SiteID>1</SiteID><RelationshipPotential><FromChildren>17</FromChildren>
</RelationshipPotential></StockStatus><StockStatus><StockCode>SET</StockCode><StockID>4</StockID>
<SiteID>1</SiteID><Levels><Available>6</Available></Levels></StockStatus><StockStatus>
<StockCode>GIFT</StockCode><StockID>5</StockID><SiteID>1</SiteID></StockStatus></Statuses>
</StockStatuses>]]

local ITEMS_JSON = [[{"Items":[{"StockID":"1","StockCode":"TEE","ShortDescription":"Tee",
"StockType1":{"ID":"11","Name":"Apparel"},"SafeLevel":20.0,"Options":{"Discontinued":false,
"PublishOnWeb":true,"RunToZero":true},"WebProperties":{"MetaDisplayQty":9},
"UserDefinedFields":[{"Name":"Web Buffer","Value":4}]},{"StockCode":"NO-ID"}],"Deleted":["69990"]}]]

local ITEMS_XML = [[<StockItems><Items><StockItem><StockID>1</StockID><StockCode>TEE</StockCode>
<StockType1 ID="11">Apparel</StockType1><SafeLevel>20</SafeLevel><Options>
<Discontinued>False</Discontinued><PublishOnWeb>True</PublishOnWeb><RunToZero>True</RunToZero>
<CustomOptions/></Options><WebProperties><MetaDisplayQty>9</MetaDisplayQty></WebProperties>
<UserDefinedFields><UserDefinedField><Name>Web Buffer</Name><Value>4</Value></UserDefinedField>
</UserDefinedFields></StockItem></Items><Deleted><string>69990</string></Deleted></StockItems>]]

local PRICES_JSON = [[{"UploadPriceLists":[{"PriceListID":"41","PriceListName":"Trade",
"PriceListNet":true,"StockPrices":[
{"StockCode":"TEE","QtyStart":1.0,"QtyEnd":11.0,"PriceValue":12.5,
"PriceType":1},
{"StockCode":"TEE","QtyStart":12.0,"QtyEnd":99.0,"PriceValue":9.85,"PriceType":1}]}]}]]

local function statuses(t)
    t.case("a status push reads the same from both forms", function()
        t.equal(order_status.read(STATUS_JSON), {EXPECTED})
        t.equal(order_status.read(STATUS_XML), {EXPECTED})
    end)
    t.case("odd entries of a push hold back no other", function()
        local list = order_status.read([[{"Statuses":[{"OrderCode":"SO1","AssociatedRef":"SC1",
            "Shipments":[null,7,{"ID":"S","Status":"Issue","Packages":[null,3],"Items":[1,null]}]},
            {"OrderCode":"SO2","AssociatedRef":"SC2","Status":"Complete"}]}]])
        t.equal({#list, list[2].order_code}, {2, "SO2"})
    end)
    t.case("a cancelled order has no parcels and says so", function()
        local list = order_status.read([[{"Statuses":[{"OrderCode":"SO1","Status":"Cancelled",
            "AssociatedRef":"SC1","Shipments":[]}]}]])
        t.equal({list[1].snapshot.is_cancelled, #list[1].snapshot.parcels}, {true, 0})
    end)
    t.case("a complete order's shipment has left without a consignment, a picked one has not",
        function()
            local list = order_status.read([[{"Statuses":[{"OrderCode":"SO1","Status":"Complete",
                "AssociatedRef":"SC1","Shipments":[{"ID":"A","Status":"Issue"},
                {"ID":"B","Status":"Picking","Packages":[{"ConsignmentRef":"X"}]}]}]}]])
            t.equal({#list[1].snapshot.parcels, list[1].snapshot.parcels[1].id}, {1, "A"})
        end)
end

-- {id, consignment, items} of each parcel of one shipment
local function parcels_of(items, packages)
    local list = order_status.read(json.encode({Statuses = {{OrderCode = "SO1",
        AssociatedRef = "SC1", Status = "Complete",
        Shipments = {{ID = "S1", Code = "INV1", Status = "Issue",
        Items = json.array(items), Packages = json.array(packages)}}}}}))
    local shown = {}
    for i, parcel in ipairs(list[1].snapshot.parcels) do
        local words = {}
        for j, item in ipairs(parcel.items) do
            words[j] = item.quantity .. " " .. item.import_ref
        end
        shown[i] = {parcel.id, parcel.consignment or "none", table.concat(words, ", ")}
    end
    return shown
end

local function packages(t)
    local function line(name, quantity)
        return {SKU = name, Quantity = quantity, ImportRef = name}
    end
    local one, two = {ConsignmentRef = "T1"}, {ConsignmentRef = "T2"}
    -- Seen: the second tracking number was told to nobody.
    t.case("each package with a consignment is a parcel, items are shared out in their order",
        function()
            local items = {line("A", 2), line("B", 1)}
            local expected = {{"S1", "T1", "1 A"}, {"S1/2", "T2", "1 A, 1 B"}}
            t.equal(parcels_of(items, {one, two}), expected)
            t.equal(parcels_of(items, {two, {Courier = {Code = "X"}}, one}), expected,
                "in whatever order")
            t.equal(parcels_of(items, {one, one}), {{"S1", "T1", "2 A, 1 B"}})
        end)
    t.case("no parcel is without items, and none is made of packages without a consignment",
        function()
            t.equal(parcels_of({line("A", 1)}, {one, two}), {{"S1", "T1", "1 A"}})
            t.equal(parcels_of({}, {one, two}), {{"S1", "T1", ""}})
            t.equal(parcels_of({line("A", 2)}, {{Courier = {Code = "X"}}, {}}),
                {{"S1", "none", "2 A"}})
        end)
end

local function levels(t)
    t.case("levels: available, else what can be built, else not controlled", function()
        for _, body in ipairs({LEVELS_JSON, LEVELS_XML}) do
            local list, shown = stock.read_levels(body), {}
            for i, entry in ipairs(list) do
                local level = entry.level
                shown[i] = string.format("%s@%s %s", entry.code, entry.site, level.available
                    or level.potential or level.is_uncontrolled and "uncontrolled")
            end
            t.equal(shown, {"TEE@1 53", "COAT@5 -1", "BOX@1 17", "SET@1 6", "GIFT@1 uncontrolled"})
        end
    end)
    t.case("items read the same from both forms; one without an id is named", function()
        local expected = {{code = "TEE", stock_id = "1", is_discontinued = false,
            is_published = true, runs_to_zero = true, max_display = 9, category = "Apparel",
            safe_level = 20, numbers = {["Web Buffer"] = 4}},
            {is_lost = true, odd = "entry 2 of Items (NO-ID) has no StockID"},
            {deleted = "69990"}}
        t.equal(stock.read_items(ITEMS_JSON), expected)
        table.remove(expected, 2)
        t.equal(stock.read_items(ITEMS_XML), expected)
    end)
    t.case("odd items, fields, levels and prices hold back no other", function()
        local function kinds(list)
            local found = {}
            for i, entry in ipairs(list) do
                found[i] = entry.is_lost and "lost" or entry.deleted or entry.code
            end
            return found
        end
        local items = stock.read_items([[{"Items":[null,7,{"StockCode":"A","StockID":"1",
            "Options":5,"UserDefinedFields":[null,3,{"Name":"Web Buffer","Value":2}]}],
            "Deleted":[null,true,"9"]}]])
        t.equal({kinds(items), items[3].numbers}, {{"lost", "lost", "A", "lost", "lost", "9"},
            {["Web Buffer"] = 2}})
        local prices = stock.read_price_lists([[{"UploadPriceLists":[5,null,{"PriceListID":"41",
            "StockPrices":[null,1,{"StockCode":"A","PriceValue":3}]}]}]])
        t.equal(kinds(prices), {"lost", "lost", "lost", "lost", "A"})
        t.equal(kinds(stock.read_levels('{"Statuses":[null,{"StockCode":"A","Levels":[]}]}')),
            {"lost", "A"})
    end)
    t.case("a code longer than any of Khaos is left out: nothing could be kept under it", function()
        local long = ("x"):rep(151)
        local read = stock.read_levels('{"Statuses":[{"StockCode":"' .. long
            .. '"},{"StockCode":"A","StockID":"' .. long .. '"}]}')
        t.equal({read[1].is_lost, read[2].code, read[2].stock_id}, {true, "A"})
        local statuses_read = order_status.read('{"Statuses":[{"OrderCode":"SO1","AssociatedRef":"'
            .. long .. '","CustomData":"SC1"}]}')
        t.equal({statuses_read[1].reference or "none", statuses_read[1].custom}, {"none", "SC1"})
    end)
    t.case("price lists are bands per code", function()
        local entry = stock.read_price_lists(PRICES_JSON)[1]
        t.equal({entry.list.id, entry.list.is_net, entry.code, #entry.bands, entry.bands[2].price},
            {"41", true, "TEE", 2, 9.85})
    end)
end

return function(t)
    statuses(t)
    packages(t)
    levels(t)
    t.case("what is no document is refused, an empty push is one", function()
        for _, body in ipairs({"", "{", "[]", "<a", "null", "7"}) do
            local list, err = order_status.read(body)
            t.equal({list == nil, err and err.kind}, {true, "invalid"}, body)
        end
        t.equal(order_status.read('{"Statuses":[]}'), json.array({}))
        t.equal(order_status.read('{}'), json.array({}))
        local list, err = order_status.read('{"Statuses":null}')
        t.equal({list == nil, err.message}, {true, "Statuses is no list"})
    end)
    local function codes_of(body)
        local list, err = stock.read_levels(body)
        return list and list[1].code or err.message
    end
    local function levels_xml(declaration, code)
        return declaration .. "<StockStatuses><Statuses><StockStatus><StockCode>" .. code
            .. "</StockCode></StockStatus></Statuses></StockStatuses>"
    end
    local function utf16(text, format)
        local units = {}
        for _, point in utf8.codes(text) do
            units[#units + 1] = string.pack(format, point)
        end
        return table.concat(units)
    end
    -- Seen: refused, and repeated for ever.
    t.case("Windows-1252 and UTF-16 are read as what they are", function()
        for _, body in ipairs({
            levels_xml("", "CAF\xE9 \x80"), levels_xml("", "CAFé €"),
            levels_xml("<?xml version='1.0' encoding='windows-1252'?>\n", "CAF\xE9 \x80"),
            levels_xml("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>", "CAF\xE9 \x80"),
            levels_xml("<?xml version=\"1.0\" encoding=\"UTF-8\"?>", "CAF\xE9 \x80"),
            '{"Statuses":[{"StockCode":"CAF\xE9 \x80"}]}',
            "\xFF\xFE" .. utf16(levels_xml("", "CAFé €"), "<I2"),
            "\xFE\xFF" .. utf16(levels_xml("", "CAFé €"), ">I2"),
            "\xFF\xFE" .. utf16(levels_xml("<?xml version=\"1.0\" encoding=\"utf-16\"?>",
                "CAFé €"), "<I2"),
        }) do
            t.equal(codes_of(body), "CAFé €", body)
        end
    end)
    -- Seen: refused as partly UTF-8 for two bytes of which UTF-8 makes nothing.
    t.case("accented letters beside symbols are Windows-1252 throughout", function()
        for written, meant in pairs({
            ["NESTL\xE9\xAE"] = "NESTLé®", ["\xAB\xE9T\xE9\xBB"] = "«éTé»",
            ["CAF\xE9\x99 \xB1"] = "CAFé™ ±", ["GR\xF6\x80\x85"] = "GRö€…",
        }) do
            t.equal(codes_of('{"Statuses":[{"StockCode":"' .. written .. '"}]}'), meant)
        end
    end)
    t.case("what may be either of two encodings is not guessed", function()
        t.matches(codes_of('{"Statuses":[{"StockCode":"CAFé","A":"\xE9"}]}'), "partly UTF%-8")
        for _, whole in ipairs({"£", "é", "€", "😀"}) do
            t.matches(codes_of('{"Statuses":[{"StockCode":"' .. whole .. ' \xE9"}]}'),
                "partly UTF%-8", whole)
        end
        t.matches(codes_of('{"Statuses":[{"StockCode":"\x81"}]}'), "neither UTF%-8 nor")
        t.matches(codes_of(utf16('{"Statuses":[]}', "<I2")), "no document")
    end)
    t.case("a document with a byte order mark is read", function()
        t.equal(#documents.list(documents.read("\239\187\191<A><Statuses><B>x</B></Statuses></A>")
            .Statuses), 1)
    end)
end
