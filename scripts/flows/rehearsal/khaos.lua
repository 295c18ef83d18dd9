--- Khaos Control as a rehearsal needs it: it says what the case says, on the client's own line.
local http_answer = require("flows.rehearsal.http_answer")
local khaos_line = require("flows.khaos_line")

local khaos = {}

local ENVELOPE = [[<?xml version="1.0"?><s:Envelope ]]
    .. [[xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><n:%sResponse xmlns:n="n">]]
    .. [[<return>%s</return></n:%sResponse></s:Body></s:Envelope>]]
local LINES = {soap = "the XML that Khaos's web service gives",
    cloud = "the document that Khaos Control Cloud pushes"}

local function problem_of(value)
    if type(value) == "table" then
        for line in pairs(value) do
            if not LINES[line] then
                return "a text, or {soap = ..., cloud = ...} expected"
            end
        end
    elseif type(value) ~= "string" then
        return "a file in cases/khaos/ or its text expected"
    end
    return nil
end

--- Field `khaos` of a case.
khaos.FIELD = {type = "any", required = true, check = problem_of}
--- The same where Khaos is not always asked.
khaos.OPTIONAL = {type = "any", check = problem_of}

--- What Khaos says in this case.
---@param settings table of the flow
---@param case table
---@param field string|nil of the case, default "khaos"
---@return string
function khaos.said(settings, case, field)
    field = field or "khaos"
    local line = khaos_line.kind(settings.khaos)
    local text = case[field]
    if type(text) == "table" then
        text = text[line]
    end
    local is_xml = text ~= nil and text:find("^%s*<") ~= nil
    if not text or line == "soap" and not is_xml then
        error(string.format("%s: on this client's line (%s) %s is expected: %s = {%s = ...}", field,
            line, LINES[line], field, line), 0)
    end
    return text
end

--- The answer of the web service to a call, a document as its return value.
---@param request table
---@param document string
---@return table neap.http.Answer
function khaos.reply(request, document)
    local operation = (request.body or ""):match("<NS1:([%w_]+)[ >]") or "Call"
    local text = document:gsub("&", "&amp;"):gsub("<", "&lt;"):gsub(">", "&gt;")
    return http_answer(200, ENVELOPE:format(operation, text, operation))
end

--- What it was called.
---@param request table
---@return string
function khaos.operation(request)
    return (request.body or ""):match("<NS1:([%w_]+)[ >]") or request.path
end

return khaos
