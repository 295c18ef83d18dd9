local countries = require("lib.countries")

return function(t)
    t.case("every ISO 3166-1 code translates there and back", function()
        local all = countries.all()
        t.equal(#all, 249)
        for _, pair in ipairs(all) do
            t.equal(countries.alpha3(pair[1]), pair[2])
            t.equal(countries.alpha2(pair[2]), pair[1])
        end
    end)
    t.case("either form in any case is taken", function()
        t.equal(countries.alpha3("gb"), "GBR")
        t.equal(countries.alpha3("GBR"), "GBR")
        t.equal(countries.alpha2("deu"), "DE")
        t.equal(countries.alpha2("DE"), "DE")
    end)
    t.case("what names no country gives nil", function()
        for _, wrong in ipairs({"UK", "XX", "", "G", "GBRR"}) do
            t.equal(countries.alpha3(wrong), nil)
            t.equal(countries.alpha2(wrong), nil)
        end
        t.equal(countries.alpha3(nil), nil)
        t.equal(countries.alpha3(44), nil)
    end)
end
