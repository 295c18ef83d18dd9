return {
    name = "address that does not fit",
    why = "Three lines of 35 cannot hold it without cutting a customer's address.",
    order = "26-over-long-address.json",
    expect = {held = {
        "field_too_long:204526 delivery street",
    }},
}
