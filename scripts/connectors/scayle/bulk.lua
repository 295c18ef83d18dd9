--- Bulk stock requests of the SCAYLE Admin API (contract 1.7): figures are handed over in chunks of
--- an open request, which SCAYLE works through later, once it is complete.
---
--- No call lists the operations that failed: each is looked up by the key that we gave it.
local client = require("connectors.scayle.client")
local errors = require("neap.errors")
local stocks = require("connectors.scayle.stocks")

local bulk = {}

local OVER = {processed = true, failed = true, cancelled = true, aborted = true}

local function path_of(key, rest)
    return string.format("/bulk-requests/%d%s", key, rest)
end

--- Request that hands over one chunk. Repeating it is harmless: figures are absolute, and keys of
--- earlier chunks are not checked again.
---@param operations {key: string, figure: scayle.StockFigure}[] at least one
---@param options {key: integer|nil, is_last: boolean} key: of the open request; nil begins one
---@return table request without its connection
function bulk.chunk_request(operations, options)
    local list = {}
    for i, operation in ipairs(operations) do
        list[i] = {key = operation.key, method = "POST", url = stocks.path(operation.figure.sku),
            body = stocks.body(operation.figure)}
    end
    return client.request({method = "POST", path = "/variants/stocks/bulk-requests", body = {
        callbacks = {requestStatus = options.is_last and "complete" or "incomplete",
            bulkRequestKey = options.key},
        operations = list,
    }})
end

--- SCAYLE's key of the request that a chunk went to.
---@param answer neap.http.Answer
---@return integer|nil
---@return neap.Error|nil
function bulk.read_chunk(answer)
    local made, err = client.read(answer)
    if not made then
        return nil, err
    elseif math.type(made.key) ~= "integer" then
        return nil, errors.new({kind = "remote", retryable = true, maybe_sent = true,
            message = "SCAYLE's answer to a bulk chunk has no key"})
    end
    return made.key
end

--- Request that asks how far it is.
---@param key integer
---@return table request without its connection
function bulk.status_request(key)
    return client.request({path = path_of(key, "/status")})
end

---@class scayle.BulkStatus
---@field status string "new" (open), "pending", "processing", or over: "processed", "failed", ...
---@field is_open boolean takes further chunks
---@field is_over boolean nothing more happens
---@field is_whole boolean every operation was processed, and none is said to have failed
---@field done integer operations so far

--- What an answer to it says.
---@param answer neap.http.Answer
---@return scayle.BulkStatus|nil
---@return neap.Error|nil
function bulk.read_status(answer)
    local shown, err = client.read(answer)
    if not shown then
        return nil, err
    elseif type(shown.status) ~= "string" then
        return nil, errors.new({kind = "remote", retryable = true,
            message = "SCAYLE's answer about a bulk request has no status"})
    end
    local progress = type(shown.progress) == "table" and shown.progress or {}
    local done = math.tointeger(progress.processedOperations) or 0
    return {status = shown.status, is_open = shown.status == "new", done = done,
        is_over = OVER[shown.status] == true,
        is_whole = shown.status == "processed" and progress.failedOperations == 0
            and done == progress.totalOperations}
end

--- Request that stops it.
---@param key integer
---@return table request without its connection
function bulk.cancel_request(key)
    return client.request({method = "PUT", path = path_of(key, "/cancel")})
end

--- Request that asks what became of one operation.
---@param key integer
---@param operation_key string
---@return table request without its connection
function bulk.operation_request(key, operation_key)
    return client.request({path = path_of(key, "/operations/" .. operation_key .. "/status")})
end

--- What became of a figure: as stocks.read_set says it, "open" (not processed, or never there), or
--- "failed" with SCAYLE's error; nil, err when the answer does not tell.
---@param answer neap.http.Answer
---@param figure scayle.StockFigure
---@return "set"|"ignored"|"unknown"|"open"|"failed"|nil
---@return integer|neap.Error|nil
function bulk.read_operation(answer, figure)
    local shown, err = client.read(answer)
    if not shown then
        if err.status == 404 then
            return "open"
        end
        return nil, err
    end
    local response = type(shown.response) == "table" and shown.response or {}
    local status = math.tointeger(response.statusCode)
    if not status then
        return "open"
    end
    local body = response.body
    if type(body) == "string" then
        body = client.decode(body)
    end
    body = type(body) == "table" and body or {}
    local outcome, more = stocks.read_document(status, body, figure)
    return outcome or "failed", more
end

return bulk
