--- Codes that Khaos does not answer for, or not readably: they hold up no other, keep the figure
--- they have, are asked for again at every poll, and are told in one exception.
---
--- Faults of Khaos do not say whether they are about a code (contract 1.6), so it is asked for a
--- code that it answered for before: when it does not answer for that either, it is down.
local store = require("neap.store")
local tables = require("flows.stock_stages.tables")

local unread = {}

local CAUSE = "stock_unread"
local EVERY = 10 -- refusals between two looks at whether Khaos is down
local LOOK_AT = 100
unread.AT_ONCE = 1000 -- asked for again in one poll

local Refusals = {}
Refusals.__index = Refusals

--- What Khaos refuses of one request's codes: `words` by code.
---@param ask fun(codes: string[]): any, neap.Error|nil the same request, for others
function unread.refusals(ask)
    return setmetatable({ask = ask, words = {}, count = 0}, Refusals)
end

-- A code that was read before and is not among these.
function Refusals:good_code()
    for _, pair in ipairs(store.range(tables.ITEMS, {limit = LOOK_AT})) do
        local is_good = pair.value.read_ms and not self.words[pair.key]
            and not store.get(tables.UNREAD, pair.key)
        if is_good then
            return pair.key
        end
    end
    return nil
end

function Refusals:is_down()
    local good = self:good_code()
    if not good then
        return self.count > 0 -- nothing to compare with: a few are believed
    end
    return not self.ask({good})
end

--- As chunks.each wants it: notes the code, or ends the reading when Khaos is down.
---@async
---@return fun(code: string, err: neap.Error): true|nil, neap.Error|nil
function Refusals:taker()
    return function(code, err)
        self.words[code] = err.message
        if self.count % EVERY == 0 and self:is_down() then
            return nil, err
        end
        self.count = self.count + 1
        return true
    end
end

--- Codes were asked for: which of them Khaos refused, and why.
---@param codes string[]
---@param words table<string, string>
function unread.keep(codes, words)
    for _, code in ipairs(codes) do
        local known = store.get(tables.UNREAD, code)
        if words[code] and (not known or known.words ~= words[code]) then
            store.put(tables.UNREAD, code, {words = words[code]})
        elseif known and not words[code] then
            store.delete(tables.UNREAD, code)
        end
    end
end

--- Codes to be asked for again.
---@return string[]
function unread.codes()
    local codes = {}
    for i, pair in ipairs(store.range(tables.UNREAD, {limit = unread.AT_ONCE})) do
        codes[i] = pair.key
    end
    return codes
end

--- Tells of them, and of their end.
---@param job neap.Job
function unread.tell(job)
    local page = store.range(tables.UNREAD, {limit = unread.AT_ONCE})
    local known, first = store.get(tables.STATE, "unread"), page[1]
    if not first then
        if known then
            job:close_exception(CAUSE, job.settings.warehouse, "every code can be read")
            store.delete(tables.STATE, "unread")
        end
    elseif not known or known.count ~= #page or known.first ~= first.key then
        job:open_exception({cause = CAUSE, subject = job.settings.warehouse,
            message = string.format("Khaos does not answer for %d%s stock codes, so their figures "
                .. "stay as they are. The first is %s: %s", #page,
                #page == unread.AT_ONCE and " or more" or "", first.key, first.value.words),
            remedy = "Look at the code in Khaos (a strange character, a broken link), or have "
                .. "Khaos's support look at the fault. Every poll asks again; this closes when all "
                .. "can be read.", recheck = "proof"})
        store.put(tables.STATE, "unread", {count = #page, first = first.key})
    end
end

return unread
