--- Units become order lines; lines remember their units.
local amounts = require("flows.orders.amounts")
local json = require("neap.json")
local packs = require("flows.orders.packs")
local represent = require("flows.orders.represent")
local worth = require("flows.orders.worth")

local lines = {}

local text = amounts.text

local EXTENDED_MAX = 150 -- characters of one line of EXTENDED_DESC
local DESCRIPTION_MAX = 250

local function signature(unit)
    local parts = {unit.sku, unit.rate or "", unit.final, unit.base, unit.listed,
        unit.free_reason or "", unit.wants_percent and "%" or "", unit.group or "",
        unit.pack and unit.pack.id .. (unit.is_main and "\1" or "") or "",
        -- Whether Khaos takes an amount per line or per unit is not known (contract 11.15): a line
        -- of one unit comes to the same.
        unit.wants_value and unit.id or "",
        unit.texts and table.concat(unit.texts, "\1") or ""}
    local n = #parts
    for _, reduction in ipairs(unit.reductions) do
        parts[n + 1] = reduction.category
        parts[n + 2] = reduction.id or reduction.code or ""
        parts[n + 3] = reduction.amount
        n = n + 3
    end
    return table.concat(parts, "\0")
end

-- Units that agree in everything that shows on a line, in the order of their first unit.
local function group_units(units)
    local groups, by_signature = {}, {}
    for _, unit in ipairs(units) do
        local key = signature(unit)
        local group = by_signature[key]
        if not group then
            group = {first = unit, ids = {}, units = {}}
            by_signature[key] = group
            groups[#groups + 1] = group
        end
        group.ids[#group.ids + 1] = unit.id
        group.units[#group.units + 1] = unit
    end
    return groups
end

local function cut(value, limit)
    local length = utf8.len(value)
    if (length or #value) <= limit then
        return value
    end
    local stop = length and utf8.offset(value, limit + 1) or limit + 1
    return value:sub(1, stop - 1)
end

local function extended(texts)
    if not texts then
        return nil
    end
    local list = {}
    for _, value in ipairs(texts) do
        for row in value:gmatch("[^\r\n]+") do
            while #row > 0 do
                local head = cut(row, EXTENDED_MAX)
                list[#list + 1] = head
                row = row:sub(#head + 1)
            end
        end
    end
    return list
end

local function method_of(work, rate)
    local profile = work.profile
    if profile.calc == "gross"
        and (rate == work.standard_rate or profile.non_standard_lines == "gross") then
        return "gross"
    end
    return "net"
end

-- The standard rate of a gross class is the stock item's own; anything else says its code.
local function tax_code(work, rate, tax)
    local profile = work.profile
    if profile.calc == "gross" and rate == work.standard_rate
        and not profile.send_standard_code then
        return nil
    end
    return tax.code
end

local function written_line(work, line, about)
    local price = amounts.price_text(line.price, line.decimals)
    return {
        stock_code = about.sku,
        description = about.name and cut(about.name, DESCRIPTION_MAX) or nil,
        extended = extended(about.texts),
        quantity = line.quantity,
        price_gross = line.method == "gross" and price or nil,
        price_net = line.method == "net" and price or nil,
        tax_code = tax_code(work, line.rate, about.tax),
        vat_code = about.tax and about.tax.code, -- what the line's tax is, said or not
        discount_percent = line.discount and text(line.discount) or nil,
        value_discount = line.discount_minor and text(line.discount_minor) or nil,
        full_gross_minor = not line.discount and line.method == "gross" and about.full or nil,
        free_reason = about.free_reason,
        import_ref = about.import_ref,
        pack_link = about.pack,
        unit_ids = about.ids or json.array({}),
        kind = about.kind,
        predicted = line.predicted,
    }
end

local function add_line(work, line, about)
    local entry = written_line(work, line, about)
    entry.value = worth.of_line(entry, about)
    if entry.value.order_discount_minor > 0 then
        entry.order_discount_minor = entry.value.order_discount_minor
        entry.value.order_discount_net_minor = amounts.net_of(entry.order_discount_minor, line.rate)
    end
    work.lines[#work.lines + 1] = {entry = entry, rate = line.rate, line = line, about = about}
    return entry
end

local function reductions_text(unit)
    local words = {}
    for _, reduction in ipairs(unit.reductions) do
        words[#words + 1] = string.format("%s%s -%s", reduction.category,
            reduction.code and " " .. reduction.code or "", text(reduction.amount))
    end
    return #words > 0 and string.format(" (listed %s, %s)", text(unit.listed),
        table.concat(words, ", ")) or ""
end

local function khaos_text(line)
    local p = line.predicted
    local price = amounts.price_text(line.price, line.decimals)
    local off = line.discount and string.format(" less %s%% = %s", text(line.discount),
        text(p.discount_minor)) or ""
    if line.discount_minor then
        off = string.format(" less %s", text(line.discount_minor))
    end
    if line.method == "net" then
        return string.format("Khaos: net R(%d x %s%s) = %s, VAT R(%s x %s) = %s, gross %s",
            line.quantity, price, off, text(p.net_minor), text(p.net_minor),
            amounts.rate_text(line.rate), text(p.tax_minor), text(p.gross_minor))
    end
    return string.format("Khaos: base R(%d x %s / %s)%s, net %s, VAT %s, gross %s", line.quantity,
        price, amounts.rate_text(amounts.MILLION + line.rate), off,
        text(p.net_minor), text(p.tax_minor), text(p.gross_minor))
end

local function say_open(work, gross, rate, open)
    if open > 0 then
        work.trail:say("  %s cannot be reached as a net price at %s; %s open for rounding",
            text(gross), amounts.percent_text(rate), text(open))
    end
end

local function say_group(work, group, pieces, open)
    local unit = group.first
    local count = #group.ids
    local last = #work.lines
    work.trail:say("line %s %s: %d unit%s (%s) x %s%s = %s gross%s",
        #pieces > 1 and string.format("%d to %d", last - #pieces + 1, last) or last, unit.sku,
        count, count > 1 and "s" or "", table.concat(group.ids, ", "), text(unit.final),
        reductions_text(unit), text(count * unit.final),
        unit.free_reason and ", free: " .. unit.free_reason or "")
    for _, line in ipairs(pieces) do
        work.trail:say("  %s", khaos_text(line))
    end
    if #pieces > 1 then
        work.trail:say("  in %d lines, because one net price does not come to %s", #pieces,
            text(count * unit.final))
    end
    say_open(work, count * unit.final, unit.rate, open)
end

local function want_of(work, unit, quantity)
    return {
        method = method_of(work, unit.rate),
        quantity = quantity,
        paid = unit.final,
        base = unit.base,
        percent = unit.wants_percent,
        value = unit.wants_value,
        relative = unit.relative,
        rate = unit.rate,
        gross_rounding = work.profile.gross_rounding,
    }
end

local function slice(list, first, count)
    local part = {}
    for i = first, first + count - 1 do
        part[#part + 1] = list[i]
    end
    return part
end

local function unreachable(work, unit, count)
    work.causes:add("totals_do_not_tie", work.order_id, string.format(
        "No Khaos line of %d x %s comes near %s at %s", count, unit.sku,
        text(count * unit.final), amounts.percent_text(unit.rate)))
end

-- Sets the lines a group is written as, and what they leave open.
local function shape(work, group)
    local unit, count = group.first, #group.ids
    if count * math.max(unit.base, unit.final) <= amounts.MAX_MINOR then
        group.pieces, group.open = represent.lines(want_of(work, unit, count))
    end
    return group
end

-- Whether units want the same percentage off the same price, which is when a line can say so.
local function agree(units)
    for _, unit in ipairs(units) do
        if not unit.wants_percent or unit.base ~= units[1].base then
            return false
        end
    end
    return true
end

-- One group of all the units; what they do not agree in is left out of its line.
local function joined(work, pool)
    local unit, ids, units = {}, {}, {}
    for key, value in pairs(pool[1].first) do
        unit[key] = value
    end
    for _, group in ipairs(pool) do
        table.move(group.ids, 1, #group.ids, #ids + 1, ids)
        table.move(group.units, 1, #group.units, #units + 1, units)
        if reductions_text(group.first) ~= reductions_text(pool[1].first) then
            unit.reductions = {}
        end
    end
    if not agree(units) then
        unit.wants_percent, unit.base = false, unit.final
    end
    return shape(work, {first = unit, ids = ids, units = units, is_joined = true})
end

local function open_of(pool)
    local open = 0
    for _, group in ipairs(pool) do
        open = open + (group.open or 0)
    end
    return open
end

-- Units of one SKU, rate and price may share lines although they differ in where they come from
-- (item group, kind of reduction): done only where less stays open that way.
local function join_open(work, groups)
    if open_of(groups) == 0 then
        return groups
    end
    local pools, by_key, result = {}, {}, {}
    for _, group in ipairs(groups) do
        local unit = group.first
        local key = table.concat({unit.sku, unit.rate, unit.final,
            unit.pack and unit.pack.id or "", unit.is_main and "main" or "",
            unit.texts and table.concat(unit.texts, "\1") or ""}, "\0")
        if not by_key[key] then
            by_key[key] = {}
            pools[#pools + 1] = by_key[key]
        end
        table.insert(by_key[key], group)
    end
    for _, pool in ipairs(pools) do
        local open = open_of(pool)
        local whole = #pool > 1 and open > 0 and joined(work, pool)
        if whole and whole.pieces and whole.open < open then
            pool = {whole}
        end
        table.move(pool, 1, #pool, #result + 1, result)
    end
    return result
end

local function add_pieces(work, group)
    local unit, at = group.first, 1
    for i, line in ipairs(group.pieces) do
        local ids = slice(group.ids, at, line.quantity)
        local own = slice(group.units, at, line.quantity)
        if group.is_joined and agree(own) then
            line = represent.prefer_percent(want_of(work, own[1], line.quantity), line)
            group.pieces[i] = line
        end
        at = at + line.quantity
        add_line(work, line, {
            sku = unit.sku, name = unit.name, texts = unit.texts, tax = unit.tax, ids = ids,
            units = own, free_reason = unit.free_reason, import_ref = "SC-" .. ids[1],
            kind = "item", pack = unit.pack and packs.next_place(work, unit.pack),
            full = unit.wants_percent and unit.final > 0 and unit.base > unit.final and unit.base
                or nil,
        })
    end
end

-- The header of a pack that no unit is: one line at 0.00 before its children.
local function add_header(work, first)
    local pack = first.pack
    local header = {sku = pack.code, final = 0, base = 0, rate = first.rate}
    local sets = pack.sets
    local pieces = represent.lines(want_of(work, header, sets))
    local place = packs.next_place(work, pack)
    add_line(work, pieces[1], {
        sku = pack.code, tax = first.tax, kind = "pack", pack = place,
        import_ref = string.format("SC%s-P%d", work.order_id, pack.number),
    })
    work.trail:say("line %d %s: pack header, %d set%s at 0.00 = 0.00 gross", #work.lines, pack.code,
        sets, sets > 1 and "s" or "")
    work.trail:say("  %s", khaos_text(pieces[1]))
end

local function add_group(work, group)
    local unit = group.first
    if not group.pieces then
        return unreachable(work, unit, #group.ids)
    end
    if unit.pack and unit.pack.code and not unit.pack.number then
        add_header(work, unit)
    end
    add_pieces(work, group)
    say_group(work, group, group.pieces, group.open)
    work.open = work.open + group.open
end

local function add_fee(work, entry, index)
    local fee = entry.fee
    local unit = {sku = entry.rule.stock_code, final = fee.gross, base = fee.gross, rate = fee.rate}
    local pieces, open = represent.lines(want_of(work, unit, 1))
    if not pieces then
        return unreachable(work, unit, 1)
    end
    local line = add_line(work, pieces[1], {
        sku = unit.sku, name = entry.rule.description, tax = entry.tax, kind = "fee",
        charged = fee.gross,
        import_ref = string.format("SC%s-F%d", work.order_id, index),
    })
    line.fee = {category = fee.category, key = fee.key}
    work.trail:say("line %d %s: fee %s, %s gross", #work.lines, unit.sku, entry.name,
        text(fee.gross))
    work.trail:say("  %s", khaos_text(pieces[1]))
    say_open(work, fee.gross, fee.rate, open)
    work.open = work.open + open
end

-- What lines left open is a positive amount: it becomes one zero-rated line of the rounding item.
local function add_rounding(work)
    local open, profile = work.open, work.profile
    if open == 0 then
        return
    end
    local limit = profile.rounding_item and profile.max_rounding_minor or 0
    if open > limit then
        work.causes:add("totals_do_not_tie", work.order_id, string.format(
            "Khaos would come to %s less than order %s: net prices cannot reach it, and the "
                .. "profile allows %s of rounding", text(open), work.order_id, text(limit)))
        return
    elseif not work.input.has_stock_code(profile.rounding_item) then
        work.causes:add("unknown_stock_code", profile.rounding_item, string.format(
            "Stock code %s (the rounding item) does not exist in Khaos", profile.rounding_item))
        return
    end
    local tax = work.tax["0"]
    if not tax then
        work.causes:add("unmapped_tax", profile.tax .. " 0",
            "The rounding item needs a tax code for rate 0")
        return
    end
    local unit = {sku = profile.rounding_item, final = open, base = open, rate = 0}
    local pieces = represent.lines(want_of(work, unit, 1))
    add_line(work, pieces[1], {
        sku = unit.sku, name = "Rounding", tax = tax, kind = "rounding",
        import_ref = "SC" .. work.order_id .. "-R",
    })
    work.trail.data.rounding_minor = open
    work.trail:note("line %d %s: rounding of %s, zero-rated (limit %s per order)", #work.lines,
        profile.rounding_item, text(open), text(limit))
end

--- Sets work.lines {entry, rate, ...}, or adds causes. Needs every unit mapped.
---@param work table
function lines.build(work)
    work.lines = {}
    work.open = 0
    local groups = group_units(work.units)
    for _, group in ipairs(groups) do
        shape(work, group)
    end
    for _, group in ipairs(packs.together(join_open(work, groups))) do
        add_group(work, group)
    end
    for i, entry in ipairs(work.fees) do
        add_fee(work, entry, i)
    end
    add_rounding(work)
end

return lines
