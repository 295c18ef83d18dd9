/* neap reconcile: order to cash as of a moment; scripts/reports/reconcile.lua does the sums. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/xalloc.h"
#include "core/cli/files.h"
#include "core/cli/report.h"
#include "core/ops/health.h"

/* For `neap status`: a file beside the store, because this only reads the store. */
static void keep_result(const struct cli_report *report, const char *client, bool is_ok)
{
    struct clock *clock = clock_new_system();
    char *path = xasprintf("%s/%s" HEALTH_RECONCILED_FILE, cli_data_folder(report->args), client);
    char *text = xasprintf("{\"as_of_ms\":%" PRId64 ",\"at_ms\":%" PRId64 ",\"ties\":%s}\n",
                           report->at_ms, clock_wall_ms(clock), is_ok ? "true" : "false");
    char *next = xasprintf("%s.new", path);
    if (files_write(next, bytes_str(text), true) != 0 || rename(next, path) != 0) {
        fprintf(stderr, "neap reconcile: %s cannot be written: neap status does not know\n", path);
    }
    free(next);
    free(text);
    free(path);
    clock_free(clock);
}

static int run(const struct cli_args *args)
{
    struct clock *clock = clock_new_system();
    int64_t now_ms = clock_wall_ms(clock);
    int64_t at_ms = now_ms;
    int64_t from_ms = 0;
    clock_free(clock);
    if (!cli_option_instant(args, "--as-of", &at_ms) ||
        !cli_option_instant(args, "--from", &from_ms)) {
        return CLI_USAGE;
    }
    if (at_ms > now_ms) {
        return cli_fail(args, CLI_USAGE, "--as-of lies in the future");
    }
    char *at = xasprintf("as_of_ms=%" PRId64, at_ms);
    char *from = xasprintf("from_ms=%" PRId64, from_ms);
    const char *only = cli_has(args, "--differences") ? "only=differences" : "only=";
    struct cli_report report = {
        .args = args,
        .module = "reports.reconcile",
        .options = (const char *const[]){at, from, only, NULL},
        .at_ms = at_ms,
        .on_end = from_ms == 0 ? keep_result : NULL, /* a part is not the books */
    };
    int code = cli_report(&report);
    free(at);
    free(from);
    return code;
}

const struct cli_verb CLI_RECONCILE = {
    .name = "reconcile",
    .summary = "order to cash as of any moment: what ties, and why the rest does not",
    .usage = "neap reconcile [options]",
    .details =
        "SCAYLE order, Khaos order, invoice, payment, refund, credit note: per company, currency\n"
        "and VAT code, every difference classified (docs/flows-reconcile.md). Reads what the "
        "flows\n"
        "remember, also beside a running host; asks no other system. The same --as-of gives the\n"
        "same bytes, for a moment at least ten seconds past. Exit code 1 when something differs;\n"
        "orders in flight or held do not.",
    .options =
        (const struct cli_option[]){
            {"--as-of", "INSTANT", "such as 2026-11-30T23:59:59Z, or a day (default: now)"},
            {"--from", "INSTANT", "only orders accepted since"},
            {"--differences", NULL, "rows of orders that differ only; the sums are of all"},
            {"--client", "NAME", "whose, when the data folder holds several"},
            CLI_REPORT_OPTIONS,
            {"--scripts", "DIR", "connectors and flows shipped with the host"},
            {NULL, NULL, NULL}},
    .run = run,
};
