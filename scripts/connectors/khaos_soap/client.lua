--- Khaos Control on-premise (KhaosWS): SOAP 1.1, RPC/encoded, documents carried as strings.
---
---     local khaos = require("connectors.khaos_soap.client").new{zone = "Europe/London"}
---     local version, err = khaos:call("GetVersion", {})
---
--- Replies are read inline or in multi-reference form. A fault is a fault under any HTTP status.
--- What cannot be known from a fault is whether the trouble will pass: on a read it is asked
--- again, on a write the outcome counts as unknown (`maybe_sent`), so that a lookup decides and
--- not the words.
local errors = require("neap.errors")
local http = require("neap.http")
local time = require("neap.time")
local xml = require("neap.xml")

local client = {}

local ENVELOPE = [[<?xml version="1.0" encoding="UTF-8"?>
<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/"]]
    .. [[ xmlns:xsd="http://www.w3.org/2001/XMLSchema"]]
    .. [[ xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"]]
    .. [[ xmlns:SOAP-ENC="http://schemas.xmlsoap.org/soap/encoding/"><SOAP-ENV:Body]]
    .. [[ SOAP-ENV:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/">]]
    .. [[<NS1:%s xmlns:NS1="%s">%s</NS1:%s></SOAP-ENV:Body></SOAP-ENV:Envelope>]]
local MAX_DEPTH = 16 -- of structs and arrays in a reply
local WHOLE_BYTES = 65536 -- a list up to here is checked as a whole before it is read
local LIST_MAX_BYTES = 4 << 30 -- of a list; a million codes are 400 MB
local MAX_WORDS = 300 -- of an answer that is no SOAP

client.NO_DATE = "1899-12-30T00:00:00"

---@class khaos.Options
---@field connection string|nil default "khaos"
---@field path string|nil of the service below the connection's base URL
---@field namespace string|nil of the methods
---@field action string|nil SOAPAction, with {operation}
---@field zone string|nil of the server's clock
---@field add_ons string[]|nil paid developments of this installation
---@field credit_note_stages integer[]|nil in which a credit note counts as issued, beside 70 and on

---@class khaos.Client
---@field connection string
---@field path string
---@field namespace string
---@field action string
---@field zone string of the Khaos server's clock
---@field capabilities table<string, boolean>
---@field credit_note_stages integer[]|nil
local Client = {}
Client.__index = Client

local DEFAULTS = {
    connection = "khaos",
    path = "/soap/IKosWeb",
    namespace = "urn:IKosWebIntf-IKosWeb",
    action = "urn:IKosWebIntf-IKosWeb#{operation}",
    zone = "Europe/London",
}

-- What this product line can do by itself, and what only as a paid development.
local STANDARD = {"import_order", "find_order", "poll_order_status", "import_customer",
    "poll_stock", "export_orders"}
local ADD_ONS = {"cancel_order", "amend_order", "process_return"}
local LISTS = {
    add_ons = {type = "list", items = {type = "string", enum = ADD_ONS},
        help = "paid developments this installation has"},
    credit_note_stages = {type = "list", items = {type = "integer", min = 2, max = 99},
        help = "stages of an invoice in which a credit note counts as issued, beside 70 and above"},
}
local NEVER = {"create_return", "create_credit_note", "push_stock", "push_order_status"}

local function capabilities_of(add_ons)
    local able = {}
    for _, name in ipairs(STANDARD) do
        able[name] = true
    end
    for _, list in ipairs({ADD_ONS, NEVER}) do
        for _, name in ipairs(list) do
            able[name] = false
        end
    end
    for _, name in ipairs(add_ons or {}) do
        if able[name] == nil then
            error("khaos client: unknown add-on " .. tostring(name), 3)
        end
        able[name] = true
    end
    return able
end

--- A client over a declared connection; namespace, path and action belong to the WSDL of the
--- installation.
---@param options khaos.Options|nil
---@return khaos.Client
function client.new(options)
    options = options or {}
    local made = {capabilities = capabilities_of(options.add_ons),
        credit_note_stages = options.credit_note_stages}
    for name in pairs(options) do
        if DEFAULTS[name] == nil and not LISTS[name] then
            error("khaos client: unknown option " .. tostring(name), 2)
        end
    end
    for name, value in pairs(DEFAULTS) do
        made[name] = options[name] or value
    end
    return setmetatable(made, Client)
end

--- The settings that a flow passes on to client.new.
---@return table schema node
function client.schema()
    local fields = {}
    for name, field in pairs(LISTS) do
        fields[name] = field
    end
    for name, value in pairs(DEFAULTS) do
        fields[name] = {type = "string", default = value}
    end
    return {type = "record", default = {}, fields = fields}
end

--- An instant as the server's clock shows it, without an offset.
---@param ms integer
---@return string
function Client:date_time(ms)
    return errors.check(time.format_iso(ms, {zone = self.zone})):sub(1, 19)
end

-- ---- requests --------------------------------------------------------------------------------

local function parameter_text(parameter)
    local name, kind, value = parameter[1], parameter[2], parameter[3]
    if kind == "boolean" then
        value = value and "1" or "0"
    end
    return string.format("<%s xsi:type=\"xsd:%s\">%s</%s>", name, kind,
        xml.escape((xml.clean(tostring(value)))), name)
end

--- A request for neap.http or an effect, without its connection. Parameters count by position;
--- trailing ones may be left out.
---@param operation string
---@param parameters {[1]: string, [2]: string, [3]: any}[] name, xsd type, value
---@return table
function Client:request(operation, parameters)
    local parts = {}
    for i, parameter in ipairs(parameters) do
        parts[i] = parameter_text(parameter)
    end
    local action = self.action:gsub("{operation}", operation)
    return {
        method = "POST",
        path = self.path,
        headers = {["Content-Type"] = "text/xml; charset=utf-8",
            ["SOAPAction"] = "\"" .. action .. "\""},
        body = string.format(ENVELOPE, operation, self.namespace, table.concat(parts), operation),
    }
end

-- ---- values ----------------------------------------------------------------------------------

-- The value of an attribute whatever prefix it was written with.
local function attribute(node, local_name)
    for name, value in pairs(node.attrs) do
        if name == local_name or name:match(":(.*)$") == local_name then
            return value
        end
    end
    return nil
end

local function index_ids(node, ids)
    for _, child in ipairs(node) do
        local id = child.attrs.id
        if id then
            ids["#" .. id] = child
        end
        index_ids(child, ids)
    end
    return ids
end

local function is_array(node)
    local kind = attribute(node, "type") or ""
    if kind:find("Array$") or attribute(node, "arrayType") then
        return true
    end
    for _, child in ipairs(node) do
        if child.name ~= "item" then
            return false
        end
    end
    return #node > 0
end

local value_of

local function children_of(node, ids, depth)
    local value = {}
    local array = is_array(node)
    for i, child in ipairs(node) do
        local inner, err = value_of(child, ids, depth + 1)
        if err then
            return nil, err
        end
        value[array and i or child.name] = inner
    end
    return value
end

-- A leaf becomes text, an array a list, a struct a table by names.
function value_of(node, ids, depth)
    if depth > MAX_DEPTH then
        return nil, "the values nest too deeply or refer to themselves"
    end
    local href = attribute(node, "href")
    if href then
        local target = ids[href]
        if not target then
            return nil, "it refers to " .. href .. ", which is not there"
        end
        return value_of(target, ids, depth + 1)
    elseif #node == 0 and not is_array(node) then
        return node.text
    end
    return children_of(node, ids, depth)
end

--- A list out of a reply: absent and empty arrays are empty lists.
---@param value any
---@return table[]
function client.list(value)
    return type(value) == "table" and value or {}
end

-- ---- answers ---------------------------------------------------------------------------------

local function fault_of(node)
    local detail = xml.child(node, "detail")
    local first = detail and detail[1]
    return {
        text = xml.value(node, "faultstring") or xml.value(node, "Reason/Text") or "no words given",
        code = xml.value(node, "faultcode") or xml.value(node, "Code/Value"),
        actor = xml.value(node, "faultactor"),
        kind = first and first.name,
        class = first and xml.value(first, "ExceptionClassName"),
    }
end

local function fault_error(fault, answer, is_write)
    return errors.new({kind = "remote", message = fault.text, status = answer.status,
        retryable = not is_write, maybe_sent = is_write or nil, details = {fault = fault}})
end

-- Something that should have been SOAP and is not.
local function broken(answer, is_write, why)
    return errors.new({kind = "remote", status = answer.status, retryable = true,
        details = {is_unreadable = true}, maybe_sent = is_write or nil, message = string.format(
            "Khaos's reply cannot be read: %s", why)})
end

--- Did Khaos itself answer, and not what it was asked for (a fault, or what cannot be read)? Asked
--- for something else it may do better.
---@param err neap.Error
---@return boolean
function client.is_answer(err)
    local details = err.details or {}
    return details.fault ~= nil or details.is_unreadable == true
end

local function status_error(answer, is_write)
    local status = answer.status
    local may_pass = status >= 500 or status == 408 or status == 429
    return errors.new({kind = "remote", status = status, retryable = may_pass,
        maybe_sent = is_write and (status >= 500 or status == 408) or nil,
        message = string.format("Khaos's web server answered %d without a SOAP reply: %s", status,
            answer.body:sub(1, MAX_WORDS))})
end

local function response_of(body, operation)
    for _, child in ipairs(body) do
        if child.name == operation .. "Response" then
            return child
        end
    end
    return nil
end

--- What a reply says: text, a list or a table by names; nil, err for faults and everything else.
---@param answer neap.http.Answer
---@param operation string
---@param options {is_write: boolean|nil}|nil
---@return any
---@return neap.Error|nil
function client.read(answer, operation, options)
    local is_write = options ~= nil and options.is_write == true
    local root, err
    if answer.body ~= "" then
        root, err = xml.parse(answer.body)
    end
    local body = root and root.name == "Envelope" and xml.child(root, "Body")
    local fault = body and xml.child(body, "Fault")
    if fault then
        return nil, fault_error(fault_of(fault), answer, is_write)
    elseif answer.status < 200 or answer.status > 299 then
        return nil, status_error(answer, is_write)
    elseif not body then
        return nil, broken(answer, is_write, err and err.message or "it is no SOAP envelope")
    end
    local response = response_of(body, operation)
    if not response then
        return nil, broken(answer, is_write, "it holds no " .. operation .. "Response")
    elseif not response[1] then
        return ""
    end
    local value, problem = value_of(response[1], index_ids(body, {}), 1)
    if problem then
        return nil, broken(answer, is_write, problem)
    end
    return value
end

--- Reads the document that a reply carries as text. Blank means nothing found: nil without an
--- error.
---@param text any
---@param root_name string
---@return table|nil node
---@return neap.Error|nil
function client.document(text, root_name)
    if type(text) ~= "string" or not text:find("%S") then
        return nil
    end
    local root, err = xml.parse(text)
    if root and root.name == root_name then
        return root
    end
    return nil, errors.new({kind = "remote", retryable = true, details = {is_unreadable = true},
        message = string.format("Khaos's document cannot be read: %s", err and err.message
            or string.format("%s expected, got %s", root_name, root.name))})
end

--- Asks (a read: nothing in Khaos changes) and reads.
---@async
---@param operation string
---@param parameters table[]
---@return any
---@return neap.Error|nil
function Client:call(operation, parameters)
    local request = self:request(operation, parameters)
    request.connection = self.connection
    local answer, err = http.request(request)
    if not answer then
        return nil, err
    end
    return client.read(answer, operation)
end

-- The text of a short answer; nil of a long one.
local function short_text(answer)
    if answer.body then
        return #answer.body <= WHOLE_BYTES and answer.body or nil
    end
    return answer.file:size() <= WHOLE_BYTES and answer.file:read(0, WHOLE_BYTES) or nil
end

--- Asks for a long list and reads it record by record, however long it is. Short answers are
--- looked at as a whole first, so faults and everything that is no list end as in call.
---@async
---@param operation string
---@param parameters table[]
---@param names string[] see xml.records
---@return neap.xml.Records|nil
---@return neap.Error|nil
---@return boolean|nil is_long it was not looked at
function Client:records(operation, parameters, names)
    local request = self:request(operation, parameters)
    request.connection = self.connection
    request.file_max_bytes = LIST_MAX_BYTES
    local answer, err = http.request(request)
    if not answer then
        return nil, err
    end
    local text = short_text(answer)
    if text or answer.status > 299 then
        local value, problem = client.read({status = answer.status, body = text or ""}, operation)
        if value == nil then
            return nil, problem
        end
    end
    return xml.records(answer.file or answer.body, names), nil, text == nil
end

return client
