return {
    flow = "products",
    name = "two catalogues that agree",
    why = "The EAN is Khaos's other reference at Fellside, and leading zeros are no difference.",
    variants = {{code = "FO-SCK-0007-L", ean = "0012345678905"}, {code = "FO-JKT-1042-M"}},
    stock_codes = {{code = "FO-SCK-0007-L", other_ref = "012345678905"},
        {code = "FO-JKT-1042-M"}, {code = "ROUNDING"}},
    expect = {told = {}},
}
