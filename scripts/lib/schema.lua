--- Checks data (settings, mappings) against a schema, in words a person can act on.
---
---     local ok, messages = schema.check({type = "record", fields = {
---         market = {type = "string", required = true, pattern = "^%u%u$"},
---         calc = {type = "string", enum = {"gross", "net"}},
---     }}, value, "companies.1412")
---     -- companies.1412.calc: expected one of "gross", "net", got "grss" (did you mean "gross"?)
---
--- Types: string, integer, number, boolean, list (items), map (keys, values), record (fields), any.
--- Every node may say required, default, help and check (a function giving nil or what is wrong).
--- A broken schema is a bug of its author and raises.
local schema = {}

local COMMON = {type = "string", required = "boolean", default = "any", help = "string",
    check = "function"}
local KEYWORDS = {
    string = {pattern = "string", hint = "string", enum = "table", min_length = "integer",
        max_length = "integer"},
    integer = {min = "integer", max = "integer", enum = "table"},
    number = {min = "number", max = "number"},
    boolean = {},
    list = {items = "table", min = "integer", max = "integer"},
    map = {keys = "table", values = "table", min = "integer"},
    record = {fields = "table"},
    any = {},
}

local check_value

-- ---- words -----------------------------------------------------------------------------------

local function shown(value)
    if type(value) == "string" then
        return string.format("%q", #value > 60 and value:sub(1, 57) .. "..." or value)
    elseif type(value) == "table" then
        return #value > 0 and "a list" or (next(value) == nil and "an empty table" or "a table")
    elseif value == nil then
        return "nothing"
    end
    return tostring(value)
end

-- Sorted, as the host's pairs is.
local function keys_of(t)
    local keys = {}
    for key in pairs(t) do
        keys[#keys + 1] = key
    end
    return keys
end

local function child_path(path, key)
    if type(key) == "number" then
        return string.format("%s[%d]", path, key)
    elseif path == "" then
        return tostring(key)
    elseif type(key) == "string" and key:find("^[%w_%-]+$") then
        return path .. "." .. key
    end
    return string.format("%s[%s]", path, shown(key))
end

-- Edits to get from one word to the other (insert, delete, replace, swap neighbours).
local function distance(a, b)
    local before, previous = nil, {}
    for j = 0, #b do
        previous[j] = j
    end
    for i = 1, #a do
        local row = {[0] = i}
        for j = 1, #b do
            local cost = a:byte(i) == b:byte(j) and 0 or 1
            row[j] = math.min(previous[j] + 1, row[j - 1] + 1, previous[j - 1] + cost)
            if before and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
                row[j] = math.min(row[j], before[j - 2] + 1)
            end
        end
        before, previous = previous, row
    end
    return previous[#b]
end

--- The nearest of the known words, when it is near enough to be a slip of the fingers.
---@param word string
---@param known string[]
---@return string|nil
function schema.nearest(word, known)
    local best, best_distance
    for _, candidate in ipairs(known) do
        if type(candidate) == "string" and #candidate <= 64 and #word <= 64 then
            local edits = distance(word:lower(), candidate:lower())
            if not best_distance or edits < best_distance then
                best, best_distance = candidate, edits
            end
        end
    end
    if best and best_distance <= math.max(1, math.min(#word, #best) // 3) then
        return best
    end
    return nil
end

local function suggestion(word, known)
    local near = type(word) == "string" and schema.nearest(word, known)
    return near and string.format(" (did you mean %q?)", near) or ""
end

local function quoted_list(values)
    local words = {}
    for i, value in ipairs(values) do
        words[i] = shown(value)
    end
    return table.concat(words, ", ")
end

-- ---- the schema itself -----------------------------------------------------------------------

local function keyword_fits(kind, value)
    if kind == "any" then
        return true
    elseif kind == "integer" then
        return math.type(value) == "integer"
    end
    return type(value) == kind
end

local verify_node

local function verify_children(node, path, messages)
    if node.type == "list" then
        verify_node(node.items or {type = "any"}, path .. ".items", messages)
    elseif node.type == "map" then
        verify_node(node.keys or {type = "string"}, path .. ".keys", messages)
        verify_node(node.values or {type = "any"}, path .. ".values", messages)
    elseif node.type == "record" then
        if type(node.fields) ~= "table" then
            messages[#messages + 1] = path .. ": a record needs fields"
            return
        end
        for _, name in ipairs(keys_of(node.fields)) do
            verify_node(node.fields[name], path .. ".fields." .. tostring(name), messages)
        end
    end
end

local function known_keywords(own)
    local known = keys_of(COMMON)
    table.move(keys_of(own), 1, #keys_of(own), #known + 1, known)
    return known
end

local function verify_keywords(node, path, messages)
    local own = KEYWORDS[node.type]
    for name, value in pairs(node) do
        local kind = own[name] or COMMON[name]
        if not kind then
            messages[#messages + 1] = string.format("%s: unknown keyword %s for type %q%s", path,
                shown(name), node.type, suggestion(name, known_keywords(own)))
        elseif not keyword_fits(kind, value) then
            messages[#messages + 1] = string.format("%s.%s: expected %s, got %s", path, name,
                kind, shown(value))
        end
    end
end

function verify_node(node, path, messages)
    if type(node) ~= "table" then
        messages[#messages + 1] = string.format("%s: expected a schema node, got %s", path,
            shown(node))
        return
    end
    if not KEYWORDS[node.type] then
        messages[#messages + 1] = string.format("%s: unknown type %s%s", path, shown(node.type),
            suggestion(node.type, keys_of(KEYWORDS)))
        return
    end
    verify_keywords(node, path, messages)
    if type(node.pattern) == "string" and not pcall(string.find, "", node.pattern) then
        messages[#messages + 1] = string.format("%s.pattern: %q is not a pattern", path,
            node.pattern)
    end
    if type(node.enum) == "table" and #node.enum == 0 then
        messages[#messages + 1] = path .. ".enum: needs at least one value"
    end
    verify_children(node, path, messages)
end

-- Schemas found sound; the same one is asked about several times in one load.
local sound_schemas = setmetatable({}, {__mode = "k"})

--- Checks the schema itself, once.
---@param node table
---@return boolean|nil
---@return string[]|nil messages
function schema.verify(node)
    if sound_schemas[node] then
        return true
    end
    local messages = {}
    verify_node(node, "schema", messages)
    if #messages > 0 then
        return nil, messages
    end
    sound_schemas[node] = true
    return true
end

-- ---- values ----------------------------------------------------------------------------------

local function complain(messages, path, text, ...)
    local where = path == "" and "value" or path
    messages[#messages + 1] = where .. ": " .. string.format(text, ...)
end

local function check_enum(node, value, path, messages)
    for _, allowed in ipairs(node.enum) do
        if allowed == value then
            return
        end
    end
    complain(messages, path, "expected %s%s, got %s%s", #node.enum > 1 and "one of " or "",
        quoted_list(node.enum), shown(value), suggestion(value, node.enum))
end

local function check_range(node, value, path, messages)
    if node.min and value < node.min then
        complain(messages, path, "expected at least %s, got %s", node.min, shown(value))
    elseif node.max and value > node.max then
        complain(messages, path, "expected at most %s, got %s", node.max, shown(value))
    end
end

local CHECKS = {}

function CHECKS.any() end

function CHECKS.string(node, value, path, messages)
    if type(value) ~= "string" then
        return complain(messages, path, "expected text, got %s", shown(value))
    end
    if node.enum then
        return check_enum(node, value, path, messages)
    end
    local length = utf8.len(value) or #value
    if node.min_length and length < node.min_length then
        complain(messages, path, "expected at least %d characters, got %s", node.min_length,
            shown(value))
    elseif node.max_length and length > node.max_length then
        complain(messages, path, "expected at most %d characters, got %d: %s", node.max_length,
            length, shown(value))
    elseif node.pattern and not value:find(node.pattern) then
        complain(messages, path, "expected %s, got %s",
            node.hint or "text matching " .. node.pattern, shown(value))
    end
end

function CHECKS.integer(node, value, path, messages)
    if math.type(value) ~= "integer" then
        return complain(messages, path, "expected a whole number, got %s", shown(value))
    end
    if node.enum then
        return check_enum(node, value, path, messages)
    end
    check_range(node, value, path, messages)
end

function CHECKS.number(node, value, path, messages)
    if type(value) ~= "number" or value ~= value then
        return complain(messages, path, "expected a number, got %s", shown(value))
    end
    check_range(node, value, path, messages)
end

function CHECKS.boolean(_, value, path, messages)
    if type(value) ~= "boolean" then
        complain(messages, path, "expected true or false, got %s", shown(value))
    end
end

function CHECKS.list(node, value, path, messages)
    if type(value) ~= "table" then
        return complain(messages, path, "expected a list, got %s", shown(value))
    end
    local count = #value
    for _, key in ipairs(keys_of(value)) do
        if math.type(key) ~= "integer" or key < 1 or key > count then
            return complain(messages, path, "expected a list, found the key %s", shown(key))
        end
    end
    if node.min and count < node.min then
        complain(messages, path, "expected at least %d entries, got %d", node.min, count)
    elseif node.max and count > node.max then
        complain(messages, path, "expected at most %d entries, got %d", node.max, count)
    end
    for i = 1, count do
        check_value(node.items or {type = "any"}, value[i], child_path(path, i), messages)
    end
end

function CHECKS.map(node, value, path, messages)
    if type(value) ~= "table" then
        return complain(messages, path, "expected a map, got %s", shown(value))
    end
    local count = 0
    for _, key in ipairs(keys_of(value)) do
        count = count + 1
        local where = child_path(path, key)
        if type(key) ~= "string" and not (node.keys and node.keys.type == "integer") then
            complain(messages, where, "expected a text key, got %s (write [\"%s\"])", shown(key),
                tostring(key))
        else
            check_value(node.keys or {type = "string"}, key, where .. " (key)", messages)
        end
        check_value(node.values or {type = "any"}, value[key], where, messages)
    end
    if node.min and count < node.min then
        complain(messages, path, "expected at least %d entries, got %d", node.min, count)
    end
end

function CHECKS.record(node, value, path, messages)
    if type(value) ~= "table" then
        return complain(messages, path, "expected a table, got %s", shown(value))
    end
    local names = keys_of(node.fields)
    for _, key in ipairs(keys_of(value)) do
        if node.fields[key] == nil then
            local hint = suggestion(key, names)
            if hint == "" then
                hint = #names > 0 and #names <= 12 and " (known: " .. table.concat(names, ", ")
                    .. ")" or ""
            end
            complain(messages, child_path(path, key), "unknown key%s", hint)
        end
    end
    for _, name in ipairs(names) do
        local field = node.fields[name]
        if value[name] ~= nil or field.required then
            check_value(field, value[name], child_path(path, name), messages)
        end
    end
end

function check_value(node, value, path, messages)
    if value == nil then
        if node.required then
            complain(messages, path, "is missing; expected %s%s",
                node.hint or (node.enum and "one of " .. quoted_list(node.enum))
                    or (node.type == "string" and "text" or "a value of type " .. node.type),
                node.help and " (" .. node.help .. ")" or "")
        end
        return
    end
    local before = #messages
    CHECKS[node.type](node, value, path, messages)
    if node.check and #messages == before then
        local wrong = node.check(value)
        if wrong then
            complain(messages, path, "%s", wrong)
        end
    end
end

--- Checks a value. Never raises for what the value holds; raises for a broken schema.
---@param node table the schema
---@param value any
---@param path string|nil how messages name the value: "settings.mappings"
---@return boolean|nil ok true, or nil and
---@return string[]|nil messages all that is wrong, each naming the path and what was expected
function schema.check(node, value, path)
    local sound, wrong = schema.verify(node)
    if not sound then
        error("broken schema: " .. table.concat(wrong, "; "), 2)
    end
    local messages = {}
    check_value(node, value, path or "", messages)
    if #messages > 0 then
        return nil, messages
    end
    return true
end

--- A copy of the value in which absent fields have the schema's defaults.
---@param node table
---@param value any
---@return any
function schema.with_defaults(node, value)
    if value == nil then
        value = node.default
    end
    if type(value) ~= "table" then
        return value
    end
    local copy = {}
    for key, entry in pairs(value) do
        if node.type == "list" and node.items then
            copy[key] = schema.with_defaults(node.items, entry)
        elseif node.type == "map" and node.values then
            copy[key] = schema.with_defaults(node.values, entry)
        elseif node.type ~= "record" then
            copy[key] = entry
        else
            copy[key] = node.fields[key] and schema.with_defaults(node.fields[key], entry) or entry
        end
    end
    if node.type == "record" then
        for name, field in pairs(node.fields) do
            if copy[name] == nil then
                copy[name] = schema.with_defaults(field, nil)
            end
        end
    end
    return copy
end

return schema
