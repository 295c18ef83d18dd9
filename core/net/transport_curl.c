/*
 * HTTP over libcurl's multi interface on the loop; mail goes to smtp.c.
 *
 * Layers: socket and timer callbacks of libcurl only keep book; our events call
 * curl_multi_socket_action, then every finished transfer is moved to the done list; the done list
 * is delivered in a deferred call. So done never runs inside libcurl, nor inside start.
 *
 * A transfer is on exactly one list: running, or done, or (being delivered) none.
 */
#include "core/net/transport_curl.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

#include <curl/curl.h>
#include <event2/event.h>

#include "core/base/descriptors.h"
#include "core/base/xalloc.h"
#include "core/loop/loop.h"
#include "core/net/http_exchange.h"
#include "core/net/smtp.h"
#include "core/net/transport.h"
#include "core/net/transport_tls.h"

#define MAX_KEPT_CONNECTIONS 256L

struct transfer {
    TAILQ_ENTRY(transfer) entry;
    struct curl_transport *owner;
    CURL *easy;             /* NULL when it could not be made, and for mail */
    struct smtp_send *mail; /* under way; its end deletes the transfer */
    struct curl_slist *header_lines;
    struct http_answer answer;
    size_t header_bytes;
    bool has_whole_head; /* later header lines are trailers */
    bool is_over_limit;
    uint64_t file_max_bytes;
    int file_rc; /* of making or writing answer.file */
    bool is_done;
    CURLcode code;
    int64_t started_ms;
    transport_done_cb done;
    void *arg;
    char detail[CURL_ERROR_SIZE];
};

TAILQ_HEAD(transfer_list, transfer);

struct curl_transport {
    struct transport base;
    struct loop *loop;
    struct smtp_sender *smtp;
    CURLM *multi;
    struct loop_timer *timer;
    struct transfer_list running;
    struct transfer_list done;
    bool is_delivery_due;
};

/* ---- errors ---- */

int http_error_from_curl(struct error *err, int curl_code, const char *detail, bool maybe_sent)
{
    const char *text = detail[0] != '\0' ? detail : curl_easy_strerror((CURLcode)curl_code);
    int code = ERROR_NETWORK;
    const char *what = "connection failed";
    bool is_retryable = true;
    switch (curl_code) {
    case CURLE_OPERATION_TIMEDOUT:
        code = ERROR_TIMEOUT;
        what = "no answer in time";
        break;
    case CURLE_COULDNT_RESOLVE_HOST:
        what = "host name not resolved";
        break;
    case CURLE_COULDNT_CONNECT:
        what = "could not connect";
        break;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_SSL_ISSUER_ERROR:
        what = "certificate of the server not accepted";
        break;
    case CURLE_SSL_CACERT_BADFILE:
        what = "certificate file not readable";
        break;
    case CURLE_SSL_CONNECT_ERROR:
        what = "TLS handshake failed";
        break;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_LOGIN_DENIED:
        code = ERROR_INVALID;
        what = "URL not usable";
        is_retryable = false;
        break;
    case CURLE_OUT_OF_MEMORY:
        code = ERROR_LIMIT;
        what = "out of memory";
        break;
    default:
        break;
    }
    /* Our own lack says nothing about the other side: it must not count as being down. */
    if (code == ERROR_NETWORK && !maybe_sent && !descriptors_has_one()) {
        code = ERROR_LIMIT;
        what = "no file descriptor is left (ulimit -n)";
    }
    error_set(err, code, "%s: %s", what, text);
    err->is_retryable = is_retryable;
    err->maybe_sent = maybe_sent;
    return code;
}

/* ---- receiving ---- */

static size_t transfer_on_body(char *data, size_t unit, size_t count, void *arg)
{
    struct transfer *x = arg;
    size_t size = unit * count;
    if (x->answer.file == NULL) {
        x->is_over_limit = buf_add(&x->answer.body, data, size) != 0;
        return x->is_over_limit ? CURL_WRITEFUNC_ERROR : size;
    }
    x->file_rc = spool_add(x->answer.file, data, size);
    x->is_over_limit = x->file_rc == ERROR_LIMIT;
    return x->file_rc != 0 ? CURL_WRITEFUNC_ERROR : size;
}

/* A status line opens a head: what an interim answer (1xx) said before is forgotten. */
static void begin_head(struct transfer *x)
{
    http_headers_free(&x->answer.headers);
    x->has_whole_head = false;
}

static size_t transfer_on_header(char *data, size_t unit, size_t count, void *arg)
{
    struct transfer *x = arg;
    size_t size = unit * count;
    x->header_bytes += size;
    if (x->header_bytes > TRANSPORT_MAX_HEADER_BYTES) {
        x->is_over_limit = true;
        return 0;
    }
    size_t length = size;
    while (length > 0 && (data[length - 1] == '\r' || data[length - 1] == '\n')) {
        length--;
    }
    if (length >= 5 && memcmp(data, "HTTP/", 5) == 0) {
        begin_head(x);
    } else if (length == 0) {
        x->has_whole_head = true;
    } else if (!x->has_whole_head) {
        const char *colon = memchr(data, ':', length);
        if (colon != NULL) {
            size_t name = (size_t)(colon - data);
            /* A field that breaks the grammar is left out; the answer itself is still good. */
            (void)!http_headers_add_bytes(&x->answer.headers, bytes_of(data, name),
                                          bytes_of(colon + 1, length - name - 1));
        }
    }
    return size;
}

/* ---- setting up ---- */

/* Collects the first failure, so that one check at the end is enough. */
#define SET(option, value)                                                                         \
    do {                                                                                           \
        CURLcode set_code = curl_easy_setopt(x->easy, option, value);                              \
        if (rc == CURLE_OK) {                                                                      \
            rc = set_code;                                                                         \
        }                                                                                          \
    } while (0)

static CURLcode set_safety(struct transfer *x)
{
    CURLcode rc = CURLE_OK;
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_PROXY, ""); /* also keeps the environment's proxies out */
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    SET(CURLOPT_PATH_AS_IS, 1L);
    /* Without it, ending a transfer waits for a name server that hangs: the whole loop would. */
    SET(CURLOPT_QUICK_EXIT, 1L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    return rc;
}

static CURLcode set_limits(struct transfer *x, const struct http_request *request,
                           const struct transport_policy *policy)
{
    CURLcode rc = CURLE_OK;
    int64_t timeout = request->timeout_ms > 0 ? request->timeout_ms : TRANSPORT_TIMEOUT_MS;
    int64_t connect_timeout =
        policy->connect_timeout_ms > 0 ? policy->connect_timeout_ms : TRANSPORT_CONNECT_TIMEOUT_MS;
    SET(CURLOPT_TIMEOUT_MS, (long)timeout);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)connect_timeout);
    SET(CURLOPT_FRESH_CONNECT, request->is_fresh ? 1L : 0L);
    SET(CURLOPT_FORBID_REUSE, request->is_fresh ? 1L : 0L);
    return rc;
}

static CURLcode set_method_and_body(struct transfer *x, const struct http_request *request)
{
    CURLcode rc = CURLE_OK;
    const char *method = request->method;
    bool says_length =
        strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 || strcmp(method, "PATCH") == 0;
    if (strcmp(method, "HEAD") == 0) {
        SET(CURLOPT_NOBODY, 1L);
        return rc;
    }
    if (request->body_size > 0 || says_length) {
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_size);
        SET(CURLOPT_POSTFIELDS, request->body == NULL ? "" : request->body);
    } else {
        SET(CURLOPT_HTTPGET, 1L);
    }
    SET(CURLOPT_CUSTOMREQUEST, method);
    return rc;
}

static bool add_line(struct transfer *x, const char *line)
{
    struct curl_slist *longer = curl_slist_append(x->header_lines, line);
    x->header_lines = longer != NULL ? longer : x->header_lines;
    return longer != NULL;
}

static CURLcode set_headers(struct transfer *x, const struct http_request *request)
{
    CURLcode rc = CURLE_OK;
    const struct http_headers *headers = &request->headers;
    bool is_good = add_line(x, "Expect:");
    if (http_headers_get(headers, "Content-Type") == NULL) {
        is_good = is_good && add_line(x, "Content-Type:"); /* libcurl would invent a form */
    }
    for (size_t i = 0; i < headers->count; i++) {
        const struct http_header *h = &headers->list[i];
        char *line = h->value[0] == '\0' ? xasprintf("%s;", h->name)
                                         : xasprintf("%s: %s", h->name, h->value);
        is_good = is_good && add_line(x, line);
        free(line);
    }
    if (!is_good) {
        return CURLE_OUT_OF_MEMORY;
    }
    SET(CURLOPT_USERAGENT, "neap");
    SET(CURLOPT_HTTPHEADER, x->header_lines);
    return rc;
}

static CURLcode set_callbacks(struct transfer *x)
{
    CURLcode rc = CURLE_OK;
    SET(CURLOPT_PRIVATE, x);
    SET(CURLOPT_ERRORBUFFER, x->detail);
    SET(CURLOPT_WRITEFUNCTION, transfer_on_body);
    SET(CURLOPT_WRITEDATA, x);
    SET(CURLOPT_HEADERFUNCTION, transfer_on_header);
    SET(CURLOPT_HEADERDATA, x);
    return rc;
}

static CURLcode transfer_set_up(struct transfer *x, const struct http_request *request,
                                const struct transport_policy *policy)
{
    CURLcode rc = CURLE_OK;
    SET(CURLOPT_URL, request->url);
    CURLcode steps[] = {rc,
                        set_callbacks(x),
                        set_safety(x),
                        transport_tls_apply(x->easy, policy),
                        set_limits(x, request, policy),
                        set_method_and_body(x, request),
                        set_headers(x, request)};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        if (steps[i] != CURLE_OK) {
            return steps[i];
        }
    }
    return CURLE_OK;
}

/* ---- delivering ---- */

static void transfer_free(struct transfer *x)
{
    if (x->easy != NULL) {
        curl_easy_cleanup(x->easy);
    }
    curl_slist_free_all(x->header_lines);
    http_answer_free(&x->answer);
    free(x);
}

/*
 * False only with evidence: no request byte was handed to the socket, and the transfer never got
 * past connecting and the TLS handshake.
 */
static bool transfer_maybe_sent(const struct transfer *x)
{
    long request_bytes = 0;
    curl_off_t uploaded = 0;
    curl_off_t pretransfer_us = 0;
    if (x->easy == NULL) {
        return false;
    }
    if (curl_easy_getinfo(x->easy, CURLINFO_REQUEST_SIZE, &request_bytes) != CURLE_OK ||
        curl_easy_getinfo(x->easy, CURLINFO_SIZE_UPLOAD_T, &uploaded) != CURLE_OK ||
        curl_easy_getinfo(x->easy, CURLINFO_PRETRANSFER_TIME_T, &pretransfer_us) != CURLE_OK) {
        return true;
    }
    return request_bytes > 0 || uploaded > 0 || pretransfer_us > 0;
}

static void transfer_deliver(struct transfer *x)
{
    if (x->code == CURLE_OK) {
        long status = 0;
        curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status);
        x->answer.status = (int)status;
        x->answer.elapsed_ms = clock_mono_ms(loop_clock(x->owner->loop)) - x->started_ms;
        x->done(x->arg, &x->answer, NULL);
        return;
    }
    struct error err;
    if (x->is_over_limit) {
        error_set(&err, ERROR_LIMIT, "the answer is larger than allowed (%zu bytes)",
                  x->answer.file != NULL ? (size_t)x->file_max_bytes : x->answer.body.max);
        err.maybe_sent = true;
    } else if (x->file_rc != 0) {
        error_set(&err, x->file_rc, "the answer cannot be kept in a file");
        err.is_retryable = true;
        err.maybe_sent = x->easy != NULL;
    } else {
        http_error_from_curl(&err, (int)x->code, x->detail, transfer_maybe_sent(x));
    }
    x->done(x->arg, NULL, &err);
}

static void curl_transport_on_deliver(void *arg)
{
    struct curl_transport *t = arg;
    t->is_delivery_due = false;
    struct transfer *x;
    while ((x = TAILQ_FIRST(&t->done)) != NULL) {
        TAILQ_REMOVE(&t->done, x, entry);
        transfer_deliver(x);
        transfer_free(x);
    }
}

static void transfer_finish(struct transfer *x, CURLcode code)
{
    struct curl_transport *t = x->owner;
    x->code = code;
    x->is_done = true;
    TAILQ_REMOVE(&t->running, x, entry);
    TAILQ_INSERT_TAIL(&t->done, x, entry);
    if (!t->is_delivery_due) {
        t->is_delivery_due = true;
        loop_defer(t->loop, curl_transport_on_deliver, t);
    }
}

/* ---- loop glue ---- */

static void act(struct curl_transport *t, curl_socket_t fd, int what)
{
    int running;
    curl_multi_socket_action(t->multi, fd, what, &running);
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(t->multi, &left)) != NULL) {
        if (message->msg != CURLMSG_DONE) {
            continue;
        }
        /* The message dies with the removal of its handle. */
        CURL *easy = message->easy_handle;
        CURLcode code = message->data.result;
        struct transfer *x = NULL;
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, &x);
        curl_multi_remove_handle(t->multi, easy);
        transfer_finish(x, code);
    }
}

static void curl_transport_on_event(evutil_socket_t fd, short what, void *arg)
{
    int flags = ((what & EV_READ) != 0 ? CURL_CSELECT_IN : 0) |
                ((what & EV_WRITE) != 0 ? CURL_CSELECT_OUT : 0);
    act(arg, fd, flags);
}

static void curl_transport_on_time(void *arg)
{
    act(arg, CURL_SOCKET_TIMEOUT, 0);
}

static int curl_transport_on_timer(CURLM *multi, long timeout_ms, void *arg)
{
    (void)multi;
    struct curl_transport *t = arg;
    if (timeout_ms < 0) {
        loop_timer_stop(t->timer);
    } else {
        loop_timer_start(t->timer, timeout_ms);
    }
    return 0;
}

static int curl_transport_on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
    (void)easy;
    struct curl_transport *t = arg;
    struct event *event = known;
    if (event != NULL) {
        event_free(event);
        curl_multi_assign(t->multi, fd, NULL);
    }
    if (what == CURL_POLL_REMOVE) {
        return 0;
    }
    short wanted = (short)(EV_PERSIST | ((what & CURL_POLL_IN) != 0 ? EV_READ : 0) |
                           ((what & CURL_POLL_OUT) != 0 ? EV_WRITE : 0));
    event = event_new(loop_event_base(t->loop), fd, wanted, curl_transport_on_event, t);
    if (event == NULL || event_add(event, NULL) != 0) {
        if (event != NULL) {
            event_free(event);
        }
        return -1; /* libcurl ends its transfers */
    }
    curl_multi_assign(t->multi, fd, event);
    return 0;
}

/* ---- mail ---- */

static void transfer_on_mail(void *arg, struct http_answer *answer, const struct error *err)
{
    struct transfer *x = arg;
    TAILQ_REMOVE(&x->owner->running, x, entry);
    x->done(x->arg, answer, err);
    transfer_free(x);
}

/* ---- the transport ---- */

static void open_file(struct transfer *x, const struct http_request *request,
                      const struct transport_policy *policy)
{
    const char *folder = policy->file_folder != NULL ? policy->file_folder : TRANSPORT_FILE_FOLDER;
    struct error err;
    x->file_max_bytes = request->file_max_bytes;
    if (x->file_max_bytes > 0) {
        x->answer.file = spool_new(folder, x->file_max_bytes, &err);
        x->file_rc = x->answer.file == NULL ? err.code : 0;
    }
}

static struct transfer *curl_transport_start(struct transport *base,
                                             const struct http_request *request,
                                             const struct transport_policy *policy,
                                             transport_done_cb done, void *arg)
{
    struct curl_transport *t = (struct curl_transport *)base;
    struct transfer *x = xcalloc(1, sizeof(*x));
    x->owner = t;
    x->done = done;
    x->arg = arg;
    x->started_ms = clock_mono_ms(loop_clock(t->loop));
    size_t max = policy->max_answer_bytes;
    buf_init(&x->answer.body, max > 0 ? max : TRANSPORT_MAX_ANSWER_BYTES);
    TAILQ_INSERT_TAIL(&t->running, x, entry);
    if (smtp_is_url(request->url)) {
        x->mail = smtp_send_start(t->smtp, request, policy, transfer_on_mail, x);
        return x;
    }
    open_file(x, request, policy);
    x->easy = x->file_rc == 0 ? curl_easy_init() : NULL;
    CURLcode code = x->easy == NULL ? CURLE_OUT_OF_MEMORY : transfer_set_up(x, request, policy);
    if (code == CURLE_OK && curl_multi_add_handle(t->multi, x->easy) != CURLM_OK) {
        code = CURLE_OUT_OF_MEMORY;
    }
    if (code != CURLE_OK) {
        transfer_finish(x, code);
    }
    return x;
}

static void curl_transport_cancel(struct transport *base, struct transfer *x)
{
    struct curl_transport *t = (struct curl_transport *)base;
    assert(x->owner == t);
    if (x->is_done) {
        TAILQ_REMOVE(&t->done, x, entry);
    } else {
        if (x->mail != NULL) {
            smtp_send_cancel(x->mail);
        } else {
            curl_multi_remove_handle(t->multi, x->easy);
        }
        TAILQ_REMOVE(&t->running, x, entry);
    }
    transfer_free(x);
}

static void curl_transport_free(struct transport *base)
{
    struct curl_transport *t = (struct curl_transport *)base;
    while (!TAILQ_EMPTY(&t->running)) {
        /* Takes itself off the list, which the analyzer cannot follow. */
        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc)
        curl_transport_cancel(base, TAILQ_FIRST(&t->running));
    }
    while (!TAILQ_EMPTY(&t->done)) {
        /* Takes itself off the list, which the analyzer cannot follow. */
        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc)
        curl_transport_cancel(base, TAILQ_FIRST(&t->done));
    }
    loop_defer_cancel(t->loop, curl_transport_on_deliver, t);
    if (t->multi != NULL) {
        curl_multi_cleanup(t->multi);
    }
    loop_timer_free(t->timer);
    smtp_sender_free(t->smtp);
    free(t);
    curl_global_cleanup();
}

struct transport *transport_curl_new(struct loop *loop)
{
    static const struct transport_ops ops = {curl_transport_start, curl_transport_cancel,
                                             curl_transport_free};
    if (loop_event_base(loop) == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return NULL;
    }
    net_ignore_broken_pipes();
    struct curl_transport *t = xcalloc(1, sizeof(*t));
    t->base.ops = &ops;
    t->loop = loop;
    TAILQ_INIT(&t->running);
    TAILQ_INIT(&t->done);
    t->timer = loop_timer_new(loop, curl_transport_on_time, t);
    t->multi = curl_multi_init();
    t->smtp = smtp_sender_new(loop);
    if (t->multi == NULL || t->smtp == NULL ||
        curl_multi_setopt(t->multi, CURLMOPT_SOCKETFUNCTION, curl_transport_on_socket) !=
            CURLM_OK ||
        curl_multi_setopt(t->multi, CURLMOPT_SOCKETDATA, t) != CURLM_OK ||
        curl_multi_setopt(t->multi, CURLMOPT_TIMERFUNCTION, curl_transport_on_timer) != CURLM_OK ||
        curl_multi_setopt(t->multi, CURLMOPT_TIMERDATA, t) != CURLM_OK ||
        curl_multi_setopt(t->multi, CURLMOPT_MAXCONNECTS, MAX_KEPT_CONNECTIONS) != CURLM_OK) {
        curl_transport_free(&t->base);
        return NULL;
    }
    return &t->base;
}
