/*
 * Requests from outside to a flow's route: found by method and path, handled in one atomic slice.
 *
 * The reply may be held until a job answers (answer_within_ms): then wait_ms is set, and the owner
 * waits for work_listener.on_answer of event_seq; when that does not come in time it calls
 * route_answer_late.
 */
#ifndef NEAP_CORE_SCRIPT_ROUTE_H
#define NEAP_CORE_SCRIPT_ROUTE_H

#include "core/net/http_server.h"
#include "core/script/runner.h"

/* Borrowed. path is as sent, below "/<client>", without the query. */
struct route_request {
    const char *method;
    const char *path;
    const char *query; /* as sent, "" when none */
    const char *peer;
    const struct http_headers *headers;
    struct bytes body;
};

enum route_match { ROUTE_FOUND, ROUTE_NO_PATH, ROUTE_NO_METHOD };

/* The route with the most literal segments wins. HEAD matches GET. */
enum route_match route_find(const struct manifest *manifest, const char *method, const char *path,
                            size_t *route_out);

struct route_reply {
    int status;
    struct http_headers headers;
    struct buf body;
    int64_t delay_ms;
    bool is_rude;
    enum http_rudeness rudeness;
    bool is_duplicate;  /* the first event was accepted before; this is the answer given then */
    uint64_t event_seq; /* of the first event; 0 = none */
    int64_t wait_ms;    /* 0 = send now (after the commit); else a job may answer until then */
};
void route_reply_free(struct route_reply *reply); /* frees the members */

/*
 * Runs the handler. Everything it wrote and the events of its reply are one unit of this turn: send
 * the reply from turn_release. On failure nothing is kept: err says why (ERROR_SCRIPT: 500,
 * ERROR_FULL: 503, ERROR_INVALID: an event was not acceptable, 500), an exception is open for
 * scripts that raised.
 */
int route_handle(struct runner *runner, size_t route, const struct route_request *request,
                 struct route_reply *reply_out, struct error *err) NEAP_MUST_USE;

/* wait_ms has passed: the reply itself becomes the event's answer, or the one a job gave in
 * between. */
int route_answer_late(struct runner *runner, struct route_reply *reply) NEAP_MUST_USE;

/* Replaces status, headers and body by those of a stored answer. */
void route_reply_set(struct route_reply *reply, const struct event_answer *answer);

#endif
