local address = require("flows.orders.address")
local support = require("order_support")

local function mapped(shipping, more)
    local order = support.order({support.item(1, "A", 3000)}, more)
    order.address.shipping = support.address(shipping)
    return support.map(order)
end

local function line_tests(t)
    t.case("the house number stands where the country has it", function()
        t.equal(address.street_line("Orchard Row", "14", "GB"), "14 Orchard Row")
        t.equal(address.street_line("Orchard Row", "Rose Cottage", "GB"),
            "Rose Cottage, Orchard Row")
        t.equal(address.street_line("Lindenufer", "7a", "DE"), "Lindenufer 7a")
        t.equal(address.street_line("Orchard Row", nil, "GB"), "Orchard Row")
    end)
    t.case("pieces take a line each, long ones flow on between words", function()
        t.equal(address.rows({"14 Orchard Row", "Flat 2"}), {"14 Orchard Row", "Flat 2"})
        t.equal(address.rows({"The Old Converted Chapel behind the Weavers Cottages"}),
            {"The Old Converted Chapel behind the", "Weavers Cottages"})
        t.equal(address.rows({"a a", "b", "c", "d"}), {"a a, b, c, d"})
    end)
    t.case("what three lines cannot hold is not cut", function()
        t.equal(address.rows({string.rep("x", 36)}), nil)
        t.equal(address.rows({string.rep("word ", 25)}), nil)
    end)
    t.case("lengths count characters, not bytes", function()
        t.equal(address.rows({string.rep("ü", 35)}), {string.rep("ü", 35)})
    end)
    t.case("phone numbers lose what people write between digits", function()
        t.equal(address.phone("+44 (0)7700 900-145"), "+447700900145")
        t.equal(address.phone({number = "01632 960101"}), "01632960101")
        t.equal(address.phone(true), nil)
        t.equal(address.phone(" - "), nil)
    end)
end

local function mapping_tests(t)
    t.case("an address like the invoice address is not sent twice", function()
        t.equal(mapped().posting.customer.delivery_address, nil)
    end)
    t.case("either country code becomes three letters", function()
        local posting = mapped({countryCode = "im", city = "Douglas"}).posting
        t.equal(posting.customer.delivery_address.country_code, "IMN")
        t.equal(support.causes(mapped({countryCode = "XX"})), {"unmapped_market:country XX"})
    end)
    t.case("mandatory parts that are missing or too long are causes", function()
        t.equal(support.causes(mapped({city = string.rep("x", 36), zipCode = "12345678901",
            recipient = {firstName = "A"}})), {"field_too_long:5001 delivery postcode",
            "field_too_long:5001 delivery surname", "field_too_long:5001 delivery town"})
    end)
    t.case("the text of an address never shows in a cause", function()
        local result = mapped({city = string.rep("Secretville", 4)})
        t.equal(result.causes[1].message:find("Secretville", 1, true), nil)
    end)
    t.case("optional parts that do not fit are left out, and the trail says so", function()
        local result = mapped({phone = string.rep("1", 20), state = string.rep("y", 36)},
            {customer = {id = 1, email = string.rep("e", 50) .. "@example.com"}})
        local delivery = result.posting.customer.invoice_address
        t.equal({delivery.email, delivery.tel, delivery.county}, {})
        t.equal(#result.trail.data.notes, 4)
    end)
end

local function person_tests(t)
    t.case("a gender does not become a title, a given title stays", function()
        local posting = mapped({recipient = {firstName = "P", lastName = "H",
            gender = "f"}}).posting
        t.equal(posting.customer.delivery_address.title, nil)
        posting = mapped({recipient = {firstName = "P", lastName = "H", title = "Dr"}}).posting
        t.equal(posting.customer.delivery_address.title, "Dr")
    end)
    t.case("a collection point stands in the lines, with the shopper's number there", function()
        local delivery = mapped({street = "Packstation", houseNumber = "118", countryCode = "DEU",
            collectionPoint = {customerKey = "812", description = "Packstation 118"}})
            .posting.customer.delivery_address
        t.equal({delivery.address1, delivery.address2, delivery.address3},
            {"Packstation 118", "812"})
    end)
    t.case("a missing postcode is filled only where the profile says with what", function()
        local order = support.order({support.item(1, "A", 3000)})
        order.address.billing.zipCode, order.address.shipping.zipCode = nil, nil
        t.equal(#support.map(order).causes, 2)
        local result = support.map(order, {mappings = support.mappings({missing_postcode = "."})})
        t.equal(result.posting.customer.invoice_address.postcode, ".")
    end)
end

return function(t)
    line_tests(t)
    mapping_tests(t)
    person_tests(t)
end
