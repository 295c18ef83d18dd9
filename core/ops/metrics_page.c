/* Health and metrics. Each metric is one line of a table, so that names and help stay together. */
#include "core/ops/metrics_page.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/descriptors.h"
#include "core/base/json_writer.h"
#include "core/base/xalloc.h"
#include "core/ops/health.h"
#include "core/work/exception.h"
#include "core/work/job.h"
#include "neap/version.h"

int health_page(const struct ops_view *view, struct buf *out)
{
    size_t full = 0;
    struct json_writer w;
    json_writer_init(&w, out);
    json_object_begin(&w);
    json_member_str(&w, "version", neap_version());
    json_member_bool(&w, "draining", view->is_draining);
    json_key(&w, "clients");
    json_object_begin(&w);
    for (size_t i = 0; i < view->count; i++) {
        const struct ops_client *c = &view->clients[i];
        bool is_full = work_is_full(c->work);
        bool has_error = c->load_error != NULL && c->load_error[0] != '\0';
        json_member_str(&w, c->name, is_full ? "full" : has_error ? "old scripts" : "ok");
        full += is_full ? 1 : 0;
    }
    for (size_t i = 0; i < view->absent_count; i++) {
        json_member_str(&w, view->absent[i].folder, "not served: its scripts do not load");
    }
    json_object_end(&w);
    json_object_end(&w);
    buf_add_char(out, '\n');
    /* One full client is no reason to restart the others: a probe looks at the status alone. */
    bool serves_nobody = view->count > 0 && full == view->count;
    return view->is_draining || serves_nobody ? 503 : 200;
}

struct metric {
    const char *name;
    const char *type;
    const char *help;
    size_t offset; /* in struct work_stats */
};

#define WORK_METRIC(field, help)                                                                   \
    {                                                                                              \
        "neap_" #field "_total", "counter", help, offsetof(struct work_stats, field)               \
    }

static const struct metric WORK_METRICS[] = {
    WORK_METRIC(accepted, "Events accepted."),
    WORK_METRIC(duplicates, "Events answered like the first time."),
    WORK_METRIC(slices, "Slices run."),
    WORK_METRIC(done, "Jobs done."),
    WORK_METRIC(failed, "Slices that raised."),
    WORK_METRIC(retried, "Retries planned."),
    WORK_METRIC(held, "Holds."),
    WORK_METRIC(dead, "Jobs given up."),
    WORK_METRIC(released, "Jobs released."),
    WORK_METRIC(commits, "Commits."),
    WORK_METRIC(turns_dropped, "Turns dropped for want of space."),
    WORK_METRIC(quarantined, "Broken records skipped."),
    WORK_METRIC(ticks, "Schedule ticks."),
    WORK_METRIC(ticks_skipped, "Schedule ticks skipped: overlapping or paused."),
    WORK_METRIC(preempted, "Slices preempted."),
};

static void head(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void work_metrics(const struct ops_view *view, struct buf *out)
{
    for (size_t m = 0; m < sizeof(WORK_METRICS) / sizeof(WORK_METRICS[0]); m++) {
        const struct metric *metric = &WORK_METRICS[m];
        head(out, metric->name, metric->type, metric->help);
        for (size_t i = 0; i < view->count; i++) {
            uint64_t value = 0;
            memcpy(&value, (const char *)work_stats(view->clients[i].work) + metric->offset,
                   sizeof(value));
            buf_addf(out, "%s{client=\"%s\"} %" PRIu64 "\n", metric->name, view->clients[i].name,
                     value);
        }
    }
}

static int count_exception(void *arg, const struct exception *e)
{
    (void)e;
    (*(uint64_t *)arg)++;
    return 0;
}

static void job_metrics(const struct ops_view *view, struct buf *out)
{
    struct buf ages; /* the lines of one metric stand together */
    buf_init(&ages, out->max);
    head(out, "neap_jobs", "gauge", "Jobs by state.");
    head(&ages, "neap_oldest_job_seconds", "gauge", "Age of the oldest job that is not done.");
    for (size_t i = 0; i < view->count; i++) {
        struct job_counts counts;
        memset(&counts, 0, sizeof(counts));
        if (job_count(view->clients[i].work, &counts) != 0) {
            continue;
        }
        for (int s = 0; s < JOB_STATE_COUNT; s++) {
            buf_addf(out, "neap_jobs{client=\"%s\",state=\"%s\"} %" PRIu64 "\n",
                     view->clients[i].name, job_state_name((enum job_state)s), counts.by_state[s]);
        }
        int64_t age = counts.oldest_ready_ms == 0 ? 0 : view->now_ms - counts.oldest_ready_ms;
        buf_addf(&ages, "neap_oldest_job_seconds{client=\"%s\"} %" PRId64 "\n",
                 view->clients[i].name, age / 1000);
    }
    buf_add(out, buf_text(&ages), ages.size);
    buf_free(&ages);
    head(out, "neap_exceptions", "gauge", "Open exceptions.");
    for (size_t i = 0; i < view->count; i++) {
        uint64_t open = 0;
        exception_each(view->clients[i].work, NULL, count_exception, &open);
        buf_addf(out, "neap_exceptions{client=\"%s\"} %" PRIu64 "\n", view->clients[i].name, open);
    }
}

static void store_metrics(const struct ops_view *view, struct buf *out)
{
    head(out, "neap_store_bytes", "gauge", "Bytes used in the client's store.");
    for (size_t i = 0; i < view->count; i++) {
        struct store_stats stats;
        store_stats(work_store(view->clients[i].work), &stats);
        buf_addf(out, "neap_store_bytes{client=\"%s\"} %" PRIu64 "\n", view->clients[i].name,
                 stats.used_bytes);
    }
}

/* name="value"; names of connections may hold anything. */
static void add_label(struct buf *out, const char *name, const char *value)
{
    buf_addf(out, "%s=\"", name);
    for (const char *c = value; *c != '\0'; c++) {
        if (*c == '\n') {
            buf_add_str(out, "\\n");
        } else {
            buf_addf(out, "%s%c", *c == '"' || *c == '\\' ? "\\" : "", *c);
        }
    }
    buf_add_char(out, '"');
}

static void add_connection(struct buf *out, const char *metric, const struct ops_client *c,
                           size_t n)
{
    buf_addf(out, "%s{", metric);
    add_label(out, "client", c->name);
    buf_add_char(out, ',');
    add_label(out, "connection", connection_options(c->connections[n])->name);
}

static uint64_t connection_failed(const struct connection *c)
{
    struct connection_stats stats;
    connection_stats(c, &stats);
    return stats.failed;
}

static uint64_t connection_queued(const struct connection *c)
{
    struct connection_stats stats;
    connection_stats(c, &stats);
    return stats.queued;
}

static uint64_t connection_is_up(const struct connection *c)
{
    return connection_breaker(c) == BREAKER_CLOSED ? 1 : 0;
}

static const struct {
    const char *name;
    const char *type;
    const char *help;
    uint64_t (*value)(const struct connection *c);
} CONNECTION_METRICS[] = {
    {"neap_connection_failed_total", "counter", "Requests without an answer.", connection_failed},
    {"neap_connection_queued", "gauge", "Requests that wait to be sent.", connection_queued},
    {"neap_connection_up", "gauge", "1 while the connection is not down.", connection_is_up},
};

static void connection_answers(const struct ops_view *view, struct buf *out)
{
    static const char NAME[] = "neap_connection_answers_total";
    head(out, NAME, "counter", "Answers by status class.");
    for (size_t i = 0; i < view->count; i++) {
        const struct ops_client *c = &view->clients[i];
        for (size_t n = 0; n < c->connection_count; n++) {
            struct connection_stats stats;
            connection_stats(c->connections[n], &stats);
            for (int class = 1; class < 6; class ++) {
                add_connection(out, NAME, c, n);
                buf_addf(out, ",class=\"%dxx\"} %" PRIu64 "\n", class, stats.by_class[class]);
            }
        }
    }
}

static void connection_metrics(const struct ops_view *view, struct buf *out)
{
    connection_answers(view, out);
    for (size_t m = 0; m < sizeof(CONNECTION_METRICS) / sizeof(CONNECTION_METRICS[0]); m++) {
        const char *name = CONNECTION_METRICS[m].name;
        head(out, name, CONNECTION_METRICS[m].type, CONNECTION_METRICS[m].help);
        for (size_t i = 0; i < view->count; i++) {
            const struct ops_client *c = &view->clients[i];
            for (size_t n = 0; n < c->connection_count; n++) {
                add_connection(out, name, c, n);
                buf_addf(out, "} %" PRIu64 "\n", CONNECTION_METRICS[m].value(c->connections[n]));
            }
        }
    }
}

static void absent_metrics(const struct ops_view *view, struct buf *out)
{
    static const char NAME[] = "neap_clients_absent";
    head(out, NAME, "gauge", "Clients that are not served because their scripts do not load.");
    buf_addf(out, "%s %zu\n", NAME, view->absent_count);
}

static void reload_metrics(const struct ops_view *view, struct buf *out)
{
    static const char NAME[] = "neap_reloads_total";
    head(out, NAME, "counter", "Scripts loaded while running, by what came of it.");
    for (size_t i = 0; i < view->count; i++) {
        const struct ops_client *c = &view->clients[i];
        buf_addf(out, "%s{client=\"%s\",result=\"served\"} %" PRIu64 "\n", NAME, c->name,
                 c->reloads);
        buf_addf(out, "%s{client=\"%s\",result=\"refused\"} %" PRIu64 "\n", NAME, c->name,
                 c->reloads_failed);
    }
    head(out, "neap_reload_microseconds", "gauge",
         "How long the newest reload took, from the first look at the files to the swap.");
    for (size_t i = 0; i < view->count; i++) {
        buf_addf(out, "neap_reload_microseconds{client=\"%s\"} %" PRId64 "\n",
                 view->clients[i].name, view->clients[i].reload_us);
    }
    head(out, "neap_generations", "gauge",
         "Versions of the scripts alive: one, or two for a while.");
    for (size_t i = 0; i < view->count; i++) {
        buf_addf(out, "neap_generations{client=\"%s\"} %u\n", view->clients[i].name,
                 view->clients[i].generations);
    }
    head(out, "neap_script_bytes", "gauge", "Memory of the client's Lua states.");
    for (size_t i = 0; i < view->count; i++) {
        buf_addf(out, "neap_script_bytes{client=\"%s\"} %zu\n", view->clients[i].name,
                 view->clients[i].script_bytes);
    }
    head(out, "neap_scripts_refused", "gauge", "1 while the newest scripts do not serve.");
    for (size_t i = 0; i < view->count; i++) {
        const char *error = view->clients[i].load_error;
        buf_addf(out, "neap_scripts_refused{client=\"%s\"} %d\n", view->clients[i].name,
                 error != NULL && error[0] != '\0');
    }
}

static void answer_metrics(const struct ops_view *view, struct buf *out)
{
    head(out, "neap_http_answers_total", "counter", "Answers to outside requests, by status.");
    for (size_t i = 0; i < view->count; i++) {
        const struct ops_client *c = &view->clients[i];
        for (size_t status = 0; c->answers != NULL && status < c->answers_size; status++) {
            if (c->answers[status] > 0) {
                buf_addf(out, "neap_http_answers_total{client=\"%s\",status=\"%zu\"} %" PRIu64 "\n",
                         c->name, status, c->answers[status]);
            }
        }
    }
}

static void refusal_metrics(const struct ops_view *view, struct buf *out)
{
    static const char NAME[] = "neap_http_refused_total";
    head(out, NAME, "counter", "Requests that reached no client, by status.");
    for (size_t status = 0; view->refused != NULL && status < view->refused_size; status++) {
        if (view->refused[status] > 0) {
            buf_addf(out, "%s{status=\"%zu\"} %" PRIu64 "\n", NAME, status, view->refused[status]);
        }
    }
}

static void descriptor_metrics(const struct ops_view *view, struct buf *out)
{
    uint64_t open = 0;
    uint64_t max = 0;
    descriptors_count(&open, &max);
    head(out, "neap_accept_failures_total", "counter",
         "Times no connection could be accepted, for want of file descriptors.");
    buf_addf(out, "neap_accept_failures_total %" PRIu64 "\n", view->accept_failures);
    head(out, "neap_descriptors_open", "gauge", "File descriptors in use.");
    buf_addf(out, "neap_descriptors_open %" PRIu64 "\n", open);
    head(out, "neap_descriptors_max", "gauge", "File descriptors the process may have.");
    buf_addf(out, "neap_descriptors_max %" PRIu64 "\n", max);
}

/* ---- Health: one row for each figure, NULL where a client has none
 * ----------------------------------- */

struct health_metric {
    const char *name;
    const char *help;
    bool (*value)(const struct health *h, int64_t now_ms, int64_t *value_out);
};

#define ORDER_METRIC(field)                                                                        \
    static bool orders_##field(const struct health *h, int64_t now_ms, int64_t *value_out)         \
    {                                                                                              \
        (void)now_ms;                                                                              \
        *value_out = (int64_t)h->orders.field;                                                     \
        return h->orders.is_known;                                                                 \
    }
ORDER_METRIC(in_24h)
ORDER_METRIC(posted_24h)
ORDER_METRIC(held)
ORDER_METRIC(waiting)
ORDER_METRIC(stuck)

static bool oldest_order(const struct health *h, int64_t now_ms, int64_t *value_out)
{
    *value_out = h->orders.oldest_ms == 0 ? 0 : (now_ms - h->orders.oldest_ms) / 1000;
    return h->orders.is_known;
}

static bool stock_due(const struct health *h, int64_t now_ms, int64_t *value_out)
{
    (void)now_ms;
    *value_out = (int64_t)h->stock.waiting;
    return h->stock.is_known;
}

static bool stock_lag(const struct health *h, int64_t now_ms, int64_t *value_out)
{
    (void)now_ms;
    *value_out = h->stock.lag_ms / 1000;
    return h->stock.is_known;
}

static bool since(int64_t at_ms, int64_t now_ms, int64_t *value_out)
{
    *value_out = (now_ms - at_ms) / 1000;
    return at_ms != 0;
}

static bool stock_full(const struct health *h, int64_t now_ms, int64_t *value_out)
{
    return since(h->stock.full_ms, now_ms, value_out);
}

static bool reconciled(const struct health *h, int64_t now_ms, int64_t *value_out)
{
    return since(h->reconciled.at_ms, now_ms, value_out);
}

static bool reconciled_ties(const struct health *h, int64_t now_ms, int64_t *value_out)
{
    (void)now_ms;
    *value_out = h->reconciled.ties;
    return h->reconciled.at_ms != 0;
}

static bool drift_wrong(const struct health *h, int64_t now_ms, int64_t *value_out)
{
    (void)now_ms;
    *value_out = h->drift.wrong;
    return h->drift.at_ms != 0;
}

static const struct health_metric HEALTH_METRICS[] = {
    {"neap_orders_in_day", "Orders accepted in 24 hours.", orders_in_24h},
    {"neap_orders_posted_day", "Orders posted to Khaos in 24 hours.", orders_posted_24h},
    {"neap_orders_held", "Orders held now.", orders_held},
    {"neap_orders_waiting", "Orders accepted and not in Khaos, held ones too.", orders_waiting},
    {"neap_orders_stuck", "Of these, for longer than the orders flow allows.", orders_stuck},
    {"neap_oldest_order_seconds", "Age of the oldest of these.", oldest_order},
    {"neap_stock_due", "Stock figures that are not in the shop yet.", stock_due},
    {"neap_stock_lag_seconds", "How long the oldest of these is due.", stock_lag},
    {"neap_stock_full_age_seconds", "Since all of Khaos's stock was read.", stock_full},
    {"neap_reconciled_age_seconds", "Since the newest reconciliation.", reconciled},
    {"neap_reconciled_ties", "1 when it tied.", reconciled_ties},
    {"neap_stock_drift", "Stock codes that differed at the newest comparison.", drift_wrong},
};

static void health_metrics(const struct ops_view *view, struct buf *out)
{
    struct health *all = xcalloc(view->count, sizeof(*all));
    head(out, "neap_flow_health", "gauge", "0 green, 1 amber, 2 red.");
    for (size_t i = 0; i < view->count; i++) {
        health_read(view, &view->clients[i], &all[i]);
        for (size_t f = 0; f < all[i].flow_count; f++) {
            buf_addf(out, "neap_flow_health{client=\"%s\",flow=\"%s\"} %d\n", view->clients[i].name,
                     all[i].flows[f].name, (int)all[i].flows[f].colour);
        }
    }
    for (size_t m = 0; m < sizeof(HEALTH_METRICS) / sizeof(HEALTH_METRICS[0]); m++) {
        const struct health_metric *metric = &HEALTH_METRICS[m];
        head(out, metric->name, "gauge", metric->help);
        for (size_t i = 0; i < view->count; i++) {
            int64_t value;
            if (metric->value(&all[i], view->now_ms, &value)) {
                buf_addf(out, "%s{client=\"%s\"} %" PRId64 "\n", metric->name,
                         view->clients[i].name, value);
            }
        }
    }
    for (size_t i = 0; i < view->count; i++) {
        health_free(&all[i]);
    }
    free(all);
}

void metrics_page(const struct ops_view *view, struct buf *out)
{
    head(out, "neap_start_time_seconds", "gauge", "When the host started, UTC.");
    buf_addf(out, "neap_start_time_seconds %" PRId64 "\n", view->started_ms / 1000);
    work_metrics(view, out);
    job_metrics(view, out);
    health_metrics(view, out);
    store_metrics(view, out);
    absent_metrics(view, out);
    reload_metrics(view, out);
    answer_metrics(view, out);
    refusal_metrics(view, out);
    descriptor_metrics(view, out);
    connection_metrics(view, out);
}
