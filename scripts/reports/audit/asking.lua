--- How the audit asks: again when that may help, and never past its budget.
local errors = require("neap.errors")
local report = require("neap.report")

local asking = {}

local FIRST_MS = 250
local STEP_MS = 250 -- a stop by hand is noticed in between
local OVER = {calls = "the budget of calls was used up", time = "the time was up",
    stopped = "it was stopped by hand"}

--- Why nothing more can be asked; nil: it can.
---@return string|nil
function asking.over()
    local over = report.budget().over
    return over and OVER[over] or nil
end

--- As over, and also when more than this share of the calls is spent: what comes first must not
--- leave nothing for what follows.
---@param percent integer
---@return string|nil
function asking.over_share(percent)
    local budget = report.budget()
    local is_spent = budget.max_calls and budget.calls * 100 >= budget.max_calls * percent
    if not budget.over and is_spent then
        return string.format("its share of the budget (%d%% of %d calls) was used up", percent,
            budget.max_calls)
    end
    return asking.over()
end

-- Scripts that the audit borrows raise what may be tried again.
local function call(fn)
    local ok, value, err = pcall(fn)
    if ok then
        return value, err
    elseif errors.is(value) then
        return nil, value
    end
    error(value, 0)
end

local function wait(ms)
    while ms > 0 and not asking.over() do
        report.wait(math.min(ms, STEP_MS))
        ms = ms - STEP_MS
    end
end

--- What fn gives; asked again, after longer and longer waits, while the error may pass and patience
--- lasts. A connection that was told to wait waits by itself beside.
---@async
---@param run table
---@param fn fun(): any, neap.Error|nil
---@return any
---@return neap.Error|nil
function asking.again(run, fn)
    local left, delay = run.options.patience_ms, FIRST_MS
    while true do
        local value, err = call(fn)
        if value ~= nil or err == nil or not err.retryable or left <= 0 or asking.over() then
            return value, err
        end
        local pause = math.min(left, math.max(delay, err.retry_after_ms or 0))
        wait(pause)
        left, delay = left - pause, delay * 2
    end
end

--- Why a part of the audit ended early, in words for its reader.
---@param system string
---@param err neap.Error
---@return string
function asking.why(system, err)
    return asking.over() or string.format("%s could not be asked: %s", system, err.message)
end

return asking
