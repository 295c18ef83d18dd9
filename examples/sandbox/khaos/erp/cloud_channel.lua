--- The web channel's work: imports what was downloaded, says what is to be pushed. Nobody is told
--- of an import that failed; users see it in the channel's list (GET _control/cloud) and retry it.

local cloud_order = require("erp.cloud_order")
local customers = require("erp.customers")
local control = require("lib.sandbox.control")
local data = require("erp.data")
local json = require("neap.json")
local money = require("neap.money")
local orders = require("erp.orders")
local stock = require("erp.stock")
local world = require("erp.world")

local cloud_channel = {}

local CHANNEL = "erp_cloud" -- "state" -> {config, continuation, retry = {reference, ...}}
local IMPORTS = "erp_cloud_imports" -- reference -> {status, reason, times, document}
local PUSHED = "erp_cloud_pushed" -- "<kind>/<what>" -> the text last accepted with 200
local RETURNS = "erp_cloud_returns" -- reference -> {status, reason, document}
local API_VERSION = 1000
local ISSUED = 70
local MINOR_DIGITS = 2

---@param w table
---@return table
function cloud_channel.state(w)
    return w.store.get(CHANNEL, "state") or {retry = json.array({})}
end

---@param w table
---@param state table
function cloud_channel.keep(w, state)
    w.store.put(CHANNEL, "state", state)
end

---@param w table
---@return table<string, table>
function cloud_channel.imports(w)
    local list = {}
    for _, pair in ipairs(w.store.range(IMPORTS, {limit = 10000})) do
        list[pair.key] = pair.value
    end
    return list
end

-- ---- import ----------------------------------------------------------------------------------

local function note(w, reference, fields)
    local entry = w.store.get(IMPORTS, reference) or {times = 0}
    for name, value in pairs(fields) do
        entry[name] = value
    end
    w.store.put(IMPORTS, reference, entry)
    return entry
end

local function import_one(w, given, config)
    local header = type(given) == "table" and given.Header or {}
    local reference = type(header) == "table" and header.AssociatedRef or "?"
    local entry = note(w, reference, {document = given, config = config})
    note(w, reference, {times = entry.times + 1})
    local order, problems = cloud_order.read(w, given)
    local match = config.MatchCompanyOn or {}
    match = type(match) == "table" and match or {match}
    local outcome = orders.take(w, order, problems, cloud_order.finder(match))
    if outcome.kind == "imported" then
        note(w, reference, {status = "OK", reason = ""})
    elseif not outcome.is_duplicate then
        note(w, reference, {status = "failed", reason = outcome.reason})
    end
    return outcome
end

--- Imports a download; nil and why when the document as a whole is wrong.
---@param w table
---@param document table
---@return table[]|nil outcomes
---@return string|nil problem
function cloud_channel.import(w, document)
    local null = cloud_order.null_in(document)
    if null then
        return nil, "null at " .. null
    elseif tonumber(document.ApiVersion) ~= API_VERSION then
        return nil, "ApiVersion is missing"
    end
    local outcomes = {}
    for _, given in ipairs(type(document.Orders) == "table" and document.Orders or {}) do
        outcomes[#outcomes + 1] = import_one(w, given, document.Config or {})
    end
    return outcomes
end

-- ---- returns ---------------------------------------------------------------------------------

---@param w table
---@return table<string, table>
function cloud_channel.returns(w)
    local list = {}
    for _, pair in ipairs(w.store.range(RETURNS, {limit = 10000})) do
        list[pair.key] = pair.value
    end
    return list
end

local function source_of(item)
    local source = (item.SourceReference or {}).SourceOrder or {}
    local only, count = nil, 0
    for _, value in pairs(source) do
        only, count = value, count + 1
    end
    return count == 1 and only or nil
end

-- What is wrong with a return; nil when Khaos can book it.
local function return_problem(w, given)
    if not given.URN or not customers.get(w, given.URN) then
        return "customer " .. tostring(given.URN) .. " does not exist"
    elseif not given.InvoiceAddress or not given.InvoiceContact or not given.CreatedDate then
        return "InvoiceAddress, InvoiceContact or CreatedDate is missing"
    end
    for _, item in ipairs(given.ReturnedItems or {}) do
        local reference = source_of(item)
        if not w.store.get("erp_stock", item.SKU or "") then
            return "stock item not found"
        elseif not item.ReturnReason or type(item.Mapping) ~= "table" then
            return "ReturnReason or Mapping is missing"
        elseif not reference or #orders.codes_of(w, reference) == 0 then
            return "SourceOrder names no order"
        end
    end
    return nil
end

local function take_return(w, given)
    local known = w.store.get(RETURNS, given.AssociatedRef)
    if known and known.status == "OK" then
        known.times = known.times + 1
        w.store.put(RETURNS, given.AssociatedRef, known)
        return
    end
    local problem = return_problem(w, given)
    if not problem then
        for _, item in ipairs(given.ReturnedItems) do
            local count = math.tointeger(tonumber(item.Quantity)) or 0
            stock.move(w, item.SKU, data.SITES[1].name, count)
        end
    end
    w.store.put(RETURNS, given.AssociatedRef, {status = problem and "failed" or "OK",
        reason = problem, document = given, times = 1})
end

--- Books downloaded returns; why not, when the document as a whole is wrong.
---@param w table
---@param document table
---@return string|nil problem
function cloud_channel.take_returns(w, document)
    local null = cloud_order.null_in(document)
    if null or tonumber(document.ApiVersion) ~= API_VERSION then
        return null and "null at " .. null or "ApiVersion is missing"
    end
    for _, given in ipairs(document.Returns or {}) do
        take_return(w, given)
    end
    return nil
end

--- Units and money of the imported returns of each order, as their credit notes have them.
---@param w table
---@return {code: string, reference: string, items: table[], minor: integer}[]
function cloud_channel.credits(w)
    local list = {}
    for _, entry in ipairs(w.store.range(RETURNS, {limit = 10000})) do
        for i, item in ipairs(entry.value.status == "OK" and entry.value.document.ReturnedItems
            or {}) do
            local count = math.tointeger(tonumber(item.Quantity)) or 0
            local price = money.from_number(tonumber(item.UnitPrice.Gross), MINOR_DIGITS)
            list[#list + 1] = {code = entry.key .. "/" .. i, reference = source_of(item),
                items = {{stock_code = item.SKU, quantity = count}},
                minor = count * price:to_minor(MINOR_DIGITS)}
        end
    end
    return list
end

--- A user of Khaos: "retry_import" of what was downloaded, or "retry_download".
---@param w table
---@param body {action: string, reference: string}
---@return neap.Reply
function cloud_channel.act(w, body)
    local entry = w.store.get(IMPORTS, body.reference or "")
    if body.action == "retry_download" then
        local state = cloud_channel.state(w)
        table.insert(state.retry, body.reference)
        cloud_channel.keep(w, state)
    elseif body.action == "refresh_config" then
        local state = cloud_channel.state(w)
        state.config = nil
        cloud_channel.keep(w, state)
    elseif body.action == "retry_import" and entry then
        import_one(w, entry.document, entry.config)
    else
        return control.bad("action must be retry_import, retry_download or refresh_config")
    end
    return control.reply(200, {imports = cloud_channel.imports(w)})
end

-- ---- pushes ----------------------------------------------------------------------------------

-- Invoice items with the lines they came from: those named, or lines of the code in their order.
local function shipment_items(order, taken, invoice)
    local items = json.array({})
    for _, item in ipairs(invoice.items) do
        local left = item.quantity
        for i, line in ipairs(order.lines) do
            local free = (math.tointeger(tonumber(line.quantity)) or 0) - (taken[i] or 0)
            local fits = line.stock_code == item.stock_code
                and (not item.import_ref or item.import_ref == line.import_ref)
            local count = fits and math.min(free, left) or 0
            if count > 0 then
                taken[i], left = (taken[i] or 0) + count, left - count
                items[#items + 1] = {OrderItemID = order.code .. "L" .. i, SKU = line.stock_code,
                    ShipmentItemID = invoice.code .. "L" .. i, Quantity = count,
                    ImportRef = line.import_ref}
            end
        end
    end
    return items
end

local function packages(w, invoice)
    local list = json.array({})
    for i, box in ipairs(invoice.boxes or {{consignment = invoice.consignment}}) do
        local has_gone = box.consignment ~= ""
        list[i] = {ConsignmentRef = has_gone and box.consignment or nil,
            Courier = {Code = invoice.courier, Name = invoice.courier},
            ShipmentDate = has_gone and world.date_time(w, invoice.shipped_ms) or nil}
    end
    return list
end

local function status_word(order)
    local last = order.invoices[#order.invoices]
    if order.cancelled then
        return "Cancelled"
    elseif not last then
        return "Received"
    end
    return last.completes and "Complete" or "PartialShip"
end

local function status_of(w, order)
    local shipments, taken = json.array({}), {}
    for i, invoice in ipairs(order.invoices) do
        shipments[i] = {ID = "SHIP" .. invoice.code, Code = invoice.code,
            Status = invoice.stage >= ISSUED and "Issue" or "Picking",
            Items = shipment_items(order, taken, invoice), Packages = packages(w, invoice)}
    end
    -- Both names of the status field have been seen.
    local field = tonumber(order.code:match("%d$")) % 2 == 0 and "Status" or "OrderStatus"
    return {OrderCode = order.code, OrderID = order.code:sub(3), AssociatedRef = order.reference,
        ChannelID = "31", CustomData = order.custom_data, [field] = status_word(order),
        Shipments = shipments}
end

local function potential(w, item, key)
    local least
    for _, code in ipairs(item.kit) do
        local child = w.store.get("erp_stock", code)
        least = math.min(least or math.maxinteger, child and child.levels[key] or 0)
    end
    return math.max(least or 0, 0)
end

local function level_of(w, item, site)
    local key = tostring(site.id)
    local entry = {StockCode = item.code, StockID = item.id, SiteID = site.id}
    if item.kit then
        entry.RelationshipPotential = {FromChildren = potential(w, item, key), FromParents = 0}
    elseif item.controlled then
        entry.Levels = {Available = item.levels[key] or 0, OnOrder = item.on_order}
    end
    return entry
end

local function item_of(item)
    return {StockID = item.id, StockCode = item.code, ShortDescription = item.description,
        BuyPrice = {Net = tonumber(item.buy_price)},
        SellPrice = {Gross = tonumber(item.sell_price)}, TaxRate = {ID = item.tax_code},
        StockType1 = {Name = "Goods"}, StockType2 = {Name = "All"},
        SafeLevel = item.safe_level,
        UserDefinedFields = json.array({{Name = "Web Buffer", Value = item.buffer}}),
        Options = {PublishOnWeb = true, Discontinued = item.discontinued, DropShipItem = false,
            DiscountsDisabled = false, RunToZero = item.run_to_zero, VatReliefQualified = false,
            StockControlled = item.controlled, FreeText = false}}
end

local function add(w, list, kind, id, value)
    local text = json.encode(value)
    local place = kind .. "/" .. id
    if w.store.get(PUSHED, place) ~= text then
        list[#list + 1] = {place = place, text = text, value = value}
    end
end

--- What changed since it was last accepted: {stock = ..., stock_status = ..., order_status = ...}.
---@param w table
---@return table<string, {place: string, text: string, value: table}[]>
function cloud_channel.news(w)
    local news = {stock = {}, stock_status = {}, order_status = {}}
    for _, item in ipairs(stock.all(w)) do
        add(w, news.stock, "stock", item.code, item_of(item))
        for _, site in ipairs(data.SITES) do
            add(w, news.stock_status, "level", item.code .. "/" .. site.id,
                level_of(w, item, site))
        end
    end
    for _, order in ipairs(w.settings.cloud_silent and {} or orders.all(w)) do
        if order.channel == "cloud" then
            add(w, news.order_status, "order", order.code, status_of(w, order))
        end
    end
    return news
end

--- The push was answered with 200.
---@param w table
---@param entries table[]
function cloud_channel.accepted(w, entries)
    for _, entry in ipairs(entries) do
        w.store.put(PUSHED, entry.place, entry.text)
    end
end

return cloud_channel
