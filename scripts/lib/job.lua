-- The driver of steps and effects: the two methods of the job object that are written in Lua.
--
-- Loaded by the host from its own scripts, never from a client's folder. `methods` is the table of
-- the job object's methods; `host` are primitives over the memo and the effect ledger, which
-- checkpoint by themselves: what the driver did last is kept even if the flow raises right after.
--
-- An effect moves through the ledger until it is confirmed or there is an error to give back:
--
--   none, refused -> intend -> send      unsent -> intend again (the stored bytes) -> send
--   answered -> read -> confirmed | refused | unknown
--   unknown -> dedupes: send again | lookup: found, absent | once: a person
local errors = require("neap.errors")
local json = require("neap.json")

-- More than one re-send within one run is the retry policy's business.
local MAX_SENDS = 2
-- Every state leads to another or ends; more rounds mean a broken ledger.
local MAX_ROUNDS = 12

local SPEC_KEYS = {
    connection = "string", name = "string", key = "string", class = "string", read = "function",
}
local SPEC_OPTIONS = {
    request = true, fingerprint = true, lookup = true, unless_event = true,
}
-- Doubts of the transport: the request itself was fine. Anything else is the far side's own no.
local TRANSPORT_KINDS = {network = true, timeout = true, cancelled = true, limit = true, io = true}

local type, pairs, tostring, error = type, pairs, tostring, error
local format = string.format

-- Neither value nor error: the round goes on with the ledger's new state.
local AGAIN = {}

local function check_spec(spec)
    if type(spec) ~= "table" then
        error("job:effect: a table expected", 3)
    end
    for key, expected in pairs(SPEC_KEYS) do
        if type(spec[key]) ~= expected then
            error(format("job:effect: %s: a %s expected, got %s", key, expected,
                type(spec[key])), 3)
        end
    end
    for key in pairs(spec) do
        if not SPEC_KEYS[key] and not SPEC_OPTIONS[key] then
            error(format("job:effect: unknown option \"%s\"", tostring(key)), 3)
        end
    end
    if type(spec.request) ~= "table" and type(spec.request) ~= "function" then
        error("job:effect: request: a table or function expected", 3)
    end
    if spec.class == "lookup" and type(spec.lookup) ~= "function" then
        error("job:effect: lookup: a function expected for class \"lookup\"", 3)
    end
end

local function encode(value, what)
    if value == nil then
        value = json.null
    end
    local text, err = json.encode(value)
    if not text then
        errors.check(nil, errors.wrap(err, "%s", what))
    end
    return text
end

local function decode(text)
    local value = json.decode(text)
    if value == json.null then
        return nil
    end
    return value
end

local function describe(spec)
    return format("%s %s on %s", spec.name, spec.key, spec.connection)
end

--- Whatever was raised or returned as an error becomes an error object.
local function to_error(err)
    if errors.is(err) then
        return err
    end
    return errors.new{kind = "remote", message = tostring(err)}
end

return function(methods, host)
    local by_state = {}

    -- ---- steps -------------------------------------------------------------------------------

    function methods.step(job, name, fn)
        if type(name) ~= "string" or type(fn) ~= "function" then
            error("job:step(name, fn): a string and a function expected", 2)
        end
        local found, value = host.step_find(job, name)
        if found then
            if value == json.null then
                return nil
            end
            return value
        end
        local _ <close> = host.enter(job, "step", name)
        local result, err = fn()
        if result == nil and err ~= nil then
            return nil, err
        end
        local text = encode(result, format("step %s", name))
        host.step_put(job, name, text)
        return decode(text)
    end

    -- ---- effects -----------------------------------------------------------------------------

    local function confirm(job, spec, entry, value)
        local text = encode(value, describe(spec))
        host.effect_confirm(job, entry.id, text)
        job:note("effect", format("%s: confirmed", describe(spec)))
        return decode(text)
    end

    local function send(job, spec, id, run)
        run.sends = run.sends + 1
        local is_answered, err = host.effect_send(job, spec, id)
        if is_answered then
            return AGAIN
        end
        run.last_error = err
        if not err.maybe_sent then
            return nil, err
        end
        return AGAIN
    end

    function by_state.none(job, spec, _, run)
        local request = spec.request
        if type(request) == "function" then
            request = request()
        end
        local id, err = host.effect_intend(job, spec, request)
        if not id then
            return nil, err
        end
        return send(job, spec, id, run)
    end

    by_state.refused = function(job, spec, entry, run)
        if run.last_error then
            return nil, run.last_error
        end
        return by_state.none(job, spec, entry, run)
    end

    function by_state.unsent(job, spec, entry, run)
        if run.sends >= MAX_SENDS then
            return nil, run.last_error
        end
        local id, err = host.effect_intend_again(job, entry.id, spec.unless_event)
        if not id then
            return nil, err
        end
        return send(job, spec, id, run)
    end

    --- On its way from another run in this very process.
    function by_state.intent(_, spec)
        return nil, errors.new{
            kind = "exists", retryable = true, retry_after_ms = 1000,
            message = format("%s is under way", describe(spec)),
        }
    end

    function by_state.answered(job, spec, entry, run)
        local value, err = spec.read(entry.answer)
        if err == nil then
            return confirm(job, spec, entry, value)
        end
        err = to_error(err)
        run.last_error = err
        if not err.maybe_sent then
            host.effect_refuse(job, entry.id, err.kind, err.message)
            job:note("effect", format("%s: refused, %s", describe(spec), err.message))
            return nil, err
        end
        -- What is kept of a doubt is its kind: a transport's one permits to send the same bytes
        -- again.
        local kind = err.kind
        if err.retryable and not TRANSPORT_KINDS[kind] then
            kind = "timeout"
        elseif not err.retryable and TRANSPORT_KINDS[kind] then
            kind = "remote"
        end
        host.effect_unknown(job, entry.id, kind, err.message)
        return AGAIN
    end

    local function in_doubt(spec, entry)
        return errors.new{
            kind = "timeout", retryable = true, maybe_sent = true,
            retry_after_ms = entry.settle_left_ms > 0 and entry.settle_left_ms or nil,
            message = format("%s: outcome unknown: %s", describe(spec), entry.error_message),
        }
    end

    local function hold_for_person(job, spec, entry)
        job:hold{{
            cause = "outcome_unknown", subject = entry.subject, recheck = "manual",
            message = format("It is not known whether %s happened: %s", describe(spec),
                entry.error_message),
            remedy = format("Look in %s whether it is there, then say so", spec.connection),
        }}
    end

    local function take_found(job, spec, entry, result, fingerprint)
        if fingerprint == nil and entry.fingerprint ~= "" then
            error(format("lookup of %s: found, without a fingerprint; the intent's is %s",
                describe(spec), entry.fingerprint))
        elseif entry.fingerprint ~= "" and fingerprint ~= entry.fingerprint then
            job:hold{{
                cause = "fingerprint_mismatch", subject = describe(spec), recheck = "manual",
                message = format("%s exists, but is not what was sent: expected %s, found %s",
                    describe(spec), entry.fingerprint, tostring(fingerprint)),
                remedy = format("Compare the two in %s and correct one of them", spec.connection),
            }}
        end
        job:note("effect", format("%s: found by look-up", describe(spec)))
        return confirm(job, spec, entry, result)
    end

    local function take_absent(job, spec, entry)
        if TRANSPORT_KINDS[entry.error_kind] or entry.error_kind == "" then
            host.effect_absent(job, entry.id)
            job:note("effect", format("%s: looked up, not there; the same bytes go again",
                describe(spec)))
            return AGAIN
        end
        host.effect_refuse(job, entry.id, entry.error_kind, entry.error_message)
        job:note("effect", format("%s: looked up, not there; refused: %s", describe(spec),
            entry.error_message))
        return nil, errors.new{kind = entry.error_kind, message = entry.error_message}
    end

    local function look_up(job, spec, entry, run)
        if entry.settle_left_ms > 0 and run.sends > 0 then
            return nil, in_doubt(spec, entry) -- a failed try: the retry policy paces the next one
        elseif entry.settle_left_ms > 0 then
            job:sleep(format("settle %s %s #%d", spec.name, spec.key, entry.attempts),
                entry.settle_left_ms)
            -- The sleep is over by the wall clock. When that stepped forward, it was too short.
            entry = host.effect_find(job, spec)
            if entry.state ~= "unknown" then
                return AGAIN
            elseif entry.settle_left_ms > 0 then
                return nil, in_doubt(spec, entry)
            end
        end
        local outcome, result, fingerprint = spec.lookup(spec.key)
        local now = host.effect_find(job, spec)
        if now.state ~= "unknown" or now.attempts ~= entry.attempts then
            -- Another job went on with it meanwhile: what was seen says nothing about it.
            return AGAIN
        elseif outcome == "found" then
            return take_found(job, spec, entry, result, fingerprint)
        elseif outcome == "absent" then
            return take_absent(job, spec, entry, run)
        elseif outcome == nil and result ~= nil then
            return nil, to_error(result)
        end
        error(format("lookup of %s: \"found\", \"absent\" or nil, err expected, got %s",
            describe(spec), tostring(outcome)))
    end

    function by_state.unknown(job, spec, entry, run)
        if spec.class == "once" then
            return hold_for_person(job, spec, entry)
        elseif spec.class == "lookup" then
            if run.sends >= MAX_SENDS and run.lookups >= MAX_SENDS then
                return nil, in_doubt(spec, entry)
            end
            run.lookups = run.lookups + 1
            return look_up(job, spec, entry, run)
        end
        if run.sends > 0 then
            return nil, run.last_error or in_doubt(spec, entry)
        end
        local id, err = host.effect_intend_again(job, entry.id, nil)
        if not id then
            return nil, err
        end
        return send(job, spec, id, run)
    end

    --- What an earlier job did under this key may be another thing than what is wanted now. The
    --- job that did it goes on with its result: a corrected mapping does not undo what was sent.
    function by_state.confirmed(job, spec, entry)
        local is_other = spec.fingerprint ~= nil and entry.fingerprint ~= ""
            and spec.fingerprint ~= entry.fingerprint
        if is_other and not entry.is_own then
            job:hold{{
                cause = "fingerprint_mismatch", subject = describe(spec), recheck = "manual",
                message = format("%s was done before, as %s; now it would be %s", describe(spec),
                    entry.fingerprint, spec.fingerprint),
                remedy = format("Compare the two in %s and in the source; dismiss the job when "
                    .. "what is there is right", spec.connection),
            }}
        end
        if entry.result == json.null then
            return nil
        end
        return entry.result
    end

    local function drive(job, spec)
        local run = {sends = 0, lookups = 0}
        for _ = 1, MAX_ROUNDS do
            local entry = host.effect_find(job, spec)
            local value, err = by_state[entry.state](job, spec, entry, run)
            if value ~= AGAIN then
                return value, err
            end
        end
        error(format("%s does not come to an end", describe(spec)))
    end

    function methods.effect(job, spec)
        check_spec(spec)
        local _ <close> = host.enter(job, "effect", spec.name)
        return drive(job, spec)
    end
end
