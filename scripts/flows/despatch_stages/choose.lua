--- Which units a parcel holds. Over SOAP Khaos names stock codes only (contract 4.2): units of a
--- code are taken in line order, leaving those that another parcel has been given. Khaos Cloud
--- names the line (ImportRef): then they are that line's.
local unit_book = require("flows.unit_book")

-- Codes of lines that hold no units: fees, the rounding item.
local function unitless_codes(lines)
    local codes = {}
    for _, line in ipairs(lines.lines) do
        if line.kind ~= "item" then
            codes[line.stock_code] = true
        end
    end
    return codes
end

local function given_away(book)
    local given = {}
    for _, parcel in pairs(book.parcels) do
        for _, id in ipairs(parcel.units) do
            given[id] = true
        end
    end
    return given
end

-- The units of the line that an item names; nil when it names none, or what its line is made of.
local function units_of_line(lines, item)
    for _, line in ipairs(item.import_ref and lines.lines or {}) do
        if line.import_ref == item.import_ref and line.stock_code == item.stock_code then
            local of_line = {}
            for _, id in ipairs(line.unit_ids) do
                of_line[id] = true
            end
            return of_line
        end
    end
    return nil
end

local function free_units(book, given, sku, of_line)
    local list = {}
    for _, id in ipairs(unit_book.pick(book, sku, "open", #book.units)) do
        if not given[id] and (not of_line or of_line[id]) then
            list[#list + 1] = id
        end
    end
    return list
end

-- Everything that is left, when Khaos says that this parcel is the last of the order.
local function all_free(book, given)
    local units = {}
    for _, unit in ipairs(book.units) do
        if unit_book.state(unit) == "open" and not given[unit.id] then
            units[#units + 1] = unit.id
        end
    end
    return units
end

-- Packs leave as what they are made of, so codes need not be the order's; then only the last
-- parcel of a complete order is sure to hold what is left.
local function is_last(book, snapshot, parcel)
    for _, other in ipairs(snapshot.parcels) do
        if other.id ~= parcel.id and not book.parcels[other.id] then
            return false
        end
    end
    return snapshot.is_complete == true
end

--- Unit ids in the parcel (empty: it holds only fees and the like), or nil and why not.
---@param book units.Book
---@param lines table the order's record of its lines
---@param snapshot khaos.Snapshot
---@param parcel table
---@return string[]|nil
---@return string|nil
return function(book, lines, snapshot, parcel)
    local given, unitless, units = given_away(book), unitless_codes(lines), {}
    for _, item in ipairs(parcel.items) do
        local free = free_units(book, given, item.stock_code, units_of_line(lines, item))
        for i = 1, math.min(item.quantity, #free) do
            given[free[i]] = true
            units[#units + 1] = free[i]
        end
        if #free < item.quantity and not unitless[item.stock_code] then
            if is_last(book, snapshot, parcel) then
                return all_free(book, given_away(book))
            end
            return nil, string.format("it holds %d x %s, the order has %d of it left",
                item.quantity, item.stock_code, #free)
        end
    end
    if #parcel.items == 0 and is_last(book, snapshot, parcel) then
        return all_free(book, given_away(book))
    elseif #parcel.items == 0 then
        return nil, "Khaos does not say what is in it"
    end
    return units
end
