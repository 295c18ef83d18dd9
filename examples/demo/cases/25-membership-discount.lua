return {
    name = "membership discount",
    why = "5.00 of membership points are taken off the whole order; the demo client "
        .. "declares no rule for that.",
    order = "25-membership-discount.json",
    expect = {held = {
        "unmapped_promotion:membership absolute",
    }},
}
