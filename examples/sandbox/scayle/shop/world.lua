--- The simulated SCAYLE tenant as one call sees it: store, time and settings.

local bulk = require("shop.bulk")
local catalogue = require("shop.catalogue")
local control = require("lib.sandbox.control")
local products = require("shop.products")

local world = {}

world.TABLES = {
    "shop_orders",
    "shop_references",
    "shop_delegation_keys",
    "shop_records",
    "shop_unsent",
    "shop_stocks",
    "shop_variants",
    "shop_rates",
}

local META = "shop_meta"

local function seed(w)
    products.seed(w)
    w.store.put(META, "seeded", true)
end

--- Opens the world for one call; the first call ever fills it.
---@param parts {store: neap.store, time: table, settings: table|nil}
---@return table world
function world.open(parts)
    local w = {
        store = parts.store,
        time = parts.time,
        now_ms = parts.time.now_ms(),
        settings = control.settings(parts.store, catalogue.SETTINGS, parts.settings),
    }
    if not w.store.get(META, "seeded") then
        seed(w)
    end
    return w
end

--- Back to the first day. Order numbers go on: events are accepted once for ever, so they never
--- repeat.
---@param w table
function world.reset(w)
    control.empty(w.store, world.TABLES)
    control.empty(w.store, bulk.TABLES)
    control.empty(w.store, products.TABLES)
    control.empty(w.store, {META})
    control.reset(w.store)
    seed(w)
end

--- An instant as SCAYLE prints it.
---@param w table
---@param ms integer
---@return string "2026-05-04T10:02:58+00:00"
function world.instant(w, ms)
    local text = w.time.format_iso(ms - ms % 1000)
    return (text:gsub("%.%d+", ""):gsub("Z$", "+00:00"))
end

--- The next number of a sequence that outlives resets.
---@param w table
---@param name string
---@param first integer
---@return integer
function world.number(w, name, first)
    return first - 1 + w.store.increment("shop_sequences", name)
end

return world
