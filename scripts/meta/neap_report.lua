---@meta neap.report
error("this file describes neap.report to editors; only reports have the module")

--- What reports reach beyond scripts: where they tell, and what the host remembers. A report is a
--- host script (scripts/reports) that returns function(options, flows) and gives back
--- {ok = boolean, document = table}. It reads one client's store; it cannot write, wait or send.
--- One that asks the client's systems (neap audit) is a job, reports.asking: it waits as jobs do,
--- and nothing it asks can change anything.
---@class neap.report
local report = {}

---@class neap.report.Column
---@field name string
---@field kind "text"|"number"|"money"|nil default text

--- Begins a sheet: of the spreadsheet, and of the CSV unless `csv` is false.
---@param name string
---@param columns neap.report.Column[]
---@param options {csv: boolean|nil}|nil
---@return integer sheet for report.row
--- Example: `local sheet = report.sheet("UK", {{name = "order"}, {name = "gross", kind = "money"}})`
function report.sheet(name, columns, options) end

--- Adds a row: one text, integer or false (empty) per column. Money is decimal text.
---@param sheet integer
---@param cells (string|integer|false)[]
--- Example: `report.row(sheet, {"5001", "49.90"})`
function report.row(sheet, cells) end

--- A line for people, shown when the report ends well and JSON was not asked for.
---@param line string
--- Example: `report.say("12 orders tie")`
function report.say(line) end

--- The report as one page, for people: where `--html` says; without it nothing happens.
---@param html string
--- Example: `report.page("<!DOCTYPE html>...")`
function report.page(html) end

--- Tells whoever sits before a terminal how it goes on; nobody else sees it.
---@param text string one short line
--- Example: `report.progress("orders mapped: 50")`
function report.progress(text) end

---@class neap.report.Budget
---@field calls integer let out so far
---@field max_calls integer|nil
---@field failed integer not answered, or answered 429 or 5xx
---@field refused integer not let out, because they could have changed something
---@field over "calls"|"time"|"stopped"|nil why nothing leaves any more

--- What a report that asks may still ask.
---@return neap.report.Budget
--- Example: `if report.budget().over then return end`
function report.budget() end

--- Waits, in a report that asks; not remembered, so for short times only.
---@async
---@param ms integer at most 60,000
--- Example: `report.wait(250)`
function report.wait(ms) end

--- For reports.asking: the report's function, its options and the client's flows.
---@return function run
---@return table<string, string> options
---@return {name: string, flow: table, settings: table}[] flows
--- Example: `local run, options, flows = report.given()`
function report.given() end

--- For reports.asking: what the report gave.
---@param result {ok: boolean, document: table}
--- Example: `report.finish(run(options, flows, job))`
function report.finish(result) end

--- The newest document of this name that a job of the key kept (job:keep); nil: none, or it went
--- with retention or erasure.
---@param key string
---@param name string
---@return table|nil
--- Example: `local mapping = report.document("order:fo:204417", "mapping")`
function report.document(key, name) end

---@class neap.report.Exception
---@field cause string
---@field subject string
---@field opened_ms integer
---@field closed_ms integer|nil

--- The client's exceptions: open ones, then closed ones as long as those are kept.
---@return neap.report.Exception[]
--- Example: `for _, entry in ipairs(report.exceptions()) do ... end`
function report.exceptions() end
