--- Which units a parcel holds. Over SOAP Khaos names stock codes only (contract 4.2): units of a
--- code are taken in line order, leaving those that another parcel has been given, and those that
--- SCAYLE cancelled while there are others. Khaos Cloud names the line (ImportRef): then they are
--- that line's.
local refund_book = require("flows.refund_book")
local unit_book = require("flows.unit_book")

local choose = {}

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
    local list, gone = {}, {}
    for _, id in ipairs(unit_book.pick(book, sku, "open", #book.units)) do
        if not given[id] and (not of_line or of_line[id]) then
            table.insert(refund_book.is_gone(book, id) and gone or list, id)
        end
    end
    return table.move(gone, 1, #gone, #list + 1, list)
end

-- Everything that is left, when Khaos says that this parcel is the last of the order: also what
-- SCAYLE cancelled, for nothing tells whether it is in it.
local function all_free(book, given)
    local units = {}
    for _, unit in ipairs(book.units) do
        if unit_book.state(unit) == "open" and not given[unit.id] then
            units[#units + 1] = unit.id
        end
    end
    return units
end

--- Unit ids in the parcel (empty: it holds only fees and the like), or nil and why not.
---@param book units.Book
---@param lines table the order's record of its lines
---@param parcel table
---@param is_last boolean the last one of a complete order. Packs leave as what they are made of, so
---   codes need not be the order's; then only this parcel is sure to hold what is left
---@return string[]|nil
---@return string|nil
function choose.units(book, lines, parcel, is_last)
    local given, unitless, units = given_away(book), unitless_codes(lines), {}
    for _, item in ipairs(parcel.items) do
        local free = free_units(book, given, item.stock_code, units_of_line(lines, item))
        for i = 1, math.min(item.quantity, #free) do
            given[free[i]] = true
            units[#units + 1] = free[i]
        end
        if #free < item.quantity and not unitless[item.stock_code] then
            if is_last then
                return all_free(book, given_away(book))
            end
            return nil, string.format("it holds %d x %s, the order has %d of it left",
                item.quantity, item.stock_code, #free)
        end
    end
    if #parcel.items == 0 and is_last then
        return all_free(book, given_away(book))
    elseif #parcel.items == 0 then
        return nil, "Khaos does not say what is in it"
    end
    return units
end

--- Another unit of the code of one that SCAYLE turned out to have cancelled; nil when none is free.
---@param book units.Book
---@param id string
---@return string|nil
function choose.instead(book, id)
    local given = given_away(book)
    for _, other in ipairs(free_units(book, given, unit_book.unit(book, id).sku)) do
        if not refund_book.is_gone(book, other) then
            return other
        end
    end
    return nil
end

return choose
