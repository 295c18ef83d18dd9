--- What the control routes of both sandboxes share: settings, faults, the log of calls, reset.
--- They are the levers of tests and demonstrations and no part of the simulated systems.

local faults = require("lib.sandbox.faults")
local json = require("neap.json")

local control = {}

local SETTINGS = "sim_settings"
local CALLS = "sim_calls"
local SEQUENCES = "sim_sequences"
local MAX_RANGE = 10000

--- Puts JSON null out of sight: what is null is absent.
---@param value any
---@return any
function control.absent(value)
    if value == json.null then
        return nil
    end
    return value
end

---@param status integer
---@param value any
---@param headers table<string, string>|nil
---@return neap.Reply
function control.reply(status, value, headers)
    local all = {["Content-Type"] = "application/json"}
    for name, text in pairs(headers or {}) do
        all[name] = text
    end
    return {status = status, headers = all, body = json.encode(value)}
end

---@param message string
---@return neap.Reply
function control.bad(message)
    return control.reply(400, {error = message})
end

--- The request's body as an object; an empty body is an empty one.
---@param request neap.ServerRequest
---@return table|nil
---@return string|nil problem
function control.body(request)
    if request.body == nil or request.body == "" then
        return {}
    end
    local value, err = json.decode(request.body)
    if type(value) ~= "table" then
        return nil, "the body is not a JSON object: " .. tostring(err)
    end
    return value
end

--- Settings in force: the defaults, then the manifest's, then what a control call changed.
---@param store neap.store
---@param defaults table
---@param manifest table|nil
---@return table
function control.settings(store, defaults, manifest)
    local settings = {}
    for name, value in pairs(defaults) do
        settings[name] = value
    end
    for name, value in pairs(manifest or {}) do
        settings[name] = value
    end
    for _, entry in ipairs(store.range(SETTINGS, {limit = MAX_RANGE})) do
        settings[entry.key] = entry.value
    end
    return settings
end

--- Changes settings; null takes a change back. Unknown names and wrong types are refused.
---@param store neap.store
---@param defaults table
---@param changes table
---@return boolean|nil
---@return string|nil problem
function control.change(store, defaults, changes)
    for name, value in pairs(changes) do
        if defaults[name] == nil then
            return nil, "unknown setting " .. tostring(name)
        end
        if value ~= json.null and type(value) ~= type(defaults[name]) then
            return nil, ("%s must be a %s"):format(name, type(defaults[name]))
        end
    end
    for name, value in pairs(changes) do
        if value == json.null then
            store.delete(SETTINGS, name)
        else
            store.put(SETTINGS, name, value)
        end
    end
    return true
end

---@param store neap.store
---@param name string
---@param first integer
---@return integer the next number of a sequence, beginning with `first`
function control.next_number(store, name, first)
    return first - 1 + store.increment(SEQUENCES, name)
end

--- Notes one call in the log.
---@param store neap.store
---@param call table
---@return integer number of the call
function control.note_call(store, call)
    local number = control.next_number(store, "calls", 1)
    call.number = number
    store.put(CALLS, ("%012d"):format(number), call)
    return number
end

---@param store neap.store
---@param query table<string, string>
---@return table[] newest last
function control.calls(store, query)
    local options = {limit = math.min(tonumber(query.limit) or 1000, MAX_RANGE) // 1}
    if query.after then
        options.after = ("%012d"):format(tonumber(query.after) or 0)
    end
    local list = json.array({})
    for _, entry in ipairs(store.range(CALLS, options)) do
        if not query.operation or entry.value.operation == query.operation then
            list[#list + 1] = entry.value
        end
    end
    return list
end

--- Empties tables.
---@param store neap.store
---@param names string[]
function control.empty(store, names)
    for _, name in ipairs(names) do
        repeat
            local entries = store.range(name, {limit = MAX_RANGE})
            for _, entry in ipairs(entries) do
                store.delete(name, entry.key)
            end
        until #entries < MAX_RANGE
    end
end

--- Empties what this module keeps: settings, calls, sequences, rules.
---@param store neap.store
function control.reset(store)
    control.empty(store, {SETTINGS, CALLS, SEQUENCES})
    faults.clear(store)
end

--- POST _control/faults: {rules = {...}, seed = 1}.
---@param store neap.store
---@param body table
---@return neap.Reply
function control.set_faults(store, body)
    if type(body.rules) ~= "table" then
        return control.bad("rules is missing")
    end
    local count, problem = faults.set(store, body.rules, control.absent(body.seed))
    if not count then
        return control.bad(problem)
    end
    return control.reply(200, {rules = count})
end

return control
