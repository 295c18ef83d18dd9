/* neap replay: recorded orders through the scripts as they are now; scripts/reports/replay.lua. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/xalloc.h"
#include "core/cli/report.h"

static int run(const struct cli_args *args)
{
    int64_t since_ms = -1;
    if (!cli_option_instant(args, "--since", &since_ms)) {
        return CLI_USAGE;
    }
    if (args->word_count > 1 || (args->word_count == 0) == (since_ms < 0)) {
        return cli_fail(args, CLI_USAGE,
                        "say which: neap replay ORDER, or neap replay --since "
                        "INSTANT");
    }
    const char *folder = cli_option(args, "--folder");
    char *since = xasprintf("since_ms=%" PRId64, since_ms);
    char *order = xasprintf("order=%s", args->word_count == 0 ? "" : args->words[0]);
    struct cli_report report = {
        .args = args,
        .module = "reports.replay",
        .folder = folder != NULL ? folder : ".",
        .options = (const char *const[]){since, order,
                                         cli_has(args, "--diff") ? "diff=yes" : "diff=", NULL},
    };
    int code = cli_report(&report);
    free(since);
    free(order);
    return code;
}

const struct cli_verb CLI_REPLAY = {
    .name = "replay",
    .summary = "would recorded orders be posted the same by the scripts of today?",
    .usage = "neap replay [options] ORDER | --since INSTANT",
    .details =
        "Maps recorded orders again, as SCAYLE showed them then, with the mappings in --folder "
        "and\n"
        "the scripts in --scripts (edited copies, or those in use). Nothing is sent or written.\n"
        "Differences from the posting of then are summed in money; --diff shows each field.\n"
        "Orders whose documents were erased, or are older than their retention, are counted.\n"
        "Exit code 1 when anything differs.",
    .options =
        (const struct cli_option[]){
            {"--since", "INSTANT", "all orders accepted since: 2026-11-01T00:00:00Z, or a day"},
            {"--folder", "DIR", "the client's folder (default: this one)"},
            {"--diff", NULL, "show the differences field by field"},
            CLI_REPORT_OPTIONS,
            ASIDE_OPTIONS,
            {NULL, NULL, NULL}},
    .run = run,
};
