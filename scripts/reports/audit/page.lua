--- The audit as one HTML page: no script, nothing from elsewhere, everything escaped. The time of
--- the audit is in its head only; the same findings are otherwise the same bytes.
local time = require("neap.time")
local words = require("reports.audit.words")

local page = {}

local SHOWN = 20 -- objects of a finding; the rows have them all
local FORBIDDEN = "[\0-\8\11\12\14-\31\127]"
local ENTITIES = {["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ["\""] = "&quot;",
    ["'"] = "&#39;"}

local STYLE = [[
body{font:15px/1.5 system-ui,sans-serif;color:#1c2330;max-width:62rem;margin:2rem auto;
padding:0 1rem}h1{font-size:1.6rem;margin:0}
h2{font-size:1.15rem;margin:2rem 0 .5rem;border-bottom:2px solid #d5dbe5}
h3{font-size:1rem;margin:1.4rem 0 .2rem}p{margin:.3rem 0}.dim{color:#5c6675}
table{border-collapse:collapse;width:100%;margin:.5rem 0}
th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid #e3e7ee}
th{background:#f3f5f9}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.sum{background:#f3f5f9;border-left:4px solid #2f5fb3;padding:.8rem 1rem;margin:1rem 0}
.sum.bad{border-color:#b3342f}
.warn{background:#fff6df;border-left:4px solid #d59a00;padding:.5rem 1rem}
code{word-break:break-all}@media print{body{margin:0;max-width:none}h3,tr{break-inside:avoid}}]]

--- Text as HTML takes it, in content and in quoted attributes.
---@param text any
---@return string
function page.escape(text)
    return (tostring(text):gsub(FORBIDDEN, " "):gsub("[&<>\"']", ENTITIES))
end

local e = page.escape

local function row(cells)
    local parts = {}
    for i, cell in ipairs(cells) do
        local is_number = type(cell) == "table"
        parts[i] = string.format("<td%s>%s</td>", is_number and " class=\"n\"" or "",
            e(is_number and cell[1] or cell))
    end
    return "<tr>" .. table.concat(parts) .. "</tr>"
end

local function head(names)
    local parts = {}
    for i, name in ipairs(names) do
        local is_number = type(name) == "table"
        parts[i] = string.format("<th%s>%s</th>", is_number and " class=\"n\"" or "",
            e(is_number and name[1] or name))
    end
    return "<table><tr>" .. table.concat(parts) .. "</tr>"
end

local function summary(out, view)
    local bad = view.held_orders > 0
    out(string.format("<div class=\"sum%s\"><p><strong>If we went live today:</strong> ",
        bad and " bad" or ""))
    out(string.format("of %d orders that were mapped (%s), <strong>%d would be held (%s)</strong>.",
        view.mapped_orders, e(view.mapped_money), view.held_orders, e(view.held_money)))
    out(string.format(" Of these, %d are open now (%s).</p>", view.held_open_orders,
        e(view.held_open_money)))
    out(string.format("<p>%d findings in all.</p></div>", #view.findings))
    if not view.is_complete then
        out("<p class=\"warn\"><strong>This audit is not complete.</strong> What was not looked at "
            .. "stands in the table below, with the reason.</p>")
    end
end

local function parts(out, view)
    out("<h2>What was looked at</h2>" .. head({"part", "looked at"}))
    for _, part in ipairs(view.parts) do
        out(row({part.name, words.part(part)}))
    end
    out(string.format("</table><p class=\"dim\">%d calls to both systems, all of them reads.</p>",
        view.calls))
end

local function overview(out, view)
    out("<h2>Findings</h2>")
    if #view.findings == 0 then
        out("<p>None.</p>")
        return
    end
    out(head({"cause", "what", {"count"}, {"open now"}, {"money"}, "owner"}))
    for _, finding in ipairs(view.findings) do
        out(row({words.title(finding.cause), finding.subject, {finding.count}, {finding.open},
            {words.money(finding.money)}, finding.owner}))
    end
    out("</table>")
end

local function details(out, finding)
    out(string.format("<h3>%s: %s</h3><p>%s.</p>", e(words.title(finding.cause)),
        e(finding.subject), e(finding.message)))
    out(string.format("<p><strong>To do%s:</strong> %s</p>",
        finding.owner ~= "" and " (" .. e(finding.owner) .. ")" or "", e(finding.remedy)))
    local names = {}
    for i = 1, math.min(#finding.objects, SHOWN) do
        local object = finding.objects[i]
        names[i] = "<code>" .. e(object.name) .. "</code>"
            .. (object.note and " (" .. e(object.note) .. ")" or "")
    end
    if #names > 0 then
        out(string.format("<p class=\"dim\">%s%s</p>", table.concat(names, ", "),
            finding.count > SHOWN and string.format(" and %d more", finding.count - SHOWN) or ""))
    end
end

local function seen(out, view)
    out("<h2>Values in real orders</h2>")
    out(head({"kind", "value", {"orders"}, {"of these held"}, {"money"}}))
    for _, value in ipairs(view.values) do
        out(row({value.dimension, value.value, {value.orders}, {value.held},
            {words.money(value.money)}}))
    end
    out("</table>")
end

--- The page.
---@param view table see reports.audit
---@return string
function page.make(view)
    local list = {}
    local function out(text)
        list[#list + 1] = text
    end
    out("<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">")
    out("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
        .. "style-src 'unsafe-inline'\">")
    out(string.format("<meta name=\"date\" content=\"%s\">", time.format_iso(view.now_ms)))
    out(string.format("<title>Audit of %s</title><style>%s</style></head><body>", e(view.client),
        STYLE))
    out(string.format("<h1>Audit of %s before going live</h1>", e(view.client)))
    summary(out, view)
    overview(out, view)
    for _, finding in ipairs(view.findings) do
        details(out, finding)
    end
    seen(out, view)
    parts(out, view)
    out("</body></html>\n")
    return table.concat(list, "\n")
end

return page
