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
---
--- Sets of which units were cancelled are broken: what is left of them are lines of their own.
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
---@field gone table<string, integer> those that were cancelled, which are not among them
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
        pack = {id = id, code = code, rule = rule, written = 0, counts = {}, gone = {}}
        work.packs[id] = pack
    end
    pack.counts[unit.sku or "?"] = (pack.counts[unit.sku or "?"] or 0) + 1
    unit.pack = pack
end

local function bundle_id(set)
    return "bundle " .. set
end

local function promotion_id(reduction)
    return string.format("%s %s", read.text(reduction, "category") or "unknown",
        read.text(reduction, "id") or read.text(reduction, "code")
            or read.text(reduction, "type") or "")
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
        join(work, unit, rule, bundle_id(set), rule.pack_code or set)
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
        join(work, unit, from.rule, promotion_id(reduction), from.rule.pack_code)
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
    promotions.rule(work, {category = "configurable"}) -- a mechanic of the order, like others
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

-- The pack that a cancelled item was in, when units of it are left.
local function pack_of_gone(work, item)
    for _, reduction in ipairs(read.table(item, "price", "appliedReductions")) do
        local pack = work.packs[promotion_id(reduction)]
        if pack then
            return pack
        end
    end
    for _, pack in pairs(work.packs) do
        local set = pack.rule.pack_key
            and read.text(read.table(item, "merchantAdditionalData"), pack.rule.pack_key)
        if set and pack.id == bundle_id(set) then
            return pack
        end
    end
    return nil
end

local function count_gone(work)
    local is_left = {}
    for _, item in ipairs(read.table(work.order, "items")) do
        is_left[read.text(item, "id") or ""] = true
    end
    for _, item in ipairs(read.table(work.input.whole, "items")) do
        local pack = not is_left[read.text(item, "id") or ""] and pack_of_gone(work, item)
        if pack then
            local sku = read.text(read.table(item, "variant"), "referenceKey") or "?"
            pack.gone[sku] = (pack.gone[sku] or 0) + 1
        end
    end
end

-- How many sets the units of a pack are. Nothing on an order tells the sets of one promotion or of
-- one composite product apart: it is what the rule says one holds, else only sure when each set has
-- one of each. The parts of a composite product are always the same, so what has no common divisor
-- is one set. Nil: it cannot be told; two of one code may be one set of two.
local function sets_of(pack, counts)
    local units, codes, common, is_even = 0, 0, 0, true
    for _, count in pairs(counts) do
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

local function counts_text(counts)
    local words = {}
    for code, count in pairs(counts) do
        words[#words + 1] = string.format("%d x %s", count, code)
    end
    table.sort(words)
    return table.concat(words, ", ")
end

local function tell_uncounted(work, pack)
    work.causes:add("unmapped_promotion", "sets of " .. pack.id, string.format(
        "How many sets (%s) %s are cannot be told: %s", pack.code, counts_text(pack.counts),
        size_of(pack) and string.format("a set has %d units", size_of(pack))
            or "the rule declares no pack_units or pack_sizes"))
end

-- Whole sets that are left of those there were; nil: they are broken, or nobody can tell.
local function sets_left(pack)
    local whole, left = {}, nil
    for _, counts in ipairs({pack.counts, pack.gone}) do
        for code, count in pairs(counts) do
            whole[code] = (whole[code] or 0) + count
        end
    end
    local sets = sets_of(pack, whole)
    for code, count in pairs(whole) do
        local each = sets and count % sets == 0 and count // sets
        local of_code = each and (pack.counts[code] or 0) / each
        if not each or left and left ~= of_code then
            return nil
        end
        left = of_code
    end
    return math.tointeger(left)
end

-- The money is on the units: they lose nothing but their header.
local function break_up(work, pack)
    work.packs[pack.id] = nil
    for _, unit in ipairs(work.units) do
        unit.pack = unit.pack ~= pack and unit.pack or nil
    end
    work.trail:note("Units of %s (%s) were cancelled: %s are lines of their own", pack.code,
        pack.id, counts_text(pack.counts))
end

local function in_order(packs_by_id)
    local list = {}
    for _, pack in pairs(packs_by_id) do
        list[#list + 1] = pack
    end
    table.sort(list, function(one, other)
        return one.id < other.id
    end)
    return list
end

local function count_sets(work)
    for _, pack in ipairs(in_order(work.packs)) do
        if not pack.code then
            pack.sets = nil -- the main item is the header
        elseif next(pack.gone) then
            pack.sets = sets_left(pack)
        else
            pack.sets = sets_of(pack, pack.counts)
        end
        if pack.code and not pack.sets and next(pack.gone) then
            break_up(work, pack)
        elseif pack.code and not pack.sets then
            tell_uncounted(work, pack)
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
    count_gone(work)
    count_sets(work)
    check_headers(work)
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
