-- neap-test-root: examples/sandbox/scayle
--- Bulk requests of the simulated SCAYLE: chunks, progress, failures that nobody lists, cancelling.

local admin = require("shop.admin")
local bulk = require("shop.bulk")
local faults = require("lib.sandbox.faults")
local gate = require("shop.gate")
local json = require("neap.json")
local stocks = require("shop.stocks")
local support = require("sandbox_support")
local world = require("shop.world")

local STAMP = "2026-05-05T16:15:00+00:00"

local function new_world(settings)
    local w = world.open({store = support.store(), time = support.time(), settings = settings})
    for n = 1, 6 do
        stocks.add_variant(w, "S" .. n, 1000 + n)
    end
    return w
end

local function call(w, operation, params, body)
    for _, entry in ipairs(admin.CALLS) do
        if entry.operation == operation then
            local reply = gate.handle(w, {method = entry.method, path = entry.path,
                params = params or {}, query = {}, headers = {["x-access-token"] = "sandbox-token"},
                body = body and json.encode(body) or ""}, entry)
            return reply, reply.body and json.decode(reply.body)
        end
    end
    error("no operation " .. operation)
end

local function operation(key, sku, quantity, stamp)
    return {key = key, url = "/variants/key%3D" .. sku .. "/stocks", method = "POST", headers = {},
        body = {quantity = quantity, warehouseReferenceKey = "KC-MAIN",
            merchantReferenceKey = "fellside", changedAt = stamp or STAMP}}
end

local function send(w, status, operations, key)
    local reply, body = call(w, "create_bulk", nil, {callbacks = {requestStatus = status,
        bulkRequestKey = key}, operations = json.array(operations)})
    return reply, body
end

local function status(w, key)
    return select(2, call(w, "get_bulk", {bulk = tostring(key)}))
end

local function outcome(w, key, operation_key)
    return select(2, call(w, "get_bulk_operation", {bulk = tostring(key),
        operation = operation_key}))
end

local function figure(w, sku)
    local stock = stocks.list(w, stocks.variant(w, "key=" .. sku))[1]
    return stock and stock.quantity
end

local function three(w)
    local _, made = send(w, "complete", {operation("a", "S1", 5), operation("b", "NO-SUCH", 6),
        operation("c", "S3", 7)})
    return made.key
end

local function chunk_tests(t)
    t.case("chunks of an open request wait; the complete one starts it", function()
        local w = new_world()
        local first, made = send(w, "incomplete", {operation("a", "S1", 5)})
        t.equal(first.events, nil)
        t.equal(bulk.work(w, made.key, 10), false)
        local last = send(w, "complete", {operation("b", "S2", 6)}, made.key)
        t.equal(last.events[1].payload.key, made.key)
        bulk.work(w, made.key, 10)
        t.equal({figure(w, "S1"), figure(w, "S2")}, {5, 6})
        t.equal(send(w, "complete", {operation("d", "S2", 6)}, made.key).status, 409)
    end)
    t.case("what a chunk must not be is refused", function()
        local w = new_world({bulk_chunk_max = 2, bulk_running_max = 3})
        local a, b, c = operation("a", "S1", 1), operation("b", "S2", 1), operation("c", "S3", 1)
        local ship = operation("s", "S1", 1)
        ship.url = "/fulfillment/shipments"
        t.equal(send(w, "complete", {a, operation("a", "S2", 2)}).status, 400)
        t.equal(send(w, "complete", {ship}).status, 400)
        t.equal(send(w, "open", {a}).status, 400)
        t.equal(send(w, "complete", {}).status, 400)
        t.equal(send(w, "complete", {a, b, c}).status, 413)
        t.equal(send(w, "complete", {a}, 99).status, 404)
        t.equal(send(w, "complete", {a, b}).status, 201)
        t.equal(send(w, "complete", {a, b}).status, 429)
        t.equal(send(new_world({bulk_offered = false}), "complete", {a}).status, 404)
    end)
end

local function progress_tests(t)
    t.case("processed with failures: counted, and told by each operation only", function()
        local w = new_world()
        local key = three(w)
        t.equal(status(w, key).status, "pending")
        bulk.work(w, key, 1)
        t.equal(status(w, key).status, "processing")
        t.equal(status(w, key).progress.processedOperations, 1)
        bulk.work(w, key, 10)
        t.equal(status(w, key), {key = key, status = "processed", progress = {totalOperations = 3,
            processedOperations = 3, failedOperations = 1}})
        t.equal(outcome(w, key, "b").response.statusCode, 404)
        t.equal(outcome(w, key, "c").response.body.quantity, 7)
    end)
    t.case("a stale operation succeeds and shows the stock in force", function()
        local w = new_world()
        stocks.set(w, stocks.variant(w, "key=S1"), operation("x", "S1", 9,
            "2026-05-05T17:00:00+00:00").body)
        local key = three(w)
        bulk.work(w, key, 10)
        t.equal(outcome(w, key, "a").status, "processed")
        t.equal(outcome(w, key, "a").response.body.quantity, 9)
        t.equal(figure(w, "S1"), 9)
    end)
    t.case("fault rules refuse single operations with any status", function()
        local w = new_world()
        faults.set(w.store, {{operation = "bulk_operation", path = "S3", fault = "500",
            status = 409}})
        local key = three(w)
        bulk.work(w, key, 10)
        t.equal(outcome(w, key, "c").response.statusCode, 409)
        t.equal(status(w, key).progress.failedOperations, 2)
    end)
    t.case("operations are worked in another order than they were sent", function()
        local w, is_moved = new_world(), false
        for _ = 1, 8 do
            local list = {}
            for n = 1, 6 do
                list[n] = operation("o" .. n, "S" .. n, n)
            end
            local _, made = send(w, "complete", list)
            bulk.work(w, made.key, 1)
            is_moved = is_moved or outcome(w, made.key, "o1").status == "new"
        end
        assert(is_moved, "always the first one first")
    end)
end

local function end_tests(t)
    t.case("a cancelled request processes no more; a stuck or deaf one can be had", function()
        local w = new_world()
        local key = three(w)
        bulk.work(w, key, 1)
        t.equal(call(w, "cancel_bulk", {bulk = tostring(key)}).status, 204)
        t.equal(bulk.work(w, key, 10), false)
        t.equal(status(w, key).status, "cancelled")
        t.equal(status(w, key).progress.processedOperations, 1)
        w = new_world({bulk_stuck = true, bulk_cancel_ignored = true})
        key = three(w)
        t.equal(bulk.work(w, key, 10), true)
        call(w, "cancel_bulk", {bulk = tostring(key)})
        t.equal(status(w, key).status, "processing")
    end)
    t.case("requests end half-way when they are told to", function()
        local w = new_world({bulk_ends = "aborted"})
        local key = three(w)
        bulk.work(w, key, 2)
        t.equal(bulk.work(w, key, 2), false)
        t.equal(status(w, key).status, "aborted")
    end)
    t.case("the list has requests and no operations", function()
        local w = new_world({page_limit = 2})
        local first = three(w)
        three(w)
        three(w)
        local _, page = call(w, "list_bulks")
        t.equal(#page.entities, 2)
        t.equal(page.entities[1].key, first)
        t.equal(page.entities[1].operations, nil)
        assert(page.cursor.next, "there is a third")
    end)
end

return function(t)
    chunk_tests(t)
    progress_tests(t)
    end_tests(t)
end
