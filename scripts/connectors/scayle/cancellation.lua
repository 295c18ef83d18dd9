--- SCAYLE's blocking cancellation call (contract 2.3): what it asks and how it is answered.
---
--- It counts as cancelled only when `cancellationResult` is "successful"; how a refusal is spelt is
--- not documented, so the word is a setting. Any status but 201 is asked again: the honest answer
--- to what is not decided yet.
local client = require("connectors.scayle.client")
local delegation = require("connectors.scayle.delegation")
local errors = require("neap.errors")
local json = require("neap.json")

local cancellation = {}

local JSON_HEADERS = {["Content-Type"] = "application/json"}

---@class scayle.Cancellation
---@field order_reference_key string SCAYLE's name of the order, as its delegation had it
---@field merchant string|nil
---@field warehouse_ids string[] whose units are meant: it names warehouses, not items; empty: all

--- Reads the request. It cannot do without the order's reference key.
---@param body string
---@return scayle.Cancellation|nil
---@return neap.Error|nil kind invalid
function cancellation.parse(body)
    local document = client.decode(body)
    if type(document) ~= "table" then
        return nil, errors.new({kind = "invalid", message = "the body is no JSON object"})
    end
    local key = delegation.text_of(document.orderReferenceKey)
    if not key then
        return nil, errors.new({kind = "invalid",
            message = "orderReferenceKey is missing or cannot be read"})
    end
    local merchant, ids = document.fulfillingMerchantKey, {}
    for _, id in ipairs(type(document.warehouseIds) == "table" and document.warehouseIds or {}) do
        ids[#ids + 1] = delegation.text_of(id)
    end
    return {order_reference_key = key, merchant = type(merchant) == "string" and merchant or nil,
        warehouse_ids = ids}
end

--- The answer that decides.
---@param reference string
---@param result string
---@return neap.Reply
function cancellation.answer(reference, result)
    return {status = 201, headers = JSON_HEADERS,
        body = json.encode({orderReferenceKey = reference, cancellationResult = result})}
end

--- The answer while nothing is decided: SCAYLE asks again.
---@return neap.Reply
function cancellation.undecided()
    return {status = 503, headers = {["Content-Type"] = "application/json", ["Retry-After"] = "60"},
        body = json.encode({statusCode = 503, errorKey = "undecided",
            message = "The order is being worked on; ask again"})}
end

--- The answer to what cannot be read.
---@param err neap.Error
---@return neap.Reply
function cancellation.refusal(err)
    return {status = 400, headers = JSON_HEADERS,
        body = json.encode({statusCode = 400, errorKey = "validation_error",
            message = err.message})}
end

return cancellation
