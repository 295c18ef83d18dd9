/* A wish of a person that a flow's next tick takes up: a row in one of its tables, and an entry in
 * the audit chain. */
#ifndef NEAP_CORE_OPS_ADMIN_WISH_H
#define NEAP_CORE_OPS_ADMIN_WISH_H

#include "core/ops/admin_private.h"

struct admin_wish {
    const char *table; /* of the flow */
    const char *seen;  /* a row that is there once the flow has run */
    const char *row;   /* where the wish goes: {"wish": word} */
    const char *word;
    const char *action; /* for the audit chain */
    const char *none;   /* what to say when no client has the flow */
};

/* Puts the wish for every client that is wanted and has the flow; answers for people or as JSON.
 * Needs the running host. */
int admin_put_wish(struct admin_context *c, const struct admin_wish *wish);

#endif
