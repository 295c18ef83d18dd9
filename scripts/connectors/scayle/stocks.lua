--- Variant stocks of the SCAYLE Admin API (contract 4): absolute sellable figures.
---
--- The last `changedAt` wins; an older one is ignored with success, and only the stock that the
--- answer shows tells. So an answer is read against what was sent.
local client = require("connectors.scayle.client")
local json = require("neap.json")
local time = require("neap.time")

local stocks = {}

--- Path of a variant's stocks.
---@param sku string
---@return string
function stocks.path(sku)
    return "/variants/" .. client.identifier({key = sku}) .. "/stocks"
end

---@class scayle.StockFigure
---@field sku string
---@field warehouse string reference key
---@field merchant string|nil
---@field quantity integer
---@field stamp_ms integer changedAt, SCAYLE's time

--- The document that sets one figure.
---@param figure scayle.StockFigure
---@return table
function stocks.body(figure)
    return {quantity = figure.quantity, warehouseReferenceKey = figure.warehouse,
        merchantReferenceKey = figure.merchant, changedAt = time.format_iso(figure.stamp_ms)}
end

--- Request that sets one figure; safe to repeat.
---@param figure scayle.StockFigure
---@return table request without its connection
function stocks.set_request(figure)
    return client.request({method = "POST", path = stocks.path(figure.sku),
        body = stocks.body(figure)})
end

-- What the stock in an answer says of the figure that was sent.
local function outcome(stock, figure)
    local shown_ms = type(stock.changedAt) == "string" and time.parse_iso(stock.changedAt)
    if shown_ms and shown_ms // 1000 > figure.stamp_ms // 1000 then
        return "ignored", shown_ms
    elseif math.type(stock.quantity) == "integer" and stock.quantity ~= figure.quantity then
        return "ignored", shown_ms or nil
    end
    return "set"
end

local function not_set(err)
    if err.status == 404 then
        return "unknown"
    end
    return nil, err
end

--- What became of a figure: "set" (it is in force), "ignored" (a newer one is; its stamp follows
--- when SCAYLE says it), "unknown" (no such variant); nil, err for everything else.
---@param answer neap.http.Answer
---@param figure scayle.StockFigure
---@return "set"|"ignored"|"unknown"|nil
---@return integer|neap.Error|nil
function stocks.read_set(answer, figure)
    local stock, err = client.read(answer)
    if not stock then
        return not_set(err)
    end
    return outcome(stock, figure)
end

--- The same of an answer that was handed on as its status and document (bulk requests).
---@param status integer
---@param document table
---@param figure scayle.StockFigure
---@return "set"|"ignored"|"unknown"|nil
---@return integer|neap.Error|nil
function stocks.read_document(status, document, figure)
    local stock, err = client.read({status = status, headers = {}, body = json.encode(document)})
    if not stock then
        return not_set(err)
    end
    return outcome(stock, figure)
end

--- Request that reads the figures of a variant in all warehouses.
---@param sku string
---@return table request without its connection
function stocks.get_request(sku)
    return client.request({path = stocks.path(sku)})
end

-- The figure of one warehouse in a list of stocks.
local function shown_in(document, warehouse)
    for _, stock in ipairs(type(document.entities) == "table" and document.entities or {}) do
        if stock.warehouseReferenceKey == warehouse and math.type(stock.quantity) == "integer" then
            return {quantity = stock.quantity, stamp_ms = type(stock.changedAt) == "string"
                and time.parse_iso(stock.changedAt) or nil}
        end
    end
    return nil
end

--- What an answer to it shows of one warehouse: "shown" with the figure; "none" (no figure there),
--- "unknown" (no such variant); nil, err for everything else.
---@param answer neap.http.Answer
---@param warehouse string
---@return "shown"|"none"|"unknown"|nil
---@return {quantity: integer, stamp_ms: integer|nil}|neap.Error|nil
function stocks.read_get(answer, warehouse)
    local document, err = client.read(answer)
    if not document then
        if err.status == 404 then
            return "unknown"
        end
        return nil, err
    end
    local shown = shown_in(document, warehouse)
    return shown and "shown" or "none", shown
end

--- What SCAYLE shows of a variant in one warehouse: nil without an error when there is no figure.
---@async
---@param scayle scayle.Client
---@param sku string
---@param warehouse string
---@return {quantity: integer, stamp_ms: integer|nil}|nil
---@return neap.Error|nil
function stocks.get(scayle, sku, warehouse)
    local document, err = scayle:call({path = stocks.path(sku)})
    if not document then
        return nil, err
    end
    return shown_in(document, warehouse)
end

return stocks
