--- SCAYLE Admin API: requests, answers, errors. Knows the wire and nothing of a client or a flow.
---
---     local scayle = require("connectors.scayle.client").new()
---     local order, err = scayle:call{path = "/shops/fo/countries/GB/orders/204417"}
---
--- Only this file knows which answers may be asked again: 408, 429, 5xx and the error key of the
--- rate limit under any status. Reading is lenient: [] for {}, a missing cursor, nulls anywhere.
local errors = require("neap.errors")
local http = require("neap.http")
local json = require("neap.json")
local time = require("neap.time")

local client = {}

local RATE_LIMIT_KEY = "RATE_LIMIT_EXCEED"
local MAX_WORDS = 300 -- of an answer that is no error document

---@class scayle.Client
---@field connection string
local Client = {}
Client.__index = Client

local OPTIONS = {connection = true}

--- A client over a declared connection.
---@param options {connection: string|nil}|nil default connection "scayle"
---@return scayle.Client
function client.new(options)
    for name in pairs(options or {}) do
        if not OPTIONS[name] then
            error("scayle client: unknown option " .. tostring(name), 2)
        end
    end
    return setmetatable({connection = options and options.connection or "scayle"}, Client)
end

--- An identifier in a path: SCAYLE's own id as it is, our reference key as "key%3D...".
---@param id string|integer|{key: string}
---@return string
function client.identifier(id)
    if type(id) == "table" then
        return http.url_encode("key=" .. id.key)
    end
    return http.url_encode(tostring(id))
end

--- "/shops/fo/countries/1412".
---@param where {shop_key: string, country: string} country: alpha-2 code or shop country id
---@return string
function client.shop_path(where)
    return string.format("/shops/%s/countries/%s", http.url_encode(where.shop_key),
        http.url_encode(where.country))
end

--- A request; a table as body becomes JSON.
---@param request {method: string|nil, path: string, query: table|nil, body: table|nil}
---@return table request for neap.http or an effect, without its connection
function client.request(request)
    local made = {method = request.method or "GET", path = request.path, query = request.query,
        headers = {["Accept"] = "application/json"}}
    if request.body then
        made.body = json.encode(request.body)
        made.headers["Content-Type"] = "application/json"
    end
    return made
end

-- JSON null does not leave the connector.
local WITHOUT_NULLS = {without_nulls = true}

--- Decodes a document of SCAYLE; nulls are left out.
---@param text string
---@return any
---@return neap.Error|nil
function client.decode(text)
    local value, err = json.decode(text, WITHOUT_NULLS)
    if value == json.null then
        return {}
    end
    return value, err
end

-- ---- errors ----------------------------------------------------------------------------------

local function error_list(body)
    local document = body ~= "" and client.decode(body)
    local found = type(document) == "table" and document.errors
    local list = {}
    for _, entry in ipairs(type(found) == "table" and found or {}) do
        if type(entry) == "table" then
            list[#list + 1] = {
                key = type(entry.errorKey) == "string" and entry.errorKey or nil,
                message = type(entry.message) == "string" and entry.message or nil,
                context = type(entry.context) == "table" and entry.context or nil,
            }
        end
    end
    return list
end

local function is_rate_limit(status, list)
    for _, entry in ipairs(list) do
        if entry.key == RATE_LIMIT_KEY then
            return true
        end
    end
    return status == 429
end

local function words_of(answer, list)
    local parts = {}
    for _, entry in ipairs(list) do
        parts[#parts + 1] = (entry.key and entry.key .. ": " or "") .. (entry.message or "")
    end
    if #parts == 0 and answer.body ~= "" then
        parts[1] = answer.body:sub(1, MAX_WORDS)
    end
    return string.format("SCAYLE answered %d%s%s", answer.status, #parts > 0 and ": " or "",
        table.concat(parts, "; "))
end

-- Seconds as SCAYLE gives them; a date in Retry-After is not documented and not read. Every answer
-- says when the quota resets; only a refusal for the quota's sake has to wait for it.
local function wait_ms(answer, limited)
    local seconds = tonumber(answer.headers["retry-after"])
        or limited and tonumber(answer.headers["x-ratelimit-reset"])
    return seconds and seconds >= 0 and math.tointeger(seconds * 1000 // 1) or nil
end

local KINDS = {[400] = "invalid", [404] = "not_found", [408] = "timeout", [409] = "exists",
    [412] = "invalid", [413] = "invalid", [422] = "invalid"}

local function error_of(answer, list)
    local limited = is_rate_limit(answer.status, list)
    local retryable = limited or answer.status == 408 or answer.status >= 500
    return errors.new({
        kind = limited and "remote" or KINDS[answer.status] or "remote",
        message = words_of(answer, list),
        status = answer.status,
        retryable = retryable,
        retry_after_ms = retryable and wait_ms(answer, limited) or nil,
        maybe_sent = not limited and retryable or nil,
        details = {errors = list, is_rate_limit = limited or nil},
    })
end

--- What an answer says: the document (an empty table for an empty body), or nil, err.
---@param answer neap.http.Answer
---@return any
---@return neap.Error|nil
function client.read(answer)
    if answer.status < 200 or answer.status > 299 then
        return nil, error_of(answer, error_list(answer.body))
    elseif answer.body == "" then
        return {}
    end
    local value, err = client.decode(answer.body)
    if value == nil then
        return nil, errors.new({kind = "remote", retryable = true, maybe_sent = true,
            status = answer.status, message = "SCAYLE's answer is no JSON: " .. err.message})
    end
    if type(value) == "table" and type(value.errors) == "table" then
        local list = error_list(answer.body)
        if is_rate_limit(answer.status, list) then
            return nil, error_of(answer, list)
        end
    end
    return value
end

local MONTHS = {Jan = 1, Feb = 2, Mar = 3, Apr = 4, May = 5, Jun = 6, Jul = 7, Aug = 8, Sep = 9,
    Oct = 10, Nov = 11, Dec = 12}

--- What time it is at SCAYLE, by the Date header of an answer (RFC 9110, 5.6.7), to the second.
---@param answer neap.http.Answer
---@return integer|nil UTC ms
function client.date_ms(answer)
    local day, month, year, clock = (answer.headers.date or ""):match(
        "^%a+, (%d%d) (%a+) (%d%d%d%d) (%d%d:%d%d:%d%d) GMT$")
    local number = MONTHS[month]
    return number and time.parse_iso(string.format("%s-%02d-%sT%sZ", year, number, day, clock))
        or nil
end

--- Asks and reads.
---@async
---@param request {method: string|nil, path: string, query: table|nil, body: table|nil}
---@return any
---@return neap.Error|nil
function Client:call(request)
    local made = client.request(request)
    made.connection = self.connection
    local answer, err = http.request(made)
    if not answer then
        return nil, err
    end
    return client.read(answer)
end

return client
