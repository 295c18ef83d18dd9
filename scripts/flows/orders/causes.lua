--- Collects why an order cannot be posted: every cause once, all of them before anything is held.
local causes = {}

local KINDS = {
    unknown_stock_code = {recheck = "proof",
        remedy = "Create the stock code in Khaos, or correct the SKU in SCAYLE."},
    unmapped_market = {recheck = "reload",
        remedy = "Add or correct the posting profile in mappings/companies.lua."},
    unmapped_tax = {recheck = "reload",
        remedy = "Add the rate with its Khaos tax code to mappings/tax.lua, or correct the rate "
            .. "in SCAYLE."},
    unmapped_shipping = {recheck = "reload",
        remedy = "Add the carrier to mappings/shipping.lua."},
    unmapped_fee = {recheck = "reload",
        remedy = "Say in mappings/shipping.lua what this fee becomes in Khaos."},
    unmapped_payment = {recheck = "reload",
        remedy = "Add the payment method to mappings/payments.lua."},
    unmapped_promotion = {recheck = "reload",
        remedy = "Say in mappings/promotions.lua what this mechanic becomes in Khaos."},
    totals_do_not_tie = {recheck = "manual",
        remedy = "Compare the figures with the order in SCAYLE; nothing was posted."},
    field_too_long = {recheck = "manual",
        remedy = "Correct the customer's details in SCAYLE, then retry."},
    order_already_processed = {recheck = "manual",
        remedy = "Look up in Khaos and SCAYLE who handled the order; enter what is missing by "
            .. "hand, then close this."},
}

---@class orders.Causes
---@field list neap.Cause[]
local Causes = {}
Causes.__index = Causes

--- An empty collection.
---@return orders.Causes
function causes.new()
    return setmetatable({list = {}, _seen = {}}, Causes)
end

--- Adds a cause unless the same cause and subject is there; further messages about one cause and
--- subject are dropped on purpose.
---@param kind string
---@param subject string
---@param message string
function Causes:add(kind, subject, message)
    local about = assert(KINDS[kind], kind)
    local id = kind .. "\0" .. subject
    if self._seen[id] then
        return
    end
    self._seen[id] = true
    self.list[#self.list + 1] = {
        cause = kind,
        subject = subject,
        message = message,
        remedy = about.remedy,
        recheck = about.recheck,
    }
end

--- Whether something of this kind, or anything at all, was found.
---@param kind string|nil
---@return boolean
function Causes:has(kind)
    for _, cause in ipairs(self.list) do
        if not kind or cause.cause == kind then
            return true
        end
    end
    return false
end

return causes
