--- A simulated on-premise Khaos Control, to build and test integrations against. Never a real
--- client: `sandbox = true` lets it answer rudely. See docs/sandboxes.md.

return {
    name = "khaos",
    live_from = "2020-01-01T00:00:00Z",
    zone = "Europe/London",
    sandbox = true,
    flows = {
        erp = {use = "flows.erp"},
    },
}
