-- Runs Lua tests and prints TAP. Each file returns function(t); arguments are the files, or
-- name=value settings that tests may read as t.settings. A test calls t.case(sentence, fn), and in
-- it assert, t.equal(actual, expected, note), t.matches(text, pattern, note), t.raises(fn, ...)
-- (gives the message) and t.read_file(path).
--
--     NEAP_LUA_PATH="scripts;tests/lua;examples/demo" lua_runner tests/lua/run.lua FILE...
-- luacheck: read globals read_file
local json = require("neap.json")

local count, failures = 0, 0

local function shown(value)
    local ok, text = pcall(json.encode, value)
    return ok and text or tostring(value)
end

local function same(a, b)
    if type(a) ~= "table" or type(b) ~= "table" then
        return a == b
    end
    for key, value in pairs(a) do
        if not same(value, b[key]) then
            return false
        end
    end
    for key in pairs(b) do
        if a[key] == nil then
            return false
        end
    end
    return true
end

local function equal(actual, expected, note)
    if not same(actual, expected) then
        error(string.format("%sexpected %s\n  got      %s", note and note .. ": " or "",
            shown(expected), shown(actual)), 2)
    end
end

local function matches(actual, pattern, note)
    if type(actual) ~= "string" or not actual:find(pattern) then
        error(string.format("%sexpected text matching %s\n  got %s", note and note .. ": " or "",
            pattern, shown(actual)), 2)
    end
end

-- What must raise; gives the message back.
local function raises(fn, ...)
    local ok, message = pcall(fn, ...)
    if ok then
        error("expected it to raise", 2)
    end
    return tostring(message)
end

local function report(ok, sentence, message)
    count = count + 1
    print(string.format("%s %d - %s", ok and "ok" or "not ok", count, sentence))
    if not ok then
        failures = failures + 1
        print("  # " .. tostring(message):gsub("\n", "\n  # "))
    end
end

local function case(sentence, fn)
    local ok, message = pcall(fn)
    report(ok, sentence, message)
end

local function run_file(path, settings)
    local t = {case = case, equal = equal, matches = matches, raises = raises,
        read_file = read_file,
        settings = settings}
    local ok, message = pcall(function()
        dofile(path)(t)
    end)
    if not ok then
        report(false, path .. " loads", message)
    end
end

local files, settings = {}, {}
for _, argument in ipairs(arg) do
    local name, value = argument:match("^([%w_]+)=(.*)$")
    if name then
        settings[name] = value
    else
        files[#files + 1] = argument
    end
end
for _, path in ipairs(files) do
    print("# " .. path)
    run_file(path, settings)
end
print(string.format("1..%d", count))
if failures > 0 then
    error(string.format("%d of %d tests failed", failures, count), 0)
end
