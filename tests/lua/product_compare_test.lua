--- Two catalogues beside each other: each kind of difference, and random catalogues against an
--- oracle that looks at all pairs. Longer: --set count=20000 --set seed=7.
local code_key = require("flows.code_key")
local compare = require("flows.product_stages.compare")
local json = require("neap.json")
local sandbox_random = require("lib.sandbox.random")

local function sorted(rows)
    for _, row in ipairs(rows) do
        row.key = code_key.of(row.code, row.id)
    end
    table.sort(rows, function(a, b)
        return a.key < b.key
    end)
    return rows
end

local function source(rows)
    sorted(rows)
    return function(after, limit)
        local page = {}
        for _, row in ipairs(rows) do
            if (not after or row.key > after) and #page < limit then
                page[#page + 1] = {code = row.code, id = row.id, ean = row.ean, state = row.state,
                    shown = row.shown, is_discontinued = row.is_discontinued}
            end
        end
        return page
    end
end

local function run(khaos, scayle, options)
    local found, total, after, steps = {}, {khaos = 0, scayle = 0, matched = 0}, nil, 0
    repeat
        local counts
        after, counts = compare.step({khaos = source(khaos), scayle = source(scayle),
            page = options and options.page, limit = options and options.limit, after = after,
            found = function(finding)
                found[#found + 1] = finding
            end})
        for name, count in pairs(counts) do
            total[name] = total[name] + count
        end
        steps = steps + 1
    until not after
    return found, total, steps
end

local function rows(codes)
    local list = {}
    for i, code in ipairs(codes) do
        list[i] = {code = code}
    end
    return list
end

local function variants(codes)
    local list = {}
    for i, code in ipairs(codes) do
        list[i] = {code = code, id = tostring(1000 + i), state = "live"}
    end
    return list
end

local function short(found)
    local list = {}
    for i, finding in ipairs(found) do
        list[i] = finding.kind .. " " .. finding.code
            .. (finding.near and " ~ " .. table.concat(finding.near, ", ") or "")
    end
    table.sort(list)
    return list
end

local function kinds(t)
    t.case("what agrees is not told", function()
        local found, counts = run(rows({"A-1", "B-2"}), variants({"B-2", "A-1"}))
        t.equal(found, {})
        t.equal(counts, {khaos = 2, scayle = 2, matched = 2})
    end)
    t.case("a code that one side lacks", function()
        t.equal(short(run(rows({"A", "C"}), variants({"B", "C"}))),
            {"missing_in_khaos B", "missing_in_scayle A"})
    end)
    t.case("a code that is spelt otherwise is told once, with how Khaos has it", function()
        for _, code in ipairs({"ts-red-l", "TS-RED-L ", " TS RED L", "TS\xC2\xA0RED-L", "TSREDL",
            "TS/RED_L"}) do
            t.equal(short(run(rows({"TS-RED-L"}), variants({code}))),
                {"spelling " .. code .. " ~ TS-RED-L"})
        end
        t.equal(short(run(rows({"T\xC3\x9CR-1"}), variants({"t\xC3\xBCr-1"}))),
            {"spelling t\xC3\xBCr-1 ~ T\xC3\x9CR-1"})
    end)
    t.case("a near code that has a variant of its own is another matter", function()
        t.equal(short(run(rows({"TS-RED-L"}), variants({"TS-RED-L", "ts-red-l"}))),
            {"missing_in_khaos ts-red-l ~ TS-RED-L"})
    end)
    t.case("duplicates on either side", function()
        t.equal(short(run(rows({"A-1", "a-1 ", "A1"}), variants({"A-1", "A-1", "a-1 ", "A1"}))),
            {"duplicate_in_khaos A-1 ~ a-1 ", "duplicate_in_scayle A-1"})
        local found = run(rows({"A"}), variants({"A", "A", "A"}))
        t.equal({found[1].count, found[1].ids}, {3, {"1001", "1002", "1003"}})
    end)
    t.case("a twin in Khaos of a code that has a variant lacks none", function()
        t.equal(short(run(rows({"TS-RED-L", "ts-red-l "}), variants({"TS-RED-L"}))),
            {"duplicate_in_khaos TS-RED-L ~ ts-red-l "})
        t.equal(short(run(rows({"AB-11", "AB-1-1"}), variants({"AB-11"}))),
            {"missing_in_scayle AB-1-1"})
        t.equal(short(run(rows({"A-1", "a-1"}), variants({}))), {"duplicate_in_khaos A-1 ~ a-1",
            "missing_in_scayle A-1", "missing_in_scayle a-1"})
    end)
    t.case("matched codes: discontinued, not live, another number", function()
        local khaos = {{code = "A", ean = "012345678905"}, {code = "B", is_discontinued = true},
            {code = "C", ean = "5000000000017"}, {code = "D"}}
        local scayle = {{code = "A", id = "1", ean = "0012345678905", state = "live"},
            {code = "B", id = "2", state = "live"},
            {code = "C", id = "3", ean = "5000000000024", state = "blocked"},
            {code = "D", id = "4", ean = "5000000000031", state = "draft"}}
        t.equal(short(run(khaos, scayle)),
            {"discontinued B", "ean_differs C", "not_live C", "not_live D"})
    end)
    t.case("variants without a code, or with one that cannot be a key", function()
        local scayle = {{code = "", id = "1"}, {code = "", id = "2", shown = ("x"):rep(300)},
            {code = "---", id = "3"}}
        t.equal(short(run(rows({"A"}), scayle)), {"missing_in_khaos ---",
            "missing_in_khaos " .. ("x"):rep(300), "missing_in_scayle A", "no_code "})
        t.equal(#run(rows({"A"}), scayle, {limit = 1, page = 1}), 4)
    end)
end

-- ---- random catalogues against an oracle -----------------------------------------------------

local LETTERS = {"A", "a", "B", "-", " ", "1", "\xC3\xBC", "\xC3\x9C"}

local function random_code(random)
    local parts = {}
    for i = 1, random(1, 4) do
        parts[i] = LETTERS[random(#LETTERS)]
    end
    return table.concat(parts)
end

local function random_catalogues(random)
    local khaos, scayle, used = {}, {}, {}
    for _ = 1, random(0, 12) do
        local code = random_code(random)
        if not used[code] then
            used[code] = true
            khaos[#khaos + 1] = {code = code, is_discontinued = random(8) == 1,
                ean = random(2) == 1 and tostring(random(3)) or nil}
        end
    end
    for i = 1, random(0, 12) do
        local same = #khaos > 0 and random(3) > 1 and khaos[random(#khaos)].code
        scayle[i] = {code = random(12) == 1 and "" or same or random_code(random),
            id = tostring(random(1, 9)) .. "-" .. i, ean = random(2) == 1 and "0" .. random(3)
            or nil, state = random(4) == 1 and "draft" or "live"}
    end
    return khaos, scayle
end

local function any(list, test)
    for _, row in ipairs(list) do
        if test(row) then
            return true
        end
    end
    return false
end

local function alike(a)
    return function(b)
        return b ~= a and code_key.fold(a.code) == code_key.fold(b.code)
    end
end

local function is_code(code)
    return function(row)
        return row.code == code
    end
end

-- What the definitions say, one code at a time: "kind code".
local function oracle(khaos, scayle)
    local told = {}
    local function tell(kind, code)
        told[kind .. " " .. code] = true
    end
    for _, s in ipairs(scayle) do
        local own
        for _, k in ipairs(khaos) do
            own = k.code == s.code and k or own
        end
        local free = any(khaos, function(k)
            return alike(s)(k) and not any(scayle, is_code(k.code))
        end)
        if s.code == "" then
            tell("no_code", "")
        elseif not own then
            tell(free and "spelling" or "missing_in_khaos", s.code)
        end
        if s.code ~= "" and any(scayle, function(o)
            return o ~= s and o.code == s.code
        end) then
            tell("duplicate_in_scayle", s.code)
        end
    end
    for _, k in ipairs(khaos) do
        local has_variant = any(scayle, is_code(k.code))
        local claimed = any(scayle, function(s)
            return s.code ~= "" and alike(k)(s) and not any(khaos, is_code(s.code))
        end)
        local is_twin = any(khaos, function(o)
            return alike(k)(o) and code_key.plain(k.code) == code_key.plain(o.code)
                and any(scayle, is_code(o.code))
        end)
        if not has_variant and not claimed and not is_twin then
            tell("missing_in_scayle", k.code)
        elseif has_variant and k.is_discontinued then
            tell("discontinued", k.code)
        end
    end
    return told
end

local CHECKED = {no_code = true, spelling = true, missing_in_khaos = true,
    duplicate_in_scayle = true, missing_in_scayle = true, discontinued = true}

local function names(found)
    local told = {}
    for _, finding in ipairs(found) do
        if CHECKED[finding.kind] then
            told[finding.kind .. " " .. finding.code] = true
        end
    end
    return told
end

local function property(t)
    local count, seed = tonumber(t.settings.count) or 1500, tonumber(t.settings.seed) or 26
    local generator = sandbox_random.new(seed)
    local function random(low, high)
        return generator:integer(high and low or 1, high or low)
    end
    t.case("random catalogues: what is found is what the definitions say", function()
        for n = 1, count do
            local khaos, scayle = random_catalogues(random)
            local found = run(khaos, scayle)
            local wrong = t.differences(names(found), oracle(khaos, scayle))
            if #wrong > 0 then
                error(string.format("catalogue %d of seed %d: %s\nkhaos %s\nscayle %s", n, seed,
                    table.concat(wrong, "; "), json.encode(khaos), json.encode(scayle)))
            end
            local pieces = run(khaos, scayle, {page = random(1, 4),
                limit = random(1, 6)})
            t.equal(short(pieces), short(found))
        end
        t.note("%d catalogues (seed %d)", count, seed)
    end)
end

local function large(t)
    t.case("a group of thousands is compared, though not suggested from", function()
        local khaos, scayle = {}, {}
        for i = 1, 500 do
            local dashes = string.rep("-", i % 25) .. string.rep("_", i // 25)
            khaos[i] = {code = "AB" .. dashes}
            scayle[i] = {code = "ab" .. dashes, id = tostring(i), state = "live"}
        end
        local found, counts = run(khaos, scayle)
        t.equal({counts.khaos, counts.scayle, counts.matched}, {500, 500, 0})
        local of_scayle = {}
        for _, finding in ipairs(found) do
            if finding.kind == "spelling" or finding.kind == "missing_in_khaos" then
                of_scayle[finding.code] = true
                t.equal(#(finding.near or {}) <= 5, true)
            end
        end
        for _, row in ipairs(scayle) do
            t.equal(of_scayle[row.code], true)
        end
    end)
end

local function slips(t)
    t.case("a slip of the fingers is not another size", function()
        local function is(a, b)
            return code_key.is_slip(code_key.fold(a), code_key.fold(b))
        end
        t.equal({is("TS-RED-L", "TS-ERD-L"), is("TS-RED-L", "T5-RED-L"),
            is("TSH-RED-L", "TS-RED-L"), is("FO-CAP-O311", "FO-CAP-0311")},
            {true, true, true, true})
        t.equal({is("TS-RED-L", "TS-RED-M"), is("TS-RED-L", "TS-RED-XL"), is("TS-1042", "TS-1024"),
            is("TS-104", "TS-1042"), is("TS-RED-L", "TS-RED-L")},
            {false, false, false, false, false})
    end)
end

return function(t)
    kinds(t)
    property(t)
    large(t)
    slips(t)
end
