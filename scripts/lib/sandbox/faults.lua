--- Faults that a sandbox commits on demand. A rule names the calls it is about and when it fires; a
--- plan says what is to happen to one call. Rules, their counters and the seed live in the store,
--- so a run repeats.
---
--- Rule: {operation|path|method (all given ones must match; none: every call), nth|probability
--- (neither: always), times (how often at most), fault, ms, status, headers}.

local random = require("lib.sandbox.random")

local faults = {}

local RULES = "fault_rules"
local STATE = "fault_state"
local RETRY_AFTER_S = "2"

-- What each fault means for the call: `refuse` answers instead of handling it, `rude` ends the
-- connection, `commit = false` leaves the business state alone.
local KINDS = {
    ["delay"] = {},
    ["429"] = {refuse = 429},
    ["500"] = {refuse = 500},
    ["503"] = {refuse = 503},
    ["reset_before"] = {rude = "reset", commit = false},
    ["reset_after"] = {rude = "reset"},
    ["late"] = {rude = "reset", commit = false, flag = "late"},
    ["close_before"] = {rude = "close", commit = false},
    ["close_after_body"] = {rude = "close"},
    ["truncate"] = {rude = "truncate"},
    ["multiref"] = {flag = "multiref"},
    ["inline"] = {flag = "inline"},
    ["fault_any_status"] = {soap_fault = true},
    ["duplicate"] = {flag = "duplicate"},
    ["reorder"] = {flag = "reorder"},
    ["skew"] = {flag = "skew"},
}

local FIELDS = {
    operation = "string",
    path = "string",
    method = "string",
    nth = "number",
    probability = "number",
    times = "number",
    fault = "string",
    ms = "number",
    status = "number",
}

local function rule_problem(rule)
    if type(rule) ~= "table" then
        return "a rule is an object"
    end
    for name, value in pairs(rule) do
        if not FIELDS[name] then
            return "unknown field " .. tostring(name)
        end
        if type(value) ~= FIELDS[name] then
            return name .. " must be a " .. FIELDS[name]
        end
    end
    if not KINDS[rule.fault or ""] then
        return "unknown fault " .. tostring(rule.fault)
    end
    if (rule.fault == "delay" or rule.fault == "late") and not rule.ms then
        return rule.fault .. " needs ms"
    end
    return nil
end

--- Replaces all rules.
---@param store neap.store
---@param rules table[]
---@param seed integer|nil
---@return integer|nil count
---@return string|nil problem
function faults.set(store, rules, seed)
    for i, rule in ipairs(rules) do
        local problem = rule_problem(rule)
        if problem then
            return nil, ("rule %d: %s"):format(i, problem)
        end
    end
    faults.clear(store)
    for i, rule in ipairs(rules) do
        store.put(RULES, ("%05d"):format(i), {rule = rule, seen = 0, fired = 0})
    end
    store.put(STATE, "seed", seed or 1)
    return #rules
end

---@param store neap.store
function faults.clear(store)
    for _, entry in ipairs(store.range(RULES, {limit = 10000})) do
        store.delete(RULES, entry.key)
    end
    store.delete(STATE, "draws")
end

---@param store neap.store
---@return table[] rules with how often each was seen and fired
function faults.list(store)
    local list = {}
    for _, entry in ipairs(store.range(RULES, {limit = 10000})) do
        list[#list + 1] = entry.value
    end
    return list
end

local function matches(rule, call)
    return (rule.operation == nil or rule.operation == call.operation)
        and (rule.method == nil or rule.method == call.method)
        and (rule.path == nil or (call.path or ""):find(rule.path, 1, true) ~= nil)
end

local function fires(store, entry)
    local rule = entry.rule
    if entry.fired >= (rule.times or (rule.nth and 1) or math.maxinteger) then
        return false
    end
    if rule.nth then
        return entry.seen >= rule.nth and entry.seen < rule.nth + (rule.times or 1)
    end
    if rule.probability then
        local draw = store.increment(STATE, "draws")
        return random.unit(store.get(STATE, "seed") or 1, draw) < rule.probability
    end
    return true
end

local function add_to(plan, rule)
    local kind = KINDS[rule.fault]
    plan.fired[#plan.fired + 1] = rule.fault
    if rule.fault == "delay" or (rule.ms and not kind.flag) then
        plan.delay_ms = (plan.delay_ms or 0) + math.floor(rule.ms)
    end
    plan.refuse = plan.refuse or (kind.refuse and (rule.status or kind.refuse))
    plan.rude = plan.rude or kind.rude
    if kind.soap_fault then
        plan.soap_fault_status = rule.status or 200
    end
    if kind.commit == false then
        plan.commit = false
    end
    if kind.flag then
        plan[kind.flag] = rule.ms and math.floor(rule.ms) or true
    end
end

--- What is to happen to this call. Counts the call for every rule it matches.
---@param store neap.store
---@param call {operation: string|nil, path: string|nil, method: string|nil}
---@return table plan {commit, fired, refuse?, rude?, delay_ms?, soap_fault_status?, multiref?, ...}
function faults.plan(store, call)
    local plan = {commit = true, fired = {}}
    for _, entry in ipairs(store.range(RULES, {limit = 10000})) do
        local state = entry.value
        if matches(state.rule, call) then
            state.seen = state.seen + 1
            if fires(store, state) then
                state.fired = state.fired + 1
                add_to(plan, state.rule)
            end
            store.put(RULES, entry.key, state)
        end
    end
    return plan
end

--- Is the call to be answered without being handled?
---@param plan table
---@return boolean
function faults.stops(plan)
    return plan.refuse ~= nil or plan.soap_fault_status ~= nil or not plan.commit
end

---@param plan table
---@return table<string, string>
function faults.refusal_headers(plan)
    if plan.refuse == 429 or plan.refuse == 503 then
        return {["Retry-After"] = RETRY_AFTER_S}
    end
    return {}
end

--- The last word on a reply: held back, or the connection ended rudely.
---@param plan table
---@param reply neap.Reply
---@return neap.Reply
function faults.apply(plan, reply)
    reply.delay_ms = plan.delay_ms
    reply.rude = plan.rude
    return reply
end

return faults
