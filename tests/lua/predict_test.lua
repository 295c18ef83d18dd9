-- Khaos's line rule against the contract's vectors and a few figures worked out by hand.
local amounts = require("flows.orders.amounts")
local predict = require("flows.orders.predict")
local represent = require("flows.orders.represent")

-- method, quantity, unit price, discount percent, VAT rate; discount, net, tax, gross
local VECTORS = {
    {"gross", 2, "25.00", "10", "0.20", "5.00", "37.50", "7.50", "45.00"},
    {"gross", 1, "129.99", "0", "0.20", "0.00", "108.33", "21.66", "129.99"},
    {"gross", 1, "14.50", "0", "0", "0.00", "14.50", "0.00", "14.50"},
    {"gross", 5, "9.99", "0", "0.20", "0.00", "41.63", "8.32", "49.95"},
    {"gross", 3, "0.99", "33.33", "0.20", "0.99", "1.66", "0.32", "1.98"},
    {"gross", 7, "1.05", "12.5", "0.05", "0.92", "6.12", "0.31", "6.43"},
    {"gross", 1, "49.95", "100", "0.20", "49.95", "0.01", "-0.01", "0.00"},
    {"gross", 13, "17.25", "7.5", "0.20", "16.82", "172.86", "34.57", "207.43"},
    {"gross", 3, "2.225", "0", "0.20", "0.00", "5.57", "1.11", "6.68"},
    {"net", 24, "9.85", "5", "0.20", "11.82", "224.58", "44.92", "269.50"},
    {"net", 6, "31.20", "0", "0.20", "0.00", "187.20", "37.44", "224.64"},
    {"net", 12, "4.10", "0", "0", "0.00", "49.20", "0.00", "49.20"},
    {"net", 9, "8.33", "15", "0.20", "11.25", "63.72", "12.74", "76.46"},
    {"net", 1, "0.03", "50", "0.20", "0.02", "0.01", "0.00", "0.01"},
    {"net", 100, "0.125", "0", "0.20", "0.00", "12.50", "2.50", "15.00"},
}

local function predicted(vector)
    local price, decimals = amounts.parse(vector[3])
    return predict.line{
        method = vector[1], quantity = vector[2], price = price, decimals = decimals,
        discount = (amounts.parse(vector[4])), rate = amounts.rate(tonumber(vector[5])),
    }
end

local function rounding_tests(t)
    t.case("halves round away from zero, on both sides of it", function()
        t.equal(amounts.divide(5, 2), 3)
        t.equal(amounts.divide(-5, 2), -3)
        t.equal(amounts.divide(4, 3), 1)
        t.equal(amounts.divide(-4, 3), -1)
        t.equal(amounts.divide(0, 7), 0)
    end)
    t.case("rates come as fractions or as percentages", function()
        t.equal(amounts.rate(0.19), 190000)
        t.equal(amounts.rate(19), 190000)
        t.equal(amounts.rate(5.5), 55000)
        t.equal(amounts.rate(0), 0)
        t.equal(amounts.rate(-0.1), nil)
        t.equal(amounts.rate_text(55000), "0.055")
        t.equal(amounts.rate_text(0), "0")
        t.equal(amounts.percent_text(175000), "17.5%")
    end)
    t.case("amounts are written and read back exactly", function()
        t.equal(amounts.text(-5), "-0.05")
        t.equal(amounts.price_text(95238, 4), "9.5238")
        t.equal(amounts.price_text(95000, 4), "9.50")
        t.equal({amounts.parse("9.5")}, {950, 2})
        t.equal({amounts.parse("0.125")}, {125, 3})
        t.equal(amounts.parse("1e3"), nil)
        t.equal(amounts.parse(""), nil)
    end)
end

local function reading_tests(t)
    t.case("rounding the base on the way moves net and tax, never the gross", function()
        local moved = 0
        for price = 1, 2000 do
            local line = {method = "gross", quantity = 3, price = price, decimals = 2,
                discount = 1250, rate = 200000}
            local stepwise = predict.line(line)
            line.gross_rounding = "end"
            local at_end = predict.line(line)
            t.equal(stepwise.gross_minor, at_end.gross_minor)
            moved = moved + (stepwise.net_minor ~= at_end.net_minor and 1 or 0)
        end
        assert(moved > 0, "the readings should differ somewhere")
    end)
    t.case("100 units at 5% sent as 9.5238 net: 1000.00 when kept, 999.60 when cut", function()
        local line = {method = "net", quantity = 100, price = 95238, decimals = 4, rate = 50000}
        t.equal(predict.line(line).gross_minor, 100000)
        line.price, line.decimals = 952, 2
        t.equal(predict.line(line).gross_minor, 99960)
    end)
    t.case("4.8% of gross amounts have no net at 5%, 6.5% none at 7%", function()
        for rate, expected in pairs({[50000] = 476, [70000] = 654}) do
            local unreachable = 0
            for gross = 1, 10000 do
                local net = amounts.net_of(gross, rate)
                unreachable = unreachable + (predict.gross_of_net(net, rate) ~= gross and 1 or 0)
            end
            t.equal(unreachable, expected)
        end
    end)
end

local function want(more)
    local w = {method = "net", quantity = 1, paid = 1000, base = 1000, percent = false,
        rate = 50000}
    for key, value in pairs(more) do
        w[key] = value
    end
    return w
end

local function sum(pieces)
    local gross = 0
    for _, piece in ipairs(pieces) do
        gross = gross + piece.predicted.gross_minor
    end
    return gross
end

local function represent_tests(t)
    t.case("units that no price of two decimals ties are two lines, however Khaos cuts", function()
        local pieces, open = represent.lines(want{quantity = 100})
        t.equal({open, sum(pieces), #pieces}, {0, 100000, 2})
        t.equal(pieces[1].decimals, 2)
    end)
    t.case("what cannot be reached leaves a positive penny open", function()
        local pieces, open = represent.lines(want{paid = 1490, rate = 70000})
        t.equal({open, sum(pieces), pieces[1].price}, {1, 1489, 1392})
    end)
    t.case("SCAYLE's own percentage wins where it is exact", function()
        local pieces = represent.lines(want{method = "gross", paid = 11049, base = 12999,
            percent = true, relative = 0.15, rate = 200000})
        t.equal(pieces[1].discount, 1500)
        t.equal(pieces[1].price, 12999)
    end)
    t.case("a percentage that ties for no two decimals gives way to the lowered price", function()
        local pieces = represent.lines(want{method = "gross", quantity = 7, paid = 83337,
            base = 99999, percent = true, rate = 200000})
        t.equal(sum(pieces), 7 * 83337)
    end)
    t.case("units that tie only one by one are split that far", function()
        local pieces, open = represent.lines(want{quantity = 20, paid = 18399, rate = 135000})
        t.equal({open, sum(pieces)}, {0, 20 * 18399})
    end)
end

return function(t)
    for i, vector in ipairs(VECTORS) do
        t.case(string.format("vector %d: %s, %d x %s less %s%% at %s", i, vector[1], vector[2],
            vector[3], vector[4], vector[5]), function()
            local p = predicted(vector)
            t.equal({amounts.text(p.discount_minor), amounts.text(p.net_minor),
                amounts.text(p.tax_minor), amounts.text(p.gross_minor)},
                {vector[6], vector[7], vector[8], vector[9]})
        end)
    end
    rounding_tests(t)
    reading_tests(t)
    represent_tests(t)
end
