--- A client with the stock flow and nothing else, for measuring.
return {
    name = "demo",
    live_from = "2020-01-01T00:00:00Z",
    zone = "Europe/London",
    connections = {
        khaos = {base_url = var("KHAOS_URL"), timeout_ms = 300000, max_answer_bytes = 512 << 20},
        scayle = {base_url = var("SCAYLE_URL"), timeout_ms = 60000},
    },
    flows = {
        swept = {use = "flows.swept"},
        stock = {
            use = "flows.stock",
            schedules = {
                poll = {every_ms = tonumber(var("POLL_MS", "1000"))},
                full = {every_ms = 1000},
                send = {every_ms = 1000},
            },
            settings = {
                khaos = {connection = "khaos", zone = "Europe/London"},
                merchant_key = "fellside", warehouse = "KC-MAIN",
                overlap_ms = 1000, order_lag_ms = 0, full_batch = 10000, chunk = 500,
                at_once = 8, batch = 200,
                bulk = {from = 500, size = 10000, chunk = 1000},
            },
        },
    },
}
