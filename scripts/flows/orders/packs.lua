--- Packs: units that stand in Khaos as sets, a header line and its children. The header is 001.001;
--- its children are all 001.002 over SOAP (PACK_SORT_ORDER), and 001.002, 001.003 and on in Cloud
--- (PackLink).
---
--- Three mechanics can be one, each declared by a rule with becomes = "pack":
---
---     a promotion        the units it reduced hang under a header of `pack_code` at 0.00: the
---                        money stays on the units, so that each keeps its price and its VAT
---     configurable       items of one item group: the main item is the header, with its price
---     bundle             with `pack_key`, items whose bundle information has the same value there
---                        are the parts of one set, under a header of `pack_code` or of that value;
---                        without it, the item is the pack itself and Khaos makes the children
local promotions = require("flows.orders.promotions")
local read = require("flows.orders.read")

local packs = {}

local LAST_PLACE = 999
local SOAP_CHILD = 2

---@class orders.Pack
---@field id string
---@field code string|nil stock code of the header; nil: the main item is the header
---@field rule table
---@field counts table<string, integer> units by stock code
---@field sets integer|nil how many sets its units are; of one with a code
---@field number integer|nil once a line of it was written
---@field written integer lines so far

local function join(work, unit, rule, id, code)
    if unit.pack then
        work.trail:note("Unit %s stays in its first pack, not in %s too", unit.id, id)
        return
    end
    local pack = work.packs[id]
    if not pack then
        pack = {id = id, code = code, rule = rule, written = 0, counts = {}}
        work.packs[id] = pack
    end
    pack.counts[unit.sku or "?"] = (pack.counts[unit.sku or "?"] or 0) + 1
    unit.pack = pack
end

local function of_bundle(work, unit)
    if next(unit.bundle) == nil then
        return
    end
    local rule = promotions.rule(work, {category = "bundle"})
    if not rule or promotions.form(rule) ~= "pack" then
        return
    elseif not rule.pack_key then
        work.trail:note("Unit %s: %s is a pack, whose children Khaos makes", unit.id,
            unit.sku or "?")
        return
    end
    local set = read.text(unit.bundle, rule.pack_key)
    if set then
        join(work, unit, rule, "bundle " .. set, rule.pack_code or set)
    else
        work.causes:add("unmapped_promotion", "bundle without " .. rule.pack_key, string.format(
            "Item %s has bundle information, but no %s to tell its set by", unit.id,
            rule.pack_key))
    end
end

local function of_promotion(work, unit)
    local from = unit.pack_of
    if from then
        local reduction = from.reduction
        join(work, unit, from.rule, string.format("%s %s", reduction.category,
            reduction.id or reduction.code or reduction.type or ""), from.rule.pack_code)
    end
end

-- Item groups are packs where a rule says so; else their items are lines like others.
local function of_groups(work)
    local with_main = {}
    for _, unit in ipairs(work.units) do
        if unit.group and unit.is_main then
            with_main[unit.group] = true
        end
    end
    local rule = next(with_main) and promotions.find(work, {category = "configurable"})
    if not rule or promotions.form(rule) ~= "pack" then
        return
    end
    for _, unit in ipairs(work.units) do
        if unit.group and with_main[unit.group] then
            join(work, unit, rule, "item group " .. unit.group)
        end
    end
end

local function check_headers(work)
    for id, pack in pairs(work.packs) do
        if pack.code and not work.input.has_stock_code(pack.code) then
            work.causes:add("unknown_stock_code", pack.code, string.format(
                "Stock code %s (the pack header of %s) does not exist in Khaos", pack.code, id))
        end
    end
end

local function gcd(a, b)
    return b == 0 and a or gcd(b, a % b)
end

local function size_of(pack)
    return (pack.rule.pack_sizes or {})[pack.code] or pack.rule.pack_units
end

-- How many sets the units of a pack are. Nothing on an order tells the sets of one promotion or of
-- one composite product apart: it is what the rule says one holds, else only sure when each set has
-- one of each. The parts of a composite product are always the same, so what has no common divisor
-- is one set. Nil: it cannot be told; two of one code may be one set of two.
local function sets_of(pack)
    local units, codes, common, is_even = 0, 0, 0, true
    for _, count in pairs(pack.counts) do
        is_even = is_even and (common == 0 or count == common)
        units, codes, common = units + count, codes + 1, gcd(common, count)
    end
    local size = size_of(pack)
    if size then
        return units % size == 0 and units // size or nil
    elseif pack.rule.match.category == "bundle" and common == 1 then
        return 1
    end
    return is_even and (codes > 1 or units == 1) and common or nil
end

local function counts_text(pack)
    local words = {}
    for code, count in pairs(pack.counts) do
        words[#words + 1] = string.format("%d x %s", count, code)
    end
    return table.concat(words, ", ")
end

local function count_sets(work)
    for id, pack in pairs(work.packs) do
        pack.sets = pack.code and sets_of(pack)
        if pack.code and not pack.sets then
            work.causes:add("unmapped_promotion", "sets of " .. id, string.format(
                "How many sets (%s) %s are cannot be told: %s", pack.code, counts_text(pack),
                size_of(pack) and string.format("a set has %d units", size_of(pack))
                    or "the rule declares no pack_units or pack_sizes"))
        end
    end
end

--- Sets unit.pack where a rule makes one, or adds causes. Needs promotions.apply.
---@param work table
function packs.assign(work)
    work.packs, work.pack_count = {}, 0
    for _, unit in ipairs(work.units) do
        of_bundle(work, unit)
        of_promotion(work, unit)
    end
    of_groups(work)
    check_headers(work)
    count_sets(work)
end

--- The place of the next line of a pack: "001.001" is its header. Nil, with the cause added, beyond
--- what Khaos can number.
---@param work table
---@param pack orders.Pack
---@return string|nil
function packs.next_place(work, pack)
    if not pack.number then
        work.pack_count = work.pack_count + 1
        pack.number = work.pack_count
    end
    pack.written = pack.written + 1
    local is_cloud = read.text(read.table(work.settings, "khaos"), "kind") == "cloud"
    local place = is_cloud and pack.written or math.min(pack.written, SOAP_CHILD)
    if pack.number > LAST_PLACE or place > LAST_PLACE then
        work.causes:add("unmapped_promotion", "packs of order " .. work.order_id, string.format(
            "Order %s has more packs, or lines in one, than the %d that Khaos can number",
            work.order_id, LAST_PLACE))
        return nil
    end
    return string.format("%03d.%03d", pack.number, place)
end

--- Groups of lines with those of one pack together, its main item first.
---@param groups table[] each with `first`, a unit
---@return table[]
function packs.together(groups)
    local result, done = {}, {}
    local function take(pack, is_main)
        for _, group in ipairs(groups) do
            if group.first.pack == pack and group.first.is_main == is_main then
                result[#result + 1] = group
            end
        end
    end
    for _, group in ipairs(groups) do
        local pack = group.first.pack
        if not pack then
            result[#result + 1] = group
        elseif not done[pack] then
            done[pack] = true
            take(pack, true)
            take(pack, false)
        end
    end
    return result
end

return packs
