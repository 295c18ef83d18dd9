--- The audit's stock codes: Khaos's whole list into the run's own mirror, by the flow that does it
--- when live.
local asking = require("reports.audit.asking")
local code_key = require("flows.code_key")
local errors = require("neap.errors")
local khaos_line = require("flows.khaos_line")
local mirror = require("flows.khaos_mirror")
local report = require("neap.report")
local schema = require("lib.schema")
local store = require("neap.store")

local stock_codes = {}

local MIRROR = "khaos_stock" -- see flows.khaos_codes
local PAGE = 1000

local function none() end

-- The client's own mirror flow says how; without one its defaults do.
local function settings_of(run, flow)
    local found = run.flows.khaos_mirror and run.flows.khaos_mirror.settings
    return found or schema.with_defaults(mirror.schema, {khaos = flow.settings.khaos})
end

local function new_job(settings)
    return {settings = settings, note = none, close_exception = none, facts = none,
        exceptions = function()
            return {}
        end,
        hold = function(_, causes)
            error(errors.new({kind = "remote", message = causes[1].message}), 0)
        end}
end

--- Every code of the mirror in order, to fn.
---@param fn fun(code: string, row: string)
---@return integer count
function stock_codes.each(fn)
    local after, count = nil, 0
    repeat
        local page = store.range(MIRROR, {after = after, limit = PAGE})
        for _, pair in ipairs(page) do
            after = pair.key
            count = count + 1
            local _, code = code_key.parts(pair.key)
            fn(code, pair.value)
        end
    until #page < PAGE
    return count
end

--- Reads the list; sets run.has_codes.
---@async
---@param run table
function stock_codes.read(run)
    local flow = run.orders_flows[1]
    local part = {name = "Stock codes of Khaos", looked = 0}
    run.parts[#run.parts + 1] = part
    if khaos_line.kind(flow.settings.khaos) == "cloud" then
        part.stopped = "Khaos Control Cloud tells its stock codes, levels and customers by "
            .. "calling us, and it has not done so yet: all codes count as there, nothing about "
            .. "them is checked"
        run.is_cloud = true
        return
    end
    report.progress("reading Khaos's stock codes")
    local done, err = asking.again(run, function()
        mirror.run(new_job(settings_of(run, flow)))
        return true
    end)
    run.has_codes = done == true
    part.stopped = not done and asking.why("Khaos", err) or nil
    part.looked = stock_codes.each(none)
end

return stock_codes
