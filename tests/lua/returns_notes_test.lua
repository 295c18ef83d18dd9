--- Credit notes as Khaos shows them: drafts, cancelled ones, and those changed after they were
--- taken. A draft or cancelled note once became a return in SCAYLE, which refunded the shopper.
local order_status = require("connectors.khaos_soap.order_status")
local returns_world = require("returns_world")
local unit_book = require("flows.unit_book")

local CANCELLED = "<CANCELLED><REASON>entered by mistake</REASON></CANCELLED>"

local function invoice(stage, code)
    return string.format('<INVOICE INVOICE_CODE="I1" INVOICE_STAGE_ID="%s"><INVOICE_ITEMS>'
        .. '<INVOICE_ITEM STOCK_CODE="%s" QTY_SENT="-1"/></INVOICE_ITEMS></INVOICE>', stage,
        code or "TEE")
end

local function read(inner, stages)
    local khaos = {credit_note_stages = stages, date_time = function()
        return ""
    end, call = function()
        return '<STATUS_LIST><ORDER_STATUS SORDER_CODE="CN1" ASSOCIATED_REF="SC7">'
            .. '<ORDER_TYPE TYPE_ID="C">Credit Note</ORDER_TYPE><CURRENCY_CODE>GBP</CURRENCY_CODE>'
            .. '<ITEMS_TOTAL NET_VALUE="-8.33">-10.00</ITEMS_TOTAL>' .. inner
            .. "</ORDER_STATUS></STATUS_LIST>"
    end}
    return assert(order_status.changed_since(khaos, 0))[1]
end

local function reading(t)
    local function state(inner, stages)
        return read("<INVOICES>" .. inner .. "</INVOICES>", stages).state
    end
    t.case("only a credit note whose invoices are all issued is one", function()
        t.equal({state(invoice(70)), state(invoice(71)), state(invoice(14)), state(invoice("")),
            state(invoice(70) .. invoice(18))}, {"issued", "issued", "draft", "draft", "draft"})
    end)
    t.case("its net is read where Khaos tells it", function()
        local total = "<DELIVERY_TOTAL%s>-4.95</DELIVERY_TOTAL><COMPLETE>-1</COMPLETE>"
        local told, untold = read(total:format(' NET_VALUE="-4.13"')).credit,
            read(total:format("")).credit
        t.equal({told.total_minor, told.delivery_minor, told.net_minor}, {1495, 495, 1246})
        t.equal({untold.total_minor, untold.net_minor}, {1495, nil})
        t.equal(read("").credit.net_minor, 833)
    end)
    t.case("an installation may count further stages as issued", function()
        t.equal({state(invoice(16)), state(invoice(16), {16})}, {"draft", "issued"})
    end)
    t.case("one without an invoice is issued when Khaos calls it complete", function()
        t.equal({read("").state, read("<COMPLETE>0</COMPLETE>").state,
            read("<COMPLETE>-1</COMPLETE>").state}, {"draft", "draft", "issued"})
    end)
    t.case("a cancelled one is none, nor are cancelled invoices part of one", function()
        t.equal({read(CANCELLED .. "<INVOICES>" .. invoice(70) .. "</INVOICES>").state,
            state(invoice(1))}, {"cancelled", "cancelled"})
        local note = read("<INVOICES>" .. invoice(1, "HAT") .. invoice(70) .. "</INVOICES>")
        t.equal({note.state, note.credit.items}, {"issued", {{stock_code = "TEE", quantity = 1}}})
    end)
end

local function one()
    return returns_world.new({{"TEE", 1000}, {"SOCK", 500}})
end

local function taking(t)
    for _, state in ipairs({"draft", "cancelled"}) do
        t.case("a " .. state .. " credit note tells SCAYLE nothing and credits nothing", function()
            for _, is_stray in ipairs({false, true}) do
                local w = one()
                local event, code = w:note({TEE = 1}, 1000, {state = state, is_stray = is_stray})
                t.equal({w:play(event).done, w.told, unit_book.credited(w:book()), w:open()},
                    {true, {}, 0, {}})
                w:play((w:note({TEE = 1}, 1000, {code = code, is_stray = is_stray})))
                w:settle()
                t.equal({w.told, unit_book.credited(w:book())}, {{"101"}, 1000})
            end
        end)
    end
end

local function changing(t)
    t.case("a taken credit note that Khaos corrects is for a person, with both figures", function()
        local w = one()
        local event, code = w:note({TEE = 1}, 1000)
        w:play(event)
        w:play((w:note({TEE = 1}, 800, {code = code})))
        local words = w:open().credit_note_changed
        t.matches(words, "1 x TEE and 10%.00 GBP; in Khaos it is over 1 x TEE and 8%.00 GBP now")
        t.equal({w.told, unit_book.credited(w:book())}, {{"101"}, 1000})
        w:play((w:note({TEE = 1}, 1000, {code = code})))
        t.equal(w:open(), {})
    end)
    t.case("so is one that is cancelled, or a draft again", function()
        for state, words in pairs({cancelled = "it is cancelled", draft = "not issued any more"}) do
            local w = one()
            local event, code = w:note({TEE = 1}, 1000)
            w:play(event)
            w:play((w:note({TEE = 1}, 1000, {code = code, state = state})))
            t.matches(w:open().credit_note_changed, words)
        end
    end)
    t.case("one that was matched to its order is followed there", function()
        local w = one()
        local event, code = w:note({TEE = 1}, 1000, {is_stray = true})
        w:play(event)
        w:settle()
        w:play((w:note({TEE = 1}, 1000, {code = code, state = "cancelled", is_stray = true})))
        w:settle()
        t.matches(w:open().credit_note_changed, "it is cancelled")
    end)
    t.case("a credit note for the same takes the place of a cancelled one", function()
        for _, is_told in ipairs({true, false}) do -- of the cancellation first, or of the new one
            local w = one()
            local event, code = w:note({TEE = 1}, 1000)
            w:play(event)
            local cancelled = w:note({TEE = 1}, 1000, {code = code, state = "cancelled"})
            if is_told then
                w:play(cancelled)
            end
            local other, second = w:note({TEE = 1}, 1000)
            t.equal(w:play(other).done, true)
            w:play(cancelled)
            t.equal({w:open(), w.told, unit_book.credited(w:book())}, {{}, {"101"}, 1000})
            w:play((w:note({TEE = 1}, 1000, {code = code})))
            t.matches(w:open().credit_note_changed, "issued in Khaos again, beside " .. second)
        end
    end)
    local function replaced(units)
        local w = returns_world.new(units or {{"TEE", 1000}, {"SOCK", 500}})
        local event, first = w:note({TEE = 1}, 1000)
        w:play(event)
        w:play((w:note({TEE = 1}, 1000, {code = first, state = "cancelled"})))
        local other, second = w:note({TEE = 1}, 1000)
        w:play(other)
        t.equal(w:open(), {})
        local function show(code, state)
            w:play((w:note({TEE = 1}, 1000, {code = code, state = state})))
        end
        return w, show, first, second
    end
    local function subjects(w)
        local list = {}
        for _, open in pairs(w.job.exceptions) do
            list[#list + 1] = open.subject
        end
        table.sort(list)
        return list
    end
    t.case("one issued again after its replacement was cancelled settles both", function()
        for _, is_first in ipairs({true, false}) do -- what is shown first
            local w, show, first, second = replaced()
            show(is_first and second or first, is_first and "cancelled" or "issued")
            t.equal(subjects(w), {is_first and second or first})
            show(is_first and first or second, is_first and "issued" or "cancelled")
            t.equal({w:open(), w.told, unit_book.credited(w:book())}, {{}, {"101"}, 1000})
            show(second, "issued")
            t.equal(subjects(w), {first})
            show(first, "cancelled")
            t.equal(w:open(), {})
            show(second, "cancelled")
            t.equal(subjects(w), {second})
        end
    end)
    t.case("a further one takes the place of the last only while none of them stands", function()
        local w, show, _, second = replaced()
        show(second, "cancelled")
        w:play((w:note({TEE = 1}, 1000)))
        t.equal({w:open(), unit_book.credited(w:book())}, {{}, 1000})
        local first
        w, show, first, second = replaced({{"TEE", 1000}, {"TEE", 1000}})
        show(second, "cancelled")
        show(first, "issued")
        w:play((w:note({TEE = 1}, 1000)))
        t.equal({w.told, unit_book.credited(w:book()), w:open()}, {{"101", "102"}, 2000, {}})
    end)
    t.case("one that a person dismissed is not taken as replaced any more", function()
        local w = returns_world.new({{"TEE", 1000}, {"TEE", 1000}})
        local event, code = w:note({TEE = 1}, 1000)
        w:play(event)
        w:play((w:note({TEE = 1}, 1000, {code = code, state = "cancelled"})))
        w.job.exceptions = {}
        w:play((w:note({TEE = 1}, 1000)))
        t.equal({w.told, unit_book.credited(w:book()), w:open()}, {{"101", "102"}, 2000, {}})
    end)
    t.case("a cancelled one of other goods or money is not taken as replaced", function()
        local w = one()
        local event, code = w:note({TEE = 1}, 1000)
        w:play(event)
        w:play((w:note({TEE = 1}, 1000, {code = code, state = "cancelled"})))
        w:play((w:note({SOCK = 1}, 500)))
        t.equal({w.told, unit_book.credited(w:book())}, {{"101", "102"}, 1500})
        t.matches(w:open().credit_note_changed, "it is cancelled")
    end)
end

return function(t)
    reading(t)
    taking(t)
    changing(t)
end
