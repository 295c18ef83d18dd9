--- A customer's return as a CustomerReturn of CReturnDownload (contract 8.10). The customer code
--- must exist in Khaos; each line names the order it comes from by our reference, and nothing else.
local json = require("neap.json")
local money = require("neap.money")

local return_document = {}

local HUNDREDTHS = 2

local function item(source, order_reference)
    return {
        SKU = source.sku,
        Mapping = json.array({{Mapping = "StockCode"}}),
        Quantity = source.quantity,
        ReturnReason = {ID = source.reason},
        ExtendedDescription = json.array({}),
        UnitPrice = {Gross = assert(money.decimal(source.unit_minor, HUNDREDTHS)):trim()},
        SourceReference = {SourceOrder = {AssociatedRef = order_reference}},
    }
end

---@class khaos.CloudReturn
---@field reference string ours, unique
---@field order_reference string of the order it comes from
---@field created string Khaos's clock, without an offset
---@field urn string
---@field address table InvoiceAddress of the order's document
---@field contact table InvoiceContact
---@field items {sku: string, quantity: integer, unit_minor: integer, reason: string}[]
---@field process boolean whether Khaos processes it at once

--- One CustomerReturn.
---@param source khaos.CloudReturn
---@return table
function return_document.build(source)
    local items = json.array({})
    for i, entry in ipairs(source.items) do
        items[i] = item(entry, source.order_reference)
    end
    return {
        AssociatedRef = source.reference,
        CreatedDate = source.created,
        URN = source.urn,
        InvoiceAddress = source.address,
        InvoiceContact = source.contact,
        ReturnedItems = items,
        ProcessReturn = source.process,
    }
end

return return_document
