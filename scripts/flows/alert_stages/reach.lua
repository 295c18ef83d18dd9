--- Who is reached by no route, or only on paper: said by `neap check`.
local outbox = require("flows.alert_stages.outbox")

local reach = {}

-- Domains that belong to nobody (RFC 2606).
local PAPER = {"%.example$", "%.invalid$", "%.test$", "@example%.com$", "@example%.org$",
    "@example%.net$", "%.localhost$"}

local function is_paper(address)
    for _, pattern in ipairs(PAPER) do
        if address:lower():find(pattern) then
            return true
        end
    end
    return false
end

-- Owners in the order of their names, with what each is told of.
local function owners_of(settings, client)
    local owners = {[settings.nobody] = "what nobody owns"}
    for i, level in ipairs(settings.escalation) do
        owners[level.owner] = owners[level.owner] or string.format("escalation %d", i)
    end
    for cause, owner in pairs(client.owners) do
        owners[owner] = owners[owner] or cause
    end
    return owners
end

---@param settings table
---@param client neap.FlowSurroundings
---@return string[]
function reach.report(settings, client)
    local lines = {}
    for owner, what in pairs(owners_of(settings, client)) do
        if #outbox.own_routes(settings, owner) == 0 then
            lines[#lines + 1] = string.format("warning: no route reaches the owner %q (of %s): "
                .. "%s is told instead. Give it a route with `to`, or name an address as owner",
                owner, what, settings.nobody)
        end
        for _, route in ipairs(outbox.routes(settings, owner)) do
            if is_paper(route.to) then
                lines[#lines + 1] = string.format("warning: nobody reads %s, told of %s: it is "
                    .. "the address of an example", route.to, what)
            end
        end
    end
    return lines
end

return reach
