/* Nothing that could change the other side leaves, and no more than the budget. */
#include "core/net/transport_read_only.h"

#include "tests/support/net_world.h"

#define SOAP(operation)                                                                            \
    "<Envelope><Body><N:" operation " xmlns:N=\"u\"><a>1</a></N:" operation "></Body></Envelope>"

static struct transport *open_guarded(struct net_world *w, uint64_t max_calls, int64_t max_time_ms)
{
    struct read_only_options options = {max_calls, max_time_ms};
    net_open(w, false, NULL);
    w->transport = transport_read_only_new(w->loop, w->transport, &options);
    return w->transport;
}

/* One request through; the outcome in r, 0 or the status. */
static void ask(struct net_world *w, const char *method, const char *action, const char *body,
                struct net_result *r)
{
    static const struct transport_policy plain = {0};
    struct http_request request = net_request(w, method, "/echo", body);
    if (action != NULL) {
        CHECK_INT(http_headers_add(&request.headers, "SOAPAction", action), 0);
    }
    memset(r, 0, sizeof(*r));
    w->transport->ops->start(w->transport, &request, &plain, net_on_done, r);
    CHECK_INT(r->count, 0); /* never at once */
    net_run(w, &r->count, 1);
    http_request_free(&request);
}

static void test_what_leaves(void)
{
    static const struct {
        const char *method;
        const char *action;
        const char *body;
        bool leaves;
    } cases[] = {
        {"GET", NULL, NULL, true},
        {"HEAD", NULL, NULL, true},
        {"GET", NULL, "a body", false},
        {"POST", NULL, NULL, false},
        {"PUT", NULL, "{}", false},
        {"PATCH", NULL, "{}", false},
        {"DELETE", NULL, NULL, false},
        {"get", NULL, NULL, false},
        {"MAIL", NULL, "x", false},
        {"POST", "\"urn:x#ExportStock\"", SOAP("ExportStock"), true},
        {"POST", "GetStockList", SOAP("GetStockList"), true},
        {"POST", NULL, SOAP("ExportStock"), false},
        {"POST", "urn:x#ImportOrders", SOAP("ExportStock"), false}, /* who is believed? */
        {"POST", "urn:x#ExportStock", SOAP("ImportOrders"), false},
        {"POST", "urn:x#ImportOrders", SOAP("ImportOrders"), false},
        {"POST", "urn:x#ImportCompany", SOAP("ImportCompany"), false},
        {"POST", "urn:x#CancelOrder", SOAP("CancelOrder"), false},
        {"POST", "urn:x#AmendOrder", SOAP("AmendOrder"), false},
        {"POST", "urn:x#ProcessReturn", SOAP("ProcessReturn"), false},
        {"POST", "urn:x#ReExportStock", SOAP("ExportStock"), false},
        {"POST", "urn:x#GetAndDelete", SOAP("GetAndDelete"), false}, /* unknown is refused */
        {"POST", "urn:x#ExportStock", "{\"operation\":\"ExportStock\"}", false},
    };
    struct net_world w;
    struct read_only_stats stats;
    unsigned leaving = 0;
    struct transport *t = open_guarded(&w, 0, 0);
    size_t count = sizeof(cases) / sizeof(cases[0]);
    for (size_t i = 0; i < count; i++) {
        struct net_result r;
        ask(&w, cases[i].method, cases[i].action, cases[i].body, &r);
        leaving += cases[i].leaves ? 1 : 0;
        if ((r.err.code == 0) != cases[i].leaves) {
            printf("# %s %s %s\n", cases[i].method, cases[i].action, cases[i].body);
        }
        CHECK_INT(r.err.code, cases[i].leaves ? 0 : ERROR_INVALID);
        CHECK(!r.err.maybe_sent && !r.err.is_retryable);
        CHECK_INT(w.handled, leaving);
        net_result_clear(&r);
    }
    transport_read_only_stats(t, &stats);
    CHECK_INT(stats.calls, leaving);
    CHECK_INT(stats.refused, count - leaving);
    CHECK(stats.over == NULL);
    net_close(&w);
}

static void test_method_overrides(void)
{
    static const char *const names[] = {"X-HTTP-Method-Override", "x-http-method",
                                        "X-Method-Override"};
    for (size_t i = 0; i < 3; i++) {
        struct http_request request = {.method = xstrdup("GET"), .url = xstrdup("http://h/")};
        CHECK(read_only_allows(&request));
        CHECK_INT(http_headers_add(&request.headers, names[i], "DELETE"), 0);
        CHECK(!read_only_allows(&request));
        http_request_free(&request);
    }
}

/* Read in another way than it was looked at, a body may say something else. */
static void test_other_readings(void)
{
    static const struct {
        const char *name;
        const char *value;
        bool is_allowed;
    } cases[] = {
        {"Content-Type", "text/xml; charset=utf-8", true},
        {"Content-Type", "text/xml; charset=\"UTF-8\"", true},
        {"Content-Type", "text/xml", true},
        {"Content-Type", "text/xml; charset=utf-7", false},
        {"Content-Type", "text/xml; charset=utf-8; charset=utf-16", false},
        {"content-type", "text/xml; CHARSET = utf-16", false},
        {"Content-Encoding", "gzip", false},
        {"SOAPAction", "GetVersion", false}, /* a second one */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        static const char body[] = SOAP("GetVersion");
        struct http_request request = {.method = xstrdup("POST"), .url = xstrdup("http://h/")};
        request.body = xstrndup(body, sizeof(body) - 1);
        request.body_size = sizeof(body) - 1;
        CHECK_INT(http_headers_add(&request.headers, "SOAPAction", "\"u#GetVersion\""), 0);
        CHECK(read_only_allows(&request));
        CHECK_INT(http_headers_add(&request.headers, cases[i].name, cases[i].value), 0);
        CHECK(read_only_allows(&request) == cases[i].is_allowed);
        http_request_free(&request);
    }
}

static void test_budget_of_calls(void)
{
    struct net_world w;
    struct net_result r;
    struct read_only_stats stats;
    struct transport *t = open_guarded(&w, 2, 0);
    for (int i = 0; i < 4; i++) {
        ask(&w, "GET", NULL, NULL, &r);
        CHECK_INT(r.err.code, i < 2 ? 0 : ERROR_LIMIT);
        CHECK(!r.err.is_retryable);
        net_result_clear(&r);
    }
    transport_read_only_stats(t, &stats);
    CHECK_STR(stats.over, "calls");
    CHECK_INT(stats.calls, 2);
    CHECK_INT(w.handled, 2);
    net_close(&w);
}

static void test_budget_of_time_and_stop(void)
{
    struct net_world w;
    struct net_result r;
    struct read_only_stats stats;
    struct transport *t = open_guarded(&w, 0, 1000);
    ask(&w, "GET", NULL, NULL, &r);
    CHECK_INT(r.err.code, 0);
    net_result_clear(&r);
    clock_advance(w.clock, 1000);
    ask(&w, "GET", NULL, NULL, &r);
    CHECK_INT(r.err.code, ERROR_LIMIT);
    net_result_clear(&r);
    transport_read_only_stats(t, &stats);
    CHECK_STR(stats.over, "time");
    transport_read_only_stop(t);
    ask(&w, "GET", NULL, NULL, &r);
    CHECK_INT(r.err.code, ERROR_CANCELLED);
    net_result_clear(&r);
    transport_read_only_stats(t, &stats);
    CHECK_STR(stats.over, "stopped");
    CHECK_INT(w.handled, 1);
    net_close(&w);
}

static void test_cancel_and_drop(void)
{
    static const struct transport_policy plain = {0};
    struct net_world w;
    struct net_result r = {0};
    open_guarded(&w, 0, 0);
    struct http_request good = net_request(&w, "GET", "/hold", NULL);
    struct http_request bad = net_request(&w, "PUT", "/hold", NULL);
    struct transport *t = w.transport;
    t->ops->cancel(t, t->ops->start(t, &good, &plain, net_on_done, &r));
    t->ops->cancel(t, t->ops->start(t, &bad, &plain, net_on_done, &r));
    t->ops->start(t, &good, &plain, net_on_done, &r);
    t->ops->start(t, &bad, &plain, net_on_done, &r);
    net_close(&w); /* also checks that no timer is left */
    CHECK_INT(r.count, 0);
    http_request_free(&good);
    http_request_free(&bad);
}

int main(void)
{
    tap_case("only what changes nothing leaves", test_what_leaves);
    tap_case("a header cannot make another method of a GET", test_method_overrides);
    tap_case("a body leaves only when it is read as it was looked at", test_other_readings);
    tap_case("calls beyond the budget do not leave", test_budget_of_calls);
    tap_case("nothing leaves when the time is up, or after a stop", test_budget_of_time_and_stop);
    tap_case("transfers can be cancelled and dropped at any time", test_cancel_and_drop);
    return tap_done();
}
