--- Processing a return that somebody entered in Khaos: a paid development (contract 5.3),
--- capability "process_return". It makes the credit note and contacts no payment provider.
---
--- Its signature is documented, its success reply is not: any reply that is no fault counts,
--- unless `done_pattern` says how this installation answers. No call reads a return back, but Khaos
--- refuses a second processing in words of its own. So a repeat is harmless, and its refusal is the
--- proof.
local client = require("connectors.khaos_soap.client")
local errors = require("neap.errors")

local process_return = {}

local function words(default, help)
    return {type = "list", items = {type = "string"}, default = default, help = help}
end

--- Settings of the call; the words are compared in lower case.
---@return table schema node
function process_return.schema()
    return {type = "record", default = {}, fields = {
        operation = {type = "string", default = "ProcessReturn"},
        done_pattern = {type = "string", help = "Lua pattern of the reply that means done"},
        already_words = words({"already been processed", "already processed"},
            "in the fault of a return that is processed"),
        refused_words = words({"not found", "does not exist", "deleted", "missing", "partly",
            "partially"}, "in the fault of a return that cannot be processed"),
    }}
end

---@param khaos khaos.Client
---@param settings table
---@param return_code string
---@param auth_code string reference of the refund
---@return table request for an effect of class "dedupes"
function process_return.request(khaos, settings, return_code, auth_code)
    return khaos:request(settings.operation, {{"ReturnCode", "string", return_code},
        {"ManualAuthCode", "string", auth_code}})
end

local function has_any(text, list)
    for _, entry in ipairs(list) do
        if text:find(entry, 1, true) then
            return true
        end
    end
    return false
end

-- A refusal in words we know is none of what is open; others may be trouble.
local function read_fault(err, settings)
    local text = err.details and err.details.fault and err.message:lower()
    if text and has_any(text, settings.already_words) then
        return {processed = true, before = true}
    elseif text and has_any(text, settings.refused_words) then
        return nil, errors.new({kind = "invalid", message = err.message, details = err.details})
    end
    return nil, err
end

--- What the reply says.
---@param answer neap.http.Answer
---@param settings table
---@return {processed: boolean, before: boolean|nil}|nil
---@return neap.Error|nil
function process_return.read(answer, settings)
    local result, err = client.read(answer, settings.operation, {is_write = true})
    if result == nil then
        return read_fault(err, settings)
    end
    local pattern = settings.done_pattern
    if pattern and not tostring(result):find(pattern) then
        return nil, errors.new({kind = "remote", maybe_sent = true, message =
            "Khaos's reply does not say that the return was processed: " .. tostring(result)})
    end
    return {processed = true}
end

return process_return
