--- Amending a sales order in Khaos: a paid development (contract 5.1), capability "amend_order".
--- Khaos deletes the order and imports the whole of it again; its code and our reference stay.
---
--- Its signature is not documented. This is the one place that knows it: operation and parameters
--- are settings of the client's installation. A fault may be a refusal or trouble, and nobody can
--- tell by its words, so the outcome counts as open and the order itself is read back.
local client = require("connectors.khaos_soap.client")
local errors = require("neap.errors")
local order_xml = require("connectors.khaos_soap.order_xml")
local orders = require("connectors.khaos_soap.orders")
local xml = require("neap.xml")

local amend = {}

--- Settings of the call.
---@return table schema node
function amend.schema()
    return {type = "record", default = {}, fields = {
        operation = {type = "string", default = "AmendOrder"},
        code_parameter = {type = "string", default = "OrderCode",
            help = "names the order; empty: only the document does"},
        orders_parameter = {type = "string", default = "Orders"},
    }}
end

--- Request that makes of an order what the posting says.
---@param khaos khaos.Client
---@param settings table
---@param order_code string
---@param posting table the whole of what is left
---@return table request for an effect of class "lookup"
function amend.request(khaos, settings, order_code, posting)
    local parameters = {{settings.orders_parameter, "string", order_xml.build(posting)}}
    if settings.code_parameter ~= "" then
        table.insert(parameters, 1, {settings.code_parameter, "string", order_code})
    end
    return khaos:request(settings.operation, parameters)
end

--- What the reply says: nothing is sure but that there was one, so the order is read back before
--- anything is believed. Words of a refusal are kept.
---@param answer neap.http.Answer
---@param settings {operation: string}
---@return {amended: boolean}|nil
---@return neap.Error|nil
function amend.read(answer, settings)
    local result, err = client.read(answer, settings.operation, {is_write = true})
    if result ~= nil then
        return {amended = true}
    end
    return nil, err
end

--- Quantities of an order in Khaos by stock code.
---@async
---@param khaos khaos.Client
---@param reference string
---@return table<string, integer>|nil quantities nil without an error when Khaos has no such order
---@return neap.Error|nil
function amend.quantities(khaos, reference)
    local node, err = orders.export(khaos, reference)
    if not node then
        return nil, err
    end
    local found, items = {}, xml.child(node, "ORDER_ITEMS")
    for _, item in ipairs(items and xml.children(items, "ORDER_ITEM") or {}) do
        local code, count = xml.value(item, "STOCK_CODE"), tonumber(xml.value(item, "ORDER_QTY"))
        if code and count then
            found[code] = (found[code] or 0) + (math.tointeger(count) or count)
        end
    end
    return found
end

--- Quantities of goods that an order's lines ask for, by stock code: fees, headers of packs and the
--- rounding item come and go with them.
---@param lines table[] {kind, stock_code, unit_ids}
---@param without table<string, true>|nil ids of units that are not counted
---@return table<string, integer>
function amend.wanted(lines, without)
    local wanted = {}
    for _, line in ipairs(lines) do
        for _, id in ipairs(line.kind == "item" and line.unit_ids or {}) do
            local count = without and without[id] and 0 or 1
            wanted[line.stock_code] = (wanted[line.stock_code] or 0) + count
        end
    end
    return wanted
end

--- Whether the order in Khaos has exactly what `wanted` says of every code that it or the order
--- before asked for. Codes of neither are what Khaos made of a pack.
---@param found table<string, integer>
---@param wanted table<string, integer>
---@param before table<string, integer>
---@return boolean
function amend.is_same(found, wanted, before)
    for code in pairs(before) do
        if (found[code] or 0) ~= (wanted[code] or 0) then
            return false
        end
    end
    for code, count in pairs(wanted) do
        if (found[code] or 0) ~= count then
            return false
        end
    end
    return true
end

local function undecided(message)
    return nil, errors.new({kind = "remote", message = message, maybe_sent = true,
        retryable = true})
end

--- Lookup for the effect: is the order as it should be? If not, it may be sent again: it makes the
--- same order of it, whatever a person did to it meanwhile. Between deletion and import there is
--- none: that is no answer yet. One that is shown as cancelled must not be imported again: somebody
--- cancelled it, or it is the record that Khaos deleted.
---@async
---@param khaos khaos.Client
---@param reference string
---@param wanted table<string, integer>
---@param before table<string, integer>
---@param order_code string|nil the one that is followed
---@return "found"|"absent"|nil
---@return any
function amend.lookup(khaos, reference, wanted, before, order_code)
    local list, problem = orders.find(khaos, reference, order_code)
    if not list then
        return nil, problem
    elseif list[1] and list[1].is_cancelled then
        return "found", {is_cancelled = true}
    end
    local found, err = amend.quantities(khaos, reference)
    if not found then
        if err then
            return nil, err
        end
        return undecided("Khaos shows no order " .. reference
            .. ": it may have been deleted and not imported again")
    elseif amend.is_same(found, wanted, before) then
        return "found", {amended = true}
    end
    return "absent"
end

return amend
