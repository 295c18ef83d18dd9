--- What of a stock code can be sold, and how that figure came to be. Pure.
---
---     local figure = require("flows.stock_stages.figure")
---     local shown = figure.of(item, {quantity = 2, orders = 1}, policy)
---     -- shown.sellable = 7, shown.text = "12 available - 2 not yet in Khaos - 3 buffer = 7"
---
--- sellable = available in Khaos - accepted orders that Khaos does not know yet - buffer + what may
--- be sold below zero, then the caps; never below 0.
local figure = {}

---@class stock.Item what Khaos says of a code
---@field code string
---@field available integer|nil sum over the sites that serve the shop; negative is back-ordered
---@field potential integer|nil how many a kit's components make, and what the other sites have
---@field is_uncontrolled boolean|nil Khaos keeps no level: always sellable
---@field is_hidden boolean|nil deleted or not for the web: never sellable
---@field is_discontinued boolean|nil Khaos refuses orders of it
---@field runs_to_zero boolean|nil false: Khaos takes orders beyond its level; nil is not known
---@field sites table<string, table>|nil
---@field read_ms integer|nil when the reading of the levels began
---@field details_ms integer|nil when all else was read
---@field buffer integer|nil the buffer field that the client names in Khaos
---@field max_display integer|nil the most a shop should show
---@field category string|nil

---@class stock.Pending
---@field quantity integer accepted, and not in Khaos's figure
---@field limit integer|nil of a kit: its components, all sites together, make no more

---@class stock.Policy
---@field buffer integer|nil units kept back
---@field buffer_percent integer|nil of what is available, rounded up; the larger of both counts
---@field use_khaos_buffer boolean|nil the field in Khaos, where it is filled, instead of `buffer`
---@field floor integer|nil fewer than this many are shown as none
---@field cap integer|nil the most that is shown
---@field uncontrolled integer|nil what is shown of a code without a level; default 999
---@field below_zero integer|nil sold beyond the level, where Khaos allows it
---@field from table<string, string> field -> which step of the ladder says so

local UNCONTROLLED = 999

--- The policy of an item: what its own entry says, then its category's, then the default's.
---@param ladder {default: stock.Policy|nil, categories: table|nil, skus: table|nil}
---@param item stock.Item
---@return stock.Policy
function figure.policy(ladder, item)
    local category, code = item.category or "", item.code or ""
    local steps = {{ladder.default, "policy, default"},
        {(ladder.categories or {})[category], "policy of category " .. category},
        {(ladder.skus or {})[code], "policy of this code"}}
    local found = {from = {}}
    for i = 1, #steps do
        for name, value in pairs(steps[i][1] or {}) do
            found[name], found.from[name] = value, steps[i][2]
        end
    end
    return found
end

local function percent_up(quantity, percent)
    return (quantity * percent + 99) // 100
end

local ITEM = "item in Khaos"

-- {quantity, words, source, at_ms}
local function buffer_of(item, policy, available, at_ms)
    local buffer = {policy.buffer or 0, "buffer", policy.from.buffer, at_ms}
    if policy.use_khaos_buffer and item.buffer then
        -- A field that anybody may fill: one below zero keeps nothing back.
        buffer = {math.max(item.buffer, 0), "buffer in Khaos", ITEM, item.details_ms}
    end
    local percent = policy.buffer_percent
    local share = percent and percent_up(math.max(available, 0), percent) or 0
    if percent and share > buffer[1] then
        return {share, string.format("buffer (%d%%)", percent), policy.from.buffer_percent, at_ms}
    end
    return buffer
end

local Terms = {}
Terms.__index = Terms

function Terms:keep(quantity, words, source, at_ms)
    self.list[#self.list + 1] = {quantity = quantity, words = words, source = source,
        at_ms = at_ms}
end

function Terms:add(sign, term)
    local quantity, words = term[1], term[2]
    self:keep(sign * quantity, words, term[3], term[4])
    self.text = self.text == "" and string.format("%d %s", quantity, words)
        or string.format("%s %s %d %s", self.text, sign < 0 and "-" or "+", quantity, words)
end

-- What the sum is changed by afterwards.
function Terms:say(change, words, source, at_ms)
    self:keep(change, words, source, at_ms)
    self.text = self.text .. ", " .. words
end

local function new_terms()
    return setmetatable({list = {}, text = ""}, Terms)
end

local function shown(terms, sellable)
    return {sellable = sellable, terms = terms.list,
        text = string.format("%s = %d", terms.text, sellable)}
end

-- The one reason for the whole figure.
local function only(quantity, words, source, at_ms)
    local terms = new_terms()
    terms:keep(quantity, words, source, at_ms)
    return {sellable = quantity, terms = terms.list,
        text = string.format("%s = %d", words, quantity)}
end

local function limits(terms, item, policy, sellable, at_ms)
    if policy.cap and sellable > policy.cap then
        terms:say(policy.cap - sellable, string.format("shown at most %d", policy.cap),
            policy.from.cap, at_ms)
        sellable = policy.cap
    end
    if item.max_display and item.max_display > 0 and sellable > item.max_display then
        terms:say(item.max_display - sellable, string.format("display limit in Khaos %d",
            item.max_display), ITEM, item.details_ms)
        sellable = item.max_display
    end
    if policy.floor and sellable < policy.floor and sellable > 0 then
        terms:say(-sellable, string.format("fewer than %d are not shown", policy.floor),
            policy.from.floor, at_ms)
        return 0
    end
    return sellable
end

local function sites_of(item)
    local names = {}
    for name in pairs(item.sites or {}) do
        names[#names + 1] = name
    end
    table.sort(names)
    return "Khaos, site " .. table.concat(names, " + ")
end

-- What may be sold below zero: nothing of a kit, whose components run out, and nothing where Khaos
-- does not say that it takes such orders.
local function below_zero(terms, item, policy, at_ms)
    local quantity = policy.below_zero or 0
    if quantity == 0 then
        return 0
    elseif item.potential or item.components or item.runs_to_zero ~= false then
        terms:say(0, "not below zero in Khaos", ITEM, item.details_ms)
        return 0
    end
    terms:add(1, {quantity, "may be sold below zero", policy.from.below_zero, at_ms})
    return quantity
end

local function whole_reason(item, policy, at_ms)
    if item.is_hidden then
        return only(0, "not for the web in Khaos", ITEM, item.details_ms)
    elseif item.is_discontinued then
        return only(0, "discontinued in Khaos", sites_of(item), item.read_ms)
    elseif item.is_uncontrolled then
        return only(policy.uncontrolled or UNCONTROLLED, "not stock controlled in Khaos",
            policy.from.uncontrolled or "default", at_ms)
    elseif not item.available and not item.potential then
        return only(0, "no level in Khaos", sites_of(item), item.read_ms)
    end
    return nil
end

--- The figure with its terms: what each adds or takes, in words, where it is from and as of when.
--- They add up to the figure, or to less than 0 when that is 0.
---@param item stock.Item
---@param pending stock.Pending
---@param policy stock.Policy as figure.policy gives it
---@param at_ms integer now: orders and policy as they are
---@return {sellable: integer, text: string,
---   terms: {quantity: integer, words: string, source: string, at_ms: integer|nil}[]}
function figure.of(item, pending, policy, at_ms)
    local reason = whole_reason(item, policy, at_ms)
    if reason then
        return reason
    end
    local available = item.potential or item.available
    if item.potential and pending.limit then
        available = math.min(available, pending.limit)
    end
    local terms = new_terms()
    terms:add(1, {available, item.potential and "can be made" or "available", sites_of(item),
        item.read_ms})
    if pending.quantity > 0 then
        terms:add(-1, {pending.quantity, "not yet in Khaos", "accepted orders", at_ms})
    end
    local buffer = buffer_of(item, policy, available, at_ms)
    if buffer[1] > 0 then
        terms:add(-1, buffer)
    end
    local sum = available - pending.quantity - buffer[1]
        + below_zero(terms, item, policy, at_ms)
    return shown(terms, limits(terms, item, policy, math.max(sum, 0), at_ms))
end

return figure
