---@meta neap.log
error("this file describes neap.log to editors; require(\"neap.log\") gives the module itself")

--- Log lines of this client; each carries client, flow, job and key by itself.
---@class neap.log
local log = {}

---@param message string
---@param fields table<string, any>|nil
--- Example: `log.debug("mirror is fresh", {codes = 120})`
function log.debug(message, fields) end

---@param message string
---@param fields table<string, any>|nil
--- Example: `log.info("order posted", {code = "SO204417"})`
function log.info(message, fields) end

---@param message string
---@param fields table<string, any>|nil
--- Example: `log.warn("carrier unknown", {carrier = "DPD_UK"})`
function log.warn(message, fields) end

---@param message string
---@param fields table<string, any>|nil
--- Example: `log.error("reply could not be read")`
function log.error(message, fields) end

return log
