--- Golden cases of the alerts flow: quiet hours, escalation, digests and owners of a client.
local flow = require("flows.alerts")
local golden = require("lib.golden")
local host = require("neap.test")
local schema = require("lib.schema")

local OWNERS = {default = "operations@x.example", unmapped_tax = "tax@x.example"}

local function check(case, more)
    local given = {nobody = "operations@x.example", routes = {default = {{channel = "mail"}}},
        channels = {mail = {kind = "mail", connection = "mail", from = "neap@x.example"},
            desk = {kind = "webhook", connection = "desk"}}}
    for name, value in pairs(more or {}) do
        given[name] = value
    end
    assert(schema.check(flow.schema, given, "settings"))
    case.flow = "alerts"
    golden.check(host, {{name = "alerts", flow = flow, client = {owners = OWNERS, schedules = {}},
        settings = schema.with_defaults(flow.schema, given)}}, case, "cases", "cases/x.lua")
end

local NIGHT = {quiet = {from = "20:00", to = "07:00", zone = "Europe/London"}}
local TAX = {cause = "unmapped_tax", subject = "uk 0.125"}

local function first(at, more)
    local told = {kind = "first", how = "mail", to = "tax@x.example", at = at}
    for name, value in pairs(more or {}) do
        told[name] = value
    end
    return told
end

return function(t)
    t.case("a problem of the night is told in the morning, to the minute", function()
        check({at = "2026-05-04T21:37:00Z", problems = {TAX},
            expect = {told = {first("2026-05-05T07:00:00+01:00")}}}, NIGHT)
    end)
    t.case("a deadline before the morning does not wait", function()
        check({at = "2026-05-04T21:37:00Z", problems = {{cause = "unmapped_tax", subject = "a",
            deadline = "2026-05-05T03:00:00Z"}},
            expect = {told = {first("2026-05-04T22:37:00+01:00")}}}, NIGHT)
    end)
    t.case("what is over before the morning is told to nobody", function()
        check({at = "2026-05-04T21:37:00Z", problems = {{cause = "unmapped_tax", subject = "a",
            closes_at = "2026-05-04T23:00:00Z"}}, expect = {told = {}}}, NIGHT)
    end)
    t.case("what stays open is escalated", function()
        check({at = "2026-05-04T09:00:00Z", hours = 5, problems = {TAX},
            expect = {told = {first("2026-05-04T10:00:00+01:00"),
                {kind = "escalation", to = "boss@x.example", at = "2026-05-04T14:00:00+01:00"}}}},
            {escalation = {{after_ms = 4 * 3600000, owner = "boss@x.example"}}})
    end)
    t.case("a cause without an owner goes to the default owner, a desk hears all", function()
        check({problems = {{cause = "other", subject = "a"}},
            expect = {told = {first(nil, {to = "operations@x.example"})}}})
        check({problems = {TAX}, expect = {told = {first(nil, {how = "webhook", to = "",
            channel = "desk"})}}}, {routes = {default = {{channel = "mail"}},
            ["tax@x.example"] = {{channel = "desk"}}}})
    end)
    t.case("an instant that is none is said with its place", function()
        t.matches(t.raises(check, {problems = {{cause = "a", subject = "b", opens_at = "noon"}},
            expect = {told = {}}}), "cases/x%.lua: problems%[1%]%.opens_at: an instant expected")
    end)
end
