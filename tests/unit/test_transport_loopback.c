/* The loopback transport in virtual time. */
#include "tests/support/net_world.h"

static void test_round_trip_takes_simulated_time(void)
{
    struct net_world w;
    struct net_result r;
    net_open(&w, false, NULL);
    struct http_request request = net_request(&w, "REPORT", "http://sim:8080/echo?a=1#f", "x");
    free(request.body);
    request.body = xmalloc(5);
    memcpy(request.body, "a\0b\r\n", 5);
    request.body_size = 5;
    net_fetch(&w, &request, NULL, &r);
    CHECK_INT(r.status, 200);
    CHECK_INT(r.elapsed_ms, 2);
    CHECK_INT(r.body_size, 5);
    CHECK(memcmp(r.body, "a\0b\r\n", 5) == 0);
    CHECK_STR(http_headers_get(&r.headers, "X-Method"), "REPORT");
    CHECK_STR(http_headers_get(&r.headers, "Content-Length"), "5");
    CHECK_STR(http_headers_get(&r.headers, "Date"), "Mon, 04 May 2026 10:00:00 GMT");
    CHECK_STR(r.headers.list[0].value, "one");
    CHECK_STR(r.headers.list[2].value, "two");
    CHECK_STR(w.last_path, "/echo");
    CHECK_STR(w.last_query, "a=1");
    CHECK_STR(http_headers_get(&w.last_headers, "Host"), "sim:8080");
    net_result_clear(&r);
    http_request_free(&request);
    net_close(&w);
}

static void test_answer_in_a_file(void)
{
    struct net_world w;
    struct net_result r;
    net_open(&w, false, NULL);
    struct http_request request = net_request(&w, "POST", "/echo", "0123456789");
    request.file_max_bytes = 10;
    net_fetch(&w, &request, NULL, &r);
    CHECK_STR(r.body, "");
    CHECK_INT(r.file_size, 10);
    net_result_clear(&r);
    request.file_max_bytes = 9;
    net_fetch(&w, &request, NULL, &r);
    CHECK_INT(r.err.code, ERROR_LIMIT);
    http_request_free(&request);
    net_close(&w);
}

static void test_head_has_no_body(void)
{
    struct net_world w;
    struct net_result r;
    net_open(&w, false, NULL);
    struct http_request request = net_request(&w, "HEAD", "/late", NULL);
    net_fetch(&w, &request, NULL, &r);
    CHECK_INT(r.body_size, 0);
    CHECK_STR(http_headers_get(&r.headers, "Content-Length"), "10");
    CHECK_INT(r.elapsed_ms, 7);
    net_result_clear(&r);
    http_request_free(&request);
    net_close(&w);
}

static void test_rudeness_is_an_unknown_outcome(void)
{
    static const char *const paths[] = {"/reset", "/close", "/truncate"};
    struct net_world w;
    net_open(&w, false, NULL);
    for (size_t i = 0; i < 3; i++) {
        struct net_result r;
        net_get(&w, paths[i], &r);
        CHECK_INT(r.err.code, ERROR_NETWORK);
        CHECK(r.err.maybe_sent && r.err.is_retryable);
        net_result_clear(&r);
    }
    net_close(&w);
}

static void test_timeout_and_answer_into_nothing(void)
{
    struct net_world w;
    struct net_result r;
    net_open(&w, false, NULL);
    struct http_request request = net_request(&w, "GET", "/hold", NULL);
    request.timeout_ms = 250;
    int64_t began = clock_mono_ms(w.clock);
    net_fetch(&w, &request, NULL, &r);
    CHECK_INT(r.err.code, ERROR_TIMEOUT);
    CHECK(r.err.maybe_sent && r.err.is_retryable);
    CHECK_INT(clock_mono_ms(w.clock) - began, 250);
    CHECK_INT(http_server_open_exchanges(w.server), 1);
    CHECK_STR(http_exchange_path(w.held), "/hold"); /* still whole */
    http_exchange_answer(w.held, 200, NULL, bytes_str("late"));
    CHECK_INT(http_server_open_exchanges(w.server), 0);
    net_pass(&w, 100);
    CHECK_INT(r.count, 1);
    http_request_free(&request);
    net_close(&w);
}

static void test_cancel_is_final_in_every_phase(void)
{
    struct net_world w;
    static const struct transport_policy plain = {0};
    net_open(&w, false, NULL);
    struct http_request request = net_request(&w, "GET", "/hold", NULL);
    for (int phase = 0; phase < 3; phase++) {
        struct net_result r = {0};
        unsigned seen = w.handled;
        struct transfer *x =
            w.transport->ops->start(w.transport, &request, &plain, net_on_done, &r);
        if (phase > 0) {
            net_run_handled(&w, seen + 1);
        }
        if (phase == 2) {
            http_exchange_answer(w.held, 200, NULL, bytes_str("x"));
        }
        w.transport->ops->cancel(w.transport, x);
        net_pass(&w, 60000);
        CHECK_INT(r.count, 0);
        if (phase == 1) {
            http_exchange_answer_late(w.held, 200, NULL, bytes_str("x"), 10);
        }
        net_pass(&w, 60000);
        CHECK_INT(r.count, 0);
        CHECK_INT(http_server_open_exchanges(w.server), 0);
    }
    http_request_free(&request);
    net_close(&w);
}

static void test_limits(void)
{
    struct http_server_options options = {.max_header_bytes = 200, .max_body_bytes = 4};
    struct transport_policy policy = {.max_answer_bytes = 9};
    struct net_world w;
    struct net_result r;
    net_open(&w, false, &options);
    struct http_request request = net_request(&w, "POST", "/echo", "12345");
    net_fetch(&w, &request, NULL, &r);
    CHECK_INT(r.status, 413);
    net_result_clear(&r);
    char long_value[300];
    memset(long_value, 'v', sizeof(long_value) - 1);
    long_value[sizeof(long_value) - 1] = '\0';
    CHECK_INT(http_headers_add(&request.headers, "X-Long", long_value), 0);
    net_fetch(&w, &request, NULL, &r);
    CHECK_INT(r.status, 431);
    CHECK_INT(w.handled, 0);
    net_result_clear(&r);
    http_request_free(&request);
    request = net_request(&w, "GET", "/late", NULL);
    net_fetch(&w, &request, &policy, &r);
    CHECK_INT(r.err.code, ERROR_LIMIT);
    CHECK(r.err.maybe_sent);
    http_request_free(&request);
    request = net_request(&w, "GET", "://", NULL);
    net_fetch(&w, &request, &policy, &r);
    CHECK_INT(r.err.code, ERROR_INVALID);
    CHECK(!r.err.maybe_sent);
    http_request_free(&request);
    net_close(&w);
}

static void test_stopped_server_refuses(void)
{
    struct net_world w;
    struct net_result r;
    net_open(&w, false, NULL);
    http_server_stop_accepting(w.server);
    net_get(&w, "/echo", &r);
    CHECK_INT(r.err.code, ERROR_NETWORK);
    CHECK(!r.err.maybe_sent && r.err.is_retryable);
    CHECK_INT(w.handled, 0);
    struct error err;
    CHECK_INT(http_server_listen(w.server, "127.0.0.1:0", NULL, NULL, &err), ERROR_INVALID);
    net_close(&w);
}

static void test_everything_open_can_be_dropped(void)
{
    struct net_world w;
    static const struct transport_policy plain = {0};
    struct net_result r = {0};
    net_open(&w, false, NULL);
    struct http_request hold = net_request(&w, "GET", "/hold", NULL);
    struct http_request late = net_request(&w, "GET", "/late", NULL);
    w.transport->ops->start(w.transport, &hold, &plain, net_on_done, &r);
    w.transport->ops->start(w.transport, &late, &plain, net_on_done, &r);
    net_run_handled(&w, 2);
    w.transport->ops->start(w.transport, &hold, &plain, net_on_done, &r);
    net_close(&w); /* also checks that no timer is left */
    CHECK_INT(r.count, 0);
    http_request_free(&hold);
    http_request_free(&late);
}

int main(void)
{
    tap_case("an answer may go to a file", test_answer_in_a_file);
    tap_case("a round trip takes simulated time and keeps bytes",
             test_round_trip_takes_simulated_time);
    tap_case("HEAD has a length and no body", test_head_has_no_body);
    tap_case("reset, close and truncation are unknown outcomes",
             test_rudeness_is_an_unknown_outcome);
    tap_case("after a timeout the answer goes into nothing", test_timeout_and_answer_into_nothing);
    tap_case("a cancelled transfer never reports", test_cancel_is_final_in_every_phase);
    tap_case("limits of server and answer hold", test_limits);
    tap_case("a stopped server refuses and nothing was sent", test_stopped_server_refuses);
    tap_case("server and transport can go away at any time", test_everything_open_can_be_dropped);
    return tap_done();
}
