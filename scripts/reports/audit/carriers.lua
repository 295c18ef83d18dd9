--- Carriers come with SCAYLE's delegation, so orders do not tell them before the start; the
--- tenant's list of carriers does.
local asking = require("reports.audit.asking")
local scayle_client = require("connectors.scayle.client")

local carriers = {}

local function compare(run, part, flow, entities)
    local known = (flow.settings.mappings.shipping or {}).carriers or {}
    for _, carrier in ipairs(type(entities) == "table" and entities or {}) do
        local key = type(carrier) == "table" and carrier.key
        if type(key) == "string" and key ~= "" then
            part.looked = part.looked + 1
            if not known[key] then
                run.findings:add({cause = "unmapped_shipping", subject = key, kind = "value",
                    message = string.format("Carrier %s of the tenant has no courier code", key),
                    remedy = "Add the carrier to mappings/shipping.lua, unless no order of this "
                        .. "merchant can have it."}, {name = key})
            end
        end
    end
end

--- Asks SCAYLE which carriers there are.
---@async
---@param run table
function carriers.run(run)
    local part = {name = "Carriers of the tenant", looked = 0}
    run.parts[#run.parts + 1] = part
    for _, flow in ipairs(run.orders_flows) do
        local scayle = scayle_client.new(flow.settings.scayle)
        local answer, err = asking.again(run, function()
            return scayle:call({path = "/carriers"})
        end)
        if not answer then
            part.stopped = asking.why("SCAYLE", err)
            return
        end
        compare(run, part, flow, answer.entities)
    end
end

return carriers
