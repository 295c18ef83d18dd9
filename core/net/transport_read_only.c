/* See transport_read_only.h. A call that may leave is the inner transport's own transfer with a
 * wrapper around its end, one that may not is told so by the loop. */
#define _GNU_SOURCE /* strcasestr */
#include "core/net/transport_read_only.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

#include "core/base/xalloc.h"
#include "core/net/soap_operation.h"

/* What Khaos Control tells without changing anything (its contract, section 1). An operation that
 * is missing here is refused until somebody has read what it does. */
static const char *const READS[] = {
    "ExportCompany",  "ExportInvoices",    "ExportOrderStatus", "ExportOrderStatusEx",
    "ExportOrders",   "ExportStock",       "ExportStockStatus", "GetAgentList",
    "GetCompanyList", "GetCompanyClass",   "GetCountryList",    "GetPriceLists",
    "GetSOPData",     "GetSaleSource",     "GetSiteList",       "GetStockLevels",
    "GetStockList",   "GetStockDataArray", "GetStockPotential", "GetVersion",
};

#define STATUS_TOO_MANY 429
#define STATUS_BROKEN   500

struct transfer {
    TAILQ_ENTRY(transfer) entry;
    struct read_only *owner;
    struct transfer *inner; /* NULL: it was refused, and end_refused will tell */
    struct error err;
    transport_done_cb done;
    void *arg;
};

struct read_only {
    struct transport base;
    struct loop *loop;
    struct transport *inner;
    struct read_only_options options;
    int64_t started_ms;
    bool is_stopped;
    struct read_only_stats stats;
    TAILQ_HEAD(, transfer) transfers;
};

/* ---- What may leave
 * -------------------------------------------------------------------------------- */

static bool is_read(struct bytes operation)
{
    for (size_t i = 0; i < sizeof(READS) / sizeof(READS[0]); i++) {
        if (strlen(READS[i]) == operation.size &&
            memcmp(READS[i], operation.data, operation.size) == 0) {
            return true;
        }
    }
    return false;
}

/* "...#Operation" or "Operation", in quotes or not. */
static bool action_names(const char *action, struct bytes operation)
{
    size_t size = strlen(action);
    if (size >= 2 && action[0] == '"' && action[size - 1] == '"') {
        action++;
        size -= 2;
    }
    if (size < operation.size ||
        memcmp(action + size - operation.size, operation.data, operation.size) != 0) {
        return false;
    }
    return size == operation.size || strchr("#/:.", action[size - operation.size - 1]) != NULL;
}

/* Servers that take the method from a header. */
static bool has_override(const struct http_headers *headers)
{
    static const char *const NAMES[] = {"X-HTTP-Method-Override", "X-HTTP-Method",
                                        "X-Method-Override"};
    for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
        if (http_headers_count(headers, NAMES[i]) > 0) {
            return true;
        }
    }
    return false;
}

/* The server reads the very bytes that were looked at: UTF-8, not packed. */
static bool is_plain_utf8(const struct http_headers *headers)
{
    const char *type = http_headers_get(headers, "Content-Type");
    const char *charset = type == NULL ? NULL : strcasestr(type, "charset");
    bool is_utf8 = charset == NULL || strcasecmp(charset, "charset=utf-8") == 0 ||
                   strcasecmp(charset, "charset=\"utf-8\"") == 0;
    return is_utf8 && http_headers_count(headers, "Content-Type") <= 1 &&
           http_headers_count(headers, "Content-Encoding") == 0;
}

bool read_only_allows(const struct http_request *request)
{
    if (has_override(&request->headers)) {
        return false;
    }
    if (strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0) {
        return request->body_size == 0;
    }
    struct bytes operation;
    const char *action = http_headers_get(&request->headers, "SOAPAction");
    return strcmp(request->method, "POST") == 0 && action != NULL &&
           http_headers_count(&request->headers, "SOAPAction") == 1 &&
           is_plain_utf8(&request->headers) &&
           soap_operation(bytes_of(request->body, request->body_size), &operation) &&
           is_read(operation) && action_names(action, operation);
}

static const char *over(const struct read_only *t)
{
    const struct read_only_options *o = &t->options;
    int64_t spent_ms = clock_mono_ms(loop_clock(t->loop)) - t->started_ms;
    if (t->is_stopped) {
        return "stopped";
    } else if (o->max_calls > 0 && t->stats.calls >= o->max_calls) {
        return "calls";
    }
    return o->max_time_ms > 0 && spent_ms >= o->max_time_ms ? "time" : NULL;
}

/* 0 when it may leave. */
static int check(struct read_only *t, const struct http_request *request, struct error *err)
{
    if (!read_only_allows(request)) {
        t->stats.refused++;
        return error_set(err, ERROR_INVALID,
                         "%s %s could change the other system and this run only reads: not sent",
                         request->method, request->url);
    }
    const char *why = over(t);
    if (why == NULL) {
        return 0;
    }
    return strcmp(why, "stopped") == 0
               ? error_set(err, ERROR_CANCELLED, "not sent: the run was stopped")
               : error_set(err, ERROR_LIMIT, "not sent: the budget of %s is used up", why);
}

/* ---- Transfers
 * ------------------------------------------------------------------------------------- */

static void transfer_free(struct transfer *x)
{
    TAILQ_REMOVE(&x->owner->transfers, x, entry);
    free(x);
}

static void end_refused(void *arg)
{
    struct transfer *x = arg;
    struct transfer copy = *x;
    transfer_free(x);
    copy.done(copy.arg, NULL, &copy.err);
}

static void on_done(void *arg, struct http_answer *answer, const struct error *err)
{
    struct transfer *x = arg;
    struct transfer copy = *x;
    if (answer == NULL || answer->status == STATUS_TOO_MANY || answer->status >= STATUS_BROKEN) {
        x->owner->stats.failed++;
    }
    transfer_free(x);
    copy.done(copy.arg, answer, err);
}

static struct transfer *start(struct transport *base, const struct http_request *request,
                              const struct transport_policy *policy, transport_done_cb done,
                              void *arg)
{
    struct read_only *t = (struct read_only *)base;
    struct transfer *x = xcalloc(1, sizeof(*x));
    x->owner = t;
    x->done = done;
    x->arg = arg;
    TAILQ_INSERT_TAIL(&t->transfers, x, entry);
    if (check(t, request, &x->err) != 0) {
        loop_defer(t->loop, end_refused, x);
        return x;
    }
    t->stats.calls++;
    x->inner = t->inner->ops->start(t->inner, request, policy, on_done, x);
    return x;
}

static void forget(struct transfer *x)
{
    struct read_only *t = x->owner;
    if (x->inner == NULL) {
        loop_defer_cancel(t->loop, end_refused, x);
    } else {
        t->inner->ops->cancel(t->inner, x->inner);
    }
    transfer_free(x);
}

static void cancel(struct transport *base, struct transfer *x)
{
    (void)base;
    forget(x);
}

static void free_all(struct transport *base)
{
    struct read_only *t = (struct read_only *)base;
    while (!TAILQ_EMPTY(&t->transfers)) {
        /* Takes itself off the list, which the analyzer cannot follow. */
        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc)
        forget(TAILQ_FIRST(&t->transfers));
    }
    transport_free(t->inner);
    free(t);
}

static const struct transport_ops OPS = {start, cancel, free_all};

struct transport *transport_read_only_new(struct loop *loop, struct transport *inner,
                                          const struct read_only_options *options)
{
    struct read_only *t = xcalloc(1, sizeof(*t));
    t->base.ops = &OPS;
    t->loop = loop;
    t->inner = inner;
    t->options = *options;
    t->started_ms = clock_mono_ms(loop_clock(loop));
    TAILQ_INIT(&t->transfers);
    return &t->base;
}

void transport_read_only_stop(struct transport *base)
{
    ((struct read_only *)base)->is_stopped = true;
}

void transport_read_only_stats(const struct transport *base, struct read_only_stats *out)
{
    const struct read_only *t = (const struct read_only *)base;
    *out = t->stats;
    out->over = over(t);
}
