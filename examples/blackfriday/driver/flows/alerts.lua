--- Where the client's alerts arrive: they are counted.
local json = require("neap.json")
local store = require("neap.store")

local function take(_, request)
    if type(json.decode(request.body)) ~= "table" then
        return {status = 400, body = "not an alert"}
    end
    store.increment("day_counts", "alerts")
    return {status = 204}
end

return {
    name = "alerts",
    version = 1,
    triggers = {
        {kind = "route", name = "alerts", method = "POST", path = "/alerts", handle = take},
    },
    run = function() end,
}
