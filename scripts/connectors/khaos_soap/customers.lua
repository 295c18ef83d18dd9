--- Customers ("companies") of Khaos Control over SOAP. A shopper is identified by OTHER_REF
--- alone: Khaos's own matching falls back to surname and postcode, which merges people.
local client = require("connectors.khaos_soap.client")
local errors = require("neap.errors")
local xml = require("neap.xml")

local customers = {}

local BY_OTHER_REF = 2 -- MappingType of ExportCompany
local COMPANY_NAME_MAX = 50

--- Methods of ImportCompany. "insert" refuses when surname and postcode match somebody; "force"
--- never looks, so it may only follow a lookup that found nobody.
customers.METHODS = {insert = 1, force = 3}

local function record_of(node)
    return {
        company_code = xml.value(node, "COMPANY_CODE") or xml.value(node, "URN"),
        other_ref = xml.value(node, "OTHER_REF"),
        class = xml.value(node, "COMPANY_CLASS"),
        currency = xml.value(node, "CURRENCY_CODE"),
    }
end

local function cleaned(record)
    for name, value in pairs(record) do
        if value == "" then
            record[name] = nil
        end
    end
    return record
end

--- All customers with this OTHER_REF: none, one, or (a person must look) more.
---@async
---@param khaos khaos.Client
---@param other_ref string
---@return {company_code: string, other_ref: string, class: string|nil, currency: string|nil}[]|nil
---@return neap.Error|nil
function customers.export_by_other_ref(khaos, other_ref)
    local text, err = khaos:call("ExportCompany", {{"CompanyCode", "string", other_ref},
        {"MappingType", "int", BY_OTHER_REF}})
    if not text then
        return nil, err
    end
    local root, problem = client.document(text, "COMPANYS")
    if problem then
        return nil, problem
    end
    local found = {}
    for _, node in ipairs(root and xml.children(root, "COMPANY") or {}) do
        local record = cleaned(record_of(node))
        if record.company_code and record.other_ref == other_ref then
            found[#found + 1] = record
        end
    end
    return found
end

local function add(node, name, value)
    if value ~= nil and value ~= "" then
        node[#node + 1] = xml.element(name, nil, (xml.clean(tostring(value))))
    end
end

local function within(text, limit)
    local stop = utf8.offset(text, limit + 1)
    return stop and text:sub(1, stop - 1) or text
end

local function name_of(customer)
    if customer.company_name then
        return customer.company_name
    end
    local parts = {}
    for _, name in ipairs({"title", "forename", "surname"}) do
        parts[#parts + 1] = customer.invoice_address[name]
    end
    return within(table.concat(parts, " "), COMPANY_NAME_MAX)
end

local function contact(source)
    local node = xml.element("CONTACT")
    add(node, "TITLE", source.title)
    add(node, "FORENAME", source.forename)
    add(node, "SURNAME", source.surname)
    add(node, "EMAIL", source.email)
    return node
end

local function address(source)
    local node = xml.element("ADDRESS")
    add(node, "ADDR1", source.address1)
    add(node, "ADDR2", source.address2)
    add(node, "ADDR3", source.address3)
    add(node, "TOWN", source.town)
    add(node, "COUNTY", source.county)
    add(node, "POSTCODE", source.postcode)
    add(node, "ADDRTYPE", 1)
    add(node, "TEL", source.tel)
    add(node, "COUNTRY_CODE", source.country_code)
    node[#node + 1] = xml.element("CONTACTS", nil, {contact(source)})
    return node
end

--- COMPANYS text with one customer and its invoice address.
---@param customer table of a posting
---@return string
function customers.build_xml(customer)
    local node = xml.element("COMPANY")
    add(node, "PASSED_REFERENCE", customer.other_ref)
    add(node, "COMPANY_NAME", name_of(customer))
    add(node, "OTHER_REF", customer.other_ref)
    add(node, "COMPANY_CLASS", customer.company_class)
    add(node, "TAX_REFERENCE", customer.tax_reference)
    add(node, "CURRENCY_CODE", customer.currency)
    node[#node + 1] = xml.element("ADDRESSES", nil, {address(customer.invoice_address)})
    add(node, "COUNTRY_CODE", customer.invoice_address.country_code)
    return (xml.encode(xml.element("COMPANYS", nil, {node}), {declaration = true}))
end

--- Request that creates a customer.
---@param khaos khaos.Client
---@param customer table of a posting
---@param method "insert"|"force"
---@return table request for an effect of class "lookup"
function customers.import_request(khaos, customer, method)
    return khaos:request("ImportCompany", {
        {"Customers", "string", customers.build_xml(customer)},
        {"Method", "int", assert(customers.METHODS[method], method)},
    })
end

--- What the reply to import_request says.
---@param answer neap.http.Answer
---@return {company_code: string}|nil
---@return neap.Error|nil maybe_sent unless Khaos's web server refused the call
function customers.read_import(answer)
    local result, err = client.read(answer, "ImportCompany", {is_write = true})
    if not result then
        return nil, err
    end
    local imported = type(result) == "table" and client.list(result.CustomerImport)[1]
    if imported and (imported.URN or "") ~= "" then
        return {company_code = imported.URN}
    end
    local skipped = type(result) == "table" and client.list(result.CustomerSkipped)[1]
    local words = skipped and (skipped.SkipReason or "") or ""
    return nil, errors.new({kind = skipped and "invalid" or "remote", maybe_sent = true,
        message = words ~= "" and words or "the reply names no customer",
        details = skipped and {skip_reason = words} or nil})
end

--- Lookup for an effect: does the customer exist by now?
---@async
---@param khaos khaos.Client
---@param other_ref string
---@return "found"|"absent"|nil
---@return any result as read_import gives it, or the error
function customers.lookup(khaos, other_ref)
    local found, err = customers.export_by_other_ref(khaos, other_ref)
    if not found then
        return nil, err
    elseif #found == 0 then
        return "absent"
    end
    return "found", {company_code = found[1].company_code}
end

return customers
