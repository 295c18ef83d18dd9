--- Stock codes as a request of Khaos takes them: so many at a time, with commas between.
---
--- A code that Khaos cannot answer for, or not readably, spoils the answer for all codes of its
--- request. Such a request is halved until the code is alone.
local client = require("connectors.khaos_soap.client")

local chunks = {}

local function part(list, first, last)
    return table.move(list, first, last, 1, {})
end

local function ask(chunk, fn, refused)
    local ok, err = fn(chunk)
    if ok or not refused or not client.is_answer(err) then
        return ok, err
    elseif #chunk == 1 then
        return refused(chunk[1], err)
    end
    local half = #chunk // 2
    ok, err = ask(part(chunk, 1, half), fn, refused)
    if not ok then
        return nil, err
    end
    return ask(part(chunk, half + 1, #chunk), fn, refused)
end

--- Calls `fn` with chunks of at most `size` codes, and stops at its first nil, err. A code with a
--- comma cannot be asked for and is left out.
---@async
---@param codes string[]
---@param size integer
---@param fn fun(chunk: string[]): any, neap.Error|nil
---@param refused nil|fun(code: string, err: neap.Error): any, neap.Error|nil told of each code that
---   Khaos does not answer for; without it the error stands for all of its chunk
---@return true|nil
---@return neap.Error|nil
function chunks.each(codes, size, fn, refused)
    local chunk = {}
    for i, code in ipairs(codes) do
        if not code:find(",", 1, true) then
            chunk[#chunk + 1] = code
        end
        if #chunk == size or (i == #codes and #chunk > 0) then
            local ok, err = ask(chunk, fn, refused)
            if not ok then
                return nil, err
            end
            chunk = {}
        end
    end
    return true
end

return chunks
