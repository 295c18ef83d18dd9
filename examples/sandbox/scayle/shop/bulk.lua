--- Bulk requests (contract 1.7): chunks of an open request, then a queue that is worked later, in
--- no order that anybody may rely on. Every operation is the single call with its own answer; which
--- ones failed is listed nowhere.

local faults = require("lib.sandbox.faults")
local json = require("neap.json")
local random = require("lib.sandbox.random")
local stocks = require("shop.stocks")

local bulk = {}

bulk.TABLES = {"shop_bulk", "shop_bulk_ops", "shop_bulk_keys", "shop_bulk_queue"}

local REQUESTS = "shop_bulk" -- request -> {key, status, total, processed, failed}
local OPERATIONS = "shop_bulk_ops" -- "<request>\n<number>" -> {key, url, body, status, response}
local KEYS = "shop_bulk_keys" -- "<request>\n<operation key>" -> number
local QUEUE = "shop_bulk_queue" -- "<request>\n<random>" -> number
local FIRST_KEY = 55071

local OVER = {processed = true, failed = true, cancelled = true, aborted = true}

local function place(key, part)
    return ("%012d\n%s"):format(key, part)
end

---@param w table
---@param key integer|nil
---@return table|nil
function bulk.get(w, key)
    return key and w.store.get(REQUESTS, place(key, "")) or nil
end

local function save(w, request)
    w.store.put(REQUESTS, place(request.key, ""), request)
end

-- ---- chunks ----------------------------------------------------------------------------------

local function operation_problem(operation)
    if type(operation) ~= "table" then
        return "an operation is an object"
    elseif type(operation.key) ~= "string" or operation.key == "" then
        return "operations[].key is missing"
    elseif operation.method ~= "POST" or type(operation.url) ~= "string"
        or not operation.url:find("^/variants/[^/]+/stocks$") then
        return "only POST /variants/{variantIdentifier}/stocks may be in it"
    elseif type(operation.body) ~= "table" then
        return "operations[].body is missing"
    end
    return nil
end

local function chunk_problem(operations)
    local seen = {}
    for _, operation in ipairs(operations) do
        local problem = operation_problem(operation)
        if problem then
            return problem
        elseif seen[operation.key] then
            return ("the operation key %s is there twice"):format(operation.key)
        end
        seen[operation.key] = true
    end
    return nil
end

local function running(w)
    local count = 0
    for _, entry in ipairs(w.store.range(REQUESTS, {limit = 10000})) do
        local request = entry.value
        count = count + (OVER[request.status] and 0 or request.total - request.processed)
    end
    return count
end

local function refuse(status, key, message)
    return nil, {status = status, key = key, message = message}
end

local function invalid(message)
    return refuse(400, "VALIDATION_ERROR", message)
end

local function next_key(w)
    return FIRST_KEY - 1 + w.store.increment("shop_sequences", "bulk")
end

-- The request that a chunk belongs to.
local function request_of(w, callbacks)
    local key = callbacks.bulkRequestKey
    if key == nil or key == json.null then
        return {key = next_key(w), status = "new", total = 0, processed = 0, failed = 0,
            created_ms = w.now_ms}
    elseif math.type(key) ~= "integer" then
        return invalid("callbacks.bulkRequestKey must be an integer")
    end
    local request = bulk.get(w, key)
    if not request then
        return refuse(404, "BULK_REQUEST_NOT_FOUND", "No bulk request for the given key.")
    elseif request.status ~= "new" then
        return refuse(409, "BULK_REQUEST_COMPLETE", "A complete request cannot be extended.")
    end
    return request
end

local function add(w, request, operation)
    request.total = request.total + 1
    local number = ("%07d"):format(request.total)
    w.store.put(OPERATIONS, place(request.key, number), {key = operation.key,
        url = operation.url, body = operation.body, status = "new"})
    w.store.put(KEYS, place(request.key, operation.key), number)
    local draw = random.at(request.key, request.total) & 0xffffffff
    w.store.put(QUEUE, place(request.key, ("%08x%s"):format(draw, number)), number)
end

--- Takes one chunk.
---@param w table
---@param body table
---@return table|nil request
---@return table|nil refusal {status, key, message}
---@return boolean|nil is_complete
function bulk.take(w, body)
    local callbacks, operations = body.callbacks, body.operations
    if type(callbacks) ~= "table" or type(operations) ~= "table" then
        return invalid("callbacks and operations are required")
    end
    local wish = callbacks.requestStatus
    if wish ~= "complete" and wish ~= "incomplete" then
        return invalid("callbacks.requestStatus must be complete or incomplete")
    elseif #operations < 1 then
        return invalid("operations must not be empty")
    elseif #operations > w.settings.bulk_chunk_max then
        return refuse(413, "PAYLOAD_TOO_LARGE", "Too many operations in one call.")
    end
    local problem = chunk_problem(operations)
    if problem then
        return invalid(problem)
    elseif running(w) + #operations > w.settings.bulk_running_max then
        return refuse(429, "BULK_LIMIT_EXCEEDED", "Too many operations are running.")
    end
    local request, refusal = request_of(w, callbacks)
    if not request then
        return nil, refusal
    end
    for _, operation in ipairs(operations) do
        add(w, request, operation)
    end
    request.status = wish == "complete" and "pending" or "new"
    save(w, request)
    return request, nil, wish == "complete"
end

-- ---- work ------------------------------------------------------------------------------------

local function error_body(key, message)
    return {errors = json.array({{errorKey = key, message = message, context = {}}})}
end

local function answer(w, operation)
    local plan = faults.plan(w.store, {operation = "bulk_operation", path = operation.url,
        method = "POST"})
    if faults.stops(plan) then
        return plan.refuse or 500, error_body("REFUSED", "Refused by a fault rule.")
    end
    local identifier = operation.url:match("^/variants/([^/]+)/stocks$"):gsub("%%(%x%x)",
        function(hex)
            return string.char(tonumber(hex, 16))
        end)
    local variant = stocks.variant(w, identifier)
    if not variant then
        return 404, error_body("VARIANT_NOT_FOUND", "No variant for the given identifier.")
    end
    local stock, problem = stocks.set(w, variant, operation.body)
    if not stock then
        return 400, error_body("VALIDATION_ERROR", problem)
    end
    return 200, stock
end

local function process(w, request, number)
    local at = place(request.key, number)
    local operation = w.store.get(OPERATIONS, at)
    local status, body = answer(w, operation)
    operation.status = status < 300 and "processed" or "failed"
    operation.response = {statusCode = status, body = body}
    operation.body = nil
    w.store.put(OPERATIONS, at, operation)
    request.processed = request.processed + 1
    request.failed = request.failed + (status < 300 and 0 or 1)
end

--- Works the next operations of a request, in random order; false when there is no more to do.
---@param w table
---@param key integer
---@param count integer
---@return boolean
function bulk.work(w, key, count)
    local request = bulk.get(w, key)
    if not request or OVER[request.status] or request.status == "new" then
        return false
    end
    request.status = "processing"
    local left = w.settings.bulk_stuck and {} or w.store.range(QUEUE,
        {prefix = place(key, ""), limit = count})
    for _, entry in ipairs(left) do
        process(w, request, entry.value)
        w.store.delete(QUEUE, entry.key)
    end
    if w.settings.bulk_ends ~= "" and request.processed * 2 >= request.total then
        request.status = w.settings.bulk_ends
    elseif request.processed == request.total then
        request.status = "processed"
    end
    save(w, request)
    return not OVER[request.status]
end

--- What is not processed yet never will be.
---@param w table
---@param request table
function bulk.cancel(w, request)
    if not OVER[request.status] and not w.settings.bulk_cancel_ignored then
        request.status = "cancelled"
        save(w, request)
    end
end

-- ---- views -----------------------------------------------------------------------------------

---@param request table
---@return table
function bulk.view(request)
    return {key = request.key, status = request.status, progress = {
        totalOperations = request.total, processedOperations = request.processed,
        failedOperations = request.failed}}
end

---@param w table
---@param after integer key
---@param limit integer
---@return table[] views
function bulk.page(w, after, limit)
    local list = {}
    for i, entry in ipairs(w.store.range(REQUESTS, {after = place(after, ""), limit = limit})) do
        list[i] = bulk.view(entry.value)
    end
    return list
end

---@param w table
---@param request table
---@param operation_key string
---@return table|nil
function bulk.operation(w, request, operation_key)
    local number = w.store.get(KEYS, place(request.key, operation_key))
    local found = number and w.store.get(OPERATIONS, place(request.key, number))
    return found and {key = found.key, status = found.status,
        response = found.response or json.null, bulkRequest = bulk.view(request)} or nil
end

-- ---- the calls -------------------------------------------------------------------------------

local function refused(gate, refusal)
    return gate.error(refusal.status, refusal.key, refusal.message)
end

local function with_request(gate, run)
    return function(w, request)
        local key = math.tointeger(tonumber(request.params.bulk:match("^%d+$")))
        local found = bulk.get(w, key)
        if not found then
            return gate.error(404, "BULK_REQUEST_NOT_FOUND", "No bulk request for the given key.")
        end
        return run(w, request, found)
    end
end

--- Admin calls of bulk requests, as shop/admin.lua lists them.
---@param gate table
---@param control table
---@param starts table
---@return table[]
function bulk.calls(gate, control, starts)
    local function entry(operation, method, path, scope, run)
        return {operation = operation, method = method, path = path, scope = scope, run = run}
    end
    local function create(w, request)
        local body, refusal = gate.body(request)
        if not body then
            return refusal
        elseif not w.settings.bulk_offered then
            return gate.error(404, "NOT_FOUND", "There is no such resource.")
        end
        local made, problem, is_complete = bulk.take(w, body)
        if not made then
            return refused(gate, problem)
        end
        local reply = control.reply(201, {key = made.key})
        reply.events = is_complete and {starts.bulk(made.key)} or nil
        return reply
    end
    local function list(w, request)
        local after = math.tointeger(tonumber((request.query.cursor or "b0"):match("^b(%d+)$")))
        local page = after and bulk.page(w, after, w.settings.page_limit)
        if not page then
            return gate.error(400, "VALIDATION_ERROR", "cursor is not valid", {field = "cursor"})
        end
        return gate.list(page, #page == w.settings.page_limit and "b" .. page[#page].key or nil)
    end
    local one = "/bulk-requests/{bulk}"
    return {
        entry("create_bulk", "POST", "/variants/stocks/bulk-requests", "bulkWrite", create),
        entry("list_bulks", "GET", "/bulk-requests", "globalRead", list),
        entry("get_bulk", "GET", one .. "/status", "globalRead",
            with_request(gate, function(_, _, found)
                return control.reply(200, bulk.view(found))
            end)),
        entry("get_bulk_operation", "GET", one .. "/operations/{operation}/status", "globalRead",
            with_request(gate, function(w, request, found)
                local view = bulk.operation(w, found, request.params.operation)
                return view and control.reply(200, view)
                    or gate.error(404, "OPERATION_NOT_FOUND", "No operation for the given key.")
            end)),
        entry("cancel_bulk", "PUT", one .. "/cancel", "globalWrite",
            with_request(gate, function(w, _, found)
                bulk.cancel(w, found)
                return {status = 204, headers = {}}
            end)),
    }
end

return bulk
