--- Fills a store quickly: one request brings many events, each a job that ends at once or is held.
local json = require("neap.json")
local schema = {type = "record", fields = {}}

local PAYLOAD = ("0123456789abcdef"):rep(64)

local function accept(_, request)
    local wanted = json.decode(request.body)
    local events = {}
    for number = wanted.from, wanted.from + wanted.count - 1 do
        events[#events + 1] = {source = "bulk", id = tostring(number), key = "bulk:" .. number,
            name = wanted.kind, payload = {number = number, text = PAYLOAD}}
    end
    return {status = 200, body = "{}", events = events}
end

local function run(job)
    if job.event.name == "held" then
        job:hold({{cause = "bulk", subject = "subject " .. tonumber(job.key:match("%d+")) % 100,
            message = "Held to measure what held jobs cost"}})
    end
end

return {
    name = "bulk",
    version = 1,
    schema = schema,
    triggers = {{kind = "route", name = "bulk", method = "POST", path = "/bulk", handle = accept}},
    run = run,
}
