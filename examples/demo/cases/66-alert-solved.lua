return {
    flow = "alerts",
    may_lack_flow = true,
    name = "problem that is solved before it is escalated",
    why = "It is told once; the digest says that it is over.",
    at = "2026-05-04T08:00:00Z",
    hours = 6,
    problems = {{cause = "unmapped_tax", subject = "uk 0.125",
        closes_at = "2026-05-04T09:00:00Z"}},
    digests = {"2026-05-04T12:00:00Z"},
    expect = {told = {
        {kind = "first", at = "2026-05-04T09:00:00+01:00", subject = "unmapped_tax: uk 0.125"},
        {kind = "digest", at = "2026-05-04T13:00:00+01:00",
            subject = "0 problems open, 0 new, 1 closed"},
    }},
}
