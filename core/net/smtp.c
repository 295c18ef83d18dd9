/*
 * A send is on its sender's list from start until its thread was joined.
 *
 *   start -> [thread: curl_easy_perform] -> pointer in the pipe -> joined -> done (unless
 * cancelled)
 *
 * A send without a thread (set-up failed) comes back by a deferred call.
 */
#include "core/net/smtp.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <unistd.h>

#include <curl/curl.h>
#include <event2/event.h>

#include "core/base/xalloc.h"
#include "core/net/transport_curl.h"
#include "core/net/transport_tls.h"

#define REPLY_MAX        1000 /* bytes of the server's last line that are kept */
#define REPLY_CODE_CHARS 3
#define REPLY_TO_QUIT    221
#define POINTER_SIZE     sizeof(void *) /* what goes through the pipe */

struct smtp_send {
    TAILQ_ENTRY(smtp_send) entry;
    struct smtp_sender *owner;
    CURL *easy;
    struct curl_slist *recipients;
    char *message;
    size_t message_size;
    size_t message_at;
    pthread_t thread;
    bool has_thread;
    atomic_bool is_cancelled;
    CURLcode code;
    int64_t started_ms;
    int reply_code; /* of the newest line of the server */
    char reply[REPLY_MAX];
    transport_done_cb done;
    void *arg;
    char detail[CURL_ERROR_SIZE];
};

struct smtp_sender {
    struct loop *loop;
    int pipe[2];
    struct event *event;
    TAILQ_HEAD(, smtp_send) sends;
};

bool smtp_is_url(const char *url)
{
    return strncasecmp(url, "smtp://", 7) == 0 || strncasecmp(url, "smtps://", 8) == 0;
}

/* ---- in the thread ---- */

static size_t send_on_read(char *to, size_t unit, size_t count, void *arg)
{
    struct smtp_send *s = arg;
    size_t left = s->message_size - s->message_at;
    size_t size = unit * count < left ? unit * count : left;
    memcpy(to, s->message + s->message_at, size);
    s->message_at += size;
    return size;
}

/* Every line of the server: "250-SIZE 1000", "250 OK". */
static size_t send_on_line(char *data, size_t unit, size_t count, void *arg)
{
    struct smtp_send *s = arg;
    size_t size = unit * count;
    int code = 0;
    size_t digits = 0;
    while (digits < REPLY_CODE_CHARS && digits < size && data[digits] >= '0' &&
           data[digits] <= '9') {
        code = code * 10 + (data[digits] - '0');
        digits++;
    }
    if (digits == REPLY_CODE_CHARS && code != REPLY_TO_QUIT) {
        size_t length = size;
        while (length > 0 && (data[length - 1] == '\r' || data[length - 1] == '\n')) {
            length--;
        }
        length = length < REPLY_MAX ? length : REPLY_MAX - 1;
        memcpy(s->reply, data, length);
        s->reply[length] = '\0';
        s->reply_code = code;
    }
    return size;
}

static int send_on_progress(void *arg, curl_off_t down, curl_off_t down_now, curl_off_t up,
                            curl_off_t up_now)
{
    struct smtp_send *s = arg;
    (void)down;
    (void)down_now;
    (void)up;
    (void)up_now;
    return atomic_load(&s->is_cancelled) ? 1 : 0;
}

static void *send_run(void *arg)
{
    struct smtp_send *s = arg;
    int fd = s->owner->pipe[1];
    s->code = curl_easy_perform(s->easy);
    curl_easy_cleanup(s->easy); /* here, because it says QUIT and waits for the answer */
    s->easy = NULL;
    /* A pointer is written whole or not at all; from here on the send belongs to the loop. */
    while (write(fd, &s, POINTER_SIZE) < 0 && errno == EINTR) {
    }
    return NULL;
}

/* ---- setting up ---- */

#define SET(option, value)                                                                         \
    do {                                                                                           \
        CURLcode set_code = curl_easy_setopt(s->easy, option, value);                              \
        if (rc == CURLE_OK) {                                                                      \
            rc = set_code;                                                                         \
        }                                                                                          \
    } while (0)

static CURLcode set_safety(struct smtp_send *s, const struct http_request *request,
                           const struct transport_policy *policy)
{
    CURLcode rc = CURLE_OK;
    int64_t timeout = request->timeout_ms > 0 ? request->timeout_ms : TRANSPORT_TIMEOUT_MS;
    int64_t connect_timeout =
        policy->connect_timeout_ms > 0 ? policy->connect_timeout_ms : TRANSPORT_CONNECT_TIMEOUT_MS;
    SET(CURLOPT_URL, request->url);
    SET(CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_QUICK_EXIT, 1L);
    SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    SET(CURLOPT_TIMEOUT_MS, (long)timeout);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)connect_timeout);
    SET(CURLOPT_SERVER_RESPONSE_TIMEOUT, (long)(timeout / 1000 + 1));
    SET(CURLOPT_USE_SSL, policy->is_plain ? (long)CURLUSESSL_NONE : (long)CURLUSESSL_ALL);
    if (policy->user != NULL) {
        SET(CURLOPT_USERNAME, policy->user);
        SET(CURLOPT_PASSWORD, policy->password == NULL ? "" : policy->password);
    }
    return rc;
}

static CURLcode set_message(struct smtp_send *s, const struct http_request *request)
{
    CURLcode rc = CURLE_OK;
    const char *from = http_headers_get(&request->headers, "Mail-From");
    const char *to = http_headers_get(&request->headers, "Rcpt-To");
    while (to != NULL && *to != '\0') {
        size_t size = strcspn(to, " ");
        char *address = xstrndup(to, size);
        struct curl_slist *longer = curl_slist_append(s->recipients, address);
        free(address);
        if (longer == NULL) {
            return CURLE_OUT_OF_MEMORY;
        }
        s->recipients = longer;
        to += size + strspn(to + size, " ");
    }
    if (from == NULL || s->recipients == NULL) {
        return CURLE_URL_MALFORMAT;
    }
    SET(CURLOPT_MAIL_FROM, from);
    SET(CURLOPT_MAIL_RCPT, s->recipients);
    SET(CURLOPT_UPLOAD, 1L);
    SET(CURLOPT_READFUNCTION, send_on_read);
    SET(CURLOPT_READDATA, s);
    return rc;
}

static CURLcode set_callbacks(struct smtp_send *s)
{
    CURLcode rc = CURLE_OK;
    SET(CURLOPT_ERRORBUFFER, s->detail);
    SET(CURLOPT_HEADERFUNCTION, send_on_line);
    SET(CURLOPT_HEADERDATA, s);
    SET(CURLOPT_NOPROGRESS, 0L);
    SET(CURLOPT_XFERINFOFUNCTION, send_on_progress);
    SET(CURLOPT_XFERINFODATA, s);
    return rc;
}

static CURLcode send_set_up(struct smtp_send *s, const struct http_request *request,
                            const struct transport_policy *policy)
{
    if (s->easy == NULL) {
        return CURLE_OUT_OF_MEMORY;
    }
    CURLcode steps[] = {set_safety(s, request, policy), transport_tls_apply(s->easy, policy),
                        set_message(s, request), set_callbacks(s)};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        if (steps[i] != CURLE_OK) {
            return steps[i];
        }
    }
    return CURLE_OK;
}

/* Signals are the loop's business: the thread blocks them all. */
static bool start_thread(struct smtp_send *s)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    s->has_thread = pthread_create(&s->thread, NULL, send_run, s) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return s->has_thread;
}

/* ---- delivering ---- */

static void send_free(struct smtp_send *s)
{
    if (s->has_thread) {
        pthread_join(s->thread, NULL);
    }
    TAILQ_REMOVE(&s->owner->sends, s, entry);
    if (s->easy != NULL) {
        curl_easy_cleanup(s->easy);
    }
    curl_slist_free_all(s->recipients);
    free(s->message);
    free(s);
}

static void fill_error(const struct smtp_send *s, struct error *err)
{
    bool maybe_sent = s->message_at > 0;
    if (s->code == CURLE_USE_SSL_FAILED) {
        error_set(err, ERROR_NETWORK, "the mail server does not offer STARTTLS");
        err->is_retryable = true;
    } else if (s->code == CURLE_LOGIN_DENIED) {
        error_set(err, ERROR_REMOTE, "no way to sign in that the mail server and we both know");
    } else {
        (void)!http_error_from_curl(err, (int)s->code, s->detail, maybe_sent);
    }
    err->maybe_sent = maybe_sent;
}

static void send_deliver(struct smtp_send *s)
{
    transport_done_cb done = s->done;
    void *arg = s->arg;
    struct http_answer answer = {0};
    struct error err;
    error_clear(&err);
    buf_init(&answer.body, REPLY_MAX);
    bool is_answer = s->code == CURLE_OK || s->reply_code >= 400;
    if (is_answer) {
        answer.status = s->reply_code;
        answer.elapsed_ms = clock_mono_ms(loop_clock(s->owner->loop)) - s->started_ms;
        buf_add_str(&answer.body, s->reply);
    } else {
        fill_error(s, &err);
    }
    send_free(s);
    if (done != NULL) {
        done(arg, is_answer ? &answer : NULL, is_answer ? NULL : &err);
    }
    http_answer_free(&answer);
}

static void send_on_deferred(void *arg)
{
    send_deliver(arg);
}

static void sender_on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct smtp_send *s;
    (void)what;
    (void)arg;
    while (read(fd, &s, POINTER_SIZE) == (ssize_t)POINTER_SIZE) {
        if (s->has_thread) {
            pthread_join(s->thread, NULL);
            s->has_thread = false;
        }
        send_deliver(s);
    }
}

/* ---- life ---- */

struct smtp_send *smtp_send_start(struct smtp_sender *sender, const struct http_request *request,
                                  const struct transport_policy *policy, transport_done_cb done,
                                  void *arg)
{
    struct smtp_send *s = xcalloc(1, sizeof(*s));
    s->owner = sender;
    s->done = done;
    s->arg = arg;
    s->started_ms = clock_mono_ms(loop_clock(sender->loop));
    s->message_size = request->body_size;
    s->message = xmalloc(request->body_size + 1);
    if (request->body_size > 0) {
        memcpy(s->message, request->body, request->body_size);
    }
    TAILQ_INSERT_TAIL(&sender->sends, s, entry);
    s->easy = curl_easy_init();
    s->code = send_set_up(s, request, policy);
    if (s->code == CURLE_OK && !start_thread(s)) {
        s->code = CURLE_OUT_OF_MEMORY;
    }
    if (!s->has_thread) {
        loop_defer(sender->loop, send_on_deferred, s);
    }
    return s;
}

void smtp_send_cancel(struct smtp_send *s)
{
    s->done = NULL;
    if (s->has_thread) {
        atomic_store(&s->is_cancelled, true); /* it comes back by the pipe */
        return;
    }
    loop_defer_cancel(s->owner->loop, send_on_deferred, s);
    send_free(s);
}

struct smtp_sender *smtp_sender_new(struct loop *loop)
{
    struct smtp_sender *sender = xcalloc(1, sizeof(*sender));
    sender->loop = loop;
    TAILQ_INIT(&sender->sends);
    if (pipe(sender->pipe) != 0) {
        free(sender);
        return NULL;
    }
    for (size_t i = 0; i < 2; i++) {
        (void)fcntl(sender->pipe[i], F_SETFD, FD_CLOEXEC);
    }
    (void)fcntl(sender->pipe[0], F_SETFL, O_NONBLOCK);
    sender->event = event_new(loop_event_base(loop), sender->pipe[0], EV_READ | EV_PERSIST,
                              sender_on_readable, sender);
    if (sender->event == NULL || event_add(sender->event, NULL) != 0) {
        smtp_sender_free(sender);
        return NULL;
    }
    return sender;
}

void smtp_sender_free(struct smtp_sender *sender)
{
    if (sender == NULL) {
        return;
    }
    struct smtp_send *s;
    TAILQ_FOREACH(s, &sender->sends, entry)
    {
        atomic_store(&s->is_cancelled, true);
    }
    while ((s = TAILQ_FIRST(&sender->sends)) != NULL) {
        /* Takes itself off the list, which the analyzer cannot follow. */
        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc)
        loop_defer_cancel(sender->loop, send_on_deferred, s);
        send_free(s);
    }
    if (sender->event != NULL) {
        event_free(sender->event);
    }
    close(sender->pipe[0]);
    close(sender->pipe[1]);
    free(sender);
}
