return {
    name = "order somebody already worked on",
    why = "One unit is shipped, one cancelled, one returned, and the order carries a "
        .. "reference that is not ours: posting it would ship it twice.",
    order = "order-09-mixed-fulfilment-states.json",
    expect = {held = {
        "order_already_processed:204425",
    }},
}
