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
--- A flow that can be tested this way has rehearse(settings, case, client): what it would do with
--- the case, reaching nothing outside; `client` is what a flow sees of the client around it. `flow`
--- names the flow of the manifest; a case without it is the orders flow's. What comes of a case is
--- either of
---
---     {posted = table}                              an order as it would be posted
---     {told = {...}, held = {"cause:subject", ...}} what is said to whom, in order, and what a
---                                                   person is asked; nothing else may come of it
---
--- A result may name its `line` (of products); `expect_on = {cloud = {...}}` is what is expected
--- there. Of what is expected, lists must be whole; records name only the fields the case is about.
--- `cases` of a flow is the schema of the fields that its cases have beside those above.
---
--- Documents: `order`, `event` and `delegation` are JSON in cases/orders/ or tables; `khaos`,
--- `levels` and `items` are what Khaos says, XML or JSON as it sends it: a file in cases/khaos/, or
--- the text itself. On both lines: khaos = {soap = "left.xml", cloud = "left.json"}.
local json = require("neap.json")
local schema = require("lib.schema")
local test = require("lib.test")
local xml = require("neap.xml")

local golden = {}

--- Fields of a case that golden itself reads; the flow reads the others.
local DOCUMENTS = {"order", "event", "delegation"}
local TEXTS = {"khaos", "levels", "items"}

local COMMON = {name = {type = "string"}, why = {type = "string"}, flow = {type = "string"},
    expect = {type = "any"}, expect_on = {type = "any"}, may_lack_flow = {type = "boolean"}}

local function read_file(host, path)
    local text, err = host.read_file(path)
    if not text then
        error(tostring(err), 0)
    end
    return text
end

local function read_document(host, folder, value)
    if type(value) ~= "string" then
        return value
    end
    local path = folder .. "/orders/" .. value
    local document, problem = json.decode(read_file(host, path))
    if document == nil then
        error(string.format("%s: %s", path, tostring(problem)), 0)
    end
    return document
end

-- The text of what Khaos says, which can be read.
local function read_text(host, folder, value, field)
    if type(value) ~= "string" then
        error(string.format("%s: a file in %s/khaos/ or its text expected, got %s", field, folder,
            test.shown(value)), 0)
    end
    local is_inline = value:find("^%s*[<{%[]") ~= nil
    local where = is_inline and field or folder .. "/khaos/" .. value
    local text = is_inline and value or read_file(host, where)
    local decode = text:find("^%s*<") and xml.parse or json.decode
    local document, problem = decode(text)
    if document == nil then
        error(string.format("%s: XML or JSON expected: %s", where, tostring(problem)), 0)
    end
    return text
end

local function read_texts(host, folder, value, field)
    if type(value) ~= "table" then
        return value and read_text(host, folder, value, field)
    end
    local texts = {}
    for line, own in pairs(value) do
        texts[line] = read_text(host, folder, own, field .. "." .. tostring(line))
    end
    return texts
end

local function names_of(entries)
    local names = {}
    for i, entry in ipairs(entries) do
        names[i] = string.format("%q", entry.name)
    end
    return #names > 0 and table.concat(names, ", ") or "none"
end

local function named_flow(flows, can, name)
    for _, entry in ipairs(can) do
        if entry.name == name then
            return entry
        end
    end
    for _, entry in ipairs(flows) do
        if entry.name == name then
            error(string.format("flow %s has no rehearse(settings, case); these have: %s", name,
                names_of(can)), 0)
        end
    end
    error(string.format("the manifest has no flow %s; cases may name: %s", tostring(name),
        names_of(can)), 0)
end

-- A case that names no flow is the orders flow's.
local function find_flow(flows, case)
    local can, posting = {}, {}
    for _, entry in ipairs(flows) do
        local is_able = type(entry.flow.rehearse) == "function"
        can[#can + 1] = is_able and entry or nil
        posting[#posting + 1] = is_able and entry.flow.name == "orders" and entry or nil
    end
    if case.flow then
        return named_flow(flows, can, case.flow)
    end
    local found = #can == 1 and can or posting
    if #found ~= 1 then
        error(#can == 0 and "no flow of this client can be rehearsed"
            or "say which flow, flow = one of: " .. names_of(#found > 1 and found or can), 0)
    end
    return found[1]
end

local LINES = {soap = true, cloud = true}
local KINDS = {posted = true, told = true, held = true}

local function check_expected(expect, file, name)
    local is_good = type(expect) == "table" and next(expect) ~= nil
    for kind, value in pairs(is_good and expect or {}) do
        is_good = is_good and KINDS[kind] and type(value) == "table"
    end
    if not is_good or expect.posted and (expect.told or expect.held) then
        error(string.format("%s: %s = {posted = {...}}, or {told = {...}, held = {...}} or one of "
            .. "these two expected", file, name), 0)
    end
end

local function check_case(case, file)
    if type(case) ~= "table" then
        error(string.format("%s: a table expected, got %s", file, type(case)), 0)
    end
    check_expected(case.expect, file, "expect")
    for line, expect in pairs(type(case.expect_on) == "table" and case.expect_on or {}) do
        if not LINES[line] then
            error(string.format("%s: expect_on: soap or cloud expected, got %s", file,
                tostring(line)), 0)
        end
        check_expected(expect, file, "expect_on." .. tostring(line))
    end
end

-- Its fields, where the flow says which there are.
local function check_fields(flow, case, file)
    if not flow.cases then
        return
    end
    local fields = {}
    for _, own in ipairs({COMMON, flow.cases}) do
        for name, node in pairs(own) do
            fields[name] = node
        end
    end
    local node = {type = "record", fields = fields}
    local ok, messages = schema.check(node, case, "")
    if not ok then
        error(file .. ": " .. table.concat(messages, "\n" .. file .. ": "), 0)
    end
    return schema.with_defaults(node, case)
end

local function sorted(list)
    local copy = table.move(list, 1, #list, 1, {})
    table.sort(copy)
    return copy
end

local function add(found, lines)
    return table.move(lines, 1, #lines, #found + 1, found)
end

-- What is told comes in an order; of what is held only that it is.
local function differences_told(result, expect)
    local found = {}
    if result.posted then
        found[1] = "expected to be held, was posted"
    end
    local told, wanted = result.told or {}, expect.told or {}
    for i = 1, math.max(#told, #wanted) do
        add(found, test.differences(told[i], wanted[i], string.format("told[%d]", i), true))
    end
    local held = sorted(result.held or {})
    return add(found, test.differences(held, sorted(expect.held or {}), "held"))
end

local function differences(result, expect)
    if not expect.posted then
        return differences_told(result, expect)
    elseif not result.posted then
        local found = {"expected to be posted, was held:"}
        for _, cause in ipairs(result.held or {}) do
            found[#found + 1] = "  " .. cause
        end
        return found
    end
    return test.differences(result.posted, expect.posted, "posted", true)
end

--- Runs one case; raises with what differs.
---@param host table neap.test
---@param flows table[] {name, flow, settings, client}
---@param case table
---@param folder string of the cases
---@param file string|nil of the case, for what is said of mistakes in it
function golden.check(host, flows, case, folder, file)
    check_case(case, file or "case")
    local entry = find_flow(flows, case)
    local input = {}
    for key, value in pairs(check_fields(entry.flow, case, file or "case") or case) do
        input[key] = value
    end
    for _, name in ipairs(DOCUMENTS) do
        input[name] = read_document(host, folder, input[name])
    end
    for _, name in ipairs(TEXTS) do
        input[name] = read_texts(host, folder, input[name], name)
    end
    local result = entry.flow.rehearse(entry.settings, input, entry.client)
    local expect = case.expect_on and case.expect_on[result.line] or case.expect
    local found = differences(result, expect)
    if #found > 0 then
        error(table.concat(found, "\n"), 0)
    end
end

--- Why a case is not run: its flow is one that the manifest may lack (`may_lack_flow`), and does.
---@param flows table[]
---@param case table
---@return string|nil
function golden.skipped(flows, case)
    for _, entry in ipairs(flows) do
        if entry.name == case.flow then
            return nil
        end
    end
    return case.may_lack_flow and string.format("the manifest has no flow %s", case.flow) or nil
end

local function ending_of(expect)
    if expect.posted then
        return "posted to the penny"
    end
    return expect.told and "told as it must be" or "held"
end

local function run_file(host, flows, folder, file)
    local sentence = file:gsub("%.lua$", "")
    local path = folder .. "/" .. file
    local ok, message = host.try(function()
        local case = host.run_file(path)
        check_case(case, path)
        sentence = string.format("%s: %s is %s", sentence, case.name or "case",
            ending_of(case.expect))
        local skipped = golden.skipped(flows, case)
        if skipped then
            sentence = sentence .. " # SKIP " .. skipped
            return
        end
        golden.check(host, flows, case, folder, path)
    end)
    host.result(ok, sentence, message or "")
end

--- Runs every file of cases/ below the client's folder.
---@param flows table[] {name, flow, settings, client} of the manifest
function golden.run(flows)
    local host = require("neap.test")
    for _, file in ipairs(host.list("cases") or {}) do
        if file:find("%.lua$") then
            run_file(host, flows, "cases", file)
        end
    end
end

return golden
