--- The products flow: Khaos is the item master, so every variant in SCAYLE has a stock code that
--- Khaos lists, before anybody can order it.
---
--- "begin" (nightly) starts a comparison of both catalogues, "step" goes on with it a piece at a
--- time, and looks at new codes of Khaos between comparisons. `neap products` shows what the newest
--- one found. docs/flows-products.md
local create = require("flows.product_stages.create")
local khaos_line = require("flows.khaos_line")
local mapping = require("flows.product_stages.mapping")
local news = require("flows.product_stages.news")
local rehearse = require("flows.product_stages.rehearse")
local store = require("neap.store")
local sweep = require("flows.product_stages.sweep")
local tables = require("flows.product_stages.tables")

local SECOND_MS = 1000

local fields = {
    khaos = khaos_line.schema(),
    scayle = {type = "record", default = {}, fields = {
        connection = {type = "string", default = "scayle"}}},
    merchant_key = {type = "string", required = true,
        help = "variants of other merchants are left alone"},
    page_size = {type = "integer", min = 1, default = 100, help = "products asked for at a time"},
    with = {type = "string", default = "",
        help = "what SCAYLE's list of products wants to hear to give variants, if anything"},
    calls_per_minute = {type = "integer", min = 1, default = 120,
        help = "pages of products read in a minute; SCAYLE allows 1000 reads of products"},
    quota_left_percent = {type = "integer", min = 0, max = 99, default = 30,
        help = "of SCAYLE's quota for reading products, left to others"},
    composites = {type = "boolean", default = true, help = "bundles have a stock code too"},
    ean_field = {type = "string", enum = {"none", "other_ref"}, default = "none",
        help = "where Khaos keeps the EAN: as the item's other reference, or nowhere"},
    not_for_web = {type = "list", items = {type = "string", min_length = 1}, default = {},
        help = "codes of Khaos that SCAYLE needs no variant of: \"ROUNDING\", \"FEE-*\""},
    step_rows = {type = "integer", min = 1, default = 20000,
        help = "rows of both catalogues compared in one step"},
    ask_batch = {type = "integer", min = 1, max = 500, default = 150,
        help = "codes without a variant that Khaos is asked about in one step"},
    ask_max = {type = "integer", min = 0, default = 20000,
        help = "and in one comparison; more are told without having been asked about"},
    exceptions_max = {type = "integer", min = 0, max = 1000, default = 25,
        help = "variants without a stock code that are told one by one; more: as one exception"},
    tell = {type = "record", default = {}, fields = {
        missing_in_scayle = {type = "boolean", default = true},
        duplicate_in_scayle = {type = "boolean", default = true},
        duplicate_in_khaos = {type = "boolean", default = true},
        ean_differs = {type = "boolean", default = true},
    }, help = "what is an exception; all of it is in the report"},
    create = {type = "record", default = {}, fields = {
        mode = {type = "string", enum = {"off", "propose", "draft"}, default = "off",
            help = "variants for codes without one: not at all, after a person's approval, or as "
                .. "soon as they can be"},
        limit = {type = "integer", min = 1, default = 20,
            help = "at most so many new ones after one comparison"},
        into_live = {type = "boolean", default = false,
            help = "also into products that are live, where they are on sale at once"},
    }},
    mapping = mapping.schema,
}

-- The row "here" tells the host that there is somebody to take a wish.
local function selftest(settings)
    if settings.create.mode == "off" then
        return
    elseif not settings.mapping then
        error("settings.create: without settings.mapping (mappings/products.lua) nothing can be "
            .. "created", 0)
    elseif khaos_line.kind(settings.khaos) ~= "soap" then
        error("settings.create: Khaos Control Cloud does not show what a variant needs; set mode "
            .. "to \"off\"", 0)
    end
end

local function take_wish(job)
    if not store.get(tables.STATE, "here") then
        store.put(tables.STATE, "here", true)
    end
    if store.get(tables.STATE, "wish") then
        store.delete(tables.STATE, "wish")
        sweep.begin(job)
    end
end

local flow = {
    name = "products",
    version = 1,
    schema = {type = "record", fields = fields},
    cases = rehearse.CASES,
    triggers = {
        {kind = "schedule", name = "begin", cron = "30 2 * * *"},
        {kind = "schedule", name = "step", every_ms = 5 * SECOND_MS},
        {kind = "act"},
    },
    run = function(job)
        if job.event.name == "schedule.begin" then
            sweep.begin(job)
        elseif job.event.name == "schedule.step" then
            take_wish(job)
            if sweep.step(job) then
                news.run(job)
            end
        elseif job.key:find("^variant:") then
            create.run(job)
        end
    end,
    selftest = selftest,
}

flow.rehearse = rehearse.of(flow)

return flow
