--- The client of the integration tests: the demo's mappings, every wait short. neap.py copies this
--- file and examples/demo/mappings into a folder of the test's own.

local function number(name, default)
    return tonumber(var(name, tostring(default)))
end

local is_cloud = var("LINE", "soap") == "cloud"
local khaos = {kind = is_cloud and "cloud" or "soap", connection = "khaos", zone = "Europe/London",
    silence_ms = number("SILENCE_MS", 3600000), push_age_ms = number("PUSH_AGE_MS", 2000)}

return {
    name = "demo",
    live_from = "2020-01-01T00:00:00Z",
    zone = "Europe/London",
    connections = {
        scayle = {
            base_url = var("SCAYLE_URL", "http://127.0.0.1:9/scayle/api/admin/v1"),
            headers = {["X-Access-Token"] = secret("SCAYLE_TOKEN")},
            timeout_ms = number("TIMEOUT_MS", 2000),
            breaker_failures = number("BREAKER_FAILURES", 5),
            breaker_cool_ms = number("BREAKER_COOL_MS", 200),
            max_concurrent = number("CONCURRENT", 4),
            settle_ms = 50,
        },
        khaos = {
            base_url = var("KHAOS_URL", "http://127.0.0.1:9/khaos"),
            timeout_ms = number("TIMEOUT_MS", 2000),
            breaker_failures = number("BREAKER_FAILURES", 5),
            breaker_cool_ms = number("BREAKER_COOL_MS", 200),
            max_concurrent = number("CONCURRENT", 4),
            settle_ms = 50,
        },
    },
    auth = {
        delegation = {user = "scayle", password = secret("DELEGATION_PASSWORD")},
        webhook = {user = "scayle", password = secret("DELEGATION_PASSWORD")},
        khaos = {user = "khaos", password = secret("KHAOS_PASSWORD")},
    },
    owners = {default = "operations", unknown_stock_code = "merchandising"},
    retry = {initial_ms = 50, max_ms = number("RETRY_MAX_MS", 300)},
    flows = {
        -- What Khaos Control Cloud calls; on-premise, the mirror asks instead.
        khaos_cloud = is_cloud and {use = "flows.khaos_cloud", schedules = {
            watch = {every_ms = number("CLOUD_WATCH_MS", 300)},
        }, settings = {
            khaos = khaos, poll_silence_ms = number("POLL_SILENCE_MS", 3600000),
            public_url = var("PUBLIC_URL", "http://127.0.0.1:9/demo"),
            format = var("CLOUD_FORMAT", "JSON"), page_size = number("CLOUD_PAGE", 500),
        }} or nil,
        orders = {
            use = "flows.orders",
            schedules = {sweep = {every_ms = number("SWEEP_MS", 1000)}},
            settings = {
                shops = {
                    {shop_key = "fo", country = "GB", shop_country_id = "1412"},
                    {shop_key = "fo", country = "DE", shop_country_id = "1415"},
                    {shop_key = "fo", country = "IE", shop_country_id = "1421"},
                    {shop_key = "fo", country = "CH", shop_country_id = "1430"},
                },
                merchant_key = "fellside",
                khaos = var("AMEND_ADD_ON", "") == "" and khaos
                    or {connection = "khaos", zone = "Europe/London", add_ons = {"amend_order"}},
                delegation_grace_ms = number("GRACE_MS", 60000),
                missing_order_wait_ms = 200,
                read_back_wait_ms = 200,
                fault_wait_ms = 100,
                despatch_promise_hours = 48,
                despatch_flow = "despatch",
                returns_flow = "returns",
                refund_amount_path = "payload.refund.amount",
                refund_id_path = "payload.refund.id",
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
            schedules = {refresh = {every_ms = number("MIRROR_MS", 500)}},
            settings = {khaos = khaos},
        },
        stock = {
            use = "flows.stock",
            schedules = {
                poll = {every_ms = number("STOCK_POLL_MS", 3600000)},
                full = {every_ms = number("STOCK_POLL_MS", 3600000)},
                send = {every_ms = number("STOCK_SEND_MS", 3600000)},
                drift = {every_ms = number("DRIFT_MS", 3600000)},
            },
            settings = {
                khaos = khaos, merchant_key = "fellside", warehouse = "KC-MAIN",
                buffer_field = "Web Buffer", order_lag_ms = number("ORDER_LAG_MS", 1500),
                overlap_ms = 5000, drift_batch = number("DRIFT_BATCH", 500),
                policy = {default = {use_khaos_buffer = true}},
                kits = { -- Khaos Control Cloud does not say it
                    ["FO-KIT-DAY"] = {["FO-JKT-1042-M"] = 1, ["FO-BTL-0750-GRN"] = 1},
                    ["LW-GIFTBOX-3"] = {["LW-TEE-NVY-M"] = 1, ["LW-TOTE-GIFT"] = 1},
                },
                bulk = var("STOCK_BULK", "") ~= ""
                    and {from = 20, chunk = 25, wait_ms = 5000} or nil,
            },
        },
        returns = {
            use = "flows.returns",
            schedules = {sweep = {every_ms = number("RETURNS_SWEEP_MS", 3600000)}},
            settings = {
                merchant_key = "fellside", khaos_return_reason = "6",
                khaos = var("RETURN_ADD_ON", "") == "" and khaos
                    or {connection = "khaos", zone = "Europe/London", add_ons = {"process_return"}},
                refund_wait_ms = number("REFUND_WAIT_MS", 1500),
                tell_goodwill = var("TELL_GOODWILL", "") ~= "",
                shops = {{shop_key = "fo", country = "GB", shop_country_id = "1412"}},
            },
        },
        cancellations = {
            use = "flows.cancellations",
            settings = {merchant_key = "fellside", look_after_ms = number("CANCEL_LOOK_MS", 600000),
                warehouse_ids = var("TWO_WAREHOUSES", "") ~= "" and {31, 32} or nil,
                khaos = var("CANCEL_ADD_ON", "") == "" and khaos
                or {connection = "khaos", zone = "Europe/London", add_ons = {"cancel_order"}},
                wait_ms = 5000},
        },
        despatch = {
            use = "flows.despatch",
            schedules = {poll = {every_ms = number("DESPATCH_MS", 3600000)}},
            settings = {
                khaos = khaos,
                merchant_key = "fellside",
                returns_flow = "returns",
                carriers = {DPD48 = "DPD_UK", DPDND = "DPD_UK", DHLINT = "DHL_DE"},
                tracking_wait_ms = number("TRACKING_MS", 1500),
                cancel_wait_ms = number("SETTLE_MS", 500),
            },
        },
    },
}
