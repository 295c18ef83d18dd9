/* neap stock: a stock code's figure with its terms. */
#include "core/cli/ask.h"

static int run(const struct cli_args *args)
{
    return cli_ask(args, "stock");
}

const struct cli_verb CLI_STOCK = {
    .name = "stock",
    .summary = "what the shop shows of a stock code, and why",
    .usage = "neap stock [options] [SKU]",
    .details = "With SKU: the figure in SCAYLE with its terms (available in Khaos, what accepted "
               "orders take that\n"
               "Khaos does not know yet, the buffer, the caps), when it was read, sent and "
               "stamped.\n"
               "Without: how many figures wait to be sent, and since when. Reads a stopped host's "
               "data too.",
    .options = (const struct cli_option[]){CLI_ASK_OPTIONS, {NULL, NULL, NULL}},
    .run = run,
};
