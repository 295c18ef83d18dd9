return {
    flow = "alerts",
    name = "problem of a cause that has no owner of its own",
    why = "It is told to the default owner: no problem goes nowhere.",
    problems = {{cause = "despatch_late", subject = "1004", message = "Order 1004 is late"}},
    expect = {told = {
        {kind = "first", to = "operations@{{name}}.example", subject = "Order 1004 is late"},
    }},
}
