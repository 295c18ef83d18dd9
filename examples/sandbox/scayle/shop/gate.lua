--- What every Admin API call passes: fault rules, the access token, the rate limit of its scope.
--- And the forms of answers.

local catalogue = require("shop.catalogue")
local control = require("lib.sandbox.control")
local faults = require("lib.sandbox.faults")
local json = require("neap.json")
local subjects = require("shop.subjects")

local gate = {}

local RATES = "shop_rates"
local MINUTE_MS = 60000

---@param status integer
---@param key string errorKey
---@param message string
---@param context table|nil
---@return neap.Reply
function gate.error(status, key, message, context)
    local entry = {errorKey = key, message = message, context = context or {}}
    return control.reply(status, {errors = json.array({entry})})
end

---@param entities table[]
---@param next_cursor string|nil
---@return neap.Reply
function gate.list(entities, next_cursor)
    return control.reply(200, {
        entities = json.array(entities),
        cursor = {next = next_cursor or json.null},
    })
end

-- Counts the call; the headers that every answer carries, and whether it is too many.
local function count(w, scope)
    local limit = w.settings.rate_limits[scope] or catalogue.RATE_LIMITS[scope]
    local minute = w.now_ms // MINUTE_MS
    local state = w.store.get(RATES, scope)
    if not state or state.minute ~= minute then
        state = {minute = minute, used = 0}
    end
    state.used = state.used + 1
    w.store.put(RATES, scope, state)
    local reset_s = (MINUTE_MS - w.now_ms % MINUTE_MS + 999) // 1000
    local headers = {
        ["X-RateLimit-Scope"] = scope,
        ["X-RateLimit-Limit"] = tostring(limit),
        ["X-RateLimit-Remaining"] = tostring(math.max(0, limit - state.used)),
        ["X-RateLimit-Reset"] = tostring(reset_s),
    }
    return headers, state.used > limit
end

local function too_many(w, headers)
    if w.settings.retry_after then
        headers["Retry-After"] = headers["X-RateLimit-Reset"]
    end
    local text = "Too many requests for this scope."
    return gate.error(w.settings.rate_limit_status, "RATE_LIMIT_EXCEED", text)
end

local function refused_by_rule(w, plan, headers)
    if plan.refuse == 429 then
        headers["X-RateLimit-Remaining"] = "0"
        headers["X-RateLimit-Reset"] = faults.refusal_headers(plan)["Retry-After"]
        return too_many(w, headers)
    end
    return gate.error(plan.refuse or 500, "INTERNAL_ERROR", "Refused by a fault rule.")
end

local function answer(w, request, call)
    local headers, is_over = count(w, call.scope)
    local reply
    if request.headers["x-access-token"] ~= w.settings.token then
        reply = gate.error(401, "UNAUTHORIZED", "The access token is missing or invalid.")
    elseif is_over then
        reply = too_many(w, headers)
    elseif faults.stops(call.plan) then
        reply = refused_by_rule(w, call.plan, headers)
    else
        reply = call.run(w, request)
    end
    reply.headers = reply.headers or {}
    for name, value in pairs(headers) do
        reply.headers[name] = value
    end
    return reply
end

--- Handles one Admin API call.
---@param w table world
---@param request neap.ServerRequest
---@param call {operation: string, scope: string, run: function}
---@return neap.Reply
function gate.handle(w, request, call)
    local plan = faults.plan(w.store, {
        operation = call.operation,
        path = request.path,
        method = request.method,
    })
    local reply = answer(w, request, {scope = call.scope, run = call.run, plan = plan})
    local units, found = reply.shown, reply.found -- for the log alone
    reply.shown, reply.found = nil, nil
    control.note_call(w.store, {
        at_ms = w.now_ms,
        operation = call.operation,
        method = request.method,
        path = request.path,
        status = reply.status,
        faults = json.array(plan.fired),
        rude = plan.rude,
        delay_ms = plan.delay_ms,
        run = request.headers["x-run"],
        subjects = subjects.of(call.operation, request),
        units = reply.status == 200 and units or nil,
        found = found,
    })
    return faults.apply(plan, reply)
end

--- The request's body as an object, or the refusal.
---@param request neap.ServerRequest
---@return table|nil
---@return neap.Reply|nil
function gate.body(request)
    local body = json.decode(request.body or "")
    if type(body) ~= "table" then
        return nil, gate.error(400, "VALIDATION_ERROR", "The body is not valid JSON.")
    end
    return body
end

return gate
