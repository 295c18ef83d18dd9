--- The client of the bench: the whole orders flow, nothing in its way. http_bench.py copies this
--- file and examples/demo/mappings into one folder per client, and names it CLIENT.

local khaos = {connection = "khaos", zone = "Europe/London"}
local CONCURRENT = 256 -- no limit of a connection may bound what is measured
local HOUR_MS = 3600000

return {
    name = "CLIENT",
    live_from = "2020-01-01T00:00:00Z",
    zone = "Europe/London",
    connections = {
        scayle = {
            base_url = var("UPSTREAM_URL") .. "/scayle/api/admin/v1",
            headers = {["X-Access-Token"] = secret("SCAYLE_TOKEN")},
            max_concurrent = CONCURRENT,
        },
        khaos = {
            base_url = var("UPSTREAM_URL") .. "/khaos",
            max_concurrent = CONCURRENT,
        },
    },
    auth = {
        delegation = {user = "scayle", password = secret("DELEGATION_PASSWORD")},
        webhook = {user = "scayle", password = secret("DELEGATION_PASSWORD")},
    },
    owners = {default = "operations"},
    flows = {
        orders = {
            use = "flows.orders",
            schedules = {sweep = {every_ms = HOUR_MS}},
            settings = {
                shops = {{shop_key = "fo", country = "GB", shop_country_id = "1412"}},
                merchant_key = "fellside",
                khaos = khaos,
                despatch_promise_hours = 48,
                mappings = {
                    companies = require("mappings.companies"),
                    tax = require("mappings.tax"),
                    shipping = require("mappings.shipping"),
                    payments = require("mappings.payments"),
                    promotions = require("mappings.promotions"),
                },
            },
        },
        mirror = {
            use = "flows.khaos_mirror",
            schedules = {refresh = {every_ms = HOUR_MS}},
            settings = {khaos = khaos, detail_limit = 0},
        },
    },
}
