--- A simulated on-premise Khaos Control: its SOAP service and the control routes of the simulation.

local books = require("erp.books")
local control = require("lib.sandbox.control")
local data = require("erp.data")
local faults = require("lib.sandbox.faults")
local json = require("neap.json")
local ledger = require("erp.ledger")
local service = require("erp.service")
local stock = require("erp.stock")
local store = require("neap.store")
local time = require("neap.time")
local world = require("erp.world")
local wsdl = require("erp.wsdl")

local MAX_BODY_BYTES = 4 * 1024 * 1024

local function open(ctx)
    return world.open({store = store, time = time, settings = ctx.settings})
end

-- A control route: opens the world, reads the body, answers with what `run` returns.
local function lever(method, name, run)
    return {
        kind = "route",
        name = "control_" .. name .. "_" .. method:lower(),
        method = method,
        path = "/_control/" .. name,
        max_body_bytes = MAX_BODY_BYTES,
        handle = function(ctx, request)
            local w = open(ctx)
            local body, problem = control.body(request)
            if not body then
                return control.bad(problem)
            end
            return run(w, body, request)
        end,
    }
end

local function set_stock(w, body)
    local changes = body.items or {body}
    local items = json.array({})
    for _, words in ipairs(changes) do
        local item, problem = stock.change(w, words)
        if not item then
            return control.bad(problem)
        end
        items[#items + 1] = item
    end
    return control.reply(200, {items = items})
end

local function set_settings(w, body)
    local ok, problem = control.change(w.store, data.SETTINGS, body)
    if not ok then
        return control.bad(problem)
    end
    return control.reply(200, control.settings(w.store, data.SETTINGS, nil))
end

local function handle_soap(ctx, request)
    return service.handle(open(ctx), request)
end

-- The one job there is: a call that a fault rule put off.
local function run(job)
    local late = json.decode(job.event.payload)
    job:sleep("late", late.ms)
    service.perform_late(open(job), late.request)
end

local function handle_wsdl(_, request)
    local host = request.headers["host"] or "localhost"
    local address = ("http://%s/khaos/soap/IKosWeb"):format(host)
    return {status = 200, headers = {["Content-Type"] = "text/xml"}, body = wsdl.text(address)}
end

return {
    name = "erp",
    version = 1,
    run = run,
    triggers = {
        {
            kind = "route",
            name = "soap",
            method = "POST",
            path = "/soap/IKosWeb",
            max_body_bytes = MAX_BODY_BYTES,
            handle = handle_soap,
        },
        {kind = "route", name = "wsdl", method = "GET", path = "/wsdl/IKosWeb",
            handle = handle_wsdl},
        lever("POST", "reset", function(w)
            world.reset(w)
            return control.reply(200, {reset = true})
        end),
        lever("POST", "stock", set_stock),
        lever("GET", "stock", function(w)
            return control.reply(200, {items = json.array(stock.all(w))})
        end),
        lever("GET", "ledger", function(w, _, request)
            return control.reply(200, ledger.view(w, request.query))
        end),
        lever("GET", "books", function(w, _, request)
            return control.reply(200, books.page(w, request.query))
        end),
        lever("POST", "orders", ledger.act),
        lever("POST", "faults", function(w, body)
            return control.set_faults(w.store, body)
        end),
        lever("GET", "faults", function(w)
            return control.reply(200, {rules = json.array(faults.list(w.store))})
        end),
        lever("GET", "calls", function(w, _, request)
            return control.reply(200, {calls = control.calls(w.store, request.query)})
        end),
        lever("POST", "settings", set_settings),
        lever("GET", "settings", function(w)
            return control.reply(200, w.settings)
        end),
    },
}
