--- An answer of a far side that is not there.
---@param status integer
---@param body string|nil
---@return table neap.http.Answer
return function(status, body)
    return {status = status, headers = {}, body = body or "", elapsed_ms = 1}
end
