--- One stock item of Khaos Control with all that a new variant in a shop may need of it
--- (ExportStock, contract 3.4).
local stock_export = require("connectors.khaos_soap.stock_export")
local xml = require("neap.xml")

local stock_item = {}

---@class khaos.StockItem
---@field code string
---@field parent_code string|nil
---@field description string|nil
---@field other_ref string|nil
---@field barcodes string[]
---@field sell_price string|nil as Khaos writes it
---@field sell_price_is_net boolean
---@field sell_price_web string|nil overrides the selling price; net or gross as that
---@field vat_rate string|nil a percentage
---@field user table<string, string> user-defined attributes
---@field deleted boolean not for the web
---@field discontinued boolean

local function filled(text)
    return text and text ~= "" and text or nil
end

local function truth(text)
    return text == "-1" or text == "1"
end

local function item_of(node, parent)
    local price = xml.child(node, "SELL_PRICE")
    local inherited = parent and xml.child(parent, "SELL_PRICE")
    local is_net = price and price.attrs.IS_NET or inherited and inherited.attrs.IS_NET
    local item = {code = xml.value(node, "STOCK_CODE"), user = {}, barcodes = {},
        parent_code = parent and xml.value(parent, "STOCK_CODE") or nil,
        description = filled(xml.value(node, "STOCK_DESC")),
        other_ref = filled(xml.value(node, "ASSOCIATED_REF")),
        sell_price = price and filled(price.text), sell_price_is_net = truth(is_net),
        sell_price_web = filled(xml.value(node, "SELL_PRICE_WEB")),
        vat_rate = filled(xml.value(node, "VAT_RATE")),
        deleted = truth(xml.value(node, "DELETED")),
        discontinued = truth(xml.value(node, "DISCONTINUED"))}
    for _, child in ipairs(xml.children(node, "USER_DEFINED")) do
        item.user[child.attrs.NAME or ""] = filled(child.text)
    end
    local barcodes = xml.child(node, "BARCODES")
    for _, child in ipairs(barcodes and xml.children(barcodes, "BARCODE") or {}) do
        item.barcodes[#item.barcodes + 1] = filled(child.text)
    end
    return item
end

local function export(khaos, asked, code)
    local found = false
    local ok, err = stock_export.each(khaos, {asked}, function(node, parent)
        if not found and xml.value(node, "STOCK_CODE") == code then
            found = item_of(node, parent)
        end
    end)
    if not ok then
        return nil, err
    end
    return found
end

--- The item, spelt exactly so; false when Khaos does not export it, by itself or below its parent.
---@async
---@param khaos khaos.Client
---@param code string
---@param parent_code string|nil as the list of codes has it
---@return khaos.StockItem|false|nil
---@return neap.Error|nil
function stock_item.read(khaos, code, parent_code)
    local item, err = export(khaos, code, code)
    if item == false and parent_code then
        item, err = export(khaos, parent_code, code)
    end
    if item then
        item.parent_code = parent_code or item.parent_code
    end
    return item, err
end

return stock_item
