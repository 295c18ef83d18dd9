return {
    name = "total that is off by a penny",
    why = "Units and fees come to 164.92, the order says 164.93.",
    order = "27-totals-do-not-tie.json",
    expect = {held = {
        "totals_do_not_tie:204527",
    }},
}
