--- One SOAP call from request to reply, with the faults that were asked for.

local control = require("lib.sandbox.control")
local faults = require("lib.sandbox.faults")
local json = require("neap.json")
local operations = require("erp.operations")
local soap = require("erp.soap")
local subjects = require("erp.subjects")

local service = {}

local function refusal(plan)
    if plan.soap_fault_status then
        local text = "Unable to reach database (asked for by a fault rule)"
        return soap.fault(text, "EDatabaseError", plan.soap_fault_status)
    end
    if plan.refuse then
        return {
            status = plan.refuse,
            headers = faults.refusal_headers(plan),
            body = "refused by a fault rule",
        }
    end
    -- The connection ends before anything was done; what the reply says never arrives.
    return {status = 500, body = ""}
end

local function perform(w, request, call, plan)
    call.found = subjects.found(w, request, call.subjects)
    call.cancelled = subjects.cancelled(w, request, call.subjects)
    local value, fault = operations.run(w, request, call)
    if not value then
        call.fault = fault
        return soap.fault(fault, nil, w.settings.fault_status)
    end
    local multiref = (plan.multiref or w.settings.multiref) and not plan.inline
    return soap.reply(request.operation, value, multiref)
end

-- The caller is gone already; what it asked for happens after a while all the same.
local function do_later(w, request, ms)
    local id = ("%d"):format(control.next_number(w.store, "late", 1))
    return {{source = "late", id = id, key = "late:" .. id, name = "call.late",
        payload = json.encode({request = request, ms = ms})}}
end

--- Performs a call that a fault rule put off.
---@param w table world
---@param request {operation: string, parameters: {name: string, value: string}[]}
function service.perform_late(w, request)
    w.skew_ms = 0
    local call = {at_ms = w.now_ms, operation = request.operation, is_late = true,
        subjects = json.array(subjects.of(request, w))}
    perform(w, request, call, {})
    control.note_call(w.store, call)
end

--- Answers one POST. Rules see the operation named by the body, so a call that cannot be read
--- matches only rules without an operation.
---@param w table world
---@param request neap.ServerRequest
---@return neap.Reply
function service.handle(w, request)
    local read, problem = soap.read(request)
    local operation = read and read.operation
    local plan = faults.plan(w.store, {
        operation = operation,
        path = request.path,
        method = request.method,
    })
    w.skew_ms = plan.skew and (plan.skew == true and 3600000 or plan.skew) or 0
    local call = {at_ms = w.now_ms, operation = operation, faults = plan.fired, rude = plan.rude,
        delay_ms = plan.delay_ms, run = request.headers["x-run"],
        subjects = json.array(read and subjects.of(read, w) or {})}
    local reply
    if faults.stops(plan) then
        reply = refusal(plan)
    elseif not read then
        call.fault = problem
        reply = soap.fault(problem, nil, w.settings.fault_status)
    else
        reply = perform(w, read, call, plan)
    end
    if read and plan.late then
        reply.events = do_later(w, read, plan.late)
    end
    call.status = reply.status
    control.note_call(w.store, call)
    return faults.apply(plan, reply)
end

return service
