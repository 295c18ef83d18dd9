--- The simulated Khaos as the far side of a fake world, in one process.
local fake_job = require("fake_job")
local errors = require("neap.errors")
local sandbox_support = require("sandbox_support")
local service = require("erp.service")
local stock = require("erp.stock")
local time = require("neap.time")
local world = require("erp.world")

local khaos_sandbox = {}

local function open(far)
    return world.open({store = far.store, time = far.clock, settings = {}})
end

local function settle(far, settings)
    local control = require("lib.sandbox.control")
    local data = require("erp.data")
    assert(control.change(far.store, data.SETTINGS, settings))
end

-- The far side's clock is the near side's; zones are real.
local function clock_of(near)
    return {
        now_ms = function()
            return near.now_ms
        end,
        parse_iso = time.parse_iso, format_iso = time.format_iso,
    }
end

--- A fake world whose connection "khaos" is a new simulated Khaos; other connections go to `other`.
---@param settings table|nil of the simulation
---@param other function|nil
---@return table world
---@return table sandbox {answer(request), change_stock(words), before = hook on requests}
function khaos_sandbox.world(settings, other)
    local far = {store = sandbox_support.store()}
    local near
    function far.answer(request)
        local reply = service.handle(open(far), {method = "POST", path = request.path,
            headers = {["content-type"] = request.headers["Content-Type"],
                ["soapaction"] = request.headers["SOAPAction"]},
            body = request.body})
        return {status = reply.status, headers = {}, body = reply.body or "", elapsed_ms = 1}
    end
    function far.change_stock(words)
        return assert(stock.change(open(far), words))
    end
    function far.world()
        return open(far)
    end
    near = fake_job.world({http = function(request)
        if request.connection ~= "khaos" then
            return other(request)
        end
        local early, err = nil, nil
        if far.before then
            early, err = far.before(request, far)
        end
        if early or err then
            return early, err
        end
        return far.answer(request)
    end})
    far.clock = clock_of(near)
    settle(far, settings or {})
    return near, far
end

--- The error of a reply that never came.
---@return neap.Error
function khaos_sandbox.lost()
    return errors.new({kind = "timeout", message = "no answer", retryable = true,
        maybe_sent = true})
end

return khaos_sandbox
