return {
    name = "promotion nobody declared",
    why = "The figures tie, but nobody said what this promotion is in Khaos: margin reports "
        .. "would lie.",
    order = "24-undeclared-mechanic.json",
    expect = {held = {
        "unmapped_promotion:promotion 66aa0000c2d04e7b9a55f001",
    }},
}
