--- A neap.store in memory. Values go through JSON, as in the real one.
local json = require("neap.json")

local function sorted_keys(values)
    local keys = {}
    for key in pairs(values) do
        keys[#keys + 1] = key
    end
    table.sort(keys)
    return keys
end

local function wanted(key, options)
    return (not options.prefix or key:sub(1, #options.prefix) == options.prefix)
        and (not options.from or key >= options.from)
        and (not options.after or key > options.after)
end

local function range_of(values, options)
    local keys, list = sorted_keys(values or {}), {}
    local first, last, step = 1, #keys, 1
    if options.reverse then
        first, last, step = #keys, 1, -1
    end
    for i = first, last, step do
        if wanted(keys[i], options) and #list < (options.limit or 100) then
            list[#list + 1] = {key = keys[i], value = json.decode(values[keys[i]])}
        end
    end
    return list
end

---@return table store
return function()
    local tables, store, undo = {}, {}, nil
    -- Within store.atomic: how it was before.
    local function remember(name, key)
        if undo then
            undo[#undo + 1] = {name = name, key = key, text = tables[name] and tables[name][key]}
        end
    end
    function store.get(name, key)
        local text = tables[name] and tables[name][key]
        if text == nil then
            return nil
        end
        return json.decode(text)
    end
    function store.put(name, key, value)
        remember(name, key)
        tables[name] = tables[name] or {}
        tables[name][key] = assert(json.encode(value))
    end
    function store.put_many(name, values)
        local count = 0
        for key, value in pairs(values) do
            store.put(name, key, value)
            count = count + 1
        end
        return count
    end
    function store.delete(name, key)
        local existed = tables[name] ~= nil and tables[name][key] ~= nil
        if existed then
            remember(name, key)
            tables[name][key] = nil
        end
        return existed
    end
    function store.range(name, options)
        return range_of(tables[name], options or {})
    end
    function store.increment(name, key, delta)
        local value = (store.get(name, key) or 0) + (delta or 1)
        store.put(name, key, value)
        return value
    end
    -- What raises leaves nothing; an inner unit is its outer one's part.
    function store.atomic(fn)
        local outer, own = undo, {}
        undo = own
        local result = table.pack(pcall(fn))
        undo = outer
        if not result[1] then
            for i = #own, 1, -1 do
                tables[own[i].name][own[i].key] = own[i].text
            end
            error(result[2], 0)
        end
        if outer then
            table.move(own, 1, #own, #outer + 1, outer)
        end
        return table.unpack(result, 2, result.n)
    end
    -- All in one step: what a step does is the real one's test.
    function store.sorter()
        local rows = {}
        return {
            add = function(_, key, value)
                rows[key] = assert(json.encode(value))
            end,
            replace = function(_, name)
                local step = {changed = {}, gone = {}, is_over = true}
                local before = tables[name] or {}
                for _, key in ipairs(sorted_keys(rows)) do
                    step.changed[#step.changed + 1] = before[key] ~= rows[key] and key or nil
                end
                for _, key in ipairs(sorted_keys(before)) do
                    step.gone[#step.gone + 1] = not rows[key] and key or nil
                end
                tables[name] = rows
                return step
            end,
        }
    end
    return store
end
