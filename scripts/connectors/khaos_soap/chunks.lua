--- Stock codes as a request of Khaos takes them: so many at a time, with commas between.
local chunks = {}

--- Calls `fn` with chunks of at most `size` codes, and stops at its first nil, err. A code with a
--- comma cannot be asked for and is left out.
---@async
---@param codes string[]
---@param size integer
---@param fn fun(chunk: string[]): any, neap.Error|nil
---@return true|nil
---@return neap.Error|nil
function chunks.each(codes, size, fn)
    local chunk = {}
    for i, code in ipairs(codes) do
        if not code:find(",", 1, true) then
            chunk[#chunk + 1] = code
        end
        if #chunk == size or (i == #codes and #chunk > 0) then
            local ok, err = fn(chunk)
            if not ok then
                return nil, err
            end
            chunk = {}
        end
    end
    return true
end

return chunks
