--- Codes of Khaos that no variant has are a difference only when they are for the web. The list of
--- codes does not say so: a parent of variants is none itself, the client names codes that never
--- are (fees, the rounding item), and for the rest Khaos is asked (ExportStock's DELETED), a batch
--- at a time and at most `ask_max` in one comparison.
local codes = require("flows.khaos_codes")
local khaos_line = require("flows.khaos_line")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local tables = require("flows.product_stages.tables")

local details = {}

local LOOK_AT = 1000

--- Whether the client names this code: "FEE-*" or a whole one.
---@param patterns string[]
---@param code string
---@return boolean
function details.is_named(patterns, code)
    for _, pattern in ipairs(patterns) do
        local head = pattern:match("^(.*)%*$")
        if pattern == code or head and code:sub(1, #head) == head then
            return true
        end
    end
    return false
end

--- Whether a code that is not for the web is known as such: true, false, or nil when Khaos has to
--- be asked.
---@param settings table
---@param code string
---@return boolean|nil
function details.is_hidden(settings, code)
    if details.is_named(settings.not_for_web, code) or store.get(tables.PARENTS, code) then
        return true
    end
    local entry = codes.get(code)
    if not entry or entry.discontinued or entry.deleted then
        return true
    end
    if entry.deleted == nil then
        return nil
    end
    return false
end

-- Asks about these codes; what Khaos says goes into the mirror.
local function ask(job, list)
    local khaos = khaos_line.new(job.settings.khaos)
    local news = {}
    for _, code in ipairs(list) do
        news[code] = {code = code, parent_code = (codes.get(code) or {}).parent_code}
    end
    support.check({job = job}, "Khaos", codes.add_details(khaos, news))
    for _, entry in pairs(news) do
        entry.deleted = entry.deleted or false -- not exported by itself: shown as its parent is
    end
    codes.put(news)
end

--- What of these codes is for the web; those that nobody can tell are.
---@async
---@param job neap.Job
---@param list string[]
---@return table<string, boolean> hidden
function details.hidden(job, list)
    local hidden, unknown = {}, {}
    for _, code in ipairs(list) do
        local is_hidden = details.is_hidden(job.settings, code)
        hidden[code] = is_hidden
        unknown[#unknown + 1] = is_hidden == nil and code or nil
    end
    if #unknown > 0 and khaos_line.kind(job.settings.khaos) == "soap" then
        ask(job, unknown)
    end
    for _, code in ipairs(unknown) do
        hidden[code] = details.is_hidden(job.settings, code) or false
    end
    return hidden
end

-- The next findings that are to be asked about, and whether that was all.
local function candidates(settings, state)
    local list, after = {}, state.details_after
    while #list < settings.ask_batch do
        local page = store.range(tables.FOUND, {after = after, limit = LOOK_AT})
        for _, pair in ipairs(page) do
            local is_one = pair.value.kind == "missing_in_scayle" and pair.value.g == state.number
            if is_one and #list == settings.ask_batch then
                return list, after, false
            end
            list[#list + 1] = is_one and pair or nil
            after = pair.key
        end
        if #page < LOOK_AT then
            return list, after, true
        end
    end
    return list, after, false
end

--- One batch. True when there are no more.
---@async
---@param job neap.Job
---@param state table of the sweep
---@return boolean
function details.step(job, state)
    local list, after, is_over = candidates(job.settings, state)
    local names = {}
    for i, pair in ipairs(list) do
        names[i] = pair.value.code
    end
    state.asked = (state.asked or 0) + #names
    if state.asked > job.settings.ask_max then
        state.unasked = (state.unasked or 0) + #names
        state.details_after = after
        return is_over
    end
    local hidden = details.hidden(job, names)
    for _, pair in ipairs(list) do
        if hidden[pair.value.code] then
            store.delete(tables.FOUND, pair.key)
        end
    end
    state.details_after = after
    return is_over
end

return details
