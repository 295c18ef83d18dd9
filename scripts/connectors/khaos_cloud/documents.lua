--- Documents of Khaos Control Cloud on the wire, JSON and XML (contract 8.4): what is read is the
--- same plain table in both, what is written comes from the same one.
---
--- In XML an absent list and an empty one look alike, numbers and truths are text: readers use
--- documents.list, number and truth, which take both.
local encoding = require("connectors.khaos_cloud.encoding")
local errors = require("neap.errors")
local json = require("neap.json")
local money = require("neap.money")
local xml = require("neap.xml")

local documents = {}

--- Of every answer with orders or returns.
documents.API_VERSION = 1000

-- What the entries of a list are called in XML; "=": the list's own name, repeated without a
-- parent.
local ENTRIES = {
    Orders = "SalesOrder", Items = "OrderItem", Payments = "OrderPayment",
    AlternateMapping = "ItemMapping", DiscountCodes = "DataItem", Returns = "CustomerReturn",
    ReturnedItems = "ReturnedItem", ExchangeItems = "ExchangeItem", Mapping = "ItemMapping",
    ExtendedDescription = "string", MatchCompanyOn = "=", MatchAddressOn = "=",
    MatchContactOn = "=",
}

local ORDER = {"ID", "Code", "Name"}

local ID_BYTES = 150 -- a key of the store holds two and a separator

local IS_DATA_ITEM = {CompanyClass = true, Currency = true, Country = true, Site = true,
    SalesSource = true, Brand = true, Website = true, Keycode = true, Courier = true,
    FreeItemReason = true, ReturnReason = true, DataItem = true}

local function invalid(message)
    return nil, errors.new({kind = "invalid", message = message})
end

-- ---- reading ---------------------------------------------------------------------------------

-- Elements that hold a list, by their name.
local LISTS = {Statuses = true, Shipments = true, Packages = true, Items = true, Deleted = true,
    UploadPriceLists = true, StockPrices = true, SupplierInfo = true, Images = true,
    Barcodes = true, UserDefinedFields = true}

local from_xml

local function list_of(node)
    local list = json.array({})
    for i, child in ipairs(node) do
        list[i] = from_xml(child)
        node[i] = false -- a large push does not fit into memory twice
    end
    return list
end

local function record_of(node)
    local record = {}
    for name, value in pairs(node.attrs) do
        record[name] = value
    end
    for _, child in ipairs(node) do
        record[child.name] = LISTS[child.name] and list_of(child) or from_xml(child)
    end
    if #node == 0 and node.text:find("%S") then
        record.Name = node.text
    end
    return record
end

function from_xml(node)
    if #node == 0 and next(node.attrs) == nil then
        return node.text
    end
    return record_of(node)
end

--- Reads a pushed body, whatever its content type says: Khaos's is not documented.
---@param body string
---@param only table|nil members that are needed of large ones, as json.decode takes it
---@return table|nil
---@return neap.Error|nil kind invalid
function documents.read(body, only)
    local value
    local text, err = encoding.to_utf8(body)
    if text and text:find("^[%s\0\239\187\191\254\255]*<") then
        local root
        root, err = xml.parse(text)
        value = root and record_of(root)
    elseif text then
        value, err = json.decode(text, {only = only})
    end
    if type(value) == "table" and not json.is_array(value) then
        return value
    end
    return invalid("the body is no document: " .. (err and err.message or "an object expected"))
end

--- A list, wherever absent, blank or a single record stands for one.
---@param value any
---@return table[]
function documents.list(value)
    if type(value) ~= "table" or value == json.null then
        return {}
    elseif json.is_array(value) or #value > 0 then
        return value
    end
    return next(value) ~= nil and {value} or {}
end

--- The entries of a push, each as `read` gives it; one that is no record as {odd, is_lost}: what is
--- odd is told to a person.
---@param value any
---@param name string of the list
---@param read fun(entry: table, words: string): table
---@return table[]|nil
---@return neap.Error|nil kind invalid
function documents.entries(value, name, read)
    local is_blank = value == nil or type(value) == "string" and not value:find("%S")
    if not is_blank and type(value) ~= "table" then
        return invalid(name .. " is no list")
    end
    local list = {}
    for i, entry in ipairs(documents.list(value)) do
        local words = string.format("entry %d of %s", i, name)
        list[i] = type(entry) == "table" and entry ~= json.null and read(entry, words)
            or documents.lost(words .. " is no record")
    end
    return list
end

--- An entry of which nothing can be taken.
---@param words string
---@return {odd: string, is_lost: true}
function documents.lost(words)
    return {odd = words, is_lost = true}
end

--- The records of a list; what is none is left out.
---@param value any
---@return table[]
function documents.records(value)
    local list = {}
    for _, entry in ipairs(documents.list(value)) do
        list[#list + 1] = type(entry) == "table" and entry ~= json.null and entry or nil
    end
    return list
end

---@param value any
---@return string|nil nil: absent or blank
function documents.text(value)
    if math.type(value) == "float" and math.tointeger(value) then
        value = math.tointeger(value)
    end
    if type(value) == "number" then
        return tostring(value)
    end
    return type(value) == "string" and value:match("^%s*(.-%S)%s*$") or nil
end

--- A code or an id, by which something is stored.
---@param value any
---@return string|nil nil: absent, blank, or longer than any that Khaos has
function documents.id(value)
    local text = documents.text(value)
    return text and #text <= ID_BYTES and text or nil
end

---@param value any
---@return number|nil
function documents.number(value)
    return type(value) == "number" and value or type(value) == "string" and tonumber(value) or nil
end

--- Whole units, never more than there are.
---@param value any
---@return integer|nil
function documents.whole(value)
    local number = documents.number(value)
    return number and math.tointeger(number // 1) or nil
end

local TRUTHS = {["true"] = true, ["1"] = true, yes = true, ["false"] = false, ["0"] = false,
    no = false}

---@param value any
---@return boolean|nil nil: absent, or no truth
function documents.truth(value)
    if type(value) == "boolean" then
        return value
    end
    return TRUTHS[(documents.text(value) or ""):lower()]
end

---@param value any a table, or nothing
---@return table
function documents.record(value)
    return type(value) == "table" and value or {}
end

-- ---- writing ---------------------------------------------------------------------------------

local to_xml

local function text_of(value)
    if type(value) == "boolean" then
        return value and "True" or "False"
    elseif math.type(value) == "float" then
        return tostring(assert(money.from_number(value, 6)):trim())
    end
    return (xml.clean(tostring(value)))
end

local function add_list(parent, name, list)
    local entry = ENTRIES[name] or name
    local into = entry == "=" and parent or xml.element(name)
    for _, value in ipairs(list) do
        into[#into + 1] = to_xml(entry == "=" and name or entry, value)
    end
    if into ~= parent then
        parent[#parent + 1] = into
    end
end

local function data_item(name, value)
    local node = xml.element(name)
    for _, key in ipairs(ORDER) do
        if value[key] then
            node.attrs[key] = text_of(value[key])
        end
    end
    return node
end

function to_xml(name, value)
    if type(value) ~= "table" or money.is_decimal(value) then
        return xml.element(name, nil, text_of(value))
    elseif name == "StockDescription" then
        return xml.element(name, {Source = value.Source}, text_of(value.Parameter))
    elseif name == "BankAccount" then
        return xml.element(name, nil, text_of(value.Name))
    elseif IS_DATA_ITEM[name] then
        return data_item(name, value)
    end
    local node = xml.element(name)
    for key, inner in pairs(value) do
        if json.is_array(inner) then
            add_list(node, key, inner)
        else
            node[#node + 1] = to_xml(key, inner)
        end
    end
    return node
end

local TYPES = {JSON = "application/json", XML = "text/xml; charset=utf-8"}

--- An answer with a document.
---@param format "JSON"|"XML"
---@param root string name of the XML root
---@param document table
---@param headers table<string, string>|nil
---@return neap.Reply
function documents.reply(format, root, document, headers)
    local body
    if format == "XML" then
        body = assert(xml.encode(to_xml(root, document), {declaration = true}))
    else
        body = assert(json.encode(document))
    end
    local all = {["Content-Type"] = TYPES[format]}
    for name, value in pairs(headers or {}) do
        all[name] = value
    end
    return {status = 200, headers = all, body = body}
end

return documents
