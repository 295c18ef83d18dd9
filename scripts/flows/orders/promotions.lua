--- Every reduction must be declared: a rule says what it becomes in Khaos.
---
--- Rules are tried in order, the first match counts. `becomes`: "price" (the unit price is
--- lowered), "percent" (full price and line discount in percent where that is exact, else lowered
--- price), "free_line" (units at 0.00 get a free-item reason, others as percent), "delivery" (the
--- charge is simply lower), each also as "keycode+...".
local amounts = require("flows.orders.amounts")
local read = require("flows.orders.read")

local promotions = {}

local MATCH_FIELDS = {"category", "type", "code", "id", "campaign"}

local function matches(match, reduction)
    for _, field in ipairs(MATCH_FIELDS) do
        if match[field] ~= nil and match[field] ~= reduction[field] then
            return false
        end
    end
    return true
end

-- Codes of vouchers are often one per customer: one exception per kind, not per code. Promotions
-- are configured one by one.
local function subject_of(reduction)
    local category = reduction.category
    if category == "promotion" or category == "promotionCode" then
        return category .. " " .. (reduction.id or reduction.code or "without id")
    end
    return category .. (reduction.type and " " .. reduction.type or "")
end

local function describe(reduction)
    local name = reduction.name and string.format(" %q", reduction.name) or ""
    local code = reduction.code and " code " .. reduction.code or ""
    local id = reduction.id and " id " .. reduction.id or ""
    local amount = reduction.amount and " of " .. amounts.text(reduction.amount) or ""
    return string.format("%s%s%s%s%s%s", reduction.category,
        reduction.type and " " .. reduction.type or "", name, code, id, amount)
end

local function remember_keycode(work, rule, reduction)
    if not rule.becomes:find("^keycode%+") then
        return
    end
    local keycode = rule.keycode or reduction.code
    if not keycode then
        work.causes:add("unmapped_promotion", subject_of(reduction), string.format(
            "%s is declared with a keycode, but neither the rule nor the order names one",
            describe(reduction)))
        return
    end
    if not work.keycode then
        work.keycode = keycode
        work.trail:say("Keycode %s, from %s", keycode, describe(reduction))
    elseif work.keycode ~= keycode then
        work.trail:note("Keycode %s is left out: an order takes one, and %s came first", keycode,
            work.keycode)
    end
end

--- The rule of a reduction, or nil with the cause added.
---@param work table
---@param reduction table {category, type, code, id, campaign, amount, name}
---@return table|nil
function promotions.rule(work, reduction)
    for _, rule in ipairs(read.table(work.mappings, "promotions")) do
        if matches(rule.match, reduction) then
            remember_keycode(work, rule, reduction)
            return rule
        end
    end
    work.causes:add("unmapped_promotion", subject_of(reduction), string.format(
        "No rule says what %s becomes in Khaos", describe(reduction)))
    return nil
end

-- Reductions must explain the way from the listed price to the paid one; what they leave open is a
-- mechanic nobody declared. Whether `sale` counts below the listed price is not known: both are
-- accepted.
local function explain(unit)
    local total, sale = 0, 0
    for _, reduction in ipairs(unit.reductions) do
        reduction.amount = reduction.amount or 0
        total = total + reduction.amount
        if reduction.category == "sale" then
            sale = sale + reduction.amount
        end
    end
    unit.listed = unit.listed or unit.paid + total
    local open = unit.listed - unit.paid - total
    if open ~= 0 and open == -sale then
        unit.listed = unit.listed + sale
    elseif open ~= 0 and not unit.is_unreadable then
        unit.reductions[#unit.reductions + 1] = {category = "unexplained", amount = open}
    end
end

local function apply_rules(work, unit)
    local lowered, percents = 0, 0
    for _, reduction in ipairs(unit.reductions) do
        local rule = reduction.rule or promotions.rule(work, reduction)
        if rule then
            local becomes = rule.becomes:gsub("^keycode%+", "")
            if becomes == "free_line" and unit.final == 0 then
                unit.free_reason = unit.free_reason or rule.free_reason
            elseif becomes == "price" or reduction.amount < 0 then
                lowered = lowered + reduction.amount
            else
                percents = percents + 1
                unit.relative = percents == 1 and reduction.relative or nil
            end
        end
    end
    unit.base = unit.listed - lowered
    unit.wants_percent = percents > 0 and unit.base > unit.final
        and work.profile ~= nil and work.profile.reduced_amounts ~= "price"
end

--- Sets unit.final (what is paid once order-level reductions are off), unit.base (the price a
--- percentage counts from), unit.wants_percent and unit.free_reason. Needs unit.taken_off.
---@param work table
function promotions.apply(work)
    for _, unit in ipairs(work.units) do
        if unit.is_bundle then
            promotions.rule(work, {category = "bundle"})
        end
        explain(unit)
        unit.final = unit.paid
        for _, taken in ipairs(unit.taken_off or {}) do
            unit.final = unit.final - taken.amount
            unit.reductions[#unit.reductions + 1] = taken
        end
        if unit.final < 0 then
            work.causes:add("totals_do_not_tie", work.order_id, string.format(
                "More is taken off unit %s than its price of %s", unit.id,
                amounts.text(unit.paid)))
        end
        apply_rules(work, unit)
    end
end

local function is_seen(work, entry)
    for _, unit in ipairs(work.units) do
        for _, reduction in ipairs(unit.reductions) do
            if (entry.id and reduction.id == entry.id)
                or (entry.code and reduction.code == entry.code) then
                return true
            end
        end
    end
    return false
end

--- Promotions and vouchers named on the order that no reduction showed must be declared too.
---@param work table
function promotions.check_order_level(work)
    for _, promotion in ipairs(read.table(work.order, "promotion")) do
        local entry = {
            category = read.text(promotion, "code") and "promotionCode" or "promotion",
            id = read.text(promotion, "id"),
            code = read.text(promotion, "code"),
            name = read.text(promotion, "displayName"),
        }
        if (entry.id or entry.code) and not is_seen(work, entry) then
            promotions.rule(work, entry)
        end
    end
end

promotions.describe = describe

return promotions
