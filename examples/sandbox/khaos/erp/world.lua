--- The simulated Khaos as one call sees it: store, time and settings. Everything takes a world,
--- so the tests can hand in their own.

local control = require("lib.sandbox.control")
local data = require("erp.data")

local world = {}

world.TABLES = {"erp_stock", "erp_orders", "erp_orders_updated", "erp_references",
    "erp_customers", "erp_other_refs",
    "erp_cloud", "erp_cloud_imports", "erp_cloud_pushed",
    "erp_cloud_returns"}

local META = "erp_meta"
local NO_DATE = "1899-12-30T00:00:00"

local function seed(w)
    local items = {}
    for _, item in ipairs(data.stock()) do
        item.id = ("A%05d"):format(control.next_number(w.store, "stock_id", 88100))
        item.revised_ms, item.moved_ms = 0, 0
        items[item.code] = item
    end
    w.store.put_many("erp_stock", items)
    for _, customer in ipairs(data.customers()) do
        w.store.put("erp_customers", customer.urn, customer)
        if customer.other_ref ~= "" then
            w.store.put("erp_other_refs", customer.other_ref, customer.urn)
        end
    end
    w.store.put(META, "seeded", true)
end

--- Opens the world for one call; the first call ever fills it.
---@param parts {store: neap.store, time: table, settings: table|nil}
---@return table world {store, time, now_ms, settings}
function world.open(parts)
    local w = {
        store = parts.store,
        time = parts.time,
        now_ms = parts.time.now_ms(),
        settings = control.settings(parts.store, data.SETTINGS, parts.settings),
    }
    if not w.store.get(META, "seeded") then
        seed(w)
    end
    return w
end

--- Back to the first day. Settings, faults and the log of calls go too.
---@param w table
function world.reset(w)
    control.empty(w.store, world.TABLES)
    control.empty(w.store, {META})
    control.reset(w.store)
    seed(w)
end

--- An instant as Khaos prints it: local time of its server, no offset.
---@param w table
---@param ms integer|nil 0 or nil: Khaos's "no date"
---@return string
function world.date_time(w, ms)
    if not ms or ms <= 0 then
        return NO_DATE
    end
    local skewed = ms + w.settings.clock_skew_ms + (w.skew_ms or 0)
    local text = w.time.format_iso(skewed, {zone = w.settings.zone})
    return (text:gsub("Z$", ""):gsub("[+-]%d%d:?%d%d$", ""))
end

---@param w table
---@param ms integer|nil
---@return string "DD/MM/YYYY", "" without an instant
function world.date(w, ms)
    if not ms or ms <= 0 then
        return ""
    end
    local year, month, day = world.date_time(w, ms):match("^(%d+)-(%d+)-(%d+)")
    return ("%s/%s/%s"):format(day, month, year)
end

--- Reads a date or date-time as clients send them: server local time, no offset.
---@param w table
---@param text string
---@return integer|nil ms; 0 for dates before Khaos was born, which mean "no date"
---@return string|nil problem
function world.parse_date(w, text)
    local year, month, day, rest = text:match("^(%d%d%d%d)%-(%d%d)%-(%d%d)(.*)$")
    if not year or tonumber(month) > 12 or tonumber(day) > 31 or month == "00" or day == "00" then
        return nil, "'" .. text .. "' is not a date"
    end
    if rest ~= "" and not rest:match("^T%d%d:%d%d:%d%d$")
        and not rest:match("^T%d%d:%d%d:%d%d%.%d+$") then
        return nil, "'" .. text .. "' is not a date-time without offset"
    end
    if tonumber(year) < 1971 then
        return 0
    end
    local whole = rest == "" and text .. "T00:00:00" or text
    local ms = w.time.parse_iso(whole, {zone = w.settings.zone})
    if not ms then
        return nil, "'" .. text .. "' is not a date"
    end
    return ms
end

return world
