/*
 * Connection. A call is queued, then under way; or failing, when its error waits for the deferred
 * turn. Calls live on one list in order of arrival until done or cancel.
 *
 * The last act of every path that ends a call is its done: the connection may be gone afterwards.
 */
#include "core/net/connection.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

#include <openssl/crypto.h>

#include "core/base/xalloc.h"
#include "core/net/http_fields.h"
#include "core/net/rate.h"
#include "core/net/smtp.h"

#define MAX_CONCURRENT_DEFAULT  8
#define BREAKER_LIMIT_DEFAULT   5
#define BREAKER_COOL_DEFAULT_MS 10000
#define SMTP_SERVICE_CLOSING    421

enum call_state { CALL_QUEUED, CALL_UNDER_WAY, CALL_FAILING };

struct connection_call {
    TAILQ_ENTRY(connection_call) entry;
    struct connection *connection;
    enum call_state state;
    bool is_probe;
    struct http_request request;
    struct transfer *transfer; /* while under way */
    transport_done_cb done;
    void *arg;
    struct error err; /* while failing */
};

struct connection {
    struct loop *loop;
    struct transport *transport;
    struct connection_options options; /* strings are ours */
    char *authorization;               /* "Basic ..." or NULL */
    connection_breaker_fn on_breaker;
    void *breaker_arg;
    struct breaker breaker;
    struct rate rate;
    struct loop_timer *rate_timer;
    struct loop_timer *cool_timer;
    TAILQ_HEAD(, connection_call) calls;
    struct connection_stats stats;
    bool has_stopped;
    struct error base_error; /* why no URL can be made; code 0 when it can */
    char last_error[ERROR_MESSAGE_SIZE];
};

/* ---- URLs ---- */

/* The part "scheme://host:port" of a URL, or 0. */
static size_t authority_end(const char *url)
{
    static const char *const schemes[] = {"https://", "http://", "smtps://", "smtp://"};
    size_t start = 0;
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]) && start == 0; i++) {
        size_t length = strlen(schemes[i]);
        start = strncasecmp(url, schemes[i], length) == 0 ? length : 0;
    }
    size_t size = start == 0 ? 0 : strcspn(url + start, "/?#\\");
    return size == 0 ? 0 : start + size;
}

static bool has_only_url_bytes(const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c <= ' ' || c >= 0x7f || c == '\\' || c == '#') {
            return false;
        }
    }
    return true;
}

int connection_check_base_url(const char *base_url, struct error *err)
{
    size_t end = base_url == NULL ? 0 : authority_end(base_url);
    if (end == 0) {
        return error_set(err, ERROR_INVALID,
                         "base URL must begin with http://, https://, smtp:// or smtps:// and a "
                         "host");
    }
    if (memchr(base_url, '@', end) != NULL) {
        return error_set(err, ERROR_INVALID, "base URL must not hold a user or password");
    }
    if (!has_only_url_bytes(base_url) || strchr(base_url, '?') != NULL) {
        return error_set(
            err, ERROR_INVALID,
            "base URL must not hold a query, a fragment, blanks or unencoded characters");
    }
    if (smtp_is_url(base_url) && base_url[end] != '\0' && strcmp(base_url + end, "/") != 0) {
        return error_set(err, ERROR_INVALID, "the address of a mail server has no path");
    }
    return 0;
}

bool connection_is_mail(const char *base_url)
{
    return smtp_is_url(base_url);
}

bool connection_is_loopback(const char *base_url)
{
    const char *host = strstr(base_url, "://");
    if (host == NULL) {
        return false;
    }
    host += 3;
    size_t size = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/");
    bool is_number = strspn(host, "0123456789.") == size;
    return (is_number && strncmp(host, "127.", 4) == 0) ||
           (size == 9 && strncasecmp(host, "localhost", 9) == 0) ||
           (size == 5 && strncmp(host, "[::1]", 5) == 0);
}

/* One segment of a path that means "here" or "up", also when its dots are encoded. */
static bool is_dot_segment(const char *segment, size_t size)
{
    size_t dots = 0;
    for (size_t i = 0; i < size; dots++) {
        if (segment[i] == '.') {
            i += 1;
        } else if (size - i >= 3 && strncasecmp(segment + i, "%2e", 3) == 0) {
            i += 3;
        } else {
            return false;
        }
    }
    return dots == 1 || dots == 2;
}

static bool has_dot_segment(const char *path)
{
    size_t end = strcspn(path, "?");
    for (size_t at = 0; at < end;) {
        size_t size = strcspn(path + at, "/?");
        if (is_dot_segment(path + at, size)) {
            return true;
        }
        at += size + 1;
    }
    return false;
}

/* What follows the base URL in `url`, or NULL when url does not lie below it. */
static const char *below_base(const struct connection *c, const char *url)
{
    if (*url == '\0' || *url == '/' || *url == '?') {
        return url;
    }
    const char *base = c->options.base_url;
    size_t end = authority_end(base);
    size_t size = strlen(base);
    if (authority_end(url) != end || strncasecmp(url, base, end) != 0 ||
        strncmp(url + end, base + end, size - end) != 0) {
        return NULL;
    }
    char next = url[size];
    return next == '\0' || next == '/' || next == '?' ? url + size : NULL;
}

/* Replaces request->url by the absolute one. */
static int resolve_url(const struct connection *c, struct http_request *request, struct error *err)
{
    if (c->base_error.code != 0) {
        *err = c->base_error;
        return err->code;
    }
    const char *given = request->url == NULL ? "" : request->url;
    const char *rest = below_base(c, given);
    if (rest == NULL || !has_only_url_bytes(rest) || has_dot_segment(rest)) {
        return error_set(err, ERROR_INVALID,
                         "connection %s: the URL of a request must be a path, or lie below %s, "
                         "without dot segments or unencoded characters",
                         c->options.name, c->options.base_url);
    }
    char *url = xasprintf("%s%s", c->options.base_url, rest);
    free(request->url);
    request->url = url;
    return 0;
}

/* ---- preparing a request ---- */

static int check_request(const struct connection *c, const struct http_request *request,
                         struct error *err)
{
    /* These frame the message or route it: they belong to the transport. */
    static const char *const ours[] = {"Host",
                                       "Content-Length",
                                       "Transfer-Encoding",
                                       "Connection",
                                       "Proxy-Connection",
                                       "Keep-Alive",
                                       "Upgrade",
                                       "TE",
                                       "Trailer",
                                       "Expect"};
    if (request->method == NULL || !http_is_token(bytes_str(request->method))) {
        return error_set(err, ERROR_INVALID, "connection %s: not a method", c->options.name);
    }
    bool is_mail = strcmp(request->method, SMTP_METHOD) == 0;
    if (is_mail != smtp_is_url(c->options.base_url)) {
        return error_set(err, ERROR_INVALID,
                         is_mail ? "connection %s: not a mail server"
                                 : "connection %s: a mail server takes messages (neap.mail) only",
                         c->options.name);
    }
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
        if (http_headers_get(&request->headers, ours[i]) != NULL) {
            return error_set(err, ERROR_INVALID, "connection %s: header %s is set by the host",
                             c->options.name, ours[i]);
        }
    }
    return 0;
}

static int add_own_headers(const struct connection *c, struct http_request *request)
{
    const struct http_headers *own = &c->options.headers;
    size_t given = request->headers.count;
    for (size_t i = 0; i < own->count; i++) {
        bool is_named = false;
        for (size_t k = 0; k < given && !is_named; k++) {
            is_named = strcasecmp(request->headers.list[k].name, own->list[i].name) == 0;
        }
        if (!is_named) {
            (void)!http_headers_add(&request->headers, own->list[i].name, own->list[i].value);
        }
    }
    /* Signed as it is sent: the time in it is fresh although the bytes are those of long ago. */
    if (c->options.signature.key != NULL &&
        signature_add(&c->options.signature, clock_wall_ms(loop_clock(c->loop)), request) != 0) {
        return ERROR_LIMIT;
    }
    if (c->authorization != NULL && http_headers_get(&request->headers, "Authorization") == NULL) {
        (void)!http_headers_add(&request->headers, "Authorization", c->authorization);
    }
    return 0;
}

static int prepare(const struct connection *c, struct http_request *request, struct error *err)
{
    int rc = check_request(c, request, err);
    if (rc == 0) {
        rc = resolve_url(c, request, err);
    }
    if (rc != 0) {
        return rc;
    }
    if (add_own_headers(c, request) != 0) {
        return error_set(err, ERROR_LIMIT, "connection %s: no memory to sign", c->options.name);
    }
    if (request->timeout_ms <= 0) {
        request->timeout_ms = c->options.timeout_ms;
    }
    return 0;
}

/* ---- ending calls ---- */

static void forget_secrets(struct http_headers *headers)
{
    for (size_t i = 0; i < headers->count; i++) {
        OPENSSL_cleanse(headers->list[i].value, strlen(headers->list[i].value));
    }
}

static void call_unlink(struct connection_call *call)
{
    struct connection *c = call->connection;
    TAILQ_REMOVE(&c->calls, call, entry);
    if (call->state == CALL_QUEUED) {
        c->stats.queued--;
    } else if (call->state == CALL_UNDER_WAY) {
        c->stats.under_way--;
    }
}

static void call_free(struct connection_call *call)
{
    forget_secrets(&call->request.headers);
    http_request_free(&call->request);
    free(call);
}

static void call_on_failing(void *arg)
{
    struct connection_call *call = arg;
    struct error err = call->err;
    transport_done_cb done = call->done;
    void *done_arg = call->arg;
    call_unlink(call);
    call_free(call);
    done(done_arg, NULL, &err);
}

/* Ends a call that was never sent, in the next round; call->err says why. */
static void call_fail(struct connection_call *call)
{
    struct connection *c = call->connection;
    if (call->state == CALL_QUEUED) {
        c->stats.queued--;
    }
    call->state = CALL_FAILING;
    call->err.maybe_sent = false;
    c->stats.failed++;
    loop_defer(c->loop, call_on_failing, call);
}

static void call_fail_as_down(struct connection_call *call)
{
    struct connection *c = call->connection;
    error_set(&call->err, ERROR_NETWORK, "connection %s is down (last error: %s)", c->options.name,
              c->last_error);
    call->err.is_retryable = true;
    call_fail(call);
}

/* ---- breaker ---- */

static void breaker_changed(struct connection *c)
{
    enum breaker_state state = c->breaker.state;
    if (state == BREAKER_OPEN) {
        loop_timer_start(c->cool_timer, c->breaker.cool_ms);
        struct connection_call *call;
        TAILQ_FOREACH(call, &c->calls, entry)
        {
            if (call->state == CALL_QUEUED) {
                call_fail_as_down(call);
            }
        }
    }
    if (c->on_breaker != NULL) {
        c->on_breaker(c->breaker_arg, c, state);
    }
}

static void connection_on_cool(void *arg)
{
    struct connection *c = arg;
    if (breaker_cool(&c->breaker, clock_mono_ms(loop_clock(c->loop)))) {
        breaker_changed(c);
    } else if (c->breaker.state == BREAKER_OPEN) {
        loop_timer_start(c->cool_timer, 1); /* woken a little early */
    }
}

static void report(struct connection *c, bool is_probe, enum breaker_outcome outcome)
{
    enum breaker_state before = c->breaker.state;
    breaker_report(&c->breaker, is_probe, outcome, clock_mono_ms(loop_clock(c->loop)));
    if (c->breaker.state != before) {
        breaker_changed(c);
    }
}

static enum breaker_outcome judge(struct connection *c, const struct http_answer *answer,
                                  const struct error *err)
{
    if (err != NULL) {
        if (err->code != ERROR_NETWORK && err->code != ERROR_TIMEOUT) {
            return BREAKER_UNKNOWN;
        }
        snprintf(c->last_error, sizeof(c->last_error), "%s", err->message);
        return BREAKER_BAD;
    }
    if (answer != NULL && smtp_is_url(c->options.base_url)) {
        if (answer->status != SMTP_SERVICE_CLOSING) {
            return BREAKER_GOOD;
        }
        snprintf(c->last_error, sizeof(c->last_error), "the mail server says: %.200s",
                 buf_text(&answer->body));
        return BREAKER_BAD;
    }
    if (answer != NULL && answer->status >= 502 && answer->status <= 504) {
        snprintf(c->last_error, sizeof(c->last_error), "HTTP status %d", answer->status);
        return BREAKER_BAD;
    }
    return BREAKER_GOOD;
}

/* ---- sending ---- */

static void pump(struct connection *c);

static void note_answer(struct connection *c, const struct http_answer *answer)
{
    struct clock *clock = loop_clock(c->loop);
    unsigned class = (unsigned)answer->status / 100;
    c->stats.answered++;
    c->stats.by_class[class < 6 ? class : 0]++;
    int64_t delay = http_told_delay_ms(answer->status, &answer->headers, clock_wall_ms(clock));
    if (delay > 0) {
        rate_delay(&c->rate, clock_mono_ms(clock), delay);
    }
}

static void call_on_done(void *arg, struct http_answer *answer, const struct error *err)
{
    struct connection_call *call = arg;
    struct connection *c = call->connection;
    transport_done_cb done = call->done;
    void *done_arg = call->arg;
    bool is_probe = call->is_probe;
    call_unlink(call);
    call_free(call);
    if (answer != NULL) {
        note_answer(c, answer);
    } else {
        c->stats.failed++;
    }
    report(c, is_probe, judge(c, answer, err));
    pump(c);
    if (err == NULL) {
        done(done_arg, answer, NULL);
        return;
    }
    struct error named = *err;
    error_wrap(&named, "connection %s", c->options.name);
    done(done_arg, NULL, &named);
}

static void call_start(struct connection_call *call)
{
    struct connection *c = call->connection;
    rate_take(&c->rate, clock_mono_ms(loop_clock(c->loop)));
    call->state = CALL_UNDER_WAY;
    c->stats.queued--;
    c->stats.under_way++;
    c->stats.sent++;
    call->transfer = c->transport->ops->start(c->transport, &call->request, &c->options.policy,
                                              call_on_done, call);
}

/* Sends what rate and concurrency allow; else the timer or the end of a call pumps again. */
static void pump(struct connection *c)
{
    struct connection_call *call = TAILQ_FIRST(&c->calls);
    while (!c->has_stopped && c->stats.queued > 0 &&
           c->stats.under_way < c->options.max_concurrent) {
        int64_t wait_ms = rate_wait_ms(&c->rate, clock_mono_ms(loop_clock(c->loop)));
        if (wait_ms > 0) {
            c->stats.rate_waits += loop_timer_is_running(c->rate_timer) ? 0 : 1;
            loop_timer_start(c->rate_timer, wait_ms);
            return;
        }
        while (call->state != CALL_QUEUED) {
            call = TAILQ_NEXT(call, entry);
        }
        call_start(call);
    }
}

static void connection_on_rate(void *arg)
{
    pump(arg);
}

/* ---- life ---- */

static char *copy_or_null(const char *text)
{
    return text == NULL ? NULL : xstrdup(text);
}

static void copy_options(struct connection_options *to, const struct connection_options *from)
{
    *to = *from;
    to->name = xstrdup(from->name == NULL ? "" : from->name);
    char *base = xstrdup(from->base_url == NULL ? "" : from->base_url);
    size_t end = authority_end(base);
    for (size_t size = strlen(base); end > 0 && size > end && base[size - 1] == '/'; size--) {
        base[size - 1] = '\0';
    }
    to->base_url = base;
    memset(&to->headers, 0, sizeof(to->headers));
    http_headers_copy(&to->headers, &from->headers);
    to->basic_user = copy_or_null(from->basic_user);
    to->basic_password = copy_or_null(from->basic_password);
    to->signature.key = copy_or_null(from->signature.key);
    to->signature.header = copy_or_null(from->signature.header);
    to->signature.timestamp_header = copy_or_null(from->signature.timestamp_header);
    to->policy.ca_file = copy_or_null(from->policy.ca_file);
    to->policy.pinned_key = copy_or_null(from->policy.pinned_key);
    to->policy.pinned_cert_file = copy_or_null(from->policy.pinned_cert_file);
    to->policy.file_folder = copy_or_null(from->policy.file_folder);
    to->policy.user = to->basic_user;
    to->policy.password = to->basic_password;
    to->policy.connect_timeout_ms = from->policy.connect_timeout_ms > 0
                                        ? from->policy.connect_timeout_ms
                                        : TRANSPORT_CONNECT_TIMEOUT_MS;
    to->policy.max_answer_bytes = from->policy.max_answer_bytes > 0 ? from->policy.max_answer_bytes
                                                                    : TRANSPORT_MAX_ANSWER_BYTES;
    to->timeout_ms = from->timeout_ms > 0 ? from->timeout_ms : TRANSPORT_TIMEOUT_MS;
    to->max_concurrent = from->max_concurrent > 0 ? from->max_concurrent : MAX_CONCURRENT_DEFAULT;
    to->rate_burst = from->rate_burst > 0 ? from->rate_burst : 1;
    to->breaker_failures =
        from->breaker_failures > 0 ? from->breaker_failures : BREAKER_LIMIT_DEFAULT;
    to->breaker_cool_ms =
        from->breaker_cool_ms > 0 ? from->breaker_cool_ms : BREAKER_COOL_DEFAULT_MS;
}

static void free_secret(const char *text)
{
    if (text != NULL) {
        char *ours = (char *)(uintptr_t)text; /* const only towards readers of the options */
        OPENSSL_cleanse(ours, strlen(ours));
        free(ours);
    }
}

static void free_options(struct connection_options *options)
{
    forget_secrets(&options->headers);
    http_headers_free(&options->headers);
    free_secret(options->name);
    free_secret(options->base_url);
    free_secret(options->basic_user);
    free_secret(options->basic_password);
    free_secret(options->signature.key);
    free_secret(options->signature.header);
    free_secret(options->signature.timestamp_header);
    free_secret(options->policy.ca_file);
    free_secret(options->policy.file_folder);
    free_secret(options->policy.pinned_key);
    free_secret(options->policy.pinned_cert_file);
}

struct connection *connection_new(struct loop *loop, struct transport *transport,
                                  const struct connection_options *options,
                                  connection_breaker_fn on_breaker, void *arg)
{
    struct connection *c = xcalloc(1, sizeof(*c));
    c->loop = loop;
    c->transport = transport;
    copy_options(&c->options, options);
    c->on_breaker = on_breaker;
    c->breaker_arg = arg;
    TAILQ_INIT(&c->calls);
    breaker_init(&c->breaker, c->options.breaker_failures, c->options.breaker_cool_ms);
    rate_init(&c->rate, c->options.rate_per_s, c->options.rate_burst,
              clock_mono_ms(loop_clock(loop)));
    c->rate_timer = loop_timer_new(loop, connection_on_rate, c);
    c->cool_timer = loop_timer_new(loop, connection_on_cool, c);
    if (connection_check_base_url(c->options.base_url, &c->base_error) != 0) {
        error_wrap(&c->base_error, "connection %s", c->options.name);
    }
    if (c->options.basic_user != NULL && !smtp_is_url(c->options.base_url)) {
        const char *password = c->options.basic_password;
        c->authorization = http_basic_make(c->options.basic_user, password ? password : "");
        if (c->authorization == NULL) {
            error_set(&c->base_error, ERROR_INVALID,
                      "connection %s: a basic user cannot hold a colon", c->options.name);
        }
    }
    return c;
}

static void call_drop(struct connection_call *call)
{
    struct connection *c = call->connection;
    if (call->state == CALL_UNDER_WAY) {
        c->transport->ops->cancel(c->transport, call->transfer);
    } else if (call->state == CALL_FAILING) {
        loop_defer_cancel(c->loop, call_on_failing, call);
    }
    call_unlink(call);
    call_free(call);
}

void connection_free(struct connection *c)
{
    if (c == NULL) {
        return;
    }
    while (!TAILQ_EMPTY(&c->calls)) {
        /* Takes itself off the list, which the analyzer cannot follow. */
        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc)
        call_drop(TAILQ_FIRST(&c->calls));
    }
    loop_timer_free(c->rate_timer);
    loop_timer_free(c->cool_timer);
    free_secret(c->authorization);
    free_options(&c->options);
    free(c);
}

const struct connection_options *connection_options(const struct connection *c)
{
    return &c->options;
}

void connection_suspect(struct connection *c)
{
    if (c->breaker.state == BREAKER_CLOSED) {
        breaker_suspect(&c->breaker, clock_mono_ms(loop_clock(c->loop)));
        loop_timer_start(c->cool_timer, 0);
    }
}

enum breaker_state connection_breaker(const struct connection *c)
{
    return c->breaker.state;
}

const char *connection_last_error(const struct connection *c)
{
    return c->last_error;
}

struct connection_call *connection_send(struct connection *c, struct http_request *request,
                                        transport_done_cb done, void *arg)
{
    struct connection_call *call = xcalloc(1, sizeof(*call));
    call->connection = c;
    call->request = *request;
    memset(request, 0, sizeof(*request));
    call->done = done;
    call->arg = arg;
    call->state = CALL_QUEUED;
    TAILQ_INSERT_TAIL(&c->calls, call, entry);
    c->stats.queued++;
    if (prepare(c, &call->request, &call->err) != 0) {
        call_fail(call);
    } else if (!breaker_admit(&c->breaker, &call->is_probe)) {
        call_fail_as_down(call);
    } else {
        pump(c);
    }
    return call;
}

bool connection_cancel(struct connection *c, struct connection_call *call)
{
    assert(call->connection == c);
    bool is_probe = call->is_probe;
    bool maybe_sent = call->state == CALL_UNDER_WAY;
    call_drop(call);
    if (is_probe) {
        report(c, true, BREAKER_UNKNOWN);
    }
    pump(c);
    return maybe_sent;
}

void connection_stop(struct connection *c)
{
    c->has_stopped = true;
}

void connection_stats(const struct connection *c, struct connection_stats *out)
{
    *out = c->stats;
}
