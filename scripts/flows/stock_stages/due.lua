--- Which figures are to be told now: the newest of each marked code, drops first.
---
--- A run looks at a bounded number of marked codes and goes on where the one before ended, so that
--- codes which can only be told after a newer reading hold nobody up. Codes of which Khaos has less
--- than before are marked apart (URGENT) and looked at first, however many others are marked.
local cloud_items = require("flows.stock_stages.cloud_items")
local figure = require("flows.stock_stages.figure")
local khaos_line = require("flows.khaos_line")
local stock_pending = require("flows.stock_pending")
local store = require("neap.store")
local tables = require("flows.stock_stages.tables")
local watermark = require("flows.stock_stages.watermark")

local PAGE = 500
local SECOND_MS = 1000 -- SCAYLE is told whole seconds

local due = {}

due.LOOK_AT = 10000 -- marked codes that one run looks at, of either kind

---@class stock.Due: scayle.StockFigure
---@field text string the figure's terms as one sentence
---@field terms table[] as figure.of gives them
---@field read_ms integer of the reading that it is of
---@field since_ms integer first mark
---@field before integer|nil what was sent last
---@field bulk integer|nil our number of the bulk request that it goes by

local function unmark(code)
    store.delete(tables.DIRTY, code)
    store.delete(tables.URGENT, code)
end

-- A code whose figure cannot be worked out holds up no other.
local function figure_of(search, code, item)
    local is_known, shown = pcall(figure.of, item, search.sums:of(item, item.read_ms),
        figure.policy(search.settings.policy, item), search.now_ms)
    search.unknown[code] = not is_known and tostring(shown) or nil
    return is_known and shown or nil
end

-- The next figure of a code, nil when there is nothing to tell (now).
local function next_figure(search, code, since_ms)
    local settings, now_ms = search.settings, search.now_ms
    if search.fit then
        search.fit(code)
    end
    local item = store.get(tables.ITEMS, code)
    if not item or not item.read_ms then
        unmark(code)
        return nil
    end
    local shown = figure_of(search, code, item)
    if not shown then
        return nil
    end
    local sent = store.get(tables.SENT, code)
    local is_sent = sent and sent.quantity == shown.sellable
    local is_same = is_sent and sent.state == "set"
    if is_sent and tables.is_in_bulk(sent) then
        return nil -- on its way; what becomes of it is read in time
    elseif is_same and not stock_pending.is_taken_since(code, sent.stamp_ms) then
        unmark(code)
        return nil
    end
    local stamp_ms = watermark.stamp(item.read_ms, now_ms, settings) // 1000 * 1000
    local last_ms = sent and sent.stamp_ms or 0
    if shown.sellable == 0 and sent and sent.quantity > 0 and stamp_ms <= last_ms then
        -- The stamp is held: orders are not known yet. Nothing is sold of nothing, whatever SCAYLE
        -- releases.
        stamp_ms = last_ms + SECOND_MS
    end
    local is_repeat = is_sent and sent.state == "sending" and stamp_ms <= last_ms
    local is_useless = is_same and stock_pending.is_taken_since(code, stamp_ms)
    if stamp_ms <= last_ms and not is_repeat or is_useless then
        -- SCAYLE would ignore it, or keep from the shop what orders took: only a newer reading
        -- gives a later stamp.
        stock_pending.wish(code, since_ms)
        return nil
    end
    return {sku = code, warehouse = settings.warehouse, merchant = settings.merchant_key,
        quantity = shown.sellable, stamp_ms = math.max(stamp_ms, last_ms), text = shown.text,
        terms = shown.terms, read_ms = item.read_ms, since_ms = since_ms,
        before = sent and sent.quantity or nil}
end

-- Lower is sooner: to zero, down, new, up.
local function urgency(entry)
    if entry.quantity == 0 then
        return 1
    elseif entry.before and entry.quantity < entry.before then
        return 2
    end
    return entry.before and 4 or 3
end

local function is_before(a, b)
    local ua, ub = urgency(a), urgency(b)
    if ua ~= ub then
        return ua < ub
    elseif a.since_ms ~= b.since_ms then
        return a.since_ms < b.since_ms
    end
    return a.sku < b.sku
end

local Search = {}
Search.__index = Search

function Search:is_full()
    return #self.list >= self.wanted
end

-- Pages of a table from a place on, until the search has all it wants or looked at enough.
function Search:page(table_name, after)
    local size = math.min(PAGE, self.budget)
    local page = store.range(table_name, {after = after, limit = size})
    for _, pair in ipairs(page) do
        after = pair.key
        if not self.seen[pair.key] then
            self.seen[pair.key] = true
            self.list[#self.list + 1] = next_figure(self, pair.key,
                pair.value.since_ms)
        end
    end
    self.budget = self.budget - #page
    return after, #page < size
end

-- Once around, from where the run before ended.
function Search:go(table_name)
    local cursors = store.get(tables.STATE, "cursors") or {}
    local start, is_over, is_round = cursors[table_name], false, false
    local after = start
    self.budget = due.LOOK_AT
    while not is_over and not self:is_full() and self.budget > 0 do
        local is_end
        after, is_end = self:page(table_name, after)
        if is_end then
            is_over, is_round, after = start == nil or is_round, true, nil
        elseif is_round and start and after >= start then
            is_over = true
        end
    end
    if cursors[table_name] ~= after then
        cursors[table_name] = after
        store.put(tables.STATE, "cursors", cursors)
    end
    self.is_cut = self.is_cut or not is_over
end

--- Figures to be told now, soonest first.
---@param settings table
---@param now_ms integer
---@param wanted integer about so many
---@return stock.Due[] may be a page more
---@return boolean is_cut there may be more
---@return table<string, string> unknown code -> why its figure cannot be worked out; stays marked
function due.find(settings, now_ms, wanted)
    local is_cloud = khaos_line.kind(settings.khaos) == "cloud"
    local search = setmetatable({settings = settings, now_ms = now_ms, wanted = wanted, list = {},
        seen = {}, unknown = {}, is_cut = false, sums = stock_pending.sums(),
        fit = is_cloud and cloud_items.fitter(now_ms) or nil}, Search)
    search:go(tables.URGENT)
    if not search:is_full() then
        search:go(tables.DIRTY)
    end
    table.sort(search.list, is_before)
    return search.list, search.is_cut, search.unknown
end

return due
