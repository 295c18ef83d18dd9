--- What became of an order then and what would now: nil when it is the same to the byte, else the
--- fields that differ and the money between them. Pure.
local json = require("neap.json")

local NONE = {net_minor = 0, tax_minor = 0, gross_minor = 0}

local function shown(value)
    if value == nil then
        return nil
    elseif type(value) == "table" then
        return json.encode(value)
    end
    return tostring(value)
end

local function keys_of(a, b)
    local keys, seen = {}, {}
    for _, one in ipairs({a, b}) do
        for key in pairs(one) do
            if not seen[key] then
                seen[key] = true
                keys[#keys + 1] = key
            end
        end
    end
    table.sort(keys, function(x, y)
        if math.type(x) == math.type(y) and type(x) == type(y) then
            return x < y
        end
        return type(x) == "number" and type(y) ~= "number"
    end)
    return keys
end

local function add_fields(fields, path, before, now)
    if type(before) == "table" and type(now) == "table" then
        for _, key in ipairs(keys_of(before, now)) do
            local place = type(key) == "number" and string.format("%s[%d]", path, key)
                or (path == "" and key or path .. "." .. key)
            add_fields(fields, place, before[key], now[key])
        end
    elseif before ~= now then
        fields[#fields + 1] = {path = path, before = shown(before), now = shown(now)}
    end
end

local function result_of(recorded, now)
    if now.failed then
        return "failed"
    elseif recorded.posting and now.posting then
        return "differs"
    elseif recorded.posting then
        return "held"
    end
    return now.posting and "posted" or "held_otherwise"
end

local function fields_of(recorded, now)
    local fields = json.array({})
    if now.failed then
        fields[1] = {path = "", now = now.failed}
    elseif recorded.posting and now.posting then
        add_fields(fields, "", recorded.posting, now.posting)
    else
        local function words(outcome)
            return outcome.posting and "posted" or table.concat(outcome.held or {}, "; ")
        end
        fields[1] = {path = "outcome", before = words(recorded), now = words(now)}
    end
    return fields
end

local function sorted(list)
    local copy = table.move(list or {}, 1, #(list or {}), 1, {})
    table.sort(copy)
    return copy
end

--- What the file was written as: as the recorded one was.
local function through_json(value)
    return value and json.decode(json.encode(value))
end

---@param recorded {posting: table|nil, held: string[]|nil}
---@param now {posting: table|nil, held: string[]|nil, failed: string|nil}
---@return table|nil {result, fields, currency, net, tax, gross}
return function(recorded, now)
    local then_ = {posting = recorded.posting, held = sorted(recorded.held)}
    local today = {posting = through_json(now.posting), held = sorted(now.held),
        failed = now.failed}
    if not today.failed and json.encode(then_) == json.encode(today) then
        return nil
    end
    local before = then_.posting and then_.posting.predicted or NONE
    local after = today.posting and today.posting.predicted or NONE
    local named = today.posting or then_.posting
    return {
        result = result_of(then_, today), fields = fields_of(then_, today),
        currency = named and named.currency or "",
        net = after.net_minor - before.net_minor, tax = after.tax_minor - before.tax_minor,
        gross = after.gross_minor - before.gross_minor,
    }
end
