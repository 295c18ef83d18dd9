--- A simulated Khaos Control, on-premise and with the web channel of the Cloud, to build and test
--- integrations against. Never a real client: `sandbox = true` lets it answer rudely. See
--- docs/sandboxes.md.

local is_cloud = var("LINE", "soap") == "cloud"

return {
    name = "khaos",
    live_from = "2020-01-01T00:00:00Z",
    zone = "Europe/London",
    sandbox = true,
    connections = {
        -- The client under test, which the web channel calls.
        merchant = {
            base_url = var("SANDBOX_CLOUD_URL",
                var("SANDBOX_MERCHANT_URL", "http://127.0.0.1:9/demo")),
            basic = {user = "khaos", password = var("SANDBOX_CLOUD_PASSWORD", "sandbox")},
            timeout_ms = 15000,
            breaker_failures = 1000000, -- Khaos keeps its own schedule
        },
    },
    flows = {
        erp = {use = "flows.erp"},
        cloud = {use = "flows.cloud", schedules = {
            run = {every_ms = tonumber(var("SANDBOX_CLOUD_MS", is_cloud and "1000" or "60000"))},
        }, settings = {enabled = is_cloud or var("SANDBOX_CLOUD", "") ~= ""}},
    },
}
