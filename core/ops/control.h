/*
 * The local socket between a running host and the verbs: data/neap.sock, mode 0600. One question
 * per connection, answered and closed.
 *
 * question: "NEAP1\n", then each field as a decimal length, ":" and its bytes (netstring without
 * comma): who, client, reason, flags ("j" JSON, "d" dry run, "h" it happened, "a" it is absent),
 * then the words. An empty line ends it. answer:   the exit code as three digits and a newline,
 * then the text.
 */
#ifndef NEAP_CORE_OPS_CONTROL_H
#define NEAP_CORE_OPS_CONTROL_H

#include "core/loop/loop.h"
#include "core/ops/admin.h"

struct control;

/* Answers one question: appends to out, returns the exit code; then done is called by the host once
 * what was written is durable (control_release). */
typedef int (*control_answer_fn)(void *arg, const struct admin_request *request, struct buf *out);

/* Called when an answer is ready to leave: the host calls control_release(ticket) after its
 * commits. */
struct control_ticket;
typedef void (*control_hold_fn)(void *arg, struct control_ticket *ticket);

struct control_owner {
    control_answer_fn answer;
    control_hold_fn hold;
    void *arg;
};

/* An old socket file is replaced (the data folder is locked, so nobody serves it). owner is copied.
 */
int control_listen(struct control **control_out, struct loop *loop, const char *path,
                   const struct control_owner *owner, struct error *err) NEAP_MUST_USE;
/* Sends it; or, when what it did could not be kept, says that instead, with exit code 1. */
void control_release(struct control_ticket *ticket, bool is_kept);
uint64_t control_accept_failures(const struct control *control); /* accepts NULL */
void control_close(struct control *control); /* removes the socket; accepts NULL */

/* For the verbs: asks and waits. ERROR_NETWORK when no host serves this folder. */
int control_ask(const char *path, const struct admin_request *request, struct buf *out,
                int *exit_code_out, struct error *err) NEAP_MUST_USE;

#endif
