--- Khaos Control Cloud (contract part B): Khaos calls us. This file says what the product line can
--- do and what a client sets of it; the others read and write its documents.
local client = {}

---@class khaos.CloudClient
---@field connection string a name for people; nothing is ever sent
---@field capabilities table<string, boolean>

local CAPABILITIES = {
    offer_order = true, push_order_status = true, push_stock = true, create_return = true,
    import_order = false, find_order = false, poll_order_status = false, poll_stock = false,
    import_customer = false, export_orders = false, cancel_order = false, amend_order = false,
    process_return = false, create_credit_note = false,
}

local FIELDS = {
    connection = {type = "string", default = "khaos"},
    zone = {type = "string", default = "Europe/London", help = "of Khaos's clock"},
    site_id = {type = "string", default = "1", help = "of orders whose profile names no site"},
    urn = {type = "string", default = "{other_ref}", pattern = "{other_ref}",
        hint = "a template with {other_ref}",
        help = "customer code that we choose for customers Khaos does not have yet"},
    send_urn = {type = "boolean", default = true,
        help = "false: Khaos matches customers by other fields (match_company_on)"},
    value_discount = {type = "string", enum = {"single", "line", "percent"}, default = "single",
        help = "how a discount is sent. single: as ValueDiscount (on-premise 8.190.36 and later) "
            .. "on lines of one unit, where per line and per unit are the same, and as "
            .. "PercentDiscount or in the price on others; line: always as ValueDiscount, once it "
            .. "is known to be per line; percent: as PercentDiscount or in the price"},
    silence_ms = {type = "integer", min = 1000, default = 2 * 3600000,
        help = "after which an order that Khaos has not shown, or a return that it has not "
            .. "fetched, is a person's business"},
    push_age_ms = {type = "integer", min = 1000, default = 30 * 60000,
        help = "the longest that a stock push may be under way, retries included: what changed "
            .. "in it may be unknown yet"},
    despatch_flow = {type = "string", default = "despatch",
        help = "name of the despatch flow; \"\": there is none"},
}

---@param options table|nil
---@return khaos.CloudClient
function client.new(options)
    local made = {capabilities = CAPABILITIES}
    for name in pairs(options or {}) do
        if not FIELDS[name] then
            error("khaos cloud client: unknown option " .. tostring(name), 2)
        end
    end
    for name, field in pairs(FIELDS) do
        made[name] = (options or {})[name]
        if made[name] == nil then
            made[name] = field.default
        end
    end
    return made
end

--- The settings that a flow passes on to client.new.
---@return table schema node
function client.schema()
    local fields = {}
    for name, field in pairs(FIELDS) do
        fields[name] = field
    end
    return {type = "record", default = {}, fields = fields}
end

return client
