--- The mirror of Khaos's stock codes in this client's store: what exists, and what was perhaps
--- meant.
---
--- Tables: khaos_stock (flows.code_key -> what the list says, as one text:
--- "last_updated|parent_code|other_ref", because a million rows are worth it) and
--- khaos_stock_details (exact code -> what Khaos said when it was asked for that one:
--- {discontinued, vat_rate, seen_ms, ...}). So codes that differ only in case and separators lie
--- side by side, and the whole list can replace the first table. Filled by flows.khaos_mirror; a
--- flow that misses a code asks Khaos for it before it says so to a person.
local code_key = require("flows.code_key")
local stock = require("connectors.khaos_soap.stock")
local store = require("neap.store")
local time = require("neap.time")

local codes = {}

--- New codes of the mirror -> when they came, once a flow put a row of its own into NEWS_WANTED.
--- The whole list gives none.
codes.NEWS = "khaos_codes_new"
codes.NEWS_WANTED = "khaos_codes_new_wanted"

local UNKNOWN = "unknown_stock_code" -- cause
local TABLE = "khaos_stock"
local DETAILS = "khaos_stock_details"
local DETAIL_NAMES = {"discontinued", "vat_rate", "deleted", "stock_controlled", "seen_ms"}
local NEAR_MAX = 20
local LOOK_AT = 64 -- rows that begin alike
local SIMILAR_MIN = 5 -- letters and digits: among shorter codes everything is similar
local SIMILAR_MAX = 40
local SIMILAR_SHOWN = 3
local STEP = 1000

-- The separator inside a row is a control character too, but for the first one, which a date has
-- not either.
local function pack(entry)
    local row = (entry.last_updated or "") .. "|" .. (entry.parent_code or "")
    return entry.other_ref and row .. "\1" .. entry.other_ref or row
end

local function filled(text)
    return text ~= "" and text or nil
end

local function unpack_row(text)
    local updated, parent, other = text:match("^([^|]*)|([^\1]*)\1?(.*)$")
    return {last_updated = filled(updated), parent_code = filled(parent),
        other_ref = filled(other)}
end

local function code_of(key)
    local _, code = code_key.parts(key)
    return code
end

--- What the mirror knows of a code, spelt exactly so; nil when nothing.
---@param code string
---@return table|nil
function codes.get(code)
    local row = code_key.is_key(code) and store.get(TABLE, code_key.of(code)) or nil
    local entry = row and unpack_row(row)
    if entry then
        for name, value in pairs(store.get(DETAILS, code) or {}) do
            entry[name] = value
        end
    end
    return entry
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
    local list = {}
    if code_key.is_key(code) then
        local page = store.range(TABLE, {prefix = code_key.prefix(code), limit = NEAR_MAX})
        for _, pair in ipairs(page) do
            local other = code_of(pair.key)
            list[#list + 1] = other ~= code and other or nil
        end
    end
    return list
end

-- A code that no list gave a date for remembers when it was seen.
local function details_of(code, entry, has_date)
    local details
    for _, name in ipairs(DETAIL_NAMES) do
        if entry[name] ~= nil then
            details = details or store.get(DETAILS, code) or {}
            details[name] = entry[name]
        end
    end
    if not has_date then
        details = details or {}
        details.seen_ms = time.now_ms()
    end
    return details
end

-- For the flow that compares the catalogues, when there is one that takes them away again.
local function keep_news(news)
    if #news == 0 or #store.range(codes.NEWS_WANTED, {limit = 1}) == 0 then
        return
    end
    local rows = {}
    for _, code in ipairs(news) do
        rows[code] = time.now_ms()
    end
    store.put_many(codes.NEWS, rows)
end

-- All codes of the first row with this fold.
local function take_fold(fold, found, code)
    local page = store.range(TABLE, {prefix = fold .. "\1", limit = SIMILAR_SHOWN})
    for _, pair in ipairs(page) do
        local other = code_of(pair.key)
        found[other] = other ~= code or nil
    end
end

--- Codes that are a slip of the fingers away (code_key.is_slip), for one that has no near one: what
--- code_key.slips guesses, and a letter that is missing among the next codes that begin alike.
--- Costs at most LOOK_AT rows and a few reads per character, however many codes there are.
---@param code string
---@return string[]
function codes.similar(code)
    local fold = code_key.is_key(code) and code_key.fold(code) or ""
    if #fold < SIMILAR_MIN or #fold > SIMILAR_MAX then
        return {}
    end
    local found = {}
    for _, guess in ipairs(code_key.slips(fold)) do
        take_fold(guess, found, code)
    end
    for _, pair in ipairs(store.range(TABLE, {prefix = fold:sub(1, (#fold + 1) // 2),
        limit = LOOK_AT})) do
        local other_fold, other = code_key.parts(pair.key)
        found[other] = code_key.is_slip(fold, other_fold) or nil
    end
    local list = {}
    for other in pairs(found) do
        list[#list + 1] = other
    end
    table.sort(list)
    return table.move(list, 1, math.min(#list, SIMILAR_SHOWN), 1, {})
end

--- " (did you mean TS-RED-L?)", or nothing.
---@param code string
---@return string
function codes.suggestion(code)
    local near = codes.near(code)
    if #near == 0 then
        near = codes.similar(code)
    end
    return #near > 0 and string.format(" (did you mean %s?)", table.concat(near, " or ")) or ""
end

--- Writes entries into the mirror. What is known and not said again is kept.
---@param entries table<string, table>
---@return integer count
function codes.put(entries)
    local rows, details, news = {}, {}, {}
    for code, entry in pairs(entries) do
        if code_key.is_key(code) then
            local key = code_key.of(code)
            local row = store.get(TABLE, key)
            local known = row and unpack_row(row) or {}
            known.parent_code = entry.parent_code or known.parent_code
            known.last_updated = entry.last_updated or known.last_updated
            known.other_ref = entry.other_ref or known.other_ref
            news[#news + 1] = not row and code or nil
            rows[key] = pack(known)
            details[code] = details_of(code, entry, known.last_updated)
        end
    end
    store.put_many(DETAILS, details)
    keep_news(news)
    return store.put_many(TABLE, rows)
end

--- Forgets a code.
---@param code string
function codes.forget(code)
    if code_key.is_key(code) then
        store.delete(TABLE, code_key.of(code))
        store.delete(DETAILS, code)
    end
end

--- The next codes of the mirror, in the order of their keys; fewer than `limit` only at the end.
---@param after string|nil key
---@param limit integer
---@return {code: string, parent: string|nil, other_ref: string|nil, is_discontinued: boolean}[]
function codes.page(after, limit)
    local rows = {}
    for i, pair in ipairs(store.range(TABLE, {after = after, limit = limit})) do
        local row, code = unpack_row(pair.value), code_of(pair.key)
        local details = store.get(DETAILS, code)
        rows[i] = {code = code, parent = row.parent_code, other_ref = row.other_ref,
            is_discontinued = details ~= nil and details.discontinued == true}
    end
    return rows
end

-- A variant that is not exported by itself is nested under its parent.
local function parents_of(news, details)
    local parents = {}
    for code, entry in pairs(news) do
        if not details[code] and entry.parent_code then
            parents[entry.parent_code] = true
        end
    end
    return codes.sorted(parents)
end

--- Adds what ExportStock says about each entry.
---@async
---@param khaos khaos.Client
---@param news table<string, table> code -> entry
---@return true|nil
---@return neap.Error|nil
function codes.add_details(khaos, news)
    local details, err = stock.export(khaos, codes.sorted(news))
    if not details then
        return nil, err
    end
    local nested, parents = {}, parents_of(news, details)
    if #parents > 0 then
        nested, err = stock.export(khaos, parents)
        if not nested then
            return nil, err
        end
    end
    for code, entry in pairs(news) do
        for name, value in pairs(details[code] or nested[code] or {}) do
            entry[name] = value
        end
    end
    return true
end

--- Codes in order.
---@param entries table<string, any>
---@return string[]
function codes.sorted(entries)
    local list = {}
    for code in pairs(entries) do
        list[#list + 1] = code
    end
    table.sort(list)
    return list
end

---@class khaos.CodeList
local CodeList = {}
CodeList.__index = CodeList

--- The whole list of Khaos, on its way into the mirror. Takes no memory for what it holds.
---@return khaos.CodeList
function codes.new_list()
    return setmetatable({rows = store.sorter(), count = 0}, CodeList)
end

---@param entry khaos.StockEntry
function CodeList:add(entry)
    if code_key.is_key(entry.code) then
        self.rows:add(code_key.of(entry.code), pack(entry))
        self.count = self.count + 1
    end
end

--- Makes the mirror what the list says; may take many slices.
---@param on_changed fun(code: string) told of each code that is new or revised
---@return integer gone
function CodeList:replace(on_changed)
    local gone = 0
    local is_over
    repeat
        local step = self.rows:replace(TABLE, STEP)
        for _, key in ipairs(step.changed) do
            on_changed(code_of(key))
        end
        for _, key in ipairs(step.gone) do
            store.delete(DETAILS, code_of(key))
        end
        gone = gone + #step.gone
        is_over = step.is_over
    until is_over
    return gone
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
                entry.last_updated or time.format_iso(entry.seen_ms or time.now_ms())))
        end
    end
end

return codes
