--- SCAYLE's blocking cancellation call (contract 2.3): what it asks and how it is answered.
---
--- It counts as cancelled only when `cancellationResult` is "successful"; how a refusal is spelt is
--- not documented, so the word is a setting. Any status but 201 is asked again: the honest answer
--- to what is not decided yet.
local delegation = require("connectors.scayle.delegation")
local errors = require("neap.errors")
local json = require("neap.json")

local cancellation = {}

local JSON_HEADERS = {["Content-Type"] = "application/json"}

---@class scayle.Cancellation
---@field order_reference_key string SCAYLE's name of the order, as its delegation had it
---@field merchant string|nil
---@field warehouse_ids string[] whose units are meant: it names warehouses, not items; empty: all;
---   cancellation.UNREAD for one that cannot be read

--- In place of a warehouse's id: its form is not documented, and no id is not "all of them".
cancellation.UNREAD = "?"

local function warehouse_ids(value)
    if value == nil or value == json.null then
        return {}
    elseif type(value) ~= "table" or next(value) ~= nil and #value == 0 then
        return {cancellation.UNREAD}
    end
    local ids = {}
    for i, id in ipairs(value) do
        ids[i] = delegation.text_of(id) or cancellation.UNREAD
    end
    return ids
end

-- The key of a merchant; false when it cannot be read.
local function merchant_of(value)
    if value == nil or value == json.null then
        return nil
    elseif type(value) == "string" then
        return value
    end
    return delegation.text_of(value) or false
end

--- Reads the request. It cannot do without the order's reference key.
---@param body string
---@return scayle.Cancellation|nil
---@return neap.Error|nil kind invalid
function cancellation.parse(body)
    local document = json.decode(body)
    if type(document) ~= "table" then
        return nil, errors.new({kind = "invalid", message = "the body is no JSON object"})
    end
    local key = delegation.text_of(document.orderReferenceKey)
    if not key then
        return nil, errors.new({kind = "invalid",
            message = "orderReferenceKey is missing or cannot be read"})
    end
    local merchant = merchant_of(document.fulfillingMerchantKey)
    if merchant == false then
        return nil, errors.new({kind = "invalid", message = "fulfillingMerchantKey cannot be read"})
    end
    return {order_reference_key = key, merchant = merchant,
        warehouse_ids = warehouse_ids(document.warehouseIds)}
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
