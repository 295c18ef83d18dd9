/* neap order, neap exceptions, neap status, neap pause, neap resume, neap reload: questions to a
 * host. */
#include "core/cli/ask.h"

static int run_order(const struct cli_args *args)
{
    return cli_ask(args, "order");
}

const struct cli_verb CLI_ORDER = {
    .name = "order",
    .summary = "one order: state, deadlines, causes, timeline and penny trail",
    .usage = "neap order [options] REF",
    .details = "REF is the shop's order number, its public number, the reference in Khaos, the "
               "Khaos order\n"
               "code or the whole key (order:fo:204417). Its parcels, cancellations, cancelled "
               "units, returns and\n"
               "refunds are jobs on keys of their own, shown with it in one timeline. Reads a "
               "stopped host's data too.",
    .options = (const struct cli_option[]){CLI_ASK_OPTIONS, {NULL, NULL, NULL}},
    .run = run_order,
};

static int run_exceptions(const struct cli_args *args)
{
    return cli_ask(args, "exceptions");
}

const struct cli_verb CLI_EXCEPTIONS = {
    .name = "exceptions",
    .summary = "open problems: list, show, retry, release, dismiss",
    .usage = "neap exceptions [ls [CAUSE] | show | retry | release | dismiss CAUSE [SUBJECT]]",
    .details =
        "ls       every open problem with the orders, the money and the first deadline that wait "
        "on it;\n"
        "         exit code 1 when there is one\n"
        "show     one problem and what waits on it\n"
        "retry    runs the waiting orders again now; it stays open until they get past it\n"
        "release  closes it: the waiting orders go on, and are held again if it is still true\n"
        "dismiss  ends the waiting orders unposted: somebody deals with them by hand\n"
        "The last three need --reason and the running host. release outcome_unknown needs "
        "--outcome too:\n"
        "what you found when you looked in the other system.",
    .options =
        (const struct cli_option[]){CLI_ASK_OPTIONS,
                                    CLI_ACT_OPTIONS,
                                    {"--outcome", "happened|absent", "of an effect in doubt"},
                                    {NULL, NULL, NULL}},
    .run = run_exceptions,
};

static int run_status(const struct cli_args *args)
{
    struct cli_args asked = *args;
    if (cli_has(args, "--stuck") && args->word_count == 0) {
        asked.words[asked.word_count++] = "stuck";
    }
    return cli_ask(&asked, "status");
}

const struct cli_verb CLI_STATUS = {
    .name = "status",
    .summary = "health at a glance: every flow, orders, stock, the books",
    .usage = "neap status [options]",
    .details = "Each flow is green, amber (somebody should look) or red (nothing gets through, or "
               "a promise is\n"
               "broken), with why; orders in, posted and held; the oldest not in Khaos; how late "
               "stock is;\n"
               "the last reconciliation and comparison of stock (docs/health.md). Exit code 1 when "
               "a problem\n"
               "is open or a flow is red.",
    .options = (const struct cli_option[]){CLI_ASK_OPTIONS,
                                           {"--stuck", NULL,
                                            "list the orders that do not go on by themselves"},
                                           {NULL, NULL, NULL}},
    .run = run_status,
};

static int run_act(const struct cli_args *args)
{
    return cli_ask(args, args->verb->name);
}

const struct cli_verb CLI_PAUSE = {
    .name = "pause",
    .summary = "stop a flow or a connection, durably, until it is resumed",
    .usage = "neap pause [options] flow|connection NAME",
    .details = "A paused flow accepts events and runs nothing; jobs under way end. Needs the "
               "running host.",
    .options = (const struct cli_option[]){CLI_ASK_OPTIONS, CLI_ACT_OPTIONS, {NULL, NULL, NULL}},
    .run = run_act,
};

const struct cli_verb CLI_RESUME = {
    .name = "resume",
    .summary = "let a paused flow or connection go on",
    .usage = "neap resume [options] flow|connection NAME",
    .options = (const struct cli_option[]){CLI_ASK_OPTIONS, CLI_ACT_OPTIONS, {NULL, NULL, NULL}},
    .run = run_act,
};

const struct cli_verb CLI_RELOAD = {
    .name = "reload",
    .summary = "load the scripts now; says what is wrong with those that do not serve",
    .usage = "neap reload [options]",
    .details = "Saved files are loaded by themselves; this also loads what did not change. Exit "
               "code 1: the new scripts do not serve, the old ones go on.",
    .options = (const struct cli_option[]){CLI_ASK_OPTIONS, CLI_ACT_OPTIONS, {NULL, NULL, NULL}},
    .run = run_act,
};
