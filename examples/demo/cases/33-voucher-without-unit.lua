return {
    name = "voucher that no unit shows",
    why = "10.00 are taken off the whole order, no unit says it carries them, and the rule "
        .. "declares no split.",
    order = "33-voucher-without-unit.json",
    expect = {held = {
        "unmapped_promotion:voucher without unit",
    }},
}
