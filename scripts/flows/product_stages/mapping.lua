--- What of a Khaos item becomes what of a variant in SCAYLE: the client's mappings/products.lua.
---
---     return {
---         product = {field = "parent_code"},
---         ean = {field = "other_ref", required = true},
---         prices = {{country = "GB", currency = "GBP", field = "sell_price"},
---             {country = "DE", currency = "EUR", field = "user:Price EUR", tax = "19"}},
---     }
local mapping = {}

local FIELDS = "parent_code, code, other_ref, barcode, sell_price, sell_price_web, or user:NAME"

local function field(of)
    return {type = "string", required = true, check = function(value)
        if of[value] or value:find("^user:.") then
            return nil
        end
        return "expected one of " .. FIELDS .. " that can be one here"
    end}
end

local PERCENT = {type = "string", pattern = "^%d+%.?%d*$", hint = "a percentage such as \"20\""}

mapping.schema = {type = "record", fields = {
    sku = {type = "record", fields = {
        pattern = {type = "string", required = true, help = "Lua pattern of a whole stock code"},
        hint = {type = "string", required = true, help = "what it says, for people"},
    }},
    product = {type = "record", required = true, fields = {
        field = field({parent_code = true, code = true, other_ref = true}),
        prefix = {type = "string", default = "", help = "before the field's value"},
    }, help = "the reference key of the product in SCAYLE that the variant belongs to"},
    ean = {type = "record", fields = {
        field = field({other_ref = true, barcode = true, code = true}),
        required = {type = "boolean", default = false},
    }},
    prices = {type = "list", min = 1, required = true, items = {type = "record", fields = {
        country = {type = "string", required = true, pattern = "^%u%u$", hint = "such as \"GB\""},
        currency = {type = "string", required = true, pattern = "^%u%u%u$",
            hint = "such as \"GBP\""},
        field = field({sell_price = true, sell_price_web = true}),
        is_net = {type = "boolean", help = "of user: fields; Khaos says it of its own prices"},
        tax = PERCENT,
    }}},
    approve = {type = "list", items = {type = "string"}, default = {},
        help = "codes that begin so need no person's approval (mode \"propose\")"},
}}

return mapping
