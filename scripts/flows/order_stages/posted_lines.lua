--- What is remembered of a posting for the flows that come after it: its lines with their units,
--- and how it was paid. No personal data.
local errors = require("neap.errors")
local json = require("neap.json")
local money = require("neap.money")

local posted_lines = {}

local ACCOUNT = 3 -- payment type

---@param posting table
---@return table[]
function posted_lines.lines(posting)
    local lines = json.array({})
    for i, line in ipairs(posting.lines) do
        lines[i] = {stock_code = line.stock_code, quantity = line.quantity, kind = line.kind,
            import_ref = line.import_ref, unit_ids = line.unit_ids, pack_link = line.pack_link,
            value = line.value, vat_code = line.vat_code, predicted = line.predicted}
    end
    return lines
end

--- Sums by Khaos's idea of the payment.
---@param posting table
---@return table<string, integer>
function posted_lines.paid(posting)
    local sums = {}
    for _, payment in ipairs(posting.payments or {}) do
        local kind = payment.type == ACCOUNT and "account"
            or payment.preauth and "preauthorised" or "paid"
        local minor = errors.check(errors.check(money.decimal(payment.amount)):to_minor(
            posting.currency))
        sums[kind] = (sums[kind] or 0) + minor
    end
    return sums
end

return posted_lines
