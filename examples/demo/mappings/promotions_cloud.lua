-- The same on Khaos Control Cloud, which takes amounts off a line and off the order, and discount
-- codes as references.
local OWN = {
    WELCOME10 = "discount_code+value_discount",
    BOTTLE3 = "discount_code+value_discount",
    ["6650c100c2d04e7b9a550951"] = "value_discount",
}

local rules = {}
for i, rule in ipairs(require("mappings.promotions")) do
    rules[i] = {}
    for key, value in pairs(rule) do
        rules[i][key] = value
    end
    rules[i].becomes = OWN[rule.match.code or rule.match.id] or rule.becomes
end

return rules
