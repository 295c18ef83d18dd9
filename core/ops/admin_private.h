/* Shared by the admin_*.c files. */
#ifndef NEAP_CORE_OPS_ADMIN_PRIVATE_H
#define NEAP_CORE_OPS_ADMIN_PRIVATE_H

#include "core/base/json_writer.h"
#include "core/ops/admin.h"

/* One question being answered. */
struct admin_context {
    const struct ops_view *view;
    const struct admin_request *request;
    const struct ops_client *client; /* the one at hand */
    struct buf *out;
    struct json_writer json;
    size_t rows;
};

int admin_order(struct admin_context *c);
int admin_exceptions(struct admin_context *c);
int admin_status(struct admin_context *c);
int admin_pause(struct admin_context *c);
int admin_reload(struct admin_context *c);
int admin_erase(struct admin_context *c);
int admin_products(struct admin_context *c);
int admin_stock(struct admin_context *c);

struct health;
void admin_health_text(struct admin_context *c, const struct health *health);
void admin_health_json(struct admin_context *c, const struct health *health);
/* Orders that are not in Khaos for too long, and those whose job is held or was given up. Returns
 * how many; JSON: an array. */
size_t admin_stuck_list(struct admin_context *c);

/* Owned; NULL when nothing answers to ref, or more than one key does (found_out). */
char *admin_find_key(struct work *work, const char *ref, uint64_t *found_out);

/* Appends a message (as {"error": ...} when JSON is wanted) and returns code. */
int admin_fail(struct admin_context *c, int code, const char *fmt, ...) NEAP_PRINTF(3, 4);
const char *admin_word(const struct admin_context *c, size_t i); /* NULL past the end */
bool admin_wants_client(const struct admin_context *c, const struct ops_client *client);

#endif
