--- Money that Khaos alone gave back, told to SCAYLE. Only the first of an order once reached it: an
--- order that SCAYLE had refunded anything of by itself was taken for told, and so was booked.
local json = require("neap.json")
local refund_book = require("flows.refund_book")
local returns_world = require("returns_world")

local PARTIALLY, WHOLLY = "billing_partially_refunded", "billing_refunded"

-- Two units; with a billing status SCAYLE took the second one back and refunded it by itself.
local function two(billing)
    local w = returns_world.new({{"TEE", 2000}, {"SOCK", 500}}, {tell_goodwill = true})
    if billing then
        w.billing, w.status["102"] = billing, "returned"
        w:play(w:message("scayle.returned", {kind = "returned", units = {"102"}}))
        w:play((w:note({SOCK = 1}, 500, {code = "CN0"})))
    end
    return w
end

-- {code: reason} of each message to SCAYLE
local function told(w)
    local list = {}
    for i, patch in ipairs(w.patches) do
        list[i] = patch.code .. ": " .. patch.reason
    end
    return list
end

local function booked(w)
    local list = {}
    for id, entry in pairs(refund_book.of(w:book()).told) do
        list[id] = entry.minor
    end
    return list
end

-- The first message is lost: SCAYLE took it (`is_done`) or did not.
local function lose_first(w, is_done)
    local http, is_lost = w.job.http, false
    w.job.http = function(request)
        if request.method ~= "PATCH" or is_lost then
            return http(request)
        end
        is_lost = true
        if is_done then
            http(request)
        end
        return nil, {kind = "timeout", message = "no answer", retryable = true, maybe_sent = true}
    end
end

local function run_out(w, event)
    local run = w:job_of(event)
    for _ = 1, 3 do
        if run().done then
            return true
        end
    end
    return false
end

local function telling(t)
    t.case("each goodwill of an order is told with its own reason", function()
        local w = two()
        local first = w:note({}, 300)
        t.equal({w:play(first).done, w:play((w:note({}, 200))).done}, {true, true})
        w:play(first)
        t.equal(told(w), {PARTIALLY .. ": Credited in the ERP (CN1)",
            PARTIALLY .. ": Credited in the ERP (CN2)"})
        t.equal(booked(w), {["khaos:CN1"] = 300, ["khaos:CN2"] = 200})
    end)
    t.case("it is told after a return that SCAYLE refunded by itself too", function()
        local w = two(PARTIALLY)
        w:play((w:note({}, 300)))
        t.equal({told(w), booked(w)}, {{PARTIALLY .. ": Credited in the ERP (CN2)"},
            {["khaos:CN2"] = 300}})
    end)
    t.case("an order that is wholly refunded in SCAYLE stays so", function()
        local w = two(WHOLLY)
        w:play((w:note({}, 300)))
        t.equal(told(w), {WHOLLY .. ": Credited in the ERP (CN2)"})
    end)
    t.case("what SCAYLE refused is not booked as told, and is told when it comes again", function()
        local w = two()
        local http, is_open = w.job.http, true
        w.job.http = function(request)
            if request.method == "PATCH" and is_open then
                return {status = 422, headers = {}, body = json.encode({errors = {}}),
                    elapsed_ms = 1}
            end
            return http(request)
        end
        local event = w:note({}, 300)
        w:play(event)
        t.equal(booked(w), {})
        is_open = false
        w:play(event)
        t.equal({booked(w), w:open()}, {{["khaos:CN1"] = 300}, {}})
    end)
end

-- SCAYLE refuses the billing status; how the job that waits for a person ends.
local function refused()
    local w = two()
    local http, self = w.job.http, {}
    w.job.http = function(request)
        if request.method == "PATCH" and not self.is_open then
            return {status = 422, headers = {}, body = json.encode({errors = {}}), elapsed_ms = 1}
        end
        return http(request)
    end
    self.note = w:note({}, 300)
    w:play(self.note)
    self.event = table.remove(w.job.events)
    self.event.payload = json.encode(self.event.payload)
    return w, self, w:play(self.event)
end

local SUBJECT = "7 goodwill CN1"

local function dismissal(key)
    return {name = "dismissed.refused_by_scayle", key = key, source = "act", id = "1",
        payload = json.encode({by = "eve", reason = "noted", cause = "refused_by_scayle",
            subject = SUBJECT})}
end

local function persons(t)
    t.case("what SCAYLE refused waits for a person, and holds up nothing else", function()
        local w, self, ended = refused()
        t.equal({ended.held[1].cause, ended.held[1].subject, self.event.key},
            {"refused_by_scayle", SUBJECT, "goodwill:order:fo:7/CN1"})
        self.is_open = true
        t.equal({w:play((w:note({}, 200))).done, booked(w)}, {true, {["khaos:CN2"] = 200}})
    end)
    -- Seen before: nobody heard of the dismissal, so what a person had noted in SCAYLE counted as
    -- untold for ever, and was told once more when the note came again.
    t.case("dismissed, it is told: a person noted it in SCAYLE", function()
        local w, self = refused()
        w.job.exceptions = {}
        t.equal({w:play(dismissal(self.event.key)).done, booked(w)}, {true, {["khaos:CN1"] = 300}})
        self.is_open = true
        w:play(self.note)
        t.equal({#w.patches, w:open()}, {0, {}})
    end)
    t.case("released, it is told again, or refused again", function()
        local w, self = refused()
        t.equal(w:play(self.event).held[1].subject, SUBJECT)
        self.is_open = true
        t.equal({w:play(self.event).done, booked(w), #w.patches}, {true, {["khaos:CN1"] = 300}, 1})
    end)
end

local function losses(t)
    t.case("a lost answer is found by the state that was not there before", function()
        local w = two()
        lose_first(w, true)
        t.equal({run_out(w, (w:note({}, 300))), #w.patches}, {true, 1})
    end)
    t.case("a state that was there before proves nothing: it is told again", function()
        for _, is_done in ipairs({true, false}) do
            local w = two(PARTIALLY)
            lose_first(w, is_done)
            t.equal({run_out(w, (w:note({}, 300))), #w.patches, w.patches[1].reason},
                {true, is_done and 2 or 1, "Credited in the ERP (CN2)"})
        end
    end)
    t.case("an order that became wholly refunded meanwhile is not told to be less", function()
        local w = two(PARTIALLY)
        lose_first(w, false)
        local run = w:job_of((w:note({}, 300)))
        run()
        w.billing = WHOLLY
        t.equal({run().done, #w.patches, w.billing}, {true, 0, WHOLLY})
    end)
end

return function(t)
    telling(t)
    persons(t)
    losses(t)
end
