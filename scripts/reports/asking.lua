--- The flow whose one job is a report that asks other systems (core/cli/report_asking.h).
return {
    name = "report",
    version = 1,
    triggers = {},
    run = function(job)
        local report = require("neap.report") -- not while it loads: only reports have it
        local run, options, flows = report.given()
        report.finish(run(options, flows, job))
    end,
}
