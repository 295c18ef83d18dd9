/*
 * Requests from outside: health and metrics of the host, else /<client>/<route of a flow>.
 *
 * An answer leaves from turn_release, after the commit of what the handler wrote; when the turn was
 * dropped it becomes 503. An answer that a job may give waits in the client's pending list until
 * the job answers or its time is up.
 */
#define _GNU_SOURCE
#include "core/host_private.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/json_writer.h"
#include "core/base/kill_point.h"
#include "core/base/log.h"
#include "core/base/xalloc.h"
#include "core/ops/metrics_page.h"
#include "core/script/route.h"

#define HOST_PAGE_MAX      (16u << 20)
#define HOST_RETRY_AFTER_S "5"
/* A handler that had to be ended took a second of everybody's time: its route rests for ten times
 * that, so requests to it, however many, are given a tenth of the host. */
#define HOST_ROUTE_REST_MS       10000
#define HOST_ROUTE_RETRY_AFTER_S "10"

/* One outside request being answered. */
struct host_pending {
    struct host_client *client;
    struct http_exchange *exchange;
    char *route; /* its name */
    struct route_reply reply;
    struct loop_timer *timer; /* NULL when no job may answer */
    bool is_listed;
    struct host_pending *next;
};

/* ---- Plain answers
 * --------------------------------------------------------------------------------- */

static void count_answer(struct host_client *client, int status)
{
    if (client != NULL && status >= 0 && status < HTTP_STATUS_MAX) {
        client->answers[status]++;
    }
}

/* {"error": "..."} with a status; extra is one more header or NULL. */
static void answer_problem(struct host_client *client, struct http_exchange *x, int status,
                           const char *message, const char *extra_name, const char *extra_value)
{
    struct buf body;
    buf_init(&body, 4096);
    buf_add_str(&body, "{\"error\":");
    json_quote(&body, bytes_str(message));
    buf_add_str(&body, "}\n");
    struct http_headers headers = {0};
    int rc = http_headers_add(&headers, "Content-Type", "application/json");
    if (rc == 0 && extra_name != NULL) {
        rc = http_headers_add(&headers, extra_name, extra_value);
    }
    (void)rc; /* both are constants of this file */
    count_answer(client, status);
    http_exchange_answer(x, status, &headers, buf_bytes(&body));
    http_headers_free(&headers);
    buf_free(&body);
}

static void answer_page(struct host *host, struct http_exchange *x, bool is_health)
{
    struct buf body;
    buf_init(&body, HOST_PAGE_MAX);
    struct ops_view view = host_view(host);
    int status = 200;
    if (is_health) {
        status = health_page(&view, &body);
    } else {
        metrics_page(&view, &body);
    }
    free((void *)view.clients);
    struct http_headers headers = {0};
    int rc = http_headers_add(&headers, "Content-Type",
                              is_health ? "application/json" : "text/plain; version=0.0.4");
    (void)rc;
    http_exchange_answer(x, status, &headers, buf_bytes(&body));
    http_headers_free(&headers);
    buf_free(&body);
}

/* ---- Replies of flows
 * ------------------------------------------------------------------------------- */

static void unlist(struct host_pending *p)
{
    struct host_pending **at = &p->client->pending;
    while (p->is_listed && *at != NULL) {
        if (*at == p) {
            *at = p->next;
            break;
        }
        at = &(*at)->next;
    }
    p->is_listed = false;
}

static void on_kept(void *arg, bool is_durable);

static void pending_free(struct host_pending *p)
{
    unlist(p);
    if (p->timer != NULL) {
        turn_release_cancel(p->client->work, on_kept, p);
    }
    loop_timer_free(p->timer);
    route_reply_free(&p->reply);
    free(p->route);
    free(p);
}

static void send_reply(void *arg, bool is_durable)
{
    struct host_pending *p = arg;
    struct route_reply *r = &p->reply;
    kill_point_before(KILL_REPLY, p->route);
    if (!is_durable) {
        answer_problem(p->client, p->exchange, 503, "this request was not kept: send it again",
                       "Retry-After", HOST_RETRY_AFTER_S);
    } else if (r->is_rude) {
        http_exchange_abort(p->exchange, r->rudeness, r->status, &r->headers, buf_bytes(&r->body),
                            r->delay_ms);
    } else {
        count_answer(p->client, r->status);
        http_exchange_answer_late(p->exchange, r->status, &r->headers, buf_bytes(&r->body),
                                  r->delay_ms);
    }
    kill_point_after(KILL_REPLY, p->route);
    pending_free(p);
}

/* What the handler wrote is durable, or lost: then no job will ever answer. */
static void on_kept(void *arg, bool is_durable)
{
    if (!is_durable) {
        send_reply(arg, false);
    }
}

static void on_wait_over(void *arg)
{
    struct host_pending *p = arg;
    unlist(p);
    if (route_answer_late(p->client->runner, &p->reply) != 0) {
        send_reply(p, false);
        return;
    }
    turn_release(p->client->work, send_reply, p);
}

void host_on_job_answer(struct host_client *client, uint64_t event_seq,
                        const struct event_answer *answer)
{
    struct host_pending *next = NULL;
    for (struct host_pending *p = client->pending; p != NULL; p = next) {
        next = p->next;
        if (p->reply.event_seq == event_seq) {
            route_reply_set(&p->reply, answer);
            send_reply(p, true);
        }
    }
}

void host_pending_close(struct host_client *client)
{
    struct host_pending *p = NULL;
    while ((p = client->pending) != NULL) {
        client->pending = p->next;
        p->is_listed = false;
        send_reply(p, false);
    }
}

static void keep_or_send(struct host_pending *p)
{
    struct host_client *client = p->client;
    if (p->reply.wait_ms <= 0) {
        turn_release(client->work, send_reply, p);
        return;
    }
    p->next = client->pending;
    client->pending = p;
    p->is_listed = true;
    p->timer = loop_timer_new(client->host->loop, on_wait_over, p);
    loop_timer_start(p->timer, p->reply.wait_ms);
    turn_release(client->work, on_kept, p);
}

static void answer_failure(struct host_client *client, struct http_exchange *x,
                           const struct error *err)
{
    if (err->code == ERROR_FULL) {
        answer_problem(client, x, 503, "no space left to keep this request", "Retry-After",
                       HOST_RETRY_AFTER_S);
        return;
    }
    log_msg(LOG_ERROR, client->name, "%s %s: %s", http_exchange_method(x), http_exchange_path(x),
            err->message);
    answer_problem(client, x, 500, "the request could not be handled: it was not kept", NULL, NULL);
}

static void handle_route(struct host_client *client, const struct manifest *manifest, size_t route,
                         const char *path, struct http_exchange *x)
{
    struct route_request request = {
        .method = http_exchange_method(x),
        .path = path,
        .query = http_exchange_query(x),
        .peer = http_exchange_peer(x),
        .headers = http_exchange_headers(x),
        .body = http_exchange_body(x),
    };
    struct host_pending *p = xcalloc(1, sizeof(*p));
    p->client = client;
    p->exchange = x;
    p->route = xstrdup(manifest->routes[route].name);
    struct error err = {0};
    if (route_handle(client->runner, route, &request, &p->reply, &err) != 0) {
        if (err.code == ERROR_LIMIT) {
            client->rests_until_ms[route] = clock_mono_ms(client->host->clock) + HOST_ROUTE_REST_MS;
        }
        answer_failure(client, x, &err);
        pending_free(p);
        return;
    }
    keep_or_send(p);
}

/* Why a request is not handled; status 0: it is. All texts are constants. */
struct refusal {
    int status;
    const char *message;
    const char *header; /* or NULL */
    const char *value;
};

/* By its head alone, so that nobody's body is read for a password to be refused afterwards. */
static struct refusal judge_head(const struct host_client *client, const struct manifest *manifest,
                                 size_t route, const struct http_head *head)
{
    const struct manifest_route *r = &manifest->routes[route];
    if (client->host->is_draining || work_is_full(client->work)) {
        return (struct refusal){
            503, client->host->is_draining ? "stopping: send it again" : "no space left",
            "Retry-After", HOST_RETRY_AFTER_S};
    }
    if (client->rests_until_ms[route] > clock_mono_ms(client->host->clock)) {
        return (struct refusal){503, "the handler of this route did not end just now",
                                "Retry-After", HOST_ROUTE_RETRY_AFTER_S};
    }
    if (r->auth != NULL) {
        const struct manifest_auth *auth = manifest_find_auth(manifest, r->auth);
        if (auth == NULL || !http_head_has_basic(head, auth->user, auth->password)) {
            return (struct refusal){401, "user and password are missing or wrong",
                                    "WWW-Authenticate", "Basic realm=\"neap\", charset=\"UTF-8\""};
        }
    }
    return (struct refusal){0};
}

static struct refusal judge(const struct host_client *client, const struct manifest *manifest,
                            size_t route, const struct http_exchange *x)
{
    struct http_head head = http_exchange_head(x);
    struct refusal refusal = judge_head(client, manifest, route, &head);
    if (refusal.status == 0 &&
        http_exchange_body_size(x) > manifest->routes[route].max_body_bytes) {
        return (struct refusal){413, "the body is larger than this route takes", NULL, NULL};
    }
    if (refusal.status == 0 && http_exchange_is_cut(x)) {
        /* Refused a moment ago, and now the reason is gone. */
        return (struct refusal){503, "send it again", "Retry-After", HOST_RETRY_AFTER_S};
    }
    return refusal;
}

static void handle_client(struct host_client *client, const char *path, struct http_exchange *x)
{
    const struct manifest *manifest = generation_manifest(runner_generation(client->runner));
    size_t route = 0;
    struct refusal refusal = {0};
    switch (route_find(manifest, http_exchange_method(x), path, &route)) {
    case ROUTE_NO_PATH:
        refusal = (struct refusal){404, "no flow serves this path", NULL, NULL};
        break;
    case ROUTE_NO_METHOD:
        refusal = (struct refusal){405, "this path takes another method", NULL, NULL};
        break;
    case ROUTE_FOUND:
        refusal = judge(client, manifest, route, x);
        break;
    }
    if (refusal.status != 0) {
        answer_problem(client, x, refusal.status, refusal.message, refusal.header, refusal.value);
        return;
    }
    handle_route(client, manifest, route, path, x);
}

/* The client that a path names, and the rest of it; NULL: none has this name. */
static struct host_client *find_client(struct host *host, const char *path, const char **below_out)
{
    size_t size = path[0] == '/' ? strcspn(path + 1, "/") : 0;
    *below_out = size == 0 || path[1 + size] == '\0' ? "/" : path + 1 + size;
    return path[0] == '/' ? host_find_client(host, path + 1, size) : NULL;
}

int64_t host_body_limit(void *arg, const struct http_head *head)
{
    const char *below = NULL;
    size_t route = 0;
    struct host_client *client = find_client(arg, head->path, &below);
    if (client == NULL) {
        return -1;
    }
    const struct manifest *manifest = generation_manifest(runner_generation(client->runner));
    if (route_find(manifest, head->method, below, &route) != ROUTE_FOUND ||
        judge_head(client, manifest, route, head).status != 0) {
        return -1;
    }
    return (int64_t)manifest->routes[route].max_body_bytes;
}

void host_on_request(void *arg, struct http_exchange *x)
{
    struct host *host = arg;
    const char *path = http_exchange_path(x);
    bool is_read =
        strcmp(http_exchange_method(x), "GET") == 0 || strcmp(http_exchange_method(x), "HEAD") == 0;
    if (is_read && (strcmp(path, "/healthz") == 0 || strcmp(path, "/metrics") == 0)) {
        answer_page(host, x, path[1] == 'h');
        return;
    }
    const char *below = NULL;
    struct host_client *client = find_client(host, path, &below);
    if (client == NULL && host->absent_count > 0) {
        http_server_count_refusal(host->server, 503);
        answer_problem(NULL, x, 503, "no client that is served has this name", "Retry-After",
                       HOST_RETRY_AFTER_S);
        return;
    }
    if (client == NULL) {
        http_server_count_refusal(host->server, 404);
        answer_problem(NULL, x, 404, "no client has this name", NULL, NULL);
        return;
    }
    handle_client(client, below, x);
}
