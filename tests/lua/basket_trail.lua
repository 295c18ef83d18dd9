-- Re-adds the penny trail of a posting from its readable lines alone: SCAYLE's figures, Khaos's
-- figures and the named rounding must sum up without anything else.
local rule = require("khaos_rule")

local trail = {}

local pennies = rule.pennies

local KHAOS_LINE = "^  Khaos: .*net (.-), VAT (.-), gross (%S+)$"

-- What one line of the trail adds to which sum.
local function read(sums, line)
    local figure = line:match("^line .* = (%d+%.%d%d) gross") or line:match(", (%d+%.%d%d) gross$")
    if figure and line:find("^line ") then
        sums.shop = sums.shop + pennies(figure)
        return
    end
    local net, tax, gross = line:match(KHAOS_LINE)
    if gross then
        net = net:match("= (%S+)$") or net
        tax = tax:match("= (%S+)$") or tax
        assert(pennies(net) + pennies(tax) == pennies(gross), "odd sum: " .. line)
        sums.khaos = sums.khaos + pennies(gross)
        return
    end
    figure = line:match("(%d+%.%d%d) open for rounding$")
    if figure then
        sums.open = sums.open + pennies(figure)
    end
    figure = line:match("^line %d+ ROUNDING: rounding of (%d+%.%d%d), zero%-rated")
    if figure then
        sums.rounding = sums.rounding + pennies(figure)
    end
    figure = line:match("^Delivery: .*DELIVERY_GRS (%d+%.%d%d)")
        or line:match("^Delivery: .* = (%d+%.%d%d)$")
    if figure then
        sums.delivery = pennies(figure)
    end
    local parts, whole = line:match("^Khaos total: (.*) = (%S+), the order's total$")
    if parts then
        sums.total = pennies(whole)
        for part in parts:gmatch("%d+%.%d%d") do
            sums.parts = sums.parts + pennies(part)
        end
    end
end

--- Raises when the trail of a posting does not sum up to the order's total.
function trail.check(order, result)
    local sums = {shop = 0, khaos = 0, open = 0, rounding = 0, parts = 0}
    for _, line in ipairs(result.trail.lines) do
        read(sums, line)
    end
    local total = order.cost.withTax
    assert(sums.total == total and sums.parts == total, "the trail's proof does not add up")
    assert(sums.shop + sums.delivery == total, "the trail's SCAYLE figures do not sum up")
    assert(sums.khaos + sums.rounding + sums.delivery == total,
        "the trail's Khaos figures do not sum up")
    assert(sums.open == sums.rounding, "the trail leaves pennies unexplained")
    assert((result.trail.data.rounding_minor or 0) == sums.rounding)
end

return trail
