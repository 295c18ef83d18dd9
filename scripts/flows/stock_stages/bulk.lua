--- Many figures by one bulk request of SCAYLE (contract 1.7), one request at a time.
---
---     filling    chunk by chunk; SCAYLE's key is kept with each. Only the last chunk completes it
---     waiting    until SCAYLE has worked through it, or makes no progress for `wait_ms`
---     settling   each figure counts as set and is looked up afterwards (bulk_check); or, when
---                something went wrong (`must_look`), each operation is looked up first
---
--- The figures are written down first (BULK, in order), so the request goes on after a crash. A
--- lost answer is no trouble: a chunk may come twice, and whether the last one came is asked for.
--- A request whose key was lost is never completed, and so never worked. Meanwhile a code whose
--- figure changed goes singly: the later stamp counts, in whatever order SCAYLE takes them.
local bulk_check = require("flows.stock_stages.bulk_check")
local http = require("neap.http")
local scayle_bulk = require("connectors.scayle.bulk")
local scayle_client = require("connectors.scayle.client")
local sent = require("flows.stock_stages.sent")
local store = require("neap.store")
local tables = require("flows.stock_stages.tables")
local time = require("neap.time")
local watermark = require("flows.stock_stages.watermark")

local PAGE = 1000
local FAILED = "stock_bulk_failed" -- cause

---@class stock.Bulk
---@field id integer ours
---@field phase "filling"|"waiting"|"settling"
---@field key integer|nil SCAYLE's
---@field total integer figures
---@field filled integer so many are known to be in it
---@field is_completing boolean|nil the last chunk may have arrived
---@field done integer SCAYLE's progress
---@field progress_ms integer when it last got further
---@field chunk_error {message: string, retryable: boolean|nil}|nil of the last chunk
---@field is_mute boolean|nil its operations cannot be looked up any more
---@field must_look boolean|nil each operation must be looked up
---@field read integer so many were settled
---@field counts table<string, integer>
---@field is_over boolean|nil
---@field failed_ms integer|nil it did not work: single calls for a while

local bulk = {}

local function place(number)
    return string.format("%08d", number)
end

local function load()
    return store.get(tables.STATE, "bulk")
end

local function save(state)
    store.put(tables.STATE, "bulk", state)
end

-- Figures after the first `number`, as single ones look.
local function page_of(settings, state, number, limit)
    local list = {}
    for i, pair in ipairs(store.range(tables.BULK, {after = place(number), limit = limit})) do
        local entry = pair.value
        entry.key, entry.number, entry.bulk = pair.key, number + i, state.id
        entry.warehouse, entry.merchant = settings.warehouse, settings.merchant_key
        list[i] = entry
    end
    return list
end

local function empty_figures()
    repeat
        local page = store.range(tables.BULK, {limit = PAGE})
        for _, pair in ipairs(page) do
            store.delete(tables.BULK, pair.key)
        end
    until #page < PAGE
end

-- An answer, or nil, err; every answer says what time it is at SCAYLE.
local function ask(settings, request)
    request.connection = settings.scayle.connection
    local answer, err = http.request(request)
    if answer then
        watermark.heard(time.now_ms(), scayle_client.date_ms(answer))
    end
    return answer, err
end

-- ---- begin -----------------------------------------------------------------------------------

--- Is a request under way?
---@return boolean
function bulk.is_open()
    local state = load()
    return state ~= nil and not state.is_over
end

--- May one be begun: configured, none under way, and the one before did not fail just now?
---@param settings table
---@param now_ms integer
---@return boolean
function bulk.is_free(settings, now_ms)
    local state = load()
    return settings.bulk ~= nil and (state == nil or state.is_over == true
        and now_ms - (state.failed_ms or 0) >= settings.bulk.wait_ms)
end

--- Begins a request with these figures.
---@param list stock.Due[]
---@param now_ms integer
function bulk.begin(list, now_ms)
    local before = load()
    local id = (before and before.id or 0) + 1
    empty_figures()
    for i, entry in ipairs(list) do
        entry.bulk = id
        store.put(tables.BULK, place(i), {sku = entry.sku, quantity = entry.quantity,
            stamp_ms = entry.stamp_ms, read_ms = entry.read_ms})
    end
    sent.write_down(list, now_ms)
    save({id = id, phase = "filling", total = #list, filled = 0, done = 0, read = 0,
        progress_ms = now_ms, counts = {}})
end

-- ---- its phases ------------------------------------------------------------------------------

local function go_on(state, changes)
    for name, value in pairs(changes) do
        state[name] = value
    end
    state.progress_ms = time.now_ms()
    save(state)
end

local function is_late(settings, state)
    return time.now_ms() - state.progress_ms >= (settings.bulk and settings.bulk.wait_ms or 0)
end

local function tell_failed(job, state, words)
    job:open_exception({cause = FAILED, subject = job.settings.warehouse, message = string.format(
        "A bulk request of %d stock figures did not work: %s. They go singly", state.total, words),
        remedy = "When SCAYLE refuses it, set bulk.chunk or bulk.size of the stock flow lower, or "
            .. "take bulk out. The next request that goes through closes this.",
        recheck = "proof"})
end

-- It goes no further: stopped where it may run still, and every operation looked up.
local function give_up(job, state, words)
    if state.key then
        ask(job.settings, scayle_bulk.cancel_request(state.key))
    end
    tell_failed(job, state, words)
    go_on(state, {phase = "settling", must_look = true, failed_ms = time.now_ms(), words = words})
end

-- What to do about an error: it goes on at the next tick, or not at all.
local function fail(job, state, err)
    if not err.retryable or is_late(job.settings, state) then
        give_up(job, state, err.message)
    end
    return false
end

local function check_completed(job, state)
    local answer, err = ask(job.settings, scayle_bulk.status_request(state.key))
    local status
    if answer then
        status, err = scayle_bulk.read_status(answer)
    end
    if not status then
        return fail(job, state, err)
    elseif status.is_open and state.chunk_error then
        state.is_completing = false
        save(state)
        return fail(job, state, state.chunk_error)
    elseif status.is_open then
        state.is_completing = false -- it never left
        save(state)
    else
        go_on(state, {phase = "waiting", filled = state.total})
    end
    return true
end

local phases = {}

-- One chunk. Each phase returns true when it may go on at once.
function phases.filling(job, state)
    local settings = job.settings
    if state.is_completing and state.key then
        return check_completed(job, state)
    end
    local chunk, operations = page_of(settings, state, state.filled, settings.bulk.chunk), {}
    for i, entry in ipairs(chunk) do
        operations[i] = {key = entry.key, figure = entry}
    end
    local is_last = state.filled + #chunk >= state.total
    if is_last then
        state.is_completing = true
        save(state)
    end
    local answer, err = ask(settings, scayle_bulk.chunk_request(operations, {key = state.key,
        is_last = is_last}))
    local key
    if answer then
        key, err = scayle_bulk.read_chunk(answer)
    end
    if not key and state.is_completing and state.key then
        -- Whatever the words, it may have arrived: asked for at the next tick.
        state.chunk_error = {message = err.message, retryable = err.retryable}
        save(state)
        return false
    elseif not key then
        return fail(job, state, err)
    end
    go_on(state, {key = key, filled = state.filled + #chunk,
        phase = is_last and "waiting" or "filling"})
    return true
end

function phases.waiting(job, state)
    local settings = job.settings
    local answer, err = ask(settings, scayle_bulk.status_request(state.key))
    local status
    if answer then
        status, err = scayle_bulk.read_status(answer)
    end
    if not status then
        return fail(job, state, err)
    elseif status.is_whole then
        job:close_exception(FAILED, settings.warehouse, "a request went through")
        go_on(state, {phase = "settling", done = status.done})
        return true
    elseif status.is_over then
        local has_failed = status.status ~= "processed"
        if has_failed then
            tell_failed(job, state, "SCAYLE ended it as " .. status.status)
        end
        go_on(state, {phase = "settling", must_look = true, done = status.done,
            failed_ms = has_failed and time.now_ms() or nil})
        return true
    elseif status.done > state.done then
        go_on(state, {done = status.done})
    elseif is_late(settings, state) then
        give_up(job, state, string.format("no progress for %d min at %d",
            settings.bulk.wait_ms // 60000, status.done))
    end
    return false
end

local function count(state, name)
    state.counts[name] = (state.counts[name] or 0) + 1
end

-- `result` is nil when SCAYLE says of the whole request that it went through.
local function settle(job, state, entry, result)
    count(state, result and result.state or "set")
    if not result then
        bulk_check.assume(job, state.key, entry)
    elseif result.state == "open" or result.state == "failed" then
        state.words = state.words or result.state == "failed" and result.more.message or nil
        sent.release(entry)
    else
        sent.settle(job, entry, result.state, result.state == "ignored" and result.more or nil)
    end
end

local function over(job, state)
    local words = {}
    for _, name in ipairs({"set", "ignored", "unknown", "failed", "open"}) do
        words[#words + 1] = state.counts[name] and string.format("%d %s", state.counts[name],
            name) or nil
    end
    job:note("stock", string.format("bulk request %s over: %s%s", state.key or "never begun",
        table.concat(words, ", "), state.words and " (" .. state.words .. ")" or ""))
    state.is_over, state.phase = true, nil
    save(state)
    empty_figures()
end

function phases.settling(job, state)
    local settings = job.settings
    local can_look = state.must_look and state.key and not state.is_mute
    local limit = can_look and settings.batch or PAGE
    local page, found = page_of(settings, state, state.read, limit), {}
    if can_look then
        local is_whole
        found, is_whole = bulk_check.look_up(settings, page, function(entry)
            return state.key, entry.key
        end)
        if not is_whole and not is_late(settings, state) then
            return false
        elseif not is_whole then
            state.is_mute, found = true, {} -- it cannot be asked for: all the rest again, singly
        end
    end
    for i, entry in ipairs(page) do
        settle(job, state, entry, found[i] or state.must_look and {state = "open"} or nil)
    end
    go_on(state, {read = state.read + #page})
    if state.read >= state.total then
        over(job, state)
        return false
    end
    return not state.must_look
end

local function look_at_each(_, state)
    go_on(state, {phase = "settling", must_look = true})
    return true
end

--- Goes on with the request that is under way, as far as it gets without waiting for SCAYLE.
---@async
---@param job neap.Job
function bulk.step(job)
    local may_go_on
    repeat
        local state = load()
        if not state or state.is_over then
            return
        end
        if not job.settings.bulk and state.phase ~= "settling" then
            give_up(job, state, "it was taken out of the settings")
            state = load()
        end
        -- What scripts of another day were doing with it is found out by looking at each.
        may_go_on = (phases[state.phase] or look_at_each)(job, state)
    until not may_go_on
end

return bulk
