--- Customers of the simulated Khaos: matching as contract 2.11 has it, own codes, customer import
--- and export.

local control = require("lib.sandbox.control")
local data = require("erp.data")

local customers = {}

local TABLE = "erp_customers"
local OTHER_REFS = "erp_other_refs"
local MAX_RANGE = 10000

-- Dropped one by one in this order until something matches; surname and postcode never are.
local CRITERIA = {"town", "address1", "name", "forename", "currency"}
local IMPORT_CRITERIA = {"town", "address1", "forename", "currency"}

---@param w table
---@param urn string
---@return table|nil
function customers.get(w, urn)
    return w.store.get(TABLE, urn)
end

---@param w table
---@return table[]
function customers.all(w)
    local list = {}
    for _, entry in ipairs(w.store.range(TABLE, {limit = MAX_RANGE})) do
        list[#list + 1] = entry.value
    end
    return list
end

---@param w table
---@param field string
---@param value string|nil
---@return table|nil
function customers.find(w, field, value)
    if not value or value == "" then
        return nil
    end
    if field == "other_ref" then
        local urn = w.store.get(OTHER_REFS, value)
        return urn and customers.get(w, urn)
    end
    return data.find(customers.all(w), field, value)
end

local function same(a, b)
    return (a or ""):lower() == (b or ""):lower()
end

local function facts_of(customer)
    local address = customer.address
    return {
        surname = address.surname,
        postcode = address.postcode,
        town = address.town,
        address1 = address.address1,
        forename = address.forename,
        name = customer.name,
        currency = customer.currency,
    }
end

local function match_by_name(w, wanted, criteria)
    local candidates = {}
    for _, customer in ipairs(customers.all(w)) do
        local facts = facts_of(customer)
        if same(facts.surname, wanted.surname) and same(facts.postcode, wanted.postcode) then
            candidates[#candidates + 1] = {customer = customer, facts = facts}
        end
    end
    for first = 1, #criteria + 1 do
        for _, candidate in ipairs(candidates) do
            local fits = true
            for i = first, #criteria do
                local name = criteria[i]
                fits = fits and same(candidate.facts[name], wanted[name])
            end
            if fits then
                return candidate.customer
            end
        end
    end
    return nil
end

--- The existing customer that Khaos takes for this one.
---@param w table
---@param wanted table {urn, other_ref, web_user, name, currency, address}
---@param for_import boolean|nil matching of ImportCompany
---@return table|nil customer
---@return string|nil how "code", "other_ref", "web_user" or "name"
function customers.match(w, wanted, for_import)
    if wanted.urn and customers.get(w, wanted.urn) then
        return customers.get(w, wanted.urn), "code"
    end
    for _, field in ipairs({"other_ref", "web_user"}) do
        local found = customers.find(w, field, wanted[field])
        if found then
            return found, field
        end
    end
    local criteria = for_import and IMPORT_CRITERIA or CRITERIA
    local found = match_by_name(w, facts_of(wanted), criteria)
    return found, found and "name" or nil
end

-- FENN003: four letters of the name and a number, the first that is free.
local function new_urn(w, customer)
    local surname = customer.address.surname or ""
    local source = surname
    if customer.name ~= "" and not customer.name:lower():find(surname:lower(), 1, true) then
        source = customer.name
    end
    local letters = source:gsub("[^%a]", ""):upper():sub(1, 4)
    letters = letters .. ("X"):rep(4 - #letters)
    return ("%s%03d"):format(letters, control.next_number(w.store, "urn_" .. letters, 2))
end

---@param w table
---@param customer table without urn, but for channels that may choose one
---@return table customer with its new code
function customers.create(w, customer)
    customer.urn = customer.urn or new_urn(w, customer)
    customer.created_ms = w.now_ms
    customers.save(w, customer)
    return customer
end

---@param w table
---@param customer table
function customers.save(w, customer)
    customer.updated_ms = w.now_ms
    w.store.put(TABLE, customer.urn, customer)
    if (customer.other_ref or "") ~= "" then
        w.store.put(OTHER_REFS, customer.other_ref, customer.urn)
    end
end

--- "gross" or "net", by the class of the customer.
---@param customer table
---@return "gross"|"net"
function customers.calculation(customer)
    return data.CLASSES[customer.class].calc
end

--- Company name as Khaos builds it when none was sent.
---@param address table
---@return string
function customers.name_from(address)
    local parts = {}
    for _, name in ipairs({"title", "forename", "surname"}) do
        if address[name] then
            parts[#parts + 1] = address[name]
        end
    end
    return table.concat(parts, " ")
end

return customers
