/* Connections over loopback in virtual time: URLs, credentials, rate, concurrency, breaker. */
#include "core/net/connection.h"

#include "core/net/http_fields.h"
#include "tests/support/net_world.h"

struct states {
    int count;
    enum breaker_state list[16];
};

static void on_breaker(void *arg, struct connection *c, enum breaker_state state)
{
    struct states *s = arg;
    (void)c;
    s->list[s->count++] = state;
}

static struct connection *open_connection(struct net_world *w, struct connection_options *options,
                                          struct states *states)
{
    options->name = "khaos";
    if (options->base_url == NULL) {
        options->base_url = "http://sim/api";
    }
    return connection_new(w->loop, w->transport, options, states == NULL ? NULL : on_breaker,
                          states);
}

static struct connection_call *send_to(struct net_world *w, struct connection *c, const char *url,
                                       struct net_result *r)
{
    struct http_request request = {.method = xstrdup("GET"), .url = xstrdup(url)};
    (void)w;
    memset(r, 0, sizeof(*r));
    struct connection_call *call = connection_send(c, &request, net_on_done, r);
    CHECK(request.method == NULL && request.url == NULL);
    CHECK_INT(r->count, 0);
    return call;
}

static void fetch(struct net_world *w, struct connection *c, const char *url, struct net_result *r)
{
    send_to(w, c, url, r);
    net_run(w, &r->count, 1);
}

static void test_urls(void)
{
    static const struct {
        const char *base;
        const char *url;
        const char *expected; /* path?query that the server sees; NULL: refused */
    } cases[] = {
        {"https://h/x/api", "/orders?a=1", "/x/api/orders?a=1"},
        {"https://h/x/api/", "/orders", "/x/api/orders"},
        {"https://h/x/api", "", "/x/api?"},
        {"https://h/x/api", "?wsdl", "/x/api?wsdl"},
        {"https://h/x/api", "https://h/x/api/orders", "/x/api/orders"},
        {"https://h/x/api", "HTTPS://H/x/api?q", "/x/api?q"},
        {"https://h/x/api", "https://h/x/apiary", NULL},
        {"https://h/x/api", "https://h/x/ap", NULL},
        {"https://h/x/api", "http://h/x/api/orders", NULL},
        {"https://h/x/api", "https://h:444/x/api/orders", NULL},
        {"https://h/x/api", "https://h@evil/x/api/orders", NULL},
        {"https://h", "https://h.evil/", NULL},
        {"https://h", "https://h@evil/", NULL},
        {"https://h", "https://h:80@evil/", NULL},
        {"https://h", "https://h\\@evil/", NULL},
        {"https://h", "https://evil/", NULL},
        {"https://h", "//evil/", "//evil/"}, /* a path on h */
        {"https://h", "orders", NULL},
        {"https://h/x/api", "/../admin", NULL},
        {"https://h/x/api", "/a/%2e%2E/b", NULL},
        {"https://h/x/api", "/./a", NULL},
        {"https://h/x/api", "/a?p=/../b", "/x/api/a?p=/../b"},
        {"https://h/x/api", "/a..b/...", "/x/api/a..b/..."},
        {"https://h/x/api", "/a b", NULL},
        {"https://h/x/api", "/a\r\nX: y", NULL},
        {"https://h/x/api", "/a#b", NULL},
        {"https://h/x/api", "/a\\b", NULL},
        {"ftp://h", "/a", NULL},
        {"https://", "/a", NULL},
        {"https://user:pw@h", "/a", NULL},
        {"https://h/?q", "/a", NULL},
        {NULL, "/a", "/api/a"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct net_world w;
        struct net_result r;
        struct connection_options options = {.base_url = cases[i].base};
        net_open(&w, false, NULL);
        struct connection *c = open_connection(&w, &options, NULL);
        fetch(&w, c, cases[i].url, &r);
        if (cases[i].expected == NULL) {
            CHECK_INT(r.err.code, ERROR_INVALID);
            CHECK(!r.err.maybe_sent && !r.err.is_retryable);
            CHECK_INT(w.handled, 0);
        } else {
            char seen[600];
            bool has_query = strchr(cases[i].expected, '?') != NULL;
            snprintf(seen, sizeof(seen), "%s%s%s", w.last_path, has_query ? "?" : "", w.last_query);
            CHECK_STR(seen, cases[i].expected);
            CHECK_INT(r.status, 200);
        }
        net_result_clear(&r);
        connection_free(c);
        net_close(&w);
    }
}

static void test_headers_and_credentials(void)
{
    struct net_world w;
    struct net_result r = {0};
    struct connection_options options = {.basic_user = "u", .basic_password = "p:w"};
    net_open(&w, false, NULL);
    CHECK_INT(http_headers_add(&options.headers, "X-Token", "t"), 0);
    CHECK_INT(http_headers_add(&options.headers, "Accept", "application/json"), 0);
    struct connection *c = open_connection(&w, &options, NULL);
    http_headers_free(&options.headers);
    struct http_request request = {.method = xstrdup("POST"), .url = xstrdup("/a")};
    CHECK_INT(http_headers_add(&request.headers, "accept", "text/csv"), 0);
    connection_send(c, &request, net_on_done, &r);
    net_run(&w, &r.count, 1);
    CHECK_STR(http_headers_get(&w.last_headers, "X-Token"), "t");
    CHECK_STR(http_headers_get(&w.last_headers, "Accept"), "text/csv");
    CHECK_INT(http_headers_count(&w.last_headers, "Accept"), 1);
    CHECK(http_basic_matches(http_headers_get(&w.last_headers, "Authorization"), "u", "p:w"));
    net_result_clear(&r);

    request = (struct http_request){.method = xstrdup("POST"), .url = xstrdup("/a")};
    CHECK_INT(http_headers_add(&request.headers, "host", "evil"), 0);
    connection_send(c, &request, net_on_done, &r);
    net_run(&w, &r.count, 1);
    CHECK_INT(r.err.code, ERROR_INVALID);
    request = (struct http_request){.method = xstrdup("PO ST"), .url = xstrdup("/a")};
    connection_send(c, &request, net_on_done, &r);
    net_run(&w, &r.count, 2);
    CHECK_INT(r.err.code, ERROR_INVALID);
    connection_free(c);
    net_close(&w);
}

static void test_own_rate_in_virtual_time(void)
{
    struct net_world w;
    struct net_result r[11];
    struct connection_options options = {.rate_per_s = 10, .rate_burst = 1};
    net_open(&w, false, NULL);
    struct connection *c = open_connection(&w, &options, NULL);
    int64_t began = clock_mono_ms(w.clock);
    for (int i = 0; i < 11; i++) {
        send_to(&w, c, "/a", &r[i]);
    }
    net_run(&w, &r[10].count, 1);
    CHECK_INT(clock_mono_ms(w.clock) - began, 1002);
    struct connection_stats stats;
    connection_stats(c, &stats);
    CHECK_INT(stats.sent, 11);
    CHECK_INT(stats.answered, 11);
    CHECK_INT(stats.by_class[2], 11);
    CHECK_INT(stats.rate_waits, 10);
    CHECK_INT(stats.queued + stats.under_way, 0);
    for (int i = 0; i < 11; i++) {
        net_result_clear(&r[i]);
    }
    connection_free(c);
    net_close(&w);
}

static void test_told_delay_holds_later_calls(void)
{
    struct net_world w;
    struct net_result r;
    struct connection_options options = {.base_url = "http://sim"};
    net_open(&w, false, NULL);
    struct connection *c = open_connection(&w, &options, NULL);
    CHECK_INT(connection_options(c)->max_concurrent, 8);
    w.next_status = 429;
    CHECK_INT(http_headers_add(&w.next_headers, "Retry-After", "30"), 0);
    fetch(&w, c, "/status", &r);
    CHECK_INT(r.status, 429); /* delivered as an answer */
    net_result_clear(&r);
    int64_t began = clock_mono_ms(w.clock);
    fetch(&w, c, "/a", &r);
    CHECK_INT(r.status, 200);
    CHECK_INT(clock_mono_ms(w.clock) - began, 30002);
    CHECK_INT(r.elapsed_ms, 2); /* waiting is not the request's time */
    net_result_clear(&r);
    connection_free(c);
    net_close(&w);
}

static void test_concurrency_keeps_order(void)
{
    struct net_world w;
    struct net_result r[3];
    struct connection_options options = {.max_concurrent = 1, .base_url = "http://sim"};
    struct connection_stats stats;
    net_open(&w, false, NULL);
    struct connection *c = open_connection(&w, &options, NULL);
    send_to(&w, c, "/hold", &r[0]);
    send_to(&w, c, "/second", &r[1]);
    send_to(&w, c, "/third", &r[2]);
    net_run_handled(&w, 1);
    net_pass(&w, 1000);
    CHECK_INT(w.handled, 1);
    connection_stats(c, &stats);
    CHECK_INT(stats.queued, 2);
    CHECK_INT(stats.under_way, 1);
    http_exchange_answer(w.held, 204, NULL, bytes_str(""));
    net_run_handled(&w, 2);
    CHECK_STR(w.last_path, "/second");
    net_run(&w, &r[2].count, 1);
    for (int i = 0; i < 3; i++) {
        net_result_clear(&r[i]);
    }
    connection_free(c);
    net_close(&w);
}

static void test_breaker_life(void)
{
    struct net_world w;
    struct net_result r;
    struct net_result other;
    struct states states = {0};
    struct connection_options options = {
        .base_url = "http://sim", .breaker_failures = 2, .breaker_cool_ms = 5000};
    net_open(&w, false, NULL);
    struct connection *c = open_connection(&w, &options, &states);
    CHECK_STR(connection_last_error(c), "");
    static const int harmless[] = {404, 500, 429, 400};
    for (size_t i = 0; i < 4; i++) {
        w.next_status = harmless[i];
        fetch(&w, c, "/status", &r);
        CHECK_INT(r.status, harmless[i]);
        net_result_clear(&r);
    }
    CHECK_INT(states.count, 0);
    fetch(&w, c, "/reset", &r);
    CHECK_INT(r.err.code, ERROR_NETWORK);
    w.next_status = 503;
    fetch(&w, c, "/status", &r);
    CHECK_INT(r.status, 503); /* the answer that opens the breaker is still delivered */
    net_result_clear(&r);
    CHECK_INT(connection_breaker(c), BREAKER_OPEN);

    unsigned seen = w.handled;
    int64_t began = clock_mono_ms(w.clock);
    fetch(&w, c, "/a", &r);
    CHECK_INT(r.err.code, ERROR_NETWORK);
    CHECK(r.err.is_retryable && !r.err.maybe_sent);
    CHECK_STR(r.err.message, "connection khaos is down (last error: HTTP status 503)");
    CHECK_INT(clock_mono_ms(w.clock), began);
    CHECK_INT(w.handled, seen);

    net_pass(&w, 5000);
    CHECK_INT(connection_breaker(c), BREAKER_HALF_OPEN);
    send_to(&w, c, "/hold", &r);
    send_to(&w, c, "/a", &other);
    net_run(&w, &other.count, 1);
    CHECK_INT(other.err.code, ERROR_NETWORK);
    net_run_handled(&w, seen + 1);
    http_exchange_abort(w.held, HTTP_RUDE_CLOSE, 0, NULL, bytes_str(""), 0);
    net_run(&w, &r.count, 1);
    CHECK_INT(connection_breaker(c), BREAKER_OPEN);

    net_pass(&w, 5000);
    fetch(&w, c, "/a", &r);
    CHECK_INT(r.status, 200);
    net_result_clear(&r);
    static const enum breaker_state expected[] = {BREAKER_OPEN, BREAKER_HALF_OPEN, BREAKER_OPEN,
                                                  BREAKER_HALF_OPEN, BREAKER_CLOSED};
    CHECK_INT(states.count, 5);
    for (int i = 0; i < 5; i++) {
        CHECK_INT(states.list[i], expected[i]);
    }
    connection_free(c);
    net_close(&w);
}

static void test_opening_fails_the_queue(void)
{
    struct net_world w;
    struct net_result r[3];
    struct connection_options options = {
        .base_url = "http://sim", .breaker_failures = 1, .max_concurrent = 1};
    net_open(&w, false, NULL);
    struct connection *c = open_connection(&w, &options, NULL);
    send_to(&w, c, "/reset", &r[0]);
    send_to(&w, c, "/a", &r[1]);
    struct connection_call *last = send_to(&w, c, "/a", &r[2]);
    net_run(&w, &r[0].count, 1);
    CHECK(r[0].err.maybe_sent);
    connection_cancel(c, last); /* its error may be on its way already */
    net_run(&w, &r[1].count, 1);
    CHECK(!r[1].err.maybe_sent);
    net_pass(&w, 100);
    CHECK_INT(r[2].count, 0);
    CHECK_INT(w.handled, 1);
    connection_free(c);
    net_close(&w);
}

static void test_cancel(void)
{
    struct net_world w;
    struct net_result r[3];
    struct connection_options options = {.base_url = "http://sim",
                                         .max_concurrent = 1,
                                         .breaker_failures = 1,
                                         .breaker_cool_ms = 10};
    struct connection_stats stats;
    net_open(&w, false, NULL);
    struct connection *c = open_connection(&w, &options, NULL);
    struct connection_call *first = send_to(&w, c, "/hold", &r[0]);
    struct connection_call *second = send_to(&w, c, "/a", &r[1]);
    send_to(&w, c, "/a", &r[2]);
    net_run_handled(&w, 1);
    CHECK(!connection_cancel(c, second)); /* queued: nothing of it left */
    CHECK(connection_cancel(c, first));   /* under way: lets the third go */
    net_run(&w, &r[2].count, 1);
    http_exchange_answer(w.held, 200, NULL, bytes_str("x"));
    net_pass(&w, 1000);
    CHECK_INT(r[0].count + r[1].count, 0);
    connection_stats(c, &stats);
    CHECK_INT(stats.queued + stats.under_way, 0);
    net_result_clear(&r[2]);
    /* A cancelled probe lets another one through. */
    fetch(&w, c, "/reset", &r[0]);
    net_pass(&w, 10);
    connection_cancel(c, send_to(&w, c, "/hold", &r[0]));
    fetch(&w, c, "/a", &r[1]);
    CHECK_INT(r[1].status, 200);
    net_result_clear(&r[1]);
    connection_free(c);
    net_close(&w);
}

/* Else the end of one call would send the next, which is to be cancelled as well. */
static void test_nothing_begins_after_a_stop(void)
{
    struct net_world w;
    struct net_result r[2];
    struct connection_options options = {.base_url = "http://sim", .max_concurrent = 1};
    net_open(&w, false, NULL);
    struct connection *c = open_connection(&w, &options, NULL);
    struct connection_call *first = send_to(&w, c, "/hold", &r[0]);
    struct connection_call *second = send_to(&w, c, "/a", &r[1]);
    net_run_handled(&w, 1);
    connection_stop(c);
    CHECK(connection_cancel(c, first));
    CHECK(!connection_cancel(c, second));
    http_exchange_answer(w.held, 200, NULL, bytes_str("x"));
    net_pass(&w, 1000);
    CHECK_INT(w.handled, 1);
    CHECK_INT(r[0].count + r[1].count, 0);
    connection_free(c);
    net_close(&w);
}

static void free_on_done(void *arg, struct http_answer *answer, const struct error *err)
{
    struct connection **c = arg;
    CHECK(answer != NULL && err == NULL);
    connection_free(*c);
    *c = NULL;
}

static void test_free_with_calls_open_and_within_done(void)
{
    struct net_world w;
    struct net_result r[3];
    struct connection_options options = {.base_url = "http://sim", .max_concurrent = 2};
    net_open(&w, false, NULL);
    struct connection *c = open_connection(&w, &options, NULL);
    send_to(&w, c, "/hold", &r[0]);
    send_to(&w, c, "/late", &r[1]);
    send_to(&w, c, "bad", &r[2]);
    connection_free(c);
    net_pass(&w, 1000);
    CHECK_INT(r[0].count + r[1].count + r[2].count, 0);

    c = open_connection(&w, &options, NULL);
    send_to(&w, c, "/hold", &r[0]);
    struct http_request request = {.method = xstrdup("GET"), .url = xstrdup("/a")};
    connection_send(c, &request, free_on_done, &c);
    send_to(&w, c, "/a", &r[1]);
    while (c != NULL && loop_poll(w.loop, true)) {
    }
    net_pass(&w, 1000);
    CHECK_INT(r[0].count + r[1].count, 0);
    net_close(&w);
}

static void test_timeout_of_the_connection(void)
{
    struct net_world w;
    struct net_result r;
    struct connection_options options = {.base_url = "http://sim", .timeout_ms = 70};
    net_open(&w, false, NULL);
    struct connection *c = open_connection(&w, &options, NULL);
    int64_t began = clock_mono_ms(w.clock);
    fetch(&w, c, "/hold", &r);
    CHECK_INT(r.err.code, ERROR_TIMEOUT);
    CHECK(r.err.maybe_sent);
    CHECK_INT(clock_mono_ms(w.clock) - began, 70);
    CHECK(strncmp(r.err.message, "connection khaos: ", 18) == 0);
    connection_free(c);
    net_close(&w);
}

static void test_mail_servers_take_mail_and_others_do_not(void)
{
    static const struct {
        const char *base;
        const char *method;
        const char *message;
    } cases[] = {
        {"smtp://mail", "GET", "a mail server takes messages (neap.mail) only"},
        {"http://sim", "MAIL", "not a mail server"},
    };
    for (size_t i = 0; i < 2; i++) {
        struct net_world w;
        struct net_result r = {0};
        net_open(&w, false, NULL);
        struct connection_options options = {.base_url = cases[i].base};
        struct connection *c = open_connection(&w, &options, NULL);
        struct http_request request = {.method = xstrdup(cases[i].method), .url = xstrdup("")};
        connection_send(c, &request, net_on_done, &r);
        net_run(&w, &r.count, 1);
        CHECK_INT(r.err.code, ERROR_INVALID);
        CHECK(strstr(r.err.message, cases[i].message) != NULL);
        connection_free(c);
        net_close(&w);
    }
    CHECK(connection_is_loopback("smtp://127.0.0.1:25"));
    CHECK(connection_is_loopback("smtp://[::1]:25") && connection_is_loopback("smtp://localhost"));
    CHECK(!connection_is_loopback("smtp://127.0.0.1.x") && !connection_is_loopback("smtp://x"));
    CHECK(!connection_is_loopback("smtp://localhost.x") && !connection_is_loopback("smtp://1.2.3"));
}

static void test_requests_are_signed_when_they_are_sent(void)
{
    struct net_world w;
    struct net_result r = {0};
    net_open(&w, false, NULL);
    struct connection_options options = {
        .signature = {.key = "secret", .header = "X-Sig", .timestamp_header = "X-Time"}};
    struct connection *c = open_connection(&w, &options, NULL);
    struct http_request request = net_request(&w, "POST", "http://sim/api/x", "{}");
    connection_send(c, &request, net_on_done, &r);
    net_run(&w, &r.count, 1);
    CHECK_STR(http_headers_get(&w.last_headers, "X-Time"), "1777888800");
    CHECK_STR(http_headers_get(&w.last_headers, "X-Sig"),
              "sha256=fe8d90ba1c57de54996763a5445b5248b5023d3244d1ee1ae4e7c6768513719d");
    net_result_clear(&r);
    connection_free(c);
    net_close(&w);
}

int main(void)
{
    tap_case("mail servers take mail and others do not",
             test_mail_servers_take_mail_and_others_do_not);
    tap_case("requests are signed when they are sent", test_requests_are_signed_when_they_are_sent);
    tap_case("URLs stay below the base URL", test_urls);
    tap_case("headers and credentials are added, framing is refused", test_headers_and_credentials);
    tap_case("the connection's own rate paces calls", test_own_rate_in_virtual_time);
    tap_case("a delay told by the server holds later calls", test_told_delay_holds_later_calls);
    tap_case("concurrency is bounded and order kept", test_concurrency_keeps_order);
    tap_case("the breaker opens, probes and closes", test_breaker_life);
    tap_case("an opening breaker fails what is queued", test_opening_fails_the_queue);
    tap_case("a cancelled call never reports", test_cancel);
    tap_case("after a stop no call begins, and one that waited never left",
             test_nothing_begins_after_a_stop);
    tap_case("a connection can go away with calls open, and within done",
             test_free_with_calls_open_and_within_done);
    tap_case("the connection's timeout applies", test_timeout_of_the_connection);
    return tap_done();
}
