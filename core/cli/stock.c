/* neap stock: a stock code's figure with its terms; and drift, what differs in the shop. */
#include <string.h>

#include "core/cli/ask.h"
#include "core/cli/report.h"

static int wish(const struct cli_args *args, const char *word)
{
    struct cli_args more = *args;
    more.words[more.word_count++] = word;
    return cli_ask(&more, "stock");
}

static int drift(const struct cli_args *args)
{
    bool is_fix = cli_has(args, "--fix");
    if (args->word_count > 1 || (is_fix && cli_has(args, "--check"))) {
        return cli_fail(args, CLI_USAGE, "neap stock drift takes --check or --fix and no more");
    }
    if (is_fix || cli_has(args, "--check")) {
        return wish(args, is_fix ? "fix" : "check");
    }
    struct cli_report report = {
        .args = args, .module = "reports.stock_drift", .options = (const char *const[]){NULL}};
    return cli_report(&report);
}

static int run(const struct cli_args *args)
{
    if (args->word_count > 0 && strcmp(args->words[0], "drift") == 0) {
        return drift(args);
    }
    return cli_ask(args, "stock");
}

const struct cli_verb CLI_STOCK = {
    .name = "stock",
    .summary = "what the shop shows of a stock code, and why; what differs there",
    .usage = "neap stock [options] [SKU] | drift [--check | --fix]",
    .details =
        "With SKU: the figure in SCAYLE with its terms (available in Khaos, what accepted orders\n"
        "take that Khaos does not know yet, the buffer, what may be sold below zero, the caps),\n"
        "each with its source and as of when; when it was read, sent and stamped. Without: how\n"
        "many figures wait to be sent and since when, the order that holds them up when what it\n"
        "takes is not known, how far a bulk request and the reading of all codes are.\n"
        "drift: what the newest weekly comparison of all codes found, classified (in flight, "
        "stale,\n"
        "by hand, missing); exit code 1 when something differs. --check compares now, --fix has\n"
        "what differs read in Khaos and sent again; both need the running host.\n"
        "Everything else reads a stopped host's data too.",
    .options =
        (const struct cli_option[]){
            {"--client", "NAME", "only this client"},
            {"--check", NULL, "drift: compare all codes now"},
            {"--fix", NULL, "drift: read and send again what differs"},
            CLI_ACT_OPTIONS,
            CLI_REPORT_OPTIONS,
            {"--scripts", "DIR", "connectors and flows shipped with the host"},
            {NULL, NULL, NULL}},
    .run = run,
};
