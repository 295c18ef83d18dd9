--- Shoppers, warehouse, office and auditor of the peak day (docs/blackfriday.md). It knows nothing
--- of the client under test but what people see of it.

return {
    name = "driver",
    live_from = "2020-01-01T00:00:00Z",
    connections = {
        shop = {base_url = "http://world.test/scayle/_control"},
        khaos = {base_url = "http://world.test/khaos/_control"},
        desk = {base_url = "http://desk.test"},
    },
    flows = {
        alerts = {use = "flows.alerts"},
        day = {use = "flows.day", settings = {
            orders = tonumber(var("ORDERS", "1500")),
            seed = tonumber(var("SEED", "1")),
            is_cloud = var("LINE", "soap") == "cloud",
            held_share = tonumber(var("HELD_SHARE", "0.02")),
            sabotage = var("SABOTAGE", ""),
        }},
    },
}
