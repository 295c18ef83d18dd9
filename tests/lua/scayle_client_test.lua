--- The SCAYLE connector: errors and what may be asked again, identifiers, lenient reading,
--- delegations.
local fake_job = require("fake_job") -- first: it makes the modules a runner lacks
local client = require("connectors.scayle.client")
local delegation = require("connectors.scayle.delegation")
local json = require("neap.json")
local orders = require("connectors.scayle.orders")

local CASES = "examples/demo/cases/orders/"

local function answer(status, body, headers)
    return {status = status, body = body or "", headers = headers or {}, elapsed_ms = 1}
end

local RATE = [[{"errors":[{"errorKey":"RATE_LIMIT_EXCEED","message":"Too many","context":[]}]}]]
local NOT_FOUND = [[{"errors":[{"errorKey":"ORDER_NOT_FOUND","message":"No order.","context":{}}]}]]

-- status, body, headers, kind, retryable, retry_after_ms
local REFUSALS = {
    {400, "", {}, "invalid", false},
    {401, "", {}, "remote", false},
    {403, RATE, {["x-ratelimit-reset"] = "7"}, "remote", true, 7000},
    {404, NOT_FOUND, {}, "not_found", false},
    {408, "", {}, "timeout", true},
    {409, "", {}, "exists", false},
    {413, "", {}, "invalid", false},
    {422, "", {}, "invalid", false},
    {429, "", {["retry-after"] = "12", ["x-ratelimit-reset"] = "50"}, "remote", true, 12000},
    {429, "", {["retry-after"] = "soon"}, "remote", true},
    {500, "<html>", {}, "remote", true},
    {502, "", {["x-ratelimit-remaining"] = "80", ["x-ratelimit-reset"] = "50"}, "remote", true},
    {503, "", {["retry-after"] = "2"}, "remote", true, 2000},
    {200, RATE, {}, "remote", true},
    {200, "{broken", {}, "remote", true},
}

local function reading(t)
    t.case("each status says whether it may be asked again, and when", function()
        for _, row in ipairs(REFUSALS) do
            local value, err = client.read(answer(row[1], row[2], row[3]))
            local note = string.format("%d %s", row[1], row[2])
            t.equal(value, nil, note)
            t.equal({err.kind, err.retryable, err.retry_after_ms or 0},
                {row[4], row[5], row[6] or 0}, note)
        end
    end)
    t.case("the words of an error document come along, a context list too", function()
        local _, err = client.read(answer(404, NOT_FOUND))
        t.equal(err.message, "SCAYLE answered 404: ORDER_NOT_FOUND: No order.")
        t.equal(err.details.errors[1].key, "ORDER_NOT_FOUND")
        _, err = client.read(answer(400,
            [[{"errors":[{"errorKey":"A","message":"b","context":["c"]},"odd"]}]]))
        t.equal(err.details.errors[1].context[1], "c")
    end)
    t.case("nulls do not leave the connector; an empty body is an empty document", function()
        t.equal(client.read(answer(200, [[{"a":null,"b":[{"c":null,"d":1}]}]])),
            {b = {{d = 1}}})
        t.equal(client.read(answer(204)), {})
    end)
    t.case("a reference key is encoded as one expression", function()
        t.equal(client.identifier({key = "FO-JKT/1042"}), "key%3DFO-JKT%2F1042")
        t.equal(client.identifier(204417), "204417")
    end)
end

local function listing(t)
    local function list(body, options)
        local world = fake_job.world({http = function()
            return answer(200, body)
        end})
        return world:with(function()
            return orders.list(client.new(), {shop_key = "fo", country = "GB"}, options)
        end)
    end
    t.case("a missing, null or empty cursor is the last page", function()
        for _, tail in ipairs({"", ",\"cursor\":null", ",\"cursor\":[]",
            ",\"cursor\":{\"next\":null}", ",\"cursor\":{\"next\":\"\"}"}) do
            local page = list("{\"entities\":[{\"id\":1}]" .. tail .. "}")
            t.equal({page.next or "none", #page.orders}, {"none", 1}, tail)
        end
        t.equal(list([[{"entities":[],"cursor":{"next":"abc"}}]]).next, "abc")
    end)
    t.case("orders are filtered on our side", function()
        local page = list([[{"entities":[{"id":1},{"id":2}]}]], {filter = function(order)
            return order.id == 2
        end})
        t.equal(page.orders, {{id = 2}})
    end)
    t.case("the state of an order is read from its codes, not its names", function()
        local order = assert(client.decode(t.read_file(CASES .. "order-01-plain-gb.json")))
        t.equal({orders.is_open(order), orders.is_cancelled(order), orders.is_unconfirmed(order)},
            {true, false, false})
        order.status = "cancellation_pending"
        t.equal({orders.is_open(order), orders.is_cancelled(order)}, {false, true})
        t.equal(orders.is_unconfirmed({status = "payment_pending"}), true)
    end)
end

local function reference_key(t)
    t.case("the reference key is a plain overwrite, checked in the answer", function()
        local request = orders.reference_key_request({shop_key = "fo", country = "1412"}, "204417",
            "SO204417")
        t.equal({request.method, request.path, request.body}, {"PUT",
            "/shops/fo/countries/1412/orders/204417/reference-key",
            [[{"referenceKey":"SO204417"}]]})
        t.equal(orders.read_reference_key(answer(200, [[{"id":1,"referenceKey":"SO204417"}]]),
            "SO204417"), {reference = "SO204417"})
        t.equal(orders.read_reference_key(answer(204), "SO1"), {reference = "SO1"})
        local _, err = orders.read_reference_key(answer(200, [[{"referenceKey":"X"}]]), "SO1")
        t.matches(err.message, "kept the reference X")
    end)
end

-- What makes a delegation unreadable.
local UNREADABLE = {"", "{", "[]", "7", "null", "{}", [[{"orderId":null}]], [[{"orderId":" "}]],
    [[{"orderId":{}}]], [[{"orderId":1.5}]]}

local function delegations(t)
    t.case("a delegation is read with its ids as text", function()
        local read = assert(delegation.parse([[{"id":66120,"orderId":204417,"shopId":1412,
            "shopKey":"fo","countryCode":"gb","fulfillingMerchantKey":"fellside",
            "orderReferenceKey":"fogb-1412-204417","carrier":{"key":"DPD_UK"},"cost":{"withTax":1},
            "customData":[],"customer":null}]]))
        t.equal({read.order_id, read.delegation_id, read.shop_id, read.country_code,
            read.merchant_key, read.carrier_key, read.cost.withTax},
            {"204417", "66120", "1412", "GB", "fellside", "DPD_UK", 1})
    end)
    t.case("odd types are read as far as they go", function()
        local read = assert(delegation.parse(
            [[{"orderId":"204417","carrier":[],"cost":null,"shopId":"x","companyId":[]}]]))
        t.equal({read.order_id, read.carrier_key or "none", next(read.cost) == nil},
            {"204417", "none", true})
    end)
    t.case("only what names no order is refused, and with a reason", function()
        for _, body in ipairs(UNREADABLE) do
            local read, err = delegation.parse(body)
            t.equal(read, nil, body)
            local reply = delegation.refusal(err)
            t.equal(reply.status, 400)
            t.equal(json.decode(reply.body).message, err.message)
        end
    end)
    t.case("the answer is configuration; numbers in it stay numbers", function()
        local reply = delegation.answer({status = 201, body = {referenceKey = "{order_id}",
            statusCode = 201, extra = {m = "{merchant_key}"}}}, {order_id = "7",
            merchant_key = "us", cost = {}})
        t.equal(reply.body, [[{"extra":{"m":"us"},"referenceKey":"7","statusCode":201}]])
    end)
end

local function notices(t)
    local payload = [["payload":{"id":204417,"shopCountry":{"id":1412,"shopKey":"fo"},
        "confirmedAt":"2026-05-04T10:02:58+00:00","items":[{"merchant":{"referenceKey":"us"}}]}]]
    t.case("both envelopes give the same notice", function()
        for _, head in ipairs({[["meta":{"xRequestId":"r"},"version":2,]],
            [["locale":{"appId":1,"countryCode":"GBR"},]]}) do
            local body = [[{"key":"k1","type":"order-confirmed",]] .. head .. payload .. "}"
            local notice = assert(delegation.notice(body))
            t.equal({notice.id, notice.order_id, notice.shop_id, notice.merchants[1]},
                {"k1", "204417", "1412", "us"})
        end
    end)
    t.case("an item event names its order in payload.order", function()
        local notice = assert(delegation.notice(
            [[{"key":"k","type":"order-item-returned","payload":{"order":{"id":9},"items":[]}}]]))
        t.equal(notice.order_id, "9")
    end)
    t.case("what is not about an order is nobody's trouble; what is no envelope is", function()
        t.equal({delegation.notice([[{"key":"k","type":"product-updated","payload":{}}]])}, {})
        local _, err = delegation.notice([[{"payload":{}}]])
        t.equal(err.kind, "invalid")
    end)
end

return function(t)
    reading(t)
    listing(t)
    reference_key(t)
    delegations(t)
    notices(t)
end
