local schema = require("lib.schema")

local PERSON = {type = "record", fields = {
    name = {type = "string", required = true, min_length = 2, max_length = 5},
    calc = {type = "string", enum = {"gross", "net"}},
    code = {type = "string", pattern = "^%u%u$", hint = "two capitals"},
    count = {type = "integer", min = 1, max = 9},
    ratio = {type = "number"},
    is_on = {type = "boolean", default = true},
    tags = {type = "list", items = {type = "string"}, max = 2},
    rates = {type = "map", keys = {type = "string", pattern = "^%d"}, values = {type = "integer"}},
    inner = {type = "record", fields = {deep = {type = "integer", default = 7}}},
    odd = {type = "integer", check = function(value)
        return value % 2 == 0 and "must be odd" or nil
    end},
}}

-- value, the messages it must bring
local WRONG = {
    {{}, {"p.name: is missing; expected text"}},
    {{name = 5}, {"p.name: expected text, got 5"}},
    {{name = "a"}, {"p.name: expected at least 2 characters, got \"a\""}},
    {{name = "anna", calc = "grss"},
        {'p.calc: expected one of "gross", "net", got "grss" (did you mean "gross"?)'}},
    {{name = "anna", code = "gb"}, {'p.code: expected two capitals, got "gb"'}},
    {{name = "anna", count = 1.5}, {"p.count: expected a whole number, got 1.5"}},
    {{name = "anna", count = 10}, {"p.count: expected at most 9, got 10"}},
    {{name = "anna", ratio = "1"}, {'p.ratio: expected a number, got "1"'}},
    {{name = "anna", is_on = 1}, {"p.is_on: expected true or false, got 1"}},
    {{name = "anna", tags = {"a", "b", "c"}}, {"p.tags: expected at most 2 entries, got 3"}},
    {{name = "anna", tags = {"a", 2}}, {"p.tags[2]: expected text, got 2"}},
    {{name = "anna", tags = {x = "a"}}, {'p.tags: expected a list, found the key "x"'}},
    {{name = "anna", rates = {["0.2"] = "x"}},
        {'p.rates["0.2"]: expected a whole number, got "x"'}},
    {{name = "anna", rates = {[7] = 1}},
        {'p.rates[7]: expected a text key, got 7 (write ["7"])'}},
    {{name = "anna", nmae = 1}, {'p.nmae: unknown key (did you mean "name"?)'}},
    {{name = "anna", inner = {deep = {}}},
        {"p.inner.deep: expected a whole number, got an empty table"}},
    {{name = "anna", odd = 4}, {"p.odd: must be odd"}},
    {{name = "a", count = 0}, {"p.count: expected at least 1, got 0",
        'p.name: expected at least 2 characters, got "a"'}},
}

local BROKEN = {
    {{type = "strng"}, 'unknown type "strng" %(did you mean "string"%?%)'},
    {{type = "string", requird = true}, 'unknown keyword "requird".*did you mean "required"'},
    {{type = "string", pattern = "[a"}, "is not a pattern"},
    {{type = "string", enum = {}}, "needs at least one value"},
    {{type = "record"}, "a record needs fields"},
    {{type = "record", fields = {x = 5}}, "schema%.fields%.x: expected a schema node, got 5"},
    {{type = "integer", min = "1"}, 'schema%.min: expected integer, got "1"'},
}

return function(t)
    t.case("a value that fits passes", function()
        local ok, messages = schema.check(PERSON, {name = "anna", calc = "net", code = "GB",
            count = 9, ratio = 0.5, is_on = false, tags = {"a"}, rates = {["0.2"] = 1},
            inner = {deep = 1}, odd = 3}, "p")
        t.equal(messages, nil)
        t.equal(ok, true)
    end)
    for i, row in ipairs(WRONG) do
        t.case("refused: " .. row[2][1], function()
            local ok, messages = schema.check(PERSON, row[1], "p")
            t.equal(ok, nil, "row " .. i)
            t.equal(messages, row[2])
        end)
    end
    for _, row in ipairs(BROKEN) do
        t.case("a broken schema raises: " .. row[2], function()
            t.matches(t.raises(schema.check, row[1], {}), row[2])
        end)
    end
    t.case("defaults fill what is absent, also deeper, and change nothing given", function()
        local given = {name = "anna", is_on = false, inner = {}}
        t.equal(schema.with_defaults(PERSON, given),
            {name = "anna", is_on = false, inner = {deep = 7}})
        t.equal(given.inner.deep, nil)
        t.equal(schema.with_defaults(PERSON, {name = "bo"}), {name = "bo", is_on = true})
    end)
    t.case("a value of the wrong kind at the top is named", function()
        local _, messages = schema.check(PERSON, "x")
        t.equal(messages, {'value: expected a table, got "x"'})
    end)
end
