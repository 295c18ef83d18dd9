--- Plays the demonstration: places the orders, mends one problem as a person would, and compares
--- the books of both sandboxes at the end. It knows nothing of the client under test.

return {
    name = "driver",
    live_from = "2020-01-01T00:00:00Z",
    connections = {
        scayle_control = {
            base_url = var("SCAYLE_CONTROL_URL", "http://127.0.0.1:8080/scayle/_control"),
        },
        khaos_control = {
            base_url = var("KHAOS_CONTROL_URL", "http://127.0.0.1:8080/khaos/_control"),
        },
    },
    flows = {
        alerts = { use = "flows.alerts_desk" },
        play = {
            use = "flows.play",
            settings = {
                count = tonumber(var("DEMO_ORDERS", "45")),
                seed = tonumber(var("DEMO_SEED", "1")),
                interval_ms = tonumber(var("DEMO_INTERVAL_MS", "150")),
                look_ms = tonumber(var("DEMO_LOOK_MS", "400")),
                line = var("LINE", "soap"),
                hears_alerts = var("ALERTS_URL", "") ~= "",
            },
        },
    },
}
