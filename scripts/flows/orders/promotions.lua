--- Every reduction must be declared: a rule says what it becomes in Khaos.
---
--- Rules are tried in order, the first match counts. `becomes`:
---
---     price           the unit price is lowered
---     percent         full price and line discount in percent where that is exact, else price
---     free_line       units at 0.00 get a free-item reason, others as percent
---     pack            price, and the units stand under a pack header (flows.orders.packs)
---     value_discount  full price and an amount off, of the line or of the order (Cloud only)
---     delivery        the charge is simply lower
---
--- each also as "keycode+..." or, Cloud only, "discount_code+...", which names the code on the
--- order as a reference: Khaos calculates nothing from it.
local amounts = require("flows.orders.amounts")
local read = require("flows.orders.read")

local promotions = {}

local MATCH_FIELDS = {"category", "type", "code", "id", "campaign"}

--- Whether reductions of this category come of a promotion, which has an effect.
---@param category string
---@return boolean
function promotions.has_effect(category)
    return category == "promotion" or category == "promotionCode"
end

-- Orders do not show the effect of a promotion (contract 2.5, 2.6): the client declares it by the
-- promotion's id or code. Nil: it has none; false: it has one, which nobody declared.
local function effect_of(work, reduction)
    if reduction.category == "free_shipping" then
        return "free_shipping"
    elseif not promotions.has_effect(reduction.category) then
        return nil
    end
    local declared = read.table(work.mappings, "effects")
    return declared[reduction.id or ""] or declared[reduction.code or ""] or false
end

-- Whether a rule matches; nil when only the effect that nobody declared can tell.
local function matches(match, reduction, effect)
    for _, field in ipairs(MATCH_FIELDS) do
        if match[field] ~= nil and match[field] ~= reduction[field] then
            return false
        end
    end
    if match.effect and effect == false then
        return nil
    end
    return match.effect == nil or match.effect == effect
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

-- "keycode+price" taken apart, once per word: every reduction of every unit asks.
local parts = setmetatable({}, {__index = function(known, becomes)
    local reference, form = becomes:match("^([%a_]+)%+(.*)$")
    known[becomes] = {reference = reference, form = form or becomes}
    return known[becomes]
end})

--- What a rule makes of the money, without the reference before it.
---@param rule table
---@return string
function promotions.form(rule)
    return parts[rule.becomes].form
end

local KEYCODE_MAX = 30 -- KEYCODE_CODE: a longer one has Khaos refuse the order (khaos 5.2)

local function reference_of(work, rule, reduction)
    local code = rule.keycode or reduction.code
    local length = code and (utf8.len(code) or #code) or 0
    if parts[rule.becomes].reference == "keycode" and length > KEYCODE_MAX then
        work.causes:add("unmapped_promotion", subject_of(reduction), string.format(
            "%s is declared with a keycode, and its code has %d characters where Khaos takes %d: "
                .. "name one in the rule (keycode)", describe(reduction), length, KEYCODE_MAX))
        return nil
    elseif not code then
        work.causes:add("unmapped_promotion", subject_of(reduction), string.format(
            "%s is declared with a %s, but neither the rule nor the order names one",
            describe(reduction), (parts[rule.becomes].reference:gsub("_", " "))))
    end
    return code
end

local function remember_keycode(work, rule, reduction)
    local keycode = reference_of(work, rule, reduction)
    if not keycode then
        return
    elseif not work.keycode then
        work.keycode = keycode
        work.trail:say("Keycode %s, from %s", keycode, describe(reduction))
    elseif work.keycode ~= keycode then
        work.trail:note("Keycode %s is left out: an order takes one, and %s came first", keycode,
            work.keycode)
    end
end

local function remember_discount_code(work, rule, reduction)
    local code = reference_of(work, rule, reduction)
    for _, known in ipairs(work.discount_codes) do
        if known == code then
            return
        end
    end
    if code then
        table.insert(work.discount_codes, code)
        work.trail:say("Discount code %s, from %s", code, describe(reduction))
    end
end

-- What the order was reduced by, one entry per mechanic, for reports and for the staging rules. The
-- order as a whole names no campaign: what it says is the entry of the first unit that says it too.
local function mechanic_of(work, rule, reduction, of)
    local name = reduction.category .. "\0" .. (reduction.type or "") .. "\0"
        .. (reduction.id or "") .. "\0" .. (reduction.code or "")
    local group = work.mechanics[name] or {units = 0, order = 0, list = {}}
    work.mechanics[name] = group
    for _, known in ipairs(group.list) do
        local entry = known.entry
        local is_same = entry.becomes == rule.becomes and (of == "order" or known.is_open
            or entry.campaign == reduction.campaign)
        if is_same then
            entry.campaign = entry.campaign or reduction.campaign
            known.is_open = known.is_open and of == "order"
            return known, group
        end
    end
    local known = {units = 0, is_open = of == "order", entry = {category = reduction.category,
        type = reduction.type, id = reduction.id, code = reduction.code,
        effect = effect_of(work, reduction) or nil, campaign = reduction.campaign,
        becomes = rule.becomes, amount_minor = 0}}
    table.insert(group.list, known)
    table.insert(work.trail.data.mechanics, known.entry)
    return known, group
end

-- The order as a whole may say again what its units say, or say it alone.
local function count(work, rule, reduction, of, amount)
    local known, group = mechanic_of(work, rule, reduction, of)
    group[of] = group[of] + amount
    known.units = known.units + (of == "units" and amount or 0)
    known.entry.amount_minor = known.units
    local first = group.list[1]
    first.entry.amount_minor = first.units + math.max(0, group.order - group.units)
end

--- A unit's share of what was taken off the order as a whole.
---@param work table
---@param reduction table with its rule
---@param amount integer
function promotions.count_share(work, reduction, amount)
    count(work, reduction.rule, reduction, "units", amount)
end

--- The first rule that matches, nil when there is none or it cannot be told; nothing is remembered.
---@param work table
---@param reduction table
---@return table|nil rule
---@return boolean|nil is_open the effect of the promotion would tell, and nobody declared it
function promotions.find(work, reduction)
    local effect = effect_of(work, reduction)
    for _, rule in ipairs(read.table(work.mappings, "promotions")) do
        local fits = matches(rule.match, reduction, effect)
        if fits ~= false then
            return fits and rule or nil, fits == nil
        end
    end
    return nil
end

--- The rule of a reduction, or nil with the cause added.
---@param work table
---@param reduction table {category, type, code, id, campaign, amount, name}
---@param of "units"|"order"|nil what says it: a unit (the default), or the order as a whole
---@return table|nil
function promotions.rule(work, reduction, of)
    local rule, is_open = promotions.find(work, reduction)
    if not rule then
        work.causes:add("unmapped_promotion", subject_of(reduction), string.format(is_open
            and "A rule goes by the effect of %s, which mappings.effects does not declare"
            or "No rule says what %s becomes in Khaos", describe(reduction)))
        return nil
    end
    local reference = parts[rule.becomes].reference
    if reference == "keycode" then
        remember_keycode(work, rule, reduction)
    elseif reference == "discount_code" then
        remember_discount_code(work, rule, reduction)
    end
    count(work, rule, reduction, of or "units", reduction.amount or 0)
    return rule
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

local APPLY = {}

function APPLY.price(_, _, reduction)
    return reduction.amount
end

function APPLY.delivery(_, _, reduction)
    return reduction.amount -- of a unit, there is no charge to lower
end

function APPLY.pack(unit, rule, reduction)
    unit.pack_of = unit.pack_of or {rule = rule, reduction = reduction}
    return reduction.amount
end

function APPLY.free_line(unit, rule, reduction)
    if unit.final == 0 then
        unit.free_reason = unit.free_reason or rule.free_reason
        return 0
    end
    return APPLY.percent(unit, rule, reduction)
end

function APPLY.percent(unit, _, reduction)
    unit.percents = unit.percents + 1
    unit.relative = unit.percents == 1 and reduction.relative or nil
    return 0
end

-- Under net calculation the amount off a line counts net (khaos 8.5), which SCAYLE does not tell.
function APPLY.value_discount(unit, _, reduction, work)
    if work.profile and work.profile.calc == "net" then
        work.trail:note("%s of unit %s lowers its price: this order is priced net, and an amount "
            .. "off a line would count net", promotions.describe(reduction), unit.id)
    end
    unit.wants_value = true
    return 0
end

local function apply_rules(work, unit)
    local lowered = 0
    unit.percents = 0
    for _, reduction in ipairs(unit.reductions) do
        local rule = reduction.rule or promotions.rule(work, reduction)
        if rule and reduction.amount < 0 then
            lowered = lowered + reduction.amount
        elseif rule then
            lowered = lowered + APPLY[promotions.form(rule)](unit, rule, reduction, work)
        end
    end
    unit.base = unit.listed - lowered
    local is_reduced = unit.base > unit.final
    unit.wants_value = unit.wants_value and is_reduced
    unit.wants_percent = unit.percents > 0 and is_reduced and not unit.wants_value
        and work.profile ~= nil and work.profile.reduced_amounts ~= "price"
end

--- Sets unit.final (what is paid once order-level reductions are off), unit.base (the price a
--- percentage or an amount counts from), unit.wants_percent, unit.wants_value, unit.free_reason and
--- unit.pack_of. Needs unit.taken_off.
---@param work table
function promotions.apply(work)
    for _, unit in ipairs(work.units) do
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
    for _, promotion in ipairs(read.either(work.order, "promotions", "promotion")) do
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
