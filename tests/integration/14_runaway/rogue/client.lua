--- A client whose scripts misbehave in every way that tests/integration/14_runaway knows.
return {
    name = "rogue",
    live_from = "2020-01-01T00:00:00Z",
    retry = {initial_ms = 100, max_ms = 200, give_up_ms = 1500},
    limits = {run_ms = 1000},
    connections = {
        shut = {base_url = "http://127.0.0.1:9", connect_timeout_ms = 500, breaker_failures = 1000},
    },
    flows = {
        rogue = {use = "flows.rogue"},
    },
}
