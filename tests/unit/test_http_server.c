/* The server on real sockets, spoken to in raw bytes; both ends live in this process. */
#include "core/net/http_server.h"

#include <sys/stat.h>
#include <sys/un.h>

#include "tests/support/net_world.h"

static void send_text(int fd, const char *text)
{
    raw_send(fd, text, strlen(text));
}

static void test_answers_are_framed(void)
{
    struct net_world w;
    net_open(&w, true, NULL);
    int fd = raw_connect(&w);
    send_text(fd, "PROPFIND /echo?q=%20 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n"
                  "Connection: close\r\n\r\nabc");
    char *answer = raw_receive(&w, fd, NULL);
    CHECK(strncmp(answer,
                  "HTTP/1.1 200 OK\r\nX-Twice: one\r\nX-Method: PROPFIND\r\n"
                  "X-Twice: two\r\nContent-Length: 3\r\nDate: ",
                  87) == 0);
    CHECK(strstr(answer, "Connection: close\r\n\r\nabc") != NULL);
    CHECK_STR(w.last_query, "q=%20");
    CHECK_STR(w.last_peer, "127.0.0.1");
    free(answer);
    close(fd);
    net_close(&w);
}

static void test_keep_alive_and_pipelining(void)
{
    struct net_world w;
    net_open(&w, true, NULL);
    int fd = raw_connect(&w);
    send_text(fd, "GET /1 HTTP/1.1\r\nHost: h\r\n\r\n");
    char *answer = raw_receive(&w, fd, "\r\n\r\n");
    CHECK(strstr(answer, "Connection:") == NULL);
    free(answer);
    send_text(fd, "GET /late HTTP/1.1\r\nHost: h\r\n\r\nHEAD /late HTTP/1.1\r\nHost: h\r\n\r\n"
                  "POST /4 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                  "2\r\nxy\r\n0\r\n\r\nGET /5 HTTP/1.0\r\n\r\n");
    answer = raw_receive(&w, fd, NULL);
    CHECK_INT(w.handled, 5);
    CHECK_STR(w.last_path, "/5");
    CHECK(strstr(answer, "\r\n\r\n0123456789HTTP/1.1 200 OK\r\nContent-Length: 10\r\n") != NULL);
    CHECK(strstr(answer, "\r\n\r\nxyHTTP/1.1 200 OK\r\n") != NULL);
    free(answer);
    close(fd);
    net_close(&w);
}

static void test_refusals(void)
{
    struct http_server_options options = {.max_header_bytes = 300, .max_body_bytes = 10};
    struct net_world w;
    net_open(&w, true, &options);
    static const struct {
        const char *text;
        int status;
    } cases[] = {
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n01234567890", 413},
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000000\r\n\r\n", 413},
        {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n", 413},
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1x\r\n\r\n1", 400},
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
         400},
        {"\x16\x03\x01\x02\r\n\r\n", 400},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        CHECK_INT(raw_status(&w, cases[i].text, strlen(cases[i].text)), cases[i].status);
    }
    char text[2000];
    memset(text, 'a', sizeof(text));
    memcpy(text, "GET /", 5);
    CHECK_INT(raw_status(&w, text, sizeof(text)), 431);
    CHECK_INT(w.handled, 0);
    net_close(&w);
}

/* The refusal can be read although the peer went on sending: no reset overtakes it. */
static void test_refusal_survives_a_body_under_way(void)
{
    struct http_server_options options = {.max_body_bytes = 10};
    struct net_world w;
    net_open(&w, true, &options);
    int fd = raw_connect(&w);
    send_text(fd, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n");
    char *body = xcalloc(1, 100000);
    raw_send(fd, body, 100000);
    free(body);
    char *answer = raw_receive(&w, fd, NULL);
    CHECK(strncmp(answer, "HTTP/1.1 413 ", 13) == 0);
    free(answer);
    close(fd);
    net_close(&w);
}

static int64_t limit_by_path(void *arg, const struct http_head *head)
{
    (void)arg;
    return strcmp(head->path, "/nobody") == 0 ? -1 : strcmp(head->path, "/small") == 0 ? 4 : 1000;
}

/* The world's handler answers 200 with the body it got; here it should have refused. */
static void test_a_body_that_nobody_takes_is_not_read(void)
{
    struct http_server_options options = {.body_limit = limit_by_path};
    static const struct {
        const char *text;
        bool is_cut; /* the handler gets it without its body, and the connection ends */
    } cases[] = {
        {"POST /nobody HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nabc", true},
        {"POST /nobody HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
         true},
        {"POST /nobody HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n",
         true},
        {"POST /small HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n", true},
        {"POST /small HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nab", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct net_world w;
        net_open(&w, true, &options);
        int fd = raw_connect(&w);
        send_text(fd, cases[i].text);
        if (!cases[i].is_cut) {
            net_pass(&w, 5);
            CHECK_INT(w.handled, 0);
            send_text(fd, "cd");
        }
        char *answer = raw_receive(&w, fd, cases[i].is_cut ? NULL : "abcd");
        CHECK(strncmp(answer, "HTTP/1.1 200 ", 13) == 0);
        CHECK((strstr(answer, "Content-Length: 0\r\n") != NULL) == cases[i].is_cut);
        CHECK((strstr(answer, "Connection: close\r\n") != NULL) == cases[i].is_cut);
        CHECK_INT(w.handled, 1);
        CHECK(w.was_cut == cases[i].is_cut);
        free(answer);
        close(fd);
        net_close(&w);
    }
}

/* A connection that stays: the limit of one request is not that of the next. */
static void test_a_limit_is_of_one_request(void)
{
    struct http_server_options options = {.body_limit = limit_by_path};
    struct net_world w;
    net_open(&w, true, &options);
    int fd = raw_connect(&w);
    send_text(fd, "POST /small HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n");
    net_pass(&w, 5);
    send_text(fd, "ab\r\n0\r\n\r\n");
    free(raw_receive(&w, fd, "\r\n\r\nab"));
    send_text(fd, "POST /large HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n");
    net_pass(&w, 5);
    send_text(fd, "abcdefgh\r\n0\r\n\r\n");
    char *answer = raw_receive(&w, fd, "abcdefgh");
    CHECK(strncmp(answer, "HTTP/1.1 200 ", 13) == 0);
    free(answer);
    send_text(fd, "POST /small HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n");
    net_pass(&w, 5);
    send_text(fd, "ab\r\n3\r\n");
    answer = raw_receive(&w, fd, NULL);
    CHECK(strncmp(answer, "HTTP/1.1 413 ", 13) == 0);
    free(answer);
    CHECK_INT(w.handled, 2);
    close(fd);
    net_close(&w);
}

static void test_expectation_is_met(void)
{
    struct net_world w;
    net_open(&w, true, NULL);
    int fd = raw_connect(&w);
    send_text(fd,
              "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    char *answer = raw_receive(&w, fd, "\r\n\r\n");
    CHECK_STR(answer, "HTTP/1.1 100 Continue\r\n\r\n");
    free(answer);
    send_text(fd, "ab");
    answer = raw_receive(&w, fd, "ab");
    CHECK(strncmp(answer, "HTTP/1.1 200", 12) == 0);
    free(answer);
    close(fd);
    net_close(&w);
}

static void test_slow_peers_are_closed(void)
{
    struct http_server_options options = {.idle_timeout_ms = 40};
    struct net_world w;
    net_open(&w, true, &options);
    int idle = raw_connect(&w);
    int slow = raw_connect(&w);
    int stuck = raw_connect(&w);
    send_text(slow, "GET / HTTP/1.1\r\nHo");
    send_text(stuck, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\na");
    char *answer = raw_receive(&w, idle, NULL);
    CHECK_STR(answer, "");
    free(answer);
    answer = raw_receive(&w, slow, NULL);
    CHECK(strncmp(answer, "HTTP/1.1 408 ", 13) == 0);
    free(answer);
    answer = raw_receive(&w, stuck, NULL);
    CHECK(strncmp(answer, "HTTP/1.1 408 ", 13) == 0);
    free(answer);
    CHECK_INT(w.handled, 0);
    close(idle);
    close(slow);
    close(stuck);
    net_close(&w);
}

static void test_dripping_does_not_extend_the_head(void)
{
    struct http_server_options options = {.idle_timeout_ms = 40};
    struct net_world w;
    net_open(&w, true, &options);
    int fd = raw_connect(&w);
    send_text(fd, "GET / HTTP/1.1\r\nX: ");
    char got[64] = "";
    ssize_t size = -1;
    for (int i = 0; i < 5000 && size < 0; i++) {
        (void)!send(fd, "x", 1, MSG_NOSIGNAL);
        net_pass(&w, 5);
        size = recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT);
    }
    CHECK(strncmp(got, "HTTP/1.1 408 ", 13) == 0);
    close(fd);
    net_close(&w);
}

static void test_connections_are_bounded(void)
{
    struct http_server_options options = {.max_connections = 2};
    struct net_world w;
    net_open(&w, true, &options);
    int begun = raw_connect(&w);
    send_text(begun, "GET / HTTP/1.1\r\n");
    net_pass(&w, 5);
    int idle = raw_connect(&w);
    net_pass(&w, 5);
    /* The one that asks nothing gives way. */
    int next = raw_connect(&w);
    char *answer = raw_receive(&w, idle, NULL);
    CHECK_STR(answer, "");
    free(answer);
    send_text(next, "GET / HTTP/1.1\r\n");
    net_pass(&w, 5);
    /* Nobody is idle now. */
    int refused = raw_connect(&w);
    answer = raw_receive(&w, refused, NULL);
    CHECK(strncmp(answer, "HTTP/1.1 503 ", 13) == 0);
    CHECK(strstr(answer, "Retry-After: ") != NULL);
    CHECK_INT(http_server_refusals(w.server)[503], 1);
    free(answer);
    send_text(begun, "Host: h\r\n\r\n");
    answer = raw_receive(&w, begun, "\r\n\r\n");
    CHECK(strncmp(answer, "HTTP/1.1 200", 12) == 0);
    free(answer);
    close(begun);
    close(idle);
    close(next);
    close(refused);
    net_close(&w);
}

/* Seen before: a hundred connections with bodies of 8 MiB under way took 800 MB before anybody had
 * looked at who they were. */
/* Asks for a large reply, rests, and takes what comes: how many bytes until all or the end. */
static size_t take_large(struct net_world *w, size_t size, int64_t rest_ms)
{
    char portion[32 << 10];
    char *large = xcalloc(1, size);
    size_t taken = 0;
    ssize_t got = 1;
    int fd = raw_connect(w);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(int){256 << 10}, sizeof(int));
    send_text(fd, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
    net_run_handled(w, w->handled + 1);
    http_exchange_answer(w->held, 200, NULL, (struct bytes){large, size});
    net_pass(w, rest_ms);
    while (taken < size && (got > 0 || (got < 0 && errno == EAGAIN))) {
        net_pass(w, 1);
        got = recv(fd, portion, sizeof(portion), MSG_DONTWAIT);
        taken += got > 0 ? (size_t)got : 0;
    }
    close(fd);
    free(large);
    return taken;
}

/* Seen before: cut when the time for the next request was over. */
static void test_steady_reader_gets_a_large_reply_whole(void)
{
    enum { LARGE = 16 << 20 };
    struct http_server_options options = {.idle_timeout_ms = 400};
    struct net_world w;
    net_open(&w, true, &options);
    int64_t began_ms = clock_mono_ms(w.clock);
    CHECK(take_large(&w, LARGE, 1) >= LARGE);
    CHECK(clock_mono_ms(w.clock) - began_ms > options.idle_timeout_ms);
    CHECK(take_large(&w, LARGE, 3 * options.idle_timeout_ms) < LARGE); /* that one stood still */
    net_close(&w);
}

static void test_bodies_under_way_are_bounded(void)
{
    struct http_server_options options = {.max_reading_bytes = 1500};
    struct net_world w;
    char body[1001];
    net_open(&w, true, &options);
    memset(body, 'a', 1000);
    body[1000] = '\0';
    int a = raw_connect(&w);
    send_text(a, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1002\r\n\r\n");
    send_text(a, body);
    int b = raw_connect(&w);
    send_text(b, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n");
    send_text(b, body);
    char *answer = raw_receive(&w, b, NULL);
    CHECK(strncmp(answer, "HTTP/1.1 503 ", 13) == 0);
    CHECK(strstr(answer, "\r\nRetry-After: 5\r\n") != NULL);
    free(answer);
    CHECK_INT(w.handled, 0);
    send_text(a, "a"); /* while the refused peer keeps its connection open */
    net_pass(&w, 20);
    send_text(a, "a");
    answer = raw_receive(&w, a, "\r\n\r\n");
    CHECK(strncmp(answer, "HTTP/1.1 200", 12) == 0);
    free(answer);
    close(a);
    close(b);
    for (int i = 0; i < 3; i++) { /* what was refused or served does not count any more */
        int c = raw_connect(&w);
        send_text(c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n");
        send_text(c, body);
        answer = raw_receive(&w, c, "\r\n\r\n");
        CHECK(strncmp(answer, "HTTP/1.1 200", 12) == 0);
        free(answer);
        close(c);
    }
    net_close(&w);
}

static void test_peer_gone_before_the_answer(void)
{
    struct net_world w;
    net_open(&w, true, NULL);
    int fd = raw_connect(&w);
    send_text(fd, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
    net_run_handled(&w, 1);
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(fd);
    net_pass(&w, 5);
    CHECK_STR(http_exchange_path(w.held), "/hold");
    CHECK_INT(http_server_open_exchanges(w.server), 1);
    http_exchange_answer_late(w.held, 200, NULL, bytes_str("x"), 1);
    net_pass(&w, 5);
    CHECK_INT(http_server_open_exchanges(w.server), 0);
    net_close(&w);
}

static void test_half_closed_peer_gets_its_answer(void)
{
    struct net_world w;
    net_open(&w, true, NULL);
    int fd = raw_connect(&w);
    send_text(fd, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
    shutdown(fd, SHUT_WR);
    net_run_handled(&w, 1);
    net_pass(&w, 5);
    http_exchange_answer(w.held, 200, NULL, bytes_str("still here"));
    char *answer = raw_receive(&w, fd, NULL);
    CHECK(strstr(answer, "\r\n\r\nstill here") != NULL);
    free(answer);
    close(fd);
    net_close(&w);
}

static void test_stop_accepting_lets_open_ones_end(void)
{
    struct net_world w;
    net_open(&w, true, NULL);
    int fd = raw_connect(&w);
    send_text(fd, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
    net_run_handled(&w, 1);
    struct sockaddr_in to = {.sin_family = AF_INET};
    to.sin_port = htons((uint16_t)http_server_port(w.server));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    http_server_stop_accepting(w.server);
    int other = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(connect(other, (struct sockaddr *)&to, sizeof(to)) != 0);
    close(other);
    http_exchange_answer(w.held, 200, NULL, bytes_str("last"));
    char *answer = raw_receive(&w, fd, NULL);
    CHECK(strstr(answer, "Connection: close\r\n\r\nlast") != NULL);
    free(answer);
    close(fd);
    net_close(&w);
}

static void test_free_with_everything_open(void)
{
    struct net_world w;
    net_open(&w, true, NULL);
    int hold = raw_connect(&w);
    int late = raw_connect(&w);
    int half = raw_connect(&w);
    send_text(hold, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
    send_text(half, "GET /hol");
    send_text(late, "GET /close HTTP/1.1\r\nHost: h\r\n\r\n");
    net_run_handled(&w, 2);
    net_close(&w);
    close(hold);
    close(late);
    close(half);
}

static void test_addresses(void)
{
    static const char *const bad[] = {
        "",      "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "host:80", ":80", "127.0.0.1:65536",
        "unix:", "[::1:80",   "::1:80:x",   "127.0.0.1:-1"};
    struct net_world w;
    struct error err;
    net_open(&w, true, NULL);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK_INT(http_server_listen(w.server, bad[i], NULL, NULL, &err), ERROR_INVALID);
    }
    CHECK_INT(http_server_listen(w.server, "127.0.0.1:0", "/nowhere.pem", NULL, &err),
              ERROR_INVALID);
    CHECK_INT(http_server_listen(w.server, "127.0.0.1:0", "/nowhere.pem", "/nowhere.key", &err),
              ERROR_INVALID);
    char taken[64];
    snprintf(taken, sizeof(taken), "127.0.0.1:%u", http_server_port(w.server));
    CHECK_INT(http_server_listen(w.server, taken, NULL, NULL, &err), ERROR_IO);
    CHECK(strstr(err.message, taken) != NULL);
    net_close(&w);
}

static void test_unix_socket(void)
{
    char folder[] = "/tmp/neap_net_XXXXXX";
    CHECK(mkdtemp(folder) != NULL);
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    snprintf(to.sun_path, sizeof(to.sun_path), "%s/s", folder);
    char address[128];
    snprintf(address, sizeof(address), "unix:%s", to.sun_path);
    /* A file left over by a killed process is replaced. */
    int stale = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_INT(bind(stale, (struct sockaddr *)&to, sizeof(to)), 0);
    close(stale);
    struct net_world w;
    struct error err;
    struct stat info;
    net_open(&w, true, NULL);
    CHECK_INT(http_server_listen(w.server, address, NULL, NULL, &err), 0);
    CHECK(stat(to.sun_path, &info) == 0 && (info.st_mode & 0777) == 0600);
    CHECK_INT(http_server_listen(w.server, address, NULL, NULL, &err), ERROR_IO); /* in use */
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_INT(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    send_text(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    char *answer = raw_receive(&w, fd, "\r\n\r\n");
    CHECK(strncmp(answer, "HTTP/1.1 200", 12) == 0);
    CHECK_STR(w.last_peer, "unix");
    free(answer);
    close(fd);
    net_close(&w);
    CHECK(stat(to.sun_path, &info) != 0);
    CHECK_INT(rmdir(folder), 0);
}

int main(void)
{
    tap_case("a body that nobody takes is not read: the answer comes at once",
             test_a_body_that_nobody_takes_is_not_read);
    tap_case("a limit of the body is of one request", test_a_limit_is_of_one_request);
    tap_case("answers are framed and hold nothing else", test_answers_are_framed);
    tap_case("connections are kept, pipelined requests answered in order",
             test_keep_alive_and_pipelining);
    tap_case("limits and malformed requests are answered without the handler", test_refusals);
    tap_case("a refusal survives a body under way", test_refusal_survives_a_body_under_way);
    tap_case("100-continue is answered", test_expectation_is_met);
    tap_case("slow peers are closed", test_slow_peers_are_closed);
    tap_case("dripping bytes do not extend the head", test_dripping_does_not_extend_the_head);
    tap_case("connections are bounded: idle ones give way, then 503", test_connections_are_bounded);
    tap_case("a steady reader gets a large reply whole",
             test_steady_reader_gets_a_large_reply_whole);
    tap_case("bodies under way are bounded in sum", test_bodies_under_way_are_bounded);
    tap_case("an exchange outlives its peer", test_peer_gone_before_the_answer);
    tap_case("a half-closed peer gets its answer", test_half_closed_peer_gets_its_answer);
    tap_case("after stop_accepting open exchanges end", test_stop_accepting_lets_open_ones_end);
    tap_case("the server can go away with everything open", test_free_with_everything_open);
    tap_case("addresses are checked", test_addresses);
    tap_case("unix sockets are private and cleaned up", test_unix_socket);
    return tap_done();
}
