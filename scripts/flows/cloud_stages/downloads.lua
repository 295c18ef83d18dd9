--- What Khaos Control Cloud fetches: its configuration file, orders, returns.
local documents = require("connectors.khaos_cloud.documents")
local json = require("neap.json")
local offered = require("flows.returns_stages.offered")
local presence = require("flows.cloud_stages.presence")
local queue = require("flows.cloud_stages.queue")

local downloads = {}

local CONTINUATION = "sirion-continuation"
local SPECIFIC = "specificids"

-- name of the block, path of the route, whether Khaos polls it
local ENDPOINTS = {
    {"OrderDownload", "orders", true}, {"OrderStatusUpload", "order-status"},
    {"StockStatusUpload", "stock-status"}, {"StockUpload", "stock"},
    {"CReturnDownload", "returns", true}, {"PriceListUpload", "price-lists"},
}

local function endpoint(settings, path, is_polled)
    return {URL = settings.public_url .. "/khaos/" .. path, Format = settings.format,
        Frequency = is_polled and settings.frequency_minutes or nil}
end

--- The configuration file, as JSON or XML by the name it is asked for under.
---@param format "JSON"|"XML"
---@return fun(ctx: neap.Context): neap.Reply
function downloads.config(format)
    return function(ctx)
        presence.heard("config", ctx.settings.khaos.push_age_ms)
        local config = {}
        for _, entry in ipairs(ENDPOINTS) do
            config[entry[1]] = endpoint(ctx.settings, entry[2], entry[3])
        end
        local whole = format == "XML" and config or {EndpointConfig = config}
        return documents.reply(format, "EndpointConfig", whole)
    end
end

local function references_of(header)
    local list = {}
    for reference in header:gmatch("[^,\"']+") do
        list[#list + 1] = reference:match("^%s*(.-)%s*$")
    end
    return list
end

-- What is asked for, and where the next call goes on.
local function take(kind, ctx, request)
    presence.heard(kind, ctx.settings.khaos.push_age_ms)
    local specific = request.headers[SPECIFIC]
    if specific and specific:find("%S") then
        local list, own, lost = queue.take_these(kind, references_of(specific))
        return list, request.headers[CONTINUATION] or own, lost
    end
    return queue.take(kind, request.headers[CONTINUATION], ctx.settings.page_size)
end

local function whole(list)
    return #list > 0 and json.array(table.move(list, 1, #list, 1, {})) or nil
end

-- What was erased before Khaos fetched it is told to a person by a job.
local function lost_events(lost)
    local events = {}
    for i, entry in ipairs(lost) do
        events[i] = {source = "khaos_cloud.erased", key = "khaos_cloud:" .. entry.reference,
            id = string.format("%s:%s:%d", entry.kind, entry.reference, entry.seq),
            name = "document.erased", payload = {kind = entry.kind, reference = entry.reference}}
    end
    return #events > 0 and events or nil
end

local function answer(ctx, root, kind, config, list, continuation, lost)
    local reply = documents.reply(ctx.settings.format, root, {[kind] = json.array(list),
        ApiVersion = documents.API_VERSION, Config = #list > 0 and config or nil},
        {["Sirion-Continuation"] = continuation})
    reply.events = lost_events(lost)
    return reply
end

--- OrderDownload.
---@param ctx neap.Context
---@param request neap.ServerRequest
---@return neap.Reply
function downloads.orders(ctx, request)
    local settings = ctx.settings
    return answer(ctx, "SalesOrderImport", "Orders", {
        MatchCompanyOn = whole(settings.match_company_on),
        MatchAddressOn = whole(settings.match_address_on),
        MatchContactOn = whole(settings.match_contact_on),
        DiscontinuedItems = settings.discontinued_items,
        RunToZeroErrorItems = settings.run_to_zero_items,
        ImportAsUnconfirmed = settings.import_as_unconfirmed or nil,
    }, take("orders", ctx, request))
end

--- CReturnDownload.
---@param ctx neap.Context
---@param request neap.ServerRequest
---@return neap.Reply
function downloads.returns(ctx, request)
    local settings = ctx.settings
    local list, continuation, lost = take("returns", ctx, request)
    for _, document in ipairs(list) do
        offered.fetched(document.AssociatedRef)
    end
    for _, entry in ipairs(lost) do
        offered.lost(entry.reference)
    end
    return answer(ctx, "CustomerReturnImport", "Returns", {
        MatchAddressOn = whole(settings.match_address_on),
        MatchContactOn = whole(settings.match_contact_on),
    }, list, continuation, lost)
end

return downloads
