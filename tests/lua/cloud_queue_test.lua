-- What Khaos fetches, over random histories: orders offered, answers lost, continuations forgotten
-- or strange, cancellations, retries by name, restarts, writes that the host's end cuts short.
-- Nothing is lost, nothing that was taken back is ever handed out, and what may have been seen is
-- never taken back.
--
--     neap test --lua --set count=20000 --set seed=1 tests/lua/cloud_queue_test.lua
local baskets = require("baskets")
local fake_job = require("fake_job")
local queue = require("flows.cloud_stages.queue")
local store = require("neap.store")

local STEPS = 60
local STRANGE = {"2019-12-31 12:00:00Z", "v1:00000000:7", "v1:abc", "", "v9:1:1"}

local function reference_of(document)
    return document.reference
end

local History = {}
History.__index = History

local function new_history(random)
    return setmetatable({random = random, count = 0, seen = {}, imported = {}, withdrawn = {},
        continuation = STRANGE[1], limit = random:up_to(4)}, History)
end

-- Now and then the host dies before a write is done, and the job runs again.
function History:run(fn)
    if not self.random:chance(20) then
        return fn()
    end
    local kept, left = {put = store.put, delete = store.delete}, self.random:up_to(5)
    for name, write in pairs(kept) do
        store[name] = function(...)
            left = left - 1
            return left == 0 and error("the host dies", 0) or write(...)
        end
    end
    local is_whole, result = pcall(fn)
    store.put, store.delete = kept.put, kept.delete
    if is_whole then
        return result
    end
    return fn()
end

function History:put()
    self.count = self.count + 1
    local reference = "SC" .. self.count
    self:run(function()
        return queue.put("orders", reference, "order:" .. self.count, {reference = reference})
    end)
end

function History:any()
    return self.count > 0 and "SC" .. self.random:up_to(self.count) or nil
end

-- Khaos imports a reference once, whatever it is given.
function History:import(documents)
    for _, document in ipairs(documents) do
        local reference = reference_of(document)
        assert(not self.withdrawn[reference], reference .. " was taken back and handed out")
        self.imported[reference] = true
    end
end

-- The answer may be lost on its way, or Khaos may forget where it was.
function History:download()
    local asked = self.random:chance(10) and self.random:pick(STRANGE) or self.continuation
    local documents, continuation = queue.take("orders", asked, self.limit)
    assert(#documents <= self.limit, "more than asked for")
    for _, document in ipairs(documents) do
        self.seen[reference_of(document)] = true
    end
    if self.random:chance(15) then
        return
    end
    self:import(documents)
    if not self.random:chance(15) then
        self.continuation = continuation
    end
end

function History:retry()
    local reference = self:any()
    if not reference then
        return
    end
    local documents = queue.take_these("orders", {reference, "SC-FOREIGN"})
    assert(#documents <= 1, "exactly those that were named")
    for _, document in ipairs(documents) do
        self.seen[reference_of(document)] = true
    end
    self:import(documents)
end

function History:cancel()
    local reference = self:any()
    if reference and self:run(function()
        return queue.withdraw("orders", reference)
    end) then
        assert(not self.seen[reference], reference .. " may be in Khaos and was taken back")
        self.withdrawn[reference] = true
    end
end

function History:show()
    local reference = self:any()
    if reference and self.imported[reference] then
        queue.show("orders", reference, "SO" .. reference)
    end
end

function History:again()
    local reference = self:any()
    if reference and self.random:chance(30) and not self.imported[reference]
        and queue.get("orders", reference).state == "served" then
        self:run(function()
            queue.offer_again("orders", reference)
        end)
        self.seen[reference] = nil
    end
end

local ACTIONS = {"put", "put", "put", "download", "download", "download", "retry", "cancel", "show",
    "show", "again"}

-- With a channel that works at last, everything arrives.
local function check_end(history)
    for _ = 1, history.count + 2 do
        local documents
        documents, history.continuation = queue.take("orders", history.continuation, history.limit)
        history:import(documents)
    end
    for i = 1, history.count do
        local reference = "SC" .. i
        assert(history.withdrawn[reference] or history.imported[reference],
            reference .. " never reached Khaos")
    end
end

local function play(random)
    fake_job.world({http = function() end}):with(function()
        local history = new_history(random)
        for _ = 1, STEPS do
            history[random:pick(ACTIONS)](history)
        end
        check_end(history)
    end)
end

return function(t)
    local count, seed = tonumber(t.settings.count) or 500, tonumber(t.settings.seed) or 1
    t.case("nothing is lost, nothing seen is taken back, nothing taken back is seen", function()
        local random = baskets.random(seed)
        for _ = 1, count do
            play(random)
        end
        t.note("%d histories of %d steps (seed %d)", count, STEPS, seed)
    end)
    t.case("a lost answer is handed out again, a kept one is not", function()
        fake_job.world({http = function() end}):with(function()
            queue.put("orders", "A", "order:1", {reference = "A"})
            local first, continuation = queue.take("orders", STRANGE[1], 10)
            local lost = queue.take("orders", STRANGE[1], 10)
            local kept = queue.take("orders", continuation, 10)
            t.equal({#first, #lost, #kept}, {1, 1, 0})
        end)
    end)
    t.case("a cursor ahead of us, as after a restored backup, hides nothing new", function()
        fake_job.world({http = function() end}):with(function()
            queue.put("orders", "A", "order:1", {reference = "A"})
            local _, continuation = queue.take("orders", STRANGE[1], 10)
            local ahead = continuation:gsub("%d+$", "900")
            queue.put("orders", "B", "order:2", {reference = "B"})
            t.equal(#queue.take("orders", ahead, 10), 2)
        end)
    end)
    t.case("documents of shown orders are forgotten after their time, others stay", function()
        local world = fake_job.world({http = function() end})
        world:with(function()
            queue.put("orders", "A", "order:1", {reference = "A"})
            queue.put("orders", "B", "order:2", {reference = "B"})
            queue.show("orders", "A", "SO1")
            t.equal(queue.tidy("orders", world.now_ms + 1), 1)
            t.equal(#queue.take_these("orders", {"A", "B"}), 1)
        end)
    end)
end
