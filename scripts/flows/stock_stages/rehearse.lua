--- What the shop would be told of some stock codes, with the terms of each figure: for golden cases
--- (scripts/lib/golden.lua).
---
---     return {
---         flow = "stock", name = "what orders took is kept back",
---         items = "sock-item.xml", levels = "sock-level.xml", -- in cases/khaos/
---         pending = {["FO-SCK-0007-L"] = 2},
---         expect = {told = {{kind = "stock", sku = "FO-SCK-0007-L", quantity = 7}}},
---     }
local cloud_items = require("flows.stock_stages.cloud_items")
local http_answer = require("flows.rehearsal.http_answer")
local json = require("neap.json")
local khaos = require("flows.rehearsal.khaos")
local khaos_line = require("flows.khaos_line")
local push = require("flows.rehearsal.push")
local reading = require("flows.stock_stages.reading")
local run = require("flows.rehearsal.run")
local stock_pending = require("flows.stock_pending")
local store = require("neap.store")
local tables = require("flows.stock_stages.tables")
local time = require("neap.time")
local xml = require("neap.xml")

local ORDER_WATERMARK = "order_watermark" -- of the orders flow, see watermark.lua
local QUANTITIES = {type = "map", values = {type = "integer", min = 1}}

local rehearse = {}

rehearse.CASES = {at = run.AT, levels = khaos.FIELD, items = khaos.OPTIONAL,
    pending = {type = "map", values = QUANTITIES.values, default = {},
        help = "units of codes that accepted orders take and Khaos does not know"},
    kits = {type = "map", values = QUANTITIES,
        help = "what kits are made of, in the place of the client's: Khaos Control Cloud does not "
            .. "say it"}}

-- The client's, but that every figure goes by itself and at once.
local function settings_of(settings, case)
    local own = {}
    for name, value in pairs(settings) do
        own[name] = value
    end
    own.bulk, own.peak, own.batch = nil, nil, math.maxinteger
    own.kits = case.kits or own.kits
    return own
end

local function codes_of(levels)
    local root = assert(xml.parse(levels))
    local codes = {}
    for _, node in ipairs(xml.children(root, "STOCK_ITEM")) do
        codes[#codes + 1] = node.attrs.CODE
    end
    if #codes == 0 then
        error("levels: a STOCK_STATUS with a STOCK_ITEM that has a CODE is expected", 0)
    end
    return codes
end

-- What orders took is known: a sweep went through all of them, and these have reached us.
local function take_orders(pending)
    store.put(ORDER_WATERMARK, "sweep", {completed_ms = time.now_ms() + 1})
    stock_pending.begin()
    if next(pending) then
        stock_pending.open("order:case", {order_id = "case", accepted_ms = time.now_ms(),
            units = pending})
    end
end

local function read_soap(rehearsal, settings, case)
    local codes = codes_of(khaos.said(settings, case, "levels"))
    rehearsal:play_as(function(job)
        reading.run(job, khaos_line.new(settings.khaos), {codes = codes, parents = {},
            has_changed = function()
                return true
            end})
    end)
end

local function answer_khaos(settings, case, request)
    if khaos.operation(request) == "ExportStock" then
        return khaos.reply(request, khaos.said(settings, case, "items"))
    end
    local site = (request.body or ""):match("<SiteID[^>]*>(%d+)<")
    return khaos.reply(request, site == tostring(settings.sites[1])
        and khaos.said(settings, case, "levels") or "<STOCK_STATUS/>")
end

-- A figure of SCAYLE's, in the words of cases.
local function told_of(request)
    local body = json.decode(request.body)
    local sku = request.path:match("^/variants/key%%3D(.*)/stocks$"):gsub("%%(%x%x)", function(hex)
        return string.char(tonumber(hex, 16))
    end)
    local sent = store.get(tables.SENT, sku)
    return {kind = "stock", sku = sku, quantity = body.quantity,
        warehouse = body.warehouseReferenceKey, text = sent.text, terms = sent.terms}
end

local function read_khaos(rehearsal, settings, case)
    if khaos_line.kind(settings.khaos) == "soap" then
        read_soap(rehearsal, settings, case)
        return
    end
    rehearsal.world:with(function()
        cloud_items.step(settings, time.now_ms())
    end)
    if case.items then
        push(rehearsal, "stock", khaos.said(settings, case, "items"))
    end
    push(rehearsal, "stock_status", khaos.said(settings, case, "levels"))
end

--- Of the flow; its rehearse(settings, case).
---@param flow table
---@return fun(settings: table, case: table): table
function rehearse.of(flow)
    return function(given, case)
        local settings, told = settings_of(given, case), {}
        local erp = khaos_line.new(settings.khaos).connection
        local rehearsal = run.new(flow, settings, case, function(request)
            if request.connection == erp then
                return answer_khaos(settings, case, request)
            elseif request.method == "POST" then
                told[#told + 1] = told_of(request)
                return http_answer(200, request.body)
            end
            return http_answer(200, '{"entities":[]}')
        end)
        rehearsal.world:with(function()
            take_orders(case.pending)
        end)
        read_khaos(rehearsal, settings, case)
        rehearsal:play({name = "schedule.send"})
        return rehearsal:result(told)
    end
end

return rehearse
