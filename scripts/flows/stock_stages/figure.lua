--- What of a stock code can be sold, and how that figure came to be. Pure.
---
---     local figure = require("flows.stock_stages.figure")
---     local shown = figure.of(item, {quantity = 2, orders = 1}, policy)
---     -- shown.sellable = 7, shown.text = "12 available - 2 not yet in Khaos - 3 buffer = 7"
---
--- sellable = available in Khaos - accepted orders that Khaos does not know yet - buffer, then the
--- caps; never below 0.
local figure = {}

---@class stock.Item what Khaos says of a code
---@field code string
---@field available integer|nil sum over the sites that serve the shop; negative is back-ordered
---@field potential integer|nil how many a kit's components make, and what the other sites have
---@field is_uncontrolled boolean|nil Khaos keeps no level: always sellable
---@field is_hidden boolean|nil deleted or not for the web: never sellable
---@field buffer integer|nil the buffer field that the client names in Khaos
---@field max_display integer|nil the most a shop should show
---@field category string|nil

---@class stock.Policy
---@field buffer integer|nil units kept back
---@field buffer_percent integer|nil of what is available, rounded up; the larger of both counts
---@field use_khaos_buffer boolean|nil the field in Khaos, where it is filled, instead of `buffer`
---@field floor integer|nil fewer than this many are shown as none
---@field cap integer|nil the most that is shown
---@field uncontrolled integer|nil what is shown of a code without a level; default 999

local UNCONTROLLED = 999

--- The policy of an item: what its own entry says, then its category's, then the default's.
---@param ladder {default: stock.Policy|nil, categories: table|nil, skus: table|nil}
---@param item stock.Item
---@return stock.Policy
function figure.policy(ladder, item)
    local steps = {ladder.default or {}, (ladder.categories or {})[item.category or ""] or {},
        (ladder.skus or {})[item.code] or {}}
    local found = {}
    for _, step in ipairs(steps) do
        for name, value in pairs(step) do
            found[name] = value
        end
    end
    return found
end

local function percent_up(quantity, percent)
    return (quantity * percent + 99) // 100
end

local function buffer_of(item, policy, available)
    local fixed, source = policy.buffer or 0, "buffer"
    if policy.use_khaos_buffer and item.buffer then
        fixed, source = item.buffer, "buffer in Khaos"
    end
    local share = policy.buffer_percent and percent_up(math.max(available, 0),
        policy.buffer_percent) or 0
    if share > fixed then
        return share, string.format("buffer (%d%%)", policy.buffer_percent)
    end
    return fixed, source
end

local Terms = {}
Terms.__index = Terms

function Terms:add(sign, quantity, words)
    self.list[#self.list + 1] = {quantity = sign * quantity, words = words}
    self.text = self.text == "" and string.format("%d %s", quantity, words)
        or string.format("%s %s %d %s", self.text, sign < 0 and "-" or "+", quantity, words)
end

function Terms:say(words)
    self.text = self.text .. ", " .. words
end

local function shown(terms, sellable)
    return {sellable = sellable, terms = terms.list,
        text = string.format("%s = %d", terms.text, sellable)}
end

local function nothing(words)
    return {sellable = 0, terms = {}, text = words .. " = 0"}
end

local function limits(terms, item, policy, sellable)
    if policy.cap and sellable > policy.cap then
        sellable = policy.cap
        terms:say(string.format("shown at most %d", policy.cap))
    end
    if item.max_display and item.max_display > 0 and sellable > item.max_display then
        sellable = item.max_display
        terms:say(string.format("display limit in Khaos %d", item.max_display))
    end
    if policy.floor and sellable < policy.floor and sellable > 0 then
        terms:say(string.format("fewer than %d are not shown", policy.floor))
        return 0
    end
    return sellable
end

--- The figure with its terms.
---@param item stock.Item
---@param pending {quantity: integer, orders: integer} accepted, and not in Khaos's figure
---@param policy stock.Policy
---@return {sellable: integer, terms: {quantity: integer, words: string}[], text: string}
function figure.of(item, pending, policy)
    if item.is_hidden then
        return nothing("not for the web in Khaos")
    elseif item.is_uncontrolled then
        local quantity = policy.uncontrolled or UNCONTROLLED
        return {sellable = quantity, terms = {}, text = string.format(
            "not stock controlled in Khaos = %d", quantity)}
    elseif not item.available and not item.potential then
        return nothing("no level in Khaos")
    end
    local available = item.potential or item.available
    local terms = setmetatable({list = {}, text = ""}, Terms)
    terms:add(1, available, item.potential and "can be made" or "available")
    if pending.quantity > 0 then
        terms:add(-1, pending.quantity, "not yet in Khaos")
    end
    local buffer, source = buffer_of(item, policy, available)
    if buffer > 0 then
        terms:add(-1, buffer, source)
    end
    local sellable = math.max(available - pending.quantity - buffer, 0)
    return shown(terms, limits(terms, item, policy, sellable))
end

return figure
