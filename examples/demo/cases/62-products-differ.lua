return {
    flow = "products",
    name = "what either catalogue lacks",
    why = "An order with a code that Khaos does not have would wait, so it is a person's before "
        .. "anybody orders it. Fees need no variant; the demo tells nobody of codes without one.",
    variants = {
        {code = "FO-SCK-0007-L", product = "sock"},
        {code = "fo-jkt-1042-m", product = "jacket"},
        {code = "FO-NEW-0001", product = "new"},
    },
    stock_codes = {{code = "FO-SCK-0007-L"}, {code = "FO-JKT-1042-M"}, {code = "FO-BTL-0750-GRN"},
        {code = "FEE-GIFT"}},
    expect = {
        told = {
            {kind = "missing_in_scayle", code = "FO-BTL-0750-GRN"},
            {kind = "missing_in_khaos", code = "FO-NEW-0001", product = "new"},
            {kind = "spelling", code = "fo-jkt-1042-m", near = {"FO-JKT-1042-M"}},
        },
        held = {"unknown_stock_code:FO-NEW-0001", "unknown_stock_code:fo-jkt-1042-m"},
    },
}
