--- StockUpload, taken: items that Khaos Control Cloud pushes, and the ids of deleted ones.
--- Exceptions about codes that are there now close. A repeat changes nothing.
local codes = require("flows.khaos_codes")
local khaos_stock = require("connectors.khaos_cloud.stock")
local stock_pending = require("flows.stock_pending")
local store = require("neap.store")
local tables = require("flows.stock_stages.tables")
local time = require("neap.time")

local push_items = {}

local CODE_OF_ID = "cloud_stock_ids" -- Khaos's StockID, which stays -> {code}
local DETAILS = {"stock_id", "runs_to_zero", "max_display", "category", "buffer", "components"}

-- Levels of an item that does not have the code (any more) count as none until Khaos says more.
local function empty_levels(kept, is_wrong)
    for site, level in pairs(kept.sites or {}) do
        if is_wrong(level) then
            kept.sites[site] = {available = 0, read_ms = level.read_ms}
        end
    end
end

-- Keeps what is known of a code. The shop hears of it once there is a level.
local function keep_item(code, kept)
    if kept.read_ms then
        tables.keep(code, kept, time.now_ms())
    else
        store.put(tables.ITEMS, code, kept)
    end
end

-- An item has lost its code: nothing is sold under it, unless it is another item's by now.
local function lose_code(stock_id, code)
    local kept = store.get(tables.ITEMS, code)
    if kept and kept.stock_id and kept.stock_id ~= stock_id then
        return
    end
    codes.forget(code)
    if kept then
        kept.is_hidden = true
        empty_levels(kept, function(level)
            return not level.stock_id or level.stock_id == stock_id
        end)
        keep_item(code, kept)
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

local function buffer_of(settings, item)
    local field = settings.buffer_field
    if field == "SAFE_LEVEL" then
        return item.safe_level
    end
    return field and (item.numbers or {})[field]
end

local function take_item(settings, item)
    local old_code = (store.get(CODE_OF_ID, item.stock_id) or {}).code
    if old_code and old_code ~= item.code then
        lose_code(item.stock_id, old_code)
    end
    store.put(CODE_OF_ID, item.stock_id, {code = item.code})
    local kept = store.get(tables.ITEMS, item.code) or {code = item.code}
    keep_options(kept, item)
    item.components = settings.kits[item.code]
    item.buffer = buffer_of(settings, item)
    stock_pending.set_components(item.code, kept.components, item.components)
    for _, name in ipairs(DETAILS) do
        kept[name] = item[name]
    end
    kept.details_ms = time.now_ms()
    empty_levels(kept, function(level)
        return level.stock_id and level.stock_id ~= item.stock_id
    end)
    keep_item(item.code, kept)
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
---@param job neap.Job
---@param entry table
function push_items.take(job, entry)
    if entry.deleted then
        forget(entry.deleted)
    else
        take_item(job.settings, entry)
    end
end

--- All of a push is taken.
---@param job neap.Job
function push_items.finish(job)
    codes.close_proved(job)
end

return push_items
