/* Shared by health.c and health_tables.c. */
#ifndef NEAP_CORE_OPS_HEALTH_PRIVATE_H
#define NEAP_CORE_OPS_HEALTH_PRIVATE_H

#include "core/ops/health.h"

/* What the shipped flows know: orders (but for held), stock, reconciled, drift. */
void health_read_tables(const struct ops_view *view, const struct ops_client *client,
                        struct health *health);

#endif
