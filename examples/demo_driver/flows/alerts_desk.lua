--- Where the demo client's alerts arrive: each is a line of the demonstration and is counted. The
--- signature is the receiver's to check; here only its form is (tests/integration/24_alerts checks
--- it whole).
local json = require("neap.json")
local store = require("neap.store")

local function take(_, request)
    local signature = request.headers["x-neap-signature"] or ""
    local alert = json.decode(request.body)
    if not signature:find("^sha256=%x+$") or not request.headers["x-neap-timestamp"] then
        return { status = 401, body = "not signed" }
    elseif type(alert) ~= "table" then
        return { status = 400, body = "not an alert" }
    end
    return { status = 204, events = {
        { source = "alerts", id = alert.id, name = "alert", payload = alert },
    } }
end

local function run(job)
    local alert = json.decode(job.event.payload)
    store.increment("demo", "alerts")
    job:note("demo", ("%s is told: %s"):format(alert.owner, alert.subject))
end

return {
    name = "alerts_desk",
    version = 1,
    triggers = {
        { kind = "route", name = "alerts", method = "POST", path = "/alerts", handle = take },
    },
    run = run,
}
