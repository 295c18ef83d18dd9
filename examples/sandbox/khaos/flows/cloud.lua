--- The simulated web channel of Khaos Control Cloud: calls the client under test as contract part B
--- has it. One run: the configuration file once, an OrderDownload, then pushes of what changed.
--- Whatever is not answered with 200 is sent again on the next run. Levels are pushed on every run,
--- 0 to 100 of them (contract 8.8), unless the setting cloud_restful says that none means no push.

local cloud_channel = require("erp.cloud_channel")
local cloud_xml = require("erp.cloud_xml")
local control = require("lib.sandbox.control")
local faults = require("lib.sandbox.faults")
local http = require("neap.http")
local json = require("neap.json")
local store = require("neap.store")
local time = require("neap.time")
local world = require("erp.world")

local CONFIG = "/khaos/config.json"
local FIRST_CONTACT = "2019-12-31 12:00:00Z"
local BATCH = 100 -- entries of a stock status push
local PUSHES = {
    {kind = "stock", block = "StockUpload", list = "Items", size = BATCH},
    {kind = "stock_status", block = "StockStatusUpload", list = "Statuses", size = BATCH,
        is_always = true},
    {kind = "order_status", block = "OrderStatusUpload", list = "Statuses", size = 20},
}

local function open(settings)
    return world.open({store = store, time = time, settings = {cloud = settings.enabled}})
end

-- Khaos calls, so faults are of its own making: a call that does not get out, an answer that does
-- not come in, a call that is made twice.
local function call(w, operation, request)
    local plan = faults.plan(store, {operation = operation, path = request.path,
        method = request.method or "GET"})
    local answer, err
    request.connection = "merchant"
    if not faults.stops(plan) then
        answer, err = http.request(request)
    end
    if answer and plan.duplicate then
        answer, err = http.request(request)
    end
    control.note_call(store, {at_ms = w.now_ms, operation = operation, faults = plan.fired,
        status = answer and answer.status, problem = err and err.message, path = request.path})
    return answer and answer.status == 200 and not plan.rude and answer or nil
end

local function path_of(config, block)
    local url = config[block] and config[block].URL
    return url and url:match("(/khaos/.*)$")
end

local function read_config(w)
    local answer = call(w, "config", {path = CONFIG})
    local document = answer and json.decode(answer.body)
    return document and document.EndpointConfig
end

local function headers_of(state)
    local headers = {["Sirion-Continuation"] = state.continuation or FIRST_CONTACT}
    if #state.retry > 0 then
        headers["SpecificIDs"] = "\"" .. table.concat(state.retry, ",") .. "\""
    end
    return headers
end

local function header(answer, name)
    for key, value in pairs(answer.headers) do
        if key:lower() == name then
            return value
        end
    end
    return nil
end

-- What somebody asked for while the download was under way is asked for the next time.
local function still_wanted(now, asked)
    local is_asked, list = {}, json.array({})
    for _, reference in ipairs(asked) do
        is_asked[reference] = true
    end
    for _, reference in ipairs(now) do
        list[#list + 1] = not is_asked[reference] and reference or nil
    end
    return list
end

local function download(settings, state)
    local w = open(settings)
    local path = path_of(state.config, "OrderDownload")
    local answer = call(w, "OrderDownload", {path = path, headers = headers_of(state)})
    if not answer then
        return
    end
    local is_xml = answer.body:find("^%s*<") ~= nil
    local document = is_xml and cloud_xml.read(answer.body) or json.decode(answer.body)
    store.atomic(function()
        w = open(settings)
        local _, problem = cloud_channel.import(w, document or {})
        if problem then
            control.note_call(store, {at_ms = w.now_ms, operation = "system error",
                problem = problem})
        elseif not w.settings.cloud_forget then
            local now = cloud_channel.state(w)
            now.continuation = header(answer, "sirion-continuation") or now.continuation
            now.retry = still_wanted(now.retry, state.retry)
            cloud_channel.keep(w, now)
        end
    end)
end

local function download_returns(settings, state)
    local path = path_of(state.config, "CReturnDownload")
    local answer = path and call(open(settings), "CReturnDownload", {path = path, headers = {
        ["Sirion-Continuation"] = state.returns or FIRST_CONTACT}})
    if not answer then
        return
    end
    local document = answer.body:find("^%s*<") and cloud_xml.read(answer.body)
        or json.decode(answer.body)
    store.atomic(function()
        local w = open(settings)
        if not cloud_channel.take_returns(w, document or {}) and not w.settings.cloud_forget then
            local now = cloud_channel.state(w)
            now.returns = header(answer, "sirion-continuation") or now.returns
            cloud_channel.keep(w, now)
        end
    end)
end

local function push(settings, config, spec, entries)
    local w = open(settings)
    local is_xml = w.settings.cloud_xml or config[spec.block].Format == "XML"
    local list = json.array({})
    if w.settings.cloud_odd and not is_xml then
        list[1] = json.null
    end
    for _, entry in ipairs(entries) do
        list[#list + 1] = entry.value
    end
    local document = {[spec.list] = list}
    local request = {method = "POST", path = path_of(config, spec.block),
        headers = {["Content-Type"] = is_xml and "text/xml" or "application/json"},
        body = is_xml and cloud_xml.write(spec.block, document) or json.encode(document)}
    local answer = call(w, spec.block, request)
    if answer and w.settings.cloud_duplicate then
        call(w, spec.block, request)
    end
    if answer then
        cloud_channel.accepted(open(settings), entries)
    end
end

local function batches(w)
    local list, news = {}, cloud_channel.news(w)
    for _, spec in ipairs(PUSHES) do
        local entries = news[spec.kind]
        if #entries == 0 and spec.is_always and not w.settings.cloud_restful then
            list[#list + 1] = {spec = spec, entries = entries}
        end
        for first = 1, #entries, spec.size do
            list[#list + 1] = {spec = spec, entries = table.move(entries, first,
                math.min(first + spec.size - 1, #entries), 1, {})}
        end
    end
    if w.settings.cloud_reorder then
        for i = 1, #list // 2 do
            list[i], list[#list + 1 - i] = list[#list + 1 - i], list[i]
        end
    end
    return list
end

local function run(job)
    local w = open(job.settings)
    if not w.settings.cloud then
        return
    end
    local state = cloud_channel.state(w)
    if not state.config then
        state.config = read_config(w)
        if not state.config then
            return
        end
        cloud_channel.keep(w, state)
    end
    download(job.settings, state)
    download_returns(job.settings, state)
    for _, batch in ipairs(batches(open(job.settings))) do
        push(job.settings, state.config, batch.spec, batch.entries)
    end
end

local function lever(method, handle)
    return {kind = "route", name = "control_cloud_" .. method:lower(), method = method,
        path = "/_control/cloud", handle = handle}
end

return {
    name = "cloud",
    version = 1,
    triggers = {
        {kind = "schedule", name = "run", every_ms = 60000},
        lever("GET", function(ctx)
            local w = open(ctx.settings)
            return control.reply(200, {imports = cloud_channel.imports(w),
                returns = cloud_channel.returns(w)})
        end),
        lever("POST", function(ctx, request)
            local body, problem = control.body(request)
            if not body then
                return control.bad(problem)
            end
            return cloud_channel.act(open(ctx.settings), body)
        end),
    },
    run = run,
}
