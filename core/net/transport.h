/*
 * Carries one HTTP request to an answer. Two kinds: real (libcurl) and loopback (in this process,
 * in virtual time). TLS policy belongs to the endpoint, not to the request.
 */
#ifndef NEAP_CORE_NET_TRANSPORT_H
#define NEAP_CORE_NET_TRANSPORT_H

#include "core/net/http_message.h"

struct transport;
struct transfer; /* one request under way */

/* Used where the policy or request says 0. */
#define TRANSPORT_TIMEOUT_MS         30000
#define TRANSPORT_CONNECT_TIMEOUT_MS 10000
#define TRANSPORT_MAX_ANSWER_BYTES   ((size_t)16 << 20)
#define TRANSPORT_FILE_FOLDER        "/tmp"
#define TRANSPORT_MAX_HEADER_BYTES   ((size_t)256 << 10) /* of an answer; above: ERROR_LIMIT */

/* Endpoint policy; borrowed strings that outlive the transfer. */
struct transport_policy {
    const char *ca_file;    /* custom CA bundle, used instead of the system's, or NULL */
    const char *pinned_key; /* "sha256//BASE64[;sha256//...]" of the public key, or NULL */
    const char
        *pinned_cert_file; /* PEM of the one certificate accepted (self-signed servers), or NULL */
    const char *file_folder; /* where bodies go that were asked for as files; NULL: /tmp */
    int64_t connect_timeout_ms;
    size_t max_answer_bytes;
};

/* Exactly one of answer and err is given; both are borrowed during the call. err->maybe_sent tells
 * whether any byte of the request may have reached the other side. Never called from within start.
 * It may start and cancel transfers, but not free the transport. */
typedef void (*transport_done_cb)(void *arg, struct http_answer *answer, const struct error *err);

struct transport_ops {
    /* request and policy are borrowed until done or cancel. Never fails at once: errors come by
     * done. */
    struct transfer *(*start)(struct transport *t, const struct http_request *request,
                              const struct transport_policy *policy, transport_done_cb done,
                              void *arg);
    void (*cancel)(struct transport *t, struct transfer *transfer); /* done can no longer fire */
    void (*free)(struct transport *t); /* transfers under way are dropped silently */
};

struct transport {
    const struct transport_ops *ops; /* first member of every kind */
};

static inline void transport_free(struct transport *t) /* accepts NULL */
{
    if (t != NULL) {
        t->ops->free(t);
    }
}

#endif
