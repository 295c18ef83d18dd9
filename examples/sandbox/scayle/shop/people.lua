--- Invented shoppers. Ids are fixed, so a shopper is the same one in every order.

local people = {}

-- id, first name, last name, street, house number, additional, zip, city, state of being a guest
local BRITISH = {
    {50417, "Priya", "Hallworth", "Orchard Row", "14", "Flat 2", "LS6 3QT", "Leeds"},
    {50501, "Owen", "Prosser", "Harbour View", "3", nil, "SA1 1AA", "Swansea"},
    {50502, "Mairi", "MacAskill", "Shore Street", "27", nil, "IV26 2UR", "Ullapool"},
    {50503, "Ada", "Fennick", "Tannery Row", "9", "Top floor", "YO1 7HH", "York"},
    {50504, "Tom", "O'Hara & Sons", "Mill Lane", "110", nil, "BT1 5GS", "Belfast"},
    {50505, "Zo\xC3\xAB", "Hart", "Canal Walk", "5", nil, "M1 2WD", "Manchester"},
    {50506, "Ravi", "Sandhu", "Station Approach", "2a", nil, "CB1 2JW", "Cambridge"},
    {50507, "Ellen", "Whitlock", "Quarry Hill", "61", nil, "SK17 6AH", "Buxton"},
}

local GERMAN = {
    {50990, "Tomasz", "Ferrand", "Lindenufer", "7a", nil, "28203", "Bremen"},
    {50991, "Jule", "Probst", "Musterweg", "7", nil, "01099", "Dresden"},
    {50992, "S\xC3\xB6ren", "Gr\xC3\xBCner", "Am Bach", "12", "Hinterhaus", "80331",
        "M\xC3\xBCnchen"},
    {50993, "Katja", "Wei\xC3\x9F", "Hauptstra\xC3\x9Fe", "101", nil, "50667", "K\xC3\xB6ln"},
}

local IRISH = {
    {51201, "Aoife", "Brannigan", "Quay Street", "8", nil, "H91 E2YT", "Galway"},
    {51202, "Cormac", "Delaney", "Castle Avenue", "33", nil, "D03 X2K1", "Dublin"},
}

local SWISS = {{51301, "Reto", "Ammann", "Seestrasse", "40", nil, "8002", "Z\xC3\xBCrich"}}

local BY_COUNTRY = {
    GB = {rows = BRITISH, alpha3 = "GBR", phone = "+447700900"},
    DE = {rows = GERMAN, alpha3 = "DEU", phone = "+4930123"},
    IE = {rows = IRISH, alpha3 = "IRL", phone = "+35312345"},
    CH = {rows = SWISS, alpha3 = "CHE", phone = "+4144123"},
}

local function ascii(text)
    return (text:gsub("[^%a]", "")):lower()
end

local function address_of(row, group, id, kind)
    return {
        id = id,
        street = row[4],
        houseNumber = row[5],
        additional = row[6],
        zipCode = row[7],
        city = row[8],
        countryCode = group.alpha3,
        isDefault = {billing = kind == "billing", shipping = kind == "shipping"},
        recipient = {firstName = row[2], lastName = row[3], gender = "d", type = "personal"},
        phone = group.phone .. ("%03d"):format(row[1] % 1000),
    }
end

--- A shopper of a country and both addresses.
---@param r sandbox.Random
---@param code string alpha-2
---@param is_guest boolean|nil
---@return table customer
---@return table address {billing, shipping}
function people.pick(r, code, is_guest)
    local group = BY_COUNTRY[code]
    local row = r:pick(group.rows)
    -- A guest is a new customer record each time, whoever it is.
    local id = is_guest and 600000 + r:integer(0, 99999) or row[1]
    local customer = {
        id = id,
        firstName = row[2],
        lastName = row[3],
        gender = "d",
        email = ("%s.%s@example.com"):format(ascii(row[2]), ascii(row[3])),
        type = "personal",
        status = {isActive = true, isGuestCustomer = is_guest == true},
    }
    if not is_guest then
        customer.referenceKey = ("FO-C-%d"):format(id)
        customer.publicKey = ("C%06d"):format(id)
    end
    local address = {
        billing = address_of(row, group, id * 2, "billing"),
        shipping = address_of(row, group, id * 2 + 1, "shipping"),
    }
    return customer, address
end

return people
