---@meta neap.test
error("this file describes neap.test to editors; only `neap test` has the module")

--- What tests reach beyond scripts. Most tests use `t` of scripts/lib/test.lua instead.
---@class neap.test
local test = {}

--- A file below the test's data folder (a client's folder; the folder that holds scripts/).
---@param path string
---@return string|nil
---@return neap.Error|nil
--- Example: `local text = assert(test.read_file("cases/orders/plain.json"))`
function test.read_file(path) end

--- The names in a folder, sorted, without hidden ones.
---@param path string
---@return string[]|nil
---@return neap.Error|nil
--- Example: `for _, name in ipairs(test.list("cases") or {}) do ... end`
function test.list(path) end

--- Runs a Lua file of the client's folder. Raises when there is none.
---@param path string
---@return any what the file returns
--- Example: `local case = test.run_file("cases/01-plain.lua")`
function test.run_file(path) end

--- Lets time pass: wall clock and monotonic together.
---@param ms integer
--- Example: `test.advance(60000)`
function test.advance(ms) end

--- What require(name) gives from now on, in this test file's state.
---@param name string
---@param module any
--- Example: `test.replace("neap.http", fake)`
function test.replace(name, module) end

--- What `--set NAME=VALUE` said.
---@return table<string, string>
--- Example: `local seeds = tonumber(test.settings().seeds) or 5`
function test.settings() end

--- Calls fn; what it raises comes back as text with its places.
---@param fn function
---@return boolean is_ok
---@return string|nil message
--- Example: `local ok, message = test.try(function() ... end)`
function test.try(fn) end

--- Reports a case that ended.
---@param is_ok boolean
---@param sentence string
---@param details string|nil lines shown with it
--- Example: `test.result(true, "the order is posted")`
function test.result(is_ok, sentence, details) end

return test
