return {
    name = "payments that do not sum to the total",
    why = "25.00 of the total were paid by nobody.",
    order = "29-payments-short.json",
    expect = {held = {
        "totals_do_not_tie:204529 payments",
    }},
}
