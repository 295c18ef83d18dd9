--- The mirror of Khaos's stock codes in this client's store: what exists, and what was perhaps
--- meant.
---
--- Tables: khaos_codes (exact code -> {parent_code, last_updated, discontinued, vat_rate,
--- seen_ms}) and khaos_codes_folded (letters and digits in upper case -> list of codes). Filled
--- by flows.khaos_mirror; a flow that misses a code asks Khaos for it before it says so to a
--- person.
local stock = require("connectors.khaos_soap.stock")
local store = require("neap.store")
local time = require("neap.time")

local codes = {}

local TABLE = "khaos_codes"
local FOLDED = "khaos_codes_folded"
local UNKNOWN = "unknown_stock_code" -- cause
local KEY_MAX = 400 -- bytes of a store key; no Khaos code is as long

local function is_key(code)
    return type(code) == "string" and code ~= "" and #code <= KEY_MAX
end

local function fold(code)
    return (code:upper():gsub("[%s%-_%./]", ""))
end

--- What the mirror knows of a code, spelt exactly so; nil when nothing.
---@param code string
---@return table|nil
function codes.get(code)
    return is_key(code) and store.get(TABLE, code) or nil
end

--- Whether an order may name this code: Khaos lists it, spelt exactly so, and has not
--- discontinued it.
---@param code string
---@return boolean
function codes.has(code)
    local entry = codes.get(code)
    return entry ~= nil and not entry.discontinued
end

--- Codes that differ only in case, spaces, hyphens, dots, slashes and underscores; without the
--- code itself.
---@param code string
---@return string[]
function codes.near(code)
    local key = is_key(code) and fold(code)
    local list = {}
    for _, other in ipairs(key and key ~= "" and store.get(FOLDED, key) or {}) do
        if other ~= code then
            list[#list + 1] = other
        end
    end
    return list
end

local function merged(list, additions)
    local seen, all = {}, {}
    for _, source in ipairs({list, additions}) do
        for _, code in ipairs(source) do
            if not seen[code] then
                seen[code] = true
                all[#all + 1] = code
            end
        end
    end
    table.sort(all)
    return all
end

local function index(entries)
    local by_fold = {}
    for code in pairs(entries) do
        local key = fold(code)
        if key ~= "" then
            by_fold[key] = by_fold[key] or {}
            table.insert(by_fold[key], code)
        end
    end
    for key, list in pairs(by_fold) do
        by_fold[key] = merged(store.get(FOLDED, key) or {}, list)
    end
    store.put_many(FOLDED, by_fold)
end

--- Writes entries into the mirror. What is known and not said again (details) is kept.
---@param entries table<string, table>
---@return integer count
function codes.put(entries)
    local writes, now = {}, time.now_ms()
    for code, entry in pairs(entries) do
        if is_key(code) then
            local known = store.get(TABLE, code) or {}
            for name, value in pairs(entry) do
                known[name] = value
            end
            known.code = nil
            known.seen_ms = now
            writes[code] = known
        end
    end
    index(writes)
    return store.put_many(TABLE, writes)
end

--- Forgets a code.
---@param code string
function codes.forget(code)
    store.delete(TABLE, code)
    local key = fold(code)
    local left = {}
    for _, other in ipairs(store.get(FOLDED, key) or {}) do
        if other ~= code then
            left[#left + 1] = other
        end
    end
    if #left > 0 then
        store.put(FOLDED, key, left)
    else
        store.delete(FOLDED, key)
    end
end

--- Walks the mirror in code order, page by page.
---@param fn fun(code: string, entry: table)
function codes.each(fn)
    local after
    repeat
        local page = store.range(TABLE, {after = after, limit = 1000})
        for _, pair in ipairs(page) do
            fn(pair.key, pair.value)
            after = pair.key
        end
    until #page < 1000
end

--- Asks Khaos about these codes now and writes the answer into the mirror. A code that
--- ExportStock does not give is looked for among the latest revisions, because a variant may be
--- listed under its parent only.
---@async
---@param khaos khaos.Client
---@param wanted string[]
---@param since_ms integer|nil how far back revisions are looked for
---@return string[]|nil those that an order may name
---@return neap.Error|nil
function codes.ask(khaos, wanted, since_ms)
    local found, err = stock.export(khaos, wanted)
    if not found then
        return nil, err
    end
    local missing = {}
    for _, code in ipairs(wanted) do
        missing[code] = not found[code] or nil
    end
    if next(missing) and since_ms then
        local since = khaos:date_time(since_ms)
        local revised, problem = stock.changed_since(khaos, stock.REVISED, since)
        if not revised then
            return nil, problem
        end
        for _, entry in ipairs(revised) do
            found[entry.code] = missing[entry.code] and entry or found[entry.code]
        end
    end
    codes.put(found)
    local known = {}
    for _, code in ipairs(wanted) do
        known[#known + 1] = codes.has(code) and code or nil
    end
    return known
end

--- Closes what waited for a code that is there now.
---@param job neap.Job
function codes.close_proved(job)
    for _, exception in ipairs(job:exceptions(UNKNOWN)) do
        local entry = codes.has(exception.subject) and codes.get(exception.subject)
        if entry then
            job:close_exception(UNKNOWN, exception.subject, string.format(
                "Khaos lists it since %s (seen by the mirror)",
                entry.last_updated or time.format_iso(entry.seen_ms)))
        end
    end
end

return codes
