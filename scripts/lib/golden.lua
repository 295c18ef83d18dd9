--- Golden cases: what came in, and exactly what must come of it. `neap test DIR` runs those in the
--- client's cases/ folder, offline, through the client's own mappings and settings.
---
---     return {
---         name = "plain order",
---         why = "Nothing reduced; the delivery fee goes gross.",
---         order = "order-01-plain-gb.json",       -- in cases/orders/, or the document as a table
---         expect = {posted = {total = "164.92"}}, -- or {held = {"unmapped_tax:uk 0.125"}}
---     }
---
--- A flow that can be tested this way has rehearse(settings, case): what it would do with the
--- case, as {posted = table} or {held = {"cause:subject", ...}}, reading and sending nothing. A
--- result may name its `line` (of products); `expect_on = {cloud = {...}}` is what is expected
--- there. `flow` names the flow of the manifest when several can. Of what is expected, lists must
--- be whole; records name only the fields the case is about.
local json = require("neap.json")
local test = require("lib.test")

local golden = {}

--- Fields of a case that golden itself reads; the flow reads the others.
local DOCUMENTS = {"order", "event", "delegation"}

local function read_document(host, folder, value)
    if type(value) ~= "string" then
        return value
    end
    local text, err = host.read_file(folder .. "/orders/" .. value)
    if not text then
        error(tostring(err), 0)
    end
    local document, problem = json.decode(text)
    if document == nil then
        error(string.format("%s/orders/%s: %s", folder, value, tostring(problem)), 0)
    end
    return document
end

local function find_flow(flows, case)
    local found
    for _, entry in ipairs(flows) do
        local can = type(entry.flow.rehearse) == "function"
        if case.flow == entry.name then
            if not can then
                error(string.format("flow %s has no rehearse(settings, case)", entry.name), 0)
            end
            return entry
        elseif can and not case.flow then
            if found then
                error(string.format("say which flow: flow = %q or %q", found.name, entry.name), 0)
            end
            found = entry
        end
    end
    if not found then
        error(case.flow and "the manifest has no flow " .. tostring(case.flow)
            or "no flow of this client can be rehearsed", 0)
    end
    return found
end

local function check_case(case, file)
    if type(case) ~= "table" then
        error(string.format("%s: a table expected, got %s", file, type(case)), 0)
    end
    local expect = case.expect
    if type(expect) ~= "table" or (expect.posted == nil) == (expect.held == nil) then
        error(string.format("%s: expect = {posted = {...}} or {held = {...}} expected", file), 0)
    end
end

local function sorted(list)
    local copy = table.move(list, 1, #list, 1, {})
    table.sort(copy)
    return copy
end

local function differences(result, expect)
    local found = {}
    if expect.held then
        if result.posted then
            found[1] = "expected to be held, was posted"
        end
        local held = sorted(result.held or {})
        for _, line in ipairs(test.differences(held, sorted(expect.held), "held")) do
            found[#found + 1] = line
        end
        return found
    end
    if not result.posted then
        found[1] = "expected to be posted, was held:"
        for _, cause in ipairs(result.held or {}) do
            found[#found + 1] = "  " .. cause
        end
        return found
    end
    return test.differences(result.posted, expect.posted, "posted", true)
end

--- Runs one case; raises with what differs.
---@param host table neap.test
---@param flows table[] {name, flow, settings}
---@param case table
---@param folder string of the cases
function golden.check(host, flows, case, folder)
    local entry = find_flow(flows, case)
    local input = {}
    for key, value in pairs(case) do
        input[key] = value
    end
    for _, name in ipairs(DOCUMENTS) do
        input[name] = read_document(host, folder, case[name])
    end
    local result = entry.flow.rehearse(entry.settings, input)
    local expect = case.expect_on and case.expect_on[result.line] or case.expect
    local found = differences(result, expect)
    if #found > 0 then
        error(table.concat(found, "\n"), 0)
    end
end

local function run_file(host, flows, folder, file)
    local case
    local sentence = file:gsub("%.lua$", "")
    local ok, message = host.try(function()
        case = host.run_file(folder .. "/" .. file)
        check_case(case, file)
        sentence = string.format("%s: %s is %s", sentence, case.name or "case",
            case.expect.held and "held" or "posted to the penny")
        golden.check(host, flows, case, folder)
    end)
    host.result(ok, sentence, message or "")
end

--- Runs every file of cases/ below the client's folder.
---@param flows table[] {name, flow, settings} of the manifest
function golden.run(flows)
    local host = require("neap.test")
    for _, file in ipairs(host.list("cases") or {}) do
        if file:find("%.lua$") then
            run_file(host, flows, "cases", file)
        end
    end
end

return golden
