--- SCAYLE addresses in Khaos's fields and lengths: nothing is cut, what must fit and does not is a
--- cause, what may be left out is left out with a note.
local countries = require("lib.countries")
local read = require("flows.orders.read")

local address = {}

local LINE_MAX = 35
local LINE_COUNT = 3
local LIMITS = {
    town = 35, county = 35, postcode = 10, title = 20, forename = 50, surname = 50, tel = 19,
    email = 50, organisation = 50,
}

-- Where the house number comes before the street.
local NUMBER_FIRST = {
    GB = true, IE = true, FR = true, LU = true, MC = true, US = true, CA = true, AU = true,
    NZ = true, ZA = true, JE = true, GG = true, IM = true, IN = true, SG = true, HK = true,
}

local function size(value)
    return utf8.len(value) or #value
end

-- One line of text: control characters and runs of blanks become one blank.
local function tidy(value)
    if not value or (value ~= "" and not value:find("[%c%s]")) then
        return value
    end
    value = value:gsub("[%c%s]+", " "):match("^ ?(.-) ?$")
    return value ~= "" and value or nil
end

local function field(document, key)
    return tidy(read.text(document, key))
end

-- One exception per order and field; the text itself is personal and stays out of it.
local function subject(work, who, name)
    return string.format("%s %s %s", work.order_id, who, name)
end

local function too_long(work, who, name, value, limit)
    work.causes:add("field_too_long", subject(work, who, name), string.format(
        "The %s address's %s has %d characters, Khaos takes %s", who, name, size(value), limit))
end

--- Street and house number in the country's order.
---@param street string|nil
---@param number string|nil
---@param country string|nil alpha-2
---@return string|nil
function address.street_line(street, number, country)
    if not street or not number then
        return street or number
    elseif not NUMBER_FIRST[country or ""] then
        return street .. " " .. number
    elseif number:find("^%d") then
        return number .. " " .. street
    end
    return number .. ", " .. street
end

local function wrap(value, rows)
    local row
    for word in value:gmatch("%S+") do
        if size(word) > LINE_MAX then
            return nil
        elseif row and size(row) + 1 + size(word) <= LINE_MAX then
            row = row .. " " .. word
        else
            rows[#rows + 1] = row
            row = word
        end
    end
    rows[#rows + 1] = row
    return rows
end

--- Pieces of an address in at most three lines: one piece per line where they fit, else flowing on.
---@param pieces string[]
---@return string[]|nil rows nil when they do not fit
function address.rows(pieces)
    local rows = {}
    for _, piece in ipairs(pieces) do
        if not wrap(piece, rows) then
            return nil
        end
    end
    if #rows > LINE_COUNT then
        rows = wrap(table.concat(pieces, ", "), {})
    end
    return rows and #rows <= LINE_COUNT and rows or nil
end

local function pieces_of(source, country)
    local pieces, seen = {}, {}
    local function add(piece)
        if piece and not seen[piece:lower()] then
            seen[piece:lower()] = true
            pieces[#pieces + 1] = piece
        end
    end
    add(address.street_line(field(source, "street"), field(source, "houseNumber"), country))
    local point = read.table(source, "collectionPoint")
    add(field(point, "description"))
    add(field(point, "customerKey"))
    add(field(source, "additional"))
    return pieces
end

-- Mandatory text: missing or too long is a cause.
local function mandatory(work, who, result, name, value)
    if not value then
        work.causes:add("field_too_long", subject(work, who, name), string.format(
            "The %s address has no %s, which Khaos needs", who, name))
    elseif size(value) > LIMITS[name] then
        too_long(work, who, name, value, LIMITS[name])
    else
        result[name] = value
    end
end

-- Optional text: too long is left out, and the trail says so (without the personal data).
local function optional(work, who, result, name, value)
    if value and size(value) > LIMITS[name] then
        work.trail:note("The %s address's %s is left out: %d characters, Khaos takes %d", who,
            name, size(value), LIMITS[name])
    else
        result[name] = value
    end
end

--- A phone number without the blanks and punctuation people write; nil when nothing is left.
---@param value any text, or a table with the number in it
---@return string|nil
function address.phone(value)
    if type(value) == "table" then
        value = value.number or value.phone or value.value
    end
    if math.type(value) == "integer" then
        value = tostring(value)
    elseif type(value) ~= "string" then
        return nil
    end
    local compact = value:gsub("%(0%)", ""):gsub("[%s%-%.%(%)/]+", "")
    return compact ~= "" and compact or nil
end

local function name_fields(work, who, result, source)
    local recipient = read.table(source, "recipient")
    local last = field(recipient, "lastName") or field(source, "lastName")
    mandatory(work, who, result, "surname", last)
    optional(work, who, result, "forename",
        field(recipient, "firstName") or field(source, "firstName"))
    optional(work, who, result, "title", field(recipient, "title"))
end

local function place_fields(work, who, result, source)
    local given = read.text(source, "countryCode")
    local code = countries.alpha3(given)
    if not code then
        work.causes:add("unmapped_market", "country " .. (given or "missing"), string.format(
            "The %s address's country %s is no ISO country code", who, given or "(missing)"))
    end
    result.country_code = code
    mandatory(work, who, result, "town", field(source, "city"))
    mandatory(work, who, result, "postcode", field(source, "zipCode")
        or (work.profile and work.profile.missing_postcode))
    optional(work, who, result, "county", field(source, "state"))
    local pieces = pieces_of(source, countries.alpha2(given))
    local rows = address.rows(pieces)
    if #pieces == 0 then
        work.causes:add("field_too_long", subject(work, who, "street"), string.format(
            "The %s address has no street, which Khaos needs", who))
    elseif not rows then
        too_long(work, who, "street", table.concat(pieces, ", "),
            string.format("%d lines of %d, cut between words", LINE_COUNT, LINE_MAX))
    else
        result.address1, result.address2, result.address3 = rows[1], rows[2], rows[3]
    end
end

--- One address; adds causes and notes.
---@param work table
---@param who "invoice"|"delivery"
---@param source table
---@param contact {email: string|nil, phone: any, organisation: string|nil}
---@return table
function address.map(work, who, source, contact)
    local result = {}
    name_fields(work, who, result, source)
    place_fields(work, who, result, source)
    optional(work, who, result, "tel", address.phone(source.phone or source.phoneNumber)
        or address.phone(contact.phone))
    optional(work, who, result, "email", tidy(contact.email))
    optional(work, who, result, "organisation", tidy(contact.organisation))
    return result
end

return address
