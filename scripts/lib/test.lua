--- Library tests: a file `<name>_test.lua` returns function(t), `neap test` runs it.
---
---     -- neap-test-root: examples/demo
---     local address = require("flows.orders.address")
---
---     return function(t)
---         t.case("the house number stands where the country has it", function()
---             t.equal(address.street_line("Orchard Row", "14", "GB"), "14 Orchard Row")
---         end)
---     end
---
--- Each file has a state of its own, sandboxed as in the host, at 2026-05-04T10:03:00Z and with the
--- same random numbers each time. `t` has case, note (a line shown with the case), equal, matches,
--- raises, differences, read_file, list, advance (the clock), replace (a module) and settings
--- (`--set NAME=VALUE`). `require` looks in the file's own folder (for a client's tests:
--- in the client's folder), in those of `neap-test-root` lines among the first comments, then in
--- scripts/. Paths of neap-test-root and t.read_file begin at the folder that holds scripts/ (for
--- a client's tests: at the client's folder).
local json = require("neap.json")

local test = {}

local MAX_SHOWN = 300
local MAX_DIFFERENCES = 40

---@param value any
---@return string
function test.shown(value)
    if value == nil then
        return "nothing"
    end
    local ok, text = pcall(json.encode, value)
    text = ok and text or tostring(value)
    return #text > MAX_SHOWN and text:sub(1, MAX_SHOWN) .. "..." or text
end

local function step(path, key)
    if type(key) == "number" then
        return string.format("%s[%d]", path, key)
    end
    return path == "" and tostring(key) or path .. "." .. tostring(key)
end

local compare

local function compare_tables(actual, expected, path, is_partial, found)
    for key, value in pairs(expected) do
        compare(actual[key], value, step(path, key), is_partial, found)
    end
    for key, value in pairs(actual) do
        local is_extra = expected[key] == nil
        -- Of a list the case names every entry; of a record only what it is about.
        if is_extra and (not is_partial or #expected > 0 and type(key) == "number") then
            found[#found + 1] = string.format("%s: expected nothing, got %s", step(path, key),
                test.shown(value))
        end
    end
end

function compare(actual, expected, path, is_partial, found)
    if type(actual) == "table" and type(expected) == "table" then
        compare_tables(actual, expected, path, is_partial, found)
    elseif actual ~= expected then
        local where = path == "" and "" or path .. ": "
        found[#found + 1] = string.format("%sexpected %s, got %s", where, test.shown(expected),
            test.shown(actual))
    end
end

--- What differs, field by field: "lines[2].price_gross: expected \"9.99\", got \"10.00\"".
---@param actual any
---@param expected any
---@param path string|nil what to call the whole
---@param is_partial boolean|nil records may have more fields than expected
---@return string[]
function test.differences(actual, expected, path, is_partial)
    local found = {}
    compare(actual, expected, path or "", is_partial, found)
    if #found > MAX_DIFFERENCES then
        found[MAX_DIFFERENCES + 1] = string.format("... and %d more", #found - MAX_DIFFERENCES)
        found = table.move(found, 1, MAX_DIFFERENCES + 1, 1, {})
    end
    return found
end

--- Two values are equal, tables by content. Raises with what differs.
function test.equal(actual, expected, note)
    local found = test.differences(actual, expected, note)
    if #found > 0 then
        error(table.concat(found, "\n"), 2)
    end
end

--- A text matches a Lua pattern.
function test.matches(actual, pattern, note)
    if type(actual) ~= "string" or not actual:find(pattern) then
        error(string.format("%sexpected text matching %s, got %s", note and note .. ": " or "",
            pattern, test.shown(actual)), 2)
    end
end

--- What must raise; gives the message back.
---@return string
function test.raises(fn, ...)
    local ok, message = pcall(fn, ...)
    if ok then
        error("expected it to raise", 2)
    end
    return tostring(message)
end

--- Runs one test file's function; for the host.
---@param fn fun(t: table)
function test.run(fn)
    local host = require("neap.test")
    local notes = {}
    local function note(format, ...)
        notes[#notes + 1] = string.format(format, ...)
    end
    local function case(sentence, body)
        notes = {}
        local ok, message = host.try(body)
        notes[#notes + 1] = message
        host.result(ok, sentence, table.concat(notes, "\n"))
    end
    fn({
        case = case, note = note, equal = test.equal, matches = test.matches, raises = test.raises,
        differences = test.differences, read_file = host.read_file, list = host.list,
        advance = host.advance, replace = host.replace, settings = host.settings(),
    })
end

return test
