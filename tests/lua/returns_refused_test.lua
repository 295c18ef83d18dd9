--- Returns that SCAYLE refuses. One unit that the shop took back at the same moment once blocked
--- its whole credit note for good: the others were never told, and a dismissal lost Khaos's credit.
local json = require("neap.json")
local returns_world = require("returns_world")
local unit_book = require("flows.unit_book")

local KEY = "returns:" .. returns_world.KEY

local function two()
    return returns_world.new({{"TEE", 2000}, {"SOCK", 500}})
end

-- An agent of the shop takes these back between our look and our message.
local function at_the_same_moment(w, units)
    local http = w.job.http
    w.job.http = function(request)
        if request.method == "POST" then
            for _, id in ipairs(units) do
                w.status[id] = "returned"
            end
        end
        return http(request)
    end
end

-- SCAYLE knows nothing of a unit, as after a force close: the whole return is refused.
local function unknown_to_scayle(w, id)
    local http = w.job.http
    w.job.http = function(request)
        if request.method == "POST" and request.body:find('"' .. id .. '"', 1, true) then
            return {status = 404, headers = {}, elapsed_ms = 1,
                body = '{"errors":[{"errorKey":"RETURN_KEY_NOT_FOUND","message":"unknown"}]}'}
        end
        return http(request)
    end
end

local function dismissed(code)
    return {name = "dismissed.refused_by_scayle", key = KEY, source = "neap.act", id = "9:1",
        payload = json.encode({by = "eve", cause = "refused_by_scayle", subject = code,
            reason = "entered by hand"})}
end

local function races(t)
    t.case("what SCAYLE took back meanwhile is left out, and the other unit is told", function()
        local w = two()
        at_the_same_moment(w, {"101"})
        t.equal({w:play((w:note({TEE = 1, SOCK = 1}, 2500))).done, w.told}, {true, {"102"}})
        t.equal({unit_book.credited(w:book()), w:open()}, {2500, {}})
    end)
    t.case("nothing is left to tell when it took all of them back", function()
        local w = two()
        at_the_same_moment(w, {"101", "102"})
        t.equal({w:play((w:note({TEE = 1, SOCK = 1}, 2500))).done, w.told}, {true, {}})
        t.equal({unit_book.credited(w:book()), w:open()}, {2500, {}})
    end)
    t.case("a part of a lost message that SCAYLE took is not told again", function()
        local w = two()
        local http, is_lost = w.job.http, false
        w.job.http = function(request)
            if request.method == "POST" and not is_lost then
                is_lost, w.status["101"] = true, "returned"
                return nil, {kind = "timeout", message = "no answer", retryable = true,
                    maybe_sent = true}
            end
            return http(request)
        end
        local run = w:job_of((w:note({TEE = 1, SOCK = 1}, 2500)))
        t.equal({run().done, run().done, w.told}, {nil, true, {"102"}})
        t.equal(unit_book.credited(w:book()), 2500)
    end)
end

local function refusals(t)
    t.case("a refusal names the units and is tried again as SCAYLE shows them then", function()
        local w = two()
        unknown_to_scayle(w, "101")
        local event = w:note({TEE = 1, SOCK = 1}, 2500)
        local held = w:play(event).held[1]
        t.equal({held.cause, held.message:find("units 101 (TEE), 102 (SOCK)", 1, true) ~= nil,
            w.told}, {"refused_by_scayle", true, {}})
        w.status["101"] = "returned" -- entered by hand
        t.equal({w:play(event).done, w.told, unit_book.credited(w:book())}, {true, {"102"}, 2500})
    end)
    t.case("dismissed, SCAYLE is told no more and the credit note counts", function()
        local w = two()
        unknown_to_scayle(w, "101")
        local event, code = w:note({TEE = 1, SOCK = 1}, 2500)
        t.equal(w:play(event).held[1].cause, "refused_by_scayle")
        t.equal({w:play(dismissed(code)).done, w.told, unit_book.credited(w:book())},
            {true, {}, 2500})
        t.equal({w:play(dismissed(code)).done, w:play(event).done, w.told,
            unit_book.credited(w:book())}, {true, true, {}, 2500})
    end)
    t.case("a job behind the dismissed one takes the credit note too", function()
        local w = two()
        unknown_to_scayle(w, "101")
        local first, code = w:note({TEE = 1}, 2000)
        local second = w:note({SOCK = 1}, 500)
        t.equal(w:play(first).held[1].cause, "refused_by_scayle")
        w.job.mail["dismissed.refused_by_scayle"] = dismissed(code)
        t.equal({w:play(second).done, w.told, unit_book.credited(w:book())},
            {true, {"102"}, 2500})
    end)
    t.case("the same credit note again behind the dismissed one counts once", function()
        local w = two()
        unknown_to_scayle(w, "101")
        local first, code = w:note({TEE = 1}, 2000)
        local again = w:note({TEE = 1}, 2000, {code = code})
        t.equal(w:play(first).held[1].cause, "refused_by_scayle")
        w.job.mail["dismissed.refused_by_scayle"] = dismissed(code)
        for _ = 1, 2 do
            t.equal({w:play(again).done, w.told, unit_book.credited(w:book())}, {true, {}, 2000})
        end
        w.job.mail = {}
        t.equal({w:play(dismissed(code)).done, unit_book.credited(w:book())}, {true, 2000})
    end)
    t.case("what was dismissed for another reason is not taken", function()
        local w = two()
        local _, code = w:note({TEE = 1}, 2500)
        t.equal({w:play(dismissed(code)).done, unit_book.credited(w:book())}, {true, 0})
    end)
end

return function(t)
    races(t)
    refusals(t)
end
