--- ImportCompany, ExportCompany, GetCompanyList of the simulated Khaos.

local customers = require("erp.customers")
local data = require("erp.data")
local reader = require("erp.reader")
local schema = require("erp.schema")
local soap = require("erp.soap")
local world = require("erp.world")
local xml = require("neap.xml")

local companies = {}

local function read_contact(r, node)
    local contacts = node and reader.list(r, node, "CONTACT") or {}
    if not contacts[1] then
        return {}
    end
    return reader.block(r, contacts[1], schema.CONTACT, {label = "CONTACT"})
end

local function read_address(r, node)
    local values = reader.block(r, node, schema.COMPANY_ADDRESS, {label = "ADDRESS"})
    local contact = read_contact(r, values.CONTACTS)
    local row = data.country(values.COUNTRY_CODE or "")
    if values.COUNTRY_CODE and not row then
        reader.problem(r, "ADDRESS/COUNTRY_CODE '%s' is unknown", values.COUNTRY_CODE)
    end
    return values.ADDRTYPE,
        {
            address1 = values.ADDR1,
            address2 = values.ADDR2,
            address3 = values.ADDR3,
            town = values.TOWN,
            county = values.COUNTY,
            postcode = values.POSTCODE,
            country = row and row[3],
            tel = values.TEL,
            organisation = values.ORGANISATION,
            title = contact.TITLE,
            forename = contact.FORENAME,
            surname = contact.SURNAME,
            email = contact.EMAIL,
        }
end

local function read_addresses(r, node, customer)
    for _, child in ipairs(reader.list(r, node, "ADDRESS")) do
        local kind, address = read_address(r, child)
        if kind == "1" and customer.address then
            reader.problem(r, "more than one invoice address")
        elseif kind == "1" then
            customer.address = address
        elseif kind ~= "2" then
            reader.problem(r, "ADDRESS/ADDRTYPE must be 1 or 2")
        end
    end
    if not customer.address then
        reader.problem(r, "no invoice address")
    end
end

local function read_company(w, node)
    local r = reader.new(w)
    local values = reader.block(r, node, schema.COMPANY, {label = "COMPANY"})
    local function must_exist(list, tag)
        if values[tag] and not list[values[tag]] then
            reader.problem(r, "%s '%s' does not exist", tag, values[tag])
        end
    end
    must_exist(data.CLASSES, "COMPANY_CLASS")
    must_exist(data.COMPANY_TYPES, "COMPANY_TYPE")
    must_exist(data.SALES_SOURCES, "SALE_SOURCE")
    must_exist(data.CURRENCIES, "CURRENCY_CODE")
    local customer = {
        passed = values.PASSED_REFERENCE or "",
        urn = values.COMPANY_CODE,
        name = values.COMPANY_NAME,
        other_ref = values.OTHER_REF or "",
        class = values.COMPANY_CLASS,
        web_user = values.WEB_USER or "",
        tax_reference = values.TAX_REFERENCE,
        currency = values.CURRENCY_CODE or "GBP",
    }
    if values.ADDRESSES then
        read_addresses(r, values.ADDRESSES, customer)
    end
    customer.name = customer.name or customers.name_from(customer.address or {})
    return customer, r.problems
end

-- Everything but class, currency and code follows an update: the class counts on creation only.
local function update(w, found, wanted)
    for _, field in ipairs({"name", "tax_reference", "address"}) do
        found[field] = wanted[field] or found[field]
    end
    if wanted.other_ref ~= "" then
        found.other_ref = wanted.other_ref
    end
    customers.save(w, found)
end

local INSERT_ONLY, UPDATE_ONLY, FORCE_INSERT = "1", "2", "3"

local function import_one(w, node, method)
    local wanted, problems = read_company(w, node)
    local function skipped(reason)
        return {skipped = true, passed = wanted.passed, other_ref = wanted.other_ref,
            reason = reason}
    end
    if #problems > 0 then
        return skipped(table.concat(problems, "; "))
    end
    local found = method ~= FORCE_INSERT and customers.match(w, wanted, true) or nil
    if found and method == INSERT_ONLY then
        return skipped("Customer already exists: " .. found.urn)
    elseif not found and method == UPDATE_ONLY then
        return skipped("Customer does not exist")
    elseif found and found.currency ~= wanted.currency then
        return skipped("Currency of " .. found.urn .. " cannot be changed")
    end
    local result = {passed = wanted.passed, other_ref = wanted.other_ref}
    if found then
        update(w, found, wanted)
        result.urn, result.action = found.urn, "Update"
    else
        wanted.passed = nil
        result.urn, result.action = customers.create(w, wanted).urn, "New"
    end
    return result
end

local function import_reply(results)
    local imported, skipped, created = {}, {}, 0
    for _, result in ipairs(results) do
        if result.skipped then
            skipped[#skipped + 1] = {
                type = "TCustomerSkipped",
                fields = {
                    {"CustomerRef", "string", result.other_ref},
                    {"SkipReason", "string", result.reason},
                    {"PassedReference", "string", result.passed},
                },
            }
        else
            created = created + (result.action == "New" and 1 or 0)
            imported[#imported + 1] = {
                type = "TCustomerImport",
                fields = {
                    {"URN", "string", result.urn},
                    {"Action", "string", result.action},
                    {"OtherRef", "string", result.other_ref},
                    {"PassedReference", "string", result.passed},
                },
            }
        end
    end
    return {
        "struct",
        {
            type = "TCustomerImportResult",
            fields = {
                {"ImportedCount", "int", created},
                {"CustomerImport", "array", {item_type = "TCustomerImport", items = imported}},
                {"CustomerSkipped", "array", {item_type = "TCustomerSkipped", items = skipped}},
            },
        },
    }
end

--- ImportCompany(Customers, Method): 0 insert or update, 1 insert only, 2 update only, 3 force
--- insert.
---@param w table
---@param p table<string, string>
---@return table|nil soap value
---@return string|nil fault
function companies.import(w, p)
    local method = (p.Method or "") ~= "" and p.Method or "0"
    if not method:match("^[0-3]$") then
        return nil, "Method is out of range"
    end
    local root, err = xml.parse(p.Customers or "")
    if not root then
        return nil, "XML document must be well formed: " .. tostring(err)
    elseif root.name ~= "COMPANYS" then
        return nil, "the root must be COMPANYS, not " .. root.name
    end
    local results = {}
    for i, node in ipairs(root) do
        results[i] = import_one(w, node, method)
    end
    return import_reply(results)
end

local function tag(name, value)
    return ("<%s>%s</%s>"):format(name, soap.escape(value or ""), name)
end

local function export_one(customer)
    local address = customer.address
    return table.concat({
        "<COMPANY>",
        tag("COMPANY_CODE", customer.urn),
        tag("COMPANY_NAME", customer.name),
        tag("OTHER_REF", customer.other_ref),
        tag("COMPANY_CLASS", customer.class),
        tag("WEB_USER", customer.web_user),
        tag("TAX_REFERENCE", customer.tax_reference),
        tag("CURRENCY_CODE", customer.currency),
        "<ADDRESSES><ADDRESS>",
        tag("ADDR1", address.address1),
        tag("ADDR2", address.address2),
        tag("ADDR3", address.address3),
        tag("TOWN", address.town),
        tag("COUNTY", address.county),
        tag("POSTCODE", address.postcode),
        tag("ADDRTYPE", "1"),
        tag("COUNTRY_CODE", address.country),
        tag("TEL", address.tel),
        "<CONTACTS><CONTACT>",
        tag("FORENAME", address.forename),
        tag("SURNAME", address.surname),
        tag("EMAIL", address.email),
        "</CONTACT></CONTACTS></ADDRESS></ADDRESSES></COMPANY>",
    })
end

local MAPPED = {["1"] = "urn", ["2"] = "other_ref", ["3"] = "web_user", ["4"] = "name"}

local function since_of(w, text)
    if (text or "") == "" then
        return 0
    end
    return world.parse_date(w, text)
end

--- ExportCompany(CompanyCode, MappingType, LastUpdated).
---@param w table
---@param p table<string, string>
---@return table|nil soap value
---@return string|nil fault
function companies.export(w, p)
    local field = MAPPED[(p.MappingType or "") ~= "" and p.MappingType or "1"]
    if not field then
        return nil, "MappingType is out of range"
    end
    local since, problem = since_of(w, p.LastUpdated)
    if not since then
        return nil, problem
    end
    local wanted = {}
    for code in (p.CompanyCode or ""):gmatch("[^,]+") do
        wanted[code] = true
    end
    local parts = {"<?xml version=\"1.0\"?><COMPANYS>"}
    for _, customer in ipairs(customers.all(w)) do
        local is_named = (p.CompanyCode or "") == "" or wanted[customer[field]]
        if is_named and (customer.updated_ms or 0) >= since then
            parts[#parts + 1] = export_one(customer)
        end
    end
    return {"string", table.concat(parts) .. "</COMPANYS>"}
end

--- GetCompanyList(LastUpdated, CompanyClassList).
---@param w table
---@param p table<string, string>
---@return table|nil soap value
---@return string|nil fault
function companies.list(w, p)
    local since, problem = since_of(w, p.LastUpdated)
    if not since then
        return nil, problem
    end
    local items = {}
    for _, customer in ipairs(customers.all(w)) do
        local classes = p.CompanyClassList or ""
        local in_class = classes == "" or ("," .. classes .. ","):find("," .. customer.class
            .. ",", 1, true)
        if in_class and (customer.updated_ms or 0) >= since then
            items[#items + 1] = {
                type = "TCompanyInfo",
                fields = {
                    {"CompanyCode", "string", customer.urn},
                    {"OtherRef", "string", customer.other_ref},
                    {"LastUpdated", "dateTime", world.date_time(w, customer.updated_ms)},
                },
            }
        end
    end
    return {
        "struct",
        {
            type = "TCompanyList",
            fields = {
                {"Count", "int", #items},
                {"List", "array", {item_type = "TCompanyInfo", items = items}},
            },
        },
    }
end

return companies
