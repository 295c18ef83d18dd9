return {
    name = "tax rate without a code",
    why = "12.5% is in no tax table of the United Kingdom profile; guessing a code would "
        .. "book wrong VAT.",
    order = "23-unmapped-tax.json",
    expect = {held = {
        "unmapped_tax:uk 0.125",
    }},
}
