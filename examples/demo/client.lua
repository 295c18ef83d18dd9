--- Fellside Outdoor, the demo merchant: sells in three countries on SCAYLE, runs on Khaos Control.
--- Both far sides are the sandboxes of this repository; `neap demo` starts all of it.

--- NEAP_LINE=cloud neap demo: the same client on Khaos Control Cloud.

local OPERATIONS = "operations@fellside.example"
local CATALOGUE = "catalogue@fellside.example"
local FINANCE = "finance@fellside.example"
local CONSULTANT = "integration@fellside.example"

local KHAOS = {kind = var("LINE", "soap"), push_age_ms = tonumber(var("PUSH_AGE_MS", "5000"))}

-- `neap demo` listens to the alerts itself. A real client has a mail channel (docs/flows-alerts.md)
-- and no such condition.
local ALERTS_URL = var("ALERTS_URL", "")

local function when_told(value)
    return ALERTS_URL ~= "" and value() or nil
end

local SHOPS = {
    {shop_key = "fo", country = "GB", shop_country_id = "1412"},
    {shop_key = "fo", country = "DE", shop_country_id = "1415"},
    {shop_key = "fo", country = "IE", shop_country_id = "1421"},
}

return {
    name = "demo",
    live_from = var("LIVE_FROM", "2026-01-01T00:00:00Z"),
    zone = "Europe/London",

    connections = {
        scayle = {
            base_url = var("SCAYLE_URL", "http://127.0.0.1:8080/scayle/api/admin/v1"),
            headers = {["X-Access-Token"] = secret("SCAYLE_TOKEN")},
            rate_per_s = 15, -- ordersRead: 1000 a minute
            rate_burst = 100,
        },
        khaos = {
            base_url = var("KHAOS_URL", "http://127.0.0.1:8080/khaos"),
            max_concurrent = 4,
            -- How long an import may go on in Khaos after its reply was lost.
            settle_ms = tonumber(var("KHAOS_SETTLE_MS", "500")),
        },
        alerts = when_told(function()
            return {base_url = ALERTS_URL, signature = {secret = secret("ALERT_KEY")}}
        end),
    },

    -- SCAYLE sends both with the same account.
    auth = {
        delegation = {user = "scayle", password = secret("DELEGATION_PASSWORD")},
        webhook = {user = "scayle", password = secret("DELEGATION_PASSWORD")},
        khaos = {user = "khaos", password = secret("KHAOS_PASSWORD")},
    },

    owners = {
        default = OPERATIONS,
        unknown_stock_code = CATALOGUE,
        totals_do_not_tie = FINANCE,
        posted_total_differs = FINANCE,
        approval = FINANCE,
        unmapped_payment = FINANCE,
        unmapped_market = CONSULTANT,
        unmapped_tax = CONSULTANT,
        unmapped_shipping = CONSULTANT,
        unmapped_promotion = CONSULTANT,
        unmapped_fee = CONSULTANT,
        connection_refused = CONSULTANT,
        script_error = CONSULTANT,
        credit_exceeds_invoice = FINANCE,
        credit_note_changed = FINANCE,
        return_not_in_khaos = FINANCE,
        return_not_fetched = FINANCE,
        return_unmatched = FINANCE,
        refund_not_in_khaos = FINANCE,
        refund_unexplained = FINANCE,
        refund_exceeds_invoice = FINANCE,
        refund_told_twice = FINANCE,
        credit_note_unmatched = FINANCE,
        unmapped_carrier = CONSULTANT,
        stock_stamp_ahead = CONSULTANT,
    },

    retry = {
        initial_ms = tonumber(var("RETRY_MS", "500")),
        max_ms = 10000,
    },

    flows = {
        -- The demo's schedules are fast, so that a person sees something happen; a real client
        -- leaves them be.
        orders = {use = "flows.orders", schedules = {
            sweep = {every_ms = tonumber(var("SWEEP_EVERY_MS", "20000"))},
        }, settings = {
            merchant_key = "fellside",
            khaos = KHAOS,
            shops = SHOPS,
            despatch_promise_hours = 48,
            despatch_flow = "despatch",
            returns_flow = "returns",
            -- Shown in `neap order` and posted exactly so; without `approval = "rule"` somebody
            -- would have to release them first.
            staging = {rules = {
                {name = "day walk sets", mechanic = {id = "6650c100c2d04e7b9a550921"},
                    approval = "rule"},
            }},
            delegation_grace_ms = tonumber(var("DELEGATION_GRACE_MS", "60000")),
            fault_wait_ms = tonumber(var("FAULT_WAIT_MS", "1000")),
            mappings = {
                companies = require("mappings.companies"),
                tax = require("mappings.tax"),
                shipping = require("mappings.shipping"),
                payments = require("mappings.payments"),
                promotions = require(KHAOS.kind == "cloud" and "mappings.promotions_cloud"
                    or "mappings.promotions"),
            },
        }},
        alerts = when_told(function()
            return {use = "flows.alerts", settings = {
                channels = {desk = {kind = "webhook", connection = "alerts", path = "/alerts"}},
                routes = {default = {{channel = "desk"}}},
                nobody = OPERATIONS,
                escalation = {{after_ms = 4 * 3600000, owner = CONSULTANT}},
                heartbeats = {{of = "orders"}},
            }}
        end),
        returns = {use = "flows.returns", schedules = {
            sweep = {every_ms = tonumber(var("RETURNS_SWEEP_MS", "21600000"))},
        }, settings = {
            merchant_key = "fellside",
            khaos = KHAOS,
            shops = SHOPS,
            khaos_return_reason = "6",
            tell_goodwill = true,
        }},
        cancellations = {use = "flows.cancellations", settings = {merchant_key = "fellside",
            khaos = KHAOS}},
        despatch = {use = "flows.despatch", schedules = {
            poll = {every_ms = tonumber(var("DESPATCH_EVERY_MS", "2000"))},
        }, settings = {
            merchant_key = "fellside",
            khaos = KHAOS,
            returns_flow = "returns",
            carriers = {DPD48 = "DPD_UK", DPDND = "DPD_UK", DHLINT = "DHL_DE"},
            -- For a demo: the default, an hour, is what a deletion and its new import take.
            cancel_wait_ms = tonumber(var("CANCEL_SETTLE_MS", "2000")),
        }},
        stock = {use = "flows.stock", schedules = {
            poll = {every_ms = tonumber(var("STOCK_POLL_MS", "2000"))},
            full = {every_ms = tonumber(var("STOCK_FULL_MS", "500"))},
            send = {every_ms = tonumber(var("STOCK_SEND_MS", "1000"))},
            drift = {every_ms = tonumber(var("STOCK_DRIFT_MS", "1000"))},
        }, settings = {
            merchant_key = "fellside",
            khaos = KHAOS,
            warehouse = "KC-MAIN",
            buffer_field = "Web Buffer",
            kits = { -- Khaos Control Cloud does not say it
                ["FO-KIT-DAY"] = {["FO-JKT-1042-M"] = 1, ["FO-BTL-0750-GRN"] = 1},
                ["LW-GIFTBOX-3"] = {["LW-TEE-NVY-M"] = 1, ["LW-TOTE-GIFT"] = 1},
            },
            -- The demo's delegations come after 200 ms; a real client leaves the lag be.
            order_lag_ms = tonumber(var("ORDER_LAG_MS", "2000")),
            policy = {default = {use_khaos_buffer = true}},
            bulk = {from = 20}, -- a real client leaves it be: a request pays for many figures
        }},
        products = {use = "flows.products", schedules = {
            begin = {every_ms = tonumber(var("PRODUCTS_EVERY_MS", "3000"))},
            step = {every_ms = tonumber(var("PRODUCTS_STEP_MS", "500"))},
        }, settings = {
            merchant_key = "fellside",
            khaos = KHAOS,
            ean_field = "other_ref",
            not_for_web = {"FEE-*", "LW-*", "ROUNDING", "GIFT-WRAP"},
            tell = {missing_in_scayle = false}, -- the demo sells codes that its catalogue lacks
        }},
        khaos_mirror = {use = "flows.khaos_mirror", schedules = {
            refresh = {every_ms = tonumber(var("MIRROR_EVERY_MS", "3000"))},
        }, settings = {khaos = KHAOS}},
        -- What Khaos Control Cloud calls; on-premise nobody does.
        khaos_cloud = {use = "flows.khaos_cloud", settings = {
            khaos = KHAOS,
            public_url = var("PUBLIC_URL", "http://127.0.0.1:8080/demo"),
        }},
    },
}
