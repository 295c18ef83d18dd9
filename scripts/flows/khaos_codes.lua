--- The mirror of Khaos's stock codes in this client's store: what exists, and what was perhaps
--- meant.
---
--- Tables: khaos_stock (letters and digits of a code in upper case, the exact code -> what the list
--- says, as one text: "last_updated|parent_code", because a million rows are worth it) and
--- khaos_stock_details (exact code -> what Khaos said when it was asked for that one:
--- {discontinued, vat_rate, seen_ms, ...}). So codes that differ only in case and separators lie
--- side by side, and the whole list can replace the first table. Filled by flows.khaos_mirror; a
--- flow that misses a code asks Khaos for it before it says so to a person.
local stock = require("connectors.khaos_soap.stock")
local store = require("neap.store")
local time = require("neap.time")

local codes = {}

local UNKNOWN = "unknown_stock_code" -- cause
local TABLE = "khaos_stock"
local DETAILS = "khaos_stock_details"
local KEY_MAX = 200 -- bytes of a code, which is in its key twice; no Khaos code is as long
local SEPARATOR = "\1" -- XML, and so Khaos, has no such character
local DETAIL_NAMES = {"discontinued", "vat_rate", "deleted", "stock_controlled", "seen_ms"}
local NEAR_MAX = 20
local STEP = 1000

local function is_key(code)
    return type(code) == "string" and code ~= "" and #code <= KEY_MAX
end

local function prefix_of(code)
    return (code:upper():gsub("[%s%-_%./]", "")) .. SEPARATOR
end

local function code_of(key)
    return key:match(SEPARATOR .. "(.*)$")
end

local function pack(entry)
    return (entry.last_updated or "") .. "|" .. (entry.parent_code or "")
end

local function unpack_row(text)
    local at = text:find("|", 1, true)
    local updated, parent = text:sub(1, at - 1), text:sub(at + 1)
    return {last_updated = updated ~= "" and updated or nil,
        parent_code = parent ~= "" and parent or nil}
end

--- What the mirror knows of a code, spelt exactly so; nil when nothing.
---@param code string
---@return table|nil
function codes.get(code)
    local row = is_key(code) and store.get(TABLE, prefix_of(code) .. code) or nil
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
    if is_key(code) then
        local page = store.range(TABLE, {prefix = prefix_of(code), limit = NEAR_MAX})
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

--- Writes entries into the mirror. What is known and not said again is kept.
---@param entries table<string, table>
---@return integer count
function codes.put(entries)
    local rows, details = {}, {}
    for code, entry in pairs(entries) do
        if is_key(code) then
            local key = prefix_of(code) .. code
            local row = store.get(TABLE, key)
            local known = row and unpack_row(row) or {}
            known.parent_code = entry.parent_code or known.parent_code
            known.last_updated = entry.last_updated or known.last_updated
            rows[key] = pack(known)
            details[code] = details_of(code, entry, known.last_updated)
        end
    end
    store.put_many(DETAILS, details)
    return store.put_many(TABLE, rows)
end

--- Forgets a code.
---@param code string
function codes.forget(code)
    if is_key(code) then
        store.delete(TABLE, prefix_of(code) .. code)
        store.delete(DETAILS, code)
    end
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
    if is_key(entry.code) then
        self.rows:add(prefix_of(entry.code) .. entry.code, pack(entry))
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
