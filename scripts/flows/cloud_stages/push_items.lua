--- StockUpload, taken: items that Khaos Control Cloud pushes, and the ids of deleted ones.
--- Exceptions about codes that are there now close. A repeat changes nothing.
local cloud_items = require("flows.stock_stages.cloud_items")
local codes = require("flows.khaos_codes")
local khaos_stock = require("connectors.khaos_cloud.stock")
local store = require("neap.store")
local tables = require("flows.stock_stages.tables")
local time = require("neap.time")

local push_items = {}

local CODE_OF_ID = cloud_items.CODE_OF_ID
local DETAILS = {"stock_id", "runs_to_zero", "max_display", "category", "safe_level", "numbers"}

-- An item has lost its code: nothing is sold under it, unless it is another item's by now.
local function lose_code(stock_id, code)
    local kept = store.get(tables.ITEMS, code)
    if kept and kept.stock_id and kept.stock_id ~= stock_id then
        return
    end
    codes.forget(code)
    if kept then
        kept.is_hidden = true
        cloud_items.empty(kept, function(level)
            return not level.stock_id or level.stock_id == stock_id
        end)
        cloud_items.keep(kept, time.now_ms())
    end
end

-- Options that cannot be read stay as they were known; what was never known is not sold.
local function keep_options(kept, item)
    local options = kept.stock_id == item.stock_id and kept.options or {}
    if item.is_discontinued ~= nil then
        options.is_discontinued = item.is_discontinued
    end
    if item.is_published ~= nil then
        options.is_published = item.is_published
    end
    kept.options = options
    kept.is_hidden = options.is_discontinued ~= false or not options.is_published or nil
    codes.put({[item.code] = {discontinued = options.is_discontinued == true}})
end

local function take_item(item)
    local known = store.get(CODE_OF_ID, item.stock_id) or {}
    if known.code and known.code ~= item.code then
        lose_code(item.stock_id, known.code)
    end
    known.code = item.code
    store.put(CODE_OF_ID, item.stock_id, known)
    local kept = cloud_items.get(item.code)
    keep_options(kept, item)
    for _, name in ipairs(DETAILS) do
        kept[name] = item[name]
    end
    kept.details_ms = time.now_ms()
    cloud_items.empty(kept, function(level)
        return level.stock_id and level.stock_id ~= item.stock_id
    end)
    cloud_items.keep(kept, time.now_ms())
end

local function forget(stock_id)
    local code = (store.get(CODE_OF_ID, stock_id) or {}).code
    store.delete(CODE_OF_ID, stock_id)
    if code then
        lose_code(stock_id, code)
    end
end

push_items.read = khaos_stock.read_items

--- Takes one item, or the id of a deleted one.
---@param _ neap.Job
---@param entry khaos.PushedItem
function push_items.take(_, entry)
    if entry.deleted then
        forget(entry.deleted)
    else
        take_item(entry)
    end
end

--- All of a push is taken.
---@param job neap.Job
function push_items.finish(job)
    codes.close_proved(job)
end

return push_items
