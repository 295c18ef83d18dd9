--- The manifest of {{name}}: who is connected, who owns which problem, which flows run.

-- Nobody reads mail there: put your own. `neap check` says so until you do.
local DOMAIN = "{{name}}.example"
local OPERATIONS = "operations@" .. DOMAIN
local FINANCE = "finance@" .. DOMAIN
local INTEGRATION = "integration@" .. DOMAIN

return {
    name = "{{name}}",
    -- Nothing older is ever posted. Set it to the hour of going live.
    live_from = "2026-01-01T00:00:00Z",
    zone = "Europe/London",

    -- The defaults are the sandboxes (docs/sandboxes.md); the real ones come with --set.
    connections = {
        scayle = {
            base_url = var("SCAYLE_URL", "http://127.0.0.1:8080/scayle/api/admin/v1"),
            headers = {["X-Access-Token"] = secret("SCAYLE_TOKEN")},
            rate_per_s = 15, -- SCAYLE allows 1000 order reads a minute
            rate_burst = 100,
        },
        khaos = {
            base_url = var("KHAOS_URL", "http://127.0.0.1:8080/khaos"),
            basic = {user = var("KHAOS_USER", "neap"), password = secret("KHAOS_PASSWORD")},
            max_concurrent = 4,
        },
        -- Alerts go out here. A login is basic = {user = "neap", password = secret("SMTP")}.
        mail = {base_url = var("SMTP_URL", "smtp://mail." .. DOMAIN .. ":587")},
    },

    -- What SCAYLE sends with delegations and webhooks.
    auth = {
        delegation = {user = "scayle", password = secret("DELEGATION_PASSWORD")},
        webhook = {user = "scayle", password = secret("DELEGATION_PASSWORD")},
    },

    -- Who is told of which problem.
    owners = {
        default = OPERATIONS,
        totals_do_not_tie = FINANCE,
        posted_total_differs = FINANCE,
        unmapped_payment = FINANCE,
        unmapped_market = INTEGRATION,
        unmapped_tax = INTEGRATION,
        unmapped_shipping = INTEGRATION,
        unmapped_promotion = INTEGRATION,
        unmapped_fee = INTEGRATION,
        credit_exceeds_invoice = FINANCE,
        credit_note_changed = FINANCE,
        return_not_in_khaos = FINANCE,
        unmapped_carrier = INTEGRATION,
        connection_refused = INTEGRATION,
        script_error = INTEGRATION,
    },

    flows = {
        orders = {use = "flows.orders", settings = {
            merchant_key = "{{name}}", -- reference key of this merchant in SCAYLE
            shops = {
                {shop_key = "main", country = "GB", shop_country_id = "1001"},
            },
            despatch_promise_hours = 48,
            despatch_flow = "despatch",
            returns_flow = "returns",
            mappings = {
                companies = require("mappings.companies"),
                tax = require("mappings.tax"),
                shipping = require("mappings.shipping"),
                payments = require("mappings.payments"),
                promotions = require("mappings.promotions"),
            },
        }},
        khaos_mirror = {use = "flows.khaos_mirror"},
        cancellations = {use = "flows.cancellations", settings = {merchant_key = "{{name}}"}},
        despatch = {use = "flows.despatch", settings = {
            merchant_key = "{{name}}",
            returns_flow = "returns",
            carriers = {COURIER = "carrier"}, -- Khaos's courier code to SCAYLE's carrier key
        }},
        returns = {use = "flows.returns", settings = {merchant_key = "{{name}}"}},
        stock = {use = "flows.stock", settings = {
            merchant_key = "{{name}}",
            warehouse = "WAREHOUSE", -- SCAYLE's reference key of the warehouse
            policy = {default = {buffer = 0}}, -- units kept back; see docs/flows-stock.md
        }},
        products = {use = "flows.products", settings = {merchant_key = "{{name}}"}},
        alerts = {use = "flows.alerts", settings = {
            channels = {mail = {kind = "mail", connection = "mail", from = "neap@" .. DOMAIN}},
            routes = {default = {{channel = "mail"}}}, -- to the owners above: they are addresses
            nobody = OPERATIONS,
            heartbeats = {{of = "orders"}},
        }},
    },
}
