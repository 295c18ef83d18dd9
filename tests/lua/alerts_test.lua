-- Who is told what, and when: decisions of the alerts flow in virtual time, without a host.
local alerts = require("flows.alerts")
local deliver = require("flows.alert_stages.deliver")
local errors = require("neap.errors")
local fake_job = require("fake_job")
local json = require("neap.json")
local mail = require("neap.mail")
local pulse = require("flows.pulse")
local quiet = require("flows.alert_stages.quiet")
local reach = require("flows.alert_stages.reach")
local schema = require("lib.schema")
local time = require("neap.time")
local words = require("flows.alert_stages.words")

local MINUTE_MS = 60000
local HOUR_MS = 60 * MINUTE_MS
local DAY_MS = 24 * HOUR_MS

local function settings(more)
    local given = {
        channels = {
            mail = {kind = "mail", connection = "mail", from = "neap@x.example"},
            hook = {kind = "webhook", connection = "hook", path = "/alerts"},
        },
        routes = {
            default = {{channel = "mail"}},
            catalogue = {{channel = "mail", to = "catalogue@x.example"}, {channel = "hook"}},
        },
        nobody = "operations@x.example",
    }
    for key, value in pairs(more or {}) do
        given[key] = value
    end
    local ok, messages = schema.check(alerts.schema, given, "settings")
    assert(ok, table.concat(messages or {}, "; "))
    return schema.with_defaults(alerts.schema, given)
end

local function world_at(text)
    local world = fake_job.world({http = function()
        error("nothing is sent here")
    end, now_ms = assert(time.parse_iso(text))})
    world.owners = {unknown_stock_code = "catalogue", drift = "stock@x.example"}
    return world
end

local function open(world, cause, subject, more)
    local e = {cause = cause, subject = subject, opened_ms = world.now_ms,
        message = cause .. " of " .. subject, waiting = 1}
    for key, value in pairs(more or {}) do
        e[key] = value
    end
    world.exceptions[cause .. " " .. subject] = e
end

-- One tick; the alerts it sent, as "kind to: subject".
local function tick(world, given, name)
    local before = #world.events
    world.ticks = (world.ticks or 0) + 1
    local ended = world:play(alerts, {settings = given,
        event = {name = "schedule." .. (name or "watch"), id = "tick " .. world.ticks}})
    assert(ended.done, tostring(ended.error))
    local told = {}
    for i = before + 1, #world.events do
        local alert = world.events[i].payload
        told[#told + 1] = string.format("%s %s: %s", alert.kind,
            alert.to == "" and alert.channel or alert.to, alert.subject)
    end
    return told
end

local function last_text(world)
    return world.events[#world.events].payload.text
end

local function first_of_a_kind(t)
    t.case("the first of a kind goes to the cause's owner at once, by every channel", function()
        local world, given = world_at("2026-05-04T10:00:00Z"), settings()
        open(world, "unknown_stock_code", "TS-RED-L", {waiting = 12, remedy = "Create it.",
            amount = {minor = 16492, currency = "GBP"},
            opened_ms = world.now_ms - 3 * HOUR_MS, deadline_ms = world.now_ms + 31 * HOUR_MS})
        t.equal(tick(world, given), {
            "first catalogue@x.example: [test] unknown_stock_code of TS-RED-L",
            "first hook: [test] unknown_stock_code of TS-RED-L",
        })
        local text = last_text(world)
        for _, part in ipairs({"12 wait, GBP 164.92, open for 3 h, first deadline in 31 h",
            "To do: Create it.", "neap exceptions show unknown_stock_code 'TS-RED-L'"}) do
            assert(text:find(part, 1, true), text)
        end
        t.equal(tick(world, given), {})
    end)
    t.case("more of the kind within the window wait for the digest, later one is told", function()
        local world, given = world_at("2026-05-04T10:00:00Z"), settings()
        open(world, "drift", "A")
        t.equal(#tick(world, given), 1)
        world.now_ms = world.now_ms + HOUR_MS
        open(world, "drift", "B")
        t.equal(tick(world, given), {})
        world.now_ms = world.now_ms + 4 * HOUR_MS
        t.equal(tick(world, given), {}, "what waits for the digest is not told after all")
        open(world, "drift", "C")
        t.equal(tick(world, given), {"first stock@x.example: [test] drift of C"})
    end)
    t.case("an alert that cannot be told hides no problem of the same kind", function()
        local world, given = world_at("2026-05-04T10:00:00Z"), settings()
        open(world, "gave_up", "alert:first-1", {opened_ms = world.now_ms - MINUTE_MS})
        open(world, "gave_up", "order:5004")
        t.equal(tick(world, given),
            {"first operations@x.example: [test] gave_up of order:5004"})
        t.equal(tick(world, given), {})
    end)
    t.case("many of a kind at once are one message that names the others", function()
        local world, given = world_at("2026-05-04T10:00:00Z"), settings()
        for i = 1, 200 do
            open(world, "drift", string.format("SKU-%03d", i),
                {opened_ms = world.now_ms - (i == 1 and 1 or 0)})
        end
        t.equal(tick(world, given), {"first stock@x.example: [test] drift of SKU-001"})
        assert(last_text(world):find("199 more of this kind:\n", 1, true), last_text(world))
        assert(#last_text(world) < 3000)
        t.equal(tick(world, given, "digest"),
            {"digest stock@x.example: [test] 200 problems open, 0 new, 0 closed"})
    end)
    t.case("the oldest of a kind is the one told in full", function()
        local world, given = world_at("2026-05-04T10:00:00Z"), settings()
        for i = 1, 5 do
            open(world, "drift", "SKU-" .. i, {opened_ms = world.now_ms - i % 4 * MINUTE_MS})
        end
        t.equal(tick(world, given), {"first stock@x.example: [test] drift of SKU-3"})
    end)
    t.case("a cause that nobody owns is told to somebody", function()
        local world, given = world_at("2026-05-04T10:00:00Z"), settings()
        open(world, "odd", "it")
        t.equal(tick(world, given), {"first operations@x.example: [test] odd of it"})
    end)
    t.case("a failed alert waits for the digest: no circle", function()
        local world, given = world_at("2026-05-04T10:00:00Z"), settings()
        open(world, "gave_up", "alert:first-1234")
        t.equal(tick(world, given), {})
        t.equal(#tick(world, given, "digest"), 1)
    end)
    t.case("closed and opened again within the window waits for the digest", function()
        local world, given = world_at("2026-05-04T10:00:00Z"), settings()
        open(world, "drift", "A")
        t.equal(#tick(world, given), 1)
        world.exceptions = {}
        tick(world, given)
        world.now_ms = world.now_ms + MINUTE_MS
        open(world, "drift", "A")
        t.equal(tick(world, given), {})
    end)
end

local function reach_of(given, owners)
    return reach.report(given, {owners = owners, schedules = {}})
end

local function is_refused(t, more, words_of_it)
    local ok, said = pcall(settings, more)
    t.equal(ok, false)
    assert(tostring(said):find(words_of_it, 1, true), said)
end

local function reached(t)
    local to_owner = {default = {{channel = "mail"}}}
    t.case("settings by which nobody is told of what nobody owns are refused", function()
        is_refused(t, {routes = to_owner, nobody = "default"},
            'nobody: no route reaches "default": give an address')
        is_refused(t, {routes = to_owner, nobody = "operations"}, 'no route reaches "operations"')
        is_refused(t, {routes = {default = {{channel = "hook"}}, finance = {{channel = "mail"}}}},
            'routes.finance: a mail needs `to`')
        is_refused(t, {escalation = {{after_ms = HOUR_MS, owner = "manager"}}},
            'escalation[1]: no route reaches the owner "manager"')
    end)
    t.case("an owner whom no route reaches is told through the one for nobody", function()
        local world, given = world_at("2026-05-04T10:00:00Z"), settings()
        world.owners.drift = "operations"
        open(world, "drift", "A")
        t.equal(tick(world, given), {"first operations@x.example: [test] drift of A"})
        t.equal(tick(world, given, "digest"),
            {"digest operations@x.example: [test] 1 problem open, 0 new, 0 closed"})
    end)
    t.case("neap check names owners that nothing reaches, and addresses of examples", function()
        local given = settings({nobody = "ops@shop.co.uk"})
        t.equal(reach_of(given, {default = "ops@shop.co.uk"}), {})
        local lines = reach_of(given, {default = "operations", drift = "a@x.example"})
        t.equal(#lines, 2)
        assert(lines[1]:find("warning: nobody reads a@x.example, told of drift", 1, true),
            lines[1])
        assert(lines[2]:find('no route reaches the owner "operations" (of default): '
            .. "ops@shop.co.uk is told instead", 1, true), lines[2])
    end)
    t.case("an alert whose channel is gone is held, not taken as told", function()
        local world, given = world_at("2026-05-04T10:00:00Z"), settings()
        local ended = world:play(alerts, {settings = given, event = {name = "alert.deliver",
            id = "first-1", payload = json.encode({channel = "pager", to = "", subject = "s"})}})
        t.equal(ended.held and ended.held[1].cause, "alert_refused")
        t.equal(ended.held[1].recheck, "reload")
    end)
end

local function stuck_orders(t)
    t.case("every morning: the orders that wait too long, and for what", function()
        local world, given = world_at("2026-05-04T06:30:00Z"), settings()
        local function wait(id, hours, more)
            world.store.put("orders_open", "order:" .. id, {order_id = id, is_told = hours >= 4,
                accepted_ms = world.now_ms - hours * HOUR_MS})
            world.store.put("order_history", "order:" .. id, more or {})
        end
        t.equal(tick(world, given, "stuck"), {}, "nothing waits: nothing is said")
        wait("5001", 6, {{kind = "ordered", minor = 4990, currency = "GBP"},
            {kind = "held", causes = {"unknown_stock_code TS-RED-L"}}})
        wait("5002", 3)
        wait("5003", 30, {{kind = "held", causes = {"unmapped_tax 7"}}, {kind = "going"}})
        wait("5004", 5)
        world.owners.stuck_order, world.owners.gave_up = "desk@x.example", "desk@x.example"
        open(world, "stuck_order", "5001")
        open(world, "gave_up", "order:5004", {message = "Gave up"})
        open(world, "connection_down", "khaos", {message = "Connection khaos is down"})
        t.equal(tick(world, given, "stuck"),
            {"stuck desk@x.example: [test] 3 stuck orders are not confirmed by Khaos"})
        local text = last_text(world)
        for _, part in ipairs({"  5003  for 30 h, not held; Connection khaos is down\n"
            .. "  5001  GBP 49.90, for 6 h, held: unknown_stock_code TS-RED-L\n"
            .. "  5004  for 5 h, Gave up\n"}) do
            assert(text:find(part, 1, true), text)
        end
    end)
end

local function many_stuck_orders(t)
    t.case("of very many stuck orders the oldest are listed, whatever their numbers", function()
        local world, given = world_at("2026-05-04T06:30:00Z"), settings()
        for i = 1, 250 do
            local id = tostring(5000 + i)
            world.store.put("orders_open", "order:" .. id, {order_id = id, is_told = true,
                accepted_ms = world.now_ms - i * HOUR_MS})
        end
        t.equal(tick(world, given, "stuck"),
            {"stuck operations@x.example: [test] 250 stuck orders are not confirmed by Khaos"})
        local text = last_text(world)
        assert(text:find("first:\n\n  5250  for 10 days, not held\n  5249 ", 1, true))
        assert(text:find("\n  5051  for 2 days, not held\nand 50 more\n", 1, true))
    end)
end

local function digests(t)
    t.case("a digest tells new, open and closed; what was closed once", function()
        local world, given = world_at("2026-05-04T10:00:00Z"), settings({remind = false})
        open(world, "drift", "A")
        tick(world, given)
        open(world, "drift", "B")
        tick(world, given)
        world.exceptions["drift A"] = nil
        t.equal(tick(world, given, "digest"),
            {"digest stock@x.example: [test] 1 problem open, 1 new, 1 closed"})
        local text = last_text(world)
        assert(text:find("New:\n\ndrift of B", 1, true) and text:find("Closed:\n\n  drift of A", 1,
            true), text)
        t.equal(tick(world, given, "digest"), {})
        t.equal(#world.store.range("alerts"), 1)
    end)
    t.case("each owner has a digest of its own, and a reminder while something is open", function()
        local world, given = world_at("2026-05-04T10:00:00Z"), settings()
        open(world, "drift", "A")
        open(world, "odd", "it")
        t.equal(#tick(world, given), 2)
        t.equal(#tick(world, given, "digest"), 2)
        t.equal(#tick(world, given, "digest"), 2)
    end)
    t.case("the same tick run again sends nothing twice", function()
        local world, given = world_at("2026-05-04T10:00:00Z"), settings()
        open(world, "drift", "A")
        t.equal(#tick(world, given), 1)
        for _, entry in ipairs(world.store.range("alerts")) do
            world.store.delete("alerts", entry.key) -- as if the slice had been dropped
        end
        for _, entry in ipairs(world.store.range("alert_kinds")) do
            world.store.delete("alert_kinds", entry.key)
        end
        world.now_ms = world.now_ms + 5
        t.equal(tick(world, given), {})
    end)
end

local QUIET = {from = "20:00", to = "07:00", zone = "Europe/London", days = {"sun"},
    except = {"connection_down"}}

local function quiet_hours(t)
    t.case("quiet hours are the client's, summer time and whole days included", function()
        local cases = {
            {"2026-05-04T18:59:00Z", false}, {"2026-05-04T19:00:00Z", true}, -- 20:00 in summer
            {"2026-12-04T19:00:00Z", false}, {"2026-12-04T20:00:00Z", true},
            {"2026-05-05T05:59:00Z", true}, {"2026-05-05T06:00:00Z", false},
            {"2026-05-03T12:00:00Z", true}, -- a Sunday
        }
        for _, case in ipairs(cases) do
            t.equal({case[1], quiet.is_quiet(QUIET, assert(time.parse_iso(case[1])))}, case)
        end
        local night_ms = assert(time.parse_iso("2026-05-02T21:10:00Z"))
        t.equal(time.format_iso(quiet.end_ms(QUIET, night_ms)), "2026-05-04T06:00:00Z")
    end)
    t.case("quiet hours hold an alert back until their end", function()
        local world, given = world_at("2026-05-04T22:00:00Z"), settings({quiet = QUIET})
        open(world, "drift", "A")
        open(world, "drift", "B")
        t.equal(tick(world, given), {})
        world.now_ms = assert(time.parse_iso("2026-05-05T05:59:00Z"))
        t.equal(tick(world, given), {})
        world.now_ms = world.now_ms + MINUTE_MS
        t.equal(tick(world, given), {"first stock@x.example: [test] drift of A"})
    end)
    t.case("but not what cannot wait", function()
        local world, given = world_at("2026-05-04T22:00:00Z"), settings({quiet = QUIET})
        open(world, "connection_down", "khaos")
        open(world, "drift", "A", {deadline_ms = world.now_ms + HOUR_MS})
        open(world, "odd", "it", {deadline_ms = world.now_ms + 20 * HOUR_MS})
        t.equal(#tick(world, given), 2)
    end)
    t.case("be it newer than others of its kind that can: it is told first, with them", function()
        local world, given = world_at("2026-05-04T22:00:00Z"), settings({quiet = QUIET})
        open(world, "drift", "A", {deadline_ms = world.now_ms + 20 * HOUR_MS})
        t.equal(tick(world, given), {})
        world.now_ms = world.now_ms + MINUTE_MS
        open(world, "drift", "B", {deadline_ms = world.now_ms + 3 * HOUR_MS})
        open(world, "drift", "C", {deadline_ms = world.now_ms + HOUR_MS})
        t.equal(tick(world, given), {"first stock@x.example: [test] drift of C"})
        assert(last_text(world):find("2 more of this kind", 1, true), last_text(world))
        t.equal(tick(world, given), {})
    end)
    t.case("a deadline that comes nearer in the night is noticed", function()
        local world, given = world_at("2026-05-04T22:00:00Z"), settings({quiet = QUIET})
        open(world, "drift", "A", {deadline_ms = world.now_ms + 20 * HOUR_MS})
        t.equal(tick(world, given), {})
        local e = world.exceptions["drift A"]
        e.deadline_ms, e.waiting = world.now_ms + HOUR_MS, 2
        t.equal(tick(world, given), {"first stock@x.example: [test] drift of A"})
    end)
    t.case("nor is an escalation held back for an older one that can wait", function()
        local world, given = world_at("2026-05-04T15:30:00Z"), settings({quiet = QUIET,
            escalation = {{after_ms = 4 * HOUR_MS, owner = "manager@x.example"}}})
        open(world, "drift", "A", {opened_ms = world.now_ms - MINUTE_MS})
        open(world, "drift", "B", {deadline_ms = world.now_ms + 6 * HOUR_MS})
        t.equal(#tick(world, given), 1)
        world.now_ms = world.now_ms + 4 * HOUR_MS
        t.equal(tick(world, given),
            {"escalation manager@x.example: [test] still open: drift of B"})
    end)
end

local function escalations(t)
    local levels = {{after_ms = 4 * HOUR_MS, owner = "manager@x.example"},
        {after_ms = DAY_MS, owner = "director@x.example", causes = {"drift"}}}
    t.case("what stays open is escalated, one message for a kind and level", function()
        local world, given = world_at("2026-05-04T06:00:00Z"), settings({escalation = levels})
        open(world, "drift", "A")
        open(world, "drift", "B")
        open(world, "odd", "it")
        t.equal(#tick(world, given), 2)
        world.now_ms = world.now_ms + 4 * HOUR_MS - 1
        t.equal(tick(world, given), {})
        world.now_ms = world.now_ms + 1
        t.equal(tick(world, given), {
            "escalation manager@x.example: [test] still open: drift of A",
            "escalation manager@x.example: [test] still open: odd of it",
        })
        t.equal(tick(world, given), {})
        world.now_ms = world.now_ms + DAY_MS
        t.equal(tick(world, given),
            {"escalation director@x.example: [test] still open: drift of A"})
        t.equal(tick(world, given), {})
    end)
    t.case("what was closed in time is not escalated", function()
        local world, given = world_at("2026-05-04T06:00:00Z"), settings({escalation = levels})
        open(world, "drift", "A")
        tick(world, given)
        world.exceptions = {}
        world.now_ms = world.now_ms + 5 * HOUR_MS
        t.equal(tick(world, given), {})
    end)
end

-- Orders every 11 minutes between 08:00 and 20:00, none at night, for some weeks.
local function weeks_of_orders(world, count)
    local start_ms = world.now_ms
    for hour = 0, count * 168 do
        world.now_ms = start_ms + hour * HOUR_MS
        local of_day = world.now_ms // HOUR_MS % 24
        world:with(function()
            pulse.learn("orders", world.now_ms)
            if of_day >= 8 and of_day < 20 then
                for i = 0, 5 do
                    pulse.beat("orders", world.now_ms + i * 11 * MINUTE_MS)
                end
            end
        end)
    end
end

local function heartbeats(t)
    local rules = {heartbeats = {{of = "orders", one = "order"}}}
    t.case("silence that is unusual for the hour is a problem, and its end closes it", function()
        local world, given = world_at("2026-03-02T10:00:00Z"), settings(rules)
        weeks_of_orders(world, 3) -- the last order at 10:55
        world.now_ms = world.now_ms + 55 * MINUTE_MS
        local last_ms = world.now_ms
        world.now_ms = last_ms + 38 * MINUTE_MS
        t.equal(tick(world, given), {})
        world.now_ms = last_ms + 41 * MINUTE_MS
        t.equal(tick(world, given),
            {"first operations@x.example: [test] No order for 41 minutes; usual is one every "
                .. "10 minutes"})
        world:with(function()
            pulse.beat("orders", world.now_ms)
        end)
        t.equal(tick(world, given), {})
        t.equal(world.closed["silence orders"], "the next order came")
    end)
    t.case("a heartbeat that is taken out of the settings leaves no silence open", function()
        local world, given = world_at("2026-03-02T10:00:00Z"), settings(rules)
        weeks_of_orders(world, 3)
        world.now_ms = world.now_ms + 2 * HOUR_MS
        t.equal(#tick(world, given), 1)
        t.equal(tick(world, settings()), {})
        t.equal(world.closed["silence orders"], "the client has no heartbeat of it any more")
    end)
    t.case("a night without orders is no silence", function()
        local world, given = world_at("2026-03-02T20:00:00Z"), settings(rules)
        weeks_of_orders(world, 3)
        for _ = 1, 12 * 6 do
            world.now_ms = world.now_ms + 10 * MINUTE_MS
            t.equal(tick(world, given), {})
        end
    end)
    t.case("nothing is said before it was learnt, nor in quiet time", function()
        local world, given = world_at("2026-03-02T10:00:00Z"), settings(rules)
        weeks_of_orders(world, 1)
        world.now_ms = world.now_ms + 3 * HOUR_MS
        t.equal(tick(world, given), {})
        world = world_at("2026-03-02T10:00:00Z")
        weeks_of_orders(world, 3)
        world.now_ms = world.now_ms + 3 * HOUR_MS
        local sleepy = settings({heartbeats = rules.heartbeats,
            quiet = {from = "10:00", to = "15:00", zone = "UTC"}})
        t.equal(tick(world, sleepy), {})
    end)
    t.case("hours in which the host was down are no silence", function()
        local world, given = world_at("2026-03-02T10:00:00Z"), settings(rules)
        weeks_of_orders(world, 3) -- the last order at 10:55
        world.now_ms = world.now_ms + 55 * MINUTE_MS
        t.equal(tick(world, given), {})
        local down_ms = world.now_ms
        world.now_ms = down_ms + 3 * HOUR_MS
        t.equal(tick(world, given), {}, "we were away, not the orders")
        for minute = 10, 30, 10 do
            world.now_ms = down_ms + 3 * HOUR_MS + minute * MINUTE_MS
            t.equal(tick(world, given), {})
        end
        world.now_ms = world.now_ms + 11 * MINUTE_MS
        t.equal(tick(world, given),
            {"first operations@x.example: [test] No order for 41 minutes; usual is one every "
                .. "10 minutes"}, "since the start it is one")
    end)
    t.case("nor are they learnt as hours without orders", function()
        local world, given = world_at("2026-03-02T10:00:00Z"), settings(rules)
        weeks_of_orders(world, 3)
        tick(world, given)
        local before = world.store.get("pulse", "orders")
        local noon = assert(time.parse_iso("1970-01-05T12:00:00Z")) // HOUR_MS % 168 + 1
        assert(before.means[noon] > 5, before.means[noon])
        for _, hours in ipairs({4, 24, 2}) do -- down, then up a day later to learn
            world.now_ms = world.now_ms + hours * HOUR_MS
            tick(world, given)
        end
        local after = world.store.get("pulse", "orders")
        assert(after.hour > before.hour)
        t.equal(after.means[noon], before.means[noon])
        t.equal(after.seen[noon], before.seen[noon])
    end)
    t.case("what nobody learns of does not pile up", function()
        local world = world_at("2026-03-02T10:00:00Z")
        for _ = 1, 24 * 60 do
            world:with(function()
                pulse.beat("posted", world.now_ms)
            end)
            world.now_ms = world.now_ms + HOUR_MS
        end
        local kept = #world.store.range("pulse_counts", {limit = 2000})
        assert(kept < 24 * 30, kept)
    end)
    t.case("what is learnt stays small", function()
        local world = world_at("2026-03-02T10:00:00Z")
        weeks_of_orders(world, 6)
        assert(#world.store.range("pulse_counts") < 24)
        local size = #json.encode(world.store.get("pulse", "orders"))
        assert(size < 5000, size)
    end)
end

local function wire(t)
    local function message(more)
        local m = {from = "neap@x.example", to = "a@x.example", subject = "plain", text = "hello",
            key = "k", date_ms = 1777888980000}
        for key, value in pairs(more) do
            m[key] = value
        end
        return mail.message(m)
    end
    t.case("the same key is the same message to the byte, another key another id", function()
        t.equal(message({}), message({}))
        local id = message({}).body:match("Message%-ID: (<[^\r]+>)")
        assert(id:find("@x.example>", 1, true))
        assert(message({key = "k2"}).body:match("Message%-ID: (<[^\r]+>)") ~= id)
    end)
    t.case("nothing a caller gives can add a header or a recipient", function()
        for _, more in ipairs({{subject = "a\r\nBcc: b@x.example"}, {subject = "a\nb"},
            {subject = "a\0b"}, {subject = "a\xc2\x85b"}, {subject = "\xff"},
            {to = "a@x.example>\r\nRCPT TO:<b@x.example"}, {to = "a@x.example b@x.example"},
            {to = {}}, {to = "a@@x"}, {to = "@x"}, {to = "a"}, {from = "a@x.example\n"},
            {from_name = "a\r\nb"}, {text = "\xff"}}) do
            t.raises(function()
                message(more)
            end, "")
        end
        t.raises(function()
            mail.message({from = "a@x", to = "a@x", subject = "", text = "", key = "", bcc = "x"})
        end, "bcc")
    end)
    t.case("words that others wrote become a line that a header can carry", function()
        for _, text in ipairs({"a\r\nBcc: x", "a\0b", "\xff\xfe", "a\xe2\x80\xa8b", "a\xc2\x85b",
            ("ü"):rep(400)}) do
            message({subject = words.line(text)})
        end
        t.equal(words.line("a\r\nb"), "a b")
    end)
    t.case("what a mail server says decides whether to try again", function()
        local later = select(2, mail.read({status = 451, body = "451 4.7.1 greylisted"}))
        local never = select(2, mail.read({status = 550, body = "550 no such user"}))
        t.equal({later.retryable, never.retryable}, {true, false})
        assert(later.message:find("451: 4.7.1 greylisted", 1, true), later.message)
        t.equal(mail.read({status = 250, body = "250 queued"}), {code = 250, text = "queued"})
    end)
end

local function deliveries(t)
    local function delivery(channel, answer, err)
        local world = fake_job.world({http = function()
            return answer, err
        end})
        local ended = world:play({run = deliver}, {settings = settings(), event = {
            name = "alert.deliver", id = "first-1", payload = json.encode({id = "first-1",
                kind = "first", owner = "o", channel = channel, to = channel == "mail"
                    and "a@x.example" or "", subject = "LATE order 204417", text = "t",
                at_ms = 1})}})
        return ended, world
    end
    -- `neap order` and `neap erase` find an order by the last word of a title.
    t.case("an alert about an order does not answer to the order's number", function()
        local _, world = delivery("mail", {status = 250, body = "250 ok"})
        t.equal(world.facts.title, "alert \"LATE order 204417\"")
    end)
    t.case("a delivery ends told, retried or held on what a person must mend", function()
        t.equal(delivery("mail", {status = 250, body = "250 ok"}), {done = true})
        t.equal(delivery("hook", {status = 204, body = "", headers = {}}), {done = true})
        assert(delivery("mail", {status = 451, body = "451 later"}).error.retryable)
        assert(delivery("hook", {status = 503, body = "", headers = {}}).error.retryable)
        t.equal(delivery("mail", {status = 535, body = "535 no"}).held[1].subject, "mail 535")
        t.equal(delivery("mail", {status = 550, body = "550 no"}).held[1].cause, "alert_refused")
        t.equal(delivery("hook", {status = 401, body = "", headers = {}}).held[1].cause,
            "connection_refused")
    end)
    t.case("what helps is what is said: an alert keeps its recipient", function()
        local refused = delivery("mail", {status = 550, body = "550 no"}).held[1]
        t.matches(refused.remedy, "for alerts to come. This one goes to where it went")
        refused = delivery("hook", {status = 410, body = "", headers = {}}).held[1]
        t.matches(refused.remedy, "Correct the receiver")
        refused = delivery("hook", nil, errors.new({kind = "invalid", message = "no such host"}))
        t.equal({refused.held[1].message, refused.held[1].remedy},
            {"No alert can go through hook: no such host",
                "Correct the connection in the manifest; then retry this."})
        t.equal(delivery("mail", {status = 535, body = "535 no"}).held[1].remedy,
            "Correct the login of the connection in the manifest; then retry this.")
    end)
    t.case("a doubt repeats the same bytes", function()
        local sent = {}
        local world = fake_job.world({http = function(request)
            sent[#sent + 1] = request.body
            if #sent == 1 then
                return nil, errors.new({kind = "network", message = "reset", maybe_sent = true,
                    retryable = true})
            end
            return {status = 250, body = "250 ok"}
        end})
        local spec = {settings = settings(), event = {name = "alert.deliver", id = "first-1",
            payload = json.encode({id = "first-1", kind = "first", owner = "o", channel = "mail",
                to = "a@x.example", subject = "s", text = "t", at_ms = 1})}}
        assert(world:play({run = deliver}, spec).error.retryable)
        t.equal(world:play({run = deliver}, spec), {done = true})
        t.equal(sent[1], sent[2])
    end)
end

local function true_words(t)
    t.case("what nobody owns is escalated as that", function()
        local world, given = world_at("2026-05-04T06:00:00Z"), settings({escalation = {
            {after_ms = 4 * HOUR_MS, owner = "manager@x.example"}}})
        open(world, "odd", "it")
        open(world, "drift", "A")
        tick(world, given)
        world.now_ms = world.now_ms + 4 * HOUR_MS
        local texts = {}
        for i = 1, #tick(world, given) do
            texts[i] = world.events[#world.events + 1 - i].payload.text:match("^[^\n]*")
        end
        table.sort(texts)
        t.equal(texts, {"Open for longer than 4 h, and nobody owns it.",
            "Open for longer than 4 h, and stock@x.example has not solved it."})
    end)
    t.case("closed ones that are not listed are not to be found among the open ones", function()
        local world, given = world_at("2026-05-04T10:00:00Z"), settings()
        for i = 1, 25 do
            open(world, "drift", "SKU-" .. i)
        end
        tick(world, given)
        world.exceptions = {}
        tick(world, given, "digest")
        assert(last_text(world):find("\nand 5 more\n", 1, true), last_text(world))
    end)
    t.case("times below a minute, and names with a quote, are said as they are", function()
        t.equal({words.span(59999), words.span(-5), words.span(MINUTE_MS)},
            {"less than a minute", "less than a minute", "1 minute"})
        local lines = words.problem({cause = "odd", subject = "Kid's", message = "", waiting = 0,
            opened_ms = 0}, 0)
        t.equal(lines[#lines], "  See: neap exceptions show odd 'Kid'\\''s'")
    end)
end

return function(t)
    first_of_a_kind(t)
    reached(t)
    stuck_orders(t)
    many_stuck_orders(t)
    true_words(t)
    digests(t)
    quiet_hours(t)
    escalations(t)
    heartbeats(t)
    wire(t)
    deliveries(t)
end
