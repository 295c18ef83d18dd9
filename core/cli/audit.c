/* neap audit: what would be held, and what is amiss, before a client goes live;
 * scripts/reports/audit.lua. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/xalloc.h"
#include "core/cli/report.h"

#define MINUTE_MS 60000

struct bounds_given {
    long long orders;
    long long codes;
    long long max_calls;
    long long per_minute;
    long long minutes;
    long long patience_s;
    int64_t since_ms;
};

static bool read_bounds(const struct cli_args *args, struct bounds_given *given)
{
    return cli_option_int(args, "--orders", 1, 1000000, &given->orders) &&
           cli_option_int(args, "--codes", 0, 10000000, &given->codes) &&
           cli_option_int(args, "--max-calls", 1, 100000000, &given->max_calls) &&
           cli_option_int(args, "--per-minute", 1, 60000, &given->per_minute) &&
           cli_option_int(args, "--for", 1, 7LL * 24 * 60, &given->minutes) &&
           cli_option_int(args, "--patience", 0, 3600, &given->patience_s) &&
           cli_option_instant(args, "--since", &given->since_ms);
}

static int run(const struct cli_args *args)
{
    struct bounds_given given = {.orders = 500,
                                 .codes = 500,
                                 .max_calls = 5000,
                                 .per_minute = 120,
                                 .minutes = 60,
                                 .patience_s = 20,
                                 .since_ms = 0};
    if (!read_bounds(args, &given)) {
        return CLI_USAGE;
    }
    if (args->word_count > 1) {
        return cli_fail(args, CLI_USAGE, "one client at a time: neap audit CLIENT_DIR");
    }
    struct clock *clock = clock_new_system();
    int64_t now_ms = clock_wall_ms(clock);
    clock_free(clock);
    char *orders = xasprintf("orders=%lld", given.orders);
    char *codes = xasprintf("codes=%lld", given.codes);
    char *since = xasprintf("since_ms=%" PRId64, given.since_ms);
    char *patience = xasprintf("patience_ms=%lld", given.patience_s * 1000);
    char *now = xasprintf("now_ms=%" PRId64, now_ms);
    struct report_bounds bounds = {
        .max_calls = (uint64_t)given.max_calls,
        .per_minute = (uint32_t)given.per_minute,
        .max_time_ms = given.minutes * MINUTE_MS,
    };
    struct cli_report report = {
        .args = args,
        .module = "reports.audit",
        .folder = args->word_count == 1 ? args->words[0] : ".",
        .options = (const char *const[]){orders, codes, since, patience, now, NULL},
        .bounds = &bounds,
        .at_ms = now_ms,
    };
    int code = cli_report(&report);
    free(orders);
    free(codes);
    free(since);
    free(patience);
    free(now);
    return code;
}

const struct cli_verb CLI_AUDIT = {
    .name = "audit",
    .summary = "before going live: what would be held, what is amiss, in orders and money",
    .usage = "neap audit [options] [CLIENT_DIR]",
    .details =
        "Reads both systems with the client's own connections and settings, and maps real orders "
        "with\n"
        "its own mappings, as if it were live (docs/audit.md). It can only read: nothing that "
        "could\n"
        "change either system is ever sent, no host is needed, no data folder is touched.\n"
        "Bounded by calls, pace and time; what was not looked at is said. Ctrl-C once: the report "
        "of\n"
        "what was seen so far.\n"
        "Exit code 0: nothing found and everything looked at; 1: something found, or not "
        "everything\n"
        "looked at; 4: no report, because a file cannot be written or there is no space below "
        "$TMPDIR.",
    .options =
        (const struct cli_option[]){
            {"--orders", "N", "the newest N orders are mapped (default 500)"},
            {"--since", "INSTANT", "only orders confirmed since: 2026-11-01T00:00:00Z, or a day"},
            {"--codes", "N", "stock figures compared (default 500; 0: none)"},
            {"--html", "FILE", "write the report as one page"},
            {"--csv", "FILE", "write the findings as CSV, a row per finding and object"},
            {"--xlsx", "FILE", "the same as a spreadsheet"},
            {"--max-calls", "N", "calls to both systems together (default 5000)"},
            {"--per-minute", "N", "calls a minute to each system (default 120)"},
            {"--for", "MINUTES", "ask no longer than that (default 60)"},
            {"--patience", "SECONDS", "for one question that is not answered (default 20)"},
            ASIDE_OPTIONS,
            {NULL, NULL, NULL}},
    .run = run,
};
