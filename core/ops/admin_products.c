/* neap products --check: a wish that the products flow's next tick takes up. What was found is a
 * report (scripts/reports/products.lua). */
#include <string.h>

#include "core/ops/admin_wish.h"

int admin_products(struct admin_context *c)
{
    const char *word = admin_word(c, 1);
    if (word == NULL || strcmp(word, "check") != 0) {
        return admin_fail(c, ADMIN_USAGE, "products takes check");
    }
    return admin_put_wish(
        c, &(struct admin_wish){.table = "product_state",
                                .seen = "here",
                                .row = "wish",
                                .word = "check",
                                .action = "products",
                                .none = "no client has a products flow that has run"});
}
