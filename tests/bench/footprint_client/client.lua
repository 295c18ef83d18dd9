--- A client with the mirror of Khaos's stock codes and nothing else, for measuring.
return {
    name = "demo",
    live_from = "2020-01-01T00:00:00Z",
    zone = "Europe/London",
    connections = {
        khaos = {base_url = var("KHAOS_URL"), timeout_ms = 300000, max_answer_bytes = 256 << 20},
    },
    flows = {
        mirror = {
            use = "flows.khaos_mirror",
            schedules = {refresh = {every_ms = tonumber(var("MIRROR_MS", "1000"))}},
            settings = {khaos = {connection = "khaos", zone = "Europe/London"}},
        },
    },
}
