--- Items that Khaos Control Cloud pushes, with what the client says of them and Khaos does not:
--- which sites serve the shop, which field holds the buffer, what kits are made of.
---
--- All that Khaos pushed is kept, so that a change of these settings of the stock flow counts for
--- every code: a page of them at each run (`step`), and those whose figure is to go before it goes
--- (`fitter`), so no figure leaves by what the client said before.
local json = require("neap.json")
local stock_pending = require("flows.stock_pending")
local store = require("neap.store")
local tables = require("flows.stock_stages.tables")

local cloud_items = {}

--- Khaos's StockID, which stays -> {code, level_code}: the code it has, and under which its levels
--- came.
cloud_items.CODE_OF_ID = "cloud_stock_ids"

cloud_items.UNDECLARED = "kit_not_declared" -- cause
cloud_items.SUBJECT = "kits"

-- of tables.STATE: "serving" -> {sites, buffer_field, kits, has_kits, after, is_applied}: what the
-- client said last, and how far items are by it; "undeclared_kits" -> {text}
local STATE = tables.STATE
local KITS = "cloud_undeclared_kits" -- code -> true: what is built of components nobody names
local PAGE = 5000 -- codes of one run
local PIECE = 100 -- of them without a break
local SHOWN = 5

local function said()
    return store.get(STATE, "serving") or {sites = {1}, kits = {}}
end

-- ---- one item --------------------------------------------------------------------------------

local function buffer_of(item, field)
    if field == "SAFE_LEVEL" then
        return item.safe_level
    end
    return field and (item.numbers or {})[field]
end

-- Levels of all sites by whether they count. Where those that count have none and had one, there
-- is nothing.
local function sort_sites(item, sites)
    local all, served, others = {}, {}, {}
    for _, part in ipairs({item.other_sites or {}, item.sites or {}}) do
        for site, level in pairs(part) do
            all[site] = level
        end
    end
    for _, id in ipairs(sites) do
        served[tostring(id)] = all[tostring(id)]
        all[tostring(id)] = nil
    end
    for site, level in pairs(all) do
        others[site] = level
    end
    if next(served) == nil and item.read_ms then
        served[tostring(sites[1])] = {available = 0, read_ms = item.read_ms}
    end
    item.sites = served
    item.other_sites = next(others) ~= nil and others or nil
end

local function note_kit(item)
    local is_built = false
    for _, level in pairs(item.sites) do
        is_built = is_built or level.potential ~= nil
    end
    local is_undeclared = is_built and not item.components
    if is_undeclared ~= (store.get(KITS, item.code) ~= nil) then
        if is_undeclared then
            store.put(KITS, item.code, true)
        else
            store.delete(KITS, item.code)
        end
    end
end

-- An item that Cloud has not pushed yet is what the on-premise line read of it.
local function fit(item, client)
    local components = client.kits[item.code] or not item.options and item.components or nil
    stock_pending.set_components(item.code, item.components, components)
    item.components = components
    if item.options then
        item.buffer = buffer_of(item, client.buffer_field)
    end
    sort_sites(item, client.sites)
    note_kit(item)
end

---@param code string
---@return table
function cloud_items.get(code)
    return store.get(tables.ITEMS, code) or {code = code}
end

-- The shop hears of it once there is a level.
local function keep_fitted(item, at_ms)
    if next(item.sites) ~= nil then
        tables.keep(item.code, item, at_ms)
    else
        store.put(tables.ITEMS, item.code, item)
    end
end

--- Keeps an item that a push said something of.
---@param item table
---@param at_ms integer
function cloud_items.keep(item, at_ms)
    fit(item, said())
    keep_fitted(item, at_ms)
end

--- Levels of an item that does not have its code (any more) count as none until Khaos says more.
---@param item table
---@param is_wrong fun(level: table): boolean
function cloud_items.empty(item, is_wrong)
    for _, sites in ipairs({item.sites or {}, item.other_sites or {}}) do
        for site, level in pairs(sites) do
            if is_wrong(level) then
                sites[site] = {available = 0, read_ms = level.read_ms}
            end
        end
    end
end

--- A level that was pushed.
---@param item table
---@param site string
---@param level khaos.Level with read_ms, which never goes back
function cloud_items.put_level(item, site, level)
    item.sites, item.other_sites = item.sites or {}, item.other_sites or {}
    local before = item.sites[site] or item.other_sites[site]
    level.read_ms = math.max(level.read_ms, before and before.read_ms or level.read_ms)
    item.sites[site], item.other_sites[site] = nil, level
end

-- ---- all of them -----------------------------------------------------------------------------

-- True when what the client says made another of it.
local function refit(code, client, now_ms)
    local item = cloud_items.get(code)
    local before = json.encode(item)
    fit(item, client)
    if json.encode(item) == before then
        return false
    end
    keep_fitted(item, now_ms)
    return true
end

-- In one piece with the marks of all whose figure that changes.
local function refit_piece(codes, client, now_ms)
    store.atomic(function()
        local changed = {}
        for _, code in ipairs(codes) do
            changed[code] = refit(code, client, now_ms) or nil
        end
        for other in pairs(stock_pending.related(changed)) do
            tables.mark(other, now_ms)
        end
    end)
end

local function refit_all(codes, client, now_ms)
    for first = 1, #codes, PIECE do
        refit_piece(table.move(codes, first, math.min(first + PIECE - 1, #codes), 1, {}), client,
            now_ms)
    end
end

local function keys_of(map)
    local list = {}
    for key in pairs(map) do
        list[#list + 1] = key
    end
    table.sort(list)
    return list
end

-- Kits are first: what they take of their components counts for other codes.
local function next_codes(state)
    if not state.has_kits then
        state.has_kits = true
        return keys_of(state.kits)
    end
    local codes = {}
    for i, pair in ipairs(store.range(tables.ITEMS, {after = state.after, limit = PAGE})) do
        codes[i] = pair.key
    end
    state.after = codes[#codes]
    state.is_applied = #codes < PAGE
    return codes
end

--- What the client's settings say of items counts from now on: for new ones at once, for kits and
--- the next page of all others when this returns.
---@param settings table of the stock flow
---@param now_ms integer
function cloud_items.step(settings, now_ms)
    local client = {sites = settings.sites, buffer_field = settings.buffer_field,
        kits = settings.kits}
    local state = store.get(STATE, "serving") or {}
    local known = {sites = state.sites, buffer_field = state.buffer_field, kits = state.kits}
    if json.encode(known) ~= json.encode(client) then
        state = client
        store.put(STATE, "serving", state) -- pushes keep new items by it, so none is missed
    elseif state.is_applied then
        return
    end
    repeat
        local is_kits = not state.has_kits
        refit_all(next_codes(state), state, now_ms)
    until not is_kits
    store.put(STATE, "serving", state)
end

--- While not all items are by what the client said last: what makes one so, and its components.
---@param now_ms integer
---@return nil|fun(code: string)
function cloud_items.fitter(now_ms)
    local client = said()
    if client.is_applied then
        return nil
    end
    return function(code)
        local codes = keys_of(client.kits[code] or {})
        codes[#codes + 1] = code
        refit_piece(codes, client, now_ms)
    end
end

--- Tells of kits that nobody said anything of, and of their end.
---@param job neap.Job
function cloud_items.tell(job)
    local codes = {}
    for i, pair in ipairs(store.range(KITS, {limit = SHOWN + 1})) do
        codes[i] = i <= SHOWN and pair.key or "..."
    end
    local text = table.concat(codes, ", ")
    if text == (store.get(STATE, "undeclared_kits") or {text = ""}).text then
        return
    end
    store.put(STATE, "undeclared_kits", {text = text})
    if text == "" then
        job:close_exception(cloud_items.UNDECLARED, cloud_items.SUBJECT, "all are declared")
        return
    end
    job:open_exception({cause = cloud_items.UNDECLARED, subject = cloud_items.SUBJECT,
        recheck = "proof", message = string.format("Khaos makes these of components and does not "
            .. "say of which: %s. Orders of them do not lower what is shown of their components",
            text),
        remedy = "Name them with what they are made of in `kits` of the stock flow's settings; "
            .. "one that takes nothing of what is sold as {}."})
end

return cloud_items
