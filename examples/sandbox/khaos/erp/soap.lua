--- SOAP 1.1 as the simulated Khaos speaks it: reading requests, writing replies inline or in
--- multi-reference form, and the two documented kinds of fault.
---
--- A value is {kind, value}: kind "string", "int", "double", "boolean", "dateTime", "struct"
--- (value = {type =, fields = {{name, kind, value}, ...}}) or "array" (value = {item_type =,
--- items = {...}}, the items structs, or strings when item_type begins with "xsd:").

local xml = require("neap.xml")

local soap = {}

local NAMESPACE = "urn:IKosWebIntf-IKosWeb"
local CONTENT_TYPE = "text/xml; charset=utf-8"
local ENVELOPE = [[<?xml version="1.0" encoding="UTF-8"?>
<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/" ]]
    .. [[xmlns:xsd="http://www.w3.org/2001/XMLSchema" ]]
    .. [[xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" ]]
    .. [[xmlns:SOAP-ENC="http://schemas.xmlsoap.org/soap/encoding/">]]
local BODY = [[<SOAP-ENV:Body SOAP-ENV:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/">]]
local TYPES = [[ xmlns:NS1="urn:IKosWebIntf-IKosWeb" xmlns:NS2="urn:IKosWebIntf"]]

---@param text any
---@return string
function soap.escape(text)
    local replaced = tostring(text):gsub("[&<>\"]", {
        ["&"] = "&amp;",
        ["<"] = "&lt;",
        [">"] = "&gt;",
        ["\""] = "&quot;",
    })
    return replaced
end

local function first_child(node, name)
    for _, child in ipairs(node) do
        if child.name == name then
            return child
        end
    end
    return nil
end

local function read_parameters(call)
    local list = {}
    for _, child in ipairs(call) do
        list[#list + 1] = {name = child.name, value = child.text or ""}
    end
    return list
end

--- Reads a request. The SOAPAction must name the operation of the body.
---@param request neap.ServerRequest
---@return {operation: string, parameters: {name: string, value: string}[]}|nil
---@return string|nil problem
function soap.read(request)
    local content_type = request.headers["content-type"] or ""
    if not content_type:find("text/xml", 1, true) then
        return nil, "content type must be text/xml"
    end
    local envelope, err = xml.parse(request.body)
    if not envelope then
        return nil, "XML document must be well formed: " .. tostring(err)
    end
    local body = envelope.name == "Envelope" and first_child(envelope, "Body")
    local call = body and body[1]
    if not call then
        return nil, "not a SOAP envelope with a body"
    end
    local action = (request.headers["soapaction"] or ""):gsub("^\"(.*)\"$", "%1")
    if action ~= NAMESPACE .. "#" .. call.name then
        return nil, "SOAPAction does not name operation " .. call.name
    end
    return {operation = call.name, parameters = read_parameters(call)}
end

local function scalar(name, kind, value)
    local text = value
    if kind == "boolean" then
        text = value and "true" or "false"
    end
    return ("<%s xsi:type=\"xsd:%s\">%s</%s>"):format(name, kind, soap.escape(text), name)
end

local write_field

-- Multi-reference form: the struct goes to the end of the body and is referred to by number.
local function write_reference(out, name, struct)
    local number = #out.referred + 1
    out.referred[number] = ""
    local parts = {}
    for _, field in ipairs(struct.fields) do
        parts[#parts + 1] = write_field(out, field)
    end
    local open = ("<NS2:%s xmlns:NS2=\"urn:IKosWebIntf\" id=\"%d\" xsi:type=\"NS2:%s\">"):format(
        struct.type, number, struct.type)
    out.referred[number] = open .. table.concat(parts) .. ("</NS2:%s>"):format(struct.type)
    return ("<%s href=\"#%d\"/>"):format(name, number)
end

local function write_struct(out, name, struct)
    if out.multiref then
        return write_reference(out, name, struct)
    end
    local parts = {}
    for _, field in ipairs(struct.fields) do
        parts[#parts + 1] = write_field(out, field)
    end
    return ("<%s xsi:type=\"NS2:%s\">%s</%s>"):format(name, struct.type, table.concat(parts), name)
end

local function write_array(out, name, array)
    local item_type = array.item_type
    local full = item_type:find(":", 1, true) and item_type or "NS2:" .. item_type
    local parts = {}
    for _, item in ipairs(array.items) do
        if type(item) == "table" then
            parts[#parts + 1] = write_struct(out, "item", item)
        else
            parts[#parts + 1] = scalar("item", item_type:match("[^:]+$"), item)
        end
    end
    return ("<%s xsi:type=\"SOAP-ENC:Array\" SOAP-ENC:arrayType=\"%s[%d]\">%s</%s>"):format(
        name,
        full,
        #array.items,
        table.concat(parts),
        name
    )
end

function write_field(out, field)
    local name, kind, value = field[1], field[2], field[3]
    if kind == "struct" then
        return write_struct(out, name, value)
    elseif kind == "array" then
        return write_array(out, name, value)
    end
    return scalar(name, kind, value)
end

--- A reply. `result` is {kind, value}, nil for operations that return nothing.
---@param operation string
---@param result table|nil
---@param multiref boolean|nil
---@return neap.Reply
function soap.reply(operation, result, multiref)
    local out = {multiref = multiref, referred = {}}
    local inner = ""
    if result then
        inner = write_field(out, {"return", result[1], result[2]})
    end
    local body = ("<NS1:%sResponse%s>%s</NS1:%sResponse>"):format(operation, TYPES, inner,
        operation)
    local text = ENVELOPE .. BODY .. body .. table.concat(out.referred)
    return {
        status = 200,
        headers = {["Content-Type"] = CONTENT_TYPE},
        body = text .. "</SOAP-ENV:Body></SOAP-ENV:Envelope>",
    }
end

local REMOTABLE = [[<NS1:ERemotableException xmlns:NS1="urn:InvokeRegistry" ]]
    .. [[xsi:type="NS1:ERemotableException"/>]]
local WEB_SERVICE = [[<NS1:EWebServiceError xmlns:NS1="urn:WebServiceP" ]]
    .. [[xsi:type="NS1:EWebServiceError">]]
    .. [[<ExceptionClassName xsi:type="xsd:string">%s</ExceptionClassName>]]
    .. [[<ExceptionInheritance xsi:type="xsd:string">%s,Exception</ExceptionInheritance>]]
    .. [[</NS1:EWebServiceError>]]

--- A fault. With `class` other than "Exception" it carries EWebServiceError, else
--- ERemotableException.
---@param message string
---@param class string|nil exception class, default "Exception"
---@param status integer HTTP status
---@return neap.Reply
function soap.fault(message, class, status)
    local name = class or "Exception"
    local detail = REMOTABLE
    if name ~= "Exception" then
        detail = WEB_SERVICE:format(name, name)
    end
    local body = "<SOAP-ENV:Fault><faultcode>SOAP-ENV:Client</faultcode><faultstring>"
        .. soap.escape(message)
        .. "</faultstring><faultactor>"
        .. name
        .. "</faultactor><detail>"
        .. detail
        .. "</detail></SOAP-ENV:Fault>"
    return {
        status = status,
        headers = {["Content-Type"] = CONTENT_TYPE},
        body = ENVELOPE .. "<SOAP-ENV:Body>" .. body .. "</SOAP-ENV:Body></SOAP-ENV:Envelope>",
    }
end

return soap
