--- Sends to the merchant and reduces what comes back to something a step can remember.

local http = require("neap.http")
local json = require("neap.json")

local sender = {}

--- One POST to the merchant. Waits.
---@async
---@param path string
---@param body table
---@param timeout_ms integer
---@return {status: integer|nil, body: string|nil, problem: string|nil, elapsed_ms: integer|nil}
function sender.post(path, body, timeout_ms)
    local answer, err = http.request({
        connection = "merchant",
        method = "POST",
        path = path,
        headers = {["Content-Type"] = "application/json", ["Accept"] = "application/json"},
        body = json.encode(body),
        timeout_ms = timeout_ms,
    })
    if not answer then
        return {problem = tostring(err)}
    end
    return {status = answer.status, body = answer.body, elapsed_ms = answer.elapsed_ms}
end

return sender
