--- Which product line of Khaos Control a client runs: `khaos = {kind = "soap"}` (on-premise, we
--- call) or `{kind = "cloud"}` (Khaos calls us). Flows ask here; everything that differs is behind
--- the client's capabilities and one module per line and flow.
local khaos_line = {}

local CLIENTS = {
    soap = require("connectors.khaos_soap.client"),
    cloud = require("connectors.khaos_cloud.client"),
}
local ORDERS = {soap = "flows.order_stages.line_soap", cloud = "flows.order_stages.line_cloud"}

local DEFAULT = "soap"

---@param settings table|nil
---@return "soap"|"cloud"
function khaos_line.kind(settings)
    return settings and settings.kind or DEFAULT
end

--- The settings of either line; a flow reads them under `khaos`.
---@return table schema node
function khaos_line.schema()
    local fields = {kind = {type = "string", enum = {"soap", "cloud"}, default = DEFAULT,
        help = "product line: on-premise over SOAP, or Khaos Control Cloud"}}
    for _, kind in ipairs({"cloud", "soap"}) do
        for name, field in pairs(CLIENTS[kind].schema().fields) do
            fields[name] = field
        end
    end
    return {type = "record", default = {}, fields = fields}
end

--- A client of the line, with the settings that are its own.
---@param settings table|nil
---@return khaos.Client|khaos.CloudClient
function khaos_line.new(settings)
    local client = CLIENTS[khaos_line.kind(settings)]
    local options, fields = {}, client.schema().fields
    for name, value in pairs(settings or {}) do
        if fields[name] then
            options[name] = value
        end
    end
    return client.new(options)
end

--- The orders flow's seam: mappings, find_customer, ask_codes, document, post, noted, confirm.
---@param settings table|nil
---@return table
function khaos_line.of_orders(settings)
    return require(ORDERS[khaos_line.kind(settings)])
end

return khaos_line
