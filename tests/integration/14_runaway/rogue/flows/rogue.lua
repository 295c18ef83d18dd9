--- Misdeeds by name. The line at which each is to be ended is marked "--> name": the test reads the
--- marks and expects that very place in the failure record.
local errors = require("neap.errors")
local json = require("neap.json")
local log = require("neap.log")
local store = require("neap.store")

local misdeeds = {}

local function forever()
    while true do end --> forever
end

-- ---- loops ----------------------------------------------------------------------------------

misdeeds.loop = forever

function misdeeds.pcall()
    while true do
        pcall(forever) --> pcall
    end
end

function misdeeds.xpcall()
    while true do
        xpcall(forever, function() --> xpcall +-2
            while true do end
        end)
    end
end

function misdeeds.sort()
    table.sort({5, 4, 3, 2, 1}, forever)
end

function misdeeds.gsub()
    return (string.gsub("abc", ".", forever))
end

local function odd(name, fn)
    return setmetatable({}, {[name] = fn})
end

function misdeeds.tostring()
    return tostring(odd("__tostring", forever))
end

function misdeeds.index()
    return odd("__index", forever).anything
end

function misdeeds.eq()
    return odd("__eq", forever) == odd("__eq", forever)
end

function misdeeds.lt()
    return odd("__lt", forever) < odd("__lt", forever)
end

function misdeeds.concat()
    return odd("__concat", forever) .. "x"
end

function misdeeds.len()
    return #odd("__len", forever)
end

function misdeeds.call()
    return odd("__call", forever)()
end

function misdeeds.close()
    local _ <close> = odd("__close", forever)
end

--- Ended by its budget, it leaves a <close> variable whose end is as endless.
function misdeeds.loop_and_close()
    local _ <close> = odd("__close", function()
        while true do end
    end)
    while true do end --> loop_and_close
end

function misdeeds.iterator()
    for item in forever do
        log.info(item)
    end
end

function misdeeds.atomic()
    store.atomic(forever)
end

--- Many short stretches, each below every limit of its own.
function misdeeds.many_sorts()
    while true do
        local list = {}
        for i = 1, 200 do
            list[i] = (i * 7919) % 211
        end
        table.sort(list, function(a, b) return a < b end) --> many_sorts +-5
    end
end

--- What closes an exception by proof is a flow's own check.
function misdeeds.proof(job)
    job:open_exception({cause = "doubt", subject = job.key, message = "?", recheck = "proof"})
    for _, exception in ipairs(job:exceptions("doubt")) do
        while exception.subject == job.key do end --> proof
    end
end

function misdeeds.gc()
    setmetatable({}, {__gc = forever}) --> gc
end

-- ---- recursion ------------------------------------------------------------------------------

local function deep(n) -- not a tail call
    return 1 + deep(n + 1) --> recursion
end

function misdeeds.recursion()
    return deep(1)
end

local function through_pcall(n)
    local ok, err = pcall(through_pcall, n + 1)
    if not ok then
        error(err, 0)
    end
    return true
end

function misdeeds.recursion_pcall()
    assert(pcall(through_pcall, 1)) --> recursion_pcall
    error("it came back") --> recursion_pcall
end

local function through_sort()
    table.sort({3, 2, 1}, through_sort) --> recursion_sort
    return false
end

misdeeds.recursion_sort = through_sort

local function through_gsub()
    return (string.gsub("a", "a", through_gsub)) --> recursion_gsub
end

misdeeds.recursion_gsub = through_gsub

function misdeeds.recursion_tostring()
    local t
    t = odd("__tostring", function() return tostring(t) end) --> recursion_tostring
    return tostring(t)
end

function misdeeds.recursion_index()
    local t = {}
    for _ = 1, 300000 do
        t = setmetatable({}, {__index = t})
    end
    return t.anything --> recursion_index
end

-- ---- work inside one call of C --------------------------------------------------------------

function misdeeds.pattern()
    return string.find(string.rep("a", 40000), ".-.-.-.-b") --> pattern
end

function misdeeds.gsub_long()
    local text = string.gsub(string.rep("x", 60 << 20), ".", {x = "y"}) --> gsub_long +-1
    return text
end

function misdeeds.rep()
    return string.rep("x", 1 << 40) --> rep
end

function misdeeds.table_concat()
    local piece, list = string.rep("x", 8 << 20), {}
    for i = 1, 1000 do
        list[i] = piece
    end
    return table.concat(list) --> table_concat
end

function misdeeds.format()
    local text = string.rep("x", 100 << 20)
    text = string.format("%s%s", text, text) --> format
    return text
end

function misdeeds.unpack()
    return table.unpack({}, 1, 100000000) --> unpack
end

function misdeeds.json_deep()
    local text = string.rep("[", 1000000)
    return errors.check(json.decode(text)) --> json_deep
end

--- Each call is within its bounds; ten thousand instructions of such calls are minutes.
function misdeeds.pattern_loop()
    local text = string.rep("a", 40000)
    while true do
        pcall(string.find, text, ".-.-.-.-b") --> pattern_loop +-1
    end
end

function misdeeds.rep_loop()
    while true do
        string.rep("x", 50 << 20) --> rep_loop +-1
    end
end

function misdeeds.equal_loop()
    local a, b = string.rep("x", 50 << 20) .. "a", string.rep("x", 50 << 20) .. "b"
    while a ~= b do end --> equal_loop +-1
end

function misdeeds.big_sort()
    local t = {}
    for i = 1, 4000000 do
        t[i] = (i * 7919) % 10007
    end
    table.sort(t) --> big_sort
end

-- ---- memory ---------------------------------------------------------------------------------

function misdeeds.table_grows()
    local t = {}
    while #t >= 0 do
        t[#t + 1] = {} --> table_grows +-1
    end
end

function misdeeds.string_doubles()
    local s = "x"
    while true do
        s = s .. s --> string_doubles
    end
end

--- Whoever swallows the first refusal meets the next one.
function misdeeds.memory_pcall()
    local t = {}
    for _ = 1, 3 do
        pcall(function()
            while true do
                t[#t + 1] = string.rep("x", 1 << 20) --> memory_pcall +-4
            end
        end)
    end
    return t, string.rep("y", 250 << 20) --> memory_pcall +-4
end

--- The heap stays full, so each refused allocation costs a collection of all of it.
function misdeeds.memory_full_loop()
    local t = {}
    pcall(function()
        while true do
            t[#t + 1] = {}
        end
    end)
    while #t > 0 do
        pcall(string.rep, "y", 128 << 20) --> memory_full_loop +-1
    end
end

-- ---- raising --------------------------------------------------------------------------------

function misdeeds.raise()
    error("it never works") --> raise
end

function misdeeds.raise_retryable()
    local err = errors.new({kind = "remote", message = "it never works", retryable = true})
    error(err, 0) --> raise_retryable
end

function misdeeds.raise_table()
    error({some = "thing"}) --> raise_table
end

function misdeeds.raise_nil()
    error(nil) --> raise_nil
end

function misdeeds.raise_huge()
    error(string.rep("x", 10 << 20)) --> raise_huge
end

function misdeeds.raise_odd()
    error(odd("__tostring", function() error("no words either") end)) --> raise_odd
end

function misdeeds.raise_endless()
    error(odd("__tostring", forever))
end

-- ---- floods ---------------------------------------------------------------------------------

function misdeeds.flood_steps(job)
    local n = 0
    while true do
        n = n + 1
        job:step("step " .. n, function() return n end) --> flood_steps scripts
    end
end

function misdeeds.flood_effects(job)
    local n = 0
    while true do
        n = n + 1
        job:effect({ --> flood_effects scripts
            connection = "shut", name = "knock", key = "k" .. n, class = "dedupes",
            request = {method = "POST", path = "/x", body = "y"},
            read = function() return true end,
        })
    end
end

function misdeeds.flood_notes(job)
    while true do
        job:note("flood", "one more line") --> flood_notes +-1
    end
end

function misdeeds.flood_store()
    local n, text = 0, string.rep("x", 1000)
    while true do
        n = n + 1
        store.put("flood", "k" .. n, {text}) --> flood_store +-2
    end
end

function misdeeds.flood_log()
    while true do
        log.info("one more line") --> flood_log +-1
    end
end

function misdeeds.flood_events(job)
    local n = 0
    while true do
        n = n + 1
        job:emit({ --> flood_events +-5
            source = "flood", id = job.key .. n, key = "child:" .. n, name = "child",
        })
    end
end

--- Waits until the test kills the process: what a crash at this place is.
function misdeeds.crash(job)
    store.put("state", "crashing", json.null)
    job:note("crash", "here it comes")
    while true do end --> crash
end

-- ---- the flow -------------------------------------------------------------------------------

local function run(job)
    if job.event.name == "schedule.tick" and store.get("state", "tick") then
        while true do end --> schedule
    end
    local misdeed = misdeeds[job.event.name]
    if misdeed then
        misdeed(job)
    end
end

local function route(name, handle)
    return {kind = "route", name = name, method = "POST", path = "/" .. name, handle = handle}
end

return {
    name = "rogue",
    version = 1,
    run = run,
    triggers = {
        route("misdeed", function(_, request)
            local name = request.query.name
            local id = request.query.id
            return {status = 202, events = {{
                source = "test", id = id, key = "misdeed:" .. id, name = name,
            }}}
        end),
        route("endless", function()
            while true do end --> route
        end),
        route("tick", function(_, request)
            store.put("state", "tick", request.query.on == "yes")
            return {status = 200}
        end),
        {kind = "schedule", name = "tick", every_ms = 1000},
    },
}
