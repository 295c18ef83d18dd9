return {
    flow = "alerts",
    name = "first problem of a kind, and a second one",
    why = "The owner of the cause hears of it within a minute; more of the kind wait for the "
        .. "digest.",
    at = "2026-05-04T10:00:00Z",
    problems = {
        {cause = "unmapped_tax", subject = "uk 0.125"},
        {cause = "unmapped_tax", subject = "de 0.07", opens_at = "2026-05-04T10:30:00Z"},
    },
    digests = {"2026-05-04T12:00:00Z"},
    expect = {told = {
        {kind = "first", how = "mail", to = "integration@{{name}}.example",
            at = "2026-05-04T11:00:00+01:00", subject = "unmapped_tax: uk 0.125"},
        {kind = "digest", how = "mail", to = "integration@{{name}}.example",
            at = "2026-05-04T13:00:00+01:00", subject = "2 problems open, 1 new, 0 closed"},
    }},
}
