--- Reads XML blocks by a schema and collects every problem it finds, in words.

local calc = require("erp.calc")
local world = require("erp.world")

local reader = {}

---@class erp.Reader
---@field problems string[]
---@field strict boolean

---@param w table world
---@return erp.Reader
function reader.new(w)
    return {problems = {}, strict = w.settings.strict, world = w}
end

---@param r erp.Reader
---@param format string
function reader.problem(r, format, ...)
    r.problems[#r.problems + 1] = format:format(...)
end

local function length(text)
    return utf8.len(text) or #text
end

local function trim(text)
    return (text:gsub("^%s+", ""):gsub("%s+$", ""))
end

local CHECKS = {}

function CHECKS.text(_, rule, value)
    if rule.max and length(value) > rule.max then
        return ("is longer than %d characters"):format(rule.max)
    end
end

function CHECKS.lines(_, rule, value)
    for line in (value .. "\n"):gmatch("(.-)\r?\n") do
        if length(line) > rule.max then
            return ("has a line longer than %d characters"):format(rule.max)
        end
    end
end

function CHECKS.bool(_, _, value)
    if value ~= "-1" and value ~= "0" then
        return "must be -1 or 0, not " .. value
    end
end

function CHECKS.int(_, _, value)
    if not value:match("^%-?%d+$") then
        return "must be a whole number, not " .. value
    end
end

function CHECKS.decimal(_, _, value)
    if not calc.decimal(value) then
        return "must be plain digits and a point, not " .. value
    end
end

function CHECKS.date(r, _, value)
    local _, problem = world.parse_date(r.world, value)
    return problem
end

local function check_attributes(r, node, rule, label)
    if not r.strict then
        return
    end
    for name in pairs(node.attrs or {}) do
        local allowed = rule.attrs and rule.attrs[name]
        if not allowed and not name:find("^xmlns") and not name:find("^xsi:") then
            reader.problem(r, "%s has an unknown attribute %s", label, name)
        end
    end
end

local function read_field(r, node, rule, label)
    if rule.kind == "tree" then
        return node
    end
    check_attributes(r, node, rule, label)
    if #node > 0 then
        reader.problem(r, "%s holds elements, not text", label)
        return nil
    end
    local value = trim(node.text or "")
    if value == "" then
        return nil
    end
    if rule.never and r.strict then
        reader.problem(r, "%s is for vendor use only", label)
    end
    local problem = CHECKS[rule.kind](r, rule, value)
    if problem then
        reader.problem(r, "%s %s", label, problem)
        return nil
    end
    return value
end

--- Reads the children of a block. Empty elements count as absent.
---@param r erp.Reader
---@param block table node
---@param rules table<string, table>
---@param options {label: string, prefix: string|nil}
---@return table<string, any> values by element name without prefix; trees as nodes
function reader.block(r, block, rules, options)
    local prefix = options.prefix or ""
    local values, seen = {}, {}
    for _, node in ipairs(block) do
        local name = node.name
        local known = name:sub(1, #prefix) == prefix and rules[name:sub(#prefix + 1)]
        local label = options.label .. "/" .. name
        if not known then
            if r.strict then
                reader.problem(r, "%s is not a known element", label)
            end
        elseif seen[name] then
            reader.problem(r, "%s appears twice", label)
        else
            seen[name] = true
            values[name:sub(#prefix + 1)] = read_field(r, node, known, label)
        end
    end
    for name, rule in pairs(rules) do
        if rule.required and values[name] == nil then
            reader.problem(r, "%s/%s%s is missing", options.label, prefix, name)
        end
    end
    return values
end

--- The only child of this name; problems: none when required, more than one.
---@param r erp.Reader
---@param node table
---@param name string
---@param is_required boolean
---@return table|nil
function reader.only(r, node, name, is_required)
    local found
    for _, child in ipairs(node) do
        if child.name == name then
            if found then
                reader.problem(r, "%s appears twice", name)
            end
            found = found or child
        end
    end
    if not found and is_required then
        reader.problem(r, "%s is missing", name)
    end
    return found
end

--- Children of one name; others are problems when strict.
---@param r erp.Reader
---@param node table
---@param name string
---@return table[]
function reader.list(r, node, name)
    local list = {}
    for _, child in ipairs(node) do
        if child.name == name then
            list[#list + 1] = child
        elseif r.strict then
            reader.problem(r, "%s/%s is not a known element", node.name, child.name)
        end
    end
    return list
end

return reader
