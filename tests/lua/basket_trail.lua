-- Re-adds the penny trail of a posting from its readable lines alone: SCAYLE's figures, Khaos's
-- figures and the named rounding must sum up without anything else.
local rule = require("khaos_rule")

local trail = {}

local pennies = rule.pennies

local function add(sums, key, figure)
    if figure then
        sums[key] = sums[key] + pennies(figure)
    end
end

-- "  Khaos: ... net 37.50, VAT 7.50, gross 45.00", or with the sums that led there.
local function read_khaos(sums, line)
    local net, tax, gross = line:match("net ([^,]*), VAT ([^,]*), gross (%S+)$")
    if gross then
        net = net:match("= (%S+)$") or net
        tax = tax:match("= (%S+)$") or tax
        assert(pennies(net) + pennies(tax) == pennies(gross), "odd sum: " .. line)
    end
    add(sums, "khaos", gross)
end

-- What one line of the trail adds to which sum.
local function read(sums, line)
    if line:find("^  Khaos:") then
        read_khaos(sums, line)
    elseif line:find("^  ") then
        add(sums, "open", line:match("(%d+%.%d%d) open for rounding$"))
    elseif line:find("^line ") then
        add(sums, "shop", line:match(" = (%d+%.%d%d) gross")
            or line:match(", (%d+%.%d%d) gross$"))
        add(sums, "rounding", line:match(" ROUNDING: rounding of (%d+%.%d%d), zero%-rated"))
    elseif line:find("^Delivery: ") then
        add(sums, "delivery", line:match("DELIVERY_GRS (%d+%.%d%d)")
            or line:match(" = (%d+%.%d%d)$"))
    elseif line:find("^Khaos total: ") then
        local parts, whole = line:match("^Khaos total: (.*) = (%S+), the order's total$")
        add(sums, "total", whole)
        for part in parts:gmatch("%d+%.%d%d") do
            add(sums, "parts", part)
        end
    end
end

--- Raises when the trail of a posting does not sum up to the order's total.
function trail.check(order, result)
    local sums = {shop = 0, khaos = 0, open = 0, rounding = 0, delivery = 0, parts = 0,
        total = 0}
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
