--- A simulated SCAYLE tenant, to build and test integrations against. Never a real client:
--- `sandbox = true` lets it answer rudely. See docs/sandboxes.md.

-- Every flow sees the same settings; POST /_control/settings changes them while it runs.
local SETTINGS = {
    token = var("SANDBOX_TOKEN", "sandbox-token"),
    delegation_lag_ms = tonumber(var("SANDBOX_LAG_MS", "60000")),
    retry_factor = tonumber(var("SANDBOX_RETRY_FACTOR", "1")),
    webhook_path = var("SANDBOX_WEBHOOK_PATH", ""),
}

return {
    name = "scayle",
    live_from = "2020-01-01T00:00:00Z",
    zone = "Europe/London",
    sandbox = true,
    connections = {
        -- The merchant whose orders these are: the client under test.
        merchant = {
            base_url = var("SANDBOX_MERCHANT_URL", "http://127.0.0.1:8080/demo"),
            basic = {
                user = var("SANDBOX_MERCHANT_USER", "scayle"),
                password = var("SANDBOX_MERCHANT_PASSWORD", "sandbox"),
            },
            timeout_ms = 15000,
            max_concurrent = 16,
            -- SCAYLE keeps its own schedule, whatever the merchant's state.
            breaker_failures = 1000000,
        },
    },
    flows = {
        shop = {use = "flows.shop", settings = SETTINGS},
        delegation = {use = "flows.delegation", settings = SETTINGS},
        webhook = {use = "flows.webhook", settings = SETTINGS},
        cancellation = {use = "flows.cancellation", settings = SETTINGS},
        bulk = {use = "flows.bulk", settings = SETTINGS},
        scenario = {use = "flows.scenario", settings = SETTINGS},
    },
}
