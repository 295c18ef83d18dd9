/* /healthz and /metrics. */
#ifndef NEAP_CORE_OPS_METRICS_PAGE_H
#define NEAP_CORE_OPS_METRICS_PAGE_H

#include "core/ops/admin.h"

/* JSON; returns the status: 200, or 503 while draining or when every client is full. */
int health_page(const struct ops_view *view, struct buf *out);

/* Prometheus text exposition format 0.0.4. No client data, only names of clients and connections.
 */
void metrics_page(const struct ops_view *view, struct buf *out);

#endif
