/* neap products: what the newest comparison of both catalogues found; --check begins one. */
#include <stdlib.h>

#include "core/base/xalloc.h"
#include "core/cli/ask.h"
#include "core/cli/report.h"

static int run(const struct cli_args *args)
{
    bool is_check = cli_has(args, "--check");
    if (args->word_count > (is_check ? 0 : 1)) {
        return cli_fail(args, CLI_USAGE, "neap products takes one SKU or --check");
    }
    if (is_check) {
        struct cli_args more = *args;
        more.words[more.word_count++] = "check";
        return cli_ask(&more, "products");
    }
    char *sku = xasprintf("sku=%s", args->word_count > 0 ? args->words[0] : "");
    char *kind = xasprintf("kind=%s", cli_has(args, "--kind") ? cli_option(args, "--kind") : "");
    struct cli_report report = {.args = args,
                                .module = "reports.products",
                                .options = (const char *const[]){sku, kind, NULL}};
    int code = cli_report(&report);
    free(sku);
    free(kind);
    return code;
}

const struct cli_verb CLI_PRODUCTS = {
    .name = "products",
    .summary = "variants in SCAYLE without a stock code in Khaos, and the other way round",
    .usage = "neap products [options] [SKU | --check]",
    .details =
        "What the newest comparison of both catalogues found, with counts per kind: variants\n"
        "whose code Khaos does not list or spells otherwise (with what was perhaps meant), "
        "without\n"
        "a code, discontinued; stock codes without a variant; duplicates; products that are not\n"
        "live; EANs that differ (docs/flows-products.md). With SKU: all of that code. Exit code 1\n"
        "when variants are there that an order could not be posted with. --check compares now:\n"
        "that needs the running host, and neap products shows how far it is. Everything else\n"
        "reads a stopped host's data too.",
    .options = (const struct cli_option[]){{"--check", NULL, "compare both catalogues now"},
                                           {"--kind", "KIND", "only these, such as spelling"},
                                           {"--client", "NAME", "only this client"},
                                           CLI_ACT_OPTIONS,
                                           CLI_REPORT_OPTIONS,
                                           {"--scripts", "DIR",
                                            "connectors and flows shipped with the host"},
                                           {NULL, NULL, NULL}},
    .run = run,
};
