--- Khaos's own arithmetic for one order line (the vendor's calculation sheet 1.2), in integers.
---
---     gross class, g = gross unit price          net price, n = net unit price
---       disc  = R(q*g*d/100)                       disc  = R(q*n*d/100)
---       base  = R(R(q*g)/(1+v))                    net   = R(q*n - disc)
---       net   = R(base - disc/(1+v))               tax   = R(net*v)
---       tax   = R(q*g - disc - net)                gross = net + tax
---       gross = net + tax
---
--- R rounds to two decimals, halves away from zero. Whether the base is rounded on the way is not
--- settled by the vendor's rows; it moves only the split between net and tax, so it is a setting.
local amounts = require("flows.orders.amounts")

local predict = {}

local divide = amounts.divide
local MILLION = amounts.MILLION

---@class orders.PriceLine
---@field method "gross"|"net" which price is given; a net price is calculated net in any class
---@field quantity integer
---@field price integer unit price before discount, scaled
---@field decimals integer of the price, at least 2
---@field discount integer|nil hundredths of a percent
---@field discount_minor integer|nil or an amount off the line
---@field rate integer millionths
---@field gross_rounding "stepwise"|"end"|nil default stepwise

---@class orders.Predicted
---@field discount_minor integer
---@field net_minor integer
---@field tax_minor integer
---@field gross_minor integer

--- What Khaos will calculate for a line.
---@param line orders.PriceLine
---@return orders.Predicted
function predict.line(line)
    local scale = line.decimals == 2 and 1 or math.tointeger(10 ^ (line.decimals - 2))
    local value = line.quantity * line.price
    local discount = line.discount_minor or 0
    if line.discount and line.discount ~= 0 then
        discount = divide(value * line.discount, scale * 10000)
    end
    local net, tax
    if line.method == "net" then
        net = divide(value - discount * scale, scale)
        tax = divide(net * line.rate, MILLION)
    else
        local over = MILLION + line.rate
        if line.gross_rounding == "end" then
            net = divide((value - discount * scale) * MILLION, over * scale)
        else
            local base = divide(divide(value, scale) * MILLION, over)
            net = divide(base * over - discount * MILLION, over)
        end
        tax = divide(value - (discount + net) * scale, scale)
    end
    return {discount_minor = discount, net_minor = net, tax_minor = tax, gross_minor = net + tax}
end

--- The gross of `net` pennies at a rate: what a net line of that sum comes to.
---@param net integer
---@param rate integer
---@return integer
function predict.gross_of_net(net, rate)
    return net + divide(net * rate, MILLION)
end

--- What a written line will come to, read back from the texts that are sent.
---@param line table a line of a posting
---@param rate integer millionths, what its tax code stands for
---@param gross_rounding string|nil
---@return orders.Predicted
function predict.written(line, rate, gross_rounding)
    local text = line.price_net or line.price_gross
    local price, decimals = amounts.parse(text)
    return predict.line{
        method = line.price_net and "net" or "gross",
        quantity = line.quantity,
        price = price,
        decimals = decimals,
        discount = line.discount_percent and amounts.parse(line.discount_percent) or nil,
        discount_minor = line.value_discount and amounts.parse(line.value_discount) or nil,
        rate = rate,
        gross_rounding = gross_rounding,
    }
end

return predict
