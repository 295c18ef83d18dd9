/* libcurl on the loop, against our server and against raw sockets of this process. */
#include "core/net/transport_curl.h"

#include <curl/curl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/resource.h>

#include "tests/support/net_world.h"

static void test_round_trip_keeps_bytes_and_order(void)
{
    struct net_world w;
    struct net_result r;
    net_open(&w, true, NULL);
    struct http_request request = net_request(&w, "POST", "/echo/../x?a=%2F", NULL);
    request.body_size = 100000;
    request.body = xmalloc(request.body_size);
    for (size_t i = 0; i < request.body_size; i++) {
        request.body[i] = (char)(i % 256);
    }
    CHECK_INT(http_headers_add(&request.headers, "X-Empty", ""), 0);
    net_fetch(&w, &request, NULL, &r);
    CHECK_INT(r.status, 200);
    CHECK_INT(r.body_size, request.body_size);
    CHECK(memcmp(r.body, request.body, request.body_size) == 0);
    CHECK_STR(r.headers.list[0].value, "one");
    CHECK_STR(r.headers.list[2].name, "X-Twice");
    CHECK_STR(r.headers.list[2].value, "two");
    CHECK_STR(w.last_path, "/echo/../x");
    CHECK_STR(w.last_query, "a=%2F");
    CHECK_STR(http_headers_get(&w.last_headers, "X-Empty"), "");
    CHECK_STR(http_headers_get(&w.last_headers, "Content-Length"), "100000");
    static const char *const absent[] = {"Expect", "Accept-Encoding", "Content-Type", "Cookie"};
    for (size_t i = 0; i < 4; i++) {
        CHECK(http_headers_get(&w.last_headers, absent[i]) == NULL);
    }
    net_result_clear(&r);
    http_request_free(&request);
    net_close(&w);
}

static void test_methods(void)
{
    static const struct {
        const char *method;
        const char *body;
        const char *length; /* as the server sees it; NULL: none */
    } cases[] = {
        {"GET", NULL, NULL},  {"GET", "b", "1"},     {"POST", NULL, "0"},
        {"PUT", "bc", "2"},   {"PATCH", NULL, "0"},  {"DELETE", NULL, NULL},
        {"DELETE", "x", "1"}, {"PURGE", NULL, NULL}, {"OPTIONS", NULL, NULL},
    };
    struct net_world w;
    net_open(&w, true, NULL);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct net_result r;
        struct http_request request = net_request(&w, cases[i].method, "/echo", cases[i].body);
        net_fetch(&w, &request, NULL, &r);
        CHECK_STR(http_headers_get(&r.headers, "X-Method"), cases[i].method);
        CHECK_STR(r.body, cases[i].body == NULL ? "" : cases[i].body);
        const char *length = http_headers_get(&w.last_headers, "Content-Length");
        CHECK_STR(length == NULL ? "none" : length, cases[i].length ? cases[i].length : "none");
        net_result_clear(&r);
        http_request_free(&request);
    }
    struct net_result r;
    struct http_request request = net_request(&w, "HEAD", "/late", NULL);
    net_fetch(&w, &request, NULL, &r);
    CHECK_INT(r.body_size, 0);
    CHECK_STR(http_headers_get(&r.headers, "Content-Length"), "10");
    net_result_clear(&r);
    http_request_free(&request);
    net_close(&w);
}

static void test_redirects_and_proxies_are_not_followed(void)
{
    struct net_world w;
    struct net_result r;
    net_open(&w, true, NULL);
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
    w.next_status = 302;
    CHECK_INT(http_headers_add(&w.next_headers, "Location", "/echo"), 0);
    net_get(&w, "/status", &r);
    CHECK_INT(r.status, 302);
    CHECK_INT(w.handled, 1);
    net_result_clear(&r);
    unsetenv("http_proxy");
    unsetenv("ALL_PROXY");
    net_close(&w);
}

static void test_unusable_urls(void)
{
    static const char *const urls[] = {"file:///etc/passwd", "ftp://127.0.0.1/", "http://",
                                       "http://user:pw@127.0.0.1/"};
    struct net_world w;
    net_open(&w, true, NULL);
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        struct net_result r;
        net_get(&w, urls[i], &r);
        CHECK_INT(r.err.code, ERROR_INVALID);
        CHECK(!r.err.maybe_sent && !r.err.is_retryable);
    }
    net_close(&w);
}

static void test_rudeness(void)
{
    static const char *const paths[] = {"/reset", "/close", "/truncate"};
    struct net_world w;
    net_open(&w, true, NULL);
    for (size_t i = 0; i < 3; i++) {
        struct net_result r;
        struct http_request request = net_request(&w, "POST", paths[i], "x");
        request.is_fresh = true;
        net_fetch(&w, &request, NULL, &r);
        CHECK_INT(r.err.code, ERROR_NETWORK);
        CHECK(r.err.maybe_sent && r.err.is_retryable);
        CHECK_INT(w.handled, i + 1);
        http_request_free(&request);
    }
    net_close(&w);
}

static int open_raw_server(unsigned *port_out)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t size = sizeof(at);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_INT(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    CHECK_INT(listen(fd, 16), 0);
    CHECK_INT(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    *port_out = ntohs(at.sin_port);
    return fd;
}

static int raw_accept(struct net_world *w, int server)
{
    int fd = -1;
    for (int i = 0; i < 5000 && fd < 0; i++) {
        net_pass(w, 1);
        fd = accept(server, NULL, NULL);
    }
    CHECK(fd >= 0);
    return fd;
}

static void test_refused_was_not_sent(void)
{
    struct net_world w;
    struct net_result r;
    unsigned port;
    int server = open_raw_server(&port);
    close(server);
    net_open(&w, true, NULL);
    char url[64];
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/", port);
    net_get(&w, url, &r);
    CHECK_INT(r.err.code, ERROR_NETWORK);
    CHECK(!r.err.maybe_sent && r.err.is_retryable);
    CHECK(strstr(r.err.message, "could not connect") != NULL);
    net_close(&w);
}

static void test_timeouts_know_what_was_sent(void)
{
    struct net_world w;
    struct net_result r;
    unsigned port;
    net_open(&w, true, NULL);
    struct http_request request = net_request(&w, "POST", "/hold", "x");
    request.timeout_ms = 60;
    net_fetch(&w, &request, NULL, &r);
    CHECK_INT(r.err.code, ERROR_TIMEOUT);
    CHECK(r.err.maybe_sent && r.err.is_retryable);
    http_exchange_answer(w.held, 200, NULL, bytes_str("late"));
    http_request_free(&request);
    /* A peer that accepts and never says a word of TLS. */
    int server = open_raw_server(&port);
    char url[64];
    snprintf(url, sizeof(url), "https://127.0.0.1:%u/", port);
    request = net_request(&w, "POST", url, "x");
    request.timeout_ms = 60;
    net_fetch(&w, &request, NULL, &r);
    CHECK_INT(r.err.code, ERROR_TIMEOUT);
    CHECK(!r.err.maybe_sent);
    struct transport_policy policy = {.connect_timeout_ms = 30};
    request.timeout_ms = 10000;
    net_fetch(&w, &request, &policy, &r);
    CHECK_INT(r.err.code, ERROR_TIMEOUT);
    CHECK(!r.err.maybe_sent);
    http_request_free(&request);
    close(server);
    net_close(&w);
}

static void test_oversize_answer(void)
{
    struct transport_policy policy = {.max_answer_bytes = 9};
    struct net_world w;
    struct net_result r;
    net_open(&w, true, NULL);
    struct http_request request = net_request(&w, "GET", "/late", NULL);
    net_fetch(&w, &request, &policy, &r);
    CHECK_INT(r.err.code, ERROR_LIMIT);
    CHECK(r.err.maybe_sent);
    policy.max_answer_bytes = 10;
    net_fetch(&w, &request, &policy, &r);
    CHECK_INT(r.status, 200);
    net_result_clear(&r);
    http_request_free(&request);
    net_close(&w);
}

/* Waits for a whole request on fd; true when one came. */
static void test_answer_in_a_file(void)
{
    struct transport_policy policy = {.max_answer_bytes = 4};
    struct net_world w;
    struct net_result r;
    net_open(&w, true, NULL);
    struct http_request request = net_request(&w, "POST", "/echo", "0123456789");
    request.file_max_bytes = 10;
    net_fetch(&w, &request, &policy, &r);
    CHECK_INT(r.err.code, 0);
    CHECK_STR(r.body, "");
    CHECK_INT(r.file_size, 10);
    net_result_clear(&r);
    request.file_max_bytes = 9;
    net_fetch(&w, &request, &policy, &r);
    CHECK_INT(r.err.code, ERROR_LIMIT);
    policy.file_folder = "/nowhere";
    net_fetch(&w, &request, &policy, &r);
    CHECK_INT(r.err.code, ERROR_IO);
    CHECK(!r.err.maybe_sent);
    http_request_free(&request);
    net_close(&w);
}

static bool raw_take_request(struct net_world *w, int fd)
{
    char *got = raw_receive(w, fd, "\r\n\r\n");
    bool is_request = strstr(got, "\r\n\r\n") != NULL;
    free(got);
    return is_request;
}

static const char whole_answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

static void test_fresh_connections_are_new_and_not_kept(void)
{
    static const struct transport_policy plain = {0};
    struct net_world w;
    struct net_result r = {0};
    unsigned port;
    net_open(&w, true, NULL);
    int server = open_raw_server(&port);
    char url[64];
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/", port);
    struct http_request request = net_request(&w, "GET", url, NULL);
    w.transport->ops->start(w.transport, &request, &plain, net_on_done, &r);
    int kept = raw_accept(&w, server);
    CHECK(raw_take_request(&w, kept));
    raw_send(kept, whole_answer, strlen(whole_answer));
    net_run(&w, &r.count, 1);
    net_result_clear(&r);

    request.is_fresh = true;
    w.transport->ops->start(w.transport, &request, &plain, net_on_done, &r);
    int fresh = raw_accept(&w, server);
    CHECK(raw_take_request(&w, fresh));
    raw_send(fresh, whole_answer, strlen(whole_answer));
    net_run(&w, &r.count, 1);
    net_result_clear(&r);
    char *rest = raw_receive(&w, fresh, NULL); /* ends: the client has closed it */
    CHECK_STR(rest, "");
    free(rest);

    request.is_fresh = false;
    w.transport->ops->start(w.transport, &request, &plain, net_on_done, &r);
    CHECK(raw_take_request(&w, kept));
    CHECK(accept(server, NULL, NULL) < 0);
    raw_send(kept, whole_answer, strlen(whole_answer));
    net_run(&w, &r.count, 1);
    net_result_clear(&r);
    http_request_free(&request);
    close(kept);
    close(fresh);
    close(server);
    net_close(&w);
}

/* libcurl sends a POST again when a reused connection closes after the body; a fresh one must not.
 */
static void test_fresh_post_is_sent_once(void)
{
    static const struct transport_policy plain = {0};
    struct net_world w;
    struct net_result r = {0};
    unsigned port;
    net_open(&w, true, NULL);
    int server = open_raw_server(&port);
    char url[64];
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/", port);
    struct http_request request = net_request(&w, "POST", url, "payment");
    request.is_fresh = true;
    w.transport->ops->start(w.transport, &request, &plain, net_on_done, &r);
    int fd = raw_accept(&w, server);
    char *got = raw_receive(&w, fd, "payment");
    free(got);
    close(fd);
    net_run(&w, &r.count, 1);
    CHECK_INT(r.err.code, ERROR_NETWORK);
    CHECK(r.err.maybe_sent);
    net_pass(&w, 20);
    CHECK(accept(server, NULL, NULL) < 0);
    http_request_free(&request);
    close(server);
    net_close(&w);
}

static void test_interim_and_odd_answers(void)
{
    static const struct transport_policy plain = {0};
    static const char answer[] = "HTTP/1.1 100 Continue\r\nX-Interim: 1\r\n\r\n"
                                 "HTTP/1.1 201 Made\r\nX-A: 1\r\nBad Name: x\r\n: y\r\nX-A:2\r\n"
                                 "Transfer-Encoding: chunked\r\n\r\n"
                                 "2\r\nok\r\n0\r\nX-Trailer: t\r\n\r\n";
    struct net_world w;
    struct net_result r = {0};
    unsigned port;
    net_open(&w, true, NULL);
    int server = open_raw_server(&port);
    char url[64];
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/", port);
    struct http_request request = net_request(&w, "GET", url, NULL);
    w.transport->ops->start(w.transport, &request, &plain, net_on_done, &r);
    int fd = raw_accept(&w, server);
    CHECK(raw_take_request(&w, fd));
    raw_send(fd, answer, strlen(answer));
    net_run(&w, &r.count, 1);
    CHECK_INT(r.status, 201);
    CHECK_STR(r.body, "ok");
    CHECK_INT(http_headers_count(&r.headers, "X-A"), 2);
    CHECK(http_headers_get(&r.headers, "X-Interim") == NULL);
    CHECK(http_headers_get(&r.headers, "X-Trailer") == NULL);
    CHECK_INT(r.headers.count, 3);
    net_result_clear(&r);
    http_request_free(&request);
    close(fd);
    close(server);
    net_close(&w);
}

static void test_endless_headers_are_stopped(void)
{
    static const struct transport_policy plain = {0};
    struct net_world w;
    struct net_result r = {0};
    unsigned port;
    net_open(&w, true, NULL);
    int server = open_raw_server(&port);
    char url[64];
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/", port);
    struct http_request request = net_request(&w, "GET", url, NULL);
    w.transport->ops->start(w.transport, &request, &plain, net_on_done, &r);
    int fd = raw_accept(&w, server);
    CHECK(raw_take_request(&w, fd));
    raw_send(fd, "HTTP/1.1 200 OK\r\n", 17);
    for (int i = 0; i < 1000000 && r.count == 0; i++) {
        (void)!send(fd, "X-Again: 0123456789012345678901234567890123456789\r\n", 51,
                    MSG_NOSIGNAL | MSG_DONTWAIT);
        loop_poll(w.loop, false);
    }
    CHECK_INT(r.err.code, ERROR_LIMIT);
    http_request_free(&request);
    close(fd);
    close(server);
    net_close(&w);
}

static void test_cancel_is_final(void)
{
    static const struct transport_policy plain = {0};
    struct net_world w;
    struct net_result r = {0};
    net_open(&w, true, NULL);
    struct http_request request = net_request(&w, "GET", "/hold", NULL);
    struct http_request bad = net_request(&w, "GET", "ftp://x/", NULL);
    struct transport *t = w.transport;
    t->ops->cancel(t, t->ops->start(t, &request, &plain, net_on_done, &r));
    t->ops->cancel(t, t->ops->start(t, &bad, &plain, net_on_done, &r)); /* done already, untold */
    struct transfer *x = t->ops->start(t, &request, &plain, net_on_done, &r);
    net_run_handled(&w, 1);
    t->ops->cancel(t, x);
    http_exchange_answer(w.held, 200, NULL, bytes_str("x"));
    net_pass(&w, 20);
    CHECK_INT(r.count, 0);
    /* The transport may go away with transfers open. */
    t->ops->start(t, &request, &plain, net_on_done, &r);
    t->ops->start(t, &bad, &plain, net_on_done, &r);
    net_run_handled(&w, 2);
    http_request_free(&request);
    http_request_free(&bad);
    net_close(&w);
}

struct chain {
    struct net_world *w;
    struct http_request request;
    int count;
};

static void again(void *arg, struct http_answer *answer, const struct error *err)
{
    static const struct transport_policy plain = {0};
    struct chain *chain = arg;
    CHECK(err == NULL && answer->status == 200);
    if (++chain->count < 5) {
        struct transport *t = chain->w->transport;
        t->ops->start(t, &chain->request, &plain, again, chain);
    }
}

static void test_done_may_start_the_next(void)
{
    static const struct transport_policy plain = {0};
    struct net_world w;
    net_open(&w, true, NULL);
    struct chain chain = {.w = &w, .request = net_request(&w, "GET", "/echo", NULL)};
    w.transport->ops->start(w.transport, &chain.request, &plain, again, &chain);
    net_run(&w, &chain.count, 5);
    http_request_free(&chain.request);
    net_close(&w);
}

static void test_many_at_once(void)
{
    static const struct transport_policy plain = {0};
    static struct net_result results[64];
    struct net_world w;
    net_open(&w, true, NULL);
    struct http_request request = net_request(&w, "GET", "/late", NULL);
    for (int i = 0; i < 64; i++) {
        w.transport->ops->start(w.transport, &request, &plain, net_on_done, &results[i]);
    }
    for (int i = 0; i < 64; i++) {
        net_run(&w, &results[i].count, 1);
        CHECK_INT(results[i].status, 200);
        net_result_clear(&results[i]);
    }
    http_request_free(&request);
    net_close(&w);
}

/* ---- TLS ---- */

struct identity {
    EVP_PKEY *key;
    X509 *cert;
    char cert_file[64];
    char key_file[64];
};

static void add_extension(X509 *cert, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    CHECK(extension != NULL && X509_add_ext(cert, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

/* Self-signed when issuer is NULL. alt_name "IP:127.0.0.1" or "DNS:other". */
static void make_identity(struct identity *id, const char *folder, const char *name,
                          const char *alt_name, const struct identity *issuer, bool is_expired)
{
    id->key = EVP_EC_gen("P-256");
    id->cert = X509_new();
    X509_set_version(id->cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(id->cert), 1 + (long)strlen(name));
    X509_gmtime_adj(X509_getm_notBefore(id->cert), -200000);
    X509_gmtime_adj(X509_getm_notAfter(id->cert), is_expired ? -100000 : 100000);
    X509_set_pubkey(id->cert, id->key);
    X509_NAME *subject = X509_get_subject_name(id->cert);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(id->cert, issuer == NULL ? subject : X509_get_subject_name(issuer->cert));
    if (alt_name != NULL) {
        add_extension(id->cert, NID_subject_alt_name, alt_name);
    } else {
        add_extension(id->cert, NID_basic_constraints, "critical,CA:TRUE");
    }
    CHECK(X509_sign(id->cert, issuer == NULL ? id->key : issuer->key, EVP_sha256()) > 0);
    snprintf(id->cert_file, sizeof(id->cert_file), "%s/%s.crt", folder, name);
    snprintf(id->key_file, sizeof(id->key_file), "%s/%s.key", folder, name);
    FILE *f = fopen(id->cert_file, "w");
    CHECK(f != NULL && PEM_write_X509(f, id->cert) == 1);
    fclose(f);
    f = fopen(id->key_file, "w");
    CHECK(f != NULL && PEM_write_PrivateKey(f, id->key, NULL, NULL, 0, NULL, NULL) == 1);
    fclose(f);
}

static void free_identity(struct identity *id)
{
    EVP_PKEY_free(id->key);
    X509_free(id->cert);
    unlink(id->cert_file);
    unlink(id->key_file);
}

/* "sha256//BASE64" of the public key. */
static char *key_pin(const struct identity *id)
{
    unsigned char *der = NULL;
    int size = i2d_PUBKEY(id->key, &der);
    unsigned char digest[32];
    unsigned char text[64];
    CHECK_INT(EVP_Digest(der, (size_t)size, digest, NULL, EVP_sha256(), NULL), 1);
    EVP_EncodeBlock(text, digest, sizeof(digest));
    OPENSSL_free(der);
    return xasprintf("sha256//%s", (char *)text);
}

/* One server with this identity, asked under this policy. */
static void ask_tls(const struct identity *id, const struct transport_policy *policies,
                    const bool *accepted, size_t count)
{
    struct net_world w;
    struct error err;
    net_open(&w, true, NULL);
    struct http_server *server = http_server_new(w.loop, NULL, net_on_request, &w);
    CHECK_INT(http_server_listen(server, "127.0.0.1:0", id->cert_file, id->key_file, &err), 0);
    char *url = xasprintf("https://127.0.0.1:%u/echo", http_server_port(server));
    for (size_t i = 0; i < count; i++) {
        struct net_result r;
        unsigned seen = w.handled;
        struct http_request request = net_request(&w, "POST", url, "over tls");
        net_fetch(&w, &request, &policies[i], &r);
        if (accepted[i] != (r.status == 200)) {
            printf("# policy %zu: %s\n", i, r.err.message);
        }
        CHECK_INT(r.status, accepted[i] ? 200 : 0);
        if (accepted[i]) {
            CHECK_STR(r.body, "over tls");
        } else {
            CHECK_INT(r.err.code, ERROR_NETWORK);
            CHECK(!r.err.maybe_sent && r.err.is_retryable);
            CHECK_INT(w.handled, seen);
        }
        net_result_clear(&r);
        http_request_free(&request);
    }
    free(url);
    http_server_free(server);
    net_close(&w);
}

static void test_tls_trust(void)
{
    char folder[] = "/tmp/neap_tls_XXXXXX";
    CHECK(mkdtemp(folder) != NULL);
    struct identity self;
    struct identity stranger;
    struct identity authority;
    struct identity leaf;
    struct identity expired;
    make_identity(&self, folder, "khaos.local", "DNS:khaos.local", NULL, false);
    make_identity(&stranger, folder, "khaos.locat", "DNS:khaos.local", NULL, false);
    make_identity(&authority, folder, "authority", NULL, NULL, false);
    make_identity(&leaf, folder, "leaf", "IP:127.0.0.1", &authority, false);
    make_identity(&expired, folder, "expired", "IP:127.0.0.1", NULL, true);
    char *self_pin = key_pin(&self);
    char *leaf_pin = key_pin(&leaf);

    /* In this order also: what a pinned connection keeps open is not reused without the pin. */
    const struct transport_policy for_self[] = {
        {0},
        {.pinned_cert_file = self.cert_file},
        {0},
        {.pinned_cert_file = stranger.cert_file},
        {.ca_file = self.cert_file}, /* trusted, but for another name */
        {.pinned_cert_file = "/nowhere.pem"},
        {.pinned_cert_file = self.cert_file, .pinned_key = self_pin},
        {.pinned_cert_file = self.cert_file, .pinned_key = leaf_pin},
        {.pinned_cert_file = self.cert_file},
    };
    const bool self_accepted[] = {false, true, false, false, false, false, true, false, true};
    ask_tls(&self, for_self, self_accepted, 9);

    const struct transport_policy for_leaf[] = {
        {0},
        {.ca_file = authority.cert_file},
        {.pinned_cert_file = authority.cert_file}, /* signed by it, but not it */
        {.pinned_cert_file = leaf.cert_file},
        {.ca_file = authority.cert_file, .pinned_key = leaf_pin},
        {.ca_file = authority.cert_file, .pinned_key = self_pin},
        {.ca_file = stranger.cert_file},
        {0},
    };
    const bool leaf_accepted[] = {false, true, false, true, true, false, false, false};
    ask_tls(&leaf, for_leaf, leaf_accepted, 8);

    const struct transport_policy for_expired[] = {{.pinned_cert_file = expired.cert_file}};
    const bool expired_accepted[] = {false};
    ask_tls(&expired, for_expired, expired_accepted, 1);

    free(self_pin);
    free(leaf_pin);
    free_identity(&self);
    free_identity(&stranger);
    free_identity(&authority);
    free_identity(&leaf);
    free_identity(&expired);
    CHECK_INT(rmdir(folder), 0);
}

static void test_translator(void)
{
    static const struct {
        int curl_code;
        int code;
        bool is_retryable;
    } cases[] = {
        {CURLE_OPERATION_TIMEDOUT, ERROR_TIMEOUT, true},
        {CURLE_COULDNT_RESOLVE_HOST, ERROR_NETWORK, true},
        {CURLE_COULDNT_CONNECT, ERROR_NETWORK, true},
        {CURLE_RECV_ERROR, ERROR_NETWORK, true},
        {CURLE_SEND_ERROR, ERROR_NETWORK, true},
        {CURLE_GOT_NOTHING, ERROR_NETWORK, true},
        {CURLE_PARTIAL_FILE, ERROR_NETWORK, true},
        {CURLE_HTTP2_STREAM, ERROR_NETWORK, true},
        {CURLE_PEER_FAILED_VERIFICATION, ERROR_NETWORK, true},
        {CURLE_SSL_PINNEDPUBKEYNOTMATCH, ERROR_NETWORK, true},
        {CURLE_URL_MALFORMAT, ERROR_INVALID, false},
        {CURLE_UNSUPPORTED_PROTOCOL, ERROR_INVALID, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct error err;
        CHECK_INT(http_error_from_curl(&err, cases[i].curl_code, "", i % 2 == 0), cases[i].code);
        CHECK_INT(err.is_retryable, cases[i].is_retryable);
        CHECK_INT(err.maybe_sent, i % 2 == 0);
        CHECK(strstr(err.message, curl_easy_strerror((CURLcode)cases[i].curl_code)) != NULL);
    }
}

/* The breaker counts what is wrong over there, not what we lack. */
static void test_no_descriptor_is_our_own_lack(void)
{
    struct rlimit before;
    struct error refused;
    struct error sent;
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit none = {.rlim_cur = 0, .rlim_max = before.rlim_max};
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &none), 0);
    (void)http_error_from_curl(&refused, CURLE_COULDNT_CONNECT, "", false);
    (void)http_error_from_curl(&sent, CURLE_RECV_ERROR, "", true);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &before), 0);
    CHECK_INT(refused.code, ERROR_LIMIT);
    CHECK(refused.is_retryable && !refused.maybe_sent);
    CHECK(strstr(refused.message, "descriptor") != NULL);
    CHECK_INT(sent.code, ERROR_NETWORK);
}

int main(void)
{
    tap_case("a round trip keeps bytes and header order", test_round_trip_keeps_bytes_and_order);
    tap_case("every method and body combination is sent as asked", test_methods);
    tap_case("redirects and the environment's proxies are ignored",
             test_redirects_and_proxies_are_not_followed);
    tap_case("only plain http and https URLs work", test_unusable_urls);
    tap_case("reset, close and truncation are unknown outcomes", test_rudeness);
    tap_case("a refused connection sent nothing", test_refused_was_not_sent);
    tap_case("timeouts know whether the request was sent", test_timeouts_know_what_was_sent);
    tap_case("an answer above the limit is an error", test_oversize_answer);
    tap_case("an answer may go to a file", test_answer_in_a_file);
    tap_case("fresh connections are new and not kept", test_fresh_connections_are_new_and_not_kept);
    tap_case("a POST on a fresh connection is sent once", test_fresh_post_is_sent_once);
    tap_case("interim answers, bad headers and trailers are left out",
             test_interim_and_odd_answers);
    tap_case("endless headers are stopped", test_endless_headers_are_stopped);
    tap_case("a cancelled transfer never reports", test_cancel_is_final);
    tap_case("done may start the next transfer", test_done_may_start_the_next);
    tap_case("many transfers run at once", test_many_at_once);
    tap_case("TLS peers are trusted only as the policy says", test_tls_trust);
    tap_case("libcurl's failures are translated", test_translator);
    tap_case("no descriptor left is not a failure of the other side",
             test_no_descriptor_is_our_own_lack);
    return tap_done();
}
