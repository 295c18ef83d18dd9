--- A row of a sheet whose columns are named like the fields of what they show.
local report = require("neap.report")

---@param sheet any
---@param columns {name: string}[]
---@param entry table<string, any>
return function(sheet, columns, entry)
    local cells = {}
    for i, column in ipairs(columns) do
        cells[i] = entry[column.name] or false
    end
    report.row(sheet, cells)
end
