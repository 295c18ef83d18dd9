return {
    flow = "alerts",
    may_lack_flow = true, -- the demo has it with ALERTS_URL only
    name = "problem that nobody solves",
    why = "Finance hears of a payment nobody mapped at once; after four hours the consultant does. "
        .. "A second one of the kind waits for the digest.",
    at = "2026-05-04T08:00:00Z",
    hours = 5,
    problems = {
        {cause = "unmapped_payment", subject = "klarna", message = "Nobody mapped klarna"},
        {cause = "unmapped_payment", subject = "twint", opens_at = "2026-05-04T08:10:00Z"},
    },
    expect = {told = {
        {kind = "first", owner = "finance@fellside.example", how = "webhook", channel = "desk",
            at = "2026-05-04T09:00:00+01:00", subject = "Nobody mapped klarna"},
        {kind = "escalation", owner = "integration@fellside.example", how = "webhook",
            at = "2026-05-04T13:00:00+01:00", subject = "still open: Nobody mapped klarna"},
    }},
}
