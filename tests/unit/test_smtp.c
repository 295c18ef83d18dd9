/* Mail through the transport: a server of this process that talks as told, and ones that do not.
 * What a real server says is tests/integration/24_alerts. */
#include "core/net/smtp.h"

#include <pthread.h>

#include "tests/support/net_world.h"

/* One conversation: reply i answers the client's line i; the first greets. */
struct talk {
    int fd;
    const char *const *replies;
    unsigned port;
    char heard[8192];
    pthread_t thread;
};

static void listen_here(struct talk *t)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t size = sizeof(at);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    t->fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_INT(bind(t->fd, (struct sockaddr *)&at, sizeof(at)), 0);
    CHECK_INT(listen(t->fd, 4), 0);
    CHECK_INT(getsockname(t->fd, (struct sockaddr *)&at, &size), 0);
    t->port = ntohs(at.sin_port);
}

static void *speak(void *arg)
{
    struct talk *t = arg;
    int fd = accept(t->fd, NULL, NULL);
    size_t used = 0;
    for (size_t i = 0; t->replies[i] != NULL && fd >= 0; i++) {
        if (write(fd, t->replies[i], strlen(t->replies[i])) < 0) {
            break;
        }
        bool is_data = strncmp(t->replies[i], "354", 3) == 0;
        const char *end = is_data ? "\r\n.\r\n" : "\r\n";
        size_t from = used;
        while (strstr(t->heard + from, end) == NULL && used + 1 < sizeof(t->heard)) {
            ssize_t got = read(fd, t->heard + used, sizeof(t->heard) - 1 - used);
            if (got <= 0) {
                break;
            }
            used += (size_t)got;
        }
    }
    close(fd);
    return NULL;
}

static struct http_request mail_to(unsigned port)
{
    struct http_request request = {.method = xstrdup(SMTP_METHOD),
                                   .url = xasprintf("smtp://127.0.0.1:%u", port),
                                   .body = xstrdup("Subject: s\r\n\r\n.dot\r\n"),
                                   .timeout_ms = 5000};
    request.body_size = strlen(request.body);
    CHECK_INT(http_headers_add(&request.headers, "Mail-From", "neap@x.example"), 0);
    CHECK_INT(http_headers_add(&request.headers, "Rcpt-To", "a@x.example b@x.example"), 0);
    return request;
}

static void talk_through(const char *const *replies, bool is_plain, struct net_result *r,
                         struct talk *t)
{
    struct net_world w;
    struct transport_policy policy = {.is_plain = is_plain};
    net_open(&w, true, NULL);
    memset(t, 0, sizeof(*t));
    memset(r, 0, sizeof(*r));
    t->replies = replies;
    listen_here(t);
    CHECK_INT(pthread_create(&t->thread, NULL, speak, t), 0);
    struct http_request request = mail_to(t->port);
    w.transport->ops->start(w.transport, &request, &policy, net_on_done, r);
    net_run(&w, &r->count, 1);
    pthread_join(t->thread, NULL);
    close(t->fd);
    http_request_free(&request);
    net_close(&w);
}

static void test_a_message_is_taken(void)
{
    static const char *const replies[] = {"220 x\r\n",           "250 x\r\n",   "250 ok\r\n",
                                          "250 ok\r\n",          "250 ok\r\n",  "354 go\r\n",
                                          "250 queued as 7\r\n", "221 bye\r\n", NULL};
    struct net_result r;
    struct talk t;
    talk_through(replies, true, &r, &t);
    CHECK_INT(r.status, 250);
    CHECK_STR(r.body, "250 queued as 7");
    CHECK(strstr(t.heard, "MAIL FROM:<neap@x.example>") != NULL);
    CHECK(strstr(t.heard, "RCPT TO:<a@x.example>") != NULL);
    CHECK(strstr(t.heard, "RCPT TO:<b@x.example>") != NULL);
    CHECK(strstr(t.heard, "\r\n\r\n..dot\r\n.\r\n") != NULL);
    CHECK(strstr(t.heard, "QUIT") != NULL);
    net_result_clear(&r);
}

static void test_what_the_server_says_is_an_answer(void)
{
    static const char *const later[] = {"220 x\r\n", "250 x\r\n", "250 ok\r\n",
                                        "451 4.7.1 later\r\n", NULL};
    static const char *const never[] = {"220 x\r\n",  "250 x\r\n",  "250 ok\r\n",   "250 ok\r\n",
                                        "250 ok\r\n", "354 go\r\n", "554 spam\r\n", NULL};
    static const char *const closing[] = {"421 too busy\r\n", NULL};
    struct net_result r;
    struct talk t;
    talk_through(later, true, &r, &t);
    CHECK_INT(r.status, 451);
    net_result_clear(&r);
    talk_through(never, true, &r, &t);
    CHECK_INT(r.status, 554);
    net_result_clear(&r);
    talk_through(closing, true, &r, &t);
    CHECK_INT(r.status, 421);
    net_result_clear(&r);
}

static void test_a_lost_last_word_is_a_doubt(void)
{
    static const char *const replies[] = {"220 x\r\n",  "250 x\r\n",  "250 ok\r\n", "250 ok\r\n",
                                          "250 ok\r\n", "354 go\r\n", NULL};
    struct net_result r;
    struct talk t;
    talk_through(replies, true, &r, &t);
    CHECK_INT(r.err.code, ERROR_NETWORK);
    CHECK(r.err.maybe_sent && r.err.is_retryable);
    net_result_clear(&r);
}

static void test_without_starttls_nothing_is_said(void)
{
    static const char *const replies[] = {"220 x\r\n", "250 x\r\n", NULL};
    struct net_result r;
    struct talk t;
    talk_through(replies, false, &r, &t);
    CHECK_INT(r.err.code, ERROR_NETWORK);
    CHECK(strstr(r.err.message, "STARTTLS") != NULL);
    CHECK(!r.err.maybe_sent);
    CHECK(strstr(t.heard, "MAIL FROM") == NULL);
    net_result_clear(&r);
}

static void test_cancel_and_close_while_the_server_is_silent(void)
{
    struct net_world w;
    struct net_result r = {0};
    struct talk t = {0};
    struct transport_policy policy = {.is_plain = true};
    net_open(&w, true, NULL);
    listen_here(&t); /* never accepts: the connection waits in its queue for a greeting */
    struct http_request request = mail_to(t.port);
    struct transfer *x = w.transport->ops->start(w.transport, &request, &policy, net_on_done, &r);
    net_pass(&w, 20);
    w.transport->ops->cancel(w.transport, x);
    w.transport->ops->start(w.transport, &request, &policy, net_on_done, &r);
    http_request_free(&request);
    net_pass(&w, 20);
    net_close(&w);
    CHECK_INT(r.count, 0);
    close(t.fd);
}

static void test_no_server(void)
{
    struct net_world w;
    struct net_result r;
    struct transport_policy policy = {.is_plain = true};
    net_open(&w, true, NULL);
    memset(&r, 0, sizeof(r));
    struct http_request request = mail_to(1);
    w.transport->ops->start(w.transport, &request, &policy, net_on_done, &r);
    net_run(&w, &r.count, 1);
    CHECK_INT(r.err.code, ERROR_NETWORK);
    CHECK(!r.err.maybe_sent && r.err.is_retryable);
    http_request_free(&request);
    net_close(&w);
}

int main(void)
{
    tap_case("a message is taken", test_a_message_is_taken);
    tap_case("what the server says is an answer", test_what_the_server_says_is_an_answer);
    tap_case("a lost last word is a doubt", test_a_lost_last_word_is_a_doubt);
    tap_case("without STARTTLS nothing is said", test_without_starttls_nothing_is_said);
    tap_case("cancel and close while the server is silent",
             test_cancel_and_close_while_the_server_is_silent);
    tap_case("no server", test_no_server);
    return tap_done();
}
