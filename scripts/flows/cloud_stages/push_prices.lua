--- PriceListUpload, taken: the bands of a code in a list replace those that were there. Whether a
--- push is the whole list is not said (contract 8.9), so a code that is not in it stays, with the
--- time at which it was.
local khaos_stock = require("connectors.khaos_cloud.stock")
local store = require("neap.store")
local time = require("neap.time")

local push_prices = {}

local PRICES = "cloud_prices" -- "<list id>\n<code>" -> {bands, pushed_ms}
local PRICE_LISTS = "cloud_price_lists" -- list id -> {name, is_net, pushed_ms}

push_prices.read = khaos_stock.read_price_lists

--- Takes what a push says of one code in one list.
---@param _ neap.Job
---@param entry {list: table, code: string|nil, bands: table[]}
function push_prices.take(_, entry)
    local list, now_ms = entry.list, time.now_ms()
    store.put(PRICE_LISTS, list.id, {name = list.name, is_net = list.is_net, pushed_ms = now_ms})
    if entry.code then
        store.put(PRICES, list.id .. "\n" .. entry.code, {bands = entry.bands,
            pushed_ms = now_ms})
    end
end

return push_prices
